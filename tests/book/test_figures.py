"""Figures: pictures at the right places and in their shape, frames that tell right from wrong, alt text that stays."""

import base64
import html
import io
import re
from itertools import pairwise

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.colors import to_hex
from PIL import Image

from dmlbook import book
from dmlbook.datasets import ImageSet
from dmlbook.seeding import generator
from tests import drawn, reference


@pytest.fixture
def image_set():
    images = torch.randint(256, (6, 3, 10, 10), generator=generator(1, "images"), dtype=torch.uint8)
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    return ImageSet(images, labels, ("gull", "tern"), aspects=torch.tensor([1.0, 2.0, 0.5, 1.0, 1.0, 1.5]))


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def shown(axes, image_set):
    """The number of the image that each of the axes shows."""
    found = []
    for ax in axes:
        pixels = ax.images[0].get_array()
        same = [i for i in range(len(image_set)) if pixels.shape == tuple(book.picture(image_set, i).shape)]
        found += [i for i in same if (pixels == book.picture(image_set, i).numpy()).all()]
    return found


# Colors and style


def test_classes_have_the_hues_of_petroff10_in_their_order():
    assert book.class_colors(10) == [book.class_color(c) for c in range(10)] == list(drawn.PETROFF10)
    assert book.class_colors(12)[10:] == list(drawn.PETROFF10[:2])
    assert book.class_colors(0) == []


def test_the_style_draws_what_has_no_color_in_the_hues_of_the_classes():
    with matplotlib.rc_context():
        book.use_style()
        assert plt.rcParams["axes.prop_cycle"].by_key()["color"] == list(drawn.PETROFF10)
        _, ax = plt.subplots()
        hues = [to_hex(ax.plot([0, c])[0].get_color()) for c in range(10)]
    assert hues == book.class_colors(10)


def test_the_style_is_quiet_and_titles_begin_at_the_left():
    with matplotlib.rc_context():
        book.use_style()
        figure, ax = plt.subplots()
        ax.plot([0, 1], label="line")
        ax.set_title("finding")
        assert {name for name, spine in ax.spines.items() if spine.get_visible()} == {"left", "bottom"}
        assert ax.get_title(loc="left") == "finding"
        assert not ax.legend().get_frame_on()
        assert not any(line.get_visible() for line in ax.get_xgridlines())
        assert figure.dpi == 100
        assert figure.get_layout_engine() is not None
        assert ax.title.get_fontsize() == 12
        assert ax.xaxis.label.get_fontsize() == 11


def test_letters_on_the_hue_of_a_class_can_be_read():
    assert {book.letter_color(c) for c in range(10)} == {"black", "white"}
    for c, hue in enumerate(drawn.PETROFF10):
        assert drawn.contrast(book.letter_color(c), hue) >= drawn.READABLE
    assert book.letter_color(12) == book.letter_color(2)


# Pictures


def test_tiles_puts_each_image_at_its_place(image_set, ax):
    assert book.tiles(ax, image_set.images, columns=4, gap=3) is ax
    sheet = ax.images[0].get_array()
    assert sheet.shape == (23, 49, 3)
    for place in range(6):
        top, left = place // 4 * 13, place % 4 * 13
        assert (sheet[top : top + 10, left : left + 10] == image_set.images[place].permute(1, 2, 0).numpy()).all()
    assert (sheet[:, 10:13] == 255).all()
    assert (sheet[10:13] == 255).all()
    assert (sheet[13:, 26:] == 255).all()  # where no image is left
    assert not ax.axison


def test_pictures_get_back_their_shape(image_set):
    shapes = [tuple(book.picture(image_set, i).shape) for i in range(6)]
    assert shapes == [(10, 10, 3), (10, 20, 3), (20, 10, 3), (10, 10, 3), (10, 10, 3), (10, 15, 3)]
    assert (book.picture(image_set, 0) == image_set.images[0].permute(1, 2, 0)).all()


@pytest.mark.parametrize(("aspect", "shape"), [(2.0, (8, 16)), (0.5, (16, 8))])
def test_a_picture_that_gets_back_its_shape_keeps_what_is_where(aspect, shape):
    images = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    images[0, 0, :, 4:], images[0, 1, 4:] = 200, 100  # red on the right, green below
    found = book.picture(ImageSet(images, torch.tensor([0]), ("gull",), aspects=torch.tensor([aspect])), 0)
    height, width = shape
    assert tuple(found.shape) == (height, width, 3)
    assert found[1, 1].tolist() == [0, 0, 0]
    assert found[1, width - 2].tolist() == [200, 0, 0]
    assert found[height - 2, 1].tolist() == [0, 100, 0]
    assert found[height - 2, width - 2].tolist() == [200, 100, 0]


# Queries and what is retrieved for them


def test_neighbours_are_shown_in_their_order_and_marked_right_or_wrong(image_set):
    _, axes = plt.subplots(1, 4)
    assert book.query_row(axes, image_set, 0, torch.tensor([1, 4, 2])) is axes
    assert shown(axes, image_set) == [0, 1, 4, 2]
    assert [ax.get_title() for ax in axes] == ["query", "1 ✓", "2 ✗", "3 ✓"]
    for ax, right in zip(axes, [True, True, False, True], strict=True):
        for spine in ax.spines.values():
            assert spine.get_visible()
            assert to_hex(spine.get_edgecolor()) == (drawn.BLACK if right else "#8f8f8f")
            assert spine.get_linewidth() == (2.5 if right else 1.2)
            assert (spine.get_linestyle() == "-") is right
        assert len(ax.patches) == (0 if right else 1)  # what is wrong is paled
        assert to_hex(ax.title.get_color()) == (drawn.BLACK if right else "#6e6e6e")
        assert drawn.contrast(ax.title.get_color()) >= drawn.READABLE
        assert len(ax.get_xticks()) == len(ax.get_yticks()) == 0


def test_neighbours_are_judged_by_the_class_of_their_own_query(image_set):
    _, axes = plt.subplots(1, 4)
    book.query_row(axes, image_set, 5, torch.tensor([1, 4, 2]))
    assert shown(axes, image_set) == [5, 1, 4, 2]
    assert [ax.get_title() for ax in axes] == ["query", "1 ✗", "2 ✓", "3 ✗"]
    (veil,) = axes[1].patches
    assert to_hex(veil.get_facecolor()) == drawn.WHITE
    assert 0 < veil.get_alpha() < 0.5
    assert (veil.get_width(), veil.get_height()) == (19.5, 9.5)  # to the far corner of a picture of 20 by 10


def test_titles_above_neighbours_can_be_left_out(image_set):
    _, axes = plt.subplots(1, 4)
    book.query_row(axes, image_set, 0, torch.tensor([1, 4, 2]), titles=False)
    assert [ax.get_title() for ax in axes] == [""] * 4
    with pytest.raises(ValueError, match="axes must be as many as the images; got 4 images and 3 axes"):
        book.query_row(axes[:3], image_set, 0, torch.tensor([1, 4, 2]))


def test_gallery_has_a_row_for_each_query_and_method(image_set):
    found = torch.tensor([[1, 2], [0, 2], [0, 1], [4, 1], [3, 5], [3, 4]])
    figure = book.gallery(image_set, [0, 3], {"pixels": found, "learned": found.flip(1)}, title="Finding")
    assert len(figure.axes) == 4 * 3
    assert figure.get_suptitle() == "Finding"
    assert shown(figure.axes, image_set) == [0, 1, 2, 0, 2, 1, 3, 4, 1, 3, 1, 4]
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["query", "1 ✓", "2 ✓"] * 2 + ["query", "1 ✓", "2 ✗", "query", "1 ✗", "2 ✓"]
    assert [ax.get_ylabel() for ax in figure.axes] == ["pixels", "", "", "learned", "", ""] * 2
    figure.canvas.draw()
    rows = [figure.axes[3 * row].get_position() for row in range(4)]
    first, between, last = (above.y0 - below.y1 for above, below in pairwise(rows))
    assert 0 < first == pytest.approx(last)
    assert between - 2 * first > 0.1 * rows[0].height  # two queries stand apart, beyond an empty row's own space
    lefts = [ax.get_position().x0 for ax in figure.axes[:3]]
    assert lefts == sorted(lefts)


def test_gallery_of_one_method_needs_no_names(image_set):
    found = torch.tensor([[1, 2], [0, 2], [0, 1], [4, 1], [3, 5], [3, 4]])
    figure = book.gallery(image_set, [4, 1, 0], found, title="Finding", size=2.0)
    assert shown(figure.axes, image_set) == [4, 3, 5, 1, 0, 2, 0, 1, 2]
    assert {ax.get_ylabel() for ax in figure.axes} == {""}
    assert figure.get_size_inches().tolist() == pytest.approx([3 * 2.0, 3 * 2.0 * 1.12 + 0.6])
    assert figure._suptitle.get_ha() == "left"


def test_nearest_leaves_the_query_out_and_sorts_by_cosine():
    x = torch.tensor([[1.0, 0.0], [0.9, 0.1], [5.0, 5.0], [-0.1, 0.2]])  # the longest is near to none
    found = book.nearest(x, 3)
    assert found.tolist() == [[1, 2, 3], [0, 2, 3], [1, 0, 3], [2, 1, 0]]
    assert book.nearest(x, 1).tolist() == [[1], [0], [1], [2]]


def test_nearest_agrees_with_literal_loops():
    x = torch.randn(12, 3, generator=generator(1, "nearest")) * torch.logspace(-2, 2, 12)[:, None]
    units = [reference.unit(row) for row in reference.rows(x)]
    for i, found in enumerate(book.nearest(x, 5).tolist()):
        others = [j for j in range(12) if j != i]
        assert found == sorted(others, key=lambda j, i=i: -reference.dot(units[i], units[j]))[:5]


def test_near_duplicates_are_found_in_their_order():
    x = torch.tensor([[1.0, turn * 1e-4] for turn in (0, 5, 1, 4, 2, 3)])  # in float32 all cosines are 1
    assert book.nearest(x, 5)[0].tolist() == [2, 4, 5, 3, 1]


def test_right_first_looks_at_the_first_retrieved_image_only():
    found = torch.tensor([[1, 2], [2, 0], [3, 0], [0, 2]])
    assert book.right_first(found, torch.tensor([0, 0, 1, 1])).tolist() == [True, False, True, False]


# What leaves a notebook


def test_show_displays_a_figure_at_twice_the_resolution_with_its_alt_text(monkeypatch):
    displayed = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: displayed.append((data, raw)))
    figure, ax = plt.subplots(figsize=(4, 3))
    ax.plot([1, 2])
    book.show(figure, 'A line that rises from "left" to right.')
    ((data, raw),) = displayed
    assert raw
    assert data["text/plain"] == 'A line that rises from "left" to right.'
    tag = re.fullmatch(r'<img alt="([^"]*)" width="400" src="data:image/png;base64,([^"]*)">', data["text/html"])
    assert html.unescape(tag[1]) == data["text/plain"]
    picture = Image.open(io.BytesIO(base64.b64decode(tag[2])))
    assert picture.size == (800, 600)
    assert picture.mode == "P"
    assert not plt.fignum_exists(figure.number)


def test_png_is_the_same_in_every_run_and_closes_the_figure():
    def draw(**options):
        figure, ax = plt.subplots(figsize=(2, 1), facecolor="#3f90da")
        ax.set_axis_off()
        found = book.png(figure, **options)
        assert not plt.fignum_exists(figure.number)
        return found

    first = draw()
    assert first == draw()
    picture = Image.open(io.BytesIO(first))
    assert picture.size == (400, 200)
    assert picture.convert("RGB").getpixel((200, 100)) == (0x3F, 0x90, 0xDA)
    assert "Software" not in picture.info
    assert Image.open(io.BytesIO(draw(dpi=150))).size == (300, 150)


@pytest.mark.bad_input
def test_bad_input_is_named():
    with pytest.raises(ValueError, match="alt must say in a sentence what the figure shows; got 'figure'"):
        book.show(plt.figure(), "figure")
    with pytest.raises(ValueError, match=r"images must be a tensor of shape \(N, 3, S, S\)"):
        book.tiles(plt.subplots()[1], torch.zeros(3, 4, 4), columns=2)
