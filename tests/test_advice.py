"""The pages of advice: every command on them runs, in their order, on a small folder; what they name is there."""

import re
import shlex
from argparse import ArgumentParser
from importlib import import_module
from pathlib import Path

import pytest
import torch

from dmlbook import nets, settings
from dmlbook.__main__ import COMMANDS, main
from dmlbook.commands import settled
from tests.datasets.image_trees import noise_tree

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
PAGES = {
    name: (NOTEBOOKS / f"{name}.md").read_text(encoding="utf-8").replace(" \\\n", "")  # commands of two lines
    for name in ("bad_scores", "which_loss")
}
LINE = re.compile(r"^ {4}(python -m dmlbook .+)$", re.MULTILINE)
INLINE = re.compile(r"`(--[a-z][\w-]*)(?: [^`]*)?`")
SMALLER = {
    "--size": "16",
    "--pca": "8",
    "--validation": "0.4",
    "--batch-size": "6",
    "--net": "small",
    "--weights": "small.pt",
}  # what twelve classes can fill
FEW = {"8": "3", "2": "2"}  # samples of a class
ALL = re.compile(r"compare --data folder --root my_photos$")  # thirteen losses: its parser alone is asked


def commands(page):
    """Their arguments, in the order of the page."""
    return [shlex.split(line)[3:] for line in LINE.findall(PAGES[page])]


def small(arguments):
    """The same command for a folder of twelve classes of five pictures."""
    found = [SMALLER.get(before, word) for before, word in zip(["", *arguments], arguments, strict=False)]
    found = [
        FEW[word] if before == "--samples-per-class" else word
        for before, word in zip(["", *found], found, strict=False)
    ]
    more = {"train": ["--epochs", "1", "--embedding-size", "8"], "compare": ["--validation", "0.4"]}.get(found[0], [])
    if found[0] in ("train", "evaluate", "compare") and not {"--run", "--size"} & set(found):
        more = [*more, "--size", "16"]
    if found[0] == "train" and "--batch-size" not in found:
        more = [*more, "--batch-size", "12"]
    return [*found, *(["--neighbors", "3", "--seeds", "1"] if found[0] == "map" else more)]


@pytest.fixture
def my_photos(tmp_path, monkeypatch):
    """A folder of noise, and a network that is there without a download."""
    noise_tree(tmp_path / "my_photos")
    torch.save(nets.build("small", embedding_size=8, seed=5).backbone.state_dict(), tmp_path / "small.pt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DMLBOOK_MODE", "smoke")
    monkeypatch.setattr(settings, "results_root", lambda: tmp_path / "results")
    offline = {"net": "small", "weights": None, "config": {"freeze_batch_norm": False}}
    monkeypatch.setitem(settled.DEFAULTS, "folder", offline)
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_runs(page, my_photos, capsys):
    ran = 0
    for arguments in commands(page):
        if ALL.search(shlex.join(arguments)):
            continue
        capsys.readouterr()
        assert main(small(arguments)) == 0, f"{arguments}\n{capsys.readouterr().err}"
        ran += 1
    assert ran == len(commands(page)) - (page == "which_loss") > 2
    pictures = {"bad_scores": ["curves.png", "stuck.png"], "which_loss": ["learning.png"]}[page]
    assert all((my_photos / name).read_bytes().startswith(b"\x89PNG") for name in pictures)


def test_ten_causes_each_with_how_it_shows_a_command_and_what_to_do():
    parts = re.split(r"^## (?=\d+\. )", PAGES["bad_scores"], flags=re.MULTILINE)[1:]
    assert [part.split(".")[0] for part in parts] == [str(n) for n in range(1, 11)]
    for part in parts:
        places = [part.find(f"**{word}.**") for word in ("How it shows", "Show it", "What to do")]
        assert -1 < places[0] < places[1] < LINE.search(part).start() < places[2]


@pytest.mark.parametrize("page", PAGES)
def test_every_option_that_a_page_names_is_one(page):
    known = set()
    for name in COMMANDS:
        parser = ArgumentParser()
        import_module(f"dmlbook.commands.{name}").add_arguments(parser)
        known |= {flag for action in parser._actions for flag in action.option_strings}
    assert set(INLINE.findall(PAGES[page])) <= known
    for arguments in commands(page):
        assert {word for word in arguments if word.startswith("--")} <= known


@pytest.mark.parametrize("page", PAGES)
def test_a_page_types_no_score(page):
    text = LINE.sub("", PAGES[page])
    assert re.findall(r"\d+(?:\.\d+)? ?(?:%|percent\b|points\b)", text) == []


@pytest.mark.parametrize("page", PAGES)
def test_the_sections_of_chapters_that_a_page_names_are_there(page):
    for chapter, rest in re.findall(r"\[(?:[Cc]hapter )?\d+[bc]?\]\((\w+)\.ipynb\), ([\dbc., and]+)", PAGES[page]):
        source = (NOTEBOOKS / "src" / f"{chapter}.py").read_text(encoding="utf-8")
        for number in re.findall(r"\d+[bc]?\.\d+", rest):
            assert re.search(rf"^# ## {re.escape(number)} ", source, re.MULTILINE), (chapter, number)
