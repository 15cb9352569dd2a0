"""What chapter 08 runs: the command line in a folder, runs beside records, one question to two networks."""

import pytest
import torch
from PIL import Image

from dmlbook import datasets, records
from dmlbook.__main__ import main
from dmlbook.chapters.ch08 import experiments


def test_four_losses_stand_in_a_plan_and_the_floor_below_them():
    plain, floored = experiments.four("field/cars"), experiments.four("field/cars", floor="cars-frozen")
    assert list(plain.rows) == list(experiments.METHODS)
    assert list(floored.rows) == [*experiments.METHODS, "frozen features"]
    assert experiments.FLOOR in floored.table(experiments.FULL)


def test_best_of_each_rung_is_the_highest_trial_after_so_many_epochs():
    head, first, *_ = experiments.best_by_rung("benchmarks-species")
    assert head.split() == ["epochs", "R@1", "1", "R@1", "2", "R@1", "4", "MAP@R", "1", "MAP@R", "2", "MAP@R", "4"]
    trials = records.load_search("choosing/benchmarks-species-softtriple").trials
    best = max(t.values("recall_at_1")[0] for t in trials if t.configuration["epochs"] == 2)
    assert first.split()[2] == f"{100 * best:.1f}"


def test_a_command_runs_in_its_folder_and_shows_the_lines_that_begin_so(tmp_path, capsys):
    experiments.command(main, "train --recipe list", home=tmp_path)
    whole = capsys.readouterr().out
    experiments.command(main, "train --recipe list", home=tmp_path, begins="softtriple:")
    part = capsys.readouterr().out
    assert part.startswith("softtriple: ")
    assert len(part) < len(whole)
    with pytest.raises(RuntimeError, match="sop-semihard-64"):
        experiments.command(main, "train --recipe no-such-recipe", home=tmp_path)


def test_a_folder_without_runs_adds_no_row(tmp_path):
    table = experiments.four("field/digits")
    beside, refused = experiments.with_yours(table, tmp_path)
    assert list(beside.rows) == list(table.rows)
    assert refused == {}


def test_pictures_are_written_a_folder_a_class(tmp_path):
    birds = datasets.load("birds", "test").of_classes(torch.arange(2))
    experiments.write_folder(birds, tmp_path, most=3)
    folders = sorted(path for path in tmp_path.iterdir())
    assert [len(list(folder.iterdir())) for folder in folders] == [3, 3]
    experiments.write_picture(birds, 0, tmp_path / "one.png")
    with Image.open(tmp_path / "one.png") as opened:
        assert opened.size == tuple(birds.images.shape[-2:])


def test_a_run_is_asked_for_the_later_classes_alone(tmp_path):
    birds = datasets.load("birds", "all", num_species=4, images_per_species=5)
    experiments.write_folder(birds, tmp_path / "photos", most=5)
    line = "train --data folder --root photos --loss softmax --net small --weights none --size 48 --augment shift"
    line += " --no-flip --no-freeze-batch-norm --epochs 1 --milestones 99 --no-baseline --split closed --folder run"
    experiments.command(main, line, home=tmp_path)
    kept = datasets.protocol("folder", "closed", root=tmp_path / "photos", size=48)
    found = [experiments.asked_the_same(tmp_path / "run", kept, first=first) for first in (0, 3)]
    assert 0 <= found[0] <= 1
    assert found[1] == 1  # one class is left: whatever is nearest is right


def test_scores_are_said_in_percent():
    assert experiments.said({"answered": 0.512, "fooled": 0.1}) == "answered 51.2, fooled 10.0"
