"""Figures of chapter 06: each arrow, mark and number is what was given, and no words stand on others."""

import itertools

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.text import Text
from torch.testing import assert_close

from dmlbook import losses
from dmlbook.book import CENTER_RADIUS, lines
from dmlbook.chapters.ch06 import figures, methods, pairs, theory
from tests import drawn

BLUE, ORANGE, RED = drawn.PETROFF10[:3]
STAGE = theory.stage()


@pytest.fixture
def page():
    """Makes figures in the book's style and size, closed after the test."""
    opened = []

    def new(width, height, rows=1, columns=1):
        figure, axes = plt.subplots(rows, columns, figsize=(width, height), layout="constrained", squeeze=False)
        opened.append(figure)
        return axes.flatten().tolist()

    with plt.rc_context({"font.size": 11}):
        yield new
    for figure in opened:
        plt.close(figure)


def arrows(ax):
    """Start and end of each arrow, in data coordinates, before it is shrunk to its head."""
    found = []
    for patch in ax.patches:
        if isinstance(patch, FancyArrowPatch):
            path = patch._path_original if patch._posA_posB is None else None
            found.append(tuple(map(tuple, path.vertices[[0, -1]])) if path else tuple(map(tuple, patch._posA_posB)))
    return found


def boxes(ax):
    return [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]


def overlap(one, other):
    """Whether two boxes on the page share more than a pixel."""
    return min(one.x1, other.x1) - max(one.x0, other.x0) > 1 and min(one.y1, other.y1) - max(one.y0, other.y0) > 1


def extent(text):
    """Where the letters stand on the page, without a line that leads to them."""
    return Text.get_window_extent(text)


def colliding(texts):
    """Pairs of texts that stand on each other once the figure is drawn."""
    extents = [(text.get_text(), extent(text)) for text in texts]
    return [(a, b) for i, (a, x) in enumerate(extents) for b, y in extents[:i] if overlap(x, y)]


def flat(text):
    return text.replace("\n", " ")


# The family tree


def test_the_tree_has_a_box_for_each_method_at_its_year_named_inside(page):
    (ax,) = page(9.6, 7)
    assert figures.family_tree(ax) is ax
    ax.figure.canvas.draw()
    titles = {flat(text.get_text()): text for text in ax.texts}
    assert len(boxes(ax)) == len(methods.METHODS)
    for box, (name, method) in zip(boxes(ax), methods.METHODS.items(), strict=True):
        middle = (box.get_x() + box.get_width() / 2, box.get_y() + box.get_height() / 2)
        assert middle == pytest.approx((method.year, figures.ROWS[name]))
        words, around = titles[method.title].get_window_extent(), box.get_window_extent()
        assert around.x0 < words.x0 < words.x1 < around.x1
        assert around.y0 < words.y0 < words.y1 < around.y1
        assert (to_hex(box.get_facecolor()) == drawn.WHITE) == (not method.sampled)
        assert box.get_linestyle() == {"hard": "-", "smooth": "--", "mean": ":"}[method.smooth]


def test_kinds_of_representatives_stand_together_in_the_tree():
    kinds = [methods.METHODS[name].representatives for name in sorted(figures.ROWS, key=figures.ROWS.get)]
    assert [kind for place, kind in enumerate(kinds) if kind not in kinds[:place]] == list(methods.REPRESENTATIVES)
    assert kinds == sorted(kinds, key=methods.REPRESENTATIVES.index)


def test_each_arrow_of_the_tree_leads_from_a_parents_box_to_its_childs_and_every_need_is_written(page):
    (ax,) = page(9.6, 7)
    figures.family_tree(ax)
    found = arrows(ax)
    edges = [(parent, name, need) for name, method in methods.METHODS.items() for parent, need in method.removes]
    assert len(found) == len(edges)
    said = [flat(text.get_text()) for text in ax.texts]
    for (start, end), (parent, child, need) in zip(found, edges, strict=True):
        for point, name in ((start, parent), (end, child)):
            across, up = point[0] - methods.METHODS[name].year, point[1] - figures.ROWS[name]
            at_side = abs(across) == pytest.approx(figures.HALF_WIDTH) and abs(up) < figures.HALF_HEIGHT
            at_end = abs(up) == pytest.approx(figures.HALF_HEIGHT) and abs(across) < figures.HALF_WIDTH
            assert at_side or at_end, (parent, child)
        assert need in said


def test_a_need_stands_at_the_box_of_the_method_that_removes_it(page):
    (ax,) = page(9.6, 7)
    figures.family_tree(ax)
    places = {flat(text.get_text()): text.get_position() for text in ax.texts}
    for name, method in methods.METHODS.items():
        for number, (_, need) in enumerate(method.removes):
            across, up = places[need][0] - method.year, places[need][1] - figures.ROWS[name]
            assert (-0.5 < across < 0 and -0.5 < up < 0) if number == 0 else (across < -0.4 and 0 < up < 0.3)


def test_no_words_of_the_tree_stand_on_others_or_leave_the_page(page):
    (ax,) = page(9.6, 7)
    figures.family_tree(ax)
    ax.figure.canvas.draw()
    assert colliding(ax.texts) == []
    page_box = ax.figure.bbox
    for text in ax.texts:
        box = text.get_window_extent()
        assert page_box.x0 <= box.x0 < box.x1 <= page_box.x1, text.get_text()
        assert drawn.contrast(text.get_color()) > drawn.READABLE
        assert text.get_fontsize() >= 9


def test_no_arrow_of_the_tree_runs_through_a_box_or_a_word(page):
    (ax,) = page(9.6, 7)
    figures.family_tree(ax)
    ax.figure.canvas.draw()
    for patch in ax.patches:
        if not isinstance(patch, FancyArrowPatch):
            continue
        corners = ax.transData.transform(patch._path_original.vertices)
        steps = torch.linspace(0.02, 0.98, 200).tolist()
        points = [(1 - t) * a + t * b for a, b in itertools.pairwise(corners) for t in steps]
        for artist in [*boxes(ax), *ax.texts]:
            box = artist.get_window_extent()
            inside = [p for p in points if box.x0 + 2 < p[0] < box.x1 - 2 and box.y0 + 2 < p[1] < box.y1 - 2]
            assert inside == [], artist


# Forces


@pytest.mark.parametrize("name", losses.NAMES)
def test_arrows_are_the_forces_scaled_to_the_largest_of_the_panel(ax, name):
    assert figures.force_panel(ax, STAGE, name) is ax
    found = theory.forces(theory.place(name, STAGE), STAGE.points, STAGE.labels)
    largest = found.norm(dim=1).max()
    felt = found.norm(dim=1) > 0.02 * largest
    ends = torch.tensor(arrows(ax), dtype=torch.float64)  # (arrows, 2, 2)
    assert_close(ends[:, 0], STAGE.points[felt], rtol=0, atol=1e-9)
    moved = ends[:, 1] - ends[:, 0]
    assert_close(moved, figures.LONGEST_ARROW * found[felt] / largest, rtol=0, atol=1e-9)
    assert float(moved.norm(dim=1).max()) == pytest.approx(figures.LONGEST_ARROW)


def test_a_panel_shows_the_images_in_their_hues_and_says_method_and_loss(ax):
    figures.force_panel(ax, STAGE, "proxy_nca")
    images = [
        (color, torch.tensor(places, dtype=torch.float64)) for color, marker, places in drawn.lines(ax) if marker == "o"
    ]
    assert [color for color, _ in images] == [BLUE, ORANGE, RED]
    for number, (_, places) in enumerate(images):
        assert_close(places, STAGE.points[STAGE.labels == number], rtol=0, atol=1e-12)
    value = float(theory.place("proxy_nca", STAGE)(STAGE.points, STAGE.labels).detach())
    assert value < -1
    assert ax.get_title() == f"Proxy-NCA  −{-value:.2f}"


def test_a_small_loss_keeps_a_digit(ax):
    figures.force_panel(ax, STAGE, "semihard")
    value = float(theory.place("semihard", STAGE)(STAGE.points, STAGE.labels))
    assert 0 < value < 0.1
    assert ax.get_title() == f"semi-hard  {value:.1g}"


@pytest.mark.parametrize(
    ("name", "marker"),
    [
        *(("softmax", "*"), ("proxy_anchor", "*"), ("proxy_nca", "*")),
        *(("softtriple", "X"), ("hardtriple", "X"), ("subcenter_arcface", "X")),
        *(("centroid_bound", "P"), ("triplet_center", "P"), ("lifted", None), ("clustering", None)),
    ],
)
def test_representatives_have_the_mark_of_their_role_and_the_hue_of_their_class(ax, name, marker):
    loss = theory.place(name, STAGE)
    assert figures.representatives(ax, loss) is ax
    found = drawn.lines(ax)
    assert {mark for _, mark, _ in found} == ({marker} if marker else set())
    if marker is None:
        return
    assert [color for color, _, _ in found] == [BLUE, ORANGE, RED]
    points = loss.centroids if marker == "P" else loss.centers.detach()
    expected = CENTER_RADIUS * (points[:, None] if marker == "P" else points)
    assert_close(torch.tensor([places for _, _, places in found], dtype=torch.float64), expected, rtol=0, atol=1e-7)


def test_a_stage_with_one_of_several_centers_still_marks_them_as_centers(ax):
    one = theory.around(STAGE.points, STAGE.labels, centers_per_class=1)
    figures.representatives(ax, theory.place("softtriple", one))
    assert {mark for _, mark, _ in drawn.lines(ax)} == {"X"}


def test_a_ring_surrounds_the_image_that_is_asked_for_in_every_panel(page):
    axes = page(9.6, 6.4, 3, 5)
    figures.force_panels(axes, STAGE, ringed=4)
    for ax in axes[:13]:
        (ring,) = [line for line in ax.lines if line.get_markerfacecolor() == "none"]
        assert ring.get_xydata()[0].tolist() == STAGE.points[4].tolist()
        assert ring.get_markersize() > 11  # the image shows inside


def test_panels_stand_in_the_order_of_their_names_and_the_next_one_holds_the_key(page):
    axes = page(9.6, 6.4, 3, 5)
    assert figures.force_panels(axes, STAGE) is axes
    titles = [ax.get_title().split("  ")[0] for ax in axes[:13]]
    assert titles == [methods.METHODS[name].title for name in losses.NAMES]
    key, empty = axes[13:]
    assert {mark for _, mark, _ in drawn.lines(key)} == {"o", "*", "X", "P"}
    assert {"image", "proxy", "center"} < set(drawn.words(key))
    assert [key.axison, empty.axison, len(empty.lines), len(empty.texts)] == [False, False, 0, 0]
    key.figure.canvas.draw()
    assert colliding([ax.title for ax in axes[:13]]) == []
    assert colliding(key.texts) == []


# How alike


NAMES = ("triplet", "softmax", "softtriple")
MATRIX = torch.tensor([[1.0, 0.55, -0.6], [0.55, 1.0, 0.996], [-0.6, 0.996, 1.0]])


def test_the_matrix_is_shown_darker_where_fields_are_more_alike_with_its_numbers(ax):
    assert figures.alike_matrix(ax, NAMES, MATRIX) is ax
    (shown,) = ax.images
    assert_close(torch.tensor(shown.get_array().tolist()), MATRIX)
    assert drawn.brightness(shown.to_rgba(1.0)) < drawn.brightness(shown.to_rgba(0.3))
    said = {text.xy: text.get_text() for text in ax.texts}
    assert said == {
        **{(0, 0): "1.00", (1, 0): ".55", (2, 0): "−.60", (0, 1): ".55", (1, 1): "1.00", (2, 1): "1.00"},
        **{(0, 2): "−.60", (1, 2): "1.00", (2, 2): "1.00"},
    }
    for text in ax.texts:
        column, row = text.xy
        assert drawn.contrast(text.get_color(), shown.to_rgba(float(MATRIX[row, column]))) > drawn.READABLE


def test_rows_and_columns_of_the_matrix_are_the_methods_titles(ax):
    figures.alike_matrix(ax, NAMES, MATRIX)
    titles = ["triplet", "normalized SoftMax", "SoftTriple"]
    assert [tick.get_text() for tick in ax.get_xticklabels()] == titles
    assert [tick.get_text() for tick in ax.get_yticklabels()] == titles
    low, high = ax.get_ylim()
    assert low > high  # the first row on top


def test_a_cosine_that_rounds_to_nothing_has_no_sign(ax):
    figures.alike_matrix(ax, NAMES[:2], torch.tensor([[1.0, -0.001], [-0.001, 1.0]]))
    assert [text.get_text() for text in ax.texts] == ["1.00", ".00", ".00", "1.00"]


# Pairs used


USED = {"triplet": pairs.Used(1.0, 0.5, 0.25), "softmax": pairs.Used(0.125, 0.75, None)}


def test_bars_are_the_shares_of_pairs_of_one_class_in_black_above_those_of_two_in_grey(ax):
    assert figures.used_bars(ax, USED) is ax
    bars = [(patch.get_width(), to_hex(patch.get_facecolor())) for patch in ax.patches]
    assert bars == [(100, "#000000"), (50, "#8f8f8f"), (12.5, "#000000"), (75, "#8f8f8f")]
    ups = [patch.get_y() + patch.get_height() / 2 for patch in ax.patches]
    assert [round(up) for up in ups] == [0, 0, 1, 1]
    assert ups == sorted(ups)
    low, high = ax.get_ylim()
    assert low > high
    words = [text.get_text() for text in ax.get_legend().get_texts()]
    colors = [to_hex(patch.get_facecolor()) for patch in ax.get_legend().get_patches()]
    assert dict(zip(words, colors, strict=True)) == {
        "pairs of one class": "#000000",
        "pairs of two classes": "#8f8f8f",
    }


def test_each_bar_says_its_share_and_losses_with_triplets_say_theirs(page):
    (ax,) = page(9.6, 5.6)
    figures.used_bars(ax, USED)
    said = [(text.get_text(), text.xy) for text in ax.texts]
    ups = [patch.get_y() + patch.get_height() / 2 for patch in ax.patches]
    assert said == [
        ("100%", (100, pytest.approx(ups[0]))),
        ("50%", (50, pytest.approx(ups[1]))),
        ("25% of its triplets", (110, 0)),
        ("12%", (12.5, pytest.approx(ups[2]))),
        ("75%", (75, pytest.approx(ups[3]))),
    ]
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["triplet", "normalized SoftMax"]
    ax.figure.canvas.draw()
    assert colliding([*ax.texts, *ax.get_legend().get_texts()]) == []


# Cost


SECONDS = {"softmax": [1e-3, 2e-3, 4e-3], "lifted": [1e-3, 4e-3, 4.1e-3], "clustering": [1e-2, 1e-1, 1.0]}


def test_cost_is_a_line_a_method_over_sizes_both_as_logarithms(ax):
    assert figures.cost_lines(ax, (16, 32, 64), SECONDS) is ax
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    for line, values in zip(ax.lines, SECONDS.values(), strict=True):
        assert line.get_xydata().tolist() == [[16, values[0]], [32, values[1]], [64, values[2]]]
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.lines}) == 3
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["16", "32", "64"]


def test_each_line_of_cost_is_named_in_the_order_of_the_ends_and_no_two_names_touch(page):
    (ax,) = page(9.6, 5)
    thirteen = {name: [1e-3, 1e-3 * (1 + 0.01 * number)] for number, name in enumerate(losses.NAMES)}
    thirteen["subcenter_arcface"] = [1e-3, 10.0]  # far above the twelve, whose ends are a few pixels apart
    figures.cost_lines(ax, (16, 32), thirteen)
    ax.figure.canvas.draw()
    heights = [(extent(text).y0 + extent(text).y1) / 2 for text in ax.texts]
    assert [text.get_text() for text in ax.texts] == [methods.METHODS[name].title for name in thirteen]
    assert heights == sorted(heights)
    assert colliding(ax.texts) == []
    low, high = ax.get_window_extent().intervaly
    assert low - 2 < heights[0] < heights[-1] < high + 2
    to_page = ax.transAxes
    for text, values in zip(ax.texts, thirteen.values(), strict=True):
        assert to_page.transform(text.xy).tolist() == pytest.approx(ax.transData.transform((32, values[-1])).tolist())


def test_names_of_cost_lines_are_in_greys_that_can_be_read(ax):
    figures.cost_lines(ax, (16, 32, 64), SECONDS)
    assert [text.get_color() for text in ax.texts] == list(lines.WORDS[:3])
    assert all(drawn.contrast(text.get_color()) > drawn.READABLE for text in ax.texts)


def test_names_of_lines_that_end_apart_stand_where_they_end(ax):
    figures.cost_lines(ax, (16, 32), {"a": [1.0, 1.0], "b": [1.0, 100.0]})
    assert [(text.get_text(), text.xyann[1]) for text in ax.texts] == [
        (name, pytest.approx(text.xy[1])) for name, text in zip("ab", ax.texts, strict=True)
    ]
