"""Tables say mean, interval and number, and never one measure alone."""

import pytest

from dmlbook import records
from dmlbook.records.tables import check_both_measures
from tests.records.examples import filled


def test_table_prints_mean_interval_and_number():
    printed = records.table({"SoftTriple": filled()}, {"map_at_r": "MAP@R", "nmi": "NMI"})
    assert printed.splitlines() == [
        "| | MAP@R | NMI |",
        "|---|---|---|",
        "| SoftTriple | 45.0 ± 63.5 (2) | 65.0 ± 63.5 (2) |",
    ]


@pytest.mark.parametrize(
    ("recall", "precision"),
    [("recall_at_1", "map_at_r"), ("recall_by_class", "map_by_class"), ("recall_by_kind", "map_by_kind")],
)
@pytest.mark.bad_input
def test_recall_is_not_shown_without_the_other_measure(recall, precision):
    record = records.Record("both", "Both", {})
    record.add(1, {recall: 0.5, precision: 0.25}, seconds=1)
    with pytest.raises(
        ValueError, match=f"^records.table: figures must hold '{precision}' beside '{recall}'; got {recall}"
    ):
        records.table({"row": record}, {recall: "R"})
    assert check_both_measures({precision: "P"}) is None
    assert "| row | 50.0 (1) | 25.0 (1) |" in records.table({"row": record}, {recall: "R", precision: "P"})
