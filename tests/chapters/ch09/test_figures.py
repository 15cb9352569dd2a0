"""Figures of chapter 09: what is drawn is what was given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle
from torch.testing import assert_close

from dmlbook import losses, maps
from dmlbook.book import PALE, class_color
from dmlbook.chapters.ch09 import figures, theory
from dmlbook.datasets.image_set import ImageSet
from dmlbook.maps import Map
from dmlbook.seeding import SEED, generator

LABELS = torch.arange(3).repeat_interleave(8)
KINDS = 10 * LABELS + torch.arange(24) % 4


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


@pytest.fixture
def scene():
    draw = generator(SEED, "scene")
    images, centers = torch.randn(24, 6, generator=draw), torch.randn(3, 4, 6, generator=draw)
    shown = Map(torch.randn(24, 2, generator=draw), torch.randn(3, 4, 2, generator=draw))
    return images, centers, shown, maps.serving(images, LABELS, centers)


def scattered(ax):
    """(hue, places, size, whether it is a center) of each group of marks."""
    return [
        (
            to_hex(each.get_facecolor()[0]),
            torch.tensor(np.asarray(each.get_offsets()), dtype=torch.float32),
            float(each.get_sizes()[0]),
            to_hex(each.get_edgecolor()[0]) == "#000000" if len(each.get_edgecolor()) else False,
        )
        for each in ax.collections
    ]


def test_markers_count_the_kinds_within_each_class():
    places = maps.kind_places(LABELS, KINDS)
    assert places.tolist() == (torch.arange(24) % 4).tolist()
    assert maps.kind_places(LABELS, KINDS * 0 + 5).tolist() == [0] * 24


def test_a_map_shows_every_image_once_in_its_hue_and_the_marker_of_its_kind(ax, scene):
    shown = scene[2]
    places = maps.kind_places(LABELS, KINDS)
    figures.map_panel(ax, Map(shown.points), LABELS, places)
    found = scattered(ax)
    assert len(found) == 12  # three classes of four kinds
    seen = torch.cat([points for _, points, _, _ in found])
    assert sorted(map(tuple, seen.tolist())) == sorted(map(tuple, shown.points.tolist()))
    paths = {}
    for collection, (hue, points, _, _) in zip(ax.collections, found, strict=True):
        for point in points:
            n = int((shown.points - point).norm(dim=1).argmin())
            assert hue == class_color(int(LABELS[n]))
            paths.setdefault(int(places[n]), set()).add(collection.get_paths()[0].vertices.round(3).tobytes())
    assert all(len(each) == 1 for each in paths.values())
    assert len(set.union(*paths.values())) == 4  # four markers
    assert ax.get_xticks().size == ax.get_yticks().size == 0


def test_centers_are_crosses_sized_by_what_they_serve_and_those_left_out_are_absent(ax, scene):
    _, _, shown, served = scene
    places = shown.centers.clone()
    places[~served.used] = torch.nan
    figures.map_panel(ax, Map(shown.points, places), LABELS, None, served.counts)
    crosses = [each for each in scattered(ax) if each[3]]
    assert len(crosses) == int(served.used.sum())
    for hue, points, size, _ in crosses:
        label, number = ((places - points[0]).norm(dim=2).nan_to_num(9) < 1e-5).nonzero()[0].tolist()
        assert hue == class_color(label)
        assert size == pytest.approx(45 + 130 * int(served.counts[label, number]) / int(served.counts.max()))


def test_classes_that_are_not_asked_for_are_pale_and_without_centers(ax, scene):
    shown = scene[2]
    figures.map_panel(ax, shown, LABELS, only=[1])
    found = scattered(ax)
    assert {hue for hue, _, _, _ in found} == {class_color(1), to_hex(PALE)}
    (pale,) = [points for hue, points, _, _ in found if hue == to_hex(PALE)]
    assert sorted(map(tuple, pale.tolist())) == sorted(map(tuple, shown.points[LABELS != 1].tolist()))
    assert sum(center for _, _, _, center in found) == 4


def test_the_key_names_each_marker_once(ax):
    figures.map_key(ax)
    marks = [line.get_marker() for line in ax.lines if line.get_marker() not in ("", "None")]
    assert sorted(marks) == sorted([*figures.KIND_MARKERS, "X"])
    assert len(ax.texts) == 6


def gray_set():
    images = (torch.arange(24, dtype=torch.uint8) * 10)[:, None, None, None].expand(24, 3, 8, 8).contiguous()
    return ImageSet(images, LABELS, ("a", "b", "c"), kinds=KINDS, kind_names=tuple(map(str, range(30))))


def test_a_gallery_has_a_row_a_center_with_its_images_in_order_and_says_what_became_of_the_others(scene):
    images, centers, _, _ = scene
    centers = centers.clone()
    centers[1, 3] = centers[1, 0]  # merged
    images, centers = torch.cat([images, torch.full((24, 1), 10.0)], 1), torch.cat([centers, torch.ones(3, 4, 1)], 2)
    centers[1, 2] = torch.tensor([0.0] * 6 + [-1])  # far from all
    served = maps.serving(images, LABELS, centers)
    figure = figures.center_gallery(gray_set(), served, 1, near=2, far=1)
    rows = [k for k in served.counts[1].argsort(descending=True, stable=True).tolist() if served.counts[1, k]]
    assert len(figure.axes) == 3 * len(rows)
    _, purity = maps.kind_purity(served, KINDS)
    places = maps.kind_places(LABELS, KINDS)
    for row, k in enumerate(rows):
        line = figure.axes[3 * row : 3 * row + 3]
        drawn = [int(ax.images[0].get_array()[0, 0, 0]) // 10 for ax in line if ax.images]
        members = served.of(1, k).tolist()
        assert drawn == members[:2] + members[2:][-1:]
        marks = [ax.lines[0].get_marker() for ax in line if ax.images]
        assert marks == [figures.KIND_MARKERS[int(places[index])] for index in drawn]
        said = line[0].texts[0].get_text()
        assert said.startswith(f"center {k + 1}\n{int(served.counts[1, k])} image")
        assert f"{100 * float(purity[1, k]):.0f}% one kind" in said
    assert any(len(served.of(1, k)) > 3 for k in rows)  # a gap that leaves some out
    below = figure.get_supxlabel()
    assert "merged into 1: 4" in below
    alone = [str(k + 1) for k in served.unused[1].nonzero().flatten().tolist()]
    assert alone
    assert below.split("serving nobody: ")[1] == ", ".join(alone)
    far = maps.serving(images, LABELS, centers[:, [2, 2, 0, 1]])  # a merged pair that serves nobody
    other = figures.center_gallery(gray_set(), far, 1)
    assert "serving nobody: 1 (with 2 merged into it)" in other.get_supxlabel()
    plt.close(other)
    plt.close(figure)


def test_centers_are_counted_beside_the_kinds(ax, scene):
    images, centers, _, _ = scene
    centers = centers.clone()
    centers[1, 3] = centers[1, 0]
    served = maps.serving(images, LABELS, centers)
    figures.center_counts(ax, served, KINDS)
    by_label = {line.get_label(): list(line.get_xdata()) for line in ax.lines}
    assert by_label["true kinds"] == [len({int(k) for k in KINDS[c == LABELS]}) for c in range(3)]
    assert by_label["distinct centers"] == [4, 3, 4]
    crosses = ax.collections[0].get_offsets()
    assert crosses[:, 0].tolist() == served.used.sum(1).tolist()
    assert crosses[:, 1].tolist() == [0, 1, 2]
    assert [to_hex(color) for color in ax.collections[0].get_facecolors()] == [class_color(c) for c in range(3)]


def test_the_heat_map_holds_the_cosines_of_used_centers_class_by_class(ax, scene):
    _, centers, _, served = scene
    unit = torch.nn.functional.normalize(centers, dim=-1)
    figures.center_heat(ax, unit, served.used, ["a", "b", "c"])
    rows = unit[served.used]
    values = np.asarray(ax.collections[0].get_array()).reshape(len(rows), len(rows))
    assert_close(torch.tensor(values), rows @ rows.T)
    frames = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    counts = served.used.sum(1).tolist()
    assert [frame.get_width() for frame in frames] == counts
    assert [frame.get_x() for frame in frames] == [0, counts[0], counts[0] + counts[1]]
    assert [to_hex(frame.get_edgecolor()) for frame in frames] == [class_color(c) for c in range(3)]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "c"]
    middles = [counts[0] / 2, counts[0] + counts[1] / 2, counts[0] + counts[1] + counts[2] / 2]
    assert ax.get_yticks().tolist() == middles


def test_the_four_panels_of_a_look_are_its_numbers(scene):
    loss = losses.make("softtriple", num_classes=3, embedding_size=6, centers_per_class=4)
    seen = theory.look(loss, scene[0][0], 2)
    figure, axes = plt.subplots(1, 4)
    figures.look_panels(list(axes), seen, 2)
    for ax, values in zip([axes[0], axes[1], axes[3]], (seen.similar, seen.weights, seen.pulls), strict=True):
        assert_close(torch.tensor(np.asarray(ax.images[0].get_array())), values)
        (frame,) = ax.patches
        assert (frame.get_y(), frame.get_height(), frame.get_width()) == (1.5, 1, 4)
    assert_close(torch.tensor([float(bar.get_width()) for bar in axes[2].patches]), seen.probabilities)
    keys = [each for each in figure.axes if each not in axes]
    assert [key.get_xlim() for key in keys] == [ax.images[0].get_clim() for ax in (axes[0], axes[1], axes[3])]
    assert [text.get_text() for text in axes[0].get_xticklabels()] == ["1", "4"]
    low, high = axes[3].images[0].get_clim()
    assert low == -high == pytest.approx(-float(seen.pulls.abs().max()))  # white is no pull
    plt.close(figure)
