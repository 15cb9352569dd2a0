"""Chapter 03: classes that hold several species; the regions of one center; the map, trained and measured."""

import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import pairwise_distances
from torch.testing import assert_close

from dmlbook import datasets, losses, nets
from dmlbook.chapters.ch03 import merged
from dmlbook.datasets.image_set import ImageSet
from dmlbook.seeding import generator

LOOKS = torch.tensor([[-1.0, 0.0], [0.0, 0.0], [1.0, 0.0], [2.0, 0.0]])  # A B A B: no class is convex
SOFT = {"name": "softtriple"}


def line_of_looks(each=30):
    """Four species in a row, one beside the next, which belong to two classes in turns."""
    draw = generator(3, "looks")
    species = torch.arange(4).repeat_interleave(each)
    return merged.Numbers(LOOKS[species] + 0.08 * torch.randn(len(species), 2, generator=draw), species)


def pictures(species=3, each=10, side=4, seed=0):
    images = torch.randint(256, (species * each, 3, side, side), generator=generator(seed, "pixels"), dtype=torch.uint8)
    names = tuple(f"species {n}" for n in range(species))
    return ImageSet(images, torch.arange(species).repeat_interleave(each), names, name="toy", split="train")


# The task


def test_the_numbers_are_the_principal_components_of_the_pictures_to_fit():
    seen, unseen = pictures(), pictures(species=2, seed=1)
    task = merged.make_task(seen, unseen, directions=5, fresh=0.4)
    fit = torch.cat([torch.arange(6) + 10 * species for species in range(3)])  # the first six of each ten
    pca = PCA(5, svd_solver="full").fit(seen.images[fit].flatten(1).double().numpy())
    spread = pca.explained_variance_ * (len(fit) - 1) / len(fit)
    width = torch.from_numpy(spread**0.5 + spread[0] ** 0.5 / 100)
    left_out = torch.tensor([n for n in range(30) if n not in fit.tolist()])
    for part, images in (
        (task.fit, seen.images[fit]),
        (task.fresh, seen.images[left_out]),
        (task.unseen, unseen.images),
    ):
        there = torch.from_numpy(pca.transform(images.flatten(1).double().numpy())) / width
        assert_close(part.values.double().abs(), there.abs(), rtol=1e-3, atol=1e-4)  # an axis may be turned round
    assert_close(task.fit.species, seen.labels[fit])
    assert_close(task.fresh.species, seen.labels[left_out])
    assert_close(task.unseen.species, unseen.labels)


def test_fresh_and_unseen_pictures_do_not_change_the_numbers_of_those_to_fit():
    seen = pictures()
    other = seen.images.clone()
    other.view(3, 10, -1)[:, 6:] = 7
    changed = ImageSet(other, seen.labels, seen.class_names, name="toy", split="train")
    first = merged.make_task(seen, pictures(2, seed=1), directions=5)
    second = merged.make_task(changed, pictures(2, seed=2), directions=5)
    assert_close(first.fit.values, second.fit.values, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"directions": 19}, "directions must be at most 18 here; got 19"),
        ({"fresh": 0.99}, "fresh must leave a picture of each species on both sides; got 0.99"),
        ({"fresh": 0.01}, "fresh must leave a picture of each species on both sides; got 0.01"),
        ({"unseen": pictures(side=5)}, r"unseen must hold images of the same size as seen; got \(3, 5, 5\) for"),
    ],
)
def test_a_task_that_cannot_be_made_is_refused(changed, told):
    with pytest.raises(ValueError, match=f"make_task: {told}"):
        merged.make_task(**{"seen": pictures(), "unseen": pictures(seed=1), "directions": 5} | changed)


def test_merging_shares_the_species_out_evenly_and_by_chance():
    drawn = [merged.merge(12, 3, seed=seed) for seed in range(5)]
    for class_of in drawn:
        assert class_of.bincount().tolist() == [3, 3, 3, 3]
    assert len({tuple(class_of.tolist()) for class_of in drawn}) == 5
    assert_close(drawn[2], merged.merge(12, 3, seed=2))


@pytest.mark.parametrize(("species", "each"), [(12, 5), (12, 12), (12, 13)])
def test_species_that_cannot_be_shared_out_are_refused(species, each):
    with pytest.raises(
        ValueError, match=f"species_per_class must share .* two classes or more; got {each} of {species}"
    ):
        merged.merge(species, each, seed=0)


# Why one center fails


@pytest.mark.parametrize("seed", range(5))
def test_one_center_gives_a_class_a_convex_region_whatever_the_linear_map(seed):
    net = nets.make_head(6, 0, 4, seed=seed)
    loss = losses.make("softtriple", num_classes=3, embedding_size=4, centers_per_class=1, generator=generator(seed))
    draw = generator(seed, "points")
    x = 3 * torch.randn(400, 6, generator=draw)
    a, b = x[torch.randint(400, (2, 3000), generator=draw)]
    share = torch.rand(3000, 1, generator=draw)
    with torch.no_grad():
        at_a, at_b, between = (loss.class_similarities(net(at)).argmax(1) for at in (a, b, share * a + (1 - share) * b))
    same = at_a == at_b
    assert same.sum() > 300
    assert (between[same] == at_a[same]).all()


def test_looks_in_turns_are_solved_by_two_centers_and_not_by_one():
    fit, class_of = line_of_looks(), torch.tensor([0, 1, 0, 1])
    task, right = merged.Task(fit, fit, fit), {}
    for K in (1, 2):
        tried = [
            merged.train(fit, class_of, SOFT | {"centers_per_class": K}, rate=0.1, seed=s, steps=60) for s in range(2)
        ]
        right[K] = [merged.measure(net, loss, task, class_of)["class, trained"] for net, loss in tried]
    assert max(right[1]) <= 0.76  # of four looks in turns a line can have three right
    assert max(right[2]) == 1


def test_a_hidden_layer_lets_one_center_solve_looks_in_turns():
    fit, class_of = line_of_looks(), torch.tensor([0, 1, 0, 1])
    net, loss = merged.train(fit, class_of, SOFT | {"centers_per_class": 1}, rate=0.01, seed=0, hidden_units=64)
    assert merged.measure(net, loss, merged.Task(fit, fit, fit), class_of)["class, trained"] == 1


# Training and measuring


def test_training_is_plain_adam_with_two_rates(monkeypatch):
    fit, class_of, options = line_of_looks(), torch.tensor([0, 1, 1, 0]), SOFT | {"centers_per_class": 2, "gamma": 0.2}
    net, loss = merged.train(fit, class_of, options, rate=0.02, seed=5, steps=4)
    other = nets.make_head(2, 0, merged.EMBEDDING_SIZE, seed=5)
    centers = losses.make(
        "softtriple", num_classes=2, embedding_size=merged.EMBEDDING_SIZE, centers_per_class=2, gamma=0.2, tau=0.0,
        generator=generator(5, "centers"),
    )  # fmt: skip
    optimizers = [torch.optim.Adam(other.parameters(), lr=0.02), torch.optim.Adam(centers.parameters(), lr=0.05)]
    draw = generator(5, "batches")
    for _ in range(4):
        batch = torch.randint(120, (200,), generator=draw)
        value = centers(other(fit.values[batch]), class_of[fit.species[batch]])
        for optimizer in optimizers:
            optimizer.zero_grad()
        value.backward()
        for optimizer in optimizers:
            optimizer.step()
    for ours, theirs in zip(
        [*net.parameters(), *loss.parameters()], [*other.parameters(), *centers.parameters()], strict=True
    ):
        assert_close(ours, theirs, rtol=1e-5, atol=1e-6)


def test_the_losses_embedding_size_is_also_the_maps():
    net, loss = merged.train(
        line_of_looks(), torch.tensor([0, 1, 1, 0]), SOFT | {"embedding_size": 3}, rate=0.1, seed=0
    )
    assert net(torch.zeros(1, 2)).shape == (1, 3)
    assert loss.weight.shape[-1] == 3


def by_loop(points, species):
    """Recall@1 and MAP@R by cosine, a picture at a time."""
    apart = pairwise_distances(points.double().numpy(), metric="cosine")
    hits, precision = [], []
    for n, row in enumerate(apart):
        order = [m for m in row.argsort() if m != n]
        right = [int(species[m] == species[n]) for m in order]
        R = sum(right)
        hits.append(right[0])
        precision.append(sum(sum(right[: k + 1]) / (k + 1) for k in range(R) if right[k]) / R)
    return sum(hits) / len(hits), sum(precision) / len(precision)


def test_measures_equal_their_loops():
    fit, class_of = line_of_looks(), torch.tensor([0, 1, 1, 0])
    points = torch.randn(40, 2, generator=generator(1))
    fresh, unseen = merged.Numbers(points[:28], torch.arange(28) % 4), merged.Numbers(points[28:], torch.arange(12) % 3)
    net, loss = merged.train(fit, class_of, SOFT, rate=0.01, seed=1, steps=20)
    scores = merged.measure(net, loss, merged.Task(fit, fresh, unseen), class_of)
    with torch.no_grad():
        for name, part in {"seen": fresh, "unseen": unseen}.items():
            expected = by_loop(net(part.values), part.species)
            assert_close((scores[f"{name} R@1"], scores[f"{name} MAP@R"]), expected, rtol=1e-6, atol=1e-9)
        for name, part in {"trained": fit, "fresh": fresh}.items():
            closest = loss.class_similarities(net(part.values)).argmax(1).tolist()
            right = sum(class_of[s] == c for s, c in zip(part.species.tolist(), closest, strict=True))
            assert scores[f"class, {name}"] == pytest.approx(right.item() / len(closest), abs=1e-6)
    with torch.no_grad():
        apart = pairwise_distances(net(fresh.values).numpy(), net(fit.values).numpy(), metric="cosine")
    beside = [class_of[fit.species[int(row.argmin())]] for row in apart]
    same = [int(class_of[s] == c) for s, c in zip(fresh.species.tolist(), beside, strict=True)]
    assert 0 < sum(same) < len(same)
    assert scores["class, neighbor"] == pytest.approx(sum(same) / len(same), abs=1e-6)
    numbers = merged.retrieved(merged.Task(fit, fresh, unseen))
    assert_close(
        (numbers["seen R@1"], numbers["seen MAP@R"]), by_loop(fresh.values, fresh.species), rtol=1e-6, atol=1e-9
    )


def test_bad_input_is_named():
    fit, class_of = line_of_looks(), torch.tensor([0, 1, 0, 1])
    usual = {"pictures": fit, "class_of": class_of, "options": SOFT, "rate": 0.01, "seed": 0, "steps": 1}
    for changed, told in (
        ({"class_of": class_of[:3]}, "train: pictures must number one of 3 species, from 0; got 3"),
        ({"class_of": torch.tensor([0, 1, 0, 7])}, "train: class_of must number one of 4 classes, .* got 7"),
        ({"options": {"gamma": 0.1}}, r"train: options must name a loss; got \['gamma'\]"),
        ({"pictures": merged.Numbers(fit.values / 0, fit.species)}, "train: pictures must be finite"),
        ({"rate": 0.0}, "train: rate must be"),
    ):
        with pytest.raises(ValueError, match=told):
            merged.train(**usual | changed)
    net, loss = merged.train(**usual)
    with pytest.raises(ValueError, match="measure: task must number one of 3 species, from 0; got 3"):
        merged.measure(net, loss, merged.Task(fit, fit, fit), class_of[:3])
    short = merged.Task(fit, fit, merged.Numbers(fit.values, fit.species[:9]))
    with pytest.raises(ValueError, match="retrieved: species must be as many as the values; got 120 values and 9"):
        merged.retrieved(short)


@pytest.mark.parametrize("K", [1, 4])
def test_merged_birds_are_learned_by_four_centers_and_not_by_one(K):
    drawn = {"difficulty": "easy", "size": 16, "num_species": 32, "images_per_species": 30}
    task = merged.make_task(*(datasets.load("birds", split, **drawn) for split in ("train", "test")), directions=16)
    class_of = merged.merge(16, 4, seed=0)
    trained = merged.train(task.fit, class_of, SOFT | {"centers_per_class": K}, rate=0.03, seed=0, steps=100)
    scores, numbers = merged.measure(*trained, task, class_of), merged.retrieved(task)
    if K == 1:
        assert scores["class, trained"] < 0.8
    else:
        assert scores["class, trained"] > 0.9
        assert scores["unseen MAP@R"] > numbers["unseen MAP@R"]


# Rates and trials


def test_a_trial_merges_trains_and_measures_from_one_seed():
    looks = line_of_looks()
    task = merged.Task(looks, looks, looks)
    settled = {"rate": 0.03, "seed": 4, "steps": 30, "hidden_units": 5}
    found = merged.trial(task, SOFT | {"centers_per_class": 2}, species_per_class=2, **settled)
    class_of = merged.merge(4, 2, seed=4)
    net, loss = merged.train(looks, class_of, SOFT | {"centers_per_class": 2}, **settled)
    assert found == merged.measure(net, loss, task, class_of)


def test_rates_are_tried_on_unseen_species_and_averaged_over_seeds():
    looks = line_of_looks(each=8)
    far = merged.Numbers(looks.values.flip(0), looks.species)
    task, options = merged.Task(looks, looks, far), SOFT | {"centers_per_class": 2}
    found = merged.try_rates(task, options, [0.001, 0.1], seeds=[1, 2], species_per_class=2, steps=5)
    assert list(found) == [0.001, 0.1]
    for rate, score in found.items():
        trials = [merged.trial(task, options, species_per_class=2, rate=rate, seed=seed, steps=5) for seed in (1, 2)]
        assert score == pytest.approx(sum(scores["unseen R@1"] for scores in trials) / 2)
    with pytest.raises(ValueError, match="try_rates: seeds must hold at least one"):
        merged.try_rates(task, options, [0.1], seeds=[], species_per_class=2)
