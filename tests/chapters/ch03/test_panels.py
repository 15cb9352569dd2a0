"""Drawings of chapter 03 that compute what they show: the lines go where formulas and loops say."""

import math

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import pytest
import torch

from dmlbook.chapters.ch03 import panels
from dmlbook.datasets import birds
from tests import drawn
from tests.chapters.ch03 import reference


@pytest.fixture
def axes():
    figure, found = plt.subplots(1, 2)
    yield found
    plt.close(figure)


def cosine(degrees):
    return math.cos(math.radians(degrees))


def expected(cosines, gamma):
    """S' by its definition."""
    weights = [math.exp(c / gamma) for c in cosines]
    return sum(w * c for w, c in zip(weights, cosines, strict=True)) / sum(weights)


def named(ax):
    return {line.get_label(): dict(line.get_xydata().tolist()) for line in ax.lines if line.get_label()[0] != "_"}


def test_the_travelling_image_sees_the_closest_center_and_the_mean_by_weights(axes):
    assert panels.kink_and_jump(*axes, (0.2,), centers=(-30.0, 50.0)) == tuple(axes)
    rise, slopes = map(named, axes)
    assert list(rise) == list(slopes) == ["HardTriple", "SoftTriple, gamma 0.2"]
    for degrees in (-90, -40, 0, 20, 70, 90):
        seen = [cosine(degrees + 30), cosine(degrees - 50)]
        at = min(rise["HardTriple"], key=lambda x: abs(x - degrees))
        assert rise["HardTriple"][at] == pytest.approx(max(seen), abs=1e-4)
        assert rise["SoftTriple, gamma 0.2"][at] == pytest.approx(expected(seen, 0.2), abs=1e-4)
    closest = {-40: -30, 45: 50, 70: 50}
    for degrees, center in closest.items():  # per radian
        at = min(slopes["HardTriple"], key=lambda x: abs(x - degrees))
        assert slopes["HardTriple"][at] == pytest.approx(-math.sin(math.radians(degrees - center)), abs=2e-3)
    lowest, highest = axes[1].get_ylim()
    assert all(lowest <= y <= highest for line in slopes.values() for y in line.values())


def test_four_similarities_are_drawn_in_their_order_from_a_small_gamma_to_one(axes):
    cosines = [0.7, 0.2, -0.4]
    assert panels.four_similarities(axes[0], torch.tensor(cosines), low=0.01) is axes[0]
    lines = named(axes[0])
    for gamma in (0.01, 1.0):
        at = {name: line[min(line, key=lambda x: abs(x - gamma))] for name, line in lines.items()}
        assert at["S', expected"] == pytest.approx(expected(cosines, gamma), abs=1e-4)
        total = sum(math.exp((c - 0.7) / gamma) for c in cosines)
        assert at["V, log-sum-exp"] == pytest.approx(0.7 + gamma * math.log(total), abs=1e-4)
        assert at["closest center"] == pytest.approx(0.7)
        assert at["mean"] == pytest.approx(1 / 6)
    assert axes[0].get_xlim() == pytest.approx((0.01, 1))
    assert axes[0].get_xscale() == "log"
    assert {"S', expected", "V, log-sum-exp", "closest center", "mean"} < set(drawn.words(axes[0]))


def test_scale_and_margin_bend_and_move_the_loss_and_gamma_flattens_the_field(axes):
    chosen = {"scales": (2, 10), "margin": 0.3, "gammas": (0.1, 2), "centers": (0.0, 90.0)}
    assert panels.three_jobs(*axes, **chosen) == tuple(axes)
    losses, fields = map(named, axes)
    assert list(losses) == ["2", "10", "10, margin 0.3"]
    for name, (scale, margin) in zip(losses, ((2, 0), (10, 0), (10, 0.3)), strict=True):
        for win in (-0.5, 0.0, 0.4, 1.0):
            at = min(losses[name], key=lambda x: abs(x - win))
            wanted = math.log1p(math.exp(-scale * (win - margin))) / scale
            assert losses[name][at] == pytest.approx(wanted, abs=1e-4)
    for name, gamma in (("0.1", 0.1), ("2", 2)):
        for degrees in (-180, -45, 0, 30, 100):
            seen = [cosine(degrees), cosine(degrees - 90)]
            assert fields[name][degrees] == pytest.approx(expected(seen, gamma), abs=1e-4)
    assert axes[1].get_xlabel() == "image's direction; centers at 0 and 90 degrees"


def test_a_row_of_merged_birds_is_a_class_each_species_perched_and_flying(axes):
    class_of = torch.tensor([1, 0, 1, 0, 2, 2])
    assert panels.merged_birds(axes[0], class_of, classes=2, size=16) is axes[0]
    (shown,) = (torch.as_tensor(image.get_array()) for image in axes[0].images)
    rows = [[1, 3], [0, 2]]
    step = 16 + 2
    for down, row in enumerate(rows):
        shapes = [(species, pose) for species in row for pose in ("perched", "flying")]
        for across, (species, pose) in enumerate(shapes):
            tile = shown[down * step : down * step + 16, across * step : across * step + 16, :3]
            wanted = birds.draw(species, pose, size=16).permute(1, 2, 0)
            torch.testing.assert_close(tile, wanted)


def test_the_line_of_pushes_stands_gamma_below_the_expected_similarity(axes):
    cosines, gamma = [0.9, 0.5, -0.2], 0.3
    assert panels.pushed_below(axes[0], torch.tensor(cosines), gamma=gamma) is axes[0]
    level = expected(cosines, gamma) - gamma
    assert drawn.words(axes[0]) == {"S' - gamma": pytest.approx((level, 0.22))}
    assert [line.get_xdata()[0] for line in axes[0].lines if line.get_linestyle() == ":"] == [pytest.approx(level)]
    ends = sorted(segment[1].tolist() for bars in axes[0].collections for segment in bars.get_segments())
    slopes = reference.slopes(cosines, gamma)
    assert ends == [pytest.approx(pair, abs=1e-5) for pair in sorted(zip(cosines, slopes, strict=True))]


def test_panels_that_do_not_fit_are_refused(axes):
    with pytest.raises(ValueError, match="four_similarities: low must be below 1; got 1"):
        panels.four_similarities(axes[0], torch.tensor([0.5, 0.1]), low=1.0)
    with pytest.raises(ValueError, match="merged_birds: another"):
        panels.merged_birds(axes[0], torch.tensor([0, 0, 1]), classes=2)
