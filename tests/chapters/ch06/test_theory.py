"""What chapter 06 states: one frame for all methods, forces that are slopes, and pairs that are used or not."""

import dataclasses
import math

import pytest
import torch
from torch.testing import assert_close

from dmlbook import geometry, losses
from dmlbook.book import degrees_of
from dmlbook.chapters.ch06 import methods, pairs, theory
from dmlbook.seeding import SEED, generator
from tests import reference
from tests.chapters.ch06 import reference as reference_06
from tests.losses.loss_toys import LEARNED, by_loop

STAGE = theory.stage()
SEVERAL = ("hardtriple", "softtriple", "subcenter_arcface")
RAW = ("lifted", "npairs")
"""Those that do not normalize."""


def batch(seed=0, classes=3, per_class=3, size=4):
    x = torch.randn(classes * per_class, size, dtype=torch.float64, generator=generator(seed, "field"))
    return x, torch.arange(classes * per_class) % classes


# Methods


def test_every_loss_has_its_method_in_the_order_of_years():
    assert sorted(methods.METHODS) == sorted(losses.NAMES)
    years = [method.year for method in methods.METHODS.values()]
    assert years == sorted(years)
    assert (years[0], years[-1]) == (2015, 2020)


def test_a_method_is_described_in_the_words_of_the_frame():
    for method in methods.METHODS.values():
        assert method.representatives in methods.REPRESENTATIVES
        assert method.smooth in methods.CHOICES
        assert all((method.title, method.source, method.pull, method.push, method.batch))
    assert {method.representatives for method in methods.METHODS.values()} == set(methods.REPRESENTATIVES)


def test_what_is_said_of_a_method_cannot_be_changed_in_passing():
    assert all(isinstance(method, methods.Method) for method in methods.METHODS.values())
    with pytest.raises(dataclasses.FrozenInstanceError):
        methods.METHODS["lifted"].year = 2015


def test_a_method_removes_needs_of_methods_that_came_no_later_and_all_descend_from_the_triplet_loss():
    order = list(methods.METHODS)
    for name, method in methods.METHODS.items():
        assert bool(method.removes) == (name != "triplet")
        for parent, need in method.removes:
            assert order.index(parent) < order.index(name)
            assert need
    assert {parent for parent, _ in methods.METHODS["centroid_bound"].removes} == {"triplet_center", "proxy_nca"}


@pytest.mark.parametrize("name", losses.NAMES)
def test_what_stands_for_a_class_is_what_the_loss_holds(name):
    loss = theory.place(name, STAGE)
    kind = methods.METHODS[name].representatives
    learned = isinstance(loss, losses.CenterLoss)
    assert (kind in ("learned proxies", "several centers")) == learned
    assert (kind == "several centers") == (learned and "centers_per_class" in losses.options(name))
    assert (kind in ("class means", "fixed points")) == hasattr(loss, "centroids")
    assert (kind == "examples") == (not learned and not hasattr(loss, "centroids"))


@pytest.mark.parametrize("name", losses.NAMES)
def test_a_method_is_sampled_where_an_image_feels_the_rest_of_its_batch(name):
    """Some image's force then depends on where the others are; Proxy-Anchor's too."""
    loss, changes = theory.place(name, STAGE), []
    others = geometry.normalize(STAGE.points + 0.3 * torch.randn(9, 2, dtype=torch.float64, generator=generator(1)))
    for image in range(9):
        moved = others.clone()
        moved[image] = STAGE.points[image]
        before, after = (theory.forces(loss, x, STAGE.labels)[image] for x in (STAGE.points, moved))
        changes.append(float((before - after).norm()))
    assert methods.METHODS[name].sampled == (max(changes) > 1e-9)


def test_the_family_table_has_a_row_a_method_and_seven_columns():
    head, line, *rows = methods.family_table().splitlines()
    assert [row.split(" | ")[0] for row in rows] == [f"| {method.title}" for method in methods.METHODS.values()]
    assert {row.count("|") for row in (head, line, *rows)} == {8}
    assert "| SoftTriple | 2019 | several centers |" in methods.family_table()
    assert [row.split("|")[-2].split(":")[0].strip() for row in rows] == [
        "yes" if method.sampled else "no" for method in methods.METHODS.values()
    ]


# The stage


def test_the_stage_has_one_image_in_the_wrong_place_one_near_a_boundary_and_all_others_with_their_class():
    assert_close(STAGE.points.norm(dim=1), torch.ones(9, dtype=torch.float64), rtol=0, atol=1e-12)
    assert (STAGE.points @ STAGE.proxies.T).argmax(1).tolist() == [0, 0, 0, 1, 2, 1, 2, 2, 2]
    best = (STAGE.points @ STAGE.proxies.T).topk(2).values
    assert int((best[:, 0] - best[:, 1]).argmin()) == 1
    assert_close(degrees_of(STAGE.proxies) % 360, torch.tensor([90.0, 210.0, 330.0]).double(), rtol=0, atol=1e-4)
    assert_close(STAGE.centers.norm(dim=-1), torch.ones(3, 2, dtype=torch.float64), rtol=0, atol=1e-12)
    assert_close(geometry.normalize(STAGE.centers.sum(1)), STAGE.proxies, rtol=0, atol=1e-6)
    assert torch.equal(STAGE.centroids, STAGE.proxies)


def test_representatives_around_images_stand_at_the_direction_of_their_means():
    x, y = batch(per_class=4)
    around = theory.around(x, y)
    unit = geometry.normalize(x)
    for c in range(3):
        members = unit[y == c]
        assert_close(around.proxies[c], geometry.normalize(members.mean(0)), rtol=0, atol=1e-12)
        assert_close(around.centers[c, 1], geometry.normalize((members[1] + members[3]) / 2), rtol=0, atol=1e-12)
    assert torch.equal(around.points, x)
    single = theory.around(x, y, centers_per_class=4).centers  # each image its own center
    assert_close(single, torch.stack([unit[y == c] for c in range(3)]), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", losses.NAMES)
def test_a_placed_loss_holds_the_stages_representatives_and_is_in_evaluation_mode(name):
    loss = theory.place(name, STAGE)
    assert not loss.training
    if name in LEARNED:
        expected = STAGE.centers if name in SEVERAL else STAGE.proxies[:, None]
        assert_close(loss.centers.detach(), expected, rtol=0, atol=1e-12)
    if name == "centroid_bound":
        assert torch.equal(loss.centroids, STAGE.centroids)
    if name == "triplet_center":
        means = torch.stack([STAGE.points[STAGE.labels == c].mean(0) for c in range(3)])
        assert_close(loss.centroids, means, rtol=0, atol=1e-12)
        assert bool(loss.known.all())


@pytest.mark.parametrize("name", losses.NAMES)
def test_a_placed_loss_has_the_papers_options_unless_told(name):
    loss = theory.place(name, STAGE)
    for option, value in losses.options(name).items():
        if hasattr(loss, option) and option not in ("centers_per_class", "centroids"):
            assert getattr(loss, option) == value
    assert theory.place("softmax", STAGE, scale=3.0).scale == 3.0


def test_fixed_points_are_placed_where_the_dimensions_hold_no_simplex():
    x, y = batch(classes=5, per_class=2, size=2)
    loss = theory.place("centroid_bound", theory.around(x, y))
    assert loss.centroids.shape == (5, 2)
    assert_close(float(loss(x, y)), reference.centroid_bound_loss(x, y, loss.centroids), rtol=0, atol=1e-9)


# Forces


@pytest.mark.parametrize("name", losses.NAMES)
def test_forces_are_the_slopes_of_the_literal_loops(name):
    loss = theory.place(name, STAGE)
    found = theory.forces(loss, STAGE.points, STAGE.labels)
    expected = reference_06.forces(loss, STAGE.points, STAGE.labels)
    assert found.norm() > 1
    assert_close(found, expected, rtol=0, atol=2e-5 * float(found.norm()))
    assert_close(
        float(loss(STAGE.points, STAGE.labels).detach()), by_loop(loss, STAGE.points, STAGE.labels), rtol=0, atol=1e-9
    )


@pytest.mark.parametrize("name", losses.NAMES)
def test_forces_of_a_loss_that_normalizes_are_along_the_circle_and_of_the_two_others_not(name):
    found = theory.forces(theory.place(name, STAGE), STAGE.points, STAGE.labels)
    outward = (found * STAGE.points).sum(1).abs().max() / found.norm(dim=1).max()
    assert (outward > 0.1) == (name in RAW)
    assert outward > 0.1 or outward < 1e-9


def test_forces_leave_the_loss_as_it_was():
    loss = losses.make("triplet_center", num_classes=3, embedding_size=2).double()
    loss.recompute(STAGE.points, STAGE.labels)
    before = loss.centroids.clone()
    assert theory.forces(loss, STAGE.points.flip(0), STAGE.labels).norm() > 1
    assert loss.training
    assert torch.equal(loss.centroids, before)


def test_the_image_in_the_wrong_place_is_what_a_scaled_cross_entropy_cares_for():
    for name in ("softmax", "hardtriple", "softtriple"):
        lengths = theory.forces(theory.place(name, STAGE), STAGE.points, STAGE.labels).norm(dim=1)
        assert int(lengths.argmax()) == 4
        assert lengths[4] > 0.85 * lengths.sum()


def test_alike_is_the_cosine_of_whole_fields():
    fields = {
        name: theory.forces(theory.place(name, STAGE), STAGE.points, STAGE.labels) for name in ("lifted", "softmax")
    }
    fields["none"] = torch.zeros(9, 2, dtype=torch.float64)
    names, matrix = theory.alike(fields)
    assert names == ("lifted", "softmax", "none")
    flat = [[value for row in reference.rows(field) for value in row] for field in fields.values()]
    for i in range(3):
        for j in range(3):
            lengths = math.sqrt(reference.dot(flat[i], flat[i]) * reference.dot(flat[j], flat[j]))
            cosine = reference.dot(flat[i], flat[j]) / lengths if lengths else 0.0
            assert float(matrix[i, j]) == pytest.approx(cosine, abs=1e-12)
    assert 0.1 < matrix[0, 1] < 0.9


def test_one_more_number_in_front_of_a_loss_leaves_its_field_alike():
    field = theory.forces(theory.place("triplet", STAGE), STAGE.points, STAGE.labels)
    assert_close(theory.alike({"a": field, "b": 7 * field, "c": -field})[1][0], torch.tensor([1.0, 1.0, -1.0]).double())


# Pairs


def formula(loss, y):
    """The loss as its loop, of distances or similarities."""
    if isinstance(loss, losses.LiftedStructure):
        return lambda d: reference.lifted_loss(d, y, margin=loss.margin)
    if isinstance(loss, losses.FacilityLocation):
        weight = loss.margin_weight * len(y)
        return lambda d: reference.clustering_loss(d, y, weight=weight, rounds=loss.rounds) / len(y)
    if isinstance(loss, losses.SemiHardLoss):
        return lambda d: reference.semihard_loss(d, y, margin=loss.margin)
    if isinstance(loss, losses.TripletLoss):
        return lambda d: reference.triplet_loss(d, y, margin=loss.margin, average=loss.average)
    if isinstance(loss, losses.HardTriple | losses.SoftTriple):
        kind, numbers = "hard" if isinstance(loss, losses.HardTriple) else "expected", getattr(loss, "gamma", 1.0)

        def several(s):
            rows = [[reference.similarity_to_class(of_class, kind, numbers) for of_class in row] for row in s.tolist()]
            return reference.cross_entropy(rows, y, scale=loss.scale, margin=loss.margin)

        return several
    if isinstance(loss, losses.NormalizedSoftmax):
        return lambda s: reference.cross_entropy(s.tolist(), y, scale=loss.scale, margin=loss.margin)
    return None


@pytest.mark.parametrize("name", ["triplet", "semihard", "lifted", "clustering", "softmax", "hardtriple", "softtriple"])
def test_felt_pairs_are_the_slopes_of_the_loop_in_each_distance_or_similarity(name):
    x, y = batch(2)
    x = geometry.normalize(x)
    loss = theory.place(name, theory.around(x, y, centers_per_class=2), **({"scale": 3.0} if name in LEARNED else {}))
    if name in ("softmax", "hardtriple", "softtriple"):
        given = loss.similarities(x).detach()
        given = given[:, :, 0] if name == "softmax" else given.contiguous()
    else:
        given = geometry.distances(x, x).square() if name in ("triplet", "semihard") else geometry.distances(x, x)
    own, foreign = reference_06.slopes(formula(loss, y), given, y, symmetric=name not in LEARNED)
    felt = pairs.felt_pairs(loss, x, y)
    assert max(own + foreign) > 1e-3
    assert_close(felt.own, torch.tensor(own, dtype=torch.float64), rtol=0, atol=1e-6)
    assert_close(felt.foreign, torch.tensor(foreign, dtype=torch.float64), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", losses.NAMES)
def test_the_formula_of_pairs_is_the_loss(name):
    x, y = batch(3)
    loss = theory.place(name, theory.around(x, y), **({"tau": 0.0} if name == "softtriple" else {}))
    expected = loss(x, y).detach()
    if name == "npairs":
        chosen = torch.cat([(y == c).nonzero()[:2, 0] for c in range(3)])
        expected -= loss.length_weight * x[chosen].square().sum(1).mean()
    felt = pairs.felt_pairs(loss, x, y)
    assert_close(felt.value, expected, rtol=0, atol=1e-12)
    examples = methods.METHODS[name].representatives == "examples"
    per_class = 2 if name in SEVERAL else 1
    assert (len(felt.own), len(felt.foreign)) == ((9, 27) if examples else (9 * per_class, 18 * per_class))


@pytest.mark.parametrize("chosen", [{"average": "active"}, {"hinge": False}, {"distance": "euclidean", "margin": 0.5}])
def test_the_formula_of_pairs_knows_the_triplet_losss_options(chosen):
    x, y = batch(4)
    loss = losses.TripletLoss(**chosen)
    assert_close(pairs.felt_pairs(loss, x, y).value, loss(x, y), rtol=0, atol=1e-12)
    triplets = pairs.used_pairs(loss, x, y).triplets
    assert (triplets == 1.0) == ("hinge" in chosen)
    assert triplets > 0


def test_the_monotone_softtriple_is_felt_as_what_it_is():
    x, y = batch(5)
    loss = theory.place("softtriple", theory.around(x, y), similarity="logsumexp", tau=0.0)
    assert_close(pairs.felt_pairs(loss, x, y).value, loss(x, y).detach(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("margin", [0.05, 0.6])
def test_used_triplets_are_those_that_are_chosen_and_lose_something(seed, margin):
    x, y = batch(seed)
    apart = geometry.squared_distances(geometry.normalize(x), geometry.normalize(x))
    for name in ("triplet", "semihard"):
        loss = theory.place(name, theory.around(x, y), margin=margin)
        expected = reference_06.active_triplets(apart, y, margin=margin, semihard=name == "semihard")
        assert pairs.used_pairs(loss, x, y).triplets == pytest.approx(expected, abs=1e-6)


def test_used_shares_are_of_slopes_above_the_threshold_times_the_largest():
    x, y = batch(6)
    for name in ("lifted", "softmax", "proxy_anchor"):
        loss = theory.place(name, theory.around(x, y))
        felt = pairs.felt_pairs(loss, x, y)
        largest = max(felt.own.tolist() + felt.foreign.tolist())
        for threshold in (1e-3, 0.3, 1.0):
            used = pairs.used_pairs(loss, x, y, threshold=threshold)
            for share, slopes in ((used.positives, felt.own), (used.negatives, felt.foreign)):
                assert share == sum(slope > threshold * largest for slope in slopes.tolist()) / len(slopes)
            assert used.triplets is None
        assert used.positives == used.negatives == 0.0
    assert 0 < pairs.used_pairs(loss, x, y).negatives < 1


def test_hard_losses_use_few_pairs_and_smooth_ones_all():
    x, y = batch(7, classes=6, per_class=4, size=16)
    on = theory.around(x, y)
    used = {name: pairs.used_pairs(theory.place(name, on), x, y) for name in losses.NAMES}
    assert used["lifted"][:2] == used["centroid_bound"][:2] == (1.0, 1.0)
    assert used["npairs"].positives == 6 / 36  # one pair of each class
    assert used["semihard"].negatives < used["triplet"].negatives
    assert used["triplet_center"].negatives == pytest.approx(1 / 5)
    assert used["hardtriple"].positives <= 0.5 < used["softtriple"].positives


def test_three_images_on_paper_feel_their_one_positive_pair_and_share_the_two_negative_ones():
    """d = sqrt 2 everywhere: J = d + log(2 exp(1 - d)) = 1 + log 2, the loss J^2 / 2; each negative has half of J."""
    felt = pairs.felt_pairs(losses.LiftedStructure(), torch.eye(3, dtype=torch.float64), torch.tensor([0, 0, 1]))
    j = 1 + math.log(2)
    expected = pairs.Felt(*(torch.tensor(v, dtype=torch.float64) for v in (j * j / 2, [j], [j / 2, j / 2])))
    assert_close(felt, expected)


# The end, and the cost


def test_what_pushes_at_the_simplex_is_the_force_on_a_stage_of_corners():
    corners, y = geometry.simplex(3, 3).double(), torch.arange(3).repeat_interleave(2)
    numbers = generator(SEED, "still pushes")
    noise = geometry.normalize(torch.randn(6, 3, dtype=torch.float64, generator=numbers))
    x = geometry.normalize(corners[y] + 0.2 * noise)
    on = theory.Stage(x, y, corners, corners[:, None], corners)
    expected = theory.forces(theory.place("proxy_nca", on), x, y).norm(dim=1).mean()
    assert expected > 1e-4
    assert theory.still_pushes("proxy_nca", classes=3, distance=0.2, per_class=2) == pytest.approx(float(expected))


def test_a_force_at_the_simplex_is_the_mean_length_over_images_within_the_distance():
    """The bound pulls with weight 3 from however near; its other points' part is small there."""
    assert theory.still_pushes("centroid_bound", distance=1e-4) == pytest.approx(3.0, abs=1e-3)
    assert theory.still_pushes("centroid_bound") == pytest.approx(3.0, abs=0.01)


def test_at_the_simplex_most_losses_have_nothing_left_and_four_do():
    found = {name: theory.still_pushes(name) for name in losses.NAMES}
    quiet = {"triplet", "semihard", "clustering", "triplet_center", *SEVERAL, "softmax"}
    assert all(found[name] < 1e-6 for name in quiet)
    assert all(found[name] > 0.1 for name in set(losses.NAMES) - quiet)
    assert theory.still_pushes("lifted", normalize=True) == pytest.approx(6.1, abs=0.2)
    assert theory.still_pushes("proxy_nca", scale=2.0) == pytest.approx(0.03, abs=0.003)


@pytest.mark.parametrize(
    ("name", "chosen", "fades"),
    [
        ("centroid_bound", {}, False),
        ("lifted", {"normalize": True}, False),
        ("proxy_anchor", {}, True),
        ("proxy_nca", {}, True),
        ("npairs", {"normalize": True}, True),
    ],
)
def test_unsquared_distances_push_as_hard_near_as_far_and_all_others_fade(name, chosen, fades):
    near, far = (theory.still_pushes(name, distance=distance, **chosen) for distance in (0.0005, 0.005))
    assert near / far == pytest.approx(0.1 if fades else 1.0, rel=0.05)


@pytest.mark.parametrize("name", losses.NAMES)
def test_a_step_takes_some_time_and_any_loss_can_be_timed(name):
    assert 0 < theory.step_seconds(name, batch=8, classes=4, dimensions=2, centers_per_class=3, repeat=1) < 30


def test_a_larger_table_of_centers_takes_longer():
    few, many = (
        theory.step_seconds("softmax", batch=32, classes=classes, dimensions=64, repeat=7) for classes in (10, 40_000)
    )
    assert many > few


# Bad input


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: theory.place("softripple", STAGE), "place: name must be one of .*; got 'softripple'. Did you mean"),
        (lambda: theory.place("lifted", STAGE, scale=1.0), "make: options must be among those of lifted"),
        (lambda: theory.forces(losses.TripletLoss(), torch.zeros(3), STAGE.labels), "forces: points must"),
        (lambda: theory.alike({}), "alike: fields must be forces on the same images; got shapes []"),
        (
            lambda: theory.alike({"a": torch.zeros(2, 2), "b": torch.zeros(3, 2)}),
            "alike: fields must be forces on the same images; got shapes",
        ),
        (
            lambda: theory.around(torch.eye(2), torch.tensor([0, 2]), centers_per_class=1),
            "around: labels must hold each class 0..2 at least 1 times; got counts [1, 0, 1]",
        ),
        (lambda: theory.around(torch.eye(2), torch.tensor([0, 1])), "at least 2 times; got counts [1, 1]"),
        (lambda: theory.still_pushes("lifted", classes=1), "still_pushes: classes must be an integer >= 2; got 1"),
        (lambda: theory.still_pushes("lifted", distance=-1.0), "still_pushes: distance must be a finite number >= 0"),
        (
            lambda: theory.step_seconds("lifted", batch=3, classes=2, dimensions=2),
            "step_seconds: batch must be an integer >= 4; got 3",
        ),
        (
            lambda: pairs.used_pairs(losses.TripletLoss(), torch.eye(3), torch.tensor([0, 1, 2])),
            "used_pairs: labels must hold pairs of one class and of two; got 0 and 3",
        ),
        (
            lambda: pairs.used_pairs(losses.TripletLoss(), torch.eye(3), torch.tensor([0, 0, 1]), threshold=0.0),
            "used_pairs: threshold must be a finite number > 0 and <= 1; got 0.0",
        ),
        (
            lambda: pairs.felt_pairs(losses.Loss(), torch.eye(2), torch.tensor([0, 1])),
            "felt_pairs: loss must be one of",
        ),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message.replace("[", r"\[").replace("]", r"\]")):
        call()
