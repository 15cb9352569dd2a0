"""What is asked before the first step: sets, batches, devices, folders and room."""

import os
import re
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from torch import nn

from dmlbook import nets
from dmlbook.sampling import UniformBatches
from dmlbook.training import Checkpoints, Features, board, checkpoints, fit, preflight
from dmlbook.training.devices import check_precision
from tests.training.training_toys import toy_config, toy_loss, toy_net, toy_set


class Never(nn.Module):
    """A loss that no step may reach."""

    def forward(self, embeddings, labels):
        raise AssertionError("a step was made")


def _refusal(*, data=None, **options):
    """What ``fit`` says instead of making a step."""
    options = {"config": toy_config(), "folder": None, "device": "cpu", **options}
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - each test asserts what it says
        fit(options.pop("net", None) or toy_net(), Never(), data or toy_set(), progress=False, **options)
    return str(caught.value)


def _classes(*sizes):
    labels = torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))
    return Features(torch.rand(len(labels), 4), labels, split="val")


def test_sets_that_cannot_be_trained_or_measured_on_are_refused():
    assert "fit: train_set must hold images of at least two classes; got 1" in _refusal(data=_classes(5))
    head = {"net": nets.Head(4, 3), "data": _classes(3, 3)}
    said = _refusal(validation=_classes(5), **head)
    assert "validation must hold images of at least two classes; got 1" in said
    said = _refusal(validation=_classes(1, 1, 1), **head)
    assert "validation must hold two images of some class" in said
    assert "got 3 classes of one" in said
    one = toy_set(1, "val").select(torch.arange(0, 40, 8), split="val")
    assert "got 5 classes of one image. Hold out" in _refusal(validation=one)


def test_images_that_say_nothing_of_retrieval_are_refused():
    preflight.check_measurable("it", _classes(2, 1))
    preflight.check_classes("it", _classes(1, 1))  # enough to train centers on
    for check in (preflight.check_classes, preflight.check_measurable):
        with pytest.raises(ValueError, match="it must hold images of at least two classes; got 1"):
            check("it", _classes(3))
    with pytest.raises(ValueError, match="it must hold two images of some class, .* got 3 classes of one image"):
        preflight.check_measurable("it", _classes(1, 1, 1))


def test_what_fits_passes():
    assert preflight.check_fit(toy_net(), toy_loss(), toy_set(), toy_config(), toy_set(1, "val")) is None


def test_a_class_of_one_image_is_measured_without_its_query():
    config = toy_config(epochs=1, freeze_batch_norm=True)
    loss = toy_loss("semihard")
    pair = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]])
    held_out = Features(pair, torch.tensor([0, 1, 1]), split="val")
    result = fit(nets.Head(4, 3), loss, _classes(4, 4), config, validation=held_out, device="cpu", progress=False)
    assert result.history[0]["recall_at_1"] == 1.0


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("gpu", r"device must be a device or a Place or None; got 'gpu'. This machine has cpu"),
        ("cuda:99", r"device must be one of this machine's; got 'cuda:99'. It has cpu"),
        ("xpu", r"device must be one of this machine's; got 'xpu'"),
        ("meta", r"device must be one of this machine's; got 'meta'"),
        ("", "device must be a device or a Place or None; got ''"),
    ],
)
def test_a_device_that_is_not_there_is_refused(device, message):
    assert message in _refusal(device=device)


def test_devices_are_those_of_the_machine(monkeypatch):
    assert preflight.check_device("cpu", 8) == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert preflight.check_device("cuda") == torch.device("cuda")
    assert preflight.check_device("cuda:1", 1) == torch.device("cuda", 1)
    with pytest.raises(ValueError, match="It has cpu, cuda:0, cuda:1"):
        preflight.check_device("cuda:2")
    with pytest.raises(ValueError, match="devices must be at most 2 of cuda; got 3"):
        preflight.check_device("cuda", 3)


def test_a_last_batch_of_one_image_joins_the_one_before_it():
    batches = UniformBatches(901, 100, seed=1)
    sizes = [len(batch) for batch in batches.batches(1)]
    assert sizes == [100] * 8 + [101]
    assert len(batches) == 9
    assert sorted(torch.cat(batches.batches(1)).tolist()) == list(range(901))
    for count, size, drop, expected in [
        (9, 4, True, [4, 4]),
        (9, 4, False, [4, 5]),
        (10, 4, False, [4, 4, 2]),
        (3, 1, False, [1, 1, 1]),
        (1, 4, False, [1]),
        (5, 4, False, [5]),
    ]:
        batches = UniformBatches(count, size, 1, drop)
        assert [len(batch) for batch in batches.batches(3)] == expected
        assert len(batches) == len(expected)


def test_batch_norm_that_measures_sees_no_batch_of_one_image():
    said = _refusal(config=toy_config(batch_size=1))
    assert "config.batch_size must be >= 2 with batch norm that measures" in said
    sizes = []

    def watched(part, inputs, outputs):
        sizes.append(len(inputs[0]))

    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nets.Head(4, 3))
    net[1].register_forward_hook(watched)
    fit(net, toy_loss("semihard"), _classes(4, 5), toy_config(batch_size=4, epochs=1), device="cpu", progress=False)
    assert sizes == [4, 5]


@pytest.mark.parametrize(
    ("folder", "message"),
    [
        ("file", "folder must be a folder that can be written; got .*file, which is a file"),
        ("file/inner", "got .*file, which is no folder"),
        ("a" * 300, "got a name of 300 letters"),
        ("a\0b", "got a name with a NUL"),
    ],
)
def test_a_folder_that_cannot_be_written_is_refused(tmp_path, folder, message):
    (tmp_path / "file").touch()
    assert re.search(message, _refusal(folder=tmp_path / folder))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", ["", " "])
def test_a_folder_without_a_name_is_refused_and_not_taken_for_the_working_folder(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert f"folder must name a folder; got {name!r}" in _refusal(folder=name)
    with pytest.raises(ValueError, match=f"Checkpoints: folder must name a folder; got {name!r}"):
        Checkpoints(name)
    with pytest.raises(ValueError, match="got an empty name"):
        preflight.check_folder(Path(" "))
    assert not list(tmp_path.iterdir())


def test_room_for_the_checkpoints_is_asked_for(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**6, 0, 1000))
    said = _refusal(folder=tmp_path / "run")
    assert re.search(r"folder must have room .*; got 1,000 bytes free of the [\d,]+ that 3 checkpoints in .*run", said)
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    sizes = {}
    for measured in (False, True):
        folder = tmp_path / str(measured)
        validation = toy_set(1, "val") if measured else None
        fit(toy_net(), toy_loss(), toy_set(), toy_config(), validation=validation, folder=folder, progress=False)
        sizes[measured] = sum(path.stat().st_size for path in checkpoints.find(folder))
        for path in checkpoints.find(folder):
            path.unlink()
        monkeypatch.setattr(shutil, "disk_usage", lambda folder, s=sizes[measured]: usage(10**9, 0, s))
        net = toy_net(width_mult=4)
        with pytest.raises(ValueError, match="have room"):  # three of the same size, without what surrounds the tensors
            preflight.check_room(folder, net, toy_loss(), net, toy_config(), best=measured)
        monkeypatch.undo()
    assert sizes[True] > sizes[False]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"optimizer": "sgd"},
        {"optimizer": "sgd", "momentum": 0.0},
        {"freeze_backbone": True},
        {"ema_decay": 0.5},
        {"ema_decay": 0.5, "freeze_backbone": True},
        {"precision": "64-true"},
    ],
)
def test_as_much_room_is_asked_for_as_the_checkpoints_take(tmp_path, monkeypatch, options):
    def needed():
        usage = namedtuple("usage", "total used free")
        with monkeypatch.context() as patch:
            patch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 0, 0))
            said = _refusal(folder=tmp_path / "new", config=config, net=wide(), validation=toy_set(1, "val"))
        return int(re.search(r"of the ([\d,]+) that 3", said)[1].replace(",", ""))

    def wide():
        return toy_net(width_mult=3)

    def tensors(value):
        inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
        own = value.numel() * value.element_size() if isinstance(value, torch.Tensor) else 0
        return own + sum(map(tensors, inside))

    config = toy_config(epochs=1, **options)
    fit(wide(), toy_loss(), toy_set(), config, validation=toy_set(1, "val"), folder=tmp_path, progress=False)
    (written,) = checkpoints.find(tmp_path)
    assert needed() == pytest.approx(3 * tensors(checkpoints.load(written)), rel=0.01)


def test_a_finished_run_asks_for_no_room(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    fit(toy_net(), toy_loss(), toy_set(), toy_config(epochs=1), folder=tmp_path, progress=False)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**6, 0, 0))
    result = fit(toy_net(), toy_loss(), toy_set(), toy_config(epochs=1), folder=tmp_path, progress=False)
    assert len(result.history) == 1
    assert "have room" in _refusal(folder=tmp_path, config=toy_config(epochs=2))


def test_a_disk_that_fills_up_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    save, calls = torch.save, iter(range(10))

    def filling(state, file):
        if next(calls) == 1:
            file.write(b"x" * 77)
            raise RuntimeError("[enforce fail at inline_container.cc:603] . unexpected pos 64 vs 0")
        save(state, file)

    monkeypatch.setattr(torch, "save", filling)
    with pytest.raises(
        OSError, match=r"fit: a checkpoint could not be written in .*; 77 bytes were written, [\d,]+ are free"
    ):
        fit(toy_net(), toy_loss(), toy_set(), toy_config(), folder=tmp_path, device="cpu", progress=False)
    assert [path.name for path in checkpoints.find(tmp_path)] == ["checkpoint-00001-0000000.pt"]
    kept = sorted(name for name in os.listdir(tmp_path) if not name.endswith(board.SUFFIX))
    assert kept == ["checkpoint-00001-0000000.pt", "history.csv"]
    monkeypatch.undo()
    assert len(fit(toy_net(), toy_loss(), toy_set(), toy_config(), folder=tmp_path, progress=False).history) == 3


def test_the_folder_of_a_run_is_asked_for_nothing_but_its_name(tmp_path):
    assert preflight.check_folder(Path(tmp_path / "new" / "run")) is None
    assert not list(tmp_path.iterdir())


def test_a_precision_that_a_device_lacks_is_refused_and_no_folder_is_no_question(tmp_path):
    for precision, kind in (("16-mixed", "cpu"), ("64-true", "mps")):
        with pytest.raises(ValueError, match=f"config.precision must not be {precision} on"):
            check_precision(precision, torch.device(kind))
    check_precision("64-true", torch.device("cpu"))
    assert preflight.check_kept(None, toy_net(), toy_loss(), toy_set(), toy_config(), best=True) is None
    path = checkpoints.save(tmp_path, {}, epoch=12, step=3)
    assert checkpoints.epochs_of(path) == 12
