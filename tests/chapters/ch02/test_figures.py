"""Figures of chapter 02: what is drawn is what was given, and curves and level lines agree with literal loops."""

import math

import matplotlib

matplotlib.use("agg")
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex, to_rgb

from dmlbook.chapters.ch02 import figures, theory
from tests import drawn
from tests.chapters.ch02 import reference

BLUE, ORANGE, RED, GREY = drawn.PETROFF10[:4]
V = torch.tensor([0.0, 0.16, -0.2], dtype=torch.float64)  # violations of three triplets


def points_by_mark(ax):
    """Color and points of the lines with a marker, by marker, in the order in which they were drawn."""
    found = {}
    for color, marker, points in drawn.lines(ax):
        found.setdefault(marker, []).append((color, pytest.approx(np.array(points), abs=1e-6)))
    return found


# An image among its centers


def test_the_image_has_the_hue_of_its_class_and_each_center_its_own_and_its_name(ax):
    centers = torch.tensor([[0.8, 0.6], [0.96, -0.28], [0.6, -0.8]])
    marks = figures.image_and_centers(ax, torch.tensor([0.0, 1.0]), centers, 1)
    assert points_by_mark(ax) == {
        "o": [(ORANGE, np.array([[0.0, 1.0]]))],
        "X": [(hue, np.array([center])) for hue, center in zip((BLUE, ORANGE, RED), centers.tolist(), strict=True)],
    }
    assert drawn.words(ax) == {
        "$w_0$": pytest.approx((0.8, 0.6)),
        "$w_1$, its own": pytest.approx((0.96, -0.28)),
        "$w_2$": pytest.approx((0.6, -0.8)),
        "image $x$": (0.0, 1.0),
    }
    assert set(marks) == {*ax.lines, *ax.texts}
    image, *crosses = ax.lines
    assert image.get_zorder() > max(cross.get_zorder() for cross in crosses)


def test_names_beside_the_image_and_its_centers_can_be_left_out(ax):
    marks = figures.image_and_centers(ax, torch.tensor([0.0, 1.0]), torch.eye(2), 0, names=False)
    assert len(ax.texts) == 0
    assert marks == list(ax.lines)


# The weights of three triplets


def test_bars_carry_the_weights_in_the_colors_of_the_classes(ax):
    weights = torch.tensor([0.2, 0.5, 0.3])
    assert figures.weight_bars(ax, weights, label=1) is ax
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([0.2, 0.5, 0.3])
    assert [bar.get_x() + bar.get_width() / 2 for bar in ax.patches] == pytest.approx([0, 1, 2])
    assert [to_hex(bar.get_facecolor()) for bar in ax.patches] == [BLUE, ORANGE, RED]
    assert drawn.words(ax) == {
        "0.20": pytest.approx((0, 0.2)),
        "0.50": pytest.approx((1, 0.5)),
        "0.30": pytest.approx((2, 0.3)),
    }
    ticks = zip(ax.get_xticks().tolist(), [tick.get_text() for tick in ax.get_xticklabels()], strict=True)
    assert list(ticks) == [(0, "$w_0$"), (1, "$w_1$\nown"), (2, "$w_2$")]
    assert ax.get_ylim() == (0, 1.12)  # a bar of weight 1 and its number fit
    assert ax.get_yticks().tolist() == [0, 0.5, 1]


def test_numbers_over_the_bars_can_be_left_out(ax):
    figures.weight_bars(ax, torch.tensor([0.25, 0.75]), label=0, numbers=False)
    assert len(ax.texts) == 0
    assert [bar.get_height() for bar in ax.patches] == [0.25, 0.75]


def across_and_up(p):
    """A distribution as the center of mass of weights at the corners (0, 0), (1, 0) and, on top, (1/2, sqrt(3)/2)."""
    return [p[1] + 0.5 * p[2], math.sqrt(0.75) * p[2]]


def distribution(x, y):
    """The distribution that stands at a place of the triangle."""
    top = y / math.sqrt(0.75)
    return [1 - x - 0.5 * top, x - 0.5 * top, top]


def test_corners_of_the_triangle_are_the_three_centers():
    across, up = figures.triangle(torch.cat([torch.eye(3), torch.tensor([[0.2, 0.3, 0.5]])]))
    assert across == pytest.approx([0, 1, 0.5, 0.55])
    assert up == pytest.approx([0, 0, math.sqrt(3) / 2, 0.5 * math.sqrt(3) / 2])


def test_level_lines_of_the_triangle_join_equal_objectives_and_light_means_high(ax):
    path = torch.full((1, 3), 1 / 3)
    assert figures.weight_triangle(ax, V, scale=5.0, path=path, rows=40) is ax
    filled, lines = ax.collections
    corners = [reference.objective(p, V.tolist(), 0, 5.0) for p in ([1, 0, 0], [0, 1, 0], [0, 0, 1])]
    top = math.log(math.fsum(math.exp(5 * v) for v in V.tolist()))  # the objective at softmax
    assert lines.levels == pytest.approx(np.linspace(min(corners), top, 16), abs=2e-3)
    seen = 0
    for level, line in zip(lines.levels, lines.get_paths(), strict=True):
        for x, y in line.vertices:
            p = [max(weight, 0.0) for weight in distribution(x, y)]
            # Between the points of the grid heights are taken to be straight, though entropy is steep at the border.
            if min(p) > 0.05:
                assert reference.objective(p, V.tolist(), 0, 5.0) == pytest.approx(level, abs=5e-3)
                seen += 1
    assert seen > 200
    light = [sum(to_rgb(color)) for color in filled.get_facecolors()]
    assert light == sorted(light)
    assert light[0] < light[-1]
    assert filled.levels.tolist() == lines.levels.tolist()


def test_the_path_is_drawn_in_its_order_and_the_top_at_softmax(ax):
    path = torch.tensor([[1 / 3, 1 / 3, 1 / 3], [0.3, 0.5, 0.2], [0.1, 0.8, 0.1]])
    figures.weight_triangle(ax, V, scale=5.0, path=path, rows=10)
    walked, border, top = ax.lines
    assert walked.get_xydata() == pytest.approx(np.array([across_and_up(p) for p in path.tolist()]))
    assert (walked.get_marker(), walked.get_linestyle(), walked.get_color()) == (".", "-", "black")
    assert border.get_xydata() == pytest.approx(np.array([[0, 0], [1, 0], [0.5, math.sqrt(0.75)], [0, 0]]))
    assert top.get_xydata()[0] == pytest.approx(across_and_up(reference.weights(V.tolist(), 5.0)))
    assert top.get_marker() == "D"
    assert to_hex(top.get_markeredgecolor()) == drawn.BLACK
    assert top.get_zorder() > walked.get_zorder()


def test_corners_of_the_triangle_are_named_outside_of_it_in_words_that_can_be_read(ax):
    figures.weight_triangle(ax, V, scale=5.0, path=torch.full((1, 3), 1 / 3), rows=10)
    places = {f"all on $w_{c}$": across_and_up([float(c == j) for j in range(3)]) for c in range(3)}
    assert drawn.words(ax) == {name: pytest.approx(place, abs=1e-3) for name, place in places.items()}
    ax.figure.canvas.draw()
    for text in ax.texts:
        corner = ax.transData.transform(text.xy)[1]
        box = text.get_window_extent()
        assert box.y0 > corner if text.xy[1] > 0.5 else box.y1 < corner
        assert drawn.contrast(text.get_color()) >= drawn.READABLE
    assert ax.get_aspect() == 1.0
    assert not any(spine.get_visible() for spine in ax.spines.values())


# The limits of the scale


@pytest.mark.parametrize(("low", "high"), [(0.0, 3.0), (-1.0, 2.0)])
def test_the_drawn_loss_lies_in_its_band(ax, low, high):
    assert figures.limits(ax, V, low=low, high=high) is ax
    loss, hardest = ax.lines
    scales = loss.get_xdata()
    assert [scales[0], scales[-1]] == pytest.approx([10**low, 10**high])
    for scale, value in loss.get_xydata()[::10]:
        assert value == pytest.approx(reference.softmax_loss(V.tolist(), 0, scale) / scale)
    assert (loss.get_color(), loss.get_linestyle()) == ("black", "-")
    assert set(hardest.get_ydata()) == {0.16}
    assert hardest.get_linestyle() == "--"
    (band,) = ax.collections
    edges = band.get_paths()[0].vertices
    assert to_hex(band.get_facecolor()[0]) == "#e6e6e6"
    for scale in scales[::20]:
        heights = edges[np.isclose(edges[:, 0], scale, rtol=1e-9)][:, 1]
        assert [heights.min(), heights.max()] == pytest.approx([0.16, 0.16 + math.log(3) / scale])
    assert ax.get_xscale() == "log"
    assert ax.get_xlim() == pytest.approx((10**low, 10**high))
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"scale $\lambda$", r"loss / $\lambda$")
    assert drawn.words(ax) == {
        "hardest violation": pytest.approx((10**high, 0.16)),
        r"shaded: up to $\log(3)/\lambda$ above it": (0.12, 0.55),
    }
    assert ax.get_ylim() == pytest.approx((0, 0.16 + 1.04 * math.log(3)))  # at lambda = 1 the whole band is seen


def test_drawn_gaps_are_those_of_literal_loops_and_each_is_named_at_its_end(ax):
    rows_of = {"none": torch.tensor([0.0, -0.5, -0.5]), "ties": torch.tensor([0.25, 0.25, -0.5])}
    assert figures.gaps(ax, rows_of, low=-1, high=2) is ax
    for line, violations in zip(ax.lines, rows_of.values(), strict=True):
        assert line.get_xdata()[[0, -1]].tolist() == pytest.approx([0.1, 100])
        for scale, gap in line.get_xydata()[::10]:
            row = violations.tolist()  # the softmax loss of class 0, read from the violations and not from cosines
            loss = reference.softmax_loss(row, 0, scale) + scale * row[0]
            assert gap == pytest.approx(loss - scale * max(row), abs=1e-9)
    assert drawn.words(ax) == {
        "none": pytest.approx((1, 0), abs=1e-6),
        "ties": pytest.approx((1, math.log(2)), abs=1e-6),
    }
    assert [line.get_label() for line in ax.lines] == ["none", "ties"]
    assert [text.get_color() for text in ax.texts] == [line.get_color() for line in ax.lines]
    assert ax.get_xscale() == "log"
    assert ax.get_xlim() == pytest.approx((0.1, 100))
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"scale $\lambda$", r"$\lambda$ × gap")


# The attack, and what training guarantees


def test_searches_are_drawn_where_they_began_and_every_twelfth_where_it_ended(ax):
    starts = torch.linspace(-1, 1, 30), torch.linspace(0.5, 1.5, 30)
    ends = torch.linspace(-0.5, 1, 30), torch.linspace(-1, 0.5, 30)
    assert figures.attacked(ax, starts, ends, radius=0.3) is ax
    grey, black, exact, paper = ax.lines
    assert grey.get_xydata() == pytest.approx(torch.stack(starts, 1).numpy())
    assert black.get_xydata() == pytest.approx(torch.stack(ends, 1)[[0, 12, 24]].numpy())
    assert (to_hex(grey.get_color()), black.get_color()) == ("#c9c9c9", "black")
    assert (exact.get_linestyle(), paper.get_linestyle()) == ("-", "--")
    assert paper.get_ydata() == pytest.approx(paper.get_xdata() - 0.6)
    assert paper.get_xdata()[[0, -1]].tolist() == pytest.approx([-1.2, 1.9])
    assert set(drawn.words(ax)) == {"random starts", r"dashed: $\delta - 2\varepsilon$", "line: (2.16); dots: ends"}
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"margin $\delta$ over the centers", "gap between the examples")


def test_three_panels_show_guarantees_and_leads_in_percent():
    import matplotlib.pyplot as plt

    figure = plt.figure()
    axes = [figure.add_subplot(1, 3, place) for place in (1, 2, 3)]
    sure, one, own = ({"A": [0.1, 0.3], "B": [0.5, 0.5]}, {"A": [0.02, 0.04]}, {"A": [-0.01, 0.03]})
    assert figures.guarantees_and_leads(axes, sure, one, own) is axes
    first = [ax.lines[0].get_xdata() for ax in axes]
    assert [list(values) for values in first] == [pytest.approx(v) for v in ([10, 30], [2, 4], [-1, 3])]
    for ax in axes[1:]:
        assert ax.lines[-1].get_xdata() == [0, 0]  # no lead
        assert ax.get_xlabel() == r"lead of $\lambda = 20$, points"
    assert [ax.get_title() for ax in axes] == [
        r"$\lambda = 20$ guarantees nothing",
        "One rate: 20 leads",
        "Own rates: no lead over 1",
    ]
    plt.close(figure)
    with pytest.raises(ValueError, match="axes must be three; got 2"):
        figures.guarantees_and_leads(axes[:2], sure, one, own)


# Embeddings of two dimensions


@pytest.mark.parametrize("away", [1.0, 1.5])
def test_classes_of_a_flat_embedding_have_their_hue_their_center_and_their_name(ax, away):
    points = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, 4.0], [-1.0, -1.0]])
    centers = torch.tensor([[1.0, 0.5], [0.5, 1.0], [-1.0, 0.0]])
    labels = torch.tensor([0, 1, 0, 1, 2])
    assert figures.flat_embedding(ax, points, labels, centers, names=["zero", "one", "two"], away=away) is ax
    assert points_by_mark(ax) == {
        "o": [
            (BLUE, np.array([[1.0, 0.0], [3.0, 0.0]])),
            (ORANGE, np.array([[0.0, 2.0], [0.0, 4.0]])),
            (RED, np.array([[-1.0, -1.0]])),
        ],
        "X": [(BLUE, np.array([[1.0, 0.5]])), (ORANGE, np.array([[0.5, 1.0]])), (RED, np.array([[-1.0, 0.0]]))],
        "None": [
            (BLUE, np.array([[0.0, 0.0], [1.0, 0.5]])),
            (ORANGE, np.array([[0.0, 0.0], [0.5, 1.0]])),
            (RED, np.array([[0.0, 0.0], [-1.0, 0.0]])),
        ],
    }
    assert {line.get_linestyle() for line in ax.lines if line.get_marker() == "o"} == {"None"}
    assert drawn.words(ax) == {"zero": (2 * away, 0), "one": (0, 3 * away), "two": (-away, -away)}
    assert all(drawn.contrast(text.get_color()) >= drawn.READABLE for text in ax.texts)
    assert ax.get_aspect() == 1.0


def test_a_flat_embedding_without_names_has_none(ax):
    figures.flat_embedding(ax, torch.eye(2), torch.tensor([0, 1]), torch.eye(2))
    assert len(ax.texts) == 0


# What a margin guarantees


def test_the_drawn_guarantees_are_the_two_bounds(ax):
    assert figures.guarantees(ax, radius=0.3, start=-2.0, stop=1.6) is ax
    sharp, plain = ax.lines
    margin = torch.as_tensor(np.asarray(sharp.get_xdata()))
    assert [float(margin[0]), float(margin[-1])] == [-2.0, 1.6]
    expected = theory.sharp_example_margin(margin, torch.full_like(margin, 0.3))
    torch.testing.assert_close(torch.as_tensor(np.asarray(sharp.get_ydata())), expected)
    assert float(expected[0]) == -2  # no lower than two unit vectors allow
    assert plain.get_ydata() == pytest.approx(plain.get_xdata() - 0.6)
    assert (sharp.get_color(), sharp.get_linestyle()) == ("black", "-")
    assert (plain.get_color(), plain.get_linestyle()) == ("#6e6e6e", "--")


def worst_of_five(degrees=(90.0, 60.0, 40.0, 150.0, 120.0)):
    return [torch.tensor([math.cos(math.radians(a)), math.sin(math.radians(a))]) for a in degrees]


def test_the_worst_case_shows_five_points_in_their_roles_hues_and_names(ax):
    image, own, near_own, other, near_other = five = worst_of_five()
    assert figures.worst_case(ax, five) is ax
    marks = points_by_mark(ax)
    assert marks["X"] == [(BLUE, own[None].numpy()), (ORANGE, other[None].numpy())]
    assert marks["o"] == [
        (BLUE, near_own[None].numpy()),
        (ORANGE, near_other[None].numpy()),
        (BLUE, image[None].numpy()),
    ]
    example, _, image_mark = [line for line in ax.lines if line.get_marker() == "o"]
    assert image_mark.get_markersize() > example.get_markersize()
    for name, point in {
        "$w_{y}$": own,
        "$x_j$": near_own,
        "$w_{k}$": other,
        "$x_k$": near_other,
        "$x_i$": image,
    }.items():
        (text,) = [text for text in ax.texts if text.get_text() == name]
        x, y = text.get_position()
        assert math.hypot(x, y) == pytest.approx(1.2, abs=0.03)  # outside the circle, in the direction of its point
        assert [x / math.hypot(x, y), y / math.hypot(x, y)] == pytest.approx(point.tolist(), abs=1e-6)


def test_the_turns_of_the_worst_case_go_from_each_center_to_its_example(ax):
    _, own, near_own, other, near_other = five = worst_of_five()
    figures.worst_case(ax, five)
    arrows = [text for text in ax.texts if text.arrow_patch is not None]
    assert [arrow.get_text() for arrow in arrows] == ["", ""]
    for arrow, start, end in zip(arrows, (own, other), (near_own, near_other), strict=True):
        assert list(arrow.xyann) == pytest.approx(start.tolist())
        assert list(arrow.xy) == pytest.approx(end.tolist())
        assert arrow.arrowprops["arrowstyle"] == "->"
    turns = [text for text in ax.texts if text.get_text() == r"$\varepsilon$"]
    for text, start, end in zip(turns, (own, other), (near_own, near_other), strict=True):
        middle = (start + end) / 2
        x, y = text.get_position()
        assert [x, y] == pytest.approx((0.86 * middle).tolist(), abs=1e-6)  # inside, behind the middle of its arrow
    circle = ax.lines[0].get_xydata()
    assert np.hypot(*circle.T) == pytest.approx(np.ones(len(circle)))
    assert ax.get_xlim() == (-1.45, 1.45)  # the names fit


@pytest.mark.parametrize(("own", "other", "radius"), [(48.0, -125.0, 0.27), (-30.0, 100.0, 0.1)])
def test_margin_and_radius_are_marked_as_far_as_the_similarities_are_apart(ax, own, other, radius):
    assert figures.margin_and_radius(ax, own=own, other=other, radius=radius) is ax
    right = [math.cos(math.radians(degrees)) for degrees in (own, other)]
    arrows = [text for text in ax.texts if text.arrow_patch is not None]
    ends = [sorted((arrow.xy[0], arrow.xyann[0])) for arrow in arrows]
    assert ends == [
        pytest.approx(sorted((right[1], right[0]))),  # delta
        pytest.approx(sorted((right[1] + radius, right[0] - radius))),  # delta - 2 eps
    ]
    discs = [(tuple(disc.center), disc.get_radius()) for disc in ax.patches]
    assert discs == [
        (pytest.approx((math.cos(math.radians(a)), math.sin(math.radians(a)))), radius) for a in (own, other)
    ]
    marks = [(marker, color, points[0]) for color, marker, points in drawn.lines(ax) if marker in ("X", "o")]
    assert [mark[:2] for mark in marks] == [("X", BLUE), ("o", BLUE), ("X", ORANGE), ("o", ORANGE), ("o", BLUE)]
    examples, image = [marks[1][2], marks[3][2]], marks[4][2]
    for example, (center, _) in zip(examples, discs, strict=True):
        assert math.dist(example, center) < radius
        assert math.hypot(*example) == pytest.approx(1)
    assert examples[0][0] < right[0]  # less similar to the image than its center
    assert examples[1][0] > right[1]  # more similar
    assert image == [1.0, 0.0]
