"""Compiled networks: the same training, the same names, and a word where there is no compiler."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dmlbook.training import TrainConfig, compiling, fit
from tests.training.training_toys import toy_config, toy_loss, toy_net, toy_set

ROOT = Path(__file__).resolve().parents[2]


def _run(folder=None, **options):
    config = toy_config(**{"batch_size": 15} | options)  # the last batch is smaller
    return fit(toy_net(), toy_loss(), toy_set(), config, folder=folder, device="cpu", progress=False)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="needs a C++ compiler")
def test_compiled_runs_and_plain_ones_go_on_from_each_other(tmp_path):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "DMLBOOK_MODE": "smoke"}
    command = [sys.executable, "-m", "tests.training.compiled_training", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    found = torch.load(tmp_path / "found.pt")
    assert found["networks"] >= 2  # Fabric compiles once more what it wraps
    assert list(found["mixed"]) == list(found["plain"])
    for name, value in found["plain"].items():
        torch.testing.assert_close(found["mixed"][name], value, atol=2e-5, rtol=1e-4)
    assert found["breaks"] == 0


def test_without_a_compiler_it_is_said_before_the_first_step(monkeypatch):
    def none(*arguments, **options):
        raise RuntimeError("\nInvalidCxxCompiler: No working C++ compiler found\nmore")

    monkeypatch.setattr(torch, "compile", none)
    message = (
        r"compile must find a compiler; got InvalidCxxCompiler: No working C\+\+ compiler found. A GPU needs triton"
    )
    with pytest.raises(ValueError, match=message):
        _run(compile=True)
    _run(epochs=1)


def test_batch_norm_that_several_processes_share_is_not_compiled():
    config = TrainConfig(compile=True, freeze_batch_norm=False)
    with pytest.raises(ValueError, match="compile must be False with several processes that share batch norm"):
        compiling.check_compile(toy_net(), config, torch.device("cpu"), 2)
    net = toy_net()
    assert compiling.compiled(net, TrainConfig()) is net
