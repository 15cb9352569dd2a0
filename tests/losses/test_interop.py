"""Ours in pytorch-metric-learning's trainer and behind its miners, and its losses in ``fit``."""

import pytest
import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners as pml_miners
from pytorch_metric_learning import trainers as pml_trainers
from torch.utils.data import TensorDataset

from dmlbook import losses
from dmlbook.training import Features, TrainConfig, fit
from tests.losses.loss_toys import CLASSES, SIZE, batch

THEIRS = {
    "proxy_anchor": lambda: pml_losses.ProxyAnchorLoss(CLASSES, SIZE),
    "proxy_nca": lambda: pml_losses.ProxyNCALoss(CLASSES, SIZE, softmax_scale=9.0),
    "arcface": lambda: pml_losses.SubCenterArcFaceLoss(num_classes=CLASSES, embedding_size=SIZE),
    "softtriple": lambda: pml_losses.SoftTripleLoss(CLASSES, SIZE),
    "multi-similarity": pml_losses.MultiSimilarityLoss,
    "lifted": pml_losses.LiftedStructureLoss,
    "npairs": pml_losses.NPairsLoss,
}


def data():
    return batch(1, size=40, dtype=torch.float32)


def their_trainer(loss, miner=None):
    """One epoch of a linear network; its weights before and after, and the loss's."""
    torch.manual_seed(0)
    x, y = data()
    trunk, embedder = torch.nn.Linear(SIZE, SIZE), torch.nn.Identity()
    optimizers = {"trunk_optimizer": torch.optim.SGD(trunk.parameters(), lr=0.1)}
    if list(loss.parameters()):
        optimizers["metric_loss_optimizer"] = torch.optim.SGD(loss.parameters(), lr=0.1)
    before = [weight.detach().clone() for weight in (*trunk.parameters(), *loss.parameters())]
    trainer = pml_trainers.MetricLossOnly(
        models={"trunk": trunk, "embedder": embedder},
        optimizers=optimizers,
        batch_size=20,
        loss_funcs={"metric_loss": loss},
        dataset=TensorDataset(x, y),
        mining_funcs={} if miner is None else {"tuple_miner": miner},
        data_device=torch.device("cpu"),
        dataloader_num_workers=0,
    )
    trainer.train(num_epochs=1)
    return before, [*trunk.parameters(), *loss.parameters()]


@pytest.mark.parametrize("name", losses.NAMES)
def test_every_loss_of_ours_trains_in_their_trainer(name):
    loss = losses.make(name, num_classes=CLASSES, embedding_size=SIZE)
    for before, after in zip(*their_trainer(loss), strict=True):
        assert torch.isfinite(after).all()
        assert before.ndim == 1 or not torch.equal(before, after)  # triplets do not see a bias


@pytest.mark.parametrize(
    "miner",
    [pml_miners.TripletMarginMiner(type_of_triplets="semihard"), pml_miners.MultiSimilarityMiner()],
    ids=["triplets", "pairs"],
)
def test_the_triplet_loss_takes_what_their_miners_return(miner):
    (before, *_), (after, *_) = their_trainer(losses.make("triplet", num_classes=CLASSES, embedding_size=SIZE), miner)
    assert not torch.equal(before, after)


@pytest.mark.parametrize("name", ["triplet", "semihard", "lifted", "npairs"])
@pytest.mark.parametrize("miner", [None, pml_miners.MultiSimilarityMiner()], ids=["all", "mined"])
def test_ours_behind_a_memory_train_in_their_trainer(name, miner):
    loss = losses.make(name, num_classes=CLASSES, embedding_size=SIZE)
    memory = losses.cross_batch_memory(loss, embedding_size=SIZE, memory_size=64, miner=miner)
    before, after = (weights[0] for weights in their_trainer(memory))
    assert torch.isfinite(after).all()
    assert not torch.equal(before, after)
    assert memory.queue_idx == 40


@pytest.mark.parametrize("name", THEIRS)
def test_their_losses_train_in_fit_with_their_own_weights(name):
    torch.manual_seed(0)
    loss, head = THEIRS[name](), torch.nn.Linear(SIZE, SIZE)
    before = [weight.detach().clone() for weight in (head.weight, *loss.parameters())]
    config = TrainConfig(
        epochs=1, batch_size=20, sampler="class", samples_per_class=5, lr=1e-2, freeze_batch_norm=False
    )
    result = fit(head, loss, Features(*data(), CLASSES), config, progress=False)
    assert result.history[0]["loss"] > 0
    for old, new in zip(before, (head.weight, *loss.parameters()), strict=True):
        assert not torch.equal(old, new)
