"""What is called: every public function, class and method of the package, found by walking it."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import NamedTuple

import dmlbook

INSIDE = {
    "dmlbook.book.attempts": "a part of chapters.check, which speaks under its name",
    "dmlbook.book.relations.relation": "a part of chapters.check, which speaks under its name",
    "dmlbook.book.panel": "parts of the explorers, whose values they show",
    "dmlbook.book.exercises.judge": "a part of chapters.check, which speaks under its name",
    "dmlbook.book.exercises.value_and_slopes": "a part of chapters.check, which speaks under its name",
    "dmlbook.chapters.ch02.loss_faults": "a part of chapters.check, which speaks under its name",
    "dmlbook.chapters.ch04.center_faults": "a part of chapters.check, which speaks under its name",
    "dmlbook.chapters.ch04.circle_faults": "a part of chapters.check, which speaks under its name",
    "dmlbook.chapters.ch04.experiments": "training runs of a lesson; its own tests call each",
    "dmlbook.chapters.ch04.kinds.against": "reads the book's own records, and the fuzzer runs where there are none",
    "dmlbook.chapters.ch04.kinds.gain": "reads the book's own records, and the fuzzer runs where there are none",
    "dmlbook.chapters.ch03.loss_faults": "a part of chapters.check, which speaks under its name",
    "dmlbook.chapters.ch04.loss_faults": "a part of chapters.check, which speaks under its name",
    "dmlbook.chapters.ch05.deeper_exercises.listed": "reads what a learner's function returned, whatever it is",
    "dmlbook.chapters.ch06.experiments": "runs of training.fit and stored ones, which are called by themselves",
    "dmlbook.chapters.ch07.experiments": "runs of training.fit, which is called by itself",
    "dmlbook.chapters.ch07.faults": "a part of chapters.check, which speaks under its name",
    "dmlbook.chapters.ch07.loops": "parts of chapters.check, which speak under its name",
    "dmlbook.chapters.ch07.photographs": "stored runs, read by records.compare, which is called by itself",
    "dmlbook.chapters.ch08.experiments": "runs of the command line and stored ones, tried by their own tests",
    "dmlbook.chapters.ch09.experiments": "runs of training.fit and measures of maps, which are called by themselves",
    "dmlbook.datasets.birds.genera": "a bird's parts, reached through birds.load and birds.draw",
    "dmlbook.datasets.birds.parts": "a bird's parts, reached through birds.load and birds.draw",
    "dmlbook.datasets.birds.scenes": "a bird's parts, reached through birds.load and birds.draw",
    "dmlbook.datasets.birds.shapes": "a bird's parts, reached through birds.load and birds.draw",
    "dmlbook.datasets.birds.species": "a bird's parts, reached through birds.load and birds.draw",
    "dmlbook.datasets.birds.wings": "a bird's parts, reached through birds.load and birds.draw",
    "dmlbook.datasets.kinds.check_kinds": "says no under the name of its caller",
    "dmlbook.datasets.photos.archives": "parts of datasets.fetch, which speak under its name",
    "dmlbook.datasets.photos.benchmarks": "parts of datasets.load, which speak under its name",
    "dmlbook.datasets.photos.cache": "parts of datasets.load, which speak under its name",
    "dmlbook.datasets.photos.decoding": "parts of datasets.load, which speak under its name",
    "dmlbook.datasets.photos.downloads.alone": "a part of datasets.fetch and birds.load: files of one writer at a time",
    "dmlbook.datasets.photos.downloads.check_room": "says no under the name of its caller",
    "dmlbook.datasets.photos.fetching": "parts of datasets.fetch and describe, which speak under their names",
    "dmlbook.datasets.photos.formats": "parts of datasets.load, which speak under its name",
    "dmlbook.datasets.photos.indexes": "parts of datasets.load, which speak under its name",
    "dmlbook.datasets.photos.layouts": "parts of datasets.load, which speak under its name",
    "dmlbook.datasets.photos.downloads.check_md5": "says no under the name of its caller",
    "dmlbook.datasets.photos.matlab": "parts of datasets.load, which speak under its name",
    "dmlbook.datasets.photos.matlab_child": "a program of its own, which datasets.load starts",
    "dmlbook.datasets.photos.own_folders": "parts of datasets.load, which speak under its name",
    "dmlbook.datasets.protocols.build": "a part of datasets.protocol, which speaks under its name",
    "dmlbook.datasets.splits.draw_share": "a part of closed_set and split_images, which speak under their names",
    "dmlbook.datasets.own_folder": "a part of datasets.protocol, which speaks under its name",
    "dmlbook.datasets.own_parts": "a part of datasets.protocol, which speaks under its name",
    "dmlbook.layers.batch_norms": "a part of nets.freeze_batch_norm",
    "dmlbook.layers.pad_as_tensorflow": "a part of nets.build, which speaks under its name",
    "dmlbook.losses.centroid_bound.own_and_others": "a part of the bounds, which speak under their names",
    "dmlbook.losses.mined": "parts of the losses of triplets and pairs, which speak under their names",
    "dmlbook.nets.backbones": "parts of nets.build and nets.wrap, which speak under their names",
    "dmlbook.nets.from_timm": "a part of nets.build, which speaks under its name",
    "dmlbook.nets.own": "a part of nets.build, which speaks under its name",
    "dmlbook.nets.parts.colors": "a part of nets.build and EmbeddingNet, which speak under their names",
    "dmlbook.nets.parts.Head.forward": "a part of EmbeddingNet, whose forward is the door",
    "dmlbook.maps.layout.check_same_images": "says no under the name of its caller",
    "dmlbook.maps.near": "a part of the maps' figures",
    "dmlbook.records.comparison.asked_of": "a part of records.compare and beside",
    "dmlbook.records.comparison.trains": "a part of records.compare and beside",
    "dmlbook.recipes.Recipe.net": "would fetch weights; nets.build, which it calls, is called by itself",
    "dmlbook.records.names.path_of": "a part of records.load and save",
    "dmlbook.records.origin.described": "a part of the command line",
    "dmlbook.records.record.continued": "a part of the command line",
    "dmlbook.records.record.check_runs": "says no under the name of its caller",
    "dmlbook.records.record.read": "a part of records.load, which speaks under its name",
    "dmlbook.records.record.write": "a part of Record.save, which speaks under its name",
    "dmlbook.records.record.writing": "a part of Record.save, which speaks under its name",
    "dmlbook.records.tables.check_both_measures": "says no under the name of its caller",
    "dmlbook.retrieval.exact": "parts of the measures, which speak under their names",
    "dmlbook.retrieval.ranking.check_ks": "says no under the name of its caller",
    "dmlbook.retrieval.ranking.expected_recall": "a part of the measures",
    "dmlbook.retrieval.ranking.precision": "a part of the measures",
    "dmlbook.retrieval.ranking.precision_of_rows": "a part of the measures",
    "dmlbook.retrieval.ranking.recall": "a part of the measures",
    "dmlbook.training.ahead": "parts of fit and embed, which speak under their names",
    "dmlbook.training.board": "a part of fit, which speaks under its name",
    "dmlbook.training.compiling": "parts of fit, which speak under its name",
    "dmlbook.training.checkpoints.epochs_of": "a part of fit, which speaks under its name",
    "dmlbook.training.checkpoints.find": "a part of Checkpoints, which speaks under its name",
    "dmlbook.training.checkpoints.load_run": "a part of training.fit, which speaks under its name",
    "dmlbook.training.checkpoints.save": "a part of training.fit, which speaks under its name",
    "dmlbook.training.checkpoints.write_history": "a part of training.fit, which speaks under its name",
    "dmlbook.training.config.described": "writes a dataclass, as the package loads",
    "dmlbook.training.config.setting": "writes a dataclass, as the package loads",
    "dmlbook.training.embedding.embed_views": "a part of embed, which speaks under its name",
    "dmlbook.training.guards": "the loop's parts, reached through training.fit",
    "dmlbook.training.identity": "the loop's parts, reached through training.fit",
    "dmlbook.training.memory": "parts of fit and embed, which speak under their names",
    "dmlbook.training.outside": "the loop's parts, reached through training.fit",
    "dmlbook.training.mining": "the loop's parts, reached through training.fit",
    "dmlbook.losses.references": "the losses' parts, reached through Loss.forward",
    "dmlbook.losses.masks.masks": "a part of the formulas, which speak under their names",
    "dmlbook.training.preflight.check": "the loop's parts, reached through training.fit",
    "dmlbook.training.preflight.check_kept": "the loop's parts, reached through training.fit",
    "dmlbook.training.preflight.check_fit": "the loop's parts, reached through training.fit",
    "dmlbook.training.preflight.check_means": "the loop's parts, reached through training.fit",
    "dmlbook.training.preflight.check_room": "the loop's parts, reached through training.fit",
    "dmlbook.training.preflight.check_classes": "the loop's parts, reached through training.fit",
    "dmlbook.training.preflight.check_measurable": "the loop's parts, reached through training.fit",
    "dmlbook.training.preflight.sampler": "the loop's parts, reached through training.fit",
    "dmlbook.training.processes": "the loop's parts, reached through training.fit",
    "dmlbook.training.report.Estimate": "the loop's parts, reached through training.fit",
    "dmlbook.training.report.Report.tell_epoch": "the loop's parts, reached through training.fit",
    "dmlbook.training.report.Report.tell_estimate": "the loop's parts, reached through training.fit",
    "dmlbook.training.shared_norm": "the loop's parts, reached through training.fit",
    "dmlbook.training.state": "the loop's parts, reached through training.fit",
    "dmlbook.training.stepping": "the loop's parts, reached through training.fit",
    "dmlbook.training.devices.Devices": "the loop's parts, reached through training.fit",
    "dmlbook.training.devices.check_precision": "the loop's parts, reached through training.fit",
    "dmlbook.training.report.farewell": "the loop's parts, reached through training.fit",
    "dmlbook.training.sources.Pictures": "the loop's parts, reached through training.fit",
    "dmlbook.training.average": "the loop's parts, reached through training.fit",
    "dmlbook.training.sources.kind_of_source": "the loop's parts, reached through training.fit",
    "dmlbook.training.sources.Features.inputs": "the loop's parts, reached through training.fit",
    "dmlbook.training.sources.Features.parts": "the loop's parts, reached through training.fit",
    "dmlbook.training.sources.Features.trained": "the loop's parts, reached through training.fit",
    "dmlbook.training.sources.Features.embeddings": "the loop's parts, reached through training.fit",
    "dmlbook.training.sources.Features.of": "the loop's parts, reached through training.fit",
    "dmlbook.use.exporting": "an export takes seconds; its own tests hand it what will not do",
    "dmlbook.use.gallery": "needs a vector store; its own tests hand it what will not do",
    "dmlbook.use.page.jpeg": "a part of page.thumbnail",
    "dmlbook.use.page.thumbnail": "a part of page.write_results, which says what cannot be shown",
    "dmlbook.use.page.shown_distance": "a part of page.write_results",
    "dmlbook.use.photographs.content_of": "a part of Gallery.update",
    "dmlbook.use.photographs.leads_out": "a part of Gallery.file_of, and of search",
    "dmlbook.use.run_folders": "parts of load_run, which speak under its name",
    "dmlbook.use.serving": "a server, which its own tests attack",
    "dmlbook.use.store": "a part of Gallery, which speaks under its name",
    "dmlbook.use.trained.Run.in_batches": "a part of Run.embedded",
    "dmlbook.use.trained.image_set_of": "a part of Run.embedded",
    "dmlbook.use.trained.report_unreadable": "says no under the name of its caller",
    "dmlbook.training.views.Parts": "parts of Views.for_test and for_training, which speak under their names",
    "dmlbook.training.views.Views.drawn": "a part of Views.for_test and for_training",
    "dmlbook.training.views.Views.test_parts": "a part of Views.for_test, which speaks under its name",
    "dmlbook.training.views.Views.training_parts": "a part of Views.for_training, which speaks under its name",
    "dmlbook.weight_files": "a part of nets.build, which speaks under its name",
}
"""Modules, classes and functions that nobody calls from outside, by their whole dotted names, each with the reason."""

METHODS_INSIDE = {"compute": "Loss.forward is the door of each loss"}
"""Methods that nobody calls from outside, each with the reason."""

RESULTS = {
    "dmlbook.chapters.ch02.experiments.Learned",
    "dmlbook.chapters.ch02.experiments.Promise",
    "dmlbook.chapters.ch03.birds.Features",
    "dmlbook.chapters.ch03.contest.Entry",
    "dmlbook.chapters.ch03.contest.Tasks",
    "dmlbook.chapters.ch03.experiments.Trained",
    "dmlbook.chapters.ch03.figures.Ring",
    "dmlbook.chapters.ch03.merged.Numbers",
    "dmlbook.chapters.ch03.merged.Task",
    "dmlbook.chapters.ch05.deeper.Runs",
    "dmlbook.chapters.ch05.deeper.Way",
    "dmlbook.chapters.ch05.experiments.Digits",
    "dmlbook.chapters.ch06.pairs.Felt",
    "dmlbook.chapters.ch06.pairs.Used",
    "dmlbook.chapters.ch09.theory.Look",
    "dmlbook.losses.base.Loss",
    "dmlbook.losses.centers.CenterReport",
    "dmlbook.losses.triplets.TripletShares",
    "dmlbook.recipes.Recipe",
    "dmlbook.book.exercises.Verdict",
    "dmlbook.book.explorer.Words",
    "dmlbook.records.differences.Difference",
    "dmlbook.retrieval.clustering.Clustering",
    "dmlbook.chapters.ch08.theory.Reported",
    "dmlbook.retrieval.clustering.WithFloor",
    "dmlbook.training.result.FitResult",
    "dmlbook.use.page.Answer",
    "dmlbook.use.photographs.Found",
    "dmlbook.use.photographs.Photograph",
    "dmlbook.use.trained.Embedded",
    "dmlbook.use.trained.Run",
    "dmlbook.use.run_list.ListedRun",
    "dmlbook.use.run_list.RunList",
    "dmlbook.use.run_list.SeedRun",
}
"""Classes that functions hand back, and bases without a constructor of their own: only their methods are called."""


class Target(NamedTuple):
    """One thing to call."""

    name: str
    """Without ``dmlbook.``."""
    function: Callable
    owner: type | None
    """The class of a method: called on an object of it."""
    parameters: tuple[inspect.Parameter, ...]
    """Without ``self``."""


def targets() -> dict[str, Target]:
    """All of them by name, in the order of the modules."""
    return {name: target for name, target in everything().items() if not is_inside(f"dmlbook.{name}")}


def everything() -> dict[str, Target]:
    """All functions, classes and methods, also those that nobody calls from outside."""
    found = {}
    for module in _modules():
        for name, thing in vars(module).items():
            here = getattr(thing, "__module__", "") == module.__name__
            alias = getattr(thing, "__name__", name) != name  # such as a chapter's EXPLORER
            if here and not alias and not name.startswith("_"):
                found |= {target.name: target for target in _of(f"{module.__name__}.{name}", thing)}
    return found


def _modules() -> Iterator:
    """All but what is private, and the command line, whose lines are tried by its own tests."""
    for found in pkgutil.walk_packages(dmlbook.__path__, "dmlbook."):
        if not found.name.startswith(("dmlbook._", "dmlbook.commands")):
            yield importlib.import_module(found.name)


def _of(name: str, thing: object) -> Iterator[Target]:
    if inspect.isfunction(thing):
        yield _target(name, thing, None, skip=0)
    elif inspect.isclass(thing) and not issubclass(thing, BaseException):  # which are raised, and called by nobody
        if name not in RESULTS:
            yield _target(name, thing, None, skip=0)
        for inner, method in vars(thing).items():
            bound = isinstance(method, (classmethod, staticmethod))
            function = method.__func__ if bound else method
            field = inner in getattr(thing, "__dataclass_fields__", {})
            if not inner.startswith("_") and inspect.isfunction(function) and not field:
                yield _target(f"{name}.{inner}", function, thing, skip=0 if isinstance(method, staticmethod) else 1)


def is_inside(name: str) -> bool:
    """Whether it is, or is a part of, something that nobody calls from outside."""
    parts = name.split(".")
    return any(".".join(parts[: i + 1]) in INSIDE for i in range(len(parts))) or parts[-1] in METHODS_INSIDE


def _target(name: str, function: Callable, owner: type | None, *, skip: int) -> Target:
    parameters = tuple(inspect.signature(function).parameters.values())[skip:]
    return Target(name.removeprefix("dmlbook."), function, owner, parameters)
