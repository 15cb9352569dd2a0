"""One command's study: what is trained on and what is measured, read once for many runs."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import torch

from dmlbook import nets, records
from dmlbook import settings as machine
from dmlbook._checks import bad_input
from dmlbook._types import Tensor
from dmlbook.commands import baseline, common, mined, settled, split_options
from dmlbook.datasets import ImageSet
from dmlbook.seeding import SEED
from dmlbook.training import Checkpoints, Features, FitResult, Place, Report, TrainConfig, Views, embed, fit
from dmlbook.training.identity import HOW
from dmlbook.training.processes import first_process
from dmlbook.use import run_folders

LONG = 1800
"""Seconds of a run from which on it is said how to shorten it."""


class Study:
    """What is trained on and what is measured, read once for many runs.

    Args:
        options: Of ``python -m dmlbook train``. Those named in ``READ_ONCE`` must be the same in each later call.

    Raises:
        ValueError: Images are missing or cannot be read, or retrieval among those to be measured means nothing.
    """

    READ_ONCE = ("data", "root", "size", "data_option", "split", "held_out", "validation")
    BY = "recall_at_1"

    def __init__(self, options: Namespace):
        self.protocol = split_options.load(options, options.split, options.validation)
        self.kept = split_options.kept(options)
        self.train_set, self.measured, self.gallery = (
            self.protocol.train, self.protocol.queries, self.protocol.gallery,
        )  # fmt: skip
        self.measured_on = self.protocol.measured_on
        self._pooled: dict[tuple, Features] = {}
        if options.evaluate_every is not None and self.gallery is not None:
            remedy = "Leave it out: a gallery is embedded and searched once, after the last epoch."
            raise bad_input("--evaluate-every", "stand beside classes held out", self.measured_on, remedy)
        if self.kept:
            print(self.protocol.says, flush=True)

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
        if folder is not None and options.validation is not None and self.gallery is None:
            watched = self._features(net, self.measured, settings, config) if once else self.measured
        place, report = (
            Place(options.device, options.devices, options.nodes),
            Report(advice=lambda seconds, _: _advice(seconds, config, settings)),
        )
        given = {"validation": watched, "folder": kept, "device": place, "progress": report}
        result = fit(net, loss, trained, config, miner=mined.made(options), **given)
        if result.rank > 0:
            return None
        if result.interrupted:
            raise common.Stopped(result.signal)
        figures = self._measured(result, settings, config, once=once)
        if folder is not None:
            run_folders.note(folder, figures=figures)
        return figures

    def asked(self, options: Namespace, seed: int) -> dict[str, object]:
        """Everything that decides a run, as its folder keeps it."""
        data = {name: getattr(options, name) for name in ("data", "data_option", "validation")}
        root = None if options.root is None else str(Path(options.root).expanduser().resolve())
        return {
            **settled.recipe_of(options),
            "loss": options.loss,
            "loss_options": dict(options.loss_option),
            **mined.said(options),
            "net": settled.network(options),
            "config": settled.config(options, seed).to_dict(),
            "data": {**data, "root": root, "size": self.train_set.images.shape[-1], **self.kept},
        }

    def _about(self, options: Namespace, net: nets.EmbeddingNet, config: TrainConfig, folder: Path) -> dict:
        """What the run's folder is to say of it, with what the network is worth before training."""
        about = {**self.asked(options, config.seed), "measured_on": self.measured_on, **self._seen(config)}
        if not options.baseline or not first_process():
            return about
        known = run_folders.read_about(folder) if (folder / run_folders.ABOUT).is_file() else {}
        before = known.get("before") or baseline.measure(
            net, self.train_set, self.measured, config,
            pretrained=about["net"]["weights"] is not None, device=options.device or machine.device(),
            gallery=self.gallery,
        )  # fmt: skip
        print(baseline.shown(before, self.measured_on), flush=True)
        return {**about, "before": before}

    def _seen(self, config: TrainConfig) -> dict:
        """The classes by name, and the view that the network is measured in: what its use needs to know."""
        views = Views(self.measured, config)
        view = {"decoded": self.measured.images.shape[-1], "crop": views.test_crop, "seen": views.size}
        return {"classes": list(self.train_set.class_names), "view": view}

    def _measured(self, result: FitResult, settings: dict, config: TrainConfig, *, once: bool) -> dict[str, float]:
        net, loss, searched = result.net, result.loss, None
        vectors = self._vectors(net, self.measured, settings, config, once=once)
        if self.gallery is not None:
            searched = self._vectors(net, self.gallery, settings, config, once=once), self.protocol.gallery_labels
        unit = settings.get("normalize", True)
        figures = common.scores(vectors, self.protocol.query_labels, unit=unit, gallery=searched)
        if hasattr(loss, "report"):
            report = loss.report()
            figures["distinct_centers"] = float(report.counts.double().mean())
            print(report)
        return {**figures, "final_loss": result.history[-1]["loss"]}

    def _vectors(
        self, net: nets.EmbeddingNet, images: ImageSet, settings: dict, config: TrainConfig, *, once: bool
    ) -> Tensor:
        if not once:
            return embed(net, images, config=config)
        with torch.no_grad():
            return net.cpu().head(self._features(net, images, settings, config).features)

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
        config = {name: value for name, value in config.items() if name not in ("seed", *HOW)}
        configuration = {
            "data": options.data,
            "size": self.train_set.images.shape[-1],
            "data_options": dict(options.data_option),
            "training_images": len(self.train_set),
            "training_classes": self.train_set.num_classes,
            "measured_on": self.measured_on,
            **split_options.described(options.split),
            **settled.recipe_of(options),
            "loss": options.loss,
            "loss_options": dict(options.loss_option),
            **mined.said(options),
            "network": records.described(settings),
            "training": config,
        }
        title = f"{options.loss} on {options.data}, {options.embedding_size} dimensions, {settings['name']}"
        return common.continued(name, title, configuration, replace=options.replace)


def _advice(seconds: float, config: TrainConfig, settings: dict) -> str:
    """What would make a run of hours shorter, of what it does not do already."""
    if seconds < LONG or machine.device() != "cpu":
        return ""
    cures = [] if config.freeze_backbone else ["--freeze-backbone (the last layer alone)"]
    cures += [] if settings["name"] in ("small", "mobilenet_v2") else ["--net mobilenet_v2"]
    return f"Shorter on this processor: {', '.join([*cures, 'a smaller --size'])}, or fewer --epochs."
