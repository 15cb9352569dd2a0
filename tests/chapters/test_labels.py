"""Labels in the chapters' helpers: integers of every width give what int64 gives, and nothing else is taken."""

import pytest
import torch
from torch.testing import assert_close

from dmlbook import losses
from dmlbook.chapters.ch02 import theory as ch02
from dmlbook.chapters.ch04 import theory as ch04
from dmlbook.chapters.ch05 import theory as ch05
from dmlbook.chapters.ch06 import pairs
from dmlbook.chapters.ch06 import theory as ch06
from dmlbook.geometry import normalize
from dmlbook.seeding import generator

COUNT, CLASSES = 300, 120
X = normalize(torch.randn(COUNT, 5, generator=generator(1, "labels"), dtype=torch.float64))
Y = torch.arange(COUNT) % CLASSES
WIDE = torch.rand(COUNT, CLASSES, generator=generator(2, "labels"), dtype=torch.float64)
START = normalize(torch.randn(CLASSES, 2, 5, generator=generator(3, "labels"), dtype=torch.float64))
LOSS = losses.make("softmax", num_classes=CLASSES, embedding_size=5).double()
HELPERS = {
    "violations": lambda y: ch02.violations(WIDE, y),
    "hardest_violation": lambda y: ch02.hardest_violation(WIDE, y),
    "smoothed_hardest": lambda y: ch02.smoothed_hardest(WIDE, y),
    "smoothed_objective": lambda y: ch02.smoothed_objective(torch.softmax(WIDE, 1), WIDE, y),
    "softmax_gradient": lambda y: ch02.softmax_gradient(WIDE, y),
    "center_paths": lambda y: ch04.center_paths(X, y, START, torch.zeros(1, dtype=torch.float64), steps=2),
    "squared_triplet_sum": lambda y: ch05.squared_triplet_sum(X, y),
    "hinged_bound_sum": lambda y: ch05.hinged_bound_sum(WIDE, y, margin=0.1),
    "squared_bound_sum": lambda y: ch05.squared_bound_sum(WIDE, y),
    "gap_limit_sum": lambda y: ch05.gap_limit_sum(WIDE[:, 0], y),
    "around": lambda y: ch06.around(X, y).centers,
    "forces": lambda y: ch06.forces(LOSS, X, y),
    "felt_pairs": lambda y: pairs.felt_pairs(LOSS, X, y).own,
    "used_pairs": lambda y: torch.tensor(pairs.used_pairs(LOSS, X, y)[:2]),
}


@pytest.mark.parametrize("width", [torch.uint8, torch.int8, torch.int16, torch.int32])
@pytest.mark.parametrize("name", HELPERS)
def test_integers_of_every_width_give_what_int64_gives(name, width):
    assert_close(HELPERS[name](Y.to(width)), HELPERS[name](Y), rtol=0, atol=0)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (Y.double(), "torch.float64"),
        (Y * torch.nan, "torch.float32"),
        (Y > 3, "torch.bool"),
        (Y + 1j, "torch.complex64"),
    ],
)
@pytest.mark.parametrize("name", HELPERS)
def test_nothing_else_is_taken_for_a_label(name, wrong, said):
    with pytest.raises(ValueError, match=f"labels must be integers; got {said}"):
        HELPERS[name](wrong)


@pytest.mark.bad_input
@pytest.mark.parametrize("name", [n for n in HELPERS if n not in ("squared_triplet_sum", "gap_limit_sum")])
def test_a_class_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match="labels must (lie in 0..119|hold each class|hold integers >= 0)"):
        HELPERS[name](Y - 1)
