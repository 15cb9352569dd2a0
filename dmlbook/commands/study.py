"""One command's study: what is trained on and what is measured, read once for many runs."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn

from dmlbook import losses, nets, records
from dmlbook import settings as machine
from dmlbook._checks import bad_input
from dmlbook._files import write_whole
from dmlbook._types import Tensor
from dmlbook.commands import baseline, common, mined, settled, split_options
from dmlbook.datasets import ImageSet
from dmlbook.seeding import SEED
from dmlbook.training import Checkpoints, Features, FitResult, Place, Report, TrainConfig, Views, embed, fit, preflight
from dmlbook.training.identity import HOW
from dmlbook.training.processes import first_process
from dmlbook.use import run_folders

LONG = 1800
"""Seconds of a run from which on it is said how to shorten it."""


@dataclass(frozen=True)
class Begun:
    """One run as it starts.

    Attributes:
        settings: What the network was built from.
        config: How it is trained.
        net: The network.
        loss: The loss.
        miner: Chooses the pairs of a batch; None: none does.
        place: Where it computes, its device named.
    """

    settings: dict
    config: TrainConfig
    net: nets.EmbeddingNet
    loss: losses.Loss
    miner: nn.Module | None
    place: Place

    @property
    def pretrained(self) -> bool:
        """Whether the backbone brings weights: then it is the same for every seed."""
        return self.settings["weights"] is not None

    @property
    def once(self) -> bool:
        """Whether all seeds train on the same features."""
        return self.pretrained and self.config.freeze_backbone


def write_about(folder: Path, about: dict) -> None:
    """What the folder of a run says of it."""
    write_whole(folder / run_folders.ABOUT, json.dumps(about, indent=2) + "\n")


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
        self._pooled: dict[tuple, Tensor] = {}
        if options.evaluate_every is not None and self.gallery is not None:
            remedy = "Leave it out: a gallery is embedded and searched once, after the last epoch."
            raise bad_input("--evaluate-every", "stand beside classes held out", self.measured_on, remedy)
        if self.kept and first_process():
            print(self.protocol.says, flush=True)

    def begun(self, options: Namespace, seed: int) -> Begun:
        """A run as it starts, with all asked that can be known before images are embedded and a folder is made.

        Args:
            options: Of this run.
            seed: Of its weights, batches and views.

        Raises:
            ValueError: It cannot be trained as it is asked for.
        """
        settings, config = settled.network(options), settled.config(options, seed)
        net, loss = settled.build(options, settings, self.train_set, seed)
        device = options.device or machine.device()
        run = Begun(settings, config, net, loss, mined.made(options), Place(device, options.devices, options.nodes))
        watched = self.measured if options.validation is not None and self.gallery is None else None
        preflight.check(net, loss, self.train_set, config, miner=run.miner, validation=watched, place=run.place)
        return run

    def figures(
        self, options: Namespace, seed: int, folder: Path | None = None, *, run: Begun | None = None
    ) -> dict[str, float] | None:
        """Train from one seed and measure; None in a process that is not the first of several.

        Args:
            options: Of this run.
            seed: Of its weights, batches and views.
            folder: Where its settings, its history and its network are kept, and it is told what goes on; None: in
                ``--folder``, if there is one, and in silence.
            run: From ``begun``, with the same options and seed. None: begun here.

        Raises:
            KeyboardInterrupt: Training was stopped; what was done lies in the folder.
        """
        run = run or self.begun(options, seed)
        config, net, loss = run.config, run.net, run.loss
        watches = folder is not None and options.validation is not None and self.gallery is None
        if folder is not None:
            kept = Checkpoints(folder)
            preflight.check_kept(kept, net, loss, self.train_set, config, best=watches)
            kept = replace(kept, about=self._about(options, run, kept))
        else:
            kept = None if options.folder is None else Path(options.folder) / f"seed-{seed}"
        trained, watched = self.train_set, self.measured if watches else None
        if run.once:
            trained = self._features(run, trained)
            watched = None if watched is None else self._features(run, watched)
        report = Report(advice=lambda seconds, _: _advice(seconds, run))
        given = {"validation": watched, "folder": kept, "device": run.place, "progress": report}
        result = fit(net, loss, trained, config, miner=run.miner, **given)
        if result.interrupted:
            raise common.Stopped(result.signal)
        if result.rank > 0:
            return None
        figures = self._measured(result, run)
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

    def said(self, options: Namespace, config: TrainConfig, folder: Path) -> dict:
        """What the run's folder is to say of it; what was measured of this run before stays."""
        known = run_folders.read_about(folder) if (folder / run_folders.ABOUT).is_file() else {}
        measured = (
            ["before", "figures"] if known.get("config") == config.to_dict() else ["before"]
        )  # not of fewer epochs
        found = {name: known[name] for name in measured if name in known}
        return {**self.asked(options, config.seed), "measured_on": self.measured_on, **self._seen(config), **found}

    def _about(self, options: Namespace, run: Begun, kept: Checkpoints) -> dict:
        """``said``, and what the network is worth before training, while no other run uses the folder."""
        folder = Path(kept.folder)
        with kept.held():
            about = self.said(options, run.config, folder)
            if not options.baseline or not first_process():
                return about
            if "before" not in about:
                write_about(folder, about)
                many = run.once or options.seeds > 1  # runs that see the same features
                about["before"] = baseline.measure(
                    run.net, self.train_set, self.measured, run.config,
                    pretrained=run.pretrained, device=run.place.device, gallery=self.gallery,
                    features=partial(self._pooled_of, run) if run.pretrained and many else None,
                )  # fmt: skip
        print(baseline.shown(about["before"], self.measured_on), flush=True)
        return about

    def _seen(self, config: TrainConfig) -> dict:
        """The classes by name, and the view that the network is measured in: what its use needs to know."""
        views = Views(self.measured, config)
        view = {"decoded": self.measured.images.shape[-1], "crop": views.test_crop, "seen": views.size}
        return {"classes": list(self.train_set.class_names), "view": view}

    def _measured(self, result: FitResult, run: Begun) -> dict[str, float]:
        loss, searched = result.loss, None
        vectors = self._vectors(run, self.measured)
        if self.gallery is not None:
            searched = self._vectors(run, self.gallery), self.protocol.gallery_labels
        unit = run.settings.get("normalize", True)
        figures = common.scores(vectors, self.protocol.query_labels, unit=unit, gallery=searched)
        if hasattr(loss, "report"):
            report = loss.report()
            figures["distinct_centers"] = float(report.counts.double().mean())
            print(report)
        return {**figures, "final_loss": result.history[-1]["loss"]}

    def _vectors(self, run: Begun, images: ImageSet) -> Tensor:
        if not run.once:
            return embed(run.net, images, config=run.config)
        head = run.net.cpu().head
        with torch.no_grad():
            return head(self._pooled_of(run, images).to(next(head.parameters()).dtype)).float()

    def _features(self, run: Begun, images: ImageSet) -> Features:
        pooled = self._pooled_of(run, images)
        return Features(pooled, images.labels, images.num_classes, images.name, images.split)

    def _pooled_of(self, run: Begun, images: ImageSet) -> Tensor:
        """What a pretrained backbone that is not trained yet makes of these images, computed once for all runs."""
        backbone = {key: value for key, value in run.settings.items() if key != "embedding_size"}
        key = (images.split, repr(backbone), run.config.image_size, run.config.test_crop)
        if key not in self._pooled:
            options = {"config": run.config, "features": True, "device": run.place.device}
            self._pooled[key] = embed(run.net, images, **options)
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


def _advice(seconds: float, run: Begun) -> str:
    """What would make a run of hours shorter, of what it does not do already."""
    if seconds < LONG or torch.device(run.place.device).type != "cpu":
        return ""
    cures = [] if run.config.freeze_backbone else ["--freeze-backbone (the last layer alone)"]
    cures += [] if run.settings["name"] in ("small", "mobilenet_v2") else ["--net mobilenet_v2"]
    return f"Shorter on this processor: {', '.join([*cures, 'a smaller --size'])}, or fewer --epochs."
