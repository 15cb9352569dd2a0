"""A miner in ``fit``: what the loss gets, what is refused, and a run that goes on as if it had not been stopped."""

import csv
import os
import subprocess
import sys

import pytest
import torch
from pytorch_metric_learning import losses as pml_losses
from pytorch_metric_learning import miners as pml_miners
from torch import nn

from dmlbook import losses
from dmlbook.training import fit, mining
from dmlbook.training.devices import Devices
from tests.training.training_toys import ROOT, assert_same, environment, outcome, toy_config, toy_loss, toy_net, toy_set

SHARE = {"sampler": "class", "samples_per_class": 4}


def run(miner, loss=None, folder=None, epochs=3, net=None, **options):
    config = toy_config(epochs=epochs, **{**SHARE, **options})
    chosen = toy_loss("triplet") if loss is None else loss
    return fit(net or toy_net(), chosen, toy_set(), config, miner=miner, folder=folder, device="cpu", progress=False)


def every_triplet(embeddings, labels):
    assert not embeddings.requires_grad
    return tuple(losses.valid_triplets(labels).nonzero().T)


def nothing(embeddings, labels):
    return (labels[:0],) * 3


class Noticed(nn.Module):
    """Every n-th positive pair in an order that it draws, more in each step; it remembers what it saw."""

    def __init__(self, every=2):
        super().__init__()
        self.every, self.count, self.drawn = every, 0, []
        self.register_buffer("seen", torch.zeros(8))

    def forward(self, embeddings, labels):
        self.count += 1
        self.seen += embeddings.mean(0)
        self.drawn.append(float(torch.rand(())))
        (a, p), (b, n) = (mask.nonzero().T for mask in losses.pair_masks(labels))
        kept = torch.randperm(len(a))[:: self.every][: 5 + self.count]
        return a[kept], p[kept], b, n


def test_the_loss_gets_what_the_miner_returns_of_the_whole_batch():
    taken = []

    class Taking(losses.TripletLoss):
        def compute(self, embeddings, labels, references=None, mined=None):
            taken.append((embeddings, labels, mined))
            return super().compute(embeddings, labels, mined=mined)

    found = []

    def miner(embeddings, labels):
        found.append((embeddings, labels, pml_miners.BatchHardMiner()(embeddings, labels)))
        return found[-1][2]

    run(miner, Taking(), epochs=1)
    assert len(found) == len(taken) >= 2
    for (x, y, pairs), (seen, of, mined) in zip(found, taken, strict=True):
        assert torch.equal(x, seen)
        assert torch.equal(y, of)
        assert len(y) == 16
        assert all(torch.equal(one, other) for one, other in zip(pairs, mined, strict=True))


def test_all_triplets_train_as_no_miner_does_and_are_counted():
    alone, mined = run(None), run(every_triplet)
    assert [record["loss"] for record in mined.history] == pytest.approx([r["loss"] for r in alone.history], rel=1e-4)
    assert all(record["mined"] == 16 * 3 * 12 for record in mined.history)  # 16 images, 4 of each of 4 classes
    assert "mined" not in alone.history[0]


@pytest.mark.parametrize(
    "miner",
    [
        pml_miners.MultiSimilarityMiner(),
        pml_miners.BatchEasyHardMiner(),
        pml_miners.BatchHardMiner(),
        pml_miners.TripletMarginMiner(0.3, type_of_triplets="semihard"),
        pml_miners.DistanceWeightedMiner(),
        pml_miners.UniformHistogramMiner(num_bins=5),
        pml_miners.HDCMiner(),
        pml_miners.PairMarginMiner(),
        pml_miners.AngularMiner(),
    ],
    ids=lambda miner: type(miner).__name__,
)
@pytest.mark.parametrize("name", ["triplet", "semihard", "lifted", "npairs"])
def test_their_miners_train_our_losses(miner, name):
    result = run(miner, toy_loss(name), epochs=1)
    assert result.history[0]["mined"] > 0
    before = toy_net().state_dict()
    assert any(not torch.equal(value, before[key]) for key, value in result.net.state_dict().items())


@pytest.mark.parametrize(
    "loss", [toy_loss("triplet"), toy_loss("semihard"), toy_loss("lifted"), pml_losses.MultiSimilarityLoss()]
)
def test_where_nothing_is_mined_the_loss_is_zero_and_nothing_moves(loss):
    net = toy_net()
    result = run(nothing, loss, epochs=1, net=net, weight_decay=0.0)
    assert result.history[0]["loss"] == 0
    assert result.history[0]["mined"] == 0
    start = dict(toy_net().named_parameters())
    assert all(torch.equal(value, start[name]) for name, value in result.net.named_parameters())


def test_their_losses_take_a_miner_too():
    assert run(pml_miners.MultiSimilarityMiner(), pml_losses.MultiSimilarityLoss(), epochs=1).history[0]["mined"] > 0


@pytest.mark.parametrize("miner", [Noticed, pml_miners.DistanceWeightedMiner, lambda: every_triplet])
def test_a_run_that_is_stopped_goes_on_bit_for_bit(tmp_path, miner):
    expected = run(miner())
    run(miner(), folder=tmp_path, epochs=1)
    again = miner()
    result = run(again, folder=tmp_path)
    assert_same(outcome(result), outcome(expected))
    if isinstance(again, Noticed):
        assert again.count == len(again.drawn) == len(set(again.drawn)) > 5
        assert again.seen.any()
    with (tmp_path / "history.csv").open() as file:
        assert [float(row["mined"]) for row in csv.DictReader(file)] == [row["mined"] for row in expected.history]


def test_a_run_that_is_stopped_within_an_epoch_goes_on_and_counts_on(tmp_path):
    class Stopping(Noticed):
        stop_at = None

        def forward(self, embeddings, labels):
            found = super().forward(embeddings, labels)
            if self.stop_at == self.count:
                os.kill(os.getpid(), 15)
            return found

    expected = run(Stopping())
    first, again = Stopping(), Stopping()
    first.stop_at = again.stop_at = 3  # a setting: part of what the run is
    stopped = run(first, folder=tmp_path)
    assert stopped.interrupted
    assert len(stopped.history) == 1
    assert_same(outcome(run(again, folder=tmp_path)), outcome(expected))


@pytest.mark.parametrize(
    ("then", "now", "said"),
    [
        (pml_miners.MultiSimilarityMiner(0.1), pml_miners.MultiSimilarityMiner(0.2), r"miner.epsilon 0.1\); got .*0.2"),
        (pml_miners.MultiSimilarityMiner(0.1), None, "miner 'MultiSimilarityMiner'"),
        (None, pml_miners.MultiSimilarityMiner(0.1), "got miner 'MultiSimilarityMiner'"),
        (pml_miners.BatchHardMiner(), pml_miners.HDCMiner(), "miner 'BatchHardMiner'"),
        (every_triplet, nothing, "miner '.*every_triplet'"),
        (Noticed(2), Noticed(3), "miner.every 2"),
    ],
)
def test_another_miner_is_another_run(tmp_path, then, now, said):
    run(then, folder=tmp_path, epochs=1)
    with pytest.raises(ValueError, match=f"folder must hold checkpoints of this run.*{said}"):
        run(now, folder=tmp_path)


def test_what_a_miner_notes_of_its_last_batch_is_no_setting(tmp_path):
    used, fresh = pml_miners.MultiSimilarityMiner(), pml_miners.MultiSimilarityMiner()
    run(used, epochs=1)
    assert used.num_pos_pairs > 0
    run(used, folder=tmp_path, epochs=1)
    assert_same(outcome(run(fresh, folder=tmp_path)), outcome(run(pml_miners.MultiSimilarityMiner())))


def memory(loss=None, size=40, miner=None):
    return losses.cross_batch_memory(loss or toy_loss("triplet"), embedding_size=8, memory_size=size, miner=miner)


@pytest.mark.parametrize("name", ["triplet", "semihard", "lifted", "npairs"])
def test_a_memory_around_a_loss_of_ours_trains_and_is_resumed_bit_for_bit(tmp_path, name):
    def made():
        return memory(toy_loss(name), size=40, miner=pml_miners.MultiSimilarityMiner())

    expected = run(None, made())
    run(None, made(), folder=tmp_path, epochs=2)  # the queue has wrapped round
    last = made()
    assert_same(outcome(run(None, last, folder=tmp_path)), outcome(expected))
    assert last.queue_idx == expected.loss.queue_idx
    assert last.has_been_filled
    assert last.embedding_memory.any(1).all()


def test_a_memory_changes_what_is_learned_after_the_first_step():
    alone, remembering = (run(None, loss, epochs=1).net.state_dict() for loss in (toy_loss("triplet"), memory()))
    assert any(not torch.equal(value, remembering[name]) for name, value in alone.items())


class Pair(nn.Module):
    def forward(self, embeddings, labels):
        return embeddings.square().mean()


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("miner", "loss", "message"),
    [
        (
            nothing,
            toy_loss("softtriple"),
            "be None with SoftTriple; got function. It compares images with centers",
        ),
        (nothing, toy_loss("centroid_bound"), "be None with CentroidBound; got function. It compares images with cent"),
        (nothing, toy_loss("clustering"), "be None with FacilityLocation; got function. It scores the clustering"),
        (nothing, Pair(), "be None with Pair; got function. It is called with embeddings and labels alone: leave"),
        (nothing, memory(), r"be None with a cross-batch memory; .*give the miner to CrossBatchMemoryOfOurs\(..., min"),
        (len, toy_loss("triplet"), "be a module or a function; got a builtin_function_or_method. Derive it"),
        (3, toy_loss("triplet"), "be a function.*; got 3"),
        (lambda x, y: (y, y), toy_loss("triplet"), "return three or four tensors of indices; got 2 of them"),
        (lambda x, y: None, toy_loss("triplet"), "return three or four tensors of indices; got a NoneType"),
    ],
)
def test_a_miner_that_does_not_fit_is_refused_in_words(miner, loss, message):
    with pytest.raises(ValueError, match=f"fit: miner must {message}"):
        run(miner, loss)


@pytest.mark.bad_input
def test_a_memory_smaller_than_a_batch_is_refused_and_so_is_a_miner_whose_state_cannot_be_kept(tmp_path):
    with pytest.raises(ValueError, match="loss must remember at least one batch: memory_size; got 8 for batches of 16"):
        run(None, memory(size=8))
    miner = Noticed()
    miner.stream = iter([1, 2])
    with pytest.raises(ValueError, match="miner.stream must be state that a checkpoint can hold"):
        run(miner, folder=tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gloo between processes is tested on Linux and macOS")
def test_two_processes_mine_the_same_triplets_of_the_whole_batch(tmp_path):
    from tests.training.two_processes import run as run_on

    done = subprocess.run(
        [sys.executable, "-m", "tests.training.two_processes", str(tmp_path), "mined", "3", "2", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(value, second["state"][name]) for name, value in first["state"].items())
    assert first["history"] == second["history"]
    alone = outcome(run_on(1, kind="mined"))
    assert [r["mined"] for r in first["history"]] == [r["mined"] for r in alone["history"]]
    assert [r["loss"] for r in first["history"]] == pytest.approx([r["loss"] for r in alone["history"]], rel=1e-4)


def test_facts_are_class_and_settings_and_the_state_is_weights_and_counts():
    devices = Devices(torch.device("cpu"), 1, "32-true")
    asked = mining.Mining(Noticed(3), toy_config(), devices)
    assert asked.facts()["miner.every"] == 3
    assert "miner.start" in asked.facts()
    x, y = torch.randn(8, 8), torch.arange(8) // 2
    found = asked(x, y, epoch=1, step=0)
    state, kept = asked.state(), asked.outside()
    assert (state["found"], state["steps"]) == (len(found[0]) + len(found[2]), 1)
    assert kept["miner.count"] == 1
    other = mining.Mining(Noticed(3), toy_config(), devices)
    other.load_state(state, kept)
    assert other.record() == {"mined": state["found"]}
    assert other.record() == {"mined": 0}
    for one, again in zip(asked(x, y, epoch=1, step=1), other(x, y, epoch=1, step=1), strict=True):
        assert torch.equal(one, again)
    assert mining.Mining(nothing, toy_config(), devices).facts() == {"miner": f"{__name__}.nothing"}


def test_a_memory_holds_the_batch_that_a_last_image_joins():
    seventeen = toy_set().select(torch.arange(0, 34, 2))
    with pytest.raises(
        ValueError, match="loss must remember at least one batch: memory_size; got 16 for batches of 17"
    ):
        fit(toy_net(), memory(size=16), seventeen, toy_config(), device="cpu", progress=False)
    fit(toy_net(), memory(size=17), seventeen, toy_config(epochs=1), device="cpu", progress=False)
