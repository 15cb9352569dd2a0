"""The other library's memory of former batches around losses of ours: by loops, and as it is around its own."""

import sys

import pytest
import torch
from pytorch_metric_learning import distances as pml_distances
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners as pml_miners
from torch.testing import assert_close

from dmlbook import losses
from dmlbook.losses import memory as losses_memory
from tests.losses.loss_toys import OPTIONS, SIZE, batch, build
from tests.losses.test_references import EACH, by_loop


def memory(loss, **chosen):
    return losses.cross_batch_memory(loss, embedding_size=SIZE, **{"memory_size": 20, **chosen})


@pytest.mark.parametrize("miner", [None, pml_miners.MultiSimilarityMiner(epsilon=0.3)], ids=["all", "mined"])
@EACH
def test_a_memory_compares_each_batch_with_the_last_images_but_with_no_copy_of_itself(name, chosen, miner):
    """Batches of 8 into 20 places: the first step, filling, and an end that wraps round, twice."""
    loss = build(name, **chosen)
    ours, kept = memory(loss, miner=miner), []
    for step in range(6):
        x, y = batch(step, size=8)
        slots = [(8 * step + i) % 20 for i in range(8)]
        for slot, row, label in zip(slots, x, y, strict=True):
            kept[slot : slot + 1] = [(row, label)]
        r, z = torch.stack([row for row, _ in kept]), torch.stack([label for _, label in kept])
        found = losses.pair_masks(y, z) if miner is None else None
        if miner is None:
            found = tuple(ends for mask in found for ends in mask.nonzero(as_tuple=True))
        else:
            found = miner(x, y, r, z)
        a, p, b, n = found
        other = torch.tensor([slots[i] != m for i, m in zip(a.tolist(), p.tolist(), strict=True)])
        found = a[other], p[other], b, n
        assert len(a) - int(other.sum()) > 0 or miner is not None  # self-pairs are there to be left out
        value, expected = ours(x, y), by_loop(loss, x, y, r, z, found)
        assert_close(value, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-10)


def test_a_memory_equals_theirs_around_the_other_librarys_triplet_loss_step_by_step():
    theirs = pml_losses.TripletMarginLoss(margin=0.3, distance=pml_distances.LpDistance(power=2))
    theirs = pml_losses.CrossBatchMemory(theirs, SIZE, 20, miner=pml_miners.MultiSimilarityMiner(epsilon=0.2))
    ours = memory(build("triplet", margin=0.3, average="active"), miner=pml_miners.MultiSimilarityMiner(epsilon=0.2))
    for step in range(7):
        x, y = batch(step, size=8)
        x.requires_grad_()
        mine, other = ours(x, y), theirs(x, y)
        assert_close(mine, other, rtol=0, atol=1e-10)
        assert_close(*(torch.autograd.grad(value, x)[0] for value in (mine, other)), rtol=0, atol=1e-10)
        assert torch.equal(ours.embedding_memory, theirs.embedding_memory)
        assert (ours.queue_idx, ours.has_been_filled) == (theirs.queue_idx, theirs.has_been_filled)
    assert mine > 0.05


def test_a_memory_equals_theirs_around_lifted_structure_while_its_first_places_hold_strangers():
    distance = pml_distances.LpDistance(p=2, power=1, normalize_embeddings=False)
    theirs = pml_losses.CrossBatchMemory(pml_losses.LiftedStructureLoss(distance=distance), SIZE, 40)
    ours = memory(build("lifted"), memory_size=40)
    for step in range(9):
        x, y = batch(step, size=8)
        y = y + 10 if step % 5 == 0 else y  # the batch that fills the first eight of forty places
        x.requires_grad_()
        mine, other = ours(x, y), theirs(x, y)
        if step % 5 == 0:
            continue  # its own images stand where it takes them for
        assert_close(mine, other, rtol=0, atol=1e-10)
        assert_close(*(torch.autograd.grad(value, x)[0] for value in (mine, other)), rtol=0, atol=1e-10)
    assert mine > 0.05


def test_a_memory_keeps_no_gradient_and_takes_a_batch_as_large_as_itself():
    ours = memory(build("triplet"), memory_size=12)
    for step in range(3):
        x, y = batch(step)
        value = ours(x.requires_grad_(), y)
        value.backward()
        assert x.grad.any()
    assert not ours.embedding_memory.requires_grad


@pytest.mark.bad_input
def test_a_memory_of_what_compares_no_images_is_refused_and_so_are_its_sizes(monkeypatch):
    with pytest.raises(ValueError, match="loss must compare images with one another; got SoftTriple. It comp.* it is"):
        memory(build("softtriple"))
    for sizes in ({"memory_size": 0}, {"embedding_size": 0}):
        with pytest.raises(ValueError, match="cross_batch_memory: .*_size must be an integer >= 1"):
            losses.cross_batch_memory(build("triplet"), **{"embedding_size": SIZE, **sizes})
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning.losses", None)
    losses_memory._class.cache_clear()
    with pytest.raises(ValueError, match=r'be installed; got no such package. pip install -e ".\[miners\]"'):
        memory(build("triplet"))


def test_a_step_with_the_wrong_indices_of_the_batch_is_refused_in_a_memory():
    """Places in the batch are no places in the memory; theirs trains on with whatever stands there."""
    ours, miner = memory(build("triplet")), pml_miners.BatchHardMiner()
    x, y = batch(1, size=8)
    ours(x, y, miner(x, y))  # the batch stands at the first places
    x, y = batch(2, size=8)
    with pytest.raises(ValueError, match="pair anchors with references of their class and of others"):
        ours(x, y, miner(x, y))


@pytest.mark.bad_input
def test_a_batch_larger_than_the_memory_is_refused():
    loss = memory(build("triplet", **OPTIONS["triplet"][0]), memory_size=7)
    with pytest.raises(ValueError, match="embeddings must fit into the memory; got 8 images for a memory of 7"):
        loss(*batch(0, size=8))
    assert loss.queue_idx == 0
    x, y = batch(0, size=8)
    assert loss(x, y, enqueue_mask=torch.arange(8) < 4).isfinite()
    with pytest.raises(ValueError, match="got 8 images"):
        loss(x, y, enqueue_mask=torch.ones(8, dtype=torch.bool))
