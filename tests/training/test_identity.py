"""What a run is: every argument of its network, every value that it begins with, and every image."""

import io
from collections import deque
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from dmlbook import nets
from dmlbook.training import Checkpoints, Features, fit, identity, outside
from tests.training.training_toys import assert_same, outcome, toy_config, toy_loss, toy_net, toy_set


def _facts(net=None, loss=None, data=None, validation=None):
    return identity.fingerprint(net or toy_net(), loss or toy_loss(), data or toy_set(), validation, toy_config())


def _differences(one, other):
    return [name for name in {**one, **other} if one.get(name) != other.get(name)]


def test_two_builds_of_one_run_agree():
    assert _facts() == _facts()
    assert _facts(validation=toy_set(1, "val")) == _facts(validation=toy_set(1, "val"))
    assert _facts(net=nets.freeze_batch_norm(toy_net())) == _facts(net=nets.freeze_batch_norm(toy_net()))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"preprocessing": "imagenet"}, ["network.start"]),
        ({"bn_eps": 1e-3}, ["network.backbone.1.eps", "network.backbone.5.eps"]),
        ({"same_padding": True}, ["network.backbone.0"]),
        ({"normalize": False}, ["network.head.normalize"]),
        ({"seed": 2}, ["network.start"]),
    ],
)
def test_every_argument_of_a_network_is_told(change, named):
    assert set(named) <= set(_differences(_facts(), _facts(net=toy_net(**change))))


def test_another_file_of_weights_is_another_run(tmp_path):
    for seed in (5, 6):
        torch.save(toy_net(seed).backbone.state_dict(), tmp_path / f"{seed}.pt")
    first, second = (_facts(net=toy_net(weights=tmp_path / f"{seed}.pt")) for seed in (5, 6))
    assert _differences(first, second) == ["network.start"]


def test_one_image_one_label_or_one_proportion_is_another_set():
    images = toy_set()
    base = replace(images, aspects=torch.ones(len(images)))
    other = images.images.clone()
    other[17, 2, 15, 15] ^= 1
    labels = images.labels.clone()
    labels[[0, -1]] = labels[[-1, 0]]
    aspects = torch.ones(len(images))
    aspects[3] = 2.0
    for role in ("data", "validation"):
        for name, changed in {
            "content": replace(base, images=other),
            "labels": replace(base, labels=labels),
            "aspects": replace(base, aspects=aspects),
        }.items():
            found = _differences(_facts(**{role: base}), _facts(**{role: changed}))
            assert found == [f"{'train_set' if role == 'data' else role}.{name}"]
    rows = torch.rand(40, 3)
    changed = rows.clone()
    changed[39, 2] += 1e-6
    found = _differences(_facts(data=Features(rows, labels)), _facts(data=Features(changed, labels)))
    assert found == ["train_set.content"]


def test_a_digest_covers_every_piece_and_is_computed_once(monkeypatch):
    rows = torch.randint(0, 256, (5, 7), dtype=torch.uint8)
    whole = identity.content(rows)
    monkeypatch.setattr(identity, "_bytes", None)  # not looked at again
    assert identity.content(rows) == whole
    monkeypatch.undo()
    rows[4, 6] ^= 1
    assert identity.content(rows) != whole
    monkeypatch.setattr(identity, "PIECE", 8)
    digests = set()
    for place in range(35):
        other = rows.clone()
        other.view(-1)[place] ^= 1
        digests.add(identity.content(other))
    assert len(digests) == 35


def test_a_network_of_another_normalize_is_refused_by_name(tmp_path):
    def run(net, epochs=1, folder=tmp_path, loss=None):
        config = toy_config(epochs=epochs)
        return fit(net, loss or toy_loss(), toy_set(), config, folder=folder, device="cpu", progress=False)

    net, loss = toy_net(), toy_loss()
    run(net, loss=loss)
    with pytest.raises(ValueError, match=r"network.head.normalize True\); got network.head.normalize False"):
        run(toy_net(normalize=False))
    with pytest.raises(ValueError, match=r"network.start '\w+'\); got .* same seed and weights .*any_start=True"):
        run(toy_net(7))
    expected = run(toy_net(), epochs=3, folder=tmp_path / "whole")
    run(net, epochs=2, loss=loss)  # as the first run left them
    assert_same(outcome(run(net, epochs=3, loss=loss)), outcome(expected))
    again = run(toy_net(7), epochs=3, folder=Checkpoints(tmp_path, any_start=True))
    assert_same(outcome(again), outcome(expected))


class Memory(nn.Module):
    """A loss that remembers the last batch, counts, and draws from a stream of its own."""

    def __init__(self):
        super().__init__()
        self.former, self.count, self.log = torch.zeros(1, 8), 0, []
        self.random = torch.Generator().manual_seed(3)
        self.register_buffer("scale", torch.ones(()), persistent=False)

    def forward(self, embeddings, labels):
        noise = torch.rand(len(embeddings), generator=self.random)
        value = ((embeddings - self.former.mean(0)).square().sum(1) * noise).mean() * self.scale
        self.former, self.count = embeddings.detach(), self.count + 1
        self.log.append(self.count)
        self.scale = 0.9 * self.scale
        return value


def _memory_run(folder, loss, epochs, net=None):
    config = toy_config(epochs=epochs)
    return fit(net or toy_net(), loss, toy_set(), config, folder=folder, device="cpu", progress=False)


def test_state_outside_the_state_dict_is_resumed(tmp_path):
    expected = _memory_run(None, Memory(), 3)
    first, again = Memory(), Memory()
    _memory_run(tmp_path, first, 1)
    result = _memory_run(tmp_path, again, 3)
    assert_same(outcome(result), outcome(expected))
    assert torch.equal(again.former, expected.loss.former)
    assert again.log == list(range(1, 10))
    assert float(again.scale) == pytest.approx(0.9**9)


def test_a_cross_batch_memory_is_resumed(tmp_path):
    losses = pytest.importorskip("pytorch_metric_learning.losses")

    def memory():
        return losses.CrossBatchMemory(losses.ContrastiveLoss(), embedding_size=8, memory_size=24)

    expected = outcome(_memory_run(None, memory(), 3))
    _memory_run(tmp_path, memory(), 1)
    assert_same(outcome(_memory_run(tmp_path, memory(), 3)), expected)


class _Stream(nn.Module):
    def __init__(self, held):
        super().__init__()
        self.inner = nn.Module()
        self.inner.held = held

    def forward(self, embeddings, labels):
        raise AssertionError("before the first step")


class _Queue:
    def __init__(self):
        self.rows = [torch.zeros(3)]


@pytest.mark.parametrize(
    "held",
    [
        iter([1, 2]),
        np.random.default_rng(0),
        {"a": [np.random.RandomState(0)]},
        _Queue(),
        [torch.zeros(3), nn.Linear(1, 1)],
        {"a": (np.zeros(3), nn.functional.relu)},
        np.array([object()]),
        {nn.functional.relu: torch.zeros(1)},
        {torch.zeros(1)},
    ],
)
def test_state_that_cannot_be_written_is_refused_before_the_first_step(tmp_path, held):
    with pytest.raises(
        ValueError, match=r"loss.inner.held.* must be state that a checkpoint can hold; got a .*folder="
    ):
        _memory_run(tmp_path, _Stream(held), 1)
    with pytest.raises(AssertionError, match="before the first step"):
        _memory_run(None, _Stream(held), 1)


def test_what_holds_no_state_is_left_alone():
    part = nn.Module()
    part.activation, part.size, part.kind = nn.functional.relu, torch.Size([2]), torch.float32
    assert outside.outside("loss", part) == {"loss.size": (2,)}
    assert identity.settings_of("loss", part) == {
        "loss": "Module",
        "loss.activation": "torch.nn.functional.relu",
        "loss.size": [2],
        "loss.kind": "torch.float32",
    }
    assert {"training", "_parameters", "_buffers"} <= outside.OF_TORCH


def test_state_is_put_back_in_its_own_kind_of_place():
    def part():
        made = nn.Module()
        made.queue = deque([torch.zeros(2)], maxlen=2)
        made.pair, made.known = (1, torch.zeros(())), {"a": torch.Generator().manual_seed(1)}
        return made

    first, second = part(), part()
    first.queue.append(torch.ones(2))
    first.queue.append(torch.ones(2))
    first.pair = (2, torch.ones(()))
    torch.rand(3, generator=first.known["a"])
    outside.restore("loss", second, outside.outside("loss", first), torch.device("cpu"))
    assert second.queue.maxlen == 2
    assert torch.equal(torch.stack(list(second.queue)), torch.ones(2, 2))
    assert second.pair == (2, torch.ones(()))
    expected = torch.rand(3, generator=first.known["a"])
    assert torch.equal(torch.rand(3, generator=second.known["a"]), expected)


def test_how_a_run_is_computed_is_no_part_of_what_it_is():
    facts = [
        identity.fingerprint(toy_net(), toy_loss(), toy_set(), None, toy_config(freeze_batch_norm=True, **options))
        for options in ({}, {"compile": True, "micro_batch": 3, "on_memory": "halve"}, {"flip": False})
    ]
    assert set(identity.HOW) == {"compile", "micro_batch", "on_memory"}
    assert facts[0] == facts[1] != facts[2]


def test_what_a_run_left_is_its_last_weights_or_its_best():
    last, best = ({"net": {"w": torch.full((2,), value)}, "loss": {}} for value in (1.0, 2.0))
    left = identity.left_by({**last, "best": best, "outside": {"loss.count": 3}})
    assert left["loss.count"] == [3]
    assert left["network.start"] == [identity.digest(each["net"]) for each in (last, best)]
    assert len(set(left["network.start"])) == 2
    alone = identity.left_by({**last, "best": None, "outside": {}})
    assert set(alone["network.start"]) == {identity.digest(last["net"])}


class _Mean(nn.Module):
    """A loss with a running mean and a count of numpy's, and what it has seen in a set and by pairs."""

    def __init__(self, weights=None):
        super().__init__()
        self.mean, self.count, self.share = np.zeros(8), np.int64(0), np.float32(0.1)
        self.seen, self.pairs, self.weights = set(), {(0, 0): 0}, weights

    def forward(self, embeddings, labels):
        self.mean = (1 - self.share) * self.mean + self.share * embeddings.detach().mean(0).numpy()
        self.count += 1
        self.seen |= set(labels.tolist())
        self.pairs[int(labels[0]), int(labels[1])] = int(self.count)
        near = torch.from_numpy(self.mean).to(embeddings) * len(self.seen) / float(self.count)
        return (embeddings - near).square().sum(1).mean() * len(self.pairs)


def test_arrays_numbers_of_numpy_sets_and_pairs_are_resumed_as_what_they_were(tmp_path):
    expected = _memory_run(None, _Mean(), 3)
    _memory_run(tmp_path, _Mean(), 1)
    result = _memory_run(tmp_path, _Mean(), 3)
    assert_same(outcome(result), outcome(expected))
    former, loss = expected.loss, result.loss
    assert (loss.mean == former.mean).all()
    assert (type(loss.count), loss.count, loss.mean.dtype) == (np.int64, 9, np.float64)
    assert (loss.seen, loss.pairs) == (former.seen, former.pairs)
    _memory_run(tmp_path, loss, 3)  # as the last run left it


@pytest.mark.parametrize(
    ("first", "other"),
    [
        (torch.ones(3), torch.full((3,), 9.0)),
        (np.ones(3), np.full(3, 9.0)),
        ([torch.ones(3)], [torch.full((3,), 9.0)]),
        ({1, 2}, {1, 9}),
        ({"a": {(1, 2): torch.ones(3)}}, {"a": {(1, 9): torch.ones(3)}}),
    ],
)
def test_other_values_in_an_attribute_are_another_run(tmp_path, first, other):
    _memory_run(tmp_path, _Mean(first), 1)
    with pytest.raises(ValueError, match=r"loss.weights.start '\w+'\); got loss.weights.start .*any_start=True"):
        _memory_run(tmp_path, _Mean(other), 2)
    _memory_run(Checkpoints(tmp_path, any_start=True), _Mean(other), 2)


def test_a_buffer_that_is_not_kept_is_part_of_what_a_run_is():
    one, other = Memory(), Memory()
    other.scale.fill_(2)
    assert _differences(_facts(loss=one), _facts(loss=other)) == ["loss.scale.start"]


def test_what_was_written_comes_back_as_it_was():
    values = [
        np.arange(6.0).reshape(2, 3)[:, ::2], np.zeros((0, 2)), np.array(["a", "bc"]), np.array(3), np.float64(0.5),
        np.arange(3, dtype=">i4"), {1, ("a", 2)}, 1j, b"a", None,
    ]  # fmt: skip
    part = nn.Module()
    part.values = values
    file = io.BytesIO()
    torch.save(outside.outside("loss", part), file)
    file.seek(0)
    found = outside.put_back(torch.load(file, weights_only=True)["loss.values"])
    for value, again in zip(values, found, strict=True):
        assert type(again) is type(value)
        if isinstance(value, np.ndarray):
            assert (again.dtype, again.shape) == (value.dtype, value.shape)
            assert (again == value).all()
        else:
            assert again == value
    part.values = frozenset({1})
    saved, part.values = outside.outside("loss", part), frozenset()
    outside.restore("loss", part, saved, torch.device("cpu"))
    assert part.values == frozenset({1})
    part.values = [1, nn.Linear(1, 1), nn.functional.relu]
    assert outside.outside("loss", part) == {}


def test_more_epochs_may_be_asked_for_but_under_a_cosine():
    assert identity.may_go_on({"config.epochs": 2}, {"config.epochs": 3})
    assert not identity.may_go_on({"config.epochs": 3}, {"config.epochs": 3})
    assert not identity.may_go_on({"config.epochs": 2}, {"config.epochs": 3, "config.schedule": "cosine"})
