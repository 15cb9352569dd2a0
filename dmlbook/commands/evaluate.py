"""Measures a trained run, or the features of a pretrained network as they are."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dmlbook import nets, records
from dmlbook._checks import bad_input, check_number, checked
from dmlbook._types import Int, Tensor
from dmlbook.commands import baseline, common, places, split_options, uses
from dmlbook.datasets import ImageSet
from dmlbook.seeding import SEED
from dmlbook.training import TrainConfig, embed, preflight
from dmlbook.use import run_folders

ABOUT = """\
A run is measured as it was trained: its images, their size, its classes held out and its view are those that its
folder names, unless others are given here; where classes are measured then that it was trained on, this is said.
Frozen features, without a run, are what training has to beat.

examples
  python -m dmlbook evaluate --run runs/cub-softtriple                                    (test classes of its images)
  python -m dmlbook evaluate --run runs/cub-softtriple --data cars                        (other images)
  python -m dmlbook evaluate --data cars --net mobilenet_v2 --weights imagenet            (frozen features)
  python -m dmlbook evaluate --data cars --net mobilenet_v2 --weights imagenet --pca 64   (the same in 64 dimensions)
  python -m dmlbook evaluate --data cars --net mobilenet_v2 --weights imagenet --validation 0.2   (to be beaten)

PCA is fitted to the training images' features and applied to those that are measured.
"""
OF_FEATURES = (
    "net", "weights", "embedding_size", "width_mult", "preprocessing", "same_padding", "bn_eps", "pca", "image_size",
    "test_crop",
)  # fmt: skip
"""Options that a run has settled, so that beside ``--run`` they would do nothing."""
HALVES = ("train", "test")


class _Asked(NamedTuple):
    """What is measured, what PCA is fitted to, and the gallery, if there is one."""

    training: ImageSet
    images: ImageSet
    labels: Int[Tensor, " N"]
    gallery: ImageSet | None
    measured_on: str


def add_arguments(parser: ArgumentParser) -> None:
    uses.add_run_argument(parser, required=False)
    parser.add_argument("--pca", type=common.integer, metavar="D", help="reduce frozen features to D dimensions")
    parser.add_argument(
        "--split",
        metavar="HOW",
        help="train or test: these; classes, closed, all or FILE.csv: as train does (default: as the run, or test)",
    )
    parser.add_argument(
        "--held-out", type=float, metavar="SHARE", help="of each class's images, for --split closed, as train does"
    )
    parser.add_argument(
        "--validation",
        type=split_options.share,
        metavar="SHARE",
        help="measure this share of the training classes, as train does",
    )
    parser.add_argument("--image-size", type=common.integer, help="side in pixels that the network sees")
    parser.add_argument("--test-crop", type=float, help="side of the middle square as a share of the short side")
    common.add_record_arguments(parser)
    common.add_data_arguments(parser, required=False)
    common.add_net_arguments(parser)


@checked
def run(options: Namespace) -> int:
    common.check_record(options.record)
    record = measured(options)
    print(common.percents(record.runs[0]["figures"]))
    if options.record is not None:
        print(f"recorded in {record.save()}")
    return 0


def measured(options: Namespace, root: Path | None = None) -> records.Record:
    """What was asked for, measured; the record is not written yet.

    Args:
        options: Of this command.
        root: Where the record belongs: ``data/results`` by default.

    Raises:
        ValueError: Neither or both of a run and a network are given, an option would do nothing, or something does
            not fit.
    """
    _check(options)
    start = time.perf_counter()
    if options.run is not None:
        trained = run_folders.read_run(Path(options.run), trust_code=options.trust_code)
        given, options = options, places.of_run(trained, options)
        if given.split is not None:  # one half, whatever was held out, or another protocol
            options.validation = given.validation
        if given.split not in (None, *HALVES):
            options.held_out = given.held_out
        config, settings = trained.config, trained.net_settings
        alike = split_options.as_trained(given, options, trained.data)
        asked = _asked(options, quiet=not alike)
        if not alike:
            asked = _told(asked, run_folders.read_about(trained.folder).get("classes"))
        vectors = embed(trained.net, asked.images, config=config)
        searched = None if asked.gallery is None else embed(trained.net, asked.gallery, config=config)
        if not trained.finished:
            print(f"{trained.folder} has not been trained to its end: this is its last checkpoint")
    else:
        config = TrainConfig(image_size=options.image_size, test_crop=options.test_crop)
        settings = common.net_settings(options, {})
        net = nets.build(**settings)
        asked = _asked(options)
        if options.pca is not None:
            most = min(len(asked.training), net.head.linear.in_features)
            rule = f"There are {len(asked.training)} training images and {net.head.linear.in_features} features."
            check_number(low=1, high=most, integer=True, remedy=rule, **{"--pca": options.pca})
        vectors = embed(net, asked.images, config=config, features=True)
        searched = None if asked.gallery is None else embed(net, asked.gallery, config=config, features=True)
        if options.pca is not None:
            known = {id(asked.images): vectors, id(asked.gallery): searched}
            features = known.get(id(asked.training))
            features = embed(net, asked.training, config=config, features=True) if features is None else features
            vectors = baseline.reduce(features, vectors, options.pca)
            searched = None if searched is None else baseline.reduce(features, searched, options.pca)
    configuration = {
        "data": options.data,
        "size": asked.images.images.shape[-1],
        "data_options": dict(options.data_option),
        "measured_on": asked.measured_on,
        **split_options.described(_protocol(options)),
        "what": "trained run" if options.run else "frozen features",
        "pca": options.pca,
        "dimensions": vectors.shape[1],
        "image_size": config.image_size,
        "test_crop": config.test_crop,
        "network": records.described(settings),
    }
    reduced = "" if options.pca is None else f" reduced to {options.pca} dimensions by PCA"
    title = f"{configuration['what']} of {settings['name']} on {options.data}{reduced}"
    record = common.continued(options.record, title, configuration, root, replace=options.replace)
    gallery = None if asked.gallery is None else (searched, asked.gallery.labels)
    figures = common.scores(vectors, asked.labels, unit=settings.get("normalize", True), gallery=gallery)
    record.add(SEED, figures, seconds=time.perf_counter() - start)
    return record


def _check(options: Namespace) -> None:
    """One of a run and a network, and nothing that would do nothing."""
    if (options.run is None) == (options.net is None):
        got = "both" if options.run else "neither"
        raise bad_input("--run or --net", "be given, one of them", got, "See --help for examples.")
    if options.run is None and options.trust_code:
        raise bad_input("--trust-code", "stand beside --run", "it alone", "Leave it out: --net runs what it names.")
    if options.held_out is not None and options.split != "closed":
        raise bad_input("--held-out", "stand beside --split closed", options.split, "Leave it out.")
    if options.split in HALVES and options.validation is not None:
        remedy = "Classes held out are training classes: leave out one of the two."
        raise bad_input("--split", "not stand beside --validation", options.split, remedy)
    if options.run is None and options.data is None:
        raise bad_input("--data", "name the images", None, "Such as --data birds, or --data folder --root my_photos.")
    parser = ArgumentParser()
    add_arguments(parser)
    given = [name for name in OF_FEATURES if options.run and getattr(options, name) != parser.get_default(name)]
    if given:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise bad_input(named, "not stand beside --run, which has settled that", "both", "Leave it out.")


def _protocol(options: Namespace) -> str:
    """By what the images are split: as ``--split`` says, or as the run was."""
    return getattr(options, "protocol", split_options.BY_CLASS) if options.split in (None, *HALVES) else options.split


def _asked(options: Namespace, *, quiet: bool = False) -> _Asked:
    """What is measured; of images split by class, only those that are needed are loaded.

    Args:
        options: With those of the run, if there is one.
        quiet: Whether to keep what the protocol says of images that it trained: here it did not.
    """
    protocol = _protocol(options)
    if protocol == split_options.BY_CLASS and options.validation is None:
        half = "train" if options.split == "train" else "test"
        measured = common.load_images(options, half)
        preflight.check_measurable(f"the {half} half", measured)
        lacking = options.pca is not None and half == "test"
        training = common.load_images(options, "train") if lacking else measured
        return _Asked(training, measured, measured.labels, None, f"{half} classes")
    found = split_options.load(options, protocol, options.validation)
    if protocol != split_options.BY_CLASS and not quiet:
        print(found.says, flush=True)
    if options.split == "train":
        return _Asked(found.train, found.train, found.train.labels, None, "the images trained on")
    measured_on = "all images" if quiet and found.train is found.queries else found.measured_on
    return _Asked(found.train, found.queries, found.query_labels, found.gallery, measured_on)


def _told(asked: _Asked, trained: Sequence[str] | None) -> _Asked:
    """Images that a run is not usually measured on: how many of their classes it was trained on is said.

    Args:
        asked: What is measured.
        trained: Names of the classes that the run was trained on; None where an older version did not note them.
    """
    count = len(asked.images.class_names)
    if trained is None:
        print("An older version trained this run and did not note its classes: some of these may be among them.")
        return asked._replace(measured_on=f"{asked.measured_on}, perhaps trained on")
    seen = len(set(trained) & set(asked.images.class_names))
    if not seen:
        return asked
    print(
        f"Of the {count:,} classes measured here {seen:,} were trained on, going by their names, and perhaps these "
        "very images: this says nothing of unseen classes.",
        flush=True,
    )
    return asked._replace(measured_on=f"{asked.measured_on}, of whose {count:,} classes {seen:,} trained")
