"""Experiments of chapter 03: many starts at once are single runs, and what is measured at their ends is so."""

import math

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from dmlbook import losses
from dmlbook.book import on_circle
from dmlbook.chapters.ch03 import birds, experiments
from dmlbook.seeding import SEED, generator
from tests.chapters.ch03 import reference

CROSS, LABELS = on_circle([0.0, 180.0, 90.0, 270.0]), torch.tensor([0, 0, 1, 1])
SLOW = {
    "HardTriple": lambda s, gamma: max(s),
    "SoftTriple": reference.similarity,
    "log-sum-exp": lambda s, gamma: gamma * math.log(math.fsum(math.exp(v / gamma) for v in s)),
}


def end(method, centers, gamma, scale=20.0, margin=0.01):
    """One run's least win and its mean loss, literally."""
    wins, values = [], []
    for image, label in zip(CROSS.tolist(), LABELS.tolist(), strict=True):
        s = [[sum(a * b for a, b in zip(image, w, strict=True)) for w in of_class] for of_class in centers.tolist()]
        of_class = [SLOW[method](row, gamma) for row in s]
        wins.append(of_class[label] - of_class[1 - label])
        values.append(math.log1p(math.exp(-scale * (wins[-1] - margin))))
    return min(wins), math.fsum(values) / len(values)


@pytest.mark.parametrize("method", experiments.SIMILARITIES)
def test_before_the_first_step_wins_and_losses_are_those_of_the_drawn_centers(method):
    found = experiments.train_centers(method, CROSS, LABELS, 3, runs=4, steps=0, gamma=0.2, margin=0.1)
    drawn = F.normalize(torch.randn(4, 2, 3, 2, generator=generator(SEED, "starts", 3)), dim=-1)
    for centers, win, loss in zip(drawn, found.win.tolist(), found.loss.tolist(), strict=True):
        assert (win, loss) == pytest.approx(end(method, centers, 0.2, margin=0.1), abs=1e-4)


def test_a_start_among_many_is_the_run_of_softtriple_alone():
    many = experiments.train_centers("SoftTriple", CROSS, LABELS, 2, runs=5, steps=40)
    assert isinstance(many, experiments.Trained)
    draws = torch.randn(5, 2, 2, 2, generator=generator(SEED, "starts", 2))
    for run in (0, 3):
        alone = losses.SoftTriple(num_classes=2, embedding_size=2, centers_per_class=2, tau=0.0)
        with torch.no_grad():
            alone.weight.copy_(F.normalize(draws[run], dim=-1).transpose(0, 1))
        adam = torch.optim.Adam(alone.parameters(), lr=0.05)
        for _ in range(41):
            adam.zero_grad()
            alone(CROSS, LABELS).backward()
            adam.step()
        assert_close(many.centers[run], alone.centers.detach(), rtol=0, atol=2e-3)


def test_a_gamma_that_falls_is_at_its_last_value_in_the_end():
    one = experiments.train_centers("SoftTriple", CROSS, LABELS, 2, runs=6, steps=20, gamma=1.0)
    falling = experiments.train_centers("SoftTriple", CROSS, LABELS, 2, runs=6, steps=20, gamma=[1.0, 1.0])
    assert_close(one.centers, falling.centers)
    both = experiments.train_centers("SoftTriple", CROSS, LABELS, 2, runs=6, steps=20, gamma=[1.0, 0.1])
    assert (both.centers - one.centers).abs().max() > 0.05
    start = experiments.train_centers("SoftTriple", CROSS, LABELS, 2, runs=6, steps=1, gamma=[9.0, 0.1])
    assert_close(
        start.win, experiments.train_centers("SoftTriple", CROSS, LABELS, 2, runs=6, steps=1).win, atol=0.2, rtol=0
    )


def test_spare_centers_solve_the_cross_and_one_center_never_does():
    assert (experiments.train_centers("SoftTriple", CROSS, LABELS, 4, runs=20, steps=150).win > 0).all()
    assert (experiments.train_centers("SoftTriple", CROSS, LABELS, 1, runs=20, steps=150).win <= 0).all()


def test_only_hardtriple_leaves_centers_without_a_gradient_and_more_of_many():
    share = {
        (name, K): experiments.share_without_gradient(name, CROSS, LABELS, K, starts=20)
        for name in ("hardtriple", "softtriple")
        for K in (1, 10)
    }
    assert share["hardtriple", 1] == share["softtriple", 1] == share["softtriple", 10] == 0
    assert 0.2 < share["hardtriple", 10] <= 0.9  # ten centers, of which four images of the two classes reach a few


def test_turns_are_how_the_loss_falls_with_each_centers_angle():
    angles = torch.tensor([[[20.0, 100.0], [200.0, 290.0]]])
    found = experiments.center_turns(CROSS, LABELS, on_circle(angles), gamma=0.3, scale=4.0, margin=0.1)
    assert found.shape == (1, 4, 2, 2)
    step = 0.05
    for c in (0, 1):
        for k in (0, 1):
            ends = []
            for sign in (1, -1):
                moved = angles.double().clone()
                moved[0, c, k] += sign * step
                s = torch.einsum("bd,ckd->bck", CROSS.double(), on_circle(moved[0], dtype=torch.float64))
                similar = losses.softtriple_similarity(s, gamma=0.3)
                own = similar[torch.arange(4), LABELS] - similar[torch.arange(4), 1 - LABELS]
                ends.append(F.softplus(-4 * (own - 0.1)))
            slope = (ends[0] - ends[1]) / (2 * math.radians(step))
            assert_close(found[0, :, c, k].double(), -slope, rtol=0, atol=1e-4)


def test_a_larger_margin_makes_images_win_by_more_from_the_same_starts():
    none, some = (experiments.wins_with_margin(margin, runs=10, steps=100) for margin in (0.0, 0.4))
    assert none.shape == (10, 8)
    assert ((some - none).mean(1) > 0).sum() >= 8
    before = experiments.wins_with_margin(0.0, runs=10, steps=0)
    assert_close(before, experiments.wins_with_margin(0.4, runs=10, steps=0))
    assert (none.mean(1) > before.mean(1)).all()


def test_a_linear_map_learns_the_classes_of_its_features():
    labels = torch.arange(24) % 3
    points = torch.eye(3)[labels] + 0.05 * torch.randn(24, 3, generator=generator(1))
    features = birds.Features(points, labels, points, labels)
    first, _ = birds.linear_run(features, "softtriple", 1, steps=1, options={"centers_per_class": 2, "tau": 0.0})
    last, scores = birds.linear_run(features, "softtriple", 1, steps=60, options={"centers_per_class": 2, "tau": 0.0})
    assert last < 0.1 * first
    assert scores == pytest.approx({"Recall@1": 1.0, "MAP@R": 1.0})


def test_features_of_the_birds_stand_on_their_main_directions():
    features = birds.bird_features(12)
    assert features.seen.shape[1] == features.unseen.shape[1] == 12
    assert len(features.seen) == len(features.seen_labels)
    assert_close(features.seen.mean(0), torch.zeros(12), rtol=0, atol=1e-3)
    covariance = features.seen.T @ features.seen / len(features.seen)
    assert_close(covariance, torch.diag(covariance.diag()), rtol=0, atol=1e-3)
    assert covariance.diag().max() < 1
    assert (covariance.diag().diff() < 1e-4).all()  # the first has the largest spread, hardly held back


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: experiments.train_centers("SoftTriple", CROSS, LABELS, 2, runs=1, steps=1, gamma=[1.0, 0.0]),
            "train_centers: gamma.* must be .*> 0",
        ),
        (
            lambda: experiments.train_centers("SoftTriple", CROSS, LABELS, 2, runs=1, steps=1, gamma=[]),
            "gamma must hold at least one",
        ),
        (
            lambda: experiments.train_centers("softtriple", CROSS, LABELS, 2, runs=1, steps=1),
            "method must be one of .*Did you mean 'SoftTriple'",
        ),
        (
            lambda: experiments.share_without_gradient("hardtriple", CROSS, LABELS + 1, 2, starts=1),
            "labels must number one of 2 classes",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_starts_solved_by_one_alone_are_counted_both_ways_and_weighed_as_tosses():
    ours = torch.tensor([True] * 9 + [False] * 3 + [True] * 4)
    theirs = torch.tensor([False] * 9 + [True] * 3 + [True] * 4)
    only_ours, only_theirs, chance = experiments.alone(ours, theirs)
    assert (only_ours, only_theirs) == (9, 3)
    assert chance == pytest.approx(2 * sum(math.comb(12, n) for n in range(4)) / 2**12)
    assert experiments.alone(theirs, ours)[:2] == (3, 9)
    assert experiments.alone(ours, ours) == (0, 0, 1.0)
    with pytest.raises(ValueError, match="alone: theirs must be as many as the ours"):
        experiments.alone(ours, theirs[:5])


def test_the_birds_rivals_are_eleven_and_compared_with_rivals_that_differ_in_one_thing():
    assert len(birds.CHOICES) == 11
    assert birds.CHOICES["one center"] == ("softmax", {})
    for title, (name, options) in birds.CHOICES.items():
        if title != "one center":
            assert options["centers_per_class"] == (10 if "K = 10" in title else 4)
            assert (options.get("similarity") == "logsumexp") == title.startswith("log")
            assert (name == "hardtriple") == title.startswith("Hard")
            assert options.get("gamma") == (0.3 if title.endswith("gamma 0.3") else None)
    assert len(set(birds.PAIRS)) == 11
    for first, second in birds.PAIRS:
        assert {first, second} <= set(birds.CHOICES)
        parts = [title.split(", ") for title in (first, second)]
        assert first == "one center" or sum(one != other for one, other in zip(*parts, strict=True)) == 1
