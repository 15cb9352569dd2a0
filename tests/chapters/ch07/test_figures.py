"""Figures of chapter 07: each dot, bar and line is what was given, and numbers stand beside their bars."""

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import pytest
import torch

from dmlbook import book, datasets
from dmlbook.chapters.ch07 import experiments, figures, photographs
from dmlbook.records import interval
from dmlbook.training import TrainConfig, Views

SCORES = {"A": [0.5, 0.6, 0.7], "B": [0.4, 0.4, 0.5]}


@pytest.fixture(autouse=True)
def style():
    with plt.rc_context():
        book.use_style()
        yield


@pytest.fixture
def ax():
    figure, ax = plt.subplots(figsize=(6, 3))
    yield ax
    plt.close(figure)


@pytest.fixture(scope="module")
def whole():
    return {"Cars196": photographs.beside_floors("cars"), "CUB-200-2011": photographs.beside_floors("cub")}


def gains_of(whole):
    return {
        (data, key): {each: table.gains(each, photographs.FROZEN, key) for each in photographs.LOSSES}
        for data, table in whole.items()
        for key in photographs.BOTH
    }


def test_views_are_those_of_the_first_epochs(ax):
    images = datasets.load("birds", "train").of_classes(torch.arange(1))
    config = TrainConfig(**experiments.FOR_DRAWINGS)
    figures.views(ax, images, config, image=3, count=2)
    drawn = torch.as_tensor(ax.images[0].get_array()).movedim(-1, 0)
    for epoch, piece in enumerate((drawn[:, :64, :64], drawn[:, :64, -64:])):
        (view,) = Views(images, config).for_training(torch.tensor([3]), torch.device("cpu"), epoch=epoch, step=0)
        assert torch.equal(piece, (view * 255).byte())


def test_scores_stand_beside_the_line_of_pixels_in_percent(ax):
    figures.score_rows(ax, SCORES, 0.25, measure="MAP@R")
    lines = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert [list(line.get_xdata()) for line in lines] == [[25.0, 25.0]]
    assert "60.0 ± 24.8" in [text.get_text() for text in ax.texts]
    assert ax.get_xlabel() == "MAP@R in percent"


def test_each_loss_falls_as_a_share_of_its_own_start(ax):
    figures.falls(ax, {"A": [[4.0, 2.0], [8.0, 2.0]], "B": [[0.5, 0.4]]})
    drawn = [list(line.get_ydata()) for line in ax.lines]
    assert drawn == [[1.0, 0.5], [1.0, 0.25], [1.0, 0.375], [1.0, 0.8]]


def test_every_gain_lies_in_its_panel_and_its_number_beside_its_bar(whole):
    shown = gains_of(whole)
    figure = figures.gains(shown)
    figure.canvas.draw()
    for ax, ((data, _), by_loss) in zip(figure.axes, shown.items(), strict=True):
        assert ax.get_title(loc="left").startswith(data)
        frame = ax.get_window_extent()
        for row, (text, values) in enumerate(zip(ax.texts, by_loss.values(), strict=True)):
            mean, half = interval(values)
            assert text.get_text() == f"{100 * mean:.1f} ± {100 * half:.1f}"
            box = text.get_window_extent()
            left, height = ax.transData.transform((100 * (mean + half), row))
            assert left < box.x0 < left + 15
            assert box.y0 < height < box.y1
            assert box.x1 < frame.x1
            assert ax.get_xlim()[0] < 100 * (mean - half)
            zero = ax.transData.transform((0, row))[0]
            assert not box.x0 < zero < box.x1
    wide, narrow = (ax.get_window_extent().width / (ax.get_xlim()[1] - ax.get_xlim()[0]) for ax in figure.axes[:2])
    assert wide == pytest.approx(narrow, rel=0.05)
    plt.close(figure)


def test_every_length_has_its_line_in_both_rows():
    trials = {
        title: {epochs: photographs.head_trials(title, epochs) for epochs in (1, 30)} for title in photographs.LOSSES
    }
    figure = figures.lengths(trials)
    for number, (title, by_length) in enumerate(trials.items()):
        for row, key in enumerate(photographs.BOTH):
            ax = figure.axes[row * len(trials) + number]
            for line, found in zip(ax.lines, by_length.values(), strict=True):
                assert list(line.get_xdata()) == list(found)
                assert list(line.get_ydata()) == [100 * trial[key] for trial in found.values()]
        assert figure.axes[number].get_title(loc="left") == title
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["1 epoch", "30 epochs"]
    plt.close(figure)


@pytest.mark.bad_input
def test_what_cannot_be_drawn_is_named(ax):
    images = datasets.load("birds", "train").of_classes(torch.arange(1))
    with pytest.raises(ValueError, match="image must be below 50, the number of images; got 50"):
        figures.views(ax, images, TrainConfig(**experiments.FOR_DRAWINGS), image=50)
    with pytest.raises(ValueError, match="measure must be one of R@1, MAP@R; got 'NMI'"):
        figures.score_rows(ax, SCORES, 0.25, measure="NMI")
    with pytest.raises(ValueError, match="by_method must begin above 0; got -1.0"):
        figures.falls(ax, {"A": [[-1.0, 2.0]]})
