"""A search: its whole grid, with the same seeds, or it has no best."""

import pytest

from dmlbook import records

SPACE = {"lr": [0.001, 0.01, 0.1], "flip": [False, True]}
GRID = [{"lr": lr, "flip": flip} for lr in SPACE["lr"] for flip in SPACE["flip"]]


def search(scores=None, seeds=(1,)) -> records.Search:
    """One that has tried its grid; ``scores`` in the order of ``GRID``."""
    made = records.Search("choosing/a", "A search", {"data": "birds", "training": {"epochs": 2}}, SPACE, "recall_at_1")
    for settings, score in zip(GRID, scores or [], strict=False):
        for seed in seeds:
            made.trial(settings).add(seed, {"recall_at_1": score, "map_at_r": 1 - score}, seconds=1)
    return made


SCORES = [0.1, 0.2, 0.3, 0.6, 0.5, 0.4]


def test_a_search_is_read_as_it_was_written(tmp_path):
    made = search(SCORES, seeds=(1, 2))
    assert made.save(tmp_path) == tmp_path / "choosing" / "a.json"
    assert records.load_search("choosing/a", tmp_path) == made
    assert made.provenance["versions"]["torch"]


def test_the_best_has_the_highest_mean_of_the_figure_named_and_the_first_of_equals_wins():
    assert search(SCORES).best().configuration == {"lr": 0.01, "flip": True}
    made = search(SCORES)
    made.by = "map_at_r"
    assert made.best().configuration == {"lr": 0.001, "flip": False}
    assert search([0.5] * 6).best().configuration == GRID[0]
    uneven = search([0.5] * 6)
    for settings, score in zip(GRID, [0.5, 0.5, 0.9, 0.2, 0.2, 0.2], strict=True):
        uneven.trial(settings).add(2, {"recall_at_1": score, "map_at_r": 0.1}, seconds=1)
    assert uneven.best().configuration == GRID[2]


def test_an_edge_is_a_number_at_the_end_of_what_was_tried():
    assert search(SCORES).edges() == []
    assert search([0.9, *SCORES[1:]]).edges() == ["lr"]
    assert search([*SCORES[:5], 0.9]).edges() == ["lr"]


def test_a_choice_says_how_much_was_tried_and_for_whom():
    choice = search(SCORES, seeds=(1, 2)).choice(own=True)
    assert choice == {
        "search": "choosing/a", "own": True, "by": "recall_at_1", "trials": 6, "seeds": 2, "epochs": 2,
        "settings": {"lr": 0.01, "flip": True},
    }  # fmt: skip
    assert search(SCORES).choice(own=False)["own"] is False


BOTH = {"recall_at_1": "R@1", "map_at_r": "MAP@R"}


def saved(root, name, **more) -> str:
    made = search(more.pop("scores", SCORES), seeds=more.pop("seeds", (1,)))
    made.name = name
    for key, value in more.items():
        setattr(made, key, value)
    made.save(root)
    return name


def test_all_that_rivals_tried_stands_in_one_table_and_the_chosen_is_bold(tmp_path):
    names = {"A": saved(tmp_path, "a"), "B": saved(tmp_path, "b", scores=SCORES[::-1])}
    lines = records.tried(names, BOTH, root=tmp_path).splitlines()
    assert lines[0] == "| | A | B |"
    assert lines[2] == "| lr 0.001, flip no | 10.0 / 90.0 | 40.0 / 60.0 |"
    assert lines[4] == "| lr 0.01, flip no | 30.0 / 70.0 | **60.0 / 40.0** |"
    assert lines[5] == "| lr 0.01, flip yes | **60.0 / 40.0** | 30.0 / 70.0 |"
    assert lines[8:] == ["", "R@1 / MAP@R in percent, one seed; bold: chosen, by recall_at_1"]
    backwards = records.load_search("b", tmp_path)
    backwards.trials.reverse()
    backwards.save(tmp_path)
    assert records.tried(names, BOTH, root=tmp_path).splitlines() == lines
    assert "mean of 2 seeds" in records.tried({"A": saved(tmp_path, "a", seeds=(1, 2))}, BOTH, root=tmp_path)


@pytest.mark.parametrize(
    "unlike",
    [
        {"seeds": (1, 2)}, {"by": "map_at_r"}, {"configuration": {"data": "cub", "training": {"epochs": 2}}},
        {"configuration": {"data": "birds", "training": {"epochs": 3}}},
        {"configuration": {"data": "birds", "measured_on": "x", "training": {"epochs": 2}}},
        {"configuration": {"data": "birds", "split": {"file": "x.csv"}, "training": {"epochs": 2}}},
    ],
)  # fmt: skip
@pytest.mark.bad_input
def test_rivals_that_searched_with_another_effort_are_refused(unlike, tmp_path):
    names = {"A": saved(tmp_path, "a"), "B": saved(tmp_path, "b", **unlike)}
    with pytest.raises(ValueError, match="tried: searches must have one grid, figure, seeds, length and split; got B"):
        records.tried(names, BOTH, root=tmp_path)
    with pytest.raises(ValueError, match="tried: figures must hold 'map_at_r' beside 'recall_at_1'"):
        records.tried({"A": "a"}, {"recall_at_1": "R@1"}, root=tmp_path)


@pytest.mark.bad_input
def test_the_best_of_some_is_not_the_best(tmp_path):
    with pytest.raises(ValueError, match=r"best: search must have tried all of its grid.*; got 5 trials of 6"):
        search(SCORES[:5]).best()
    unequal = search(SCORES)
    unequal.trial(GRID[3]).add(7, {"recall_at_1": 0.1, "map_at_r": 0.1}, seconds=1)
    with pytest.raises(ValueError, match="with the same seeds"):
        unequal.best()
    for settings in ({"lr": 0.02, "flip": True}, {"lr": 0.01}, {"lr": 0.01, "flip": True, "more": 1}):
        with pytest.raises(ValueError, match="settings must be of the grid"):
            search().trial(settings)
    with pytest.raises(ValueError, match="name must name a record of"):
        records.load_search("none", tmp_path)
    records.Record("plain", "No search", {}).save(tmp_path)
    with pytest.raises(ValueError, match=r"name must name a record; got plain.json: 'trials'"):
        records.load_search("plain", tmp_path)


# Halving searches

HALVING = {
    "lr": {"low": 1e-4, "high": 1e-2},
    "loss_option": {"margin": {"low": 0.0, "high": 0.4}},
    "batch_size": [32, 64],
}
POINTS = [
    {"lr": lr, "loss_option.margin": margin, "batch_size": 32}
    for lr, margin in ((1e-4, 0.2), (1e-3, 0.2), (2e-3, 0.2), (1e-3, 0.03), (9e-3, 0.2))
]


def halving(scores=None, seeds=(1,), by="recall_at_1") -> records.Search:
    """A whole one; ``scores`` by (place of the point, epochs), 0.5 where there is none."""
    made = records.Search("choosing/h", "A search", {"data": "birds"}, records.read_space(HALVING), by, rungs=[1, 2, 4])
    going = POINTS
    for place, epochs in enumerate(made.rungs):
        going = made.promoted(made.rungs[place - 1]) if place else POINTS
        for point in going:
            score = (scores or {}).get((POINTS.index(point), epochs), 0.5)
            for seed in seeds:
                figures = {"recall_at_1": score, "map_at_r": 1 - score}
                made.trial({**point, "epochs": epochs}).add(seed, figures, seconds=1)
    return made


def test_the_better_half_rounded_up_goes_on_and_equals_in_their_order():
    made = halving({(1, 1): 0.1, (2, 1): 0.9, (4, 1): 0.8})
    assert made.promoted(1) == [POINTS[0], POINTS[2], POINTS[4]]
    assert made.promoted(2) == [POINTS[0], POINTS[2]]
    assert halving().promoted(1) == POINTS[:3]
    assert len(made.trials) == 5 + 3 + 2
    assert made.points() == POINTS
    with pytest.raises(ValueError, match="promoted: epochs must be one of 1, 2, 4; got 3"):
        made.promoted(3)


def test_the_best_is_of_all_that_was_measured_and_of_equals_the_first_point_and_the_fewer_epochs():
    assert halving({(3, 1): 0.9}).best().configuration == {**POINTS[3], "epochs": 1}
    assert halving({(1, 4): 0.9}).best().configuration == {**POINTS[1], "epochs": 4}
    assert halving({(0, 2): 0.9, (0, 4): 0.9, (1, 1): 0.9}).best().configuration == {**POINTS[0], "epochs": 2}
    choice = halving({(1, 4): 0.9}, seeds=(1, 2)).choice(own=True)
    assert choice == {
        "search": "choosing/h", "own": True, "by": "recall_at_1", "trials": 5, "seeds": 2, "rungs": [1, 2, 4],
        "epochs": 4, "settings": {**POINTS[1], "epochs": 4},
    }  # fmt: skip


def test_a_halving_search_is_read_as_it_was_written_and_former_trials_are_kept(tmp_path):
    made = halving({(1, 4): 0.9})
    made.before = [{"space": {"lr": [1.0]}, "by": "recall_at_1", "trials": [{"settings": {"lr": 1.0}, "runs": []}]}]
    made.save(tmp_path)
    assert records.load_search("choosing/h", tmp_path) == made
    plain = search(SCORES).to_dict()
    assert list(plain) == ["name", "title", "configuration", "space", "by", "provenance", "trials"]  # as ever


def test_an_edge_of_a_range_is_its_outermost_part_on_its_scale():
    assert halving({(0, 1): 0.9}).edges() == ["lr"]  # of five points: the outermost fifth
    assert halving({(1, 1): 0.9}).edges() == []  # of a choice of two either is an end
    assert halving({(3, 1): 0.9}).edges() == ["loss_option.margin"]
    assert halving({(4, 1): 0.9}).edges() == ["lr"]


def test_a_halving_search_that_goes_on_has_no_best():
    for cut in range(1, 6):
        made = halving()
        made.trials = made.trials[:-cut]
        with pytest.raises(ValueError, match="search must have tried all of its space with the same seeds"):
            made.best()
    made = halving({(1, 1): 0.9})
    made.trial({**POINTS[4], "epochs": 2}).add(1, {"recall_at_1": 1.0, "map_at_r": 0}, seconds=1)
    with pytest.raises(ValueError, match="search must go on with the better half alone; got 4 of 3 after 2 epochs"):
        made.best()
    for wrong in ({**POINTS[0], "epochs": 3}, POINTS[0], {**POINTS[0], "epochs": 1, "lr": 1.0}):
        with pytest.raises(ValueError, match="settings must be of the space"):
            made.trial(wrong)


def test_what_rivals_tried_in_spaces_of_their_own_stands_below_one_another(tmp_path):
    one, other = halving({(1, 4): 0.9}), halving({(0, 1): 0.8})
    one.save(tmp_path)
    other.name, other.space = "choosing/o", {**other.space, "batch_size": [32]}
    other.save(tmp_path)
    names = {"A": "choosing/h", "B": "choosing/o"}
    lines = records.tried(names, BOTH, root=tmp_path).splitlines()
    assert lines[0] == "| | 1 epoch | 2 epochs | 4 epochs |"
    assert lines[3] == "| A: lr 0.001, margin 0.2, batch_size 32 | 50.0 / 50.0 | 50.0 / 50.0 | **90.0 / 10.0** |"
    assert lines[5] == "| A: lr 0.001, margin 0.03, batch_size 32 | 50.0 / 50.0 |  |  |"
    assert lines[7] == "| B: lr 0.0001, margin 0.2, batch_size 32 | **80.0 / 20.0** | 50.0 / 50.0 | 50.0 / 50.0 |"
    assert len(lines) == 2 + 10 + 2
    for unlike in ({"by": "map_at_r"}, {"configuration": {"data": "cub"}}):
        changed = halving(by=unlike.get("by", "recall_at_1"))
        changed.name, changed.configuration = "choosing/o", unlike.get("configuration", changed.configuration)
        changed.save(tmp_path)
        with pytest.raises(ValueError, match="searches must have one grid, figure, seeds, length and split; got B"):
            records.tried(names, BOTH, root=tmp_path)


def test_runs_of_two_processes_stay_in_a_search(tmp_path):
    first, second = search(), search()
    for made, settings, seed in ((first, GRID[0], 1), (second, GRID[0], 2), (first, GRID[1], 1)):
        made.trial(settings).add(seed, {"recall_at_1": 0.5, "map_at_r": 0.1}, seconds=1)
        made.save(tmp_path)
    found = records.load_search("choosing/a", tmp_path)
    assert [found.trial(settings).seeds for settings in GRID[:2]] == [[1, 2], [1]]
    found.trial(GRID[0]).runs = []  # on purpose
    found.save(tmp_path)
    assert records.load_search("choosing/a", tmp_path).trial(GRID[0]).runs == []
    other = search([0.5] * 6)
    other.by = "map_at_r"  # which asks something else
    other.save(tmp_path)
    assert records.load_search("choosing/a", tmp_path).trial(GRID[0]).seeds == [1]


def test_runs_that_were_seen_and_left_out_stay_out(tmp_path):
    former = search([0.5] * 6, seeds=(1, 2))
    former.save(tmp_path)
    fresh = search([0.5] * 6)
    fresh.follow(former)
    fresh.save(tmp_path)
    assert records.load_search("choosing/a", tmp_path).trial(GRID[0]).seeds == [1]


def test_a_point_that_no_longer_goes_on_leaves_no_empty_trial_behind(tmp_path):
    """A search of more points, after one of fewer: of those, others now belong to the better half."""
    former = records.Search(
        "choosing/h", "A search", {"data": "birds"}, records.read_space(HALVING), "recall_at_1", rungs=[1, 2]
    )
    score = dict(zip(map(str, POINTS[:4]), (0.2, 0.1, 0.4, 0.3), strict=True))

    def measure(made, point, epochs):
        made.trial({**point, "epochs": epochs}).add(1, {"recall_at_1": score[str(point)], "map_at_r": 0.1}, seconds=1)

    for point, epochs in ((POINTS[0], 1), (POINTS[1], 1), (POINTS[0], 2)):
        measure(former, point, epochs)
    former.save(tmp_path)
    more = records.Search(former.name, former.title, former.configuration, former.space, "recall_at_1", rungs=[1, 2])
    more.follow(records.load_search("choosing/h", tmp_path))
    for point in POINTS[:4]:
        measure(more, point, 1)
    more.save(tmp_path)  # as it is after each run
    for point in more.promoted(1):
        measure(more, point, 2)
    more.save(tmp_path)
    for found in (more, records.load_search("choosing/h", tmp_path)):
        assert [len(trial.runs) for trial in found.trials] == [1] * 6
        assert found.best().configuration == {**POINTS[2], "epochs": 1}
