"""Live figures: quick pictures equal slow ones, and an explorer says what it draws."""

import io

import ipywidgets
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.lines import Line2D
from PIL import Image

from dmlbook import book
from dmlbook.book.explorer import Explorer


def toy():
    figure, ax = plt.subplots(figsize=(3, 2), layout="none")
    ax.set(xlim=(0, 1), ylim=(0, 1), title="still")
    (line,) = ax.plot([0.1, 0.9], [0.1, 0.5])
    text = ax.text(0.1, 0.8, "first")
    plt.close(figure)
    return figure, line, text


def slow_pixels(figure, artists):
    for artist in artists:
        artist.set_animated(False)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[:, :, :3]


def test_a_live_picture_is_what_drawing_everything_gives():
    figure, line, text = toy()
    live = book.Live(figure, [text, line])
    before = live.pixels().copy()
    line.set_ydata([0.9, 0.2])
    text.set_text("second")
    quick = live.pixels().copy()
    assert (quick != before).any()
    assert np.array_equal(quick, slow_pixels(figure, [line, text]))


def test_only_what_moves_is_drawn_again_and_in_the_order_of_zorder(monkeypatch):
    figure, ax = plt.subplots(figsize=(3, 2), layout="none")
    ax.plot([0, 1], [0, 1])
    artists = [ax.plot([0, 1], [1, 0], zorder=zorder)[0] for zorder in (5, 3, 4)]
    plt.close(figure)
    live = book.Live(figure, artists)
    drawn = []
    monkeypatch.setattr(Line2D, "draw", lambda line, renderer: drawn.append(line.get_zorder()))
    monkeypatch.setattr(type(ax), "draw", lambda *_: drawn.append("axes"))
    live.pixels()
    live.png()
    assert drawn == [3, 4, 5, 3, 4, 5]


def test_what_moves_covers_each_other_as_when_everything_is_drawn():
    figure, ax = plt.subplots(figsize=(3, 2), layout="none")
    ax.set(xlim=(0, 1), ylim=(0, 1))
    still = ax.plot(0.5, 0.5, "s", color="#94a4a2", markersize=60, zorder=1)
    top, bottom = [
        ax.plot(0.5, 0.5, "s", color=color, markersize=size, zorder=zorder)[0]
        for color, size, zorder in (("#3f90da", 20, 4), ("#ffa90e", 40, 3))
    ]
    plt.close(figure)
    live = book.Live(figure, [top, bottom])
    for place in (0.5, 0.6):
        for artist in (top, bottom):
            artist.set_xdata([place])
        quick = live.pixels().copy()
        for across, color in ((0, (0x3F, 0x90, 0xDA)), (20, (0xFF, 0xA9, 0x0E)), (-38, (0x94, 0xA4, 0xA2))):
            column, row = ax.transData.transform((0.5 if across < 0 else place, 0.5))
            assert tuple(quick[200 - round(row), round(column) + across]) == color
    assert np.array_equal(quick, slow_pixels(figure, [top, bottom]))
    assert still[0].get_animated() is False


def test_what_moves_does_not_shift_what_stands():
    places = []
    for far in (0.5, 40.0):
        figure, ax = plt.subplots(figsize=(3, 2), layout="constrained")
        ax.set(xlim=(0, 1), ylim=(0, 1))
        (points,) = ax.plot([far], [0.5], "o", clip_on=False)
        plt.close(figure)
        book.Live(figure, [points])
        places.append(ax.get_position().bounds)
    assert places[0] == places[1]
    assert places[0][2] > 0.6


def test_what_moved_away_leaves_no_trace():
    figure, line, text = toy()
    live = book.Live(figure, [line, text])
    before = live.pixels().copy()
    line.set_ydata([0.9, 0.2])
    assert (live.pixels() != before).any()
    line.set_ydata([0.1, 0.5])
    assert np.array_equal(live.pixels(), before)


def test_the_png_holds_the_pixels():
    figure, line, text = toy()
    live = book.Live(figure, [line, text])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(live.png()))), live.pixels())


class Slope(Explorer):
    def __init__(self):
        figure, self.line, text = toy()
        self.steps = self.drawn = 0
        controls = {
            "slope": ipywidgets.FloatSlider(0.5, min=0, max=1, step=0.1, description="slope"),
            "start": ipywidgets.FloatSlider(0.0, min=0, max=1, step=0.1, description="start"),
        }
        super().__init__(book.Live(figure, [self.line, text]), controls, {"step": self.step})

    def step(self):
        self.steps += 1

    def move(self, slope, start):
        self.drawn += 1
        self.line.set_ydata([start, start + slope])
        return f"from {start:.1f} with slope {slope:.1f} after {self.steps} steps"


def test_an_explorer_draws_and_says_each_value_of_its_controls():
    explorer = Slope()
    first = explorer.picture.value
    explorer.controls["slope"].value = 0.8
    assert explorer.text.value == explorer.picture.alt == "from 0.0 with slope 0.8 after 0 steps"
    assert explorer.picture.value == explorer.live.png() != first
    explorer.actions["step"]()
    assert explorer.text.value.endswith("after 1 steps")
    assert explorer.values() == {"slope": 0.8, "start": 0.0}


def test_several_controls_are_set_with_one_drawing():
    explorer = Slope()
    drawn = explorer.drawn
    explorer.set(slope=0.1, start=0.9)
    assert explorer.drawn == drawn + 1
    assert explorer.text.value.startswith("from 0.9 with slope 0.1")
    with pytest.raises(ValueError, match="Slope.set: name must be one of 'slope', 'start'; got 'hight'"):
        explorer.set(hight=1)
    explorer.controls["start"].value = 0.2  # it still listens after an error
    assert explorer.text.value.startswith("from 0.2")


def test_a_sharp_picture_is_all_of_the_figure_in_twice_the_pixels_and_leaves_the_quick_one_alone():
    figure, line, text = toy()
    live = book.Live(figure, [line, text])
    line.set_ydata([0.9, 0.2])
    before = live.png()
    sharp = np.asarray(Image.open(io.BytesIO(live.sharp())).convert("RGB"))
    assert live.png() == before
    assert sharp.shape == (400, 600, 3)
    figure.set_dpi(200)
    assert np.array_equal(sharp, slow_pixels(figure, [line, text]))


def test_a_widget_holds_controls_buttons_picture_and_words():
    explorer = Slope()
    panel = explorer.widget()
    assert panel is explorer.picture
    data = panel.widget().data
    assert [control["label"] for control in data["controls"].values()] == ["slope", "start"]
    assert data["actions"] == ["step"]
    assert data["size"] == [panel.width, panel.height] == [300, 200]
