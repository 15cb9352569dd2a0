"""Heads, breasts, wings and tails: each carries its species' details, where they belong and as often as told."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from dmlbook.datasets.birds import parts
from dmlbook.datasets.birds.genera import PALETTE, POSES
from dmlbook.datasets.birds.parts import INK, WHITE
from dmlbook.datasets.birds.shapes import Sketch, between, mix, rotation
from dmlbook.datasets.birds.species import TRAITS
from dmlbook.datasets.birds.wings import folded_wing, raised_wing, spread_feathers
from tests.datasets.birds.a_bird import GENUS, area, plumage

CLOSE = {"rtol": 0, "atol": 1e-12}
SQUARE = between(np.array([(0.0, 0.0), (1.0, 0.0)]), np.array([(0.0, 1.0), (1.0, 1.0)]))  # u is x, v is y
ROUND = np.eye(2)


def drawn(part, *arguments, **options) -> Sketch:
    sketch = Sketch()
    part(sketch, *arguments, **options)
    return sketch


def put_by(part, *arguments, **options) -> list[tuple]:
    """What a part puts, as (polygon, color)."""
    found = []
    part(lambda polygon, color: found.append((np.asarray(polygon), color)), *arguments, **options)
    return found


def test_a_genus_takes_every_pose_alike_unless_told():
    assert dict.fromkeys(POSES, 1.0) == GENUS.habits


def test_the_colors_of_a_species_fade_into_those_of_its_genus():
    traits = {"crown": 1, "breast_color": 2, "bar_color": "lemon", "bill_color": "coral"}
    full, half, none = (plumage(contrast, **traits) for contrast in (1.0, 0.5, 0.0))
    for name, shared, own in [
        ("crown", GENUS.back, PALETTE["azure"]),
        ("breast", GENUS.belly, PALETTE["ember"]),
        ("bar", GENUS.wing, PALETTE["lemon"]),
        ("bill", GENUS.bill, PALETTE["coral"]),
    ]:
        assert getattr(full, name) == own
        assert getattr(none, name) == shared
        assert_allclose(getattr(half, name), (np.array(shared) + own) / 2, rtol=0, atol=0.5)
    for same in (full, none):
        assert (same.back, same.belly, same.wing) == ((100, 0, 0), (200, 200, 200), (0, 200, 0))
        assert same.flight == (14, 137, 17)  # 0.38 of ink in the wing's green
    assert (full.crown, full.breast, full.bill) != (none.crown, none.breast, none.bill)
    assert plumage(1.0, bill_color="").bill == GENUS.bill


def test_a_length_fades_towards_the_common_one():
    sizes = [plumage(contrast, bill_length=1.2).size("bill_length") for contrast in (0.0, 0.5, 1.0)]
    assert sizes == pytest.approx([1.0, 1.1, 1.2])


@pytest.mark.parametrize("shape", ["cone", "thin", "dagger", "hook", "flat", "needle"])
def test_a_bill_points_to_the_right_and_its_upper_half_lies_above_the_lower(shape):
    upper, lower = parts.bill_outline(shape, 2.0)
    for half in (upper, lower):
        assert -0.1 * 2.0 < half[:, 0].min() <= 0  # rooted in the head
        assert 0.5 * 2.0 < half[:, 0].max() < 1.05 * 2.0
    assert upper[:, 1].mean() > lower[:, 1].mean()
    wider, _ = parts.bill_outline(shape, 4.0)
    assert np.ptp(wider[:, 0]) == pytest.approx(2 * np.ptp(upper[:, 0]))  # the length stretches x alone
    assert_allclose(np.sort(wider[:, 1]), np.sort(upper[:, 1]), **CLOSE)


def test_a_crest_has_three_feathers_that_rise_from_the_crown_and_lean_back():
    feathers = parts.crest_feathers(1.0)
    tips = np.array([feather[len(feather) // 2] for feather in feathers])  # a ribbon turns back at its tip
    roots = np.array([(feather[0] + feather[-1]) / 2 for feather in feathers])
    assert_allclose(np.hypot(*roots.T), 0.86, **CLOSE)
    assert_allclose(np.hypot(*(tips - roots).T), (0.8, 1.0, 0.85), rtol=0, atol=0.02)
    assert (tips[:, 0] < roots[:, 0]).all()
    assert (tips[:, 1] > roots[:, 1]).all()


@pytest.mark.parametrize("crest", [0.0, 1.0])
def test_a_head_is_turned_and_placed_as_a_whole(crest):
    bird = plumage(crest=crest, face="brow", eye_ring="amber")
    plain = drawn(parts.head_in_profile, bird, (0, 0), 1.0)
    moved = drawn(parts.head_in_profile, bird, (3, -2), 0.5, turn=40.0)
    assert len(plain.polygons) == (13 if crest else 10) - 1
    assert set(plain.groups) == {"head"}
    for one, other in zip(plain.polygons, moved.polygons, strict=True):
        assert_allclose(other, 0.5 * one @ rotation(40).T + (3, -2), **CLOSE)
    skull = plain.polygons[5 if crest else 2]
    assert_allclose(np.hypot(*skull.T), 1.0, **CLOSE)
    assert bird.crown in plain.colors


def test_an_owls_face_is_a_disc_over_which_the_bill_comes():
    owl = drawn(parts.head_in_profile, plumage(genus=replace(GENUS, disc=True)), (0, 0), 1.0)
    disc = mix(GENUS.belly, WHITE, 0.35)
    assert owl.colors.index(disc) < owl.colors.index(GENUS.bill)
    assert disc not in drawn(parts.head_in_profile, plumage(), (0, 0), 1.0).colors


@pytest.mark.parametrize(("face", "color"), [("brow", PALETTE["ivory"]), ("stripe", INK), ("cheek", None)])
def test_a_mark_of_the_face_is_mirrored_on_the_other_side(face, color):
    bird = plumage(face=face)
    ((right, shown),) = put_by(parts.face_marks, bird, 1)
    ((left, _),) = put_by(parts.face_marks, bird, -1)
    low, high = right.min(0), right.max(0)
    assert_allclose(left.min(0), (-high[0], low[1]), rtol=0, atol=0.02)
    assert_allclose(left.max(0), (-low[0], high[1]), rtol=0, atol=0.02)
    assert shown == mix(GENUS.back, color or mix(bird.breast, PALETTE["coral"], 0.35), 0.95 if color else 1.0)
    assert put_by(parts.face_marks, plumage(face="plain"), 1) == []


@pytest.mark.parametrize(("ring", "radii"), [("", [0.2, 0.072]), ("amber", [0.31, 0.2, 0.072])])
def test_an_eye_is_ink_with_a_spark_of_white_in_its_ring(ring, radii):
    found = put_by(parts.eye, plumage(eye_ring=ring), (0.5, 0.1), 0.2)
    assert [color for _, color in found] == [PALETTE["amber"], INK, WHITE][-len(radii) :]
    assert [np.hypot(*(p - p.mean(0)).T).max() for p, _ in found] == pytest.approx(radii)
    assert_allclose(found[-2][0].mean(0), (0.5, 0.1), **CLOSE)
    assert (found[-1][0].mean(0) > (0.5, 0.1)).all()  # the light comes from above


@pytest.mark.parametrize(("kind", "marks"), list(zip(TRAITS["breast"], (0, 1, 1, 1, 10, 4), strict=True)))
def test_a_breast_has_its_pattern_on_the_surface(kind, marks):
    bird = plumage(breast=kind, breast_color=1)
    sketch = drawn(parts.breast, bird, SQUARE)
    assert len(sketch.polygons) == marks
    assert set(sketch.colors) <= {PALETTE["azure"]}
    for polygon in sketch.polygons:
        assert polygon.min() > -0.05
        assert polygon.max() < 1.05


def test_a_bib_is_at_the_throat_and_a_band_below_it():
    bib, band = (drawn(parts.breast, plumage(breast=kind), SQUARE).polygons[0] for kind in ("bib", "band"))
    assert bib[:, 1].mean() < band[:, 1].min() + 0.1
    assert np.ptp(band[:, 0]) == pytest.approx(1.0)
    assert np.ptp(bib[:, 0]) == pytest.approx(0.9)


@pytest.mark.parametrize("bars", [0, 1, 2])
def test_wing_bars_are_as_many_as_the_species_has_at_their_places(bars):
    bird = plumage(wing_bars=bars, bar_color="rose")
    sketch = drawn(parts.bars_across, bird, SQUARE, (0.2, 0.6), 0.1)
    assert len(sketch.polygons) == bars
    for polygon, place in zip(sketch.polygons, (0.2, 0.6), strict=False):
        assert_allclose((polygon.min(0), polygon.max(0)), [(place, 0.06), (place + 0.1, 0.94)], **CLOSE)
    assert sketch.colors == [PALETTE["rose"]] * bars
    assert sketch.groups == ["wing"] * bars


@pytest.mark.parametrize(("kind", "marks"), [("plain", 0), ("tip", 1), ("banded", 2)])
def test_a_tail_is_as_long_as_its_genus_says_and_points_where_it_is_turned(kind, marks):
    bird = plumage(tail=kind)
    sketch = drawn(parts.tail, bird, (1.0, 2.0), 0.0)
    assert len(sketch.polygons) == 1 + marks
    assert set(sketch.groups) == {"tail"}
    outline = sketch.polygons[0] - (1, 2)
    assert outline[:, 0].max() == pytest.approx(GENUS.tail)
    assert np.abs(outline[:, 1]).max() == pytest.approx(GENUS.tail_width)
    notch = outline[np.abs(outline[:, 1]) < 1e-12][:, 0].max()
    assert GENUS.tail - notch == pytest.approx(GENUS.fork * GENUS.tail - 0.06)
    for one, other in zip(sketch.polygons, drawn(parts.tail, bird, (1.0, 2.0), 90.0).polygons, strict=True):
        assert_allclose(other - (1, 2), (one - (1, 2)) @ rotation(90).T, **CLOSE)
    assert np.ptp(drawn(parts.tail, bird, (0, 0), 0.0, fan=1.5).polygons[0][:, 1]) == pytest.approx(1.5)


@pytest.mark.parametrize("bars", [0, 2])
def test_a_folded_wing_lies_on_the_body_with_its_bars_last(bars):
    bird = plumage(wing_bars=bars)
    sketch = drawn(folded_wing, bird, ROUND)
    assert set(sketch.groups) == {"wing"}
    assert len(sketch.polygons) == 5 + bars
    assert sketch.colors[:2] == [bird.wing, bird.flight]
    whole, tips = sketch.polygons[:2]
    assert abs(area(tips)) < 0.45 * abs(area(whole))
    assert tips[:, 0].max() < whole[:, 0].mean()  # the flight feathers are the wing's rear end
    for one, other in zip(sketch.polygons, drawn(folded_wing, bird, rotation(20).T).polygons, strict=True):
        assert_allclose(other, one @ rotation(20).T, rtol=0, atol=0.02)


@pytest.mark.parametrize("fingers", [3, 5])
def test_spread_feathers_are_coverts_fingers_and_bars(fingers):
    bird = plumage(wing_bars=1)
    sketch = drawn(spread_feathers, bird, SQUARE, shade=0.0, fingers=fingers)
    assert len(sketch.polygons) == 2 + fingers + 1
    tips = [polygon[:, 1].max() for polygon in sketch.polygons[1 : 1 + fingers]]
    assert tips == pytest.approx([1.08] * fingers)
    starts = [polygon[:, 0].min() for polygon in sketch.polygons[1 : 1 + fingers]]
    assert starts == pytest.approx([0.105 + 0.9 / fingers * n for n in range(fingers)])
    assert sketch.colors[-2:] == [bird.wing, bird.bar]


def test_the_far_wing_is_darker_and_reaches_less_high():
    near, far = (drawn(raised_wing, plumage(), ROUND, far=far) for far in (False, True))
    assert set(near.groups) == {"wing"}
    assert all(sum(a) >= sum(b) for a, b in zip(near.colors, far.colors, strict=True))
    assert near.colors != far.colors
    assert far.stacked[0][:, 1].max() < near.stacked[0][:, 1].max()
