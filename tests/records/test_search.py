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
