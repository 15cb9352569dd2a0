"""Figures of chapter 01: what is drawn is what was given."""

import math

import matplotlib

matplotlib.use("agg")
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dmlbook.chapters.ch01 import figures

QUICK = settings(derandomize=True, deadline=None, max_examples=25)


@QUICK
@given(st.floats(0, 4), st.floats(0, 3))
def test_zones_end_where_the_kinds_change(positive, margin):
    hard, semihard = (2 - 2 * math.cos(math.radians(angle)) for angle in figures.borders(positive, margin))
    assert hard == pytest.approx(positive, abs=1e-9)
    assert semihard == pytest.approx(min(positive + margin, 4), abs=1e-9)
