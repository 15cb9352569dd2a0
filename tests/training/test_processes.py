"""Several processes of one run: they do what one would, however they are started, and none outlives the others."""

import os
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import torch

from dmlbook._checks import checked
from dmlbook.training import Place, checkpoints, processes
from dmlbook.training.devices import Devices
from tests.conftest import LAUNCHERS
from tests.training.training_toys import ROOT, environment, outcome

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="gloo between processes is tested on Linux and macOS")
MODULE = "tests.training.two_processes"


def _start(*arguments, launcher=(), **more):
    command = [sys.executable, "-m", *launcher, MODULE, *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env=environment(**more), **pipes)


def _end(process, status=0, seconds=240):
    said, complaint = process.communicate(timeout=seconds)
    assert process.returncode == status, complaint
    return said, complaint


def _same(one, other, tolerance=1e-6):
    assert list(one["state"]) == list(other["state"])
    for name, value in one["state"].items():
        torch.testing.assert_close(value, other["state"][name], atol=tolerance, rtol=tolerance, msg=f"{name}")
    for mine, theirs in zip(one["history"], other["history"], strict=True):
        assert mine == pytest.approx(theirs, rel=tolerance)


def _alone(kind, epochs=3):
    from tests.training.two_processes import run

    return outcome(run(1, kind=kind, epochs=epochs))


def _free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


# --- equal to one process


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", ["double", "double-live", "double-class", "double-head", "double-rests", "double-pieces"]
)
def test_two_processes_do_what_one_would_to_a_millionth_in_float64(tmp_path, kind):
    said, _ = _end(_start(tmp_path, kind, 3, 2, 1))
    assert said == ""
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(value, second["state"][name]) for name, value in first["state"].items())
    assert first["history"] == second["history"]
    assert all(value.dtype == torch.float64 for value in first["state"].values() if value.is_floating_point())
    _same(first, _alone(kind))


@pytest.mark.slow
def test_torchrun_starts_the_processes_and_nothing_is_started_again(tmp_path):
    launcher = ("torch.distributed.run", "--nproc-per-node", "2", "--master-port", _free_port(), "-m")
    said, _ = _end(_start(tmp_path, "double", 3, 2, 1, launcher=launcher))
    assert said == ""
    _same(torch.load(tmp_path / "rank1.pt"), _alone("double"))
    assert sorted(path.name for path in tmp_path.glob("rank*")) == ["rank0.pt", "rank1.pt"]


@pytest.mark.slow
def test_two_machines_train_as_one_would_and_the_first_process_of_the_first_alone_writes(tmp_path):
    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    nodes = [_start(tmp_path, "double", 3, 1, 2, NODE_RANK=str(rank), **together) for rank in (0, 1)]
    for node in nodes:
        assert _end(node)[0] == ""
    _same(torch.load(tmp_path / "rank1.pt"), _alone("double"))
    assert len(list(tmp_path.glob("checkpoint-*.pt"))) == checkpoints.KEEP
    assert len((tmp_path / "history.csv").read_text().splitlines()) == 4


@pytest.mark.slow
def test_a_slurm_job_is_not_started_again(tmp_path):
    job = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_NNODES": "1", "SLURM_JOB_NAME": "train"}
    job |= {"SLURM_NODEID": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port(), "SLURM_JOB_ID": "77"}
    tasks = [_start(tmp_path, "double", 3, 2, 1, SLURM_PROCID=rank, SLURM_LOCALID=rank, **job) for rank in "01"]
    printed = [_end(task)[0] for task in tasks]
    assert printed == ["", ""]
    assert sorted(path.name for path in tmp_path.glob("rank*.pt")) == ["rank0.pt", "rank1.pt"]  # no third was started
    second = torch.load(tmp_path / "rank1.pt")
    assert len(second["history"]) == 3
    _same(second, _alone("double"))


@pytest.mark.slow
def test_a_run_goes_on_with_another_number_of_processes(tmp_path):
    for epochs, devices in ((1, 1), (2, 2), (3, 1)):
        _end(_start(tmp_path, "double-live", epochs, devices, 1))
    resumed = torch.load(tmp_path / "rank0.pt")
    assert len(resumed["history"]) == 3
    _same(resumed, _alone("double-live"))


# --- a process that dies


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["0", "1"])
def test_a_process_that_dies_ends_the_others_in_one_sentence_and_no_checkpoint_is_lost(tmp_path, victim):
    began = time.monotonic()
    process = _start(tmp_path, "frozen", 50, 2, 1, KILL_RANK=victim)
    said, complaint = process.communicate(timeout=240)  # both have closed their ends of the pipes
    assert time.monotonic() - began < 180
    assert process.returncode == (-signal.SIGKILL if victim == "0" else 1), complaint
    why = "process 1 of it ended with signal 9" if victim == "1" else "the process that started it has ended"
    sentence = [line for line in complaint.splitlines() if "the run cannot go on" in line]
    assert len(sentence) == 1, complaint
    assert why in sentence[0]
    assert "the same command goes on from the last checkpoint" in sentence[0]
    assert said == ""
    assert checkpoints.load(checkpoints.find(tmp_path)[-1])["epoch"] == 2  # of three steps each


class _Child:
    def __init__(self, code):
        self.code = code

    def poll(self):
        return self.code

    def kill(self):
        self.code = -9


def test_the_watch_says_who_has_died_and_how(monkeypatch):
    assert processes.Watch([_Child(None), _Child(0)]).look() is None
    assert processes.Watch([_Child(0), _Child(0)]).look() == ""
    assert processes.Watch([_Child(0), _Child(3)]).look() == "process 2 of it ended with status 3"
    assert processes.Watch([_Child(-9)]).look() == "process 1 of it ended with signal 9"
    monkeypatch.setattr(os, "getppid", lambda: 5)
    assert processes.Watch(parent=5).look() is None
    assert processes.Watch(parent=6).look() == "the process that started it has ended"


def test_fabrics_own_watch_looks_at_nobody_any_more():
    from lightning.fabric.strategies.launchers import subprocess_script

    observer = subprocess_script._ChildProcessObserver(main_pid=0, child_processes=[_Child(-9)], sleep_period=1)
    observer.start()
    processes.silence_observer()
    observer.join(timeout=30)
    assert not observer.is_alive()
    assert observer._finished


def test_what_torch_says_of_a_silent_process_is_said_in_a_sentence(monkeypatch):
    monkeypatch.setattr(processes, "GRACE", 0.0)
    silent = pytest.raises(processes.ProcessLost, match="does not answer \\(Connection closed by peer")
    with silent, processes.together(2):
        raise RuntimeError("Connection closed by peer [127.0.0.1]:1")
    for world, text in ((1, "Connection closed"), (2, "shapes differ")):
        with pytest.raises(RuntimeError, match=text), processes.together(world):
            raise RuntimeError(text)


# --- what launchers say


class _Fabric:
    """Says to the first of two processes what the second says."""

    def __init__(self, first, others):
        self.first, self.others = first, others

    def broadcast(self, value):
        return self.first

    def all_reduce(self, value, reduce_op):
        return value + self.others


def test_processes_that_begin_at_different_places_are_refused():
    devices = Devices.__new__(Devices)  # without starting processes
    devices.world, devices.device, devices.fabric = 2, torch.device("cpu"), _Fabric("epoch 3, step 0", 0)
    devices.check_agreed(3, 0)
    with pytest.raises(ValueError, match=r"the same checkpoint; got epoch 0, step 0 here, epoch 3, step 0 there"):
        devices.check_agreed(0, 0)
    devices.fabric = _Fabric("epoch 3, step 0", 1)  # another one sees none
    with pytest.raises(ValueError, match="Put it on a disk that all machines share"):
        devices.check_agreed(3, 0)
    devices.world = 1
    devices.check_agreed(0, 0)


def test_rows_of_all_processes_come_in_order_without_what_fills_up(monkeypatch):
    def all_gather(parts, part):
        for number, each in enumerate(parts):
            each.copy_(part + 10 * number)

    monkeypatch.setattr(torch.distributed, "all_gather", all_gather)
    found = processes.concatenated(torch.tensor([[0.0], [1.0]]), 3, 2)
    assert found.tolist() == [[0.0], [1.0], [10.0]]
    devices = Devices.__new__(Devices)
    devices.world, part = 1, torch.ones(2, 1)
    assert devices.all_rows(part, 2) is part


@pytest.mark.parametrize("launcher", [None, "torchrun"])
def test_who_starts_a_process_is_named_to_it_alone(monkeypatch, launcher):
    seen, named = [], str(os.getpid()) if launcher is None else None
    monkeypatch.setattr("dmlbook.training.devices.launcher", lambda: launcher)
    devices = Devices.__new__(Devices)
    started = SimpleNamespace(launch=lambda: seen.append(os.environ.get(processes.PARENT)), strategy=None)
    devices.fabric = started
    devices._launch()
    assert seen == [named]  # what a process that is started then inherits
    assert processes.PARENT not in os.environ


def test_a_process_is_pollable():
    assert isinstance(_Child(0), processes.Started)


def test_nobody_has_started_the_tests_as_one_of_several():
    assert processes.launcher() is None
    assert processes.first_process()
    assert [name for name in os.environ if any(word in name for word in LAUNCHERS)] == []


@pytest.mark.parametrize(
    ("said", "by", "first"),
    [
        ({}, None, True),
        ({"LOCAL_RANK": "0"}, None, True),
        ({"LOCAL_RANK": "1"}, None, False),
        ({"NODE_RANK": "1", "LOCAL_RANK": "0"}, None, False),
        ({"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "LOCAL_RANK": "0"}, "torchrun", True),
        ({"TORCHELASTIC_RUN_ID": "x", "RANK": "2", "LOCAL_RANK": "0"}, "torchrun", False),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "2", "SLURM_LOCALID": "0"}, "srun", False),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, "srun", True),
        ({"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_NAME": "bash"}, None, True),
        ({"SLURM_NTASKS": "4"}, None, True),
    ],
)
def test_the_first_process_is_known_before_they_have_met(monkeypatch, said, by, first):
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert processes.launcher() == by
    assert processes.first_process() is first


def test_what_a_launcher_has_started_must_be_what_was_asked_for(monkeypatch):
    for name, value in {"TORCHELASTIC_RUN_ID": "x", "RANK": "0", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=r"got 1 x 1 for the 4 processes that torchrun .* Pass devices=2, nodes=2"):
        Place("cpu")
    processes.check_launched(2, 2)
    assert Place("cpu", devices=2, nodes=2).nodes == 2
    monkeypatch.delenv("TORCHELASTIC_RUN_ID")
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_NTASKS", "2")
    with pytest.raises(ValueError, match="devices must be what SLURM starts on each machine"):
        Place("cpu", devices=2)
    monkeypatch.setenv("SLURM_NTASKS_PER_NODE", "1")
    with pytest.raises(ValueError, match=r"the 2 processes that srun has started. Pass devices=1, nodes=2"):
        Place("cpu", devices=2, nodes=2)
    assert Place("cpu", devices=1, nodes=2).devices == 1


def test_a_watch_speaks_for_who_started_it(capsys, monkeypatch):
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)

    @checked
    def fit_of_a_test():
        return processes.Watch([_Child(3)])

    monkeypatch.setattr(_Child, "kill", lambda self: None, raising=False)
    watch = fit_of_a_test()
    watch.start()
    watch.join()
    assert ended == [1]
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert "fit_of_a_test: the run cannot go on, since process 1 of it ended with status 3." in said
    assert "from the last checkpoint, if there is one." in said
