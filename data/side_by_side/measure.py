"""Three tools on one folder: what each script costs and what its embeddings score, into ``data/results``.

    python data/side_by_side/measure.py --root cars196 --weights mobilenet_v2_035_imagenet.safetensors \\
        --oml-python oml/bin/python --work build/side_by_side

Each script runs alone, in a process of its own, on one core and one thread. What it took is the system's own count for
the process and all it started. All embeddings are measured by one evaluator. A script that was measured is not run
again: stopped and called again, this goes on. See README.md for what is alike and what is not.
"""

from __future__ import annotations

import ast
import io
import json
import os
import shutil
import subprocess
import sys
import time
import tokenize
from argparse import ArgumentParser, Namespace
from pathlib import Path

import numpy as np
import torch

from dmlbook import records, retrieval
from dmlbook._files import write_whole
from dmlbook.seeding import SEED

HERE = Path(__file__).resolve().parent
SCRIPTS = {"dmlbook": "dmlbook.sh", "pytorch-metric-learning": "pml_train.py", "open-metric-learning": "oml_train.py"}
PACKAGES = ("torch", "torchvision", "numpy")
NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
# `python -m dmlbook ...` counts its seeds from a fixed one; this begins elsewhere, and changes nothing else.
SHIM = """#!/bin/sh
exec "{python}" -c 'import sys, dmlbook.seeding
dmlbook.seeding.SEED = {seed}
from dmlbook.__main__ import main
sys.exit(main(sys.argv[3:]))' "$@"
"""


def lines(path: Path) -> int:
    """Lines of code in a script: those that are blank, comments or docstrings do not count."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".py":
        return sum(bool(line.strip()) and not line.lstrip().startswith("#") for line in text.splitlines())
    counted: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NOT_CODE and token.string:
            counted |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            counted -= set(range(node.lineno, node.end_lineno + 1))
    return len(counted)


def prepare(root: Path, work: Path, classes: int | None) -> tuple[Path, Path]:
    """The photographs under class names that every tool sorts alike, and one of the last class put aside as new."""
    photos, done = work / "photos", work / "photos.json"
    folders = sorted(path for path in root.iterdir() if path.is_dir())[:classes]
    if len(folders) < 4:
        raise SystemExit(f"--root must hold four class folders or more; got {len(folders)} in {root}")
    new = sorted(path for path in folders[-1].iterdir() if path.is_file())[0]
    query = work / f"new{new.suffix}"
    asked = {"classes": len(folders), "new": new.name}
    if not (done.is_file() and json.loads(done.read_text()) == asked):
        shutil.rmtree(photos, ignore_errors=True)
        for number, folder in enumerate(folders):
            (photos / f"{number:04d}").mkdir(parents=True)
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path != new:
                    name = "-".join(path.relative_to(folder).parts)
                    shutil.copyfile(path, photos / f"{number:04d}" / name)
        shutil.copyfile(new, query)
        write_whole(done, json.dumps(asked))
    return photos, query


def run(tool: str, seed: int, options: Namespace, photos: Path, query: Path) -> dict[str, float]:
    """What one script took with one seed, and what its embeddings score; from its folder where it was measured."""
    folder = options.work / f"{tool}-{seed}"
    result = folder / "result.json"
    if result.is_file():
        return json.loads(result.read_text())
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bin").mkdir(parents=True)
    shim = folder / "bin" / "python"
    shim.write_text(SHIM.format(python=sys.executable, seed=SEED + seed))
    shim.chmod(0o755)
    given = [photos, query, options.weights.resolve(), folder, seed, options.epochs]
    start = ["sh"] if tool == "dmlbook" else [python_of(tool, options)]
    command = [*start, HERE / SCRIPTS[tool], *given]
    environment = os.environ | THREADS | {"DMLBOOK_CACHE": str(folder / "cache")}  # so that decoding counts
    environment |= {"PATH": f"{shim.parent}{os.pathsep}{os.environ['PATH']}", "DMLBOOK_MODE": "class"}
    print(f"{tool}, seed {seed} ...", flush=True)
    begun = time.perf_counter()
    with (folder / "log.txt").open("w") as log:
        pinned = getattr(os, "sched_setaffinity", None)
        process = subprocess.Popen(
            list(map(str, command)),
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            preexec_fn=pinned and (lambda: pinned(0, {options.core})),
        )
        _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    if status:
        raise SystemExit(f"{tool} failed; its last words, of {folder / 'log.txt'}:\n" + tail(folder / "log.txt"))
    figures = scores(folder / "vectors.npz", photos)
    figures |= {"cpu_minutes": (usage.ru_utime + usage.ru_stime) / 60, "wall_minutes": wall / 60}
    figures |= {"peak_gb": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9}
    figures |= {"lines": lines(HERE / SCRIPTS[tool])}
    write_whole(result, json.dumps(figures, indent=2))
    shutil.rmtree(folder / "cache", ignore_errors=True)
    print("   ".join(f"{key} {value:.4g}" for key, value in figures.items()), flush=True)
    return figures


def scores(path: Path, photos: Path) -> dict[str, float]:
    """Recall@1 and MAP@R on the second half of the classes, by cosine, of whatever embeddings a script left."""
    with np.load(path, allow_pickle=False) as file:
        vectors, labels = file["vectors"], file["labels"].astype(int)
    half = sum(1 for _ in photos.iterdir()) // 2
    kept = labels >= half
    expected = sum(1 for folder in photos.iterdir() if int(folder.name) >= half for _ in folder.iterdir())
    if kept.sum() != expected:
        raise SystemExit(f"{path} holds {kept.sum()} embeddings of the classes to be measured, not {expected}")
    unit = torch.nn.functional.normalize(torch.from_numpy(vectors[kept]).float(), dim=1)
    found = retrieval.evaluate(unit, torch.from_numpy(labels[kept]), (1,), clusters=False)
    return {key: found[key] for key in ("recall_at_1", "map_at_r")}


def python_of(tool: str, options: Namespace) -> str:
    """Which interpreter has the tool."""
    return str(options.oml_python) if tool == "open-metric-learning" and options.oml_python else sys.executable


def versions(tool: str, options: Namespace) -> dict[str, str]:
    """Of the tool and of what does its work."""
    asked = "import sys; from importlib.metadata import version; print(*map(version, sys.argv[1:]))"
    names = [*PACKAGES, tool]
    command = [python_of(tool, options), "-c", asked, *names]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{tool} is not installed for {command[0]}. README.md says how, or leave it out by --tools.")
    return dict(zip(names, done.stdout.split(), strict=True))


def tail(path: Path) -> str:
    """The end of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-15:])


def main() -> None:
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="a folder of class folders")
    parser.add_argument("--weights", type=Path, required=True, help="of mobilenet_v2, width 0.35, as .safetensors")
    parser.add_argument("--work", type=Path, required=True, help="where copies, logs and models are kept")
    parser.add_argument("--oml-python", type=Path, help="the interpreter that has open-metric-learning")
    parser.add_argument("--tools", nargs="+", choices=SCRIPTS, default=list(SCRIPTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--classes", type=int, help="only the first so many, for a try")
    parser.add_argument("--core", type=int, default=0, help="the one that everything runs on")
    parser.add_argument("--record", default="side-by-side", help="below data/results; empty: none is written")
    options = parser.parse_args()
    options.work = options.work.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    known = {tool: versions(tool, options) for tool in options.tools}
    photos, query = prepare(options.root, options.work, options.classes)
    configuration = {
        "data": f"{options.root.resolve().name}, {sum(1 for _ in photos.iterdir())} classes, the first half trained",
        "network": f"mobilenet_v2, width 0.35, {options.weights.name}, 64 dimensions, 128 px",
        "loss": "normalized SoftMax, scale 20",
        "epochs": options.epochs,
        "batch_size": 32,
        "measured_on": "the classes that were not trained on, by cosine, one evaluator for all",
        "threads": 1,
        "versions": known,
    }
    title = f"{', '.join(options.tools)} on one folder"
    record = records.Record("side-by-side", title, configuration)
    if options.record:
        record = records.continued(options.record, title, configuration)
    for seed in range(1, options.seeds + 1):
        begun = time.perf_counter()
        figures = {tool: run(tool, seed, options, photos, query) for tool in options.tools}
        flat = {f"{tool}: {key}": value for tool, found in figures.items() for key, value in found.items()}
        record.add(seed, flat, seconds=time.perf_counter() - begun)
        if options.record:
            print(f"recorded in {record.save().name}")
    keys = ("lines", "cpu_minutes", "wall_minutes", "peak_gb", "recall_at_1", "map_at_r")
    print(f"\n| | {' | '.join(keys)} |\n|---|{'---|' * len(keys)}")
    for tool in options.tools:
        cells = []
        for key in keys:
            mean, half = records.interval(record.values(f"{tool}: {key}"))
            cells.append(f"{mean:.4g}" if key == "lines" else f"{mean:.3f} ± {half:.3f}")
        print(f"| {tool} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
