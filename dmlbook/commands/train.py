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
from dmlbook.training import Features, Place, TrainConfig, embed, fit

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
    study = Study(options)
    record = study.record(options, options.record)
    for seed in common.seeds(options.seeds):
        if seed in record.seeds:
            print(f"seed {seed}: is in record {record.name} already; remove that file to run it again")
            continue
        start = time.perf_counter()
        figures = study.figures(options, seed)
        if figures is None:
            continue
        record.add(seed, figures, seconds=time.perf_counter() - start)
        print(f"seed {seed}: {common.percents(figures)}")
        if options.record:
            print(f"recorded in {record.save()}")
    return 0


class Study:
    """What is trained on and what is measured, read once for many runs.

    Args:
        options: Of ``python -m dmlbook train``. Those named in ``READ_ONCE`` must be the same in each later call.
    """

    READ_ONCE = ("data", "root", "size", "data_option", "validation")
    BY = "recall_at_1"

    def __init__(self, options: Namespace):
        self.train_set, self.measured = common.load_images(options, "train"), None
        self._pooled: dict[tuple, Features] = {}
        if options.validation is not None:
            numbers = generator(SEED, "validation")
            self.train_set, self.measured = split_classes(
                self.train_set, validation=options.validation, generator=numbers
            )

    def figures(self, options: Namespace, seed: int) -> dict[str, float] | None:
        """Train from one seed and measure; None in a process that is not the first of several.

        Raises:
            KeyboardInterrupt: Training was stopped; what was done lies in ``--folder``.
        """
        settings, config = _net(options), _config(options, seed)
        folder = None if options.folder is None else Path(options.folder) / f"seed-{seed}"
        net, loss = _build(options, settings, self.train_set, seed)
        once = config.freeze_backbone and settings["weights"] is not None  # then all seeds see the same features
        trained = self._features(net, self.train_set, settings, config) if once else self.train_set
        place = Place(options.device, options.devices)
        result = fit(net, loss, trained, config, folder=folder, device=place)
        if result.rank > 0:
            return None
        if result.interrupted:
            raise KeyboardInterrupt
        if folder is not None:
            data = {name: getattr(options, name) for name in ("data", "root", "size", "data_option")}
            about = {"net": settings, "config": config.to_dict(), "data": data}
            write_whole(folder / "run.json", json.dumps(about, indent=2))
        if self.measured is None:
            self.measured = common.load_images(options, "test")
        if once:
            with torch.no_grad():
                vectors = net.cpu().head(self._features(net, self.measured, settings, config).features)
        else:
            vectors = embed(net, self.measured, config=config)
        figures = retrieval.evaluate(vectors, self.measured.labels)
        if not settings.get("normalize", True):  # the loss knew lengths; the measure above does not
            lengths = retrieval.evaluate(vectors, self.measured.labels, metric="euclidean")
            figures |= {f"euclidean_{key}": lengths[key] for key in ("recall_at_1", "map_at_r")}
        if hasattr(loss, "report"):
            report = loss.report()
            figures["distinct_centers"] = float(report.counts.double().mean())
            print(report)
        return {**figures, "final_loss": result.history[-1]["loss"]}

    def _features(self, net: nets.EmbeddingNet, images: ImageSet, settings: dict, config: TrainConfig) -> Features:
        """What a frozen, pretrained backbone makes of these images, computed once for all runs."""
        backbone = {key: value for key, value in settings.items() if key != "embedding_size"}
        key = (images.split, repr(backbone), config.image_size, config.test_crop)
        if key not in self._pooled:
            pooled = embed(net, images, config=config, features=True)
            self._pooled[key] = Features(pooled, images.labels, images.num_classes, images.name, images.split)
        return self._pooled[key]

    def record(self, options: Namespace, name: str | None) -> records.Record:
        """The record that these options make, continued where it is there."""
        settings, config = _net(options), _config(options, SEED).to_dict()
        config.pop("seed")
        configuration = {
            "data": options.data,
            "size": self.train_set.images.shape[-1],
            "data_options": dict(options.data_option),
            "training_images": len(self.train_set),
            "training_classes": self.train_set.num_classes,
            "measured_on": "test classes"
            if options.validation is None
            else f"{options.validation:g} of the training classes",
            "loss": options.loss,
            "loss_options": dict(options.loss_option),
            "network": common.described(settings),
            "training": config,
        }
        title = f"{options.loss} on {options.data}, {options.embedding_size} dimensions, {settings['name']}"
        return common.continued(name, title, configuration)


def _net(options: Namespace) -> dict[str, object]:
    """The arguments of ``nets.build``; a loss that is told not to normalize gets embeddings of any length."""
    settings = common.net_settings(options, DEFAULTS[options.data])
    unit = dict(options.loss_option).get("normalize", losses.options(options.loss).get("normalize", True))
    return settings if unit else {**settings, "normalize": False}


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
    wanted = losses.images_per_class(options.loss)
    paired = {"sampler": "class", "samples_per_class": wanted, "small_classes": "repeat"} if wanted else {}
    chosen = {**DEFAULTS[options.data]["config"], **paired, **common.given_config(options)}
    return TrainConfig(**{**chosen, "seed": seed})
