"""A reader's own records beside stored ones: what is unlike is said, and what was measured otherwise is refused."""

import pytest

from dmlbook import records
from dmlbook.records.comparison import asked_of, trains
from tests.records.test_comparison import CHOICE, COLUMNS, floor, written


@pytest.fixture
def stored(tmp_path):
    """Two rows and a floor, which has more dimensions."""
    rows = {"A": written(tmp_path, "a"), "B": written(tmp_path, "b", (0.5, 0.9)), "frozen": floor(tmp_path)}
    return records.compare(rows, unequal={"dimensions": "the floor keeps all 1,280."}, root=tmp_path)


def own(tmp_path, **more):
    record = records.load(written(tmp_path / "own", "own", **more), tmp_path / "own")
    record.choice = {}
    return record


def test_what_was_measured_alike_stands_in_the_table_and_what_is_unlike_is_said(stored, tmp_path):
    mine = own(tmp_path, scores=[0.5], change={"training.epochs": 30})
    both, refused = records.beside(stored, {"mine": mine})
    assert refused == {}
    assert list(both.rows) == ["A", "B", "frozen", "mine"]
    assert list(stored.rows) == ["A", "B", "frozen"]  # as it was
    text = both.table(COLUMNS)
    assert "| mine | 50.0 (1) | 25.0 (1) |" in text
    assert "*Not alike, seeds: mine: 1 of them, not 2.*" in text
    assert "*Not alike, budget: mine: epochs 30, not 5.*" in text
    assert "*Not alike, effort: mine: nothing was searched for it.*" in text
    assert "*Not alike, settings: mine: nothing was searched for it.*" in text
    assert both.unequal["dimensions"] == "the floor keeps all 1,280."  # it is as the others that train


def test_several_rows_are_added_and_each_is_said(stored, tmp_path):
    mine = {name: own(tmp_path, change={"training.epochs": n}) for name, n in (("x", 6), ("y", 5), ("z", 7))}
    both, _ = records.beside(stored, mine)
    assert both.unequal["budget"] == "x: epochs 6, not 5. z: epochs 7, not 5."
    searched = own(tmp_path)
    searched.choice = CHOICE
    assert records.beside(stored, {"mine": searched})[0].unequal == stored.unequal


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"data": "cub"}, "split (what was trained on and what was measured): data cub, not cars"),
        ({"size": 224}, "size 224, not 128"),
        ({"measured_on": "0.2 of the training classes"}, "measured on 0.2 of the training classes, not test classes"),
        ({"network": {"embedding_size": 512}}, "dimensions (of an embedding): 512, not 64"),
    ],
)
def test_what_was_measured_otherwise_is_left_out_and_named(stored, tmp_path, change, why):
    both, refused = records.beside(stored, {"mine": own(tmp_path, change=change), "good": own(tmp_path)})
    assert list(both.rows) == ["A", "B", "frozen", "good"]
    assert list(refused) == ["mine"]
    assert why in refused["mine"]


def test_which_facets_must_be_alike_can_be_said(stored, tmp_path):
    wide = own(tmp_path, change={"network": {"embedding_size": 512}})
    both, refused = records.beside(stored, {"wide": wide}, alike=["split"])
    assert refused == {}
    assert both.unequal["dimensions"] == "the floor keeps all 1,280. wide: 512, not 64."
    with pytest.raises(ValueError, match="alike 'split.' must be one of"):
        records.beside(stored, {}, alike=["split."])


def test_a_title_that_is_taken_is_refused(stored, tmp_path):
    with pytest.raises(ValueError, match="beside: more must have titles of its own; got A"):
        records.beside(stored, {"A": own(tmp_path)})


def test_a_floor_is_asked_for_what_was_measured_alone(stored):
    assert {title: trains(record) for title, record in stored.rows.items()} == {"A": True, "B": True, "frozen": False}
    for facet in records.FACETS:
        of_floor = facet in ("split", "dimensions", "network")
        assert list(asked_of(facet, stored.rows)) == ["A", "B", "frozen"][: 2 + of_floor]
    assert asked_of("dimensions", stored.rows) == {"A": 64, "B": 64, "frozen": 1280}


def test_weights_are_named_without_their_folder():
    for weights, shown in ((None, None), ("imagenet", "imagenet"), ("a/b.pt", "b.pt"), ("C:\\a\\b.pt", "b.pt")):
        assert records.described({"name": "small", "weights": weights}) == {"name": "small", "weights": shown}
