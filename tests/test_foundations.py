"""Floor 0: settings from the environment, and seeds by name."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dmlbook import seeding, settings


@pytest.mark.parametrize("mode", settings.MODES)
def test_mode_chooses_sizes(monkeypatch, mode):
    monkeypatch.setenv("DMLBOOK_MODE", mode)
    assert settings.by_mode(smoke="smoke", class_="class", full="full") == mode


def test_mode_is_class_unless_set_and_a_typing_error_is_named(monkeypatch):
    monkeypatch.delenv("DMLBOOK_MODE", raising=False)
    assert settings.mode() == "class"
    monkeypatch.setenv("DMLBOOK_MODE", "smok")
    with pytest.raises(ValueError, match="DMLBOOK_MODE must be one of .*got 'smok'. Did you mean 'smoke'"):
        settings.mode()


def test_data_root_follows_the_environment_then_the_checkout_then_the_home(monkeypatch, tmp_path):
    monkeypatch.setenv("DMLBOOK_DATA", str(tmp_path))
    assert settings.data_root() == tmp_path
    monkeypatch.delenv("DMLBOOK_DATA")
    root = settings.project_root()
    assert root is not None
    assert settings.data_root() == root / "data" / "downloads"
    assert settings.results_root() == root / "data" / "results"
    monkeypatch.setattr(settings, "project_root", lambda: None)
    assert settings.data_root().parts[-2:] == (".cache", "dmlbook")
    assert settings.results_root().name == "results"


def test_named_generators_are_the_same_in_every_process_and_differ_by_name_and_seed():
    def draw(*names):
        return torch.rand(4, generator=seeding.generator(*names)).tolist()

    assert draw(1, "a") == draw(1, "a")
    assert draw(1, "a") != draw(1, "b")
    assert draw(1, "a") != draw(2, "a")
    assert draw(1, "ab", "c") != draw(1, "a", "bc")
    script = "from dmlbook.seeding import named_seed; print(named_seed(1, 'sampler', 3))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert int(printed) == seeding.named_seed(1, "sampler", 3)


def test_a_named_seed_is_the_same_on_every_machine_and_fits_in_63_bits():
    assert seeding.named_seed(1, "sampler") == 5664748819516242636
    assert all(seeding.named_seed(seed).bit_length() <= 63 for seed in range(100))


def test_the_data_folder_may_begin_with_a_tilde(monkeypatch):
    monkeypatch.setenv("DMLBOOK_DATA", "~/images")
    assert settings.data_root() == Path.home() / "images"


@pytest.mark.parametrize(
    ("cuda", "mps", "device"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_the_device_is_the_first_that_is_there(monkeypatch, cuda, mps, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert settings.device() == device
