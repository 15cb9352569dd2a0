"""Three tools on one folder: what each script costs and what its embeddings score, into ``data/results``.

    python data/side_by_side/measure.py --root cars196 --weights mobilenet_v2_035_imagenet.safetensors \\
        --oml-python oml/bin/python --work build/side_by_side

Each script runs alone, in a process of its own, on one core and one thread. What it took is the system's own count for
the process and all it started. All embeddings are measured by one evaluator. A script that was measured is not run
again: stopped and called again, this goes on. See README.md for what is alike and what is not.
"""

from __future__ import annotations

import ast
import hashlib
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
from dmlbook.datasets.photos.formats import is_system
from dmlbook.datasets.photos.layouts import images_below
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
# A small process of its own: what a process holds before it becomes another program counts for that one.
LAUNCH = """import json, os, subprocess, sys
core, out, *command = sys.argv[1:]
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {int(core)})
_, status, usage = os.wait4(subprocess.Popen(command).pid, 0)
with open(out, "w") as file:
    json.dump([status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss], file)
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
    """The photographs under class names that every tool sorts alike, and one of the last class put aside as new.

    An even number of classes, so that each tool takes the same half. What was copied is taken as it is, where it was
    copied from the same photographs.
    """
    if not root.is_dir():
        raise SystemExit(f"--root must be a folder of class folders; got {root}")
    pictures = {folder: images for folder in sorted(root.iterdir()) if (images := _pictures(folder))}
    folders = list(pictures)[:classes]
    folders = folders[: len(folders) // 2 * 2]
    if len(folders) < 4:
        raise SystemExit(f"--root must hold four class folders or more; got {len(folders)} in {root}")
    photos, done, new = work / "photos", work / "photos.json", pictures[folders[-1]][0]
    query = work / f"new{new.suffix}"
    taken = [path for folder in folders for path in pictures[folder]]
    asked = [str(root.resolve()), [[path.relative_to(root).as_posix(), path.stat().st_size] for path in taken]]
    if not (done.is_file() and json.loads(done.read_text()) == asked):
        done.unlink(missing_ok=True)
        shutil.rmtree(photos, ignore_errors=True)
        for number, folder in enumerate(folders):
            (photos / f"{number:04d}").mkdir(parents=True)
            for path in pictures[folder]:
                if path != new:
                    shutil.copyfile(path, photos / f"{number:04d}" / "-".join(path.relative_to(folder).parts))
        shutil.copyfile(new, query)
        write_whole(done, json.dumps(asked))
    return photos, query


def _pictures(folder: Path) -> list[Path]:
    """The images in a class folder, wherever they lie in it; none for what is no such folder."""
    if is_system(folder.name) or not folder.is_dir():
        return []
    return [folder / name for name in images_below(folder)[0]]


def asked_of(tool: str, options: Namespace, photos: Path) -> dict[str, object]:
    """Everything that decides a result but the seed: one that was measured with other settings is no result."""
    texts = [HERE / SCRIPTS[tool], HERE / "network.py", photos.parent / "photos.json", options.weights]
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in texts}
    return {"epochs": options.epochs, "versions": options.versions[tool], **digests}


def run(tool: str, seed: int, options: Namespace, photos: Path, query: Path) -> dict[str, float]:
    """What one script took with one seed, and what its embeddings score; from its folder where it was measured."""
    folder, asked = options.work / f"{tool}-{seed}", asked_of(tool, options, photos)
    result = folder / "result.json"
    if result.is_file() and (known := json.loads(result.read_text()))["asked"] == asked:
        return known["figures"]
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
    environment |= {"CUDA_VISIBLE_DEVICES": ""}  # some tools take a GPU unasked
    print(f"{tool}, seed {seed} ...", flush=True)
    begun = time.perf_counter()
    launch = [sys.executable, "-S", "-c", LAUNCH, options.core, folder / "usage.json", *command]
    with (folder / "log.txt").open("w") as log:
        subprocess.run(list(map(str, launch)), stdout=log, stderr=subprocess.STDOUT, env=environment, check=True)
    wall = time.perf_counter() - begun
    status, seconds, peak = json.loads((folder / "usage.json").read_text())
    if status:
        raise SystemExit(f"{tool} failed; its last words, of {folder / 'log.txt'}:\n" + tail(folder / "log.txt"))
    figures = scores(folder / "vectors.npz", photos)
    figures |= {"cpu_minutes": seconds / 60, "wall_minutes": wall / 60}
    figures |= {"peak_gb": peak * (1 if sys.platform == "darwin" else 1024) / 1e9}
    figures |= {"lines": lines(HERE / SCRIPTS[tool])}
    write_whole(result, json.dumps({"asked": asked, "figures": figures}, indent=2))
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
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [options.core]
    faults = {
        "--seeds must be 1 or more": options.seeds < 1,
        "--epochs must be 1 or more": options.epochs < 1,
        f"--core must be one of {', '.join(map(str, cores))}": options.core not in cores,
        f"--weights must be a file; got {options.weights}": not options.weights.is_file(),
    }
    if told := [fault for fault, there in faults.items() if there]:
        parser.error("; ".join(told))
    options.work = options.work.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    options.versions = known = {tool: versions(tool, options) for tool in options.tools}
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
        try:
            record = records.continued(options.record, title, configuration)
        except ValueError as error:
            raise SystemExit(f"{options.record} was measured otherwise; name another --record. ({error})") from error
    for seed in range(1, options.seeds + 1):
        figures = {tool: run(tool, seed, options, photos, query) for tool in options.tools}
        flat = {f"{tool}: {key}": value for tool, found in figures.items() for key, value in found.items()}
        record.add(seed, flat, seconds=60 * sum(found["wall_minutes"] for found in figures.values()))
        if options.record:
            print(f"recorded in {record.save().name}")
    keys = ("lines", "cpu_minutes", "wall_minutes", "peak_gb", "recall_at_1", "map_at_r")
    print(f"\n| | {' | '.join(keys)} |\n|---|{'---|' * len(keys)}")
    for tool in options.tools:
        cells = []
        for key in keys:
            mean, half = records.interval(record.values(f"{tool}: {key}"))
            cells.append(f"{mean:.4g}" if key == "lines" or options.seeds == 1 else f"{mean:.3f} ± {half:.3f}")
        print(f"| {tool} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
