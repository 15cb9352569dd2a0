"""Checkpoints: whole or absent, resumed bit for bit, and refused where they belong to another run."""

import csv
import errno
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from dmlbook.losses import make
from dmlbook.training import Checkpoints, Report, board, checkpoints, fit
from tests.training.training_toys import CLASSES, assert_same, outcome, toy_config, toy_loss, toy_net, toy_set

ROOT = Path(__file__).resolve().parents[2]


def _fit(folder=None, *, config=None, net=None, loss=None, data=None, **options):
    config, net, loss, data = config or toy_config(), net or toy_net(), loss or toy_loss(), data or toy_set()
    return fit(net, loss, data, config, folder=folder, device="cpu", progress=False, **options)


def _interrupting(loss, at, number=signal.SIGINT):
    """The loss, pressing Ctrl-C in its ``at``-th step, or sending another signal."""
    calls = iter(range(1, 10**6))
    forward = loss.forward

    def pressing(*arguments):
        if next(calls) == at:
            signal.raise_signal(number)
        return forward(*arguments)

    loss.forward = pressing
    return loss


def test_a_run_interrupted_anywhere_and_resumed_is_the_uninterrupted_run(tmp_path, capsys):
    validation = toy_set(1, "val")
    expected = outcome(_fit(validation=validation))
    for at in (1, 2, 3, 4, 9):  # 3 steps an epoch: within, at the end of and between epochs
        folder = tmp_path / str(at)
        first = _fit(folder, loss=_interrupting(toy_loss(), at), validation=validation)
        assert first.interrupted == (at < 9)
        again = Checkpoints(folder, resume="must", any_start=True)
        second = _fit(again, net=toy_net(7), loss=toy_loss(seed=8), validation=validation)
        assert not second.interrupted
        assert_same(outcome(second), expected)
    message = capsys.readouterr().err
    assert "Interrupted after epoch 0 and 1 steps of the next. Saved as" in message
    assert "start the same run again" in message


def test_ctrl_c_without_a_folder_ends_cleanly_and_the_former_handler_is_back(capsys):
    def former(number, frame):
        raise AssertionError

    kept = signal.signal(signal.SIGINT, former)
    try:
        result = _fit(loss=_interrupting(toy_loss(), 5))
        assert signal.getsignal(signal.SIGINT) is former
    finally:
        signal.signal(signal.SIGINT, kept)
    assert result.interrupted
    assert [record["epoch"] for record in result.history] == [1]
    assert "pass folder=" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes")
def test_a_run_killed_at_random_moments_and_while_writing_ends_like_the_uninterrupted_one(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.training.killed_training", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1", "DMLBOOK_MODE": "smoke"},
    )
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert int(words[1]) >= 4
    assert words[3] == "True"
    assert_same(torch.load(tmp_path / "actual.pt"), torch.load(tmp_path / "expected.pt"))
    assert not list((tmp_path / "run").glob("*.unfinished"))


def test_the_last_two_checkpoints_are_kept_and_nothing_else_is_left(tmp_path):
    (tmp_path / "checkpoint-00001-0000002.unfinished").write_bytes(b"half")
    result = _fit(tmp_path)
    kept = ["checkpoint-00002-0000000.pt", "checkpoint-00003-0000000.pt", "history.csv"]
    assert sorted(name for name in os.listdir(tmp_path) if not name.endswith(board.SUFFIX)) == kept
    assert checkpoints.KEEP == 2
    assert result.checkpoint == tmp_path / "checkpoint-00003-0000000.pt"


def test_checkpoints_are_found_in_the_order_of_their_steps(tmp_path):
    names = ["checkpoint-00009-0000002.pt", "checkpoint-00009-0000010.pt", "checkpoint-00010-0000000.pt"]
    names += ["checkpoint-99999-0000000.pt", "checkpoint-100000-0000000.pt"]  # which are not spelled in their order
    for name in [*reversed(names), "checkpoint-x.pt", "other.pt"]:
        (tmp_path / name).touch()
    assert [path.name for path in checkpoints.find(tmp_path)] == names


def test_a_failing_write_leaves_the_former_checkpoint(tmp_path, monkeypatch):
    path = checkpoints.save(tmp_path, {"a": torch.ones(3)}, epoch=1, step=0)

    def full(*arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.save(tmp_path, {"a": torch.zeros(3)}, epoch=2, step=0)
    monkeypatch.undo()
    assert checkpoints.find(tmp_path) == [path]
    assert torch.equal(checkpoints.load(path)["a"], torch.ones(3))


def test_a_checkpoint_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced, fsync, replace = [], os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.fstat(handle).st_ino) or fsync(handle))

    def naming(unfinished, path):
        assert os.stat(unfinished).st_ino in synced
        assert unfinished.suffix == ".unfinished"
        replace(unfinished, path)

    monkeypatch.setattr(os, "replace", naming)
    path = checkpoints.save(tmp_path, {"a": torch.ones(3)}, epoch=1, step=0)
    assert checkpoints.find(tmp_path) == [path]


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "other"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_serves(tmp_path, damage):
    expected = outcome(_fit(tmp_path))
    newest = checkpoints.find(tmp_path)[-1]
    content = bytearray(newest.read_bytes())
    if damage == "cut":
        newest.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
        newest.write_bytes(content)
    elif damage == "emptied":
        newest.write_bytes(b"")
    else:
        torch.save({"format": 99}, newest)
    with pytest.raises(ValueError, match=r"checkpoint-00003-0000000\.pt must be a .*checkpoint.*Delete that file"):
        _fit(tmp_path)
    newest.unlink()
    assert_same(outcome(_fit(tmp_path)), expected)


def test_flipped_bits_of_a_checkpoint_are_named_or_change_nothing(tmp_path):
    saved = {"a": torch.arange(50.0), "b": [1, "two"]}
    path, chance, named = checkpoints.save(tmp_path, saved, epoch=1, step=0), random.Random(0), 0
    whole = path.read_bytes()
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged)
        try:
            found = checkpoints.load(path)
        except ValueError:
            named += 1
        else:
            assert torch.equal(found["a"], saved["a"])
            assert found["b"] == saved["b"]
    assert named > 100


def test_a_checkpoint_of_an_older_version_is_another_run(tmp_path):
    path = _fit(tmp_path, config=toy_config(epochs=1)).checkpoint
    content = torch.load(path)
    for name in [name for name in content["run"] if name.endswith(".start")]:
        del content["run"][name]
    del content["outside"]
    torch.save(content, path)
    with pytest.raises(ValueError, match="hold checkpoints of this run .*network.start None"):
        _fit(tmp_path)


def test_a_checkpoint_runs_no_code(tmp_path):
    path = tmp_path / "checkpoint-00001-0000000.pt"
    torch.save({"format": 1, "object": Path("x")}, path)
    with pytest.raises(ValueError, match="must be a whole checkpoint"):
        checkpoints.load(path)


def test_a_finished_run_is_continued_with_more_epochs(tmp_path):
    expected = outcome(_fit())
    _fit(tmp_path, config=toy_config(epochs=2))
    assert_same(outcome(_fit(tmp_path)), expected)
    again = _fit(Checkpoints(tmp_path, any_start=True), net=toy_net(5))
    assert_same(outcome(again), expected)
    with pytest.raises(ValueError, match=r"config.epochs 3.*got config.epochs 1"):
        _fit(tmp_path, config=toy_config(epochs=1))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"config": toy_config(lr=2e-3)}, r"config.lr 0.001\); got config.lr 0.002"),
        ({"data": replace(toy_set(), name="other")}, r"train_set.name 'toy'\); got train_set.name 'other'"),
        ({"data": toy_set(3)}, "train_set.content"),
        ({"data": toy_set().select(torch.arange(39))}, r"train_set.shape \[40, 3, 16, 16\]"),
        ({"loss": toy_loss("softmax")}, "loss 'SoftTriple'"),
        (
            {"loss": make("softtriple", num_classes=CLASSES, embedding_size=8, centers_per_class=3)},
            "loss weights '1 tens",
        ),
        ({"net": toy_net(width_mult=0.3)}, "network"),
        ({"validation": toy_set(1, "val")}, "validation"),
    ],
)
def test_another_runs_checkpoint_is_refused_and_the_difference_named(tmp_path, change, named):
    _fit(tmp_path, config=toy_config(epochs=1))
    change = {"config": toy_config(epochs=1)} | change
    with pytest.raises(ValueError, match=named):
        _fit(tmp_path, **{**change, "config": replace(change["config"], epochs=1)})


def test_another_gamma_is_another_run(tmp_path):
    _fit(tmp_path)
    other = toy_loss()
    other.gamma = 0.3
    with pytest.raises(ValueError, match=r"loss.gamma 0.1\); got loss.gamma 0.3"):
        _fit(tmp_path, loss=other)


class _Weighted(nn.Module):
    """A loss that is told from its brothers by the number of its weights alone."""

    def __init__(self, count):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(count))

    def forward(self, embeddings, labels):
        return embeddings.square().sum() * self.weight.mean()


def test_a_loss_of_other_weights_is_another_run(tmp_path):
    _fit(tmp_path, config=toy_config(epochs=1), loss=_Weighted(3))
    with pytest.raises(ValueError, match=r"loss weights '1 tensors \w+'\); got loss weights '1 tensors"):
        _fit(tmp_path, loss=_Weighted(4))
    assert len(_fit(tmp_path, loss=_Weighted(3)).history) == 3


def test_resume_must_and_never_mean_what_they_say(tmp_path):
    with pytest.raises(ValueError, match='^training.fit: folder must hold a checkpoint for resume="must"'):
        _fit(Checkpoints(tmp_path, resume="must"))
    _fit(Checkpoints(tmp_path, resume="never"))
    with pytest.raises(ValueError, match='hold no checkpoint for resume="never"'):
        _fit(Checkpoints(tmp_path, resume="never"))
    with pytest.raises(ValueError, match="Did you mean 'must'"):
        Checkpoints(tmp_path, resume="mus")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_cluster_that_ends_a_run_finds_it_saved_and_it_goes_on(tmp_path, name):
    if not hasattr(signal, name):
        pytest.skip("no such signal here")
    expected = outcome(_fit())
    first = _fit(tmp_path, loss=_interrupting(toy_loss(), 5, getattr(signal, name)))
    assert first.interrupted
    assert first.signal == getattr(signal, name)
    assert checkpoints.find(tmp_path)[-1].name == "checkpoint-00001-0000002.pt"
    second = _fit(tmp_path)
    assert second.signal is None
    assert_same(outcome(second), expected)


def _history(folder):
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_history_is_in_the_folder_after_every_epoch_and_goes_on_where_it_was(tmp_path):
    seen = []
    report = Report(bar=False, each_epoch=lambda record: seen.append(len(_history(tmp_path))))
    config = toy_config(evaluate_every=2, epochs=3)
    options = {"config": config, "validation": toy_set(1, "val")}
    fit(toy_net(), _interrupting(toy_loss(), 5), toy_set(), config, folder=tmp_path, device="cpu", progress=report,
        validation=options["validation"])  # fmt: skip
    assert len(_history(tmp_path)) == 1
    result = fit(toy_net(), toy_loss(), toy_set(), config, folder=tmp_path, device="cpu", progress=report,
                 validation=options["validation"])  # fmt: skip
    assert seen == [1, 2, 3]
    rows = _history(tmp_path)
    for row, record in zip(rows, result.history, strict=True):
        assert {key: float(value) for key, value in row.items() if value} == {k: float(v) for k, v in record.items()}
    assert [bool(row["recall_at_1"]) for row in rows] == [False, True, True]


def test_a_history_without_epochs_is_a_head_and_what_was_not_measured_is_empty(tmp_path):
    checkpoints.write_history(tmp_path, [])
    head = "epoch,loss,lr,loss_lr,seconds,images_per_second,recall_at_1\n"
    assert (tmp_path / "history.csv").read_bytes().decode() == head
    record = {"epoch": 1, "loss": 0.5, "lr": 0.1, "seconds": 2.0, "images_per_second": 4.0}
    checkpoints.write_history(tmp_path, [record])
    assert (tmp_path / "history.csv").read_text() == f"{head}1,0.5,0.1,,2.0,4.0,\n"


def test_a_run_says_what_it_is_in_its_folder_before_the_first_step(tmp_path):
    def stop(embeddings, labels):
        raise KeyError

    loss = toy_loss()
    loss.forward = stop
    with pytest.raises(KeyError):
        _fit(Checkpoints(tmp_path, about={"net": {"name": "small"}}), loss=loss)
    assert json.loads((tmp_path / "run.json").read_text()) == {"net": {"name": "small"}}
    _fit(tmp_path)
    with pytest.raises(ValueError, match="must hold checkpoints of this run"):
        _fit(Checkpoints(tmp_path, about={"net": "another"}), config=toy_config(lr=0.5))
    assert json.loads((tmp_path / "run.json").read_text()) == {"net": {"name": "small"}}


def test_a_second_run_in_a_folder_is_refused_by_process_and_machine(tmp_path):
    kept, said = Checkpoints(tmp_path, about={}), []

    class Trying(nn.Module):
        def forward(self, embeddings, labels):
            if not said:
                with pytest.raises(ValueError, match="folder must be used by one run at a time") as told:
                    _fit(kept)
                said.append(str(told.value))
            return embeddings.square().sum(1).max() * embeddings[0, 0]

    _fit(kept, loss=Trying())
    assert f"held by process {os.getpid()} on {socket.gethostname()}, since " in said[0]
    assert not (tmp_path / "run.lock").exists()


def test_what_a_killed_run_left_is_taken_over_and_another_machines_is_not(tmp_path):
    lock = tmp_path / "run.lock"
    lock.write_text(json.dumps({"process": 2**22 + 1, "machine": socket.gethostname(), "since": "then"}))
    _fit(tmp_path, config=toy_config(epochs=1))
    assert not lock.exists()
    lock.write_text(json.dumps({"process": 7, "machine": "another", "since": "then"}))
    with pytest.raises(ValueError, match=r"process 7 on another, since then.*delete .*run\.lock"):
        _fit(tmp_path)
    lock.unlink()
    lock.write_text("")  # killed between making and filling it
    assert len(_fit(tmp_path).history) == 3


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"folder": 3}, "Checkpoints: folder must be a path; got 3"),
        ({"folder": "a", "about": {"net": torch.nn}}, "Checkpoints: about must be plain values"),
        ({"folder": "a", "about": {"lr": float("nan")}}, "Checkpoints: about must be plain values"),
    ],
)
def test_what_is_no_folder_or_cannot_be_written_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Checkpoints(**arguments)


@pytest.mark.parametrize("name", ["LOCAL_RANK", "RANK"])
def test_the_other_processes_of_a_run_are_let_in(tmp_path, monkeypatch, name):
    with Checkpoints(tmp_path).held():
        monkeypatch.setenv(name, "1")
        with Checkpoints(tmp_path).held():
            pass
        assert (tmp_path / "run.lock").exists()
        monkeypatch.setenv(name, "0")
        with pytest.raises(ValueError, match="one run at a time"), Checkpoints(tmp_path).held():
            pass


@pytest.mark.bad_input
def test_a_checkpoint_of_nothing_that_fit_wrote_is_named(tmp_path):
    checkpoints.save(tmp_path, {"a": torch.ones(2)}, epoch=1, step=2)
    with pytest.raises(ValueError, match="must hold a whole run; got none of run, net, loss, best. It is none that"):
        fit(toy_net(), toy_loss(), toy_set(), toy_config(), folder=tmp_path, device="cpu", progress=False)


@pytest.mark.parametrize(
    ("trouble", "kind", "said"),
    [
        (OSError(errno.EIO, "Input/output error"), OSError, "could not be read (Input/output error)"),
        (PermissionError(errno.EACCES, "Permission denied"), PermissionError, "could not be read (Permission denied)"),
        (
            MemoryError(),
            MemoryError,
            "does not fit into memory (MemoryError: ). Close other programs; the file is whole",
        ),
        (
            RuntimeError("[enforce fail] can't allocate memory: 8 bytes"),
            MemoryError,
            "does not fit into memory (Runtime",
        ),
        (OSError(errno.EINVAL, "Invalid argument"), ValueError, "must be a whole checkpoint"),
    ],
)
def test_a_checkpoint_that_cannot_be_read_now_is_not_called_damaged(tmp_path, monkeypatch, trouble, kind, said):
    path = checkpoints.save(tmp_path, {"a": torch.ones(3)}, epoch=1, step=0)

    def fail(*arguments, **options):
        raise trouble

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(kind, match=re.escape(said)) as caught:
        checkpoints.load(path)
    assert ("Delete" in str(caught.value)) == (kind is ValueError)
