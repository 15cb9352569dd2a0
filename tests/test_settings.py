"""Sizes, folders and the device come from the environment."""

from pathlib import Path

import pytest
import torch

from dmlbook import settings


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


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {}, "~/.cache/dmlbook/photos"),
        ("linux", {"XDG_CACHE_HOME": "/scratch/ann"}, "/scratch/ann/dmlbook/photos"),
        ("linux", {"XDG_CACHE_HOME": "here"}, "~/.cache/dmlbook/photos"),  # the convention: relative ones are none
        ("darwin", {"XDG_CACHE_HOME": "/scratch/ann"}, "~/Library/Caches/dmlbook/photos"),
        ("win32", {}, "~/AppData/Local/dmlbook/photos"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/dmlbook/photos"),
        ("linux", {"DMLBOOK_CACHE": "~/fast"}, "~/fast"),
        ("win32", {"DMLBOOK_CACHE": "/fast", "LOCALAPPDATA": "/local"}, "/fast"),
    ],
)
def test_decoded_photographs_are_kept_where_the_platform_keeps_such(monkeypatch, platform, variables, folder):
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "DMLBOOK_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(settings.sys, "platform", platform)
    assert settings.cache_root() == Path(folder).expanduser()


def test_the_cache_is_bounded_by_a_number_of_gigabytes(monkeypatch):
    monkeypatch.delenv("DMLBOOK_CACHE_GB", raising=False)
    assert settings.cache_bytes() == 32_000_000_000
    monkeypatch.setenv("DMLBOOK_CACHE_GB", "0.5")
    assert settings.cache_bytes() == 500_000_000
    monkeypatch.setenv("DMLBOOK_CACHE_GB", "")  # as where it is not set
    assert settings.cache_bytes() == 32_000_000_000
    monkeypatch.setenv("DMLBOOK_MODE", "")
    assert settings.mode() == "class"
    for text in ("0", "-1", "nan", "inf", "many", "1e6"):
        monkeypatch.setenv("DMLBOOK_CACHE_GB", text)
        with pytest.raises(
            ValueError, match="DMLBOOK_CACHE_GB must be a number of gigabytes above 0 and below a million; got"
        ):
            settings.cache_bytes()


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
