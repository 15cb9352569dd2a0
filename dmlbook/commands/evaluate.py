"""Measures a trained run, or the features of a pretrained network as they are."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from dmlbook import nets, records
from dmlbook._checks import bad_input, check_number, checked
from dmlbook.commands import baseline, common, runs
from dmlbook.datasets import ImageSet, split_classes
from dmlbook.seeding import SEED, generator
from dmlbook.training import TrainConfig, embed, preflight

ABOUT = """\
A run is measured as it was trained: its images, their size, its classes held out and its view are those that its folder
names, unless others are given here. Frozen features, without a run, are what training has to beat.

examples
  python -m dmlbook evaluate --run runs/cub-softtriple                                    (test classes of its images)
  python -m dmlbook evaluate --run runs/cub-softtriple --data cars                        (other images)
  python -m dmlbook evaluate --data cars --net mobilenet_v2 --weights imagenet            (frozen features)
  python -m dmlbook evaluate --data cars --net mobilenet_v2 --weights imagenet --pca 64   (the same in 64 dimensions)
  python -m dmlbook evaluate --data cars --net mobilenet_v2 --weights imagenet --validation 0.2   (to be beaten)

PCA is fitted to the training classes' features and applied to those of the classes that are measured.
"""
OF_FEATURES = (
    "net", "weights", "embedding_size", "width_mult", "preprocessing", "same_padding", "bn_eps", "pca", "image_size",
    "test_crop",
)  # fmt: skip
"""Options that a run has settled, so that beside ``--run`` they would do nothing."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--run", help="folder of a run that train left; of several seeds the first")
    parser.add_argument("--pca", type=common.integer, metavar="D", help="reduce frozen features to D dimensions")
    parser.add_argument("--split", choices=("train", "test"), help="which classes (default: test)")
    parser.add_argument(
        "--validation", type=float, metavar="SHARE", help="measure this share of the training classes, as train does"
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
        trained = runs.read_run(Path(options.run))
        options = trained.images(options)
        options.validation = None if options.split else options.validation  # both halves of a training set, or one
        config, settings = trained.config, trained.net_settings
        _, images = _halves(options)
        vectors = embed(trained.net, images, config=config)
        if not trained.finished:
            print(f"{trained.folder} has not been trained to its end: this is its last checkpoint")
    else:
        config = TrainConfig(image_size=options.image_size, test_crop=options.test_crop)
        settings = common.net_settings(options, {})
        net = nets.build(**settings)
        training, images = _halves(options)
        if options.pca is not None:
            most = min(len(training), net.head.linear.in_features)
            check_number(low=1, high=most, integer=True, **{"--pca": options.pca})
        vectors = embed(net, images, config=config, features=True)
        if options.pca is not None:
            features = vectors if training is images else embed(net, training, config=config, features=True)
            vectors = baseline.reduce(features, vectors, options.pca)
    configuration = {
        "data": options.data,
        "size": images.images.shape[-1],
        "data_options": dict(options.data_option),
        "measured_on": f"{options.split or 'test'} classes"
        if options.validation is None
        else f"{options.validation:g} of the training classes",
        "what": "trained run" if options.run else "frozen features",
        "pca": options.pca,
        "dimensions": vectors.shape[1],
        "image_size": config.image_size,
        "test_crop": config.test_crop,
        "network": common.described(settings),
    }
    reduced = "" if options.pca is None else f" reduced to {options.pca} dimensions by PCA"
    title = f"{configuration['what']} of {settings['name']} on {options.data}{reduced}"
    record = common.continued(options.record, title, configuration, root, replace=options.replace)
    figures = common.scores(vectors, images.labels, unit=settings.get("normalize", True))
    record.add(SEED, figures, seconds=time.perf_counter() - start)
    return record


def _check(options: Namespace) -> None:
    """One of a run and a network, and nothing that would do nothing."""
    if (options.run is None) == (options.net is None):
        got = "both" if options.run else "neither"
        raise bad_input("--run or --net", "be given, one of them", got, "See --help for examples.")
    if options.split is not None and options.validation is not None:
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


def _halves(options: Namespace) -> tuple[ImageSet | None, ImageSet]:
    """The images that PCA is fitted to, where there is one, and those that are measured."""
    split = options.split or "test"
    if options.validation is not None:
        images = common.load_images(options, "train")
        return split_classes(images, validation=options.validation, generator=generator(SEED, "validation"))
    measured = common.load_images(options, split)
    preflight.check_measurable(f"the {split} half", measured)
    if options.pca is None:
        return None, measured
    return measured if split == "train" else common.load_images(options, "train"), measured
