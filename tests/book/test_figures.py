"""Figures: pictures at the right places and in their shape, frames that tell right from wrong, alt text that stays."""

import io
from itertools import pairwise

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import pytest
import torch
from PIL import Image

from dmlbook import book
from dmlbook.datasets import ImageSet
from dmlbook.seeding import generator


@pytest.fixture
def image_set():
    images = torch.randint(256, (6, 3, 10, 10), generator=generator(1, "images"), dtype=torch.uint8)
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    return ImageSet(images, labels, ("gull", "tern"), aspects=torch.tensor([1.0, 2.0, 0.5, 1.0, 1.0, 1.5]))


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_tiles_puts_each_image_at_its_place(image_set):
    _, ax = plt.subplots()
    book.tiles(ax, image_set.images, columns=4, gap=3)
    sheet = ax.images[0].get_array()
    assert sheet.shape == (23, 49, 3)
    for place in range(6):
        top, left = place // 4 * 13, place % 4 * 13
        assert (sheet[top : top + 10, left : left + 10] == image_set.images[place].permute(1, 2, 0).numpy()).all()
    assert (sheet[:, 10:13] == 255).all()


def test_pictures_get_back_their_shape(image_set):
    shapes = [tuple(book.picture(image_set, i).shape) for i in range(6)]
    assert shapes == [(10, 10, 3), (10, 20, 3), (20, 10, 3), (10, 10, 3), (10, 10, 3), (10, 15, 3)]
    assert (book.picture(image_set, 0) == image_set.images[0].permute(1, 2, 0)).all()


def test_neighbours_are_framed_black_where_right_and_grey_where_wrong(image_set):
    _, axes = plt.subplots(1, 4)
    book.query_row(axes, image_set, 0, torch.tensor([1, 4, 2]))
    titles = [ax.get_title() for ax in axes]
    assert titles == ["query", "1 ✓", "2 ✗", "3 ✓"]
    _, plain = plt.subplots(1, 4)
    book.query_row(plain, image_set, 0, torch.tensor([1, 4, 2]), titles=False)
    assert [ax.get_title() for ax in plain] == [""] * 4
    colors = [matplotlib.colors.to_hex(ax.spines["left"].get_edgecolor()) for ax in axes]
    assert colors == ["#000000", "#000000", book.WRONG, "#000000"]
    assert [len(ax.patches) for ax in axes] == [0, 0, 1, 0]


def test_gallery_has_a_row_for_each_query_and_method(image_set):
    found = torch.tensor([[1, 2], [0, 2], [0, 1], [4, 5], [3, 5], [3, 4]])
    figure = book.gallery(image_set, [0, 3], {"pixels": found, "learned": found.flip(1)}, title="Finding")
    assert len(figure.axes) == 4 * 3
    assert figure.get_suptitle() == "Finding"
    for ax, index in zip(figure.axes, [0, 1, 2, 0, 2, 1, 3, 4, 5, 3, 5, 4], strict=True):
        assert (ax.images[0].get_array() == book.picture(image_set, index).numpy()).all()
    assert [figure.axes[3 * row].get_ylabel() for row in range(4)] == ["pixels", "learned"] * 2
    figure.canvas.draw()
    tops = [figure.axes[3 * row].get_position().y1 for row in range(4)]
    assert tops[1] - tops[2] > 1.05 * (tops[0] - tops[1]) > 0  # a gap between two queries


def test_nearest_leaves_the_query_out_and_sorts_by_cosine():
    x = torch.tensor([[1.0, 0.0], [5.0, 0.5], [0.0, 1.0], [1.0, 0.9]])
    found = book.nearest(x, 3)
    assert found.tolist() == [[1, 3, 2], [0, 3, 2], [3, 1, 0], [1, 0, 2]]
    assert book.right_first(found, torch.tensor([0, 0, 1, 1])).tolist() == [True, True, True, False]


def test_curves_draw_every_seed_and_a_mean_that_is_named_at_its_end():
    _, ax = plt.subplots()
    book.curves(ax, {"A": [[1.0, 2.0], [3.0, 4.0]], "B": [[5.0, 6.0]]})
    drawn = [line.get_ydata() for line in ax.lines]
    assert [list(y) for y in drawn] == [[1.0, 2.0], [3.0, 4.0], [2.0, 3.0], [5.0, 6.0]]
    assert [text.get_text() for text in ax.texts] == ["A", "B"]
    assert [text.xy[1] for text in ax.texts] == [3.0, 6.0]  # where the means end
    assert all(list(line.get_xdata()) == [1, 2] for line in ax.lines)
    book.curves(ax, {"C": [[1.0, 2.0]]}, first=5)
    assert list(ax.lines[-1].get_xdata()) == [5, 6]
    assert ax.lines[2].get_linestyle() != ax.lines[3].get_linestyle()


def test_names_of_curves_that_end_together_do_not_lie_on_each_other():
    _, ax = plt.subplots()
    book.curves(ax, {name: [[0.0, 1.0 + 1e-3 * i]] for i, name in enumerate("ABC")})
    heights = sorted(text.xy[1] for text in ax.texts)
    low, high = ax.get_ylim()
    assert min(b - a for a, b in pairwise(heights)) > 0.05 * (high - low)


def test_dots_show_every_seed_and_the_interval():
    _, ax = plt.subplots()
    book.dots(ax, {"SoftTriple": [0.5, 0.52], "one seed": [0.4]})
    assert list(ax.lines[0].get_xdata()) == [50.0, 52.0]
    assert [text.get_text() for text in ax.texts] == ["51.0 ± 12.7", "40.0"]
    (bar,) = (bars.get_segments()[0] for bars in ax.collections)
    assert bar[:, 0] == pytest.approx([51 - 12.706, 51 + 12.706], abs=1e-3)
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first method on top
    assert [label.get_text() for label in ax.get_yticklabels()] == ["SoftTriple", "one seed"]


def test_show_displays_a_png_with_its_alt_text(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    figure, _ = plt.subplots(figsize=(4, 3))
    book.show(figure, "A line that rises from left to right.")
    data, metadata = shown[0]._repr_mimebundle_()
    assert metadata["image/png"]["alt"] == "A line that rises from left to right."
    assert metadata["image/png"]["width"] == 400
    assert not plt.fignum_exists(figure.number)
    assert "image/png" in data


def test_png_is_the_same_in_every_run():
    def draw():
        figure, ax = plt.subplots(figsize=(2, 1))
        ax.plot([1, 2])
        return book.png(figure)

    first = draw()
    assert first == draw()
    assert Image.open(io.BytesIO(first)).size == (200, 100)


def test_the_style_of_the_book_colors_classes_with_petroff10():
    with matplotlib.rc_context():
        book.use_style()
        assert plt.rcParams["axes.prop_cycle"].by_key()["color"][0] == "#3f90da"


@pytest.mark.bad_input
def test_bad_input_is_named():
    with pytest.raises(ValueError, match="alt must say in a sentence what the figure shows; got 'figure'"):
        book.show(plt.figure(), "figure")
    with pytest.raises(ValueError, match=r"images must be a tensor of shape \(N, 3, S, S\)"):
        book.tiles(plt.subplots()[1], torch.zeros(3, 4, 4), columns=2)
