"""The explorer of chapter 06: its arrows are gradients, its marks stand where the losses have them, its words hold."""

import math
import re

import matplotlib

matplotlib.use("agg")
import pytest
import torch
from matplotlib.colors import to_hex

from dmlbook import losses
from dmlbook.chapters.ch06 import explorer as module
from dmlbook.chapters.ch06.explorer import FieldExplorer
from tests import drawn, reference

HUES = list(drawn.PETROFF10[:3])
HOMES = [90.0, 210.0, 330.0]
LABELS = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
PROXIES = ("proxy_nca", "softmax", "proxy_anchor")
CENTERS = ("hardtriple", "softtriple", "subcenter_arcface")
ALONE = ("triplet", "semihard", "lifted", "clustering", "npairs")
TURNED = {"image": 4, "turn": -64}  # out of its class, towards class 0


def at(degrees, length=1.0):
    return [length * math.cos(math.radians(degrees)), length * math.sin(math.radians(degrees))]


def angle(point):
    return math.degrees(math.atan2(point[1], point[0]))


def apart(a, b):
    """From angle b to angle a, in (-180, 180]."""
    return -((b - a + 180) % 360 - 180)


def points(degrees):
    return torch.tensor([at(d) for d in degrees], dtype=torch.float64)


def class_means(degrees):
    where = points(degrees)
    return torch.stack([where[c == LABELS].mean(0) for c in range(3)])


def loss_of(name, degrees, means):
    """The mean loss with representatives where the tests say; ``means`` stay when an image moves."""
    several = {"centers_per_class": 2} if name in CENTERS else {}
    loss = losses.make(name, num_classes=3, embedding_size=2, **several).double().eval()
    if name in PROXIES or name in CENTERS:
        around = (-24.0, 24.0) if several else (0.0,)
        loss.weight.data = torch.stack([points([home + a for home in HOMES]) for a in around])
    elif name == "centroid_bound":
        loss.centroids = points(HOMES)
    elif name == "triplet_center":
        loss.centroids, loss.known = means, torch.ones(3, dtype=torch.bool)
    return loss(points(degrees), LABELS).item()


def pulls(name, degrees, step=1e-4):
    """Minus nine times the slope of the mean loss in each angle, in radians, by finite differences."""
    means, found = class_means(degrees), []
    for number in range(9):
        ends = [
            loss_of(name, [d + sign * step * (n == number) for n, d in enumerate(degrees)], means) for sign in (1, -1)
        ]
        found.append(-9 * (ends[0] - ends[1]) / (2 * math.radians(step)))
    return found


def places(explorer):
    return explorer.degrees(explorer.controls["image"].value, explorer.controls["turn"].value).tolist()


def arc(segment):
    """Where an arrow's image stands, through how many degrees it runs, and in which lane."""
    return angle(segment[0]), apart(angle(segment[-2]), angle(segment[1])), math.hypot(*segment[-2])


@pytest.fixture(scope="module")
def explorer():
    return FieldExplorer()


@pytest.mark.parametrize("name", losses.NAMES)
def test_every_arrow_is_minus_the_gradient_along_the_circle(explorer, name):
    explorer.set(left=name, right="softmax", **TURNED)
    panel, degrees = explorer.panels[0], places(explorer)
    expected = pulls(name, degrees)
    assert max(map(abs, expected)) > 0.1
    assert panel.pulls.tolist() == pytest.approx(expected, abs=1e-3)
    assert panel.value == pytest.approx(loss_of(name, degrees, class_means(degrees)), rel=1e-4)
    shown = 0
    for number, (segment, pull) in enumerate(zip(panel.arrows.get_segments(), expected, strict=True)):
        turn = 17 * pull / max(map(abs, expected))
        if abs(turn) < 1:
            assert segment.tolist() == [[0, 0], [0, 0]]
            continue
        where, runs, lane = arc(segment)
        assert apart(where, degrees[number]) == pytest.approx(0, abs=1e-6)
        assert runs == pytest.approx(turn, abs=0.01)
        assert lane == pytest.approx(1.31 if number == 4 else 1.22 if number % 3 == 1 else 1.13)
        shown += 1
    assert shown > (0 if name in ("softmax", *CENTERS) else 1)
    widths = panel.arrows.get_linewidth()
    assert all(widths[4] > 2 * width for n, width in enumerate(widths) if n != 4)


def test_an_arrow_ends_in_barbs_that_point_back():
    for turn in (12.0, -12.0, 2.0):
        *_, last, left, tip, right = module.arrow(50.0, turn, 1.2)
        assert angle(last) == angle(tip) == pytest.approx(50 + turn)
        for barb in (left, right):
            assert apart(angle(tip), angle(barb)) == pytest.approx(math.copysign(min(4.5, abs(turn)), turn))
        assert math.hypot(*left) > 1.2 > math.hypot(*right)


def test_neighbours_that_run_towards_each_other_do_not_touch_where_images_start(explorer):
    explorer.set(turn=0)
    degrees = sorted((d % 360, n % 3) for n, d in enumerate(places(explorer)))
    for (here, a), (there, b) in zip(degrees, [*degrees[1:], (degrees[0][0] + 360, degrees[0][1])], strict=True):
        assert there - here > (17 if (a == 1) != (b == 1) else 2 * 17)


@pytest.mark.parametrize("name", losses.NAMES)
def test_representatives_have_the_marker_of_their_kind_and_the_hue_of_their_class(explorer, name):
    explorer.set(left="triplet", right=name, **TURNED)
    panel, degrees = explorer.panels[1], places(explorer)
    expected = {"proxies": ("*", "proxy"), "centers": ("X", "two learned centers"), "alone": ("X", "images alone")}
    kind = "proxies" if name in PROXIES else "centers" if name in CENTERS else "alone"
    if name not in PROXIES + CENTERS + ALONE:
        expected["alone"] = ("P", "mean" if name == "triplet_center" else "fixed centroid")
    for c, marks in enumerate(panel.marks):
        around = {"proxies": [HOMES[c]], "centers": [HOMES[c] - 24, HOMES[c] + 24]}.get(kind, [HOMES[c]])
        where = [at(degree, 0.8) for degree in around]
        if name == "triplet_center":
            where = [class_means(degrees)[c].tolist()]
        where = [] if name in ALONE else where
        assert marks.get_xydata().tolist() == [pytest.approx(place, abs=1e-6) for place in where]
        assert (marks.get_marker(), to_hex(marks.get_color())) == (expected[kind][0], HUES[c])
    assert expected[kind][1] in panel.kind.get_text()
    assert panel.title.get_text().startswith("B: ")


def test_images_have_the_hue_of_their_class_and_the_ring_is_around_what_the_slider_names(explorer):
    for name, number in explorer.controls["image"].options:
        explorer.set(image=number, turn=24)
        start = [HOMES[n // 3] + module.STARTS[n] + (24 if n == number else 0) for n in range(9)]
        assert places(explorer) == pytest.approx(start)
        assert name == f"{number % 3 + 1} of class {number // 3}"
        for panel in explorer.panels:
            for c, dots in enumerate(panel.dots):
                assert dots.get_xydata().tolist() == [pytest.approx(at(d), abs=1e-6) for d in start[3 * c : 3 * c + 3]]
                assert (dots.get_marker(), to_hex(dots.get_color())) == ("o", HUES[c])
            assert panel.ring.get_xydata().tolist() == [pytest.approx(at(start[number]), abs=1e-6)]


@pytest.mark.parametrize("turn", [0, 64, -64, 180])
def test_words_say_where_each_method_pulls_how_strongly_and_how_alike_they_are(explorer, turn):
    for left, right in (("semihard", "softtriple"), ("npairs", "centroid_bound"), ("proxy_nca", "clustering")):
        explorer.set(left=left, right=right, image=1, turn=turn)
        degrees, said = places(explorer), explorer.text.value
        fields = [pulls(name, degrees) for name in (left, right)]
        assert f"turned by {turn} degrees" in said if turn else "where it starts" in said
        for panel, field, words in zip(explorer.panels, fields, said.split(". ")[1:3], strict=True):
            assert words.startswith(panel.title.get_text().replace(":", ","))
            assert f"(loss {panel.value:.3f})" in words
            strength = abs(field[1])
            nearer = abs(apart(degrees[1] + math.copysign(0.1, field[1]), 90)) < abs(apart(degrees[1], 90))
            if strength < 5e-4:
                assert words.endswith("does not pull it")
            else:
                assert ("towards its class" if nearer else "away from its class") in words
                assert float(re.search(r"strength (\d+\.\d{3})", words)[1]) == pytest.approx(strength, abs=2e-3)
            assert panel.said.get_text().endswith(f"pull on the ringed image {abs(float(panel.pulls[1])):.3f}")
        dot, lengths = reference.dot(*fields), [math.hypot(*field) for field in fields]
        if min(max(map(abs, field)) for field in fields) < 5e-4:
            assert turn == 0, "where all images are with their class, some methods stop"
            assert explorer.cosine is None
            continue
        cosine = dot / (lengths[0] * lengths[1])
        assert explorer.cosine == pytest.approx(cosine, abs=1e-3)
        assert explorer.needle.get_xydata().tolist() == [pytest.approx([cosine, 0], abs=1e-3)]
        assert said.endswith(f"{explorer.verdict.get_text()}.")
        assert f"cosine {explorer.cosine:+.2f}" in said


@pytest.mark.parametrize(
    ("cosine", "words"),
    [
        (0.95, "almost the same"),
        (0.7, "much alike"),
        (0.2, "a little alike"),
        (0.0, "unrelated"),
        (-0.05, "unrelated"),
        (-0.3, "opposed"),
    ],
)
def test_likeness_in_words(explorer, cosine, words):
    explorer.cosine = cosine
    assert explorer._likeness() == words


def test_a_method_is_itself_and_one_that_pulls_nothing_has_no_arrow(explorer):
    explorer.set(left="lifted", right="lifted", **TURNED)
    assert explorer.cosine == pytest.approx(1.0)
    assert "almost the same: cosine +1.00" in explorer.text.value
    explorer.set(left="centroid_bound", right="softmax", image=7, turn=-12)
    largest = float(explorer.panels[1].pulls.abs().max())
    assert 0 < largest < 5e-4, "all is solved, and what is left is too little to write down"
    assert all(segment.tolist() == [[0, 0], [0, 0]] for segment in explorer.panels[1].arrows.get_segments())
    assert explorer.cosine is None
    assert explorer.needle.get_xydata().tolist() == []
    assert explorer.text.value.endswith("does not pull it. One of the two methods pulls nothing here.")


def test_words_of_the_figure_do_not_overlap(explorer):
    for name in losses.NAMES:
        explorer.set(left=name, right=name, **TURNED)
        renderer = explorer.live.canvas.get_renderer()
        texts = [text for panel in explorer.panels for text in (panel.title, panel.kind, panel.said)]
        boxes = [text.get_window_extent(renderer) for text in (*texts, explorer.verdict)]
        boxes += [label.get_window_extent(renderer) for label in explorer.verdict.axes.get_xticklabels()]
        wide, high = explorer.live.canvas.get_width_height()
        for number, box in enumerate(boxes):
            assert 0 <= box.x0 < box.x1 <= wide
            assert 0 <= box.y0 < box.y1 <= high
            assert not any(box.overlaps(other) for other in boxes[number + 1 :])
