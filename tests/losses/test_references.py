"""Anchors from the batch, positives and negatives from references: by loops, and as the other library has it."""

import math

import pytest
import torch
from pytorch_metric_learning import distances as pml_distances
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners as pml_miners
from pytorch_metric_learning import reducers as pml_reducers
from pytorch_metric_learning.utils import loss_and_miner_utils as pml_pairs
from torch.func import grad, jacfwd, vmap
from torch.testing import assert_close

from dmlbook import geometry, losses
from dmlbook.losses.masks import masks
from dmlbook.losses.mined import pair_counts
from dmlbook.losses.references import ITSELF, References, ends, pair_distances
from dmlbook.seeding import generator
from tests import reference
from tests.largest import LargestMade
from tests.losses.loss_toys import CLASSES, KNOW_CLASSES, OPTIONS, SIZE, batch, build

PAIRED = [(name, chosen) for name in ("triplet", "semihard", "lifted", "npairs") for chosen in OPTIONS[name]]
EACH = pytest.mark.parametrize(("name", "chosen"), PAIRED)
NONE, ZERO = torch.zeros(0, dtype=torch.long), torch.zeros(1, dtype=torch.long)


def references(seed, size=17, dtype=torch.float64):
    """Of the batch's classes and one more."""
    numbers = generator(seed, "references")
    x = torch.randn(size, SIZE, generator=numbers, dtype=torch.float64)
    return x.to(dtype), torch.randint(CLASSES + 1, (size,), generator=numbers)


def all_pairs(y, z, own=False):
    """Positive and negative pairs, one by one; ``own``: both are the same images."""
    places = [(i, m) for i in range(len(y)) for m in range(len(z)) if not (own and i == m)]
    return [(i, m) for i, m in places if y[i] == z[m]], [(i, m) for i, m in places if y[i] != z[m]]


def by_loop(loss, x, y, r, z, found=None, own=False):
    """The value of a loss on pairs that are listed, all of them if none are given."""
    y, z = y.tolist(), z.tolist()
    shaped = reference.unit if loss.normalize else list
    left, right = ([shaped(row) for row in reference.rows(points)] for points in (x, r))
    if found is None:
        positives, negatives = all_pairs(y, z, own)
    elif len(found) == 3:
        a, p, n = (indices.tolist() for indices in found)
        positives, negatives = list(zip(a, p, strict=True)), list(zip(a, n, strict=True))
    else:
        a, p, b, n = (indices.tolist() for indices in found)
        positives, negatives = list(zip(a, p, strict=True)), list(zip(b, n, strict=True))
    if isinstance(loss, losses.NPairs):
        return npairs_by_loop(loss, left, right, y, z, positives, own)
    d = [[reference.distance(a, b) for b in right] for a in left]
    if isinstance(loss, losses.LiftedStructure):
        return lifted_by_loop(d, positives, negatives, loss.margin, own)
    d = [[v * v for v in row] for row in d] if getattr(loss, "distance", "squared") == "squared" else d
    if isinstance(loss, losses.SemiHardLoss):
        return semihard_by_loop(d, set(positives), set(negatives), loss.margin)
    if found is not None and len(found) == 3:
        values = [d[i][m] - d[i][k] for (i, m), (_, k) in zip(positives, negatives, strict=True)]
    else:
        values = [d[i][m] - d[i][k] for i, m in positives for j, k in negatives if i == j]
    values = [value + loss.margin for value in values]
    values = [max(value, 0.0) for value in values] if loss.hinge else values
    return mean([value for value in values if value > 0] if loss.average == "active" else values)


def mean(values):
    return sum(values) / len(values) if values else 0.0


def lifted_by_loop(d, positives, negatives, margin, own):
    values = []
    for i, m in positives:
        near = [k for k in negatives if k[0] == i or (own and k[0] == m)]
        push = math.log(sum(math.exp(margin - d[j][k]) for j, k in near)) if near else -math.inf
        values.append(max(d[i][m] + push, 0.0) ** 2 / 2)
    return mean(values)


def semihard_by_loop(d, positives, negatives, margin):
    values = []
    for i, m in positives:
        others = [d[i][k] for j, k in negatives if j == i]
        farther = [value for value in others if value > d[i][m]]
        if others:
            values.append(max(d[i][m] - (min(farther) if farther else max(others)) + margin, 0.0))
    return mean(values)


def npairs_by_loop(loss, left, right, y, z, positives, own):
    chosen = {}
    for i, m in positives:
        chosen.setdefault(y[i], (i, m))
    ends = [m for _, m in chosen.values()]
    if not own:
        ends += [z.index(c) for c in sorted(set(z)) if c not in chosen]
    values = []
    for i, m in chosen.values():
        s = loss.scale * reference.dot(left[i], right[m])
        values.append(math.log(sum(math.exp(loss.scale * reference.dot(left[i], right[k]) - s) for k in ends)))
    lengths = [(reference.dot(left[i], left[i]) + reference.dot(right[m], right[m])) / 2 for i, m in chosen.values()]
    return mean(values) + loss.length_weight * mean(lengths)


def some_pairs(y, z, seed, share=0.5):
    """Some of the pairs of each kind, in any order, one of them twice."""
    numbers = generator(seed, "some")
    found = []
    for mask in losses.pair_masks(y, z):
        ends = mask.nonzero()
        ends = ends[torch.randperm(len(ends), generator=numbers)][: max(int(share * len(ends)), 1)]
        found += list(torch.cat([ends, ends[:1]]).T)
    return tuple(found)


def assert_equals_loop(loss, x, y, r, z, found=None, own=False):
    value = loss(x, y, found, r, y if own else z)
    expected = by_loop(loss, x, y, r, y if own else z, found, own)
    assert_close(value, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12)
    return expected


@EACH
@pytest.mark.parametrize("seed", range(3))
def test_a_loss_against_references_equals_its_loop(name, chosen, seed):
    assert abs(assert_equals_loop(build(name, **chosen), *batch(seed), *references(seed))) > 1e-3


@EACH
@pytest.mark.parametrize("kind", ["pairs", "triplets"])
def test_a_loss_of_mined_pairs_against_references_equals_its_loop(name, chosen, kind):
    x, y = batch(3)
    r, z = references(3)
    found = some_pairs(y, z, 3)
    found = found if kind == "pairs" else pml_pairs.convert_to_triplets(found, y)
    assert len(found[0]) > 5
    assert abs(assert_equals_loop(build(name, **chosen), x, y, r, z, found)) > 1e-3


@EACH
def test_a_loss_of_mined_pairs_of_the_batch_alone_equals_its_loop(name, chosen):
    x, y = batch(6, size=14)
    found = tuple(ends[:-1] for ends in some_pairs(y, y, 6, share=0.8))  # with self-pairs left out
    kept = found[0] != found[1]
    found = (found[0][kept], found[1][kept], *found[2:])
    loss = build(name, **chosen)
    value = loss(x, y, found)
    assert_close(value, x.new_tensor(by_loop(loss, x, y, x, y, found, own=True)), rtol=1e-12, atol=1e-12)
    assert value.abs() > 1e-3


@EACH
@pytest.mark.parametrize("mined", [False, True])
def test_ties_copies_and_lone_classes_equal_the_loop(name, chosen, mined):
    """Points on a small grid, references that are the batch's own images, an anchor without positive, and without."""
    numbers = generator(2, "grid")
    x = torch.randint(-1, 2, (9, SIZE), generator=numbers).double()
    x[0], x[3] = x[1], 0
    y = torch.tensor([0, 0, 1, 1, 2, 2, 0, 5, 3])  # 5 is in no reference
    r = torch.cat([x[:6], torch.randint(-1, 2, (5, SIZE), generator=numbers).double()])
    z = torch.tensor([0, 0, 1, 1, 2, 2, 0, 1, 2, 4, 3])
    found = some_pairs(y, z, 1) if mined else None
    loss = build(name, **chosen)
    assert_equals_loop(loss, x, y, r, z, found)
    x.requires_grad_()
    (gradient,) = torch.autograd.grad(loss(x, y, found, r, z), x)
    assert gradient.isfinite().all()
    assert gradient.any()


@EACH
def test_the_same_labels_object_is_the_batch_seen_again_and_its_own_places_are_no_pairs(name, chosen):
    x, y = batch(4)
    again = x + 0.1 * torch.randn(x.shape, generator=generator(4, "again"), dtype=x.dtype)
    loss = build(name, **chosen)
    assert_equals_loop(loss, x, y, again, y, own=True)
    assert torch.equal(loss(x, y, None, x, y), loss(x, y))
    narrow = y.int()
    assert_close(loss(x, narrow, None, again, narrow), loss(x, y, None, again, y), rtol=0, atol=0)
    if chosen.get("average") != "active":  # an image and its second view are no active pair
        assert not torch.equal(loss(x, y, None, again, y), loss(x, y, None, again, y.clone()))


@EACH
@pytest.mark.parametrize("mined", [False, True])
def test_gradients_reach_batch_and_references_and_pass_gradcheck_twice(name, chosen, mined):
    loss = build(name, **chosen)
    x, y = batch(5, size=6)
    r, z = references(5, size=9)
    found = some_pairs(y, z, 5) if mined else None
    given = x.requires_grad_(), r.requires_grad_()
    assert torch.autograd.gradcheck(lambda x, r: loss(x, y, found, r, z), given, atol=1e-6)
    assert torch.autograd.gradgradcheck(lambda x, r: loss(x, y, found, r, z), given, atol=1e-5)
    assert all(each.abs().max() > 1e-3 for each in torch.autograd.grad(loss(x, y, found, r, z), given))


@EACH
@pytest.mark.parametrize("mined", [False, True])
def test_forward_mode_and_vmap_over_embeddings_are_the_loop(name, chosen, mined):
    loss = build(name, **chosen)
    x, y = batch(5, size=7)
    r, z = references(5)
    found = some_pairs(y, z, 5) if mined else None
    many = torch.stack([x, x.flip(0), x + 1])
    assert_close(
        vmap(lambda x: loss(x, y, found, r, z))(many), torch.stack([loss(each, y, found, r, z) for each in many])
    )
    one = grad(lambda x: loss(x, y, found, r, z))
    assert_close(vmap(one)(many), torch.stack([one(each) for each in many]))
    assert_close(jacfwd(lambda x: loss(x, y, found, r, z))(x), one(x), rtol=1e-8, atol=1e-10)


@EACH
def test_the_order_of_images_and_of_references_changes_nothing(name, chosen):
    if name == "npairs":
        pytest.skip("it takes the first image of a class")
    loss = build(name, **chosen)
    x, y = batch(7)
    r, z = references(7)
    found = some_pairs(y, z, 7)
    rows, columns = (torch.randperm(len(each), generator=generator(7, "order")) for each in (y, z))
    assert_close(loss(x[rows], y[rows], None, r[columns], z[columns]), loss(x, y, None, r, z), rtol=0, atol=1e-12)
    moved = tuple((rows if place % 2 == 0 else columns).argsort()[found[place]] for place in range(4))
    value = loss(x[rows], y[rows], moved, r[columns], z[columns])
    assert_close(value, loss(x, y, found, r, z), rtol=0, atol=1e-12)


@EACH
@pytest.mark.parametrize("case", ["no pairs", "no references", "no positive", "no negative"])
def test_where_nothing_can_be_compared_the_loss_is_zero_and_moves_nothing(name, chosen, case):
    loss = build(name, **{**chosen, "length_weight": 0.0} if name == "npairs" else chosen)
    x, y = batch(1)
    r, z = references(1)
    found = (NONE,) * 4 if case == "no pairs" else None
    if case == "no references":
        r, z = r[:0], z[:0]
    if case == "no positive":
        z = z + 9
    if case == "no negative":
        y, z = y * 0 + 3, z * 0 + 3
    x.requires_grad_()
    value = loss(x, y, found, r, z)
    assert value == 0
    assert not torch.autograd.grad(value, x)[0].any()


@pytest.mark.parametrize("miner", [pml_miners.MultiSimilarityMiner(), pml_miners.TripletMarginMiner(0.4)])
@EACH
def test_their_miners_find_pairs_among_references_that_ours_take(miner, name, chosen):
    x, y = batch(8, size=16)
    r, z = references(8)
    found = miner(x, y, r, z)
    assert len(found[0]) > 5
    assert_equals_loop(build(name, **chosen), x, y, r, z, found)


@pytest.mark.parametrize("average", ["valid", "active"])
@pytest.mark.parametrize("mined", [None, "pairs", "triplets"])
def test_the_triplet_loss_equals_theirs_in_value_and_both_gradients(average, mined):
    reducer = pml_reducers.MeanReducer() if average == "valid" else pml_reducers.AvgNonZeroReducer()
    theirs = pml_losses.TripletMarginLoss(margin=0.3, distance=pml_distances.LpDistance(power=2), reducer=reducer)
    ours = build("triplet", margin=0.3, average=average)
    assert_equal_to_theirs(ours, theirs, mined)


@pytest.mark.parametrize("mined", [None, "pairs", "triplets"])
def test_lifted_structure_equals_theirs_where_no_place_of_the_batch_is_the_place_of_a_positive(mined):
    """Theirs takes a positive's place among the references for a place in the batch, and adds that row's negatives."""
    distance = pml_distances.LpDistance(p=2, power=1, normalize_embeddings=False)
    theirs = pml_losses.LiftedStructureLoss(neg_margin=0.7, distance=distance)
    ours = build("lifted", margin=0.7)
    assert_equal_to_theirs(ours, theirs, mined, first_are_strangers=True)
    (mine, other), _ = values_and_arguments(ours, theirs, mined)
    assert abs(mine - other) > 1e-6


def values_and_arguments(ours, theirs, mined, first_are_strangers=False):
    x, y = batch(9, size=10)
    r, z = references(9, size=30)
    if first_are_strangers:
        z[:10] = CLASSES
    found = None if mined is None else some_pairs(y, z, 9)
    found = pml_pairs.convert_to_triplets(found, y) if mined == "triplets" else found
    given = x.requires_grad_(), r.requires_grad_()
    return [loss(x, y, found, r, z) for loss in (ours, theirs)], given


def assert_equal_to_theirs(ours, theirs, mined, first_are_strangers=False):
    (mine, other), given = values_and_arguments(ours, theirs, mined, first_are_strangers)
    assert mine > 0.05
    assert_close(mine, other, rtol=0, atol=1e-10)
    for a, b in zip(*(torch.autograd.grad(value, given) for value in (mine, other)), strict=True):
        assert a.abs().max() > 1e-3
        assert_close(a, b, rtol=0, atol=1e-10)


def test_npairs_equals_theirs_on_mined_pairs_which_knows_no_references():
    theirs = pml_losses.NPairsLoss(distance=pml_distances.DotProductSimilarity(normalize_embeddings=False))
    ours = build("npairs", length_weight=0.0)
    x, y = batch(2, size=14)
    found = pml_miners.MultiSimilarityMiner(epsilon=0.5)(x, y)
    x.requires_grad_()
    mine, other = ours(x, y, found), theirs(x, y, found)
    assert_close(mine, other, rtol=0, atol=1e-10)
    assert_close(*(torch.autograd.grad(value, x)[0] for value in (mine, other)), rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="ref_emb is not supported"):
        theirs(x, y, None, *references(2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_references_are_computed_in_float32_and_a_lost_one_is_seen(dtype):
    x, y = batch(1, dtype=dtype)
    r, z = references(1, dtype=dtype)
    for name, chosen in PAIRED:
        loss = build(name, torch.float32, **chosen)
        assert torch.equal(loss(x, y, None, r, z), loss(x.float(), y, None, r.float(), z))
        for found in (None, some_pairs(y, z, 1)):
            lost = r.clone()
            lost[5] = torch.nan
            assert loss(x, y, found, lost, z).isnan()


@EACH
@pytest.mark.parametrize("mined", [False, True])
def test_nothing_is_larger_than_the_table_of_batch_and_references(name, chosen, mined):
    x, y = torch.randn(24, SIZE, generator=generator(1, "x")).requires_grad_(), torch.arange(24) % 4
    r, z = torch.randn(300, SIZE, generator=generator(2, "x")), torch.arange(300) % 4
    found = tuple(end for mask in losses.pair_masks(y, z) for end in mask.nonzero().T) if mined else None
    with LargestMade() as largest:
        build(name, torch.float32, **chosen)(x, y, found, r, z).backward()
    assert largest.size <= 2 * 24 * 301


def test_formulas_take_the_classes_of_columns_that_are_other_images():
    x, y = batch(1)
    r, z = references(1)
    apart = geometry.distances(x, r)
    mean_of, active = losses.triplet_mean(apart, y, z, margin=0.1)
    d = apart.tolist()
    positives, negatives = all_pairs(y.tolist(), z.tolist())
    slacks = [d[i][m] - d[i][k] + 0.1 for i, m in positives for j, k in negatives if i == j]
    assert float(mean_of) == pytest.approx(mean([max(slack, 0.0) for slack in slacks]))
    assert float(active) == pytest.approx(sum(slack > 0 for slack in slacks) / len(slacks))
    assert float(losses.semihard_mean(apart, y, z, margin=0.1)) == pytest.approx(
        semihard_by_loop(d, set(positives), set(negatives), 0.1)
    )
    assert float(losses.lifted_mean(apart, y, z, margin=0.1)) == pytest.approx(
        lifted_by_loop(d, positives, negatives, 0.1, own=False)
    )
    assert all(mask.shape == (12, 17) for mask in losses.pair_masks(y, z))


def test_the_tables_of_pairs_and_the_ends_of_a_batch_are_what_the_losses_read():
    x, y = batch(1)
    r, z = references(1)
    found = some_pairs(y, z, 1)
    own, foreign = pair_counts(list(found), (12, 17))
    for table, a, b in ((own, *found[:2]), (foreign, *found[2:])):
        listed = list(zip(a.tolist(), b.tolist(), strict=True))
        assert [[listed.count((i, m)) for m in range(17)] for i in range(12)] == table.tolist()
        assert table.max() == 2
    both = zip(masks(x @ r.T, y, z), losses.pair_masks(y, z), strict=True)
    assert all(torch.equal(one, other) for one, other in both)
    unit = geometry.normalize(x)
    points, others = ends(x, ITSELF, True)
    assert points is others
    assert torch.equal(points, unit)
    points, others = ends(x, References(r, z), False)
    assert points is x
    assert others is r
    assert_close(pair_distances(x, References(r, z), "euclidean", False), torch.cdist(x, r))
    assert_close(pair_distances(x, ITSELF, "squared", True), torch.cdist(unit, unit).square(), rtol=0, atol=1e-12)


def test_further_columns_of_npairs_are_further_negatives():
    table = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    assert float(losses.npairs_mean(table)) == pytest.approx(math.log(3))
    table[:, 2] = -torch.inf
    assert_close(losses.npairs_mean(table), losses.npairs_mean(table[:, :2]))


def alike(y, z):
    """One positive pair."""
    return [ends[:1] for ends in losses.pair_masks(y, z)[0].nonzero().T]


@pytest.mark.bad_input
@pytest.mark.parametrize("name", [*KNOW_CLASSES, "clustering"])
def test_losses_that_compare_no_images_refuse_references_and_say_why(name):
    x, y = batch(1)
    why = "It scores the clustering of" if name == "clustering" else "It compares images with cent(ers|roids), "
    for given, word in (((None, x, y), "ref_emb"), ((None, None, y), "ref_labels"), (((y, y, y),), "indices_tuple")):
        with pytest.raises(ValueError, match=f"{word} must be None; got (Tensor|tuple). {why}.*: leave the .* out"):
            build(name)(x, y, *given)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y, r, z: (None, r, None), "ref_labels must come with ref_emb; got None"),
        (lambda x, y, r, z: (None, None, z), "ref_emb must come with ref_labels; got None"),
        (lambda x, y, r, z: (None, r, z[1:]), "ref_labels must be as many as the ref_emb"),
        (lambda x, y, r, z: (None, r[:, 1:], z), "ref_emb must have the dimension of embeddings"),
        (lambda x, y, r, z: (None, r, z.float()), "ref_labels must be integers"),
        (lambda x, y, r, z: (None, r.to("meta"), z), "ref_emb must hold its values"),
        (lambda x, y, r, z: ((NONE, NONE, ZERO, ZERO + 17), r, z), r"lie in 0..16; got 17..17. Mine in the ref"),
        (lambda x, y, r, z: ((NONE, NONE, ZERO + 12, ZERO), r, z), r"lie in 0..11; got 12..12. Mine in the batch"),
        (lambda x, y, r, z: (pml_pairs.get_all_pairs_indices(y), r, z), "pair anchors with references of their class"),
        (lambda x, y, r, z: ((*alike(y, z), NONE, NONE), r, z + 1), "of their class and of others; got 1 of 1 pairs"),
        (lambda x, y, r, z: ((NONE, NONE, *alike(y, z)), r, z), "of their class and of others; got 1 of 1 pairs"),
        (lambda x, y, r, z: (pml_pairs.get_all_triplets_indices(y), r, z), r"and of others; got \d+ of \d+ pairs"),
    ],
)
def test_references_that_do_not_fit_are_named(change, message):
    x, y = batch(1)
    with pytest.raises(ValueError, match=f"^TripletLoss: .*{message}"):
        losses.TripletLoss()(x, y, *change(x, y, *references(1)))


@pytest.mark.bad_input
def test_tables_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"npairs_mean: similarities must have a column for each row; got shape"):
        losses.npairs_mean(torch.zeros(3, 2))
    for function in (losses.triplet_mean, losses.semihard_mean, losses.lifted_mean):
        with pytest.raises(ValueError, match=r"distances must be a tensor of shape \(B, B\); got shape \(3, 4\)"):
            function(torch.ones(3, 4), torch.arange(3))
        with pytest.raises(ValueError, match="ref_labels must"):
            function(torch.ones(3, 4), torch.arange(3), torch.arange(3))


def test_every_loss_says_whether_it_compares_images():
    for name in OPTIONS:
        assert build(name).compares_images == (name in ("triplet", "semihard", "lifted", "npairs"))


@pytest.mark.bad_input
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bool])
def test_labels_that_are_no_integers_are_refused_where_the_references_have_the_very_same(dtype):
    x, y = batch(3)
    labels = y.to(dtype)
    with pytest.raises(ValueError, match="labels must be .*integers"):
        losses.make("triplet", num_classes=CLASSES, embedding_size=SIZE)(
            x, labels, ref_emb=x.clone(), ref_labels=labels
        )
