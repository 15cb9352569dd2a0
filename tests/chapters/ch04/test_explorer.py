"""The explorer of chapter 04: its pictures and words agree with the formulas."""

import itertools
import math
import re
import time

import matplotlib

matplotlib.use("agg")
import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from dmlbook import book, losses
from dmlbook.chapters.ch04.explorer import TAUS, TauExplorer
from dmlbook.chapters.ch04.theory import THRESHOLD


@pytest.fixture(scope="module")
def explorer():
    return TauExplorer()


def test_the_widget_draws_the_centers_that_it_counts(explorer):
    for per_class in explorer.grid("per_class"):
        for squared in (False, True):
            for tau in explorer.grid("tau", 7):
                explorer.set(tau=tau, per_class=per_class, squared=squared)
                drawn = torch.stack([torch.tensor(cross.get_xydata()) for cross in explorer.crosses])
                assert_close(
                    drawn.norm(dim=-1), torch.full(drawn.shape[:2], book.CENTER_RADIUS).double(), rtol=0, atol=1e-5
                )
                counts = losses.distinct_centers(F.normalize(drawn, dim=-1), threshold=THRESHOLD).counts.tolist()
                said = re.search(
                    r"of (\d+) centers class 0 keeps (\d+) distinct ones and class 1 (\d+)", explorer.text.value
                )
                assert [int(n) for n in said.groups()] == [per_class, *counts]
                assert all(1 <= n <= per_class for n in counts)
                weight = float(explorer.here.get_xdata()[0])
                assert tau == 0 or f"tau = {weight:.2g}," in explorer.text.value
                for label, lines in enumerate(explorer.ways):
                    seen = [line.get_ydata()[tau - 1] for line in lines[:per_class]] if tau else []
                    angles = book.degrees_of(drawn[label]).tolist()
                    assert all(abs(math.remainder(a - b, 360)) < 0.01 for a, b in zip(seen, angles, strict=tau != 0))


def test_the_widget_pays_nothing_without_tau_and_follows_at_once(explorer):
    explorer.set(tau=0)
    assert explorer.paid == 0
    spent = []
    for tau in explorer.grid("tau", 9):
        begin = time.process_time()
        explorer.set(tau=tau)
        spent.append(time.process_time() - begin)
        assert explorer.paid >= 0
    assert min(spent) < 0.1  # seconds of the processor, whatever else it is busy with


@pytest.mark.parametrize("squared", [False, True])
def test_the_price_is_tau_times_half_the_mean_over_pairs(explorer, squared):
    tau = len(TAUS) // 2
    explorer.set(tau=tau, per_class=6, squared=squared)
    rest = explorer.rests[6, squared][tau].tolist()
    apart = [math.dist(*pair) for of_class in rest for pair in itertools.combinations(of_class, 2)]
    price = sum(d**2 if squared else d for d in apart) / len(apart) / 2
    assert explorer.paid == pytest.approx(float(TAUS[tau]) * price)
    assert f"adds {explorer.paid:.3f} to the loss" in explorer.text.value
