"""Trains an embedding, measures it on classes it never saw, and records the figures."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, Namespace
from dataclasses import fields
from pathlib import Path

import torch

from dmlbook import losses, nets, records, retrieval
from dmlbook._files import write_whole
from dmlbook.commands import common
from dmlbook.datasets import ImageSet, split_classes
from dmlbook.seeding import SEED, generator
from dmlbook.training import Place, TrainConfig, embed, fit

ABOUT = """\
Training classes and test classes never share a class. Settings are chosen with --validation: a share of the *training*
classes is held out and measured instead of the test classes. The test classes are measured once, after the last epoch.

examples
  python -m dmlbook train --data birds --loss softtriple
  python -m dmlbook train --data cub --loss softtriple --weights imagenet --seeds 3 --record cub-softtriple
  python -m dmlbook train --data folder --root my_photos --loss semihard --net resnet18 --weights imagenet
  python -m dmlbook train --data cub --loss softtriple --loss-option tau=0.5 --validation 0.2   (choosing a setting)

A run that was stopped goes on where it was when the same command is given again with the same --folder. Seeds that the
record already holds, with the same configuration, are not run again.
"""

DRAWN = {
    "freeze_batch_norm": False,
    "lr": 4e-3,
    "loss_lr": 3e-2,
    "adam_eps": 1e-8,
    "augment": "shift",
    "flip": False,
    "batch_size": 32,
    "epochs": 15,
    "milestones": (12,),
}
DEFAULTS: dict[str, dict] = {
    "birds": {"net": "small", "weights": None, "config": DRAWN},
    "digits": {"net": "small", "weights": None, "config": DRAWN},
    "cub": {"net": "googlenet", "weights": "imagenet", "config": {}},
    "cars": {"net": "googlenet", "weights": "imagenet", "config": {}},
    "sop": {"net": "googlenet", "weights": "imagenet", "config": {"freeze_batch_norm": False}},
    "folder": {"net": "googlenet", "weights": "imagenet", "config": {}},
}
"""What suits each image set, where the command line does not say otherwise."""
PAIRED = {"sampler": "class", "small_classes": "repeat"}
NEEDS_PAIRS = ("triplet", "semihard")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--loss", required=True, choices=losses.NAMES)
    parser.add_argument(
        "--loss-option", type=common.pair, action="append", default=[], metavar="KEY=VALUE", help="such as scale=20"
    )
    parser.add_argument("--seeds", type=int, default=1, help="how many runs, each with a seed of its own (default: 1)")
    parser.add_argument("--validation", type=float, metavar="SHARE", help="measure this share of the training classes")
    parser.add_argument("--record", metavar="NAME", help="write the figures to data/results/NAME.json")
    parser.add_argument("--folder", help="keep checkpoints here, one folder a seed; given again, the run goes on")
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best that is there)")
    parser.add_argument("--devices", type=int, default=1, help="how many of them (default: 1)")
    common.add_data_arguments(parser)
    common.add_net_arguments(parser)
    group = parser.add_argument_group(
        "training", "the defaults named are those for photographs; birds and digits have their own"
    )
    common.add_config_arguments(group, [field.name for field in fields(TrainConfig) if field.name != "seed"])


def run(options: Namespace) -> int:
    data = common.load_images(options, "train")
    if options.validation is None:
        train_set, measured = data, None
    else:
        numbers = generator(SEED, "validation")
        train_set, measured = split_classes(data, validation=options.validation, generator=numbers)
    settings, place = common.net_settings(options, DEFAULTS[options.data]), Place(options.device, options.devices)
    record = _record(options, settings, train_set)
    for seed in common.seeds(options.seeds):
        if any(run["seed"] == seed for run in record.runs):
            print(f"seed {seed}: is in record {record.name} already; remove that file to run it again")
            continue
        config = _config(options, seed)
        folder = None if options.folder is None else Path(options.folder) / f"seed-{seed}"
        start = time.perf_counter()
        net, loss = _build(options, settings, train_set, seed)
        result = fit(net, loss, train_set, config, folder=folder, device=place)
        if result.rank > 0:
            continue
        if result.interrupted:
            return 130
        if folder is not None:
            write_whole(folder / "run.json", json.dumps({"net": settings, "config": config.to_dict()}, indent=2))
        if measured is None:
            measured = common.load_images(options, "test")
        figures = retrieval.evaluate(embed(net, measured, config=config), measured.labels)
        if hasattr(loss, "report"):
            report = loss.report()
            figures["distinct_centers"] = float(report.counts.double().mean())
            print(report)
        figures["final_loss"] = result.history[-1]["loss"]
        record.add(seed, figures, seconds=time.perf_counter() - start)
        print(f"seed {seed}: {common.percents(figures)}")
        if options.record:
            print(f"recorded in {record.save()}")
    return 0


def _build(options: Namespace, settings: dict, train_set: ImageSet, seed: int) -> tuple[nets.EmbeddingNet, losses.Loss]:
    net = nets.build(**settings, seed=seed)
    chosen = dict(options.loss_option)
    if "generator" in losses.options(options.loss):
        chosen["generator"] = generator(seed, "centers")
    if options.loss == "centroid_bound":
        chosen.setdefault("class_counts", torch.bincount(train_set.labels))
    sizes = {"num_classes": train_set.num_classes, "embedding_size": options.embedding_size}
    return net, losses.make(options.loss, **sizes, **chosen)


def _config(options: Namespace, seed: int) -> TrainConfig:
    paired = PAIRED if options.loss in NEEDS_PAIRS else {}
    chosen = {**DEFAULTS[options.data]["config"], **paired, **common.given_config(options)}
    return TrainConfig(**{**chosen, "seed": seed})


def _record(options: Namespace, settings: dict, train_set: ImageSet) -> records.Record:
    config = _config(options, SEED).to_dict()
    config.pop("seed")
    configuration = {
        "data": options.data,
        "size": train_set.images.shape[-1],
        "data_options": dict(options.data_option),
        "training_images": len(train_set),
        "training_classes": train_set.num_classes,
        "measured_on": "test classes"
        if options.validation is None
        else f"{options.validation:g} of the training classes",
        "loss": options.loss,
        "loss_options": dict(options.loss_option),
        "network": common.described(settings),
        "training": config,
    }
    title = f"{options.loss} on {options.data}, {options.embedding_size} dimensions, {settings['name']}"
    return common.continued(options.record, title, configuration)
