"""The widgets of the chapters: every control over its whole range, every button, drawn and said."""

import io
import itertools

import matplotlib

matplotlib.use("agg")
import ipywidgets
import pytest
from PIL import Image

from dmlbook.chapters import explorers
from tests.book.test_live import Slope

CHAPTERS = explorers()


@pytest.mark.parametrize("number", CHAPTERS)
def test_every_control_is_labelled_swept_and_put_into_words(number):
    explorer = CHAPTERS[number]()
    start = explorer.values()
    said = set()
    for name, control in explorer.controls.items():
        assert len(control.description) > 0
        pictures = set()
        for value in explorer.grid(name, 9):
            explorer.set(**{name: value})
            assert explorer.text.value == explorer.picture.alt
            assert len(explorer.text.value) > 20
            pictures.add(explorer.picture.value)
            said.add(explorer.text.value)
        assert len(pictures) > 1, f"{name} changes nothing in the picture"
        explorer.set(**start)
    assert len(said) > len(explorer.controls), "the words follow the controls"


@pytest.mark.parametrize("number", CHAPTERS)
def test_every_corner_of_the_controls_is_drawn(number):
    explorer = CHAPTERS[number]()
    ends = [(grid[0], grid[-1]) for grid in (explorer.grid(name, 3) for name in explorer.controls)]
    for corner in itertools.islice(itertools.product(*ends), 64):
        explorer.set(**dict(zip(explorer.controls, corner, strict=True)))
        picture = Image.open(io.BytesIO(explorer.picture.value))
        assert picture.size == (explorer.picture.width, explorer.picture.height)
        for act in explorer.actions.values():
            act()
            assert explorer.text.value == explorer.picture.alt


def test_the_grid_of_a_control_covers_its_range():
    explorer = Slope()
    explorer.controls["choice"] = ipywidgets.ToggleButtons(options=[("one", 1), ("two", 2)])
    explorer.controls["flag"] = ipywidgets.Checkbox(False)
    explorer.controls["whole"] = ipywidgets.IntSlider(0, min=-50, max=50)
    assert explorer.grid("choice") == [1, 2]
    assert explorer.grid("flag") == [False, True]
    assert explorer.grid("whole", 5) == [-50, -25, 0, 25, 50]
    assert [type(value) for value in explorer.grid("whole", 2)] == [int, int]
    assert explorer.grid("slope") == pytest.approx([0.1 * n for n in range(11)])
