"""Measures a trained run, or the features of a pretrained network as they are."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

import torch

from dmlbook import nets, records, retrieval
from dmlbook._checks import bad_input, check_number, checked
from dmlbook._types import Float, Tensor
from dmlbook.commands import common
from dmlbook.datasets import split_classes
from dmlbook.seeding import SEED, generator
from dmlbook.training import TrainConfig, embed

ABOUT = """\
examples
  python -m dmlbook evaluate --data cub --run runs/cub-softtriple/seed-20190811
  python -m dmlbook evaluate --data cars --net mobilenet_v2 --weights imagenet            (frozen features)
  python -m dmlbook evaluate --data cars --net mobilenet_v2 --weights imagenet --pca 64   (the same in 64 dimensions)
  python -m dmlbook evaluate --data cars --net mobilenet_v2 --weights imagenet --validation 0.2   (to be beaten)

PCA is fitted to the training classes' features and applied to those of the classes that are measured.
"""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--run", help="folder of a trained run: its network and its last checkpoint")
    parser.add_argument("--pca", type=int, metavar="D", help="reduce frozen features to D dimensions")
    parser.add_argument("--split", choices=("train", "test"), default="test", help="which classes (default: test)")
    parser.add_argument(
        "--validation", type=float, metavar="SHARE", help="measure this share of the training classes, as train does"
    )
    parser.add_argument("--image-size", type=int, help="side in pixels that the network sees")
    parser.add_argument("--test-crop", type=float, help="side of the middle square as a share of the short side")
    parser.add_argument("--record", metavar="NAME", help="write the figures to data/results/NAME.json")
    common.add_data_arguments(parser)
    common.add_net_arguments(parser)


@checked
def run(options: Namespace) -> int:
    record = measured(options)
    print(common.percents(record.runs[0]["figures"]))
    if options.record:
        print(f"recorded in {record.save()}")
    return 0


def measured(options: Namespace) -> records.Record:
    """What was asked for, measured; the record is not written yet.

    Raises:
        ValueError: Neither or both of a run and a network are given, or something does not fit them.
    """
    if (options.run is None) == (options.net is None):
        got = "both" if options.run else "neither"
        raise bad_input("--run or --net", "be given, one of them", got, "See --help for examples.")
    start = time.perf_counter()
    training, images = None, common.load_images(options, options.split if options.validation is None else "train")
    if options.validation is not None:
        training, images = split_classes(images, validation=options.validation, generator=generator(SEED, "validation"))
    config = TrainConfig(image_size=options.image_size, test_crop=options.test_crop)
    if options.run:
        trained = common.read_run(Path(options.run))
        config, settings = trained.config, trained.net_settings
        vectors = embed(trained.net, images, config=config)
    else:
        settings = common.net_settings(options, {})
        net = nets.build(**settings)
        vectors = embed(net, images, config=config, features=True)
        if options.pca is not None:
            if training is None:
                training = images if options.split == "train" else common.load_images(options, "train")
            features = vectors if training is images else embed(net, training, config=config, features=True)
            vectors = reduce(features, vectors, options.pca)
    configuration = {
        "data": options.data,
        "size": images.images.shape[-1],
        "data_options": dict(options.data_option),
        "measured_on": f"{options.split} classes"
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
    record = records.Record(options.record or "unnamed", title, configuration)
    record.add(SEED, retrieval.evaluate(vectors, images.labels), seconds=time.perf_counter() - start)
    return record


def reduce(training: Float[Tensor, "M F"], features: Float[Tensor, "N F"], dimensions: int) -> Float[Tensor, "N D"]:
    """Features of unit length, reduced by the principal components of the training features of unit length."""
    from sklearn.decomposition import PCA

    check_number(low=1, high=min(training.shape), integer=True, pca=dimensions)
    pca = PCA(dimensions, svd_solver="full").fit(torch.nn.functional.normalize(training, dim=1).numpy())
    return torch.from_numpy(pca.transform(torch.nn.functional.normalize(features, dim=1).numpy())).float()
