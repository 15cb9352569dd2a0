"""The figure of chapter 08: every seed's lead stands where the two records put it."""

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import pytest

from dmlbook import records
from dmlbook.chapters.ch08 import figures

MEASURES = {"recall_at_1": "R@1", "map_at_r": "MAP@R"}


def scored(name, *pairs):
    record = records.Record(name, "A probe", {"loss": {"name": name}, "training": {"epochs": 1}})
    for seed, (recall, map_at_r) in enumerate(pairs):
        record.add(seed, {"recall_at_1": recall, "map_at_r": map_at_r}, seconds=1.0)
    return record


def compared(**rows):
    return records.Comparison(rows, {})


@pytest.fixture
def tables():
    few = compared(ours=scored("a", (0.5, 0.3), (0.6, 0.2)), theirs=scored("b", (0.4, 0.35), (0.4, 0.3)))
    many = compared(ours=scored("c", (0.9, 0.8), (0.9, 0.8)), theirs=scored("d", (0.8, 0.8), (0.6, 0.8)))
    return {"few": few, "many": many}


def seeds(ax):
    return pytest.approx(list(ax.lines[0].get_xdata()))  # the first thing drawn: the only rival's dots


def test_leads_are_the_leaders_score_minus_the_rivals_seed_by_seed_in_points(tables):
    figure = figures.leads(tables, "ours", MEASURES)
    panels = figure.axes
    assert [ax.get_title() for ax in panels] == [
        "few: ours's lead by R@1",
        "few: ours's lead by MAP@R",
        "many: ours's lead by R@1",
        "many: ours's lead by MAP@R",
    ]
    assert seeds(panels[0]) == [10.0, 20.0]
    assert seeds(panels[1]) == [-5.0, -10.0]
    assert seeds(panels[2]) == [10.0, 30.0]
    assert [ax.get_xlabel() for ax in panels] == ["", "", *["points ahead of the rival"] * 2]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == ["theirs"]
    assert all(
        any(list(line.get_xdata()) == [0, 0] and line.get_linestyle() == ":" for line in ax.lines) for ax in panels
    )
    plt.close(figure)


def test_tables_that_cannot_stand_side_by_side_are_refused(tables):
    with pytest.raises(ValueError, match="leader"):
        figures.leads(tables, "nobody", MEASURES)
    tables["many"] = compared(ours=scored("c", (0.9, 0.8)), others=scored("d", (0.8, 0.8)))
    with pytest.raises(ValueError, match="compare the same two rows or more"):
        figures.leads(tables, "ours", MEASURES)
    with pytest.raises(ValueError, match="compare the same two rows or more"):
        figures.leads({"one": compared(ours=scored("c", (0.9, 0.8)))}, "ours", MEASURES)
    with pytest.raises(ValueError, match="measures"):
        figures.leads(tables, "ours", {})
