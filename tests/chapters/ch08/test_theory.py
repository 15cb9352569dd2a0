"""What the papers report, as data, and in what it differs from records of ours."""

import math

import pytest
import torch

from dmlbook import losses
from dmlbook.chapters.ch08 import theory
from dmlbook.records import Record

NETWORK = {"name": "mobilenet_v2", "embedding_size": 64, "width_mult": 0.35}


def record(loss="softtriple", scores=(0.5, 0.52), **changed):
    configuration = {"data": "cub", "size": 160, "loss": loss, "network": NETWORK, "training": {"epochs": 4}}
    configuration |= changed
    made = Record("mine", "mine", configuration)
    for seed, score in enumerate(scores):
        made.add(seed, {"recall_at_1": score, "map_at_r": score / 2}, seconds=60)
    return made


def test_every_published_row_is_whole_and_possible():
    rows = [row for data in theory.SETS for row in theory.reported(data)]
    assert all(isinstance(row, theory.Reported) for row in rows)
    assert len(rows) == 31
    for row in rows:
        assert row.loss in losses.NAMES
        assert row.by in theory.READ
        assert len(row.recall) == len(row.ks)
        assert list(row.recall) == sorted(row.recall)
        assert list(row.ks) == sorted(set(row.ks))
        assert all(20 < value < 100 for value in (*row.recall, row.nmi or 50))


def test_the_published_gain_of_softtriple_over_softmax_is_two_points():
    table = {row.loss: row for row in theory.reported("cub", dimensions=64) if "Qian" in row.paper}
    assert len(table) == 7
    assert round(table["softtriple"].recall[0] - table["softmax"].recall[0], 1) == 2.3
    assert (table["softtriple"].nmi, table["semihard"].recall) == (66.2, (42.6, 55.0, 66.4, 77.2))


def test_rows_are_chosen_by_set_and_dimensions():
    assert {row.data for row in theory.reported("sop")} == {"sop"}
    assert {row.dimensions for row in theory.reported("cars")} == {64, 512, None}
    assert [row.ks for row in theory.reported("sop", dimensions=512)] == [(1, 10, 100)]
    softtriple = [row.recall for data in theory.SETS for row in theory.reported(data, dimensions=64)
                  if row.loss == "softtriple"]  # fmt: skip
    assert softtriple == [(60.1, 71.9, 81.2, 88.5), (78.6,), (76.3,)]
    with pytest.raises(ValueError, match="data must be one of .cub., .cars., .sop."):
        theory.reported("birds")
    with pytest.raises(ValueError, match="dimensions must be an integer >= 1"):
        theory.reported("cub", dimensions=0)


def test_a_published_table_says_what_is_not_known():
    do = [row for row in theory.reported("cub") if row.paper.startswith("Do ")]
    head, _, line, *_ = theory.published_table(do).splitlines()
    assert head == "| paper | method | network | D | R@1 | R@2 | R@4 | R@8 | NMI |"
    assert line == "| Do et al., CVPR 2019, quoted | centroid bound | ? | ? | 51.4 | 64.2 | 74.3 | 82.8 | ? |"
    qian = theory.published_table([theory.reported("cub")[0]]).splitlines()[2]
    assert qian == "| Qian et al., ICCV 2019 | SemiHard | ? | 64 | 42.6 | 55.0 | 66.4 | 77.2 | 55.4 |"


def test_rows_of_other_ks_share_a_table_and_their_notes_stand_below_it():
    head, _, *lines = theory.published_table(theory.reported("sop")).splitlines()
    assert head == "| paper | method | network | D | R@1 | R@10 | R@100 | NMI |"
    assert lines[:2] == [
        "| Qian et al., ICCV 2019, quoted | SoftTriple | BN-Inception | 64 | 76.3 |  |  | ? |",
        "| Qian et al., ICCV 2019, quoted | SoftTriple | BN-Inception | 512 | 78.3 | 90.3 | 95.9 | ? |",
    ]
    assert lines[-1] == (
        "*quoted: as others print it.*<br>*logs: read in its code's logs and plots.*"
        "<br>*Qian et al., ICCV 2019, D = 64: two centers a class.*"
        "<br>*Qian et al., ICCV 2019, D = 512: two centers a class.*"
        "<br>*Fehérvári et al., 2019, D = 64: one network for all, means of ten runs, each at its best test epoch.*"
    )


def test_rows_of_two_sets_do_not_share_a_table():
    with pytest.raises(ValueError, match="rows must be of one image set; got 2 of 2 sets"):
        theory.published_table([theory.reported("cub")[0], theory.reported("cars", dimensions=512)[0]])
    with pytest.raises(ValueError, match="got 0 of 0 sets"):
        theory.published_table([])


def test_what_differs_is_named_with_both_sides():
    row = next(row for row in theory.reported("cub", dimensions=64) if row.loss == "softtriple")
    found = theory.unlike(row, record())
    assert found["network"] == ("BN-Inception", "mobilenet_v2, width 0.35")
    assert "dimensions" not in found
    assert "images" not in found
    other = theory.unlike(row, record(network=NETWORK | {"embedding_size": 512, "width_mult": 1.0}, data="birds"))
    assert other["dimensions"] == ("64", "512")
    assert other["network"] == ("BN-Inception", "mobilenet_v2")
    assert other["images"] == ("CUB-200-2011", "birds")
    assert (found["side in pixels"], found["epochs"], found["runs"]) == (("224", "160"), ("50", "4"), ("?", "2"))
    assert theory.unlike(row, record(training={"epochs": 50, "image_size": 224})).keys() == {"network", "runs"}
    ten = next(row for row in theory.reported("cars") if row.runs == 10)
    assert theory.unlike(ten, record())["runs"] == ("10", "2")
    assert theory.unlike(ten, record())["epochs"] == ("?", "4")


def test_ours_stand_beside_theirs_loss_by_loss():
    rows = [row for row in theory.reported("cub", dimensions=64) if row.loss in ("softmax", "semihard")]
    table = theory.beside(rows, {"softmax": record("softmax"), "hardtriple": record("hardtriple", (0.4,))})
    head, _, *lines = table.splitlines()
    names = ["Qian et al., ICCV 2019, D = 64", "Fehérvári et al., 2019, D = 64"]
    assert head == f"| loss | {' | '.join(names)} | ours, R@1 | ours, MAP@R |"
    assert lines == [
        "| normalized SoftMax | 57.8 | 58.3 | 51.0 ± 12.7 (2) | 25.5 ± 6.4 (2) |",
        "| hardtriple |  |  | 40.0 (1) | 20.0 (1) |",
        "| semi-hard triplets | 42.6 | 50.9 |  |  |",
    ]


def test_numbers_of_other_dimensions_stand_in_a_column_of_their_own():
    rows = [row for row in theory.reported("cub") if row.loss == "softtriple"]
    head, _, line = theory.beside(rows, {}).splitlines()
    assert "ICCV 2019, D = 64 | Qian et al., ICCV 2019, D = 512" in head
    assert line == "| SoftTriple | 60.1 | 65.4 |  |  |"


def test_costs_are_counted_over_whole_runs():
    made = record(training_images=600, training={"epochs": 4})
    made.provenance = {"device": "cpu", "machine": "a box, two cores", "threads": 1}
    line = theory.cost_table({"mine": made}).splitlines()[-1]
    cells = ["mine", "4", "1.0", "40", "?", "160 px", "mobilenet_v2, width 0.35", "cpu, a box, two cores, threads: 1"]
    assert line == f"| {' | '.join(cells)} |"
    first, second = made.runs
    first["peak_gb"], second["peak_gb"] = 1.46, 1.24
    assert "| 40 | 1.5 | 160 px |" in theory.cost_table({"mine": made})
    second["gpu_peak_gb"] = 11.0
    assert "| 40 | 1.5, GPU 11.0 | 160 px |" in theory.cost_table({"mine": made})
    with pytest.raises(ValueError, match="rows must be records of trained runs; got mine"):
        theory.cost_table({"frozen": Record("mine", "mine", {"data": "cub"})})
    made.runs.clear()
    with pytest.raises(ValueError, match="rows must hold a run each; got .* without one"):
        theory.cost_table({"mine": made})


def test_the_loss_is_among_what_differs_and_so_is_what_is_not_known():
    row = next(row for row in theory.reported("cub", dimensions=64) if row.loss == "softtriple")
    alike = theory.unlike(row, record())
    assert "loss" not in alike
    assert theory.unlike(row, record("softmax"))["loss"] == ("softtriple", "softmax")
    same = theory.Reported("a", "table", "cub", "a", "softtriple", (1.0,), (1,), None, 64, "mobilenet_v2, width 0.35")
    assert theory.unlike(same, record()).keys() == {"side in pixels", "epochs", "runs"}


@pytest.mark.bad_input
def test_a_distance_that_is_no_number_is_no_answer():
    right, known = torch.tensor([True, False]), torch.tensor([True, False])
    with pytest.raises(ValueError, match="distances must be numbers; got 1 of 2 that are NaN"):
        theory.answers(torch.tensor([0.1, math.nan]), right, known, threshold=0.5)
    found = theory.answers(torch.tensor([0.1, math.inf]), right & False, known & False, threshold=0.5)
    assert math.isnan(found["answered"])
    assert found["fooled"] == 0.5


def sides():
    made = Record("sides", "sides", {"data": "cars"})
    for seed, (ours, theirs) in enumerate(((0.4, 0.3), (0.5, 0.4))):
        figures = {}
        for tool, count, minutes, score in (("a", 8, 5 + seed, ours), ("b", 47, 7 - seed, theirs)):
            values = {
                "lines": count,
                "cpu_minutes": minutes,
                "peak_gb": 2.0,
                "recall_at_1": score,
                "map_at_r": score / 4,
            }
            figures |= {f"{tool}: {key}": float(value) for key, value in values.items()}
        made.add(seed, figures, seconds=1)
    return made


def test_tools_stand_side_by_side_with_each_seed():
    _, _, first, second = theory.tools_table(sides()).splitlines()
    assert first == (
        "| a | 8 | 5.5 ± 6.4 | 2.00 ± 0.00 | 45.0 ± 63.5 (2) | 11.2 ± 15.9 (2) | 5.0 and 40.0, 6.0 and 50.0 |"
    )
    assert second.startswith("| b | 47 | 6.5 ± 6.4 |")
    assert second.endswith("| 7.0 and 30.0, 6.0 and 40.0 |")
    with pytest.raises(ValueError, match="sides must be a record of tools side by side; got mine"):
        theory.tools_table(record())
    assert "| open-metric-learning | 72 |" in theory.tools_table("side-by-side")


def test_a_stored_record_s_cost_is_found_by_its_name():
    assert "| cars | 4 | 3.9 | 137 | 4.6 | 128 px |" in theory.cost_table({"cars": "costs/cars-softtriple"})
