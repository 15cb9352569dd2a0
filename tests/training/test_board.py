"""TensorBoard: every epoch's numbers once, however often a run is resumed; nothing where it is not installed."""

import os
import sys

import pytest

from dmlbook.training import board, fit
from dmlbook.training.board import Board
from tests.training.training_toys import toy_config, toy_loss, toy_net, toy_set


def _shown(folder):
    """All points that TensorBoard reads there: (name, epoch) -> values."""
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.startswith("events."):
            events = loader.EventAccumulator(os.path.join(folder, name))
            events.Reload()
            for tag in events.Tags()["scalars"]:
                for point in events.Scalars(tag):
                    found.setdefault((tag, point.step), []).append(point.value)
    return found


def _run(folder, epochs):
    config = toy_config(epochs=epochs)
    validation = toy_set(1, "val")
    return fit(
        toy_net(), toy_loss(), toy_set(), config, validation=validation, folder=folder, device="cpu", progress=False
    )


def test_every_epoch_is_there_once_after_a_run_was_resumed(tmp_path):
    _run(tmp_path, 2)
    history = _run(tmp_path, 4).history
    found = _shown(tmp_path)
    names = {
        "loss": "train/loss",
        "recall_at_1": "validation/recall_at_1",
        "lr": "rates/lr",
        "loss_lr": "rates/loss_lr",
    }
    names["images_per_second"] = "train/images_per_second"
    assert set(found) == {(name, epoch) for name in names.values() for epoch in (1, 2, 3, 4)}
    for record in history:
        for key, name in names.items():
            assert found[name, record["epoch"]] == pytest.approx([record[key]], rel=1e-5)


def test_files_of_others_stay(tmp_path):
    other = tmp_path / "events.out.tfevents.1.host.1.0"
    other.write_bytes(b"")
    shown = Board(tmp_path)
    shown.show([{"epoch": 1, "loss": 0.5}])
    shown.show([{"epoch": 1, "loss": 0.5}])
    shown.close()
    assert other.exists()
    assert _shown(tmp_path) == {("train/loss", 1): [0.5]}


def test_without_tensorboard_nothing_is_written_and_nothing_said(tmp_path, monkeypatch, capsys, recwarn):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    shown = Board(tmp_path)
    shown.show([{"epoch": 1, "loss": 0.5}])
    shown.close()
    assert os.listdir(tmp_path) == []
    assert capsys.readouterr() == ("", "")
    assert not list(recwarn)


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    nowhere = Board(None)
    nowhere.show([{"epoch": 1, "loss": 0.5}])
    nowhere.close()
    assert nowhere.shown == 0
    assert os.listdir() == []
    assert board.SUFFIX.startswith(".")


def test_a_broken_tensorboard_is_said_once_and_ends_no_run(tmp_path, monkeypatch, capsys):
    class Broken:
        def find_spec(self, name, path=None, target=None):
            if name == "torch.utils.tensorboard":
                raise TypeError("Descriptors cannot be created directly.\nIf this call came from a _pb2.py file")

    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    assert len(_run(tmp_path, 2).history) == 2
    said = "note: tensorboard cannot be used (TypeError: Descriptors cannot be created directly.); history.csv says all"
    assert capsys.readouterr().err.splitlines() == [said]
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 3
