"""A valid call of every public function: from its own entry, from the names of its arguments, or from their types."""

from __future__ import annotations

import functools
import inspect
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from dmlbook import chapters, losses, maps, nets, recipes, records, training
from dmlbook.book import Live
from dmlbook.book.exercises import Case, Exercise, Misconception
from dmlbook.chapters.ch03 import birds as ch03_birds
from dmlbook.chapters.ch03 import contest as ch03_contest
from dmlbook.chapters.ch03 import figures as ch03_figures
from dmlbook.chapters.ch03 import merged as ch03_merged
from dmlbook.chapters.ch05 import experiments as ch05_experiments
from dmlbook.chapters.ch06 import theory as ch06_theory
from dmlbook.chapters.ch08 import theory as ch08_theory
from dmlbook.chapters.ch09 import theory as ch09_theory
from dmlbook.datasets.image_set import ImageSet
from dmlbook.datasets.photos.layouts import Entry, Listing
from dmlbook.retrieval.exact import sort_by_class
from dmlbook.use import run_folders
from dmlbook.use.run_list import ListedRun, find_runs
from tests.fuzz.annotations import Kind, kinds
from tests.fuzz.targets import Target

SIZES = {"N": 12, "B": 12, "M": 12, "T": 7, "C": 3, "K": 2, "D": 4, "F": 5, "P": 4, "Q": 6, "R": 3, "S": 16, "H": 16}
SIDE = 16


def draw() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def labels(count: int = 12) -> torch.Tensor:
    return torch.arange(count) % 3


def rows(*shape: int) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.randn(shape, generator=draw()), dim=-1)


def square(count: int = 12) -> torch.Tensor:
    points = rows(count, 4)
    return torch.cdist(points, points)


def of_shape(kind: Kind) -> torch.Tensor:
    sizes = []
    for axis in kind.axes:
        if axis.startswith(("*", "...")):
            sizes.append(3)
        else:
            sizes.append(int(axis) if axis.isdecimal() else SIZES.get(axis, 16))
    if kind.dtype == "float" or kind.dtype == "any":
        return rows(*sizes) if sizes else torch.tensor(0.5)
    if kind.dtype == "uint8":
        return torch.randint(256, sizes, generator=draw(), dtype=torch.uint8)
    if kind.dtype == "bool":
        return torch.ones(sizes, dtype=torch.bool)
    count = int(torch.tensor(sizes).prod())
    return (torch.arange(count) % 3).reshape(sizes)


def split_file(folder: Path) -> Path:
    path = folder / "splits.csv"
    path.write_text("path,split\na/0.png,train\nb/0.png,train\na/1.png,query\n")
    return path


def image_set() -> ImageSet:
    images = torch.randint(256, (24, 3, SIDE, SIDE), generator=draw(), dtype=torch.uint8)
    return ImageSet(
        images, torch.arange(24) % 4, tuple("abcd"), kinds=torch.arange(24) // 4 % 2, kind_names=("p", "q"),
        paths=tuple(f"{n}.png" for n in range(24)), name="toy", split="train",
    )  # fmt: skip


@functools.cache
def _net() -> torch.nn.Module:
    return nets.build("small", embedding_size=4, width_mult=0.2, seed=1)


def numbers() -> ch03_merged.Numbers:
    return ch03_merged.Numbers(rows(12, 4), labels())


def contest_tasks() -> ch03_contest.Tasks:
    task = ch03_merged.Task(numbers(), numbers(), numbers())
    return ch03_contest.Tasks(image_set(), task, task)


def net() -> torch.nn.Module:
    import copy

    return copy.deepcopy(_net())


def loss(name: str = "softtriple", classes: int = 3) -> losses.Loss:
    more = {"generator": draw()} if "generator" in losses.options(name) else {}
    return losses.make(name, num_classes=classes, embedding_size=4, **more)


def config(**more: object) -> training.TrainConfig:
    usual = {"epochs": 1, "batch_size": 8, "milestones": (), "freeze_batch_norm": False, "augment": "shift"}
    return training.TrainConfig(**usual | more)


def few_digits() -> ch05_experiments.Digits:
    return ch05_experiments.Digits(rows(12, 64), labels(), rows(12, 64), labels())


def figure():
    import matplotlib.pyplot as plt

    return plt.figure(figsize=(3, 2))


def ax():
    return figure().add_subplot()


def axes(count: int) -> list:
    found = figure()
    return [found.add_subplot(1, count, place + 1) for place in range(count)]


def live() -> Live:
    place = ax()
    return Live(place.figure, place.plot([0, 1], [0, 1]))


def png() -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(buffer, format="png")
    return buffer.getvalue()


def a_map() -> maps.Map:
    return maps.Map(torch.randn(12, 2, generator=draw()), torch.randn(3, 2, 2, generator=draw()))


def served() -> maps.Serving:
    return maps.serving(rows(12, 4), labels(), rows(3, 2, 4))


TRAINING = {"epochs": 5, "batch_size": 32, "freeze_backbone": False, "lr": 0.1}


def tools_side_by_side() -> records.Record:
    """What one tool took and scored."""
    made = records.Record("sides", "Sides", {"data": "cars"})
    keys = ("lines", "cpu_minutes", "peak_gb", "recall_at_1", "map_at_r")
    made.add(7, {f"a tool: {key}": 0.5 for key in keys}, seconds=1.0)
    return made


def record(name: str = "probe", epochs: int = 5) -> records.Record:
    configuration = {
        "data": "cars", "size": 128, "data_options": {}, "training_images": 8054, "measured_on": "test classes",
        "loss": "softmax",
        "network": {"name": "small", "width_mult": 1.0, "embedding_size": 64},
        "training": {**TRAINING, "epochs": epochs},
    }  # fmt: skip
    choice = {"search": "choosing/a", "own": True, "by": "recall_at_1", "trials": 8, "seeds": 1, "epochs": 2}
    made = records.Record(name, "A probe", configuration, choice={**choice, "settings": {"lr": 0.1}})
    for seed, figure in ((1, 0.5), (2, 0.4), (3, 0.45)):
        made.add(seed, {"recall_at_1": figure, "map_at_r": figure / 2}, seconds=3.0)
    return made


def search(name: str = "choosing", rungs: tuple[int, ...] = ()) -> records.Search:
    made = records.Search(
        name, "A search", {"data": "birds", "training": {"epochs": 2}}, {"lr": [0.1, 0.2], "flip": [False, True]},
        "recall_at_1", rungs=list(rungs),
    )  # fmt: skip
    for lr in (0.1, 0.2):
        for flip in (False, True):
            settings = {"lr": lr, "flip": flip, **({"epochs": 1} if rungs else {})}
            made.trial(settings).add(1, {"recall_at_1": lr, "map_at_r": lr}, seconds=1)
    return made


def published() -> list[ch08_theory.Reported]:
    return list(ch08_theory.reported("cub", dimensions=512))


def comparison() -> records.Comparison:
    return records.Comparison({"A": record("a"), "B": record("b")}, {"budget": "they are rivals"})


def exercise() -> Exercise:
    return Exercise("9.9", "Twice", lambda: [Case((2,), 4, "f(2)")], {"same": Misconception(lambda x: x, "Look.")})


def photos(folder: Path) -> Path:
    from PIL import Image

    for name in ("a", "b", "c", "d"):
        for number in range(2):
            path = folder / "photos" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (12, 8), (40 * number, 90, 90)).save(path)
    return folder / "photos"


def listing() -> Listing:
    entries = tuple(Entry(f"{c}/{n}.png", c, i) for i, c in enumerate("abcd") for n in range(2))
    return Listing(photos(Path.cwd()), "class folders", entries)


def saved_record() -> str:
    record("kept/a").save(Path.cwd())
    record("kept/b", epochs=6).save(Path.cwd())
    return "kept/a"


def saved_search() -> str:
    search("kept/s").save(Path.cwd())
    search("kept/t").save(Path.cwd())
    return "kept/s"


def checkpoint() -> Path:
    from dmlbook.training import checkpoints

    return checkpoints.save(Path.cwd() / "run", {"a": torch.ones(2)}, epoch=1, step=2)


def run_folder() -> Path:
    from dmlbook.training import checkpoints
    from dmlbook.use import run_folders

    state = {"run": {"train_set.classes": 4}, "net": net().state_dict(), "loss": {}, "best": None, "epoch": 1}
    folder = checkpoints.save(Path.cwd() / "trained", state, epoch=1, step=0).parent
    built = {"name": "small", "embedding_size": 4, "width_mult": 0.2}
    about = {"net": built, "config": config().to_dict(), "data": {"data": "folder", "size": 16}}
    (folder / run_folders.ABOUT).write_text(json.dumps(about))
    return folder


def found():
    from dmlbook.use.photographs import find_photographs

    return find_photographs(photos(Path.cwd()))


def trained_run():
    from dmlbook.use import Run

    return Run(Path.cwd(), net().eval(), config(image_size=14, test_crop=0.875), 16, ("a",), None, {}, finished=True)


def vectors():
    from dmlbook.use.vector_files import Vectors

    return Vectors(rows(2, 4), ("a", "b"), ("", "c"), {})


def vectors_file() -> Path:
    from dmlbook.use.vector_files import write_vectors

    return write_vectors(Path.cwd() / "given.npz", vectors())


def answer():
    from dmlbook.use.gallery import Hit
    from dmlbook.use.page import Answer

    file = photos(Path.cwd()) / "a" / "0.png"
    return Answer(str(file), [Hit("0.png", "a", 0.5)], [file])


def listed_run() -> ListedRun:
    about = {
        "loss": "softtriple", "loss_options": {}, "net": {"name": "small", "embedding_size": 4, "weights": None},
        "config": config().to_dict(), "data": {"data": "folder", "data_option": [], "size": SIDE},
    }  # fmt: skip
    kept = training.Checkpoints(Path.cwd() / "runs" / "mine", about=about)
    training.fit(net(), loss(classes=4), image_set(), config(), folder=kept, device="cpu", progress=False)
    run_folders.note(kept.folder, figures={"recall_at_1": 0.5, "map_at_r": 0.25})
    return find_runs([kept.folder]).runs[0]


def birds_of_three() -> ch03_birds.Features:
    return ch03_birds.Features(rows(12, 5), labels(), rows(12, 5), labels())


def stage() -> ch06_theory.Stage:
    return ch06_theory.stage()


def look() -> ch09_theory.Look:
    return ch09_theory.look(loss(), rows(4), 1)


@functools.cache  # made once a process: it takes a third of a second
def explorer(number: str):
    from dmlbook.chapters import explorers

    return explorers()[number]()


def method():
    from dmlbook.chapters.ch06.methods import METHODS

    return METHODS["triplet"]


def used() -> dict:
    from dmlbook.chapters.ch06.pairs import used_pairs

    return {"triplet": used_pairs(loss("triplet"), rows(12, 4), labels())}


@functools.cache
def fit_result() -> training.FitResult:
    return training.fit(
        net(), loss(classes=4), image_set(), config(evaluate_every=1), validation=image_set(), progress=False
    )


BY_NAME: dict[str, Callable] = {
    "ax": ax,
    "figure": figure,
    "image_set": image_set,
    "labels": labels,
    "kinds": lambda: torch.arange(12) // 3 % 2,
    "embeddings": lambda: rows(12, 4),
    "generator": draw,
    "random": draw,
    "net": net,
    "module": net,
    "loss": loss,
    "config": config,
    "train_set": image_set,
    "live": live,
    "served": served,
    "on": stage,
    "stage": stage,
    "seen": look,
    "shown": a_map,
    "moved": a_map,
    "onto": a_map,
    "map": a_map,
    "picture": png,
    "alt": lambda: "What a reader who cannot see it needs to know.",
    "root": Path.cwd,
    "folder": Path.cwd,
    "exercise": exercise,
    "device": lambda: torch.device("cpu"),
    "distances": square,
    "listing": listing,
    "similarities": lambda: rows(12, 3),
    "figures": lambda: {"recall_at_1": "R@1", "map_at_r": "MAP@R"},
    "prepared": lambda: sort_by_class(rows(12, 4), labels(), "cosine", 4),
    "boxes": lambda: torch.tensor([[0.0, 0.0, 1.0, 1.0]]).repeat(12, 1),
    "half_angle": lambda: 0.7,
    "own_distances": lambda: rows(12).abs(),
    "taus": lambda: torch.tensor([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9]),
    "settings": lambda: {"lr": 0.1, "flip": True},
}

SCALARS: dict[str, object] = {
    "num_classes": 3, "embedding_size": 4, "dimension": 4, "dimensions": 4, "in_features": 5, "hidden_units": 6,
    "centers_per_class": 2, "batch_size": 6, "samples_per_class": 2, "seed": 1, "count": 5, "k": 2, "images": 40,
    "class_size": 8, "num_images": 12, "items": 9, "drawn": 3, "n_neighbors": 2, "block": 4, "classes": 3,
    "place": 1, "number": 1, "label": 1, "center": 0, "scale": 20.0, "gamma": 0.1, "margin": 0.1, "strength": 0.3,
    "share": 0.3, "lr": 0.1, "epsilon": 1e-5, "eps": 0.01, "radius": 0.2, "size": 16, "metric": "cosine",
    "split": "train", "name": "softtriple", "title": "A finding", "text": "Words.", "side": 16, "columns": 3,
    "repeat": 2, "top": 3, "low": 0.1, "high": 0.9, "epoch": 1, "step": 1, "over": "A", "row": "B", "per_class": 2,
    "positive": 1.0, "anchor": 30.0, "batch": 6, "species": 3, "pose": "perched", "crop": 0.9, "threshold": 0.1,
    "num_clusters": 3, "image_size": None, "rank": 0, "world_size": 2, "most": 3, "n_init": 1, "gradient": 0.5,
    "validation": 0.5, "better": 1, "matches": 2, "tied": 2, "steps": 3, "reach": 1.0, "difficulty": "easy",
}  # fmt: skip

SEARCHED = {"gallery": lambda: rows(9, 4), "gallery_labels": lambda: labels(9)}

SERIES = [0.2, 0.4, 0.3]
CALLS: dict[str, dict[str, object]] = {
    "book.circle.on_circle": {"degrees": lambda: [0.0, 90.0]},
    "book.circle.image_marks": {"images": lambda: rows(12, 2)},
    "book.cost.growth_lines": {"times": lambda: {f"way, N = {n}": 0.1 * n for n in (2, 4, 8)}},
    "book.exercises.Case": {"arguments": lambda: (2,), "expected": 4},
    "book.exercises.Misconception": {"wrong": lambda: len, "message": "Look."},
    "book.exercises.Exercise": {"id": "9.9", "cases": lambda: list},
    "book.exercises.predict": {"id": "1", "answer": "a"},
    "book.exercises.outcome": {"id": "1", "answer": "a"},
    "book.exercises.same": {"found": 1, "expected": 1},
    "book.exercises.show": {"value": 1},
    "book.relations.one_setting": {
        "right": lambda: [True, False],
        "arguments": lambda: [(1,), (2,)],
        "names": lambda: ["k"],
    },
    "book.explorer.Explorer.grid": {"name": "scale"},
    "book.images.image": {"picture": b"", "alt": "A dot."},
    "book.strip.strip": {"number": "03"},
    "book.strip.story": {"number": "03"},
    "chapters.show": {"name": lambda: next(name for name, text in chapters.alts("03").items() if "{" not in text)},
    "chapters.yours": {"id": "0.1", "answer": lambda: len, "ours": lambda: sum},
    "book.figures.query_row": {"axes": lambda: axes(3), "query": 1, "found": lambda: torch.tensor([2, 3])},
    "book.figures.gallery": {"queries": lambda: [0, 5], "found": lambda: {"A": labels(48).view(24, 2) + 2}},
    "book.figures.right_first": {"found": lambda: labels(24).view(12, 2)},
    "book.figures.picture": {"index": 1},
    "book.figures.tiles": {"images": lambda: image_set().images},
    "book.lines.name_ends": {"ends": lambda: {"A": 0.2, "B": 0.4}, "across": lambda: [0.2, 0.4]},
    "book.lines.named_lines": {
        "across": lambda: [1.0, 2.0, 3.0], "by_name": lambda: {"A": SERIES, "B": SERIES}, "legend": "Methods",
    },
    "book.lines.curves": {"by_method": lambda: {"A": [SERIES, SERIES], "B": [SERIES]}},
    "book.lines.dots": {"by_method": lambda: {"A": SERIES, "B": SERIES}},
    "book.live.Live": {"figure": lambda: FIGURE.figure, "moving": lambda: FIGURE.lines},
    "book.neighbours.NeighbourExplorer": {"embeddings": lambda: {"A": rows(24, 4)}, "shown": 3, "queries": 4},
    "book.neighbours.NeighbourExplorer.state": {"method": "A", "place": 1},
    "book.neighbours.NeighbourExplorer.draw": {"method": "A", "place": 1},
    "book.scores.score_figure": {"by_measure": lambda: {"R@1": {"A": SERIES, "B": SERIES}}},
    "book.web.BrowserView": {"module": lambda: maps.MODULE, "data": lambda: {"a": 1}},
    "book.web.source": {"module": lambda: maps.MODULE},
    "book.web.pictured": {"bundle": lambda: ({}, {})},
    "chapters.part": {"number": "01", "name": "theory"},
    "chapters.exercises": {"number": "01"},
    "chapters.check": {"id": "1.1", "answer": lambda: len},
    "chapters.judge": {"id": "1.1", "answer": lambda: len},
    "book.strip.lesson_of": {"number": "03b"},
    "chapters.ch01.experiments.both_measures": {"scores": lambda: torch.rand(3, 2)},
    "chapters.ch01.experiments.neighbors_met": {
        "nearest": lambda: torch.tensor([[1], [0], [1]]), "batches": lambda: [torch.tensor([0, 1])],
    },
    "chapters.ch01.experiments.triplets_met": {
        "labels": lambda: torch.tensor([0, 0, 1, 1]), "batches": lambda: [torch.tensor([0, 1, 2])],
    },
    "chapters.ch01.experiments.closest_ranks": {
        "ranks": lambda: torch.ones(4, 4).long(), "labels": lambda: torch.tensor([0, 0, 1, 1]),
        "batches": lambda: [torch.tensor([0, 1, 2])],
    },
    "chapters.ch01.explorer.MarginExplorer.move": {"pair": 1},
    "chapters.ch01.figures.samples": {
        "degrees": lambda: [0.0, 30.0], "labels": lambda: [0, 1], "names": lambda: ["A", "B"], "query": 0, "rim": 1,
    },
    "chapters.ch01.figures.clusters": {
        "points": lambda: rows(3, 2), "labels": lambda: torch.tensor([0, 1, 0]),
        "groups": lambda: torch.tensor([0, 0, 1]),
    },
    "chapters.ch01.figures.named_zones": {
        "degrees": lambda: [0.0, 30.0], "labels": lambda: [0, 1], "names": lambda: ["A", "B"], "positive": 1,
    },
    "chapters.ch01.figures.move_zones": {"lines": lambda: zones()},
    "chapters.ch01.figures.gap_counts": {"edges": lambda: np_edges()},
    "chapters.ch01.figures.rows_of_neighbors": {
        "names": lambda: ["A", "B", "C"], "labels": lambda: [0, 1, 0], "rankings": lambda: [[1, 2], [0, 2], [0, 1]],
    },
    "chapters.ch01.figures.shares": {
        "steps": lambda: [0, 1, 2], "by_kind": lambda: {k: [0.3, 0.3, 0.3] for k in ("hard", "semi-hard", "easy")},
    },
    "chapters.ch01.theory.neighbor_chance": {"neighbors": 1},
    "chapters.ch02.attack.attack": {"dimension": 3, "eps": 0.3, "searches": 4, "steps": 2},
    "chapters.ch02.attack.best_weights": {"violations": lambda: torch.tensor([0.0, 0.2, -0.1]), "scale": 5.0},
    "chapters.ch02.attack.five_points": {"free": lambda: rows(5, 6, 3), "eps": 0.3},
    "chapters.ch02.attack.measure": {
        name: lambda: rows(12, 4) for name in ("x", "own", "other", "near_own", "near_other")
    },
    "chapters.ch02.attack.tight_case": {"delta": 0.5, "eps": 0.3},
    "chapters.ch02.experiments.fit_digits": {"size": 2, "scale": 5.0, "steps": 1, "seed": 3, "without": lambda: [1]},
    "chapters.ch02.experiments.hardest_tenth": {"points": lambda: rows(901, 4), "centers": lambda: rows(5, 4)},
    "chapters.ch02.experiments.on_unseen": {"new_points": lambda: rows(896, 4)},
    "chapters.ch02.experiments.lead": {"ours": lambda: [(0.5, 0.2)] * 2, "theirs": lambda: [(0.3, 0.1)] * 2},
    "chapters.ch02.experiments.leads": {"results": lambda: dict.fromkeys((1.0, 5.0, 20.0), [(0.5, 0.2)] * 2)},
    "chapters.ch02.experiments.line": {"name": "ours", "by_seed": lambda: [(0.5, 0.2)] * 2},
    "chapters.ch02.experiments.told_apart": {"ours": lambda: [(0.5, 0.2)] * 2, "theirs": lambda: [(0.3, 0.1)] * 2},
    "chapters.ch02.experiments.rates_tried": {"scale": 5.0, "rates": lambda: [1e-3], "pairs": 1, "steps": 1},
    "chapters.ch02.experiments.promised": {
        "points": lambda: rows(901, 4), "centers": lambda: rows(5, 4), "scale": 5.0, "every": 60,
    },
    "chapters.ch02.figures.attacked": {
        "starts": lambda: [rows(13), rows(13)], "ends": lambda: [rows(13), rows(13)], "radius": 0.3,
    },
    "chapters.ch02.figures.guarantees_and_leads": {
        "axes": lambda: axes(3),
        **{name: lambda: {"A": [0.5, 0.2]} for name in ("sure", "one_rate", "own_rates")},
    },
    "chapters.ch02.figures.margin_and_radius": {"own": 40.0, "other": -120.0, "radius": 0.2},
    "chapters.ch02.explorer.ScaleExplorer.move": {"scale": 5.0, "angle": 10, "own": 1},
    "chapters.ch02.figures.image_and_centers": {},
    "chapters.ch02.figures.weight_bars": {"weights": lambda: torch.tensor([0.2, 0.3, 0.5])},
    "chapters.ch02.figures.triangle": {"weights": lambda: torch.full((12, 3), 1 / 3)},
    "chapters.ch02.figures.weight_triangle": {"path": lambda: torch.full((7, 3), 1 / 3), "rows": 5},
    "chapters.ch02.figures.gaps": {"by_name": lambda: {"A": torch.tensor([0.2, 0.3])}},
    "chapters.ch02.figures.flat_embedding": {"names": lambda: ["a", "b", "c"], "points": lambda: rows(12, 2)},
    "chapters.ch02.figures.worst_case": {"points": lambda: [rows(2) for _ in range(5)]},
    "chapters.ch02.theory.smoothed_objective": {"weights": lambda: torch.full((12, 3), 1 / 3)},
    "chapters.ch02.theory.margin_from_loss": {"loss": lambda: torch.tensor([0.5, 0.2, 0.1])},
    "chapters.ch02.theory.example_margin": {"margin": lambda: torch.rand(3), "radius": lambda: torch.rand(3)},
    "chapters.ch02.theory.sharp_example_margin": {"margin": lambda: torch.rand(3), "radius": lambda: torch.rand(3) / 9},
    "chapters.ch03.birds.bird_features": {"directions": 8},
    "chapters.ch03.birds.linear_run": {"features": lambda: birds_of_three(), "seed": 1, "steps": 1},
    "chapters.ch03.contest.bird_tasks": {"num_species": 20, "images_per_species": 6, "directions": 6},
    "chapters.ch03.contest.compete": {
        "tasks": lambda: contest_tasks(), "options": lambda: {"name": "hardtriple"},
        "rates": [0.01], "seeds": [1], "species_per_class": 1, "steps": 1,
    },
    "chapters.ch03.contest.scores": {
        "task": lambda: contest_tasks().final, "options": lambda: {"name": "hardtriple"},
        "rate": 0.01, "seeds": [1], "species_per_class": 1, "steps": 1,
    },
    "chapters.ch03.contest.search": {
        "tasks": lambda: contest_tasks(), "options": lambda: {"name": "hardtriple"},
        "grid": lambda: {"scale": (2.0, 20.0)}, "rates": [0.01], "seeds": [1], "species_per_class": 1, "steps": 1,
    },
    "chapters.ch03.contest.floors": {"task": lambda: contest_tasks().final, "seeds": [1]},
    "chapters.ch03.contest.minus": {"first": lambda: {"R@1": [0.5, 0.75]}, "second": lambda: {"R@1": [0.5, 0.25]}},
    "chapters.ch03.contest.table": {"rows": lambda: {"one": {"R@1": [0.5, 0.75]}}, "measures": lambda: ["R@1"]},
    "chapters.ch03.experiments.alone": {
        "ours": lambda: torch.tensor([True, False, True]), "theirs": lambda: torch.tensor([True, True, True]),
    },
    "chapters.ch03.panels.kink_and_jump": {"left": ax, "right": ax},
    "chapters.ch03.panels.four_similarities": {"cosines": lambda: torch.tensor([0.8, 0.1])},
    "chapters.ch03.panels.three_jobs": {"left": ax, "right": ax},
    "chapters.ch03.panels.merged_birds": {"class_of": lambda: torch.tensor([0, 1, 0, 1]), "classes": 2, "size": 16},
    "chapters.ch03.panels.pushed_below": {"cosines": lambda: torch.tensor([0.8, 0.1])},
    "chapters.ch03.experiments.center_turns": {"images": lambda: rows(12, 2), "labels": lambda: labels() % 2},
    "chapters.ch03.experiments.share_without_gradient": {"labels": lambda: labels() % 2, "starts": 1},
    "chapters.ch03.experiments.train_centers": {
        "method": "SoftTriple", "labels": lambda: labels() % 2, "runs": 2, "steps": 1,
    },
    "chapters.ch03.experiments.wins_with_margin": {"margin": 0.1, "runs": 2, "steps": 1},
    "chapters.ch03.explorer.CircleExplorer.angles": {"kind": "image"},
    "chapters.ch03.explorer.CircleExplorer.similar": {"points": lambda: rows(5, 2).double()},
    "chapters.ch03.explorer.CircleExplorer.gradient": {"degrees": lambda: 90 * rows(4).double()},
    "chapters.ch03.explorer.CircleExplorer.move": {"angles": None},
    "chapters.ch03.figures.Ring.paint": {"class_similarities": lambda: rows(12, 2)},
    "chapters.ch03.figures.ring": {"pieces": 12},
    "chapters.ch03.figures.winner_hues": {"class_similarities": lambda: rows(12, 2)},
    "chapters.ch03.figures.winner_colors": {"class_similarities": lambda: rows(12, 2)},
    "chapters.ch03.figures.class_circle": {"similarity": lambda: losses.hardtriple_similarity},
    "chapters.ch03.figures.loss_map": {
        "degrees": lambda: torch.linspace(0, 360, 12), "losses": lambda: 9 * torch.rand(12, 12, generator=draw()),
    },
    "chapters.ch03.figures.slope_bars": {},
    "chapters.ch03.figures.failed_starts": {"failed": lambda: {"A": {1: (2, 4), 2: (3, 4)}}},
    "chapters.ch03.figures.sectors": {"winners": lambda: [0, 1, 1]},
    "chapters.ch03.merged.trial": {
        "task": lambda: ch03_merged.Task(numbers(), numbers(), numbers()), "options": lambda: {"name": "hardtriple"},
        "species_per_class": 1, "rate": 0.01, "steps": 1,
    },
    "chapters.ch03.merged.try_rates": {
        "task": lambda: ch03_merged.Task(numbers(), numbers(), numbers()), "options": lambda: {"name": "hardtriple"},
        "rates": [0.01], "seeds": [1], "species_per_class": 1, "steps": 1,
    },
    "chapters.ch03.merged.make_task": {"seen": image_set, "unseen": image_set, "directions": 5},
    "chapters.ch03.merged.merge": {"num_species": 12, "species_per_class": 3},
    "chapters.ch03.merged.train": {
        "pictures": lambda: numbers(), "class_of": lambda: labels(3) % 2, "options": lambda: {"name": "hardtriple"},
        "rate": 0.01, "steps": 2,
    },
    "chapters.ch03.merged.measure": {
        "net": lambda: nets.make_head(4, 0, 4), "task": lambda: ch03_merged.Task(numbers(), numbers(), numbers()),
        "class_of": lambda: labels(3),
    },
    "chapters.ch03.merged.retrieved": {
        "net": lambda: nets.make_head(4, 0, 4), "task": lambda: ch03_merged.Task(numbers(), numbers(), numbers()),
    },
    "chapters.ch03.theory.center_weights": {"similarities": lambda: rows(12, 3, 2)},
    "chapters.ch03.theory.center_objective": {
        "similarities": lambda: rows(12, 3, 2), "weights": lambda: rows(12, 3, 2),
    },
    "chapters.ch03.theory.similarity_gradient": {"similarities": lambda: rows(12, 3, 2)},
    "chapters.ch03.theory.opposite_pairs_floor": {"num_classes": 2},
    "chapters.ch03.theory.softtriple_batch_loss": {},
    "chapters.ch04.explorer.TauExplorer.move": {"tau": 3, "squared": False},
    "chapters.ch04.figures.over_numbers": {"numbers": lambda: [1, 2], "by_name": lambda: {"A": [SERIES, SERIES]}},
    "chapters.ch04.figures.path": {"taus": lambda: torch.tensor([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9])},
    "chapters.ch04.figures.tally": {
        "truth": lambda: torch.tensor([1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]),
        "found": lambda: torch.tensor([1, 2, 3, 3, 1, 2, 3, 3, 1, 2, 3, 3]),
    },
    "chapters.ch04.kinds.points": {"values": lambda: SERIES},
    "chapters.ch04.objective.objective": {
        "centers": lambda: rows(3, 2, 4), "images": lambda: rows(12, 4), "tau": 0.2,
    },
    "chapters.ch04.theory.rest_distance": {"share": 0.5},
    "chapters.ch04.theory.center_paths": {
        "start": lambda: rows(3, 2, 4), "taus": lambda: torch.tensor([0.1, 0.2]), "steps": 3,
        "embeddings": lambda: rows(12, 4),
    },
    "chapters.ch05.deeper.triplets": {"labels": lambda: [0, 0, 1, 1]},
    "chapters.ch05.explorer.BoundExplorer.points": {"spread": 0.5},
    "chapters.ch05.explorer.BoundExplorer.move": {"what": 1, "east": 0.1, "north": 0.1, "spread": 0.5},
    "chapters.ch05.figures.one_anchor": {"anchor": 1},
    "chapters.ch05.figures.detour": {
        "triplet": lambda: {"anchor": (0.0, 0.1), "positive": (0.2, 0.3), "negative": (0.5, 0.5)},
        "classes": lambda: (0, 1),
    },
    "chapters.ch05.figures.sandwich": {
        "steps": lambda: list(range(40)), "truth": lambda: [0.5] * 40, "bound": lambda: [1.0] * 40,
        "floor": lambda: [0.1] * 40,
    },
    "chapters.ch05.figures.training": {
        "log": lambda: [{"triplet loss": 0.5, "bound": 1.0, "floor": 0.1}] * 40, "lowest": -1.0,
    },
    "chapters.ch05.figures.angles": {"by_kind": lambda: {"A": torch.tensor([60.0, 70.0])}},
    "chapters.ch05.figures.growth": {
        "seconds": lambda: {"A": {10: 0.1, 20: 0.2}}, "exponents": lambda: {"A": 1.0},
    },
    "chapters.ch05.experiments.digits": {"per_class": 2},
    "chapters.ch05.experiments.only": {"data": lambda: few_digits(), "chosen": lambda: torch.tensor([0, 3])},
    "chapters.ch05.experiments.retrieved": {"embed": lambda: torch.clone, "data": lambda: few_digits()},
    "chapters.ch05.theory.triplet_terms": {},
    "chapters.ch05.theory.hinged_bound_sum": {"distances": lambda: rows(12, 3).abs()},
    "chapters.ch05.theory.squared_bound_sum": {"squared_distances": lambda: rows(12, 3).abs()},
    "chapters.ch06.explorer.arrow": {"degrees": 20.0, "turn": 10.0, "lane": 1.1},
    "chapters.ch06.explorer.FieldExplorer.degrees": {"image": 1, "turn": 10},
    "chapters.ch06.explorer.FieldExplorer.move": {"left": "triplet", "right": "softmax", "image": 1, "turn": 10},
    "chapters.ch06.figures.force_panel": {"name": "triplet", "ringed": 1},
    "chapters.ch06.figures.force_panels": {
        "axes": lambda: axes(2), "names": lambda: ["triplet", "softmax"], "ringed": 1,
    },
    "chapters.ch06.figures.representatives": {"loss": lambda: ch06_theory.place("softtriple", ch06_theory.stage())},
    "chapters.ch06.figures.alike_matrix": {
        "names": lambda: ["triplet", "npairs", "softmax", "lifted"], "matrix": lambda: torch.eye(4),
    },
    "chapters.ch06.figures.used_bars": {"used": used},
    "chapters.ch06.figures.cost_lines": {"sizes": lambda: [8, 16], "seconds": lambda: {"triplet": [0.1, 0.2]}},
    "chapters.ch06.methods.Method": {
        "title": "T", "year": 2019, "source": "S", "representatives": "none", "pull": "p", "push": "p", "smooth": "s",
        "sampled": True, "batch": "b",
    },
    "chapters.ch06.pairs.felt_pairs": {"embeddings": lambda: rows(12, 4), "loss": lambda: loss("triplet")},
    "chapters.ch06.pairs.used_pairs": {"embeddings": lambda: rows(12, 4), "loss": lambda: loss("triplet")},
    "chapters.ch06.theory.around": {"embeddings": lambda: rows(12, 2)},
    "chapters.ch06.theory.forces": {"points": lambda: rows(12, 4), "loss": lambda: loss("triplet")},
    "chapters.ch06.theory.alike": {"fields": lambda: {"A": rows(12, 2), "B": rows(12, 2).flip(0)}},
    "chapters.ch06.theory.place": {"name": "softtriple", "chosen": None},
    "chapters.ch06.theory.still_pushes": {"chosen": None},
    "chapters.ch06.theory.step_seconds": {"name": "triplet"},
    "chapters.ch08.explorer.ThresholdExplorer.move": {"limit": 0.4},
    "chapters.ch08.theory.answers": {
        "distances": lambda: torch.rand(4), "right": lambda: torch.tensor([True, False, False, False]),
        "known": lambda: torch.tensor([True, True, True, False]), "threshold": 0.5,
    },
    "chapters.ch07.figures.falls": {"by_method": lambda: {"A": [SERIES, SERIES], "B": [SERIES]}},
    "chapters.ch07.figures.gains": {
        "by_panel": lambda: {("cars", key): {"A": SERIES, "B": SERIES} for key in ("recall_at_1", "map_at_r")},
    },
    "chapters.ch07.figures.lengths": {
        "trials": lambda: {"A": {1: {1e-3: {"recall_at_1": 0.2, "map_at_r": 0.1}}}},
    },
    "chapters.ch07.figures.score_rows": {"by_method": lambda: {"A": SERIES}, "floor": 0.1, "measure": "R@1"},
    "chapters.ch07.figures.views": {"images": image_set, "image": 1},
    "chapters.ch08.theory.beside": {"rows": published, "ours": lambda: {"softmax": record()}},
    "chapters.ch08.theory.cost_table": {"rows": lambda: {"A": record("a")}},
    "chapters.ch08.theory.tools_table": {"sides": lambda: tools_side_by_side()},
    "chapters.ch08.theory.published_table": {"rows": published},
    "chapters.ch08.theory.reported": {"data": "cub", "dimensions": 64},
    "chapters.ch08.theory.unlike": {"row": lambda: published()[0], "record": record},
    "chapters.ch08.figures.leads": {
        "tables": lambda: {"One": comparison()},
        "leader": "A",
        "measures": lambda: {"recall_at_1": "R@1", "map_at_r": "MAP@R"},
    },
    "chapters.ch09.figures.headed": {"title": "A finding"},
    "chapters.ch09.figures.map_panel": {
        "places": lambda: labels() % 2, "only": lambda: [0, 1],
        "counts": lambda: torch.tensor([[2, 2], [3, 1], [2, 2]]),
    },
    "chapters.ch09.figures.center_gallery": {
        "image_set": lambda: image_set().select(torch.tensor([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14])),
    },
    "chapters.ch09.figures.center_heat": {"names": lambda: ["a", "b", "c"]},
    "chapters.ch09.figures.look_panels": {"axes": lambda: axes(4)},
    "chapters.ch09.theory.look": {"embedding": lambda: rows(4)},
    "datasets.foreign.from_dataset": {
        "dataset": lambda: [(torch.zeros(3, 8, 8), 0), (torch.ones(3, 8, 8), 1)], "class_names": None, "image": None,
        "label": None,
    },
    "datasets.load": {"name": "folder", "root": lambda: photos(Path.cwd()), "size": 16},
    "datasets.protocol": {
        "name": "folder", "split": "closed", "root": lambda: photos(Path.cwd()), "size": 16, "held_out": 0.4,
        "validation": None,
    },
    "datasets.protocols.Protocol": {
        "name": "closed", "train": image_set, "queries": image_set, "gallery": image_set, "measured_on": "images",
        "says": "Nothing.",
    },
    "datasets.protocols.numbered_as": {"queries": image_set, "gallery": lambda: others()},
    "datasets.protocols.words_of": {"kept": {"split": "closed", "held_out": 0.2, "validation": None}},
    "datasets.protocols.fingerprint": {"file": lambda: split_file(Path.cwd())},
    "datasets.photos.metadata.find": {"folder": lambda: photos(Path.cwd())},
    "datasets.photos.split_files.read": {
        "file": lambda: split_file(Path.cwd()), "root": lambda: photos(Path.cwd()),
    },
    "datasets.splits.closed_set": {"image_set": lambda: wide(), "held_out": 0.4, "split": "query"},
    "datasets.fetch": {"name": "birds"},
    "datasets.describe": {"name": "birds"},
    "datasets.birds.images.load": {"num_species": 4, "images_per_species": 2},
    "datasets.birds.images.draw": {"size": 32, "pose": lambda: bird_pose()},
    "datasets.birds.images.true_kinds": {"image_set": lambda: birds()},
    "datasets.digits.load": {"size": 16},
    "datasets.image_set.ImageSet": {
        "images": lambda: image_set().images[:12], "class_names": lambda: ("a", "b", "c"),
        "kind_names": lambda: ("p", "q"), "aspects": lambda: torch.ones(12), "name": "n", "split": "s",
        "paths": lambda: tuple(map(str, range(12))),
    },
    "datasets.image_set.ImageSet.select": {"index": lambda: torch.tensor([0, 1, 5])},
    "datasets.image_set.ImageSet.of_classes": {"classes": lambda: torch.tensor([0, 2])},
    "datasets.kinds.split_images": {"share": 0.5},
    "datasets.kinds.merge_classes": {},
    "datasets.photos.downloads.download": {
        "url": lambda: address(), "target": lambda: Path.cwd() / "fetched", "md5": None, "retries": 0,
        "timeout": 0.2, "progress": False,
    },
    "datasets.splits.split_classes": {"image_set": lambda: wide()},
    "datasets.splits.join": {"first": image_set, "second": lambda: others()},
    "geometry.normalize": {"vectors": lambda: rows(12, 4)},
    "geometry.kmeans_on_sphere": {"points_per_class": 5},
    "losses.make": {"chosen": None},
    "losses.options": {},
    "losses.images_per_class": {},
    "losses.base.Loss.forward": {
        "indices_tuple": lambda: mined(), "ref_emb": lambda: rows(12, 4), "ref_labels": lambda: labels()
    },
    "losses.masks.pair_masks": {"ref_labels": lambda: labels()},
    "losses.memory.cross_batch_memory": {"loss": lambda: loss("triplet"), "embedding_size": 4, "miner": None},
    "losses.pairs.lifted_mean": {"ref_labels": lambda: labels()},
    "losses.triplets.semihard_mean": {"ref_labels": lambda: labels()},
    "losses.triplets.triplet_mean": {"ref_labels": lambda: labels()},
    "losses.centroid_bound.role_counts": {"sizes": lambda: torch.tensor([3, 4, 5])},
    "losses.centroid_bound.CentroidBound": {"class_counts": lambda: torch.tensor([4, 4, 4])},
    "losses.facility_location.facility_score": {"medoids": lambda: torch.tensor([0, 4])},
    "losses.pairs.npairs_mean": {"similarities": lambda: rows(4, 4)},
    "losses.softtriple.hardtriple_similarity": {"similarities": lambda: rows(12, 3, 2)},
    "losses.softtriple.softtriple_similarity": {"similarities": lambda: rows(12, 3, 2)},
    "losses.softtriple.logsumexp_similarity": {"similarities": lambda: rows(12, 3, 2)},
    "losses.proxy_nca.proxy_nca_mean": {"squared_distances": lambda: rows(12, 3).abs()},
    "losses.triplet_center.triplet_center_mean": {"squared_distances": lambda: rows(12, 3).abs()},
    "losses.subcenter_arcface.SubcenterArcFace": {},
    "maps.honesty.procrustes_distance": {"first": a_map, "second": a_map},
    "maps.honesty.trustworthiness": {"n_neighbors": 2},
    "maps.honesty.continuity": {"n_neighbors": 2},
    "maps.honesty.kept_neighbors": {"n_neighbors": 2},
    "maps.page.write_page": {
        "path": lambda: Path.cwd() / "page.html", "module": lambda: maps.MODULE, "data": lambda: {"a": 1},
    },
    "maps.page.registered": {"source": "export default {}", "data": lambda: {"a": 1}},
    "maps.purity.kind_purity": {},
    "maps.view.Shown": {"method": "A", "epoch": 1},
    "maps.view.view_data": {
        "image_set": lambda: image_set().select(torch.tensor([0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14])),
        "shown": lambda: [maps.Shown("A", a_map(), rows(12, 4), rows(3, 2, 4))],
        "center_classes": lambda: ["a", "b", "c"],
    },
    "maps.view.sheets": {},
    "maps.layout.umap_map": {"n_neighbors": 3},
    "nets.check_name": {"name": "small"},
    "nets.check_image_size": {"size": 16},
    "nets.parts.Head": {},
    "nets.parts.EmbeddingNet": {
        "backbone": lambda: net().backbone, "head": lambda: nets.Head(5, 4), "preprocessing": "unit",
    },
    "nets.parts.EmbeddingNet.features": {"images": lambda: torch.rand(2, 3, 16, 16)},
    "nets.parts.EmbeddingNet.forward": {"images": lambda: torch.rand(2, 3, 16, 16)},
    "nets.build": {
        "name": "small", "weights": None, "preprocessing": "unit", "bn_eps": 1e-3, "width_mult": 0.2,
        "code_digest": None,
    },
    "nets.settled": {"name": "small"},
    "nets.wrap": {"backbone": lambda: net().backbone, "preprocessing": "unit"},
    "nets.parts.parameter_groups": {"loss_lr": 0.1},
    "recipes.read": {"name": "cub-softtriple-64"},
    "recipes.precision_of": {"device": "cpu"},
    "recipes.Recipe.config": {"device": "cpu"},
    "recipes.Recipe.loss": {},
    "records.beside.beside": {
        "comparison": comparison, "more": lambda: {"mine": record("mine")}, "alike": lambda: ["split"],
    },
    "records.comparison.Comparison": {"rows": lambda: {"A": record("a")}, "unequal": lambda: {"loss": "why"}},
    "records.comparison.Comparison.gains": {"figure": "map_at_r"},
    "records.comparison.Comparison.chosen": {"row": "A"},
    "records.comparison.Comparison.tested": {"figures": lambda: ["recall_at_1", "map_at_r"]},
    "records.comparison.compare": {
        "rows": lambda: {"A": saved_record(), "B": "kept/b"}, "unequal": lambda: {"budget": "they are rivals"},
    },
    "records.differences.adjusted_differences": {
        "gains": lambda: {"A": {"recall_at_1": SERIES, "map_at_r": SERIES}},
    },
    "records.numbers.interval": {"values": lambda: SERIES[:], "level": 0.9},
    "records.numbers.exponent": {"by_size": lambda: {10: 0.1, 20: 0.2, 40: 0.4}},
    "records.numbers.holm": {"p_values": lambda: [0.1, 0.02]},
    "records.numbers.percent": {"values": lambda: SERIES[:]},
    "records.ranges.Range": {"log": True, "integer": False},
    "records.ranges.Range.holds": {"value": 0.5},
    "records.ranges.Range.place": {"value": 0.5},
    "records.ranges.read_space": {"written": lambda: {"lr": [0.1, 0.2]}},
    "records.record.Record": {"configuration": lambda: {"data": "birds"}},
    "records.record.Record.add": {"figures": lambda: {"map_at_r": 0.4, "recall_at_1": 0.5}, "seconds": 1.0, "seed": 8},
    "records.record.Record.values": {"figure": "map_at_r"},
    "records.record.load": {"name": saved_record},
    "records.search.Search": {
        "configuration": lambda: {"data": "birds"}, "space": lambda: {"lr": [0.1, 0.2]}, "by": "recall_at_1",
    },
    "records.search.Search.follow": {"former": search},
    "records.search.Search.promoted": {"epochs": 1},
    "records.search.Search.choice": {"own": True},
    "records.search.load_search": {"name": saved_search},
    "records.tables.table": {"records": lambda: {"A": record()}},
    "records.tables.word": {"value": 0.5},
    "records.tried.tried": {"searches": lambda: {"A": saved_search(), "B": "kept/t"}},
    "retrieval.clustering.agreement": {"clusters": lambda: labels()},
    "retrieval.kinds.kind_recovery": {"assigned": lambda: labels() % 2},
    "retrieval.ranks.recall_at_k": {"ks": lambda: [1, 2], **SEARCHED},
    "retrieval.ranks.r_precision": SEARCHED,
    "retrieval.ranks.map_at_r": SEARCHED,
    "retrieval.scores.chance": {"ks": lambda: [1, 2], "gallery_labels": lambda: labels(9)},
    "retrieval.scores.evaluate": {"ks": lambda: [1, 2], **SEARCHED},
    "sampling.UniformBatches": {"images": 12},
    "seeding.generator": {"names": None, "device": "cpu"},
    "seeding.named_seed": {"names": None},
    "settings.by_mode": {"smoke": 1, "class_": 2, "full": 3},
    "training.checkpoints.Checkpoints": {"folder": lambda: Path.cwd() / "run"},
    "training.checkpoints.load": {"path": checkpoint},
    "training.config.TrainConfig.from_dict": {"values": lambda: {"epochs": 2}},
    "training.config.TrainConfig.decay": {"epoch": 1},
    "training.devices.Place": {"device": "cpu"},
    "training.embedding.embed": {"device": "cpu", "batch_size": 8},
    "training.loop.fit": {
        "loss": lambda: loss(classes=4), "validation": image_set, "folder": lambda: Path.cwd() / "run", "device": "cpu",
        "progress": False,
    },
    "training.report.Report": {"bar": False, "each_epoch": lambda: len},
    "training.report.Report.open_bar": {"done": 0, "total": 3},
    "training.result.FitResult.restore_best": {},
    "training.sources.Features": {"name": "n", "split": "s", "num_classes": 3},
    "use.run_list.SeedRun.gain": {"figure": "map_at_r"},
    "use.run_list.ListedRun.values": {"figure": "map_at_r"},
    "use.run_list.ListedRun.gains": {"figure": "map_at_r"},
    "use.run_records.as_record": {"run": listed_run},
    "use.run_list.find_runs": {"folders": lambda: [photos(Path.cwd())]},
    "use.run_records.own_records": {"folders": lambda: [photos(Path.cwd())]},
    "training.views.Views": {"images": None},
    "training.views.Views.for_test": {"index": lambda: torch.tensor([0, 3])},
    "training.views.Views.for_training": {"index": lambda: torch.tensor([0, 3]), "part": lambda: torch.tensor([0, 1])},
    "training.views.center_boxes": {"aspects": lambda: torch.ones(12)},
    "training.views.random_boxes": {"aspects": lambda: torch.ones(12), "scale": lambda: (0.2, 1.0)},
    "training.views.draw": {"images": lambda: image_set().images[:12]},
    "use.nearest.nearest_in": {"queries": lambda: rows(6, 4), "gallery": lambda: rows(12, 4)},
    "use.page.cosine": {"distance": 0.5},
    "use.page.write_results": {"path": lambda: Path.cwd() / "page.html", "answers": lambda: [answer()], "unit": True},
    "use.photographs.find_photographs": {"root": lambda: photos(Path.cwd())},
    "use.trained.Run.embed": {"device": "cpu", "batch_size": 8},
    "use.trained.Run.embed_files": {"paths": lambda: [photos(Path.cwd()) / "a" / "0.png"], "skip_corrupt": False},
    "use.trained.Run.embedded": {
        "paths": lambda: [str(photos(Path.cwd()) / "a" / "0.png")], "root": None, "go_on": True, "device": "cpu",
        "progress": False,
    },
    "use.trained.load_run": {"folder": run_folder, "net": None, "device": "cpu"},
    "use.vector_files.Vectors": {
        "vectors": lambda: rows(2, 4), "paths": lambda: ("a", "b"), "labels": lambda: ("", "c"),
        "about": lambda: {"model": "m"},
    },
    "use.vector_files.check_suffix": {"path": "v.npz"},
    "use.vector_files.read_vectors": {"path": lambda: vectors_file()},
    "use.vector_files.write_vectors": {"path": lambda: Path.cwd() / "v.npz", "vectors": lambda: vectors()},
}  # fmt: skip
"""By function: values, or functions that make them. What stands here goes before names and types."""

SKIPPED = {
    "chapters.ch05.deeper.at_its_best_rate": "trains as often as it is told",
    "chapters.ch05.deeper.clock": "runs the functions it is given, as often as it is told",
    "chapters.ch05.deeper.gains": "trains as often as it is told",
    "chapters.ch05.deeper.search": "runs as often as it is told",
    "chapters.ch05.experiments.descend": "runs the functions it is given, as often as it is told",
    "chapters.ch05.experiments.lowest_gap": "runs the functions it is given, as often as it is told",
    "chapters.ch05.experiments.seconds": "runs the functions it is given, as often as it is told",
    "chapters.ch05.experiments.train": "runs the functions it is given, as often as it is told",
    "book.explorer.Explorer": "subclasses give ``move``; they are called",
    "book.explorer.Explorer.move": "subclasses give it; they are called",
    "losses.base.CenterLoss": "subclasses are made",
}
"""What cannot be called as it stands, with the reason."""

OBJECTS: dict[str, Callable] = {
    "use.run_list.ListedRun": listed_run,
    "use.run_list.SeedRun": lambda: listed_run().seeds[0],
    "book.explorer.Explorer": lambda: explorer("02"),
    "book.live.Live": live,
    "book.neighbours.NeighbourExplorer": lambda: neighbours(),
    "book.web.BrowserView": lambda: view(),
    "chapters.ch01.explorer.MarginExplorer": lambda: explorer("01"),
    "chapters.ch02.explorer.ScaleExplorer": lambda: explorer("02"),
    "chapters.ch03.explorer.CircleExplorer": lambda: explorer("03"),
    "chapters.ch03.figures.Ring": lambda: ch03_figures.ring(ax(), 12),
    "chapters.ch04.explorer.TauExplorer": lambda: explorer("04"),
    "chapters.ch05.explorer.BoundExplorer": lambda: explorer("05"),
    "chapters.ch08.explorer.ThresholdExplorer": lambda: explorer("08"),
    "chapters.ch06.explorer.FieldExplorer": lambda: explorer("06"),
    "book.exercises.Exercise": exercise,
    "datasets.image_set.ImageSet": image_set,
    "losses.base.Loss": lambda: loss("triplet"),
    "losses.base.CenterLoss": loss,
    "losses.centroid_bound.CentroidBound": lambda: loss("centroid_bound"),
    "losses.facility_location.FacilityLocation": lambda: loss("clustering"),
    "losses.pairs.LiftedStructure": lambda: loss("lifted"),
    "losses.pairs.NPairs": lambda: loss("npairs"),
    "losses.proxies.NormalizedSoftmax": lambda: loss("softmax"),
    "losses.proxy_anchor.ProxyAnchor": lambda: loss("proxy_anchor"),
    "losses.proxy_nca.ProxyNCA": lambda: loss("proxy_nca"),
    "losses.softtriple.HardTriple": lambda: loss("hardtriple"),
    "losses.softtriple.SoftTriple": loss,
    "losses.subcenter_arcface.SubcenterArcFace": lambda: loss("subcenter_arcface"),
    "losses.triplet_center.TripletCenter": lambda: loss("triplet_center"),
    "losses.triplets.TripletLoss": lambda: loss("triplet"),
    "losses.triplets.SemiHardLoss": lambda: loss("semihard"),
    "maps.serving.Serving": served,
    "nets.parts.Head": lambda: nets.Head(5, 4),
    "nets.parts.EmbeddingNet": net,
    "recipes.Recipe": lambda: recipes.read("cub-softtriple-64"),
    "records.comparison.Comparison": comparison,
    "records.differences.Difference": lambda: records.Difference(0.1, 0.05, 0.01),
    "records.ranges.Range": lambda: records.Range(0.1, 0.9, False, False),
    "records.record.Record": record,
    "records.search.Search": search,
    "records.search.Search.promoted": lambda: search(rungs=(1, 2)),
    "training.checkpoints.Checkpoints": lambda: training.Checkpoints(checkpoint().parent),
    "training.config.TrainConfig": config,
    "training.report.Report": lambda: training.Report(bar=False),
    "training.result.FitResult": fit_result,
    "training.views.Views": lambda: training.Views(image_set(), config()),
    "use.photographs.Found": lambda: found(),
    "use.trained.Run": lambda: trained_run(),
}
"""By class, or by method: an object whose methods are called."""


def zones() -> dict:
    from dmlbook.chapters.ch01 import figures

    return figures.zones(ax(), 0.0, 1.0, 0.1)


def np_edges():
    import numpy as np

    return np.linspace(-4, 4, 9)


def bird_pose() -> str:
    from dmlbook.datasets.birds import images

    return next(iter(images.POSES)) if hasattr(images, "POSES") else "perched"


@functools.cache
def birds() -> ImageSet:
    from dmlbook.datasets import birds

    with tempfile.TemporaryDirectory() as folder:  # it is made in the checkout, before any call
        return birds.load("train", size=16, num_species=4, images_per_species=2, root=Path(folder))


def others() -> ImageSet:
    from dataclasses import replace

    return replace(image_set(), class_names=tuple("efgh"), split="test")


def finished() -> Path:
    path = Path.cwd() / "finished"
    path.write_text("hello")
    return path


def wide() -> ImageSet:
    """Twice as many classes."""
    from dmlbook.datasets.splits import join

    return join(image_set(), others())


def address() -> str:
    """Of a file that a server on this machine hands out."""
    return f"http://127.0.0.1:{server()}/finished"


@functools.cache
def server() -> int:
    """A server of the working folder, on a port of its own, for as long as the process lives."""
    import http.server
    import threading

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    finished()
    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    return found.server_port


def cub() -> Path:
    from tests.datasets.image_trees import cub_layout

    folder = Path.cwd() / "CUB_200_2011"
    if not folder.exists():
        cub_layout(folder, {"001.a": 2, "002.b": 2, "003.c": 2, "004.d": 2})
    return Path.cwd()


def mined() -> tuple:
    return torch.tensor([0, 1]), torch.tensor([3, 4]), torch.tensor([1, 2])


@functools.cache
def neighbours():
    from dmlbook.book.neighbours import NeighbourExplorer

    return NeighbourExplorer(image_set(), {"A": rows(24, 4)}, shown=3, queries=4)


def view():
    from dmlbook.book.web import BrowserView

    return BrowserView(maps.MODULE, {"a": 1}, picture=png(), alt="What a reader who cannot see it needs to know.")


def a_class() -> type:
    return type("Settings", (), {"__annotations__": {}})


class _Figure:
    """One figure and its line, for a call that takes both."""

    def __init__(self) -> None:
        self._ax = None

    @property
    def figure(self):
        self._ax = ax()
        return self._ax.figure

    @property
    def lines(self) -> list:
        return self._ax.plot([0, 1], [0, 1])


FIGURE = _Figure()


class NoValidCall(Exception):
    """An argument for which nothing is known: add it to the tables."""


def arguments(target: Target) -> dict[str, Callable]:
    """For each argument a function that makes its valid value, anew for each call."""
    found, entry = {}, CALLS.get(target.name, {})
    for parameter in target.parameters:
        name = parameter.name
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if name in entry:
            value = entry[name]
            found[name] = value if callable(value) else lambda value=value: value
            continue
        found[name] = _by_type(target, parameter)
    return found


def _by_type(target: Target, parameter: inspect.Parameter) -> Callable:
    name, default, allowed = parameter.name, parameter.default, kinds(parameter.annotation)
    words, axes = {kind.word for kind in allowed}, next((k.axes for k in allowed if k.word == "tensor"), ())
    has_default = default is not parameter.empty
    if has_default and default is not None and not isinstance(default, torch.Tensor):
        if type(default).__name__ == "_HAS_DEFAULT_FACTORY_CLASS":
            return {"dict": dict, "list": list}.get(str(parameter.annotation).partition("[")[0], dict)
        return lambda: default
    if name in SCALARS and not axes and words & {"int", "float", "str", "bool"}:
        return lambda: SCALARS[name]
    if name in BY_NAME and _fits(BY_NAME[name], axes, words):
        return BY_NAME[name]
    tensors = [kind for kind in allowed if kind.word == "tensor"]
    if tensors:
        return lambda: of_shape(tensors[0])
    plain = {"int": 2, "float": 0.5, "bool": False, "str": "word"}
    for word, value in plain.items():
        if word in words and not has_default:
            return lambda value=value: value
    if has_default:
        return lambda: default
    raise NoValidCall(f"{target.name}: {name}: {parameter.annotation}")


def _fits(make: Callable, axes: tuple[str, ...], words: set[str]) -> bool:
    """Whether a value that is known by name is of the kind that is asked for."""
    if not axes:
        return not isinstance(make(), torch.Tensor) if "tensor" not in words else True
    if axes == ("...",):
        return True
    value = make()
    if not isinstance(value, torch.Tensor) or value.dim() != len(axes):
        return False
    expected = [int(axis) if axis.isdecimal() else SIZES.get(axis, 16) for axis in axes]
    return list(value.shape) == expected
