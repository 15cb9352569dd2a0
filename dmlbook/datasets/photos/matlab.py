"""MATLAB's index files, read in a process of their own: a damaged one may end that process, and not the reader's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from dmlbook._checks import bad_input

CHILD = Path(__file__).with_name("matlab_child.py")
SECONDS = 120


def read_mat(*paths: Path) -> list[dict[str, list]]:
    """``class_names`` and ``annotations`` of MATLAB files (version 5, as of Cars196), those of the two that are there.

    Raises:
        ValueError: A file is damaged, of another version or much too large; it is named.

    Returns:
        For each file a dictionary: names as text, annotations as dictionaries of text and integers.
    """
    alone = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # a thread takes memory
    command = [sys.executable, "-P", str(CHILD), *map(str, paths)]
    remedy = "Unpack the archive again."
    try:
        done = subprocess.run(
            command, env=os.environ | alone, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        names = ", ".join(map(str, paths))
        raise bad_input(names, f"be read within {SECONDS} seconds", "more", remedy) from None
    answers = []
    for line in done.stdout.splitlines():
        try:
            answers.append(json.loads(line))
        except ValueError:
            break
    for path, answer in zip(paths, answers, strict=False):
        if "fault" in answer:
            raise bad_input(str(path), "be a MATLAB file of version 5", answer["fault"], remedy)
    if len(answers) < len(paths):
        got = f"a reader that ended with status {done.returncode}"
        raise bad_input(str(paths[len(answers)]), "be a MATLAB file of version 5", got, remedy)
    return answers
