"""What the tests of a ledger's row would not notice: planted in a toy package, and seen."""

import textwrap

import pytest
import torch

from dmlbook import geometry, losses
from tests import perturb


def test_a_name_leads_to_a_function_or_nowhere():
    assert perturb.place("dmlbook.losses.center_regularizer") == (losses, "center_regularizer")
    assert perturb.place("dmlbook.losses.SoftTriple") == (losses.SoftTriple, "forward")
    assert perturb.place("dmlbook.losses.softtriple.SoftTriple.report") == (losses.SoftTriple, "report")
    for name in ("dmlbook.losses.center_regularisation", "dmlbook.nothing.at_all", "nothing.at_all"):
        assert perturb.place(name) is None
    assert perturb.place("dmlbook.losses.NAMES") is None  # no function
    assert perturb.place("torch.optim.Adam") is None  # no forward


TOY = """
    from typing import NamedTuple
    import torch

    class Pair(NamedTuple):
        low: float
        high: float

    def twice(x):
        return 2 * x

    def four_times(x):
        return twice(twice(x))

    def ends(x):
        return Pair(x, x + 1)

    def by_name(x):
        return {"x": x, "how many": 3}

    def words():
        return "none"

    class Loss(torch.nn.Module):
        def forward(self, x):
            return x.sum()
"""
TOY_TESTS = """
    import torch
    from toy import theory
    from toy.theory import twice

    def test_twice():
        assert twice(3.0) == 6.0

    def test_twice_is_not_smaller():
        assert twice(3.0) >= 6.0

    def test_twice_is_wrong():
        assert twice(3.0) == 7.0

    def test_four_times():
        assert theory.four_times(3.0) == 12.0

    def test_order():
        assert twice(torch.tensor([1.0, 2.0])).argmax() == 1

    def test_last():
        assert twice(torch.tensor([1.0, 2.0]))[-1] == 4

    def test_the_gradient_of_the_first():
        x = torch.ones(2, requires_grad=True)
        twice(x)[0].backward()
        assert x.grad[0] == 2

    def test_low():
        assert theory.ends(1.0).low == 1.0

    def test_high():
        assert theory.ends(1.0).high == 2.0

    def test_by_name():
        assert theory.by_name(1.0) == {"x": 1.0, "how many": 3}

    def test_words():
        assert theory.words() == "none"

    def test_loss():
        assert theory.Loss()(torch.ones(3)) == 3
"""
MORE, LESS = "is more in every entry", "is less in every entry"
FIRST_MORE, FIRST_LESS = "is more in the first entry", "is less in the first entry"
PLANTED = {  # what is bent, by which tests it is judged, and what they do not see
    "1.1": ("twice", ["twice"], []),
    "1.2": ("twice", ["twice_is_not_smaller"], [f"part 1 of its result {bend}" for bend in (MORE, FIRST_MORE)]),
    "1.3": ("twice", ["twice_is_not_smaller", "twice"], []),
    "1.4": ("twice", ["low", "words"], ["none of its tests calls it"]),
    "1.5": ("twice", ["twice_is_wrong"], [f"part 1 of its result {b}" for b in (MORE, LESS, FIRST_MORE, FIRST_LESS)]),
    "1.6": ("twice", ["four_times"], []),
    "1.7": ("twice", ["order"], [f"part 1 of its result {b}" for b in (MORE, LESS, FIRST_MORE, FIRST_LESS)]),
    "1.8": ("twice", ["last"], [f"part 1 of its result {bend}" for bend in (FIRST_MORE, FIRST_LESS)]),
    "1.9": ("twice", ["the_gradient_of_the_first"], []),
    "1.10": ("ends", ["low"], [f"part 2 of its result {b}" for b in (MORE, LESS, FIRST_MORE, FIRST_LESS)]),
    "1.11": ("ends", ["low", "high"], []),
    "10.2": ("by_name", ["by_name"], []),
    "10.3": ("words", ["words"], ["returns no number and no tensor to bend"]),
    "10.4": ("Loss", ["loss"], []),
    "10.5": ("Loss.forward", ["loss"], []),
    "11.10": ("nothing", ["loss"], ["is no function, no method and no class with a forward"]),
}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """What the tests of a toy package would not notice."""
    folder = tmp_path_factory.mktemp("planted")
    (folder / "toy").mkdir()
    for name, text in (("__init__", ""), ("theory", TOY), ("test_theory", TOY_TESTS)):
        (folder / "toy" / f"{name}.py").write_text(textwrap.dedent(text))
    tests = "toy/test_theory.py::test_"
    return perturb.faults(
        [
            {"id": number, "function": f"toy.theory.{function}", "tests": [tests + name for name in names]}
            for number, (function, names, _) in PLANTED.items()
        ],
        folder,
    )


@pytest.mark.parametrize("number", PLANTED)
def test_a_row_whose_tests_are_blind_is_seen_and_a_good_one_is_not(number, planted):
    function, _, blind = PLANTED[number]
    said = [f"no test fails where {fault}" if fault.startswith("part") else fault for fault in blind]
    assert planted[number] == [f"toy.theory.{function}: {fault}" for fault in said]


def test_tests_that_cannot_be_run_are_no_proof(tmp_path):
    (tmp_path / "test_broken.py").write_text("import nothing_at_all\n\ndef test_x():\n    assert nothing_at_all\n")
    row = {"id": "1.1", "function": "math.sqrt", "tests": ["test_broken.py::test_x"]}
    with pytest.raises(RuntimeError, match="perturb: the tests could not be run"):
        perturb.faults([row], tmp_path)


def test_a_part_is_bent_alone_and_keeps_its_kind():
    result = (torch.tensor([1.0, -2.0]), {"n": 3, "yes": True}, torch.tensor([4, 5]))
    changed = []
    for part in range(3):
        bend = perturb.Bend(part, 1, False)
        (floats, named, whole), parts = perturb.bent(result, bend)
        assert parts == 3
        changed.append([not torch.equal(floats, result[0]), named != result[1], not torch.equal(whole, result[2])])
        assert (floats.dtype, whole.dtype, type(named["n"]), named["yes"]) == (torch.float32, torch.int64, int, True)
    assert changed == [[True, False, False], [False, True, False], [False, False, True]]
    torch.testing.assert_close(perturb.moved(result[0], perturb.Bend(0, -1, False)), torch.tensor([0.989, -2.021]))
    torch.testing.assert_close(perturb.moved(result[0], perturb.Bend(0, 1, True)), torch.tensor([1.011, -2.0]))
    assert perturb.bent(result, None) == (result, 3)


def test_a_probe_stands_under_every_name_and_leaves_no_trace():
    original, x = geometry.squared_distances, torch.eye(2)
    with perturb.probing("dmlbook.geometry.squared_distances") as probe:
        assert losses.references.squared_distances is geometry.squared_distances is not original
        assert geometry.squared_distances(x, x).max() == 2
        probe.bend = perturb.Bend(0, 1, False)
        assert geometry.squared_distances(x, x).max() > 2.02
    assert losses.references.squared_distances is geometry.squared_distances is original
    with perturb.probing("dmlbook.losses.TripletLoss") as probe:
        losses.TripletLoss()(x, torch.tensor([0, 1]))
        losses.SemiHardLoss()(x, torch.tensor([0, 1]))
        assert probe.calls == 1
    assert "forward" not in vars(losses.TripletLoss)
