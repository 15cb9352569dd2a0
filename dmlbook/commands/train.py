"""Trains an embedding, measures it on classes it never saw, and records the figures."""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from dataclasses import fields
from pathlib import Path

import torch

from dmlbook import losses, nets, records
from dmlbook import settings as machine
from dmlbook._checks import bad_input
from dmlbook.commands import baseline, common, runs, settled
from dmlbook.datasets import ImageSet, split_classes
from dmlbook.seeding import SEED, generator
from dmlbook.training import Checkpoints, Features, FitResult, Place, Report, TrainConfig, embed, fit, preflight

ABOUT = """\
Training classes and test classes never share a class. Settings are chosen with --validation: a share of the *training*
classes is held out and measured instead of the test classes. First it is measured what the network is worth before any
training (frozen features, their PCA, the embedding as it starts); last, what training has added to that.

losses
  softtriple, softmax, proxy_nca, proxy_anchor, subcenter_arcface, hardtriple: learned centers; no images are paired, so
    batches are drawn as they come. softtriple has several centers a class (--loss-option centers_per_class=10).
  centroid_bound, triplet_center: distances to points of the classes, fixed or learned.
  triplet, semihard, lifted, npairs, clustering: pairs or triplets of a batch, which holds several images of a class.
  Start with softtriple or softmax. Which one suits your images: python -m dmlbook compare

a small folder of your own (a few hundred photographs, no GPU): train the last layer alone, which takes minutes
  python -m dmlbook train --data folder --root my_photos --loss softtriple --net mobilenet_v2 --weights imagenet \\
      --freeze-backbone --epochs 30 --milestones 20 --lr 0.003
  Then all of the network, if that is not enough: leave --freeze-backbone and --lr out, and add --size 128 for speed.

examples
  python -m dmlbook train --data birds --loss softtriple
  python -m dmlbook train --data cub --loss softtriple --weights imagenet --seeds 3 --record my-cub-softtriple
  python -m dmlbook train --data folder --root my_photos --loss semihard --net resnet18 --weights imagenet
  python -m dmlbook train --data cub --loss softtriple --loss-option tau=0.5 --validation 0.2   (choosing a setting)

Every run keeps a folder: runs/DATA-LOSS, or runs/RECORD, or --folder. There lie the settings (run.json), a line for
each epoch (history.csv) and the network (the last two checkpoints), one folder a seed. A run that was stopped goes on
where it was when the same command is given again. Seeds that the record already holds are not run again.
"""
LONG = 1800
"""Seconds of a run from which on it is said how to shorten it."""


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--loss", required=True, type=common.word(*losses.NAMES), choices=losses.NAMES, help="see below"
    )
    parser.add_argument(
        "--loss-option", type=common.pair, action="append", default=[], metavar="KEY=VALUE", help="such as scale=20"
    )
    parser.add_argument(
        "--seeds", type=common.integer, default=1, help="how many runs, each with a seed of its own (default: 1)"
    )
    parser.add_argument(
        "--validation", type=float, metavar="SHARE", help="measure this share of the training classes, after each epoch"
    )
    common.add_record_arguments(parser)
    parser.add_argument("--folder", help="the runs' folder, one folder a seed in it (default: runs/DATA-LOSS)")
    parser.add_argument(
        "--baseline", action=BooleanOptionalAction, default=True, help="measure the network before training, too"
    )
    parser.add_argument("--device", help="cpu, cuda or mps (default: the best that is there)")
    parser.add_argument("--devices", type=common.integer, default=1, help="how many of them (default: 1)")
    common.add_data_arguments(parser)
    common.add_net_arguments(parser)
    group = parser.add_argument_group(
        "training", "the defaults named are those for photographs; birds and digits have their own"
    )
    common.add_config_arguments(group, [field.name for field in fields(TrainConfig) if field.name != "seed"])


def run(options: Namespace) -> int:
    seeds = common.seeds(options.seeds)
    if options.evaluate_every is not None and options.validation is None:
        remedy = "Add --validation 0.2: test classes are measured once, after the last epoch."
        raise bad_input("--evaluate-every", "come with --validation", "it alone", remedy)
    common.check_record(options.record)
    settled.config(options, SEED)
    settled.check_loss(options)
    preflight.check_device(options.device or machine.device(), Place(options.device, options.devices).devices)
    study = Study(options)
    record, folder = study.record(options, options.record), runs.place(options, study.asked(options, SEED))
    for seed in seeds:
        if seed in record.seeds:
            print(f"seed {seed}: is in record {record.name} already; remove that file to run it again")
            continue
        start = time.perf_counter()
        figures = study.figures(options, seed, folder / f"seed-{seed}")
        if figures is None:
            continue
        record.add(seed, figures, seconds=time.perf_counter() - start)
        print(f"seed {seed}: {common.percents(figures)}")
        if options.baseline:
            print(baseline.gain(runs.read_about(folder / f"seed-{seed}")["before"], figures))
        if options.record:
            print(f"recorded in {record.save()}")
    if runs.find(folder) != folder:
        print(f"the network is in {folder}. What next:")
        print(f"  python -m dmlbook map --run {folder}         (a page of pictures, neighbors and centers)")
        print(f"  python -m dmlbook evaluate --run {folder}    (measures it again)")
    return 0


class Study:
    """What is trained on and what is measured, read once for many runs.

    Args:
        options: Of ``python -m dmlbook train``. Those named in ``READ_ONCE`` must be the same in each later call.

    Raises:
        ValueError: Images are missing or cannot be read, or retrieval among those to be measured means nothing.
    """

    READ_ONCE = ("data", "root", "size", "data_option", "validation")
    BY = "recall_at_1"

    def __init__(self, options: Namespace):
        self.train_set = common.load_images(options, "train")
        self._pooled: dict[tuple, Features] = {}
        if options.validation is None:
            self.measured, self.measured_on = common.load_images(options, "test"), "test classes"
        else:
            numbers = generator(SEED, "validation")
            self.train_set, self.measured = split_classes(
                self.train_set, validation=options.validation, generator=numbers
            )
            self.measured_on = f"{options.validation:g} of the training classes"
        preflight.check_classes("the training half", self.train_set)
        preflight.check_measurable("the measured half", self.measured)

    def figures(self, options: Namespace, seed: int, folder: Path | None = None) -> dict[str, float] | None:
        """Train from one seed and measure; None in a process that is not the first of several.

        Args:
            options: Of this run.
            seed: Of its weights, batches and views.
            folder: Where its settings, its history and its network are kept, and it is told what goes on; None: in
                ``--folder``, if there is one, and in silence.

        Raises:
            KeyboardInterrupt: Training was stopped; what was done lies in the folder.
        """
        settings, config = settled.network(options), settled.config(options, seed)
        net, loss = settled.build(options, settings, self.train_set, seed)
        if folder is not None:
            kept = Checkpoints(folder, about=self._about(options, net, config, folder))
        else:
            kept = None if options.folder is None else Path(options.folder) / f"seed-{seed}"
        once = config.freeze_backbone and settings["weights"] is not None  # then all seeds see the same features
        trained = self._features(net, self.train_set, settings, config) if once else self.train_set
        watched = None
        if folder is not None and options.validation is not None:
            watched = self._features(net, self.measured, settings, config) if once else self.measured
        place, report = (
            Place(options.device, options.devices),
            Report(advice=lambda seconds, _: _advice(seconds, config, settings)),
        )
        result = fit(net, loss, trained, config, validation=watched, folder=kept, device=place, progress=report)
        if result.rank > 0:
            return None
        if result.interrupted:
            raise common.Stopped(result.signal)
        figures = self._measured(result, settings, config, once=once)
        if folder is not None:
            runs.note(folder, figures=figures)
        return figures

    def asked(self, options: Namespace, seed: int) -> dict[str, object]:
        """Everything that decides a run, as its folder keeps it."""
        data = {name: getattr(options, name) for name in ("data", "data_option", "validation")}
        root = None if options.root is None else str(Path(options.root).expanduser().resolve())
        return {
            "loss": options.loss,
            "loss_options": dict(options.loss_option),
            "net": settled.network(options),
            "config": settled.config(options, seed).to_dict(),
            "data": {**data, "root": root, "size": self.train_set.images.shape[-1]},
        }

    def _about(self, options: Namespace, net: nets.EmbeddingNet, config: TrainConfig, folder: Path) -> dict:
        """What the run's folder is to say of it, with what the network is worth before training."""
        about = self.asked(options, config.seed)
        if not options.baseline or not _first_process():
            return about
        known = runs.read_about(folder) if (folder / runs.ABOUT).is_file() else {}
        before = known.get("before") or baseline.measure(
            net, self.train_set, self.measured, config,
            pretrained=about["net"]["weights"] is not None, device=options.device or machine.device(),
        )  # fmt: skip
        print(baseline.shown(before, self.measured_on), flush=True)
        return {**about, "before": before}

    def _measured(self, result: FitResult, settings: dict, config: TrainConfig, *, once: bool) -> dict[str, float]:
        net, loss = result.net, result.loss
        if once:
            with torch.no_grad():
                vectors = net.cpu().head(self._features(net, self.measured, settings, config).features)
        else:
            vectors = embed(net, self.measured, config=config)
        figures = common.scores(vectors, self.measured.labels, unit=settings.get("normalize", True))
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
        settings, config = settled.network(options), settled.config(options, SEED).to_dict()
        config.pop("seed")
        configuration = {
            "data": options.data,
            "size": self.train_set.images.shape[-1],
            "data_options": dict(options.data_option),
            "training_images": len(self.train_set),
            "training_classes": self.train_set.num_classes,
            "measured_on": self.measured_on,
            "loss": options.loss,
            "loss_options": dict(options.loss_option),
            "network": common.described(settings),
            "training": config,
        }
        title = f"{options.loss} on {options.data}, {options.embedding_size} dimensions, {settings['name']}"
        return common.continued(name, title, configuration, replace=options.replace)


def _first_process() -> bool:
    """Whether this is the first of several processes that share a run, or the only one."""
    return int(os.environ.get("LOCAL_RANK", 0)) == 0


def _advice(seconds: float, config: TrainConfig, settings: dict) -> str:
    """What would make a run of hours shorter, of what it does not do already."""
    if seconds < LONG or machine.device() != "cpu":
        return ""
    cures = [] if config.freeze_backbone else ["--freeze-backbone (the last layer alone)"]
    cures += [] if settings["name"] in ("small", "mobilenet_v2") else ["--net mobilenet_v2"]
    return f"Shorter on this processor: {', '.join([*cures, 'a smaller --size'])}, or fewer --epochs."
