"""Lines and dots of methods: which line lies where, which name stands at its end, and whether both can be read."""

import math
from itertools import pairwise

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_hex, to_rgb

from dmlbook import book
from dmlbook.book import lines
from tests import drawn

QUICK = settings(derandomize=True, deadline=None, max_examples=20)


def test_greys_are_grey_get_paler_and_words_can_be_read():
    greys = [book.BLACK, book.DARK, book.MIDDLE, book.SOFT, book.PALE, book.SHADE]
    assert all(len(set(to_rgb(grey))) == 1 for grey in greys)
    assert all(drawn.brightness(dark) < drawn.brightness(pale) for dark, pale in pairwise(greys))
    assert drawn.contrast(book.MIDDLE) >= drawn.READABLE
    assert drawn.contrast(book.SOFT) >= 3  # WCAG's for lines
    assert drawn.contrast(book.SHADE) > 1


def test_line_styles_begin_with_a_full_black_line_and_twelve_differ():
    styles = [book.line_style(place) for place in range(12)]
    assert styles[0] == {"color": drawn.BLACK, "linestyle": "-"}
    assert [style["color"] for style in styles[:5]] == ["#000000", "#444444", "#6e6e6e", "#8f8f8f", "#000000"]
    assert [style["linestyle"] for style in styles[:4]] == ["-", "--", "-.", ":"]
    assert styles[6]["linestyle"] == "-"
    assert len({str(style) for style in styles}) == 12


# Names at the ends of lines


def test_a_name_stands_right_of_the_end_of_its_line_in_the_order_of_the_greys(ax):
    ax.set(xlim=(0, 5), ylim=(0, 10))
    top = book.name_ends(ax, {"high": 9.0, "low": 1.0, "middle": 5.0})
    assert top == 9.0
    assert drawn.words(ax) == {"high": (1.0, 9.0), "low": (1.0, 1.0), "middle": (1.0, 5.0)}
    assert {text.xycoords for text in ax.texts} == {("axes fraction", "data")}
    colors = {text.get_text(): text.get_color() for text in ax.texts}
    assert colors == {"high": "#000000", "low": "#444444", "middle": "#6e6e6e"}
    ax.figure.canvas.draw()
    edge = ax.bbox.x1
    assert all(edge < text.get_window_extent().x0 < edge + 12 for text in ax.texts)
    assert all(text.get_va() == "center" for text in ax.texts)


def test_names_that_would_touch_step_aside_upwards_and_no_farther_than_needed(ax):
    ax.set(ylim=(0, 10))
    top = book.name_ends(ax, {"c": 5.2, "a": 5.0, "far": 8.0, "b": 5.1}, apart=0.1)
    heights = {name: place[1] for name, place in drawn.words(ax).items()}
    assert heights == pytest.approx({"a": 5.0, "b": 6.0, "c": 7.0, "far": 8.0})
    assert top == pytest.approx(8.0)


def test_names_on_a_log_scale_are_apart_on_the_page(ax):
    ax.set(yscale="log", ylim=(1, 100))
    book.name_ends(ax, {"over": 10.5, "under": 10.0, "low": 1.2}, apart=0.1)
    heights = {name: place[1] for name, place in drawn.words(ax).items()}
    assert heights == pytest.approx({"low": 1.2, "under": 10.0, "over": 10 ** (2 * (0.5 + 0.1))})


def test_a_line_that_the_limits_cut_off_is_named_at_the_edge(ax):
    ax.set(yscale="log", ylim=(1, 100))
    top = book.name_ends(ax, {"higher": 3000.0, "high": 1000.0, "low": 0.01, "nothing": 0.0}, apart=0.05)
    heights = {name: place[1] for name, place in drawn.words(ax).items()}
    assert heights == pytest.approx({"nothing": 1.0, "low": 10**0.1, "high": 100.0, "higher": 10**2.1})
    assert top == pytest.approx(10**2.1)


def test_names_keep_their_order_on_an_axis_that_points_down(ax):
    ax.set(ylim=(10, 0))
    book.name_ends(ax, {"first": 2.0, "second": 2.1, "last": 9.0}, apart=0.1)
    heights = {name: place[1] for name, place in drawn.words(ax).items()}
    assert heights == pytest.approx({"second": 2.1, "first": 1.1, "last": 9.0})


@QUICK
@given(
    st.dictionaries(st.sampled_from("abcdefg"), st.floats(0.01, 300), min_size=1),
    st.booleans(),
    st.sampled_from([(0.1, 100.0), (1.0, 20.0)]),
)
def test_names_on_the_page_never_touch_and_stand_in_the_order_of_their_lines(ends, log, limits):
    figure, ax = plt.subplots(figsize=(4, 3), layout="none")
    ax.set(yscale="log" if log else "linear", ylim=limits)
    top = book.name_ends(ax, ends, apart=0.08)
    figure.canvas.draw()
    across, height = ax.get_xlim()[1], ax.bbox.height
    placed = {text.get_text(): drawn.height_in_pixels(text) for text in ax.texts}
    assert list(placed) == sorted(ends, key=ends.get)
    assert all(b - a > 0.08 * height - 1.5 for a, b in pairwise(placed.values()))  # rounded to pixels
    for name, value in ends.items():
        end = ax.transData.transform((across, min(max(value, limits[0]), limits[1])))[1]
        assert end - 1.5 < placed[name] < end + 0.08 * height * (len(ends) - 1) + 1.5
    assert ax.transData.transform((across, top))[1] == pytest.approx(max(placed.values()), abs=1.5)
    plt.close(figure)


def test_lines_that_end_at_different_places_are_named_there(ax):
    top = book.name_ends(ax, {"long": 3.0, "short": 3.01}, across=[10, 4], fontsize=7)
    assert drawn.words(ax) == {"long": (10.0, 3.0), "short": (4.0, 3.01)}
    assert [text.xycoords for text in ax.texts] == ["data", "data"]
    assert [text.get_color() for text in ax.texts] == ["#000000", "#444444"]
    assert {text.get_fontsize() for text in ax.texts} == {7}
    assert top == 3.01
    with pytest.raises(ValueError, match="across must be as many as the ends; got 2 ends and 1 across"):
        book.name_ends(ax, {"long": 3.0, "short": 3.01}, across=[10])


def test_every_name_can_be_read_however_many_lines_there_are(ax):
    book.name_ends(ax, {str(number): float(number) for number in range(9)})
    assert all(drawn.contrast(text.get_color()) >= drawn.READABLE for text in ax.texts)
    given_colors = {"a": "#bd1f01", "b": "#832db6", "c": "#bd1f01"}
    book.name_ends(ax, dict.fromkeys(given_colors, 0.5), colors=["#bd1f01", "#832db6"])
    assert {text.get_text(): text.get_color() for text in ax.texts[9:]} == given_colors


# Whole figures of lines


def test_named_lines_draw_each_method_and_name_it_where_it_ends(ax):
    ax.set(ylim=(0, 10))
    by_name = {"falls": [9.0, 4.0, 2.0], "rises": [1.0, 2.0, 8.0], "stays": [5.0, 5.0, 5.0], "fourth": [0.0, 3.0, 3.5]}
    assert book.named_lines(ax, [1, 10, 100], by_name) is ax
    for line, (values, color, style) in zip(
        ax.lines,
        zip(by_name.values(), ["#000000", "#444444", "#6e6e6e", "#8f8f8f"], ["-", "--", "-.", ":"], strict=True),
        strict=True,
    ):
        assert line.get_xydata().tolist() == [list(point) for point in zip([1, 10, 100], values, strict=True)]
        assert (line.get_color(), line.get_linestyle(), line.get_linewidth()) == (color, style, 2)
    assert ax.get_xlim() == (1, 100)
    assert drawn.words(ax) == {"falls": (1, 2.0), "rises": (1, 8.0), "stays": (1, 5.0), "fourth": (1, 3.5)}
    colors = {text.get_text(): text.get_color() for text in ax.texts}
    assert colors == {"falls": "#000000", "rises": "#444444", "stays": "#6e6e6e", "fourth": "#6e6e6e"}
    assert ax.get_legend() is None


def test_named_lines_stand_as_far_apart_as_asked(ax):
    ax.set(ylim=(0, 1))
    book.named_lines(ax, torch.tensor([0.0, 1.0]), {"b": torch.tensor([0.0, 0.41]), "a": [1.0, 0.4]}, apart=0.2)
    assert drawn.words(ax)["a"][1] == pytest.approx(0.4)
    assert drawn.words(ax)["b"][1] == pytest.approx(0.6)


def test_a_legend_names_the_lines_that_end_in_one_place(ax):
    limits = ax.get_xlim()
    book.named_lines(ax, [0.0, 0.5, 1.0], {"1": [0, 1, 0], "20": [0, 2, 0]}, legend="scale")
    legend = ax.get_legend()
    assert legend.get_title().get_text() == "scale"
    assert [text.get_text() for text in legend.get_texts()] == ["1", "20"]
    for handle, line, peak in zip(legend.get_lines(), ax.lines, (1, 2), strict=True):
        assert line.get_ydata()[1] == peak
        assert handle.get_color() == line.get_color()
        assert handle.get_linestyle() == line.get_linestyle()
    assert len(ax.texts) == 0
    assert ax.get_xlim() != limits  # only lines that are named at their ends have to fill the axes
    assert ax.get_xlim()[1] > 1


def test_curves_draw_every_seed_and_a_mean_that_is_named_at_its_end(ax):
    assert book.curves(ax, {"A": [[1.0, 2.0], [3.0, 4.0]], "B": [[5.0, 6.0]]}) is ax
    assert [list(line.get_ydata()) for line in ax.lines] == [[1.0, 2.0], [3.0, 4.0], [2.0, 3.0], [5.0, 6.0]]
    assert all(list(line.get_xdata()) == [1, 2] for line in ax.lines)
    assert [line.get_alpha() for line in ax.lines] == [0.25, 0.25, None, None]  # seeds faint, means strong
    assert [line.get_linewidth() for line in ax.lines] == [0.8, 0.8, 2, 2]
    assert [to_hex(line.get_color()) for line in ax.lines] == ["#000000"] * 3 + ["#444444"]
    assert [line.get_linestyle() for line in ax.lines] == ["-", "-", "-", "--"]
    assert drawn.words(ax) == {"A": (1.0, 3.0), "B": (1.0, 6.0)}  # where the means end
    assert [text.get_color() for text in ax.texts] == ["#000000", "#444444"]
    book.curves(ax, {"C": [[1.0, 2.0]]}, first=5)
    assert list(ax.lines[-1].get_xdata()) == [5, 6]


def test_epochs_of_curves_are_whole_numbers(ax):
    book.curves(ax, {"A": [[1.0, 2.0, 3.0]]})
    assert all(float(tick).is_integer() for tick in ax.get_xticks())


def test_names_of_curves_that_end_together_do_not_lie_on_each_other_and_stay_in_the_axes(ax):
    book.curves(ax, {name: [[0.0, 1.0 + 1e-3 * i]] for i, name in enumerate("CBA")})
    heights = {name: place[1] for name, place in drawn.words(ax).items()}
    assert sorted(heights, key=heights.get) == ["C", "B", "A"]
    low, high = ax.get_ylim()
    assert min(b - a for a, b in pairwise(sorted(heights.values()))) > 0.05 * (high - low)
    assert max(heights.values()) < high
    assert low < 0


def test_the_limits_of_curves_stay_where_no_name_reaches_beyond(ax):
    ax.plot([1, 2], [0.0, 10.0])
    limits = ax.get_ylim()
    book.curves(ax, {"A": [[4.0, 5.0]]})
    assert ax.get_ylim() == limits


# Dots


def test_dots_show_every_seed_and_the_mean_with_its_interval(ax):
    assert book.dots(ax, {"SoftTriple": [0.5, 0.52], "one seed": [0.4]}) is ax
    seeds, strong, one, one_strong = ax.lines[0], ax.lines[1], ax.lines[-2], ax.lines[-1]
    assert seeds.get_xydata().tolist() == [[50.0, 0.0], [52.0, 0.0]]
    assert strong.get_xydata().tolist() == [[51.0, 0.0]]
    assert one.get_xydata().tolist() == one_strong.get_xydata().tolist() == [[40.0, 1.0]]
    assert [to_hex(line.get_color()) for line in (seeds, strong)] == ["#8f8f8f", "#000000"]
    assert seeds.get_alpha() < 1
    assert strong.get_markersize() > seeds.get_markersize()
    # Two values d apart: the standard error is d / 2, and t = 12.706 at one degree of freedom.
    (bar,) = (bars.get_segments()[0] for bars in ax.collections)
    assert bar[:, 0].tolist() == pytest.approx([51 - 12.706, 51 + 12.706], abs=1e-3)
    assert bar[:, 1].tolist() == [0, 0]
    assert drawn.words(ax) == {"51.0 ± 12.7": (51.0, 0.0), "40.0": (40.0, 1.0)}
    assert [(tick, label.get_text()) for tick, label in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)] == [
        (0, "SoftTriple"),
        (1, "one seed"),
    ]
    bottom, top = ax.get_ylim()
    assert top < 0 < 1 < bottom  # the first method on top
    assert ax.texts[0].get_position()[1] > 0  # the numbers stand above their dots
    grounds = {to_hex(text.get_bbox_patch().get_facecolor()) for text in ax.texts}
    assert grounds == {to_hex(lines.GROUND["facecolor"])} == {drawn.WHITE}  # no line runs through them


def test_numbers_of_the_outermost_dots_stay_off_the_axis(ax):
    book.dots(ax, {"low": [0.52, 0.5201], "high": [0.80, 0.8001]})
    ax.figure.set_size_inches(5, 3)
    ax.figure.canvas.draw()
    for text in ax.texts:
        words = text.get_window_extent()
        assert ax.bbox.x0 < words.x0 < words.x1 < ax.bbox.x1


def test_dots_of_values_that_are_no_fractions_are_shown_as_they_are(ax):
    book.dots(ax, {"A": [2.0, 4.0]}, percent=False)
    assert [list(line.get_xdata()) for line in ax.lines[:2]] == [[2.0, 4.0], [3.0]]
    assert list(drawn.words(ax)) == ["3.0 ± 12.7"]
    (bar,) = (bars.get_segments()[0] for bars in ax.collections)
    half = math.tan(0.475 * math.pi)  # Student's t with one degree of freedom is Cauchy's: its 97.5 percent point
    assert bar[:, 0].tolist() == pytest.approx([3 - half, 3 + half], abs=1e-3)
