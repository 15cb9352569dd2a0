"""Which lesson a notebook is or goes with: of chapter 01 there are two, and 01c goes with the second."""

from pathlib import Path

import pages
import pytest

from dmlbook.book import strip


@pytest.mark.parametrize(
    ("number", "lesson"),
    [("00", "00"), ("01", "01"), ("01b", "01b"), ("01c", "01b"), ("03b", "03"), ("06c", "06"), ("09b", "09")],
)
def test_a_companion_goes_with_the_last_lesson_before_it(number, lesson):
    assert strip.lesson_of(number) == lesson


@pytest.mark.bad_input
@pytest.mark.parametrize("number", ["1", "77", "06d", "77b", "b", ""])
def test_a_number_that_no_notebook_has_is_refused(number):
    with pytest.raises(ValueError, match="lesson_of: number must be a lesson's or a companion's"):
        strip.lesson_of(number)


def test_lessons_stand_among_the_chapters_and_companions_under_them():
    names = ["01_a", "01b_a", "01c_a", "06_a", "06b_a", "10_a"]
    paths = {name: Path(f"{name}.ipynb") for name in names}
    assert [name for name in names if pages.is_lesson(paths[name])] == ["01_a", "01b_a", "06_a", "10_a"]
    under = {(a, b) for a in names for b in names if pages.is_companion(paths[a], paths[b])}
    assert under == {("01c_a", "01b_a"), ("06b_a", "06_a")}
