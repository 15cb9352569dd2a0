"""Digits learned by SoftMax: the net is a literal loop's, what is measured is counted by hand, bad input is named."""

import math

import pytest
import torch
from torch.nn import functional as F

from dmlbook import geometry, losses, retrieval
from dmlbook.chapters.ch02 import experiments
from dmlbook.seeding import SEED, generator


@pytest.fixture(scope="module")
def normalized():
    return experiments.fit_digits(4, 20.0, steps=40)


def test_digits_come_in_two_disjoint_halves_centered_about_zero():
    (pixels, labels), (new, new_labels) = experiments.digits(), experiments.digits("test")
    assert labels.unique().tolist() == [0, 1, 2, 3, 4]
    assert new_labels.unique().tolist() == [0, 1, 2, 3, 4]
    assert int((pixels[:, None] == new[None, :50]).all(-1).sum()) == 0
    assert pixels.shape[1] == new.shape[1] == 64
    assert -0.31 < float(pixels.min()) < 0 < float(pixels.max()) < 0.71


@pytest.mark.parametrize("scale", [None, 5.0])
def test_two_steps_are_those_of_adam_on_the_formula(scale):
    pixels, labels = experiments.digits()
    random = generator(7, "digits")
    first, second = ((torch.randn(64, n, generator=random) / 8).requires_grad_() for n in (64, 3))
    w = (torch.randn(5, 3, generator=random) / math.sqrt(3)).requires_grad_()
    adam = torch.optim.Adam([{"params": [first, second], "lr": 1e-3}, {"params": [w], "lr": 1e-3 / 0.3}])
    for _ in range(2):
        x = torch.relu(pixels @ first) @ second
        logits = x @ w.T if scale is None else scale * geometry.cosines(x, w)
        loss = -torch.log(torch.softmax(logits, 1)[torch.arange(len(x)), labels]).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    found = experiments.fit_digits(3, scale, steps=2, seed=7, rate=1e-3)
    torch.testing.assert_close(found.centers, w.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.points, (torch.relu(pixels @ first) @ second).detach(), rtol=1e-3, atol=1e-4)
    new = experiments.digits("test")[0]
    torch.testing.assert_close(found.new_points, (torch.relu(new @ first) @ second).detach(), rtol=1e-3, atol=1e-4)
    assert isinstance(found, experiments.Learned)
    assert found.scales == ()


def test_digits_that_are_left_out_do_not_train_and_are_embedded_all_the_same(monkeypatch):
    (pixels, labels), new = experiments.digits(), experiments.digits("test")
    found = experiments.fit_digits(3, 5.0, steps=3, without=(1, 2))
    assert found.centers.shape == (3, 3)
    assert len(found.points) == len(labels)
    held = torch.isin(labels, torch.tensor([1, 2]))
    turned = torch.where(held[:, None], pixels.flip(1), pixels)
    monkeypatch.setattr(experiments, "digits", lambda part="train": (turned, labels) if part == "train" else new)
    again = experiments.fit_digits(3, 5.0, steps=3, without=(1, 2))
    torch.testing.assert_close(again.centers, found.centers)
    torch.testing.assert_close(again.points[~held], found.points[~held])
    assert not torch.allclose(again.points[held], found.points[held])
    assert not torch.allclose(experiments.fit_digits(3, 5.0, steps=3).centers[:1], found.centers[:1])


def test_a_learned_scale_begins_at_its_start_and_goes_against_the_mean_violation():
    def slope_of(scale):
        start = experiments.fit_digits(4, scale, steps=0)
        s, labels = geometry.cosines(start.points, start.centers), experiments.digits()[1]
        violations = s - s.gather(1, labels[:, None])
        return float((torch.softmax(scale * s, 1) * violations).sum(1).mean())  # d loss / d lambda

    for start in (1.0, 50.0):
        path = experiments.fit_digits(4, start, steps=3, scale_rate=0.01).scales
        assert path[0] == pytest.approx(start)
        assert path[1] == pytest.approx(start * math.exp(-0.01 * math.copysign(1, slope_of(start))), rel=1e-4)
        assert len(path) == 3


def test_the_hardest_tenth_is_that_of_the_smallest_margins_in_angle():
    labels = experiments.digits()[1]
    count = len(labels) // 10
    centers = torch.eye(5)
    points = 4 * centers[labels]
    points[:count] = 2 * (centers[labels[:count]] + 0.9 * centers[(labels[:count] + 1) % 5])  # own center ahead, barely
    share, beaten = experiments.hardest_tenth(points, centers)
    assert share == pytest.approx(2 * math.sqrt(1 + 0.81) / 4, rel=1e-5)
    assert beaten == 0
    points[:3] = 7 * centers[(labels[:3] + 1) % 5]  # on the center of another class
    assert experiments.hardest_tenth(points, centers)[1] == 3


def test_unseen_digits_are_retrieved_among_themselves_by_cosine(normalized):
    new = experiments.digits("test")[1]
    recall, map_at_r = experiments.on_unseen(normalized.new_points)
    assert recall == retrieval.recall_at_k(3 * normalized.new_points, new, ks=(1,))[1]
    assert map_at_r == retrieval.map_at_r(normalized.new_points, new)
    perfect = F.one_hot(new, 5).float()
    assert experiments.on_unseen(perfect) == (1.0, 1.0)


def test_leads_are_paired_by_seed_and_told_apart_where_their_interval_leaves_zero():
    ours, theirs = [(0.5, 0.75), (0.75, 0.25)], [(0.25, 0.5), (0.5, 0.5)]
    assert experiments.lead(ours, theirs) == [(0.25, 0.25), (0.25, -0.25)]
    assert experiments.told_apart(ours, theirs) == ["Recall@1"]
    assert experiments.told_apart(theirs, ours) == ["Recall@1"]
    assert experiments.told_apart(ours, ours) == []


def test_a_line_names_both_measures():
    said = experiments.line("ours", [(0.5, 0.25), (0.75, 0.25)])
    assert said.startswith("ours  ")
    assert "Recall@1 62.5 ± " in said
    assert "MAP@R 25.0 ± 0.0 (2)" in said


def test_a_rate_is_judged_on_the_digits_that_did_not_train():
    labels = experiments.digits()[1]
    found = experiments.rates_tried(20.0, (1e-3,), pairs=2, steps=3)
    values = []
    for pair in ((0, 1), (1, 2)):
        points = experiments.fit_digits(16, 20.0, steps=3, rate=1e-3, without=pair).points
        held = torch.isin(labels, torch.tensor(pair))
        values.append(retrieval.map_at_r(points[held], labels[held]))
    assert found == {1e-3: pytest.approx(sum(values) / 2)}
    assert experiments.HELD_OUT == ((0, 1), (1, 2), (2, 3), (3, 4), (4, 0))


def test_what_is_promised_is_counted_triplet_by_triplet(normalized):
    labels = experiments.digits()[1]
    found = experiments.promised(normalized.points, normalized.centers, scale=20.0, every=60)
    x = F.normalize(normalized.points.double(), dim=1)
    w = F.normalize(normalized.centers.double(), dim=1)
    chosen = range(0, len(x), 60)
    gaps, promises = [], []
    for i in chosen:
        for j in chosen:
            for k in chosen:
                if i == j or labels[i] != labels[j] or labels[i] == labels[k]:
                    continue
                radius = max(float((x[n] - w[labels[n]]).norm()) for n in (j, k))
                gaps.append(float(x[i] @ (x[j] - x[k])))
                promises.append(float(x[i] @ (w[labels[i]] - w[labels[k]])) - 2 * radius)
    assert found.holds == pytest.approx(sum(gap > 0 for gap in gaps) / len(gaps))
    assert found.sure == pytest.approx(sum(promise > 0 for promise in promises) / len(gaps))
    assert found.slack == pytest.approx(min(g - p for g, p in zip(gaps, promises, strict=True)))
    assert found.slack >= 0  # the theorem
    s = x @ w.T
    margins = [float(row[y] - max(v for c, v in enumerate(row) if c != y)) for row, y in zip(s, labels, strict=True)]
    assert found.margin == pytest.approx(sum(margins) / len(margins))
    assert found.radius == pytest.approx(float((x - w[labels]).norm(dim=1).mean()))
    p = torch.softmax(20.0 * s, 1)[torch.arange(len(x)), labels]
    assert found.pull == pytest.approx(float((1 - p).mean()))
    by_class = [float(-p[labels == c].log().mean()) for c in range(5)]
    assert found.loss == pytest.approx(sum(by_class) / 5)
    ours = losses.margin_cross_entropy(s, labels, scale=20.0).item()
    assert ours != pytest.approx(found.loss, rel=1e-4)  # classes differ in size


def test_points_on_their_centers_guarantee_everything():
    labels = experiments.digits()[1]
    corners = geometry.simplex(5, 4)
    found = experiments.promised(corners[labels], corners, scale=5.0)
    assert isinstance(found, experiments.Promise)
    assert (found.holds, found.sure) == (1.0, 1.0)
    assert found.margin == pytest.approx(5 / 4, rel=1e-5)
    assert found.radius == pytest.approx(0, abs=1e-6)


@pytest.mark.bad_input
def test_bad_input_is_named():
    x, w = torch.zeros(3, 2), torch.zeros(5, 2)
    bad = [
        (lambda: experiments.fit_digits(0), "fit_digits: size must be an integer >= 1"),
        (lambda: experiments.fit_digits(2, 0.0), "scale must be a finite number > 0"),
        (lambda: experiments.fit_digits(2, without=(0, 1, 2, 3)), "without must leave two of 5 digits; got 4"),
        (lambda: experiments.fit_digits(2, scale_rate=0.1), "scale_rate must be 0 where lengths are free; got 0.1"),
        (lambda: experiments.on_unseen(x), "on_unseen: images must be as many as the new_points"),
        (lambda: experiments.hardest_tenth(x, w), "images must be as many as the points"),
        (lambda: experiments.promised(x, w), "promised: images must be as many as the points"),
        (lambda: experiments.lead([(1.0, 1.0)], []), "theirs must be as many as the ours"),
        (lambda: experiments.rates_tried(1.0, (1e-3,), pairs=6), "rates_tried: pairs must"),
    ]
    for call, message in bad:
        with pytest.raises(ValueError, match=message):
            call()


def test_the_seed_is_the_books():
    one, other = (experiments.fit_digits(2, steps=0, seed=seed) for seed in (SEED, SEED + 1))
    again = experiments.fit_digits(2, steps=0)
    torch.testing.assert_close(one.points, again.points)
    assert not torch.allclose(one.points, other.points)


def test_leads_of_20_over_1_and_over_5_are_differences_seed_by_seed():
    results = {1.0: [(0.5, 0.1), (0.6, 0.2)], 5.0: [(0.4, 0.4), (0.5, 0.1)], 20.0: [(0.7, 0.4), (0.7, 0.3)], None: []}
    found = experiments.leads(results)
    expected = {
        "Recall@1\nover 1": (0.2, 0.1),
        "MAP@R\nover 1": (0.3, 0.1),
        "Recall@1\nover 5": (0.3, 0.2),
        "MAP@R\nover 5": (0.0, 0.2),
    }
    assert list(found) == list(expected)
    assert [found[name] for name in expected] == [pytest.approx(values) for values in expected.values()]
