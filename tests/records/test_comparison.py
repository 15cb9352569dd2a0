"""Comparisons: alike, or it is said; and a saying that is no longer true is refused, too."""

import copy

import pytest

from dmlbook import records
from dmlbook.training.views import PHOTO_CROP

TRAINING = {"epochs": 5, "batch_size": 32, "freeze_backbone": False, "lr": 0.1}
CONFIGURATION = {
    "data": "cars", "size": 128, "data_options": {}, "training_images": 8054, "measured_on": "test classes",
    "network": {"embedding_size": 64}, "training": TRAINING,
}  # fmt: skip
CHOICE = {"search": "choosing/a", "own": True, "by": "recall_at_1", "trials": 8, "seeds": 1, "epochs": 2}
COLUMNS = {"recall_at_1": "R@1", "map_at_r": "MAP@R"}


def written(root, name, scores=(0.4, 0.6), *, first=0, change=None, choice=None) -> str:
    """A record in ``root``; ``change`` sets entries of its configuration, those of ``training`` by a dot."""
    configuration = copy.deepcopy(CONFIGURATION)
    for key, value in (change or {}).items():
        inner, _, last = key.rpartition(".")
        (configuration[inner] if inner else configuration)[last] = value
    record = records.Record(name, name, configuration, choice={**CHOICE, **(choice or {})})
    (root / f"{name}.json").unlink(missing_ok=True)
    for seed, score in enumerate(scores, start=first):
        record.add(seed, {"recall_at_1": score, "map_at_r": score / 2}, seconds=1)
    record.save(root)
    return name


def floor(root) -> str:
    """Frozen features: no training, no choice, one run, more dimensions."""
    configuration = {key: CONFIGURATION[key] for key in ("data", "size", "measured_on", "network")}
    record = records.Record("frozen", "Frozen", {**configuration, "dimensions": 1280})
    record.add(0, {"recall_at_1": 0.3, "map_at_r": 0.1}, seconds=1)
    record.save(root)
    return "frozen"


def test_rows_that_are_alike_make_a_table_and_paired_gains(tmp_path):
    rows = {"A": written(tmp_path, "a", change={"training.lr": 1.0}), "B": written(tmp_path, "b", (0.5, 0.9))}
    both = records.compare(rows, root=tmp_path)
    assert both.table(COLUMNS).splitlines()[2:] == [
        "| A | 50.0 ± 127.1 (2) | 25.0 ± 63.5 (2) |",
        "| B | 70.0 ± 254.1 (2) | 35.0 ± 127.1 (2) |",
    ]
    assert both.gains("B", "A", "recall_at_1") == pytest.approx([0.1, 0.3])
    assert isinstance(both, records.Comparison)
    assert both.unequal == {}


DIFFERENCES = {
    "split": {"change": {"measured_on": "0.2 of the training classes"}},
    "dimensions": {"change": {"network": {"embedding_size": 512}}},
    "network": {"change": {"network.weights": "imagenet"}},
    "views": {"change": {"training.flip": True}},
    "optimizer": {"change": {"training.optimizer": "adamw"}},
    "seeds": {"scores": (0.4, 0.5, 0.6)},
    "budget": {"change": {"training.epochs": 6}},
    "effort": {"choice": {"trials": 1}},
    "settings": {"choice": {"own": False}},
}


@pytest.mark.parametrize("facet", records.FACETS)
@pytest.mark.bad_input
def test_rows_that_differ_are_refused_until_it_is_said(facet, tmp_path):
    rows = {"A": written(tmp_path, "a"), "B": written(tmp_path, "b", **DIFFERENCES[facet])}
    with pytest.raises(ValueError, match=rf"compare: rows must be alike in {facet} \(.*\); got A: .*; B: .*unequal="):
        records.compare(rows, root=tmp_path)
    said = records.compare(rows, unequal={facet: "B has another one."}, root=tmp_path)
    assert said.table(COLUMNS).endswith(f"|\n\n*Not alike, {facet}: B has another one.*")
    rows["B"] = rows["A"]
    with pytest.raises(ValueError, match=f"unequal must name in what the rows differ; got '{facet}'"):
        records.compare(rows, unequal={facet: "B has another one."}, root=tmp_path)


@pytest.mark.parametrize(
    ("facet", "difference"),
    [
        ("split", {"data": "cub"}), ("split", {"size": 64}), ("split", {"data_options": {"difficulty": "hard"}}),
        ("split", {"classes_made_of": "5 kinds"}), ("split", {"held_out": "test_*"}),
        ("budget", {"training_images": 100}), ("budget", {"training.batch_size": 64}),
        ("budget", {"training.freeze_backbone": True}),
        ("network", {"network.name": "resnet50"}), ("network", {"network.width_mult": 0.35}),
        ("network", {"network.preprocessing": "unit"}), ("network", {"network.bn_eps": 1e-3}),
        ("views", {"training.augment": "shift"}), ("views", {"training.image_size": 96}),
        ("views", {"training.test_crop": 1.0}), ("optimizer", {"training.adam_eps": 0.01}),
        ("optimizer", {"training.schedule": "cosine"}), ("optimizer", {"training.milestones": [3]}),
        ("optimizer", {"training.clip_norm": 10.0}), ("optimizer", {"training.ema_decay": 0.99}),
    ],
)  # fmt: skip
def test_each_part_of_a_facet_counts(facet, difference, tmp_path):
    rows = {"A": written(tmp_path, "a"), "B": written(tmp_path, "b", change=difference)}
    with pytest.raises(ValueError, match=f"alike in {facet}"):
        records.compare(rows, root=tmp_path)


@pytest.mark.parametrize("key", ["trials", "seeds", "epochs", "by"])
def test_each_part_of_the_effort_counts(key, tmp_path):
    rows = {"A": written(tmp_path, "a"), "B": written(tmp_path, "b", choice={key: 77})}
    with pytest.raises(ValueError, match="alike in effort"):
        records.compare(rows, root=tmp_path)


def test_what_has_no_effect_is_no_difference(tmp_path):
    """Ranges of views that are not drawn, steps of a schedule without any, and what belongs to the loss."""
    for shared, unlike in (
        ({"training.augment": "none"}, {"training.crop_scale": [0.3, 1.0]}),
        ({"training.augment": "crop"}, {"training.shift": 0.2}),
        ({"training.schedule": "cosine"}, {"training.milestones": [3]}),
        ({}, {"network.normalize": False}),
        ({}, {"training.test_crop": PHOTO_CROP}),
        ({"data": "birds"}, {"training.test_crop": 1.0}),
    ):
        rows = {"A": written(tmp_path, "a", change=shared), "B": written(tmp_path, "b", change={**shared, **unlike})}
        assert records.compare(rows, root=tmp_path).unequal == {}


def test_ranges_of_the_views_that_are_drawn_count(tmp_path):
    for shared, unlike in (
        ({"training.augment": "crop"}, {"training.crop_scale": [0.3, 1.0]}),
        ({"training.augment": "shift"}, {"training.shift": 0.2}),
    ):
        rows = {"A": written(tmp_path, "a", change=shared), "B": written(tmp_path, "b", change={**shared, **unlike})}
        with pytest.raises(ValueError, match="alike in views"):
            records.compare(rows, root=tmp_path)


def test_what_trains_nothing_is_a_floor_and_no_rival(tmp_path):
    rows = {"frozen": floor(tmp_path), "A": written(tmp_path, "a")}
    with pytest.raises(ValueError, match="alike in dimensions"):
        records.compare(rows, root=tmp_path)
    both = records.compare(rows, unequal={"dimensions": "The frozen features keep all."}, root=tmp_path)
    assert both.gains("A", "frozen", "recall_at_1") == pytest.approx([0.1, 0.3])


@pytest.mark.bad_input
def test_other_seeds_are_not_paired_and_unknown_names_are_said(tmp_path):
    rows = {"A": written(tmp_path, "a"), "B": written(tmp_path, "b", (0.4, 0.5, 0.6))}
    both = records.compare(rows, unequal={"seeds": "B has one more."}, root=tmp_path)
    with pytest.raises(ValueError, match=r"gains: over must have the seeds of row; got \[0, 1, 2\] and \[0, 1\]"):
        both.gains("B", "A", "recall_at_1")
    rows["B"] = written(tmp_path, "b", (0.4, 0.5), first=1)  # as many, but others
    others = records.compare(rows, unequal={"seeds": "B has later ones."}, root=tmp_path)
    with pytest.raises(ValueError, match=r"gains: over must have the seeds of row; got \[1, 2\] and \[0, 1\]"):
        others.gains("B", "A", "recall_at_1")
    with pytest.raises(ValueError, match=r"gains: row must be one of .*; got 'C'"):
        both.gains("C", "A", "recall_at_1")
    with pytest.raises(ValueError, match="unequal 'luck' must be one of"):
        records.compare(rows, unequal={"luck": "B had more."}, root=tmp_path)
    with pytest.raises(ValueError, match="figures must hold 'map_at_r' beside 'recall_at_1'"):
        both.table({"recall_at_1": "R@1"})


# Differences and settings


def rows_of_three(root) -> records.Comparison:
    """Three rivals over four seeds: B differs from A by much, C by chance."""
    rows = {
        "A": written(root, "a", (0.40, 0.42, 0.44, 0.43)),
        "B": written(root, "b", (0.50, 0.53, 0.54, 0.54)),
        "C": written(root, "c", (0.41, 0.40, 0.45, 0.44)),
    }
    return records.compare(rows, root=root)


def test_differences_are_paired_and_their_tests_adjusted_over_the_whole_table(tmp_path):
    from scipy.stats import ttest_rel

    both = rows_of_three(tmp_path)
    found = both.tested("A", COLUMNS)
    raw = []
    for row in ("B", "C"):
        for figure in COLUMNS:
            mine, theirs = both.rows[row].values(figure), both.rows["A"].values(figure)
            raw.append(float(ttest_rel(mine, theirs).pvalue))
            gains = [m - t for m, t in zip(mine, theirs, strict=True)]
            assert (found[row][figure].mean, found[row][figure].half) == pytest.approx(records.interval(gains))
    assert [found[row][figure].p for row in ("B", "C") for figure in COLUMNS] == pytest.approx(records.holm(raw))
    assert found["B"]["map_at_r"].p > raw[1]
    assert [found[row]["recall_at_1"].told_apart for row in ("B", "C")] == [True, False]
    lines = both.differences("A", COLUMNS).splitlines()
    assert lines[0] == "| minus A | R@1 | MAP@R |"
    assert lines[2].startswith("| B | **+10.5 ± 0.9 (p < 0.001)** | **+5.3 ± 0.5 (p < 0.001)** |")
    assert lines[3].startswith("| C | +0.3 ± 2.4 (p = 1.000) |")
    assert lines[-1].startswith(
        "*Percent points, mean over 4 seeds ± 95 percent interval, paired by seed; p of the paired"
    )
    assert "adjusted by Holm over the 4 comparisons of this table; bold: p < 0.05.*" in lines[-1]
    with pytest.raises(ValueError, match="figures must hold 'map_at_r' beside 'recall_at_1'"):
        both.differences("A", {"recall_at_1": "R@1"})
    with pytest.raises(ValueError, match="tested: over must be one of 'A', 'B', 'C'; got 'D'"):
        both.tested("D", COLUMNS)


def test_where_there_is_no_test_it_is_said(tmp_path):
    rows = {"A": written(tmp_path, "a", (0.4, 0.5, 0.6)), "B": written(tmp_path, "b", (0.5, 0.6, 0.7))}
    same = records.compare(rows, root=tmp_path).differences("A", COLUMNS).splitlines()
    assert same[2] == "| B | +10.0 ± 0.0 | +5.0 ± 0.0 |"
    assert "Where all differences are the same there is no test, and no p." in same[-1]
    rows = {"A": written(tmp_path, "a", (0.4,)), "B": written(tmp_path, "b", (0.5,))}
    one = records.compare(rows, root=tmp_path).differences("A", COLUMNS).splitlines()
    assert one[2] == "| B | +10.0 | +5.0 |"
    assert one[-1] == "*Percent points of one seed, which has neither interval nor test.*"


def test_a_floor_is_compared_with_every_seed_from_either_side(tmp_path):
    rows = {
        "frozen": floor(tmp_path),
        "A": written(tmp_path, "a", (0.4, 0.5, 0.6)),
        "B": written(tmp_path, "b", (0.3, 0.5, 0.4)),
    }
    both = records.compare(rows, unequal={"dimensions": "The frozen features keep all."}, root=tmp_path)
    from_floor, from_a = both.tested("frozen", COLUMNS), both.tested("A", COLUMNS)
    assert from_floor["A"]["recall_at_1"].mean == pytest.approx(0.2)
    assert from_a["frozen"]["recall_at_1"].mean == pytest.approx(-0.2)
    assert from_a["frozen"]["recall_at_1"].half == pytest.approx(from_floor["A"]["recall_at_1"].half)
    said = both.differences("A", COLUMNS)
    assert "Nothing is trained for frozen: one number stands for every seed." in said


HALVED = {"rungs": [1, 2, 4], "epochs": 2, "settings": {"lr": 0.001, "batch_size": 64, "epochs": 2}}


def test_rows_of_halving_searches_are_alike_within_one_limit(tmp_path):
    other = {"rungs": [1, 2, 4], "epochs": 4, "settings": {"loss_option.gamma": 0.1, "batch_size": 32, "epochs": 4}}
    rows = {
        "A": written(tmp_path, "a", change={"training.epochs": 2, "training.batch_size": 64}, choice=HALVED),
        "B": written(tmp_path, "b", change={"training.epochs": 4}, choice=other),
    }
    both = records.compare(rows, root=tmp_path)
    assert both.table(COLUMNS).splitlines()[-1] == (
        "*Every row that trains: its number of epochs (4 or fewer) and the size of a batch are settings like the "
        "others, chosen by recall_at_1 on held-out training data. Trials: 8, measured after 1, 2, 4 epochs, where the "
        "better half goes on; seeds of each: 1.*"
    )
    assert both.settings().splitlines() == [
        "| | lr | batch_size | gamma | epochs |",
        "|---|---|---|---|---|",
        "| A | 0.001 | 64 |  | 2 |",
        "| B |  | 32 | 0.1 | 4 |",
    ]


@pytest.mark.parametrize(
    ("facet", "change", "choice"),
    [
        ("budget", {"training_images": 100}, {}),
        ("budget", {}, {"settings": {"lr": 1, "epochs": 2}}),
        ("effort", {}, {"trials": 9}),
        ("effort", {}, {"seeds": 2}),
        ("effort", {}, {"by": "map_at_r"}),
    ],
)
def test_each_part_of_a_halving_search_counts(facet, change, choice, tmp_path):
    rows = {
        "A": written(tmp_path, "a", choice=HALVED),
        "B": written(tmp_path, "b", change=change, choice=HALVED | choice),
    }
    with pytest.raises(ValueError, match=f"alike in {facet}"):
        records.compare(rows, root=tmp_path)


def test_other_rungs_are_another_budget_and_another_effort(tmp_path):
    rows = {"A": written(tmp_path, "a", choice=HALVED), "B": written(tmp_path, "b", choice=HALVED | {"rungs": [1, 2]})}
    with pytest.raises(ValueError, match="alike in budget"):
        records.compare(rows, root=tmp_path)
    with pytest.raises(ValueError, match="alike in effort"):
        records.compare(rows, unequal={"budget": "B is shorter."}, root=tmp_path)


def test_settings_of_a_grid_show_how_long_the_last_run_was(tmp_path):
    rows = {"frozen": floor(tmp_path), "A": written(tmp_path, "a", choice={"settings": {"lr": 0.1, "flip": True}})}
    both = records.compare(rows, unequal={"dimensions": "The frozen features keep all."}, root=tmp_path)
    assert both.settings().splitlines()[::2] == ["| | lr | flip | epochs |", "| A | 0.1 | yes | 5 |"]


@pytest.mark.bad_input
def test_two_files_of_splits_are_two_measures(tmp_path):
    files = [{"file": "mine.csv", "sha256": letter} for letter in "ab"]
    rows = {letter: written(tmp_path, letter, change={"split": file}) for letter, file in zip("ab", files, strict=True)}
    with pytest.raises(ValueError, match="rows must be alike in split"):
        records.compare(rows, root=tmp_path)
    rows["b"] = written(tmp_path, "c", change={"split": files[0]})
    assert records.compare(rows, root=tmp_path).unequal == {}
