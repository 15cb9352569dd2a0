"""The configuration, fit, and embed."""

import math
import subprocess
import sys
import threading
from dataclasses import fields, replace

import pytest
import torch
from torch import nn

from dmlbook import nets
from dmlbook.losses import make
from dmlbook.retrieval import recall_at_k
from dmlbook.training import Checkpoints, Features, Place, Report, TrainConfig, embed, fit
from tests.training.training_toys import ROOT, assert_same, environment, outcome, toy_config, toy_loss, toy_net, toy_set


def _fit(config=None, *, net=None, loss=None, data=None, **options):
    usual = {"device": "cpu", "progress": False} | options
    return fit(net or toy_net(), loss or toy_loss(), data or toy_set(), config or toy_config(), **usual)


def _close(one, other):
    assert list(one["state"]) == list(other["state"])
    for name, value in one["state"].items():
        torch.testing.assert_close(value, other["state"][name], atol=2e-5, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}")


# --- the configuration


def test_the_defaults_are_the_papers():
    config = TrainConfig()
    rates = [config.lr * config.decay(epoch) for epoch in (1, 19, 20, 39, 40, 50)]
    assert rates == pytest.approx([1e-4, 1e-4, 1e-5, 1e-5, 1e-6, 1e-6])
    assert (config.epochs, config.batch_size, config.loss_lr, config.adam_eps) == (50, 32, 1e-2, 0.01)
    assert (config.weight_decay, config.freeze_batch_norm, config.sampler) == (1e-4, True, "uniform")


def test_a_configuration_survives_json():
    import json

    config = TrainConfig(epochs=3, milestones=(2, 3), crop_scale=(0.2, 0.9), loss_lr=None)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    with pytest.raises(ValueError, match="Did you mean 'epochs'"):
        TrainConfig.from_dict({"epoch": 3})


def test_every_setting_says_what_it_means_and_help_lists_it():
    shown = TrainConfig.__doc__
    for setting in fields(TrainConfig):
        assert len(setting.metadata["help"]) > 5
        assert f"{setting.name}: {setting.metadata['help']}\n" in shown


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("epochs", 0, "epochs must be an integer >= 1; got 0"),
        ("batch_size", 1.5, "batch_size must be an integer >= 1; got 1.5"),
        ("samples_per_class", 0, "samples_per_class must be an integer >= 1"),
        ("evaluate_every", -1, "evaluate_every must be an integer >= 1"),
        ("seed", "x", "seed must be an integer; got 'x'"),
        ("lr", 0.0, "lr must be a finite number > 0; got 0.0"),
        ("lr", math.nan, "lr must be a finite number > 0; got nan"),
        ("loss_lr", -1.0, "loss_lr must be a finite number > 0"),
        ("adam_eps", 0.0, "adam_eps must be a finite number > 0"),
        ("weight_decay", -1e-4, "weight_decay must be a finite number >= 0"),
        ("lr_decay", 1.5, "lr_decay must be a finite number > 0 and <= 1; got 1.5"),
        ("shift", 0.6, "shift must be a finite number >= 0 and <= 0.5"),
        ("image_size", 0, "image_size must be an integer >= 1"),
        ("test_crop", 0.0, "test_crop must be a finite number > 0 and <= 1"),
        ("sampler", "clas", "Did you mean 'class'"),
        ("small_classes", "skip", "small_classes must be one of"),
        ("augment", "crops", "Did you mean 'crop'"),
        ("precision", "bf16", "precision must be one of '32-true', 'bf16-mixed', '16-mixed', '64-true'; got 'bf16'"),
        ("flip", 1, "flip must be True or False; got 1"),
        ("crop_scale", (0.5, 0.1), r"crop_scale must be a tuple \(low, high\) with 0 < low <= high <= 1"),
        ("crop_scale", (0.5, 1.1), "crop_scale must be a tuple"),
        ("crop_ratio", (0.0, 1.0), "crop_ratio must be a tuple"),
        ("milestones", (20, 20), "milestones must be a tuple of epochs >= 1 that increase"),
        ("milestones", [20], "milestones must be a tuple"),
    ],
)
def test_bad_settings_are_explained(field, value, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**{field: value})


def test_a_batch_must_hold_whole_classes():
    with pytest.raises(ValueError, match="batch_size must hold whole classes; got 30 for 4 a class"):
        TrainConfig(sampler="class", batch_size=30, samples_per_class=4)


# --- fit


def test_training_lowers_the_loss_and_unseen_noise_is_retrieved():
    validation = toy_set(1, "val")
    before = recall_at_k(embed(toy_net(), validation), validation.labels, ks=(1,))[1]
    result = _fit(toy_config(epochs=12, lr=3e-3, milestones=()), validation=validation)
    losses = [record["loss"] for record in result.history]
    assert losses[-1] < 0.6 * losses[0]
    assert result.history[-1]["recall_at_1"] > before
    assert not result.interrupted
    assert result.checkpoint is None


@pytest.mark.parametrize("name", ["softmax", "triplet", "semihard"])
def test_every_kind_of_loss_trains(name):
    net = toy_net()
    before = net.head.linear.weight.clone()
    result = _fit(toy_config(sampler="class", batch_size=20, samples_per_class=4), net=net, loss=toy_loss(name))
    assert result.net is net
    assert not torch.equal(net.head.linear.weight, before)
    assert all(math.isfinite(record["loss"]) for record in result.history)


def test_a_loss_of_pytorch_metric_learning_trains_with_its_own_weights():
    losses = pytest.importorskip("pytorch_metric_learning.losses")
    loss = losses.ProxyAnchorLoss(5, 8)
    before = loss.proxies.clone()
    _fit(loss=loss)
    assert not torch.equal(loss.proxies, before)


def test_the_result_is_that_of_a_plain_loop():
    """Uniform batches, Adam with two rates, and the step schedule, written out."""
    from dmlbook.sampling import UniformBatches

    config = toy_config(augment="none", flip=False, milestones=(2,), lr_decay=0.5, weight_decay=0.01)
    data, net, loss = toy_set(), toy_net(), toy_loss()
    groups = [{"params": net.parameters(), "lr": 1e-3}, {"params": loss.parameters(), "lr": 1e-2}]
    adam = torch.optim.Adam(groups, eps=0.01, weight_decay=0.01)
    history = []
    for epoch in (1, 2, 3):
        total = 0.0
        if epoch == 2:
            for group in adam.param_groups:
                group["lr"] /= 2
        for index in UniformBatches(40, 16, config.seed).batches(epoch):
            adam.zero_grad()
            value = loss(net(data.images[index] / 255), data.labels[index])
            value.backward()
            adam.step()
            total += value.item() * len(index)
        history.append(total / 40)
    result = _fit(config)
    expected = {f"net.{k}": v for k, v in net.state_dict().items()}
    expected |= {f"loss.{k}": v for k, v in loss.state_dict().items()}
    _close(outcome(result), {"state": expected})
    assert [record["loss"] for record in result.history] == pytest.approx(history, rel=1e-4)
    assert [record["lr"] for record in result.history] == pytest.approx([1e-3, 5e-4, 5e-4])
    assert [record["loss_lr"] for record in result.history] == pytest.approx([1e-2, 5e-3, 5e-3])


def test_training_is_repeatable_and_leaves_the_global_random_state_alone():
    state = torch.random.get_rng_state()
    one = outcome(_fit())
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(99)
    try:
        assert_same(outcome(_fit()), one)
    finally:
        torch.random.set_rng_state(state)


def test_dropout_depends_on_the_seed_alone():
    def train():
        net = toy_net()
        net.backbone.append(nn.Dropout(0.5))
        return outcome(_fit(net=net))

    one = train()
    torch.rand(5)
    assert_same(train(), one)


def test_every_step_has_chances_of_its_own():
    loss, seeds = toy_loss(), []
    forward = loss.forward
    loss.forward = lambda *arguments: seeds.append(torch.initial_seed()) or forward(*arguments)
    _fit(loss=loss)
    assert len(set(seeds)) == len(seeds) == 9  # three epochs of three steps


def test_the_best_epoch_is_chosen_on_the_validation_set_and_can_be_restored():
    validation = toy_set(1, "val")
    states = []
    net = toy_net()
    config = toy_config(epochs=6, lr=3e-3, evaluate_every=2)
    report = Report(bar=False, each_epoch=lambda record: states.append(embed(net, validation)))
    result = _fit(config, net=net, validation=validation, progress=report)
    measured = {record["epoch"]: record["recall_at_1"] for record in result.history if "recall_at_1" in record}
    assert list(measured) == [2, 4, 6]
    best = max(measured, key=lambda epoch: (measured[epoch], -epoch))
    assert result.best_epoch == best
    assert result.restore_best().net is net
    assert torch.equal(embed(net, validation), states[best - 1])


def test_the_earliest_of_equally_good_epochs_is_the_best(monkeypatch):
    from dmlbook.training import loop

    recalls = iter([0.5, 0.7, 0.7, 0.6])
    monkeypatch.setattr(loop, "recall_at_k", lambda *arguments, **options: {1: next(recalls)})
    assert _fit(toy_config(epochs=4), validation=toy_set(1, "val")).best_epoch == 2


def test_without_a_validation_set_no_epoch_is_best():
    result = _fit()
    assert result.best_epoch is None
    assert "recall_at_1" not in result.history[-1]
    with pytest.raises(ValueError, match="validation must have been given to fit"):
        result.restore_best()


def test_a_head_alone_trains_on_frozen_features_and_leaves_the_backbone():
    net, validation = toy_net(), toy_set(1, "val")
    backbone = {name: value.clone() for name, value in net.backbone.state_dict().items()}
    head = net.head.linear.weight.clone()
    result = _fit(toy_config(freeze_backbone=True, epochs=6), net=net, validation=validation)
    assert all(torch.equal(value, backbone[name]) for name, value in net.backbone.state_dict().items())
    assert not torch.equal(net.head.linear.weight, head)
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    recall = recall_at_k(embed(net, validation), validation.labels, ks=(1,))[1]
    assert result.history[-1]["recall_at_1"] == pytest.approx(recall)


def test_frozen_batch_norm_keeps_its_statistics_through_fit():
    net, data = toy_net(), toy_set()
    net.train()(data.images / 255)
    mean, scale = net.backbone[1].running_mean.clone(), net.backbone[1].weight.clone()
    _fit(toy_config(freeze_batch_norm=True), net=net)
    assert torch.equal(net.backbone[1].running_mean, mean)
    assert not torch.equal(net.backbone[1].weight, scale)
    _fit(toy_config(freeze_batch_norm=False, epochs=1), net=net)
    assert not torch.equal(net.backbone[1].running_mean, mean)


def test_mixed_precision_trains_without_a_word(caplog):
    result = _fit(toy_config(precision="bf16-mixed", epochs=5))
    assert not caplog.messages
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    assert next(result.net.parameters()).dtype == torch.float32


class _Breaking(nn.Module):
    """Gives NaN, or a finite loss whose gradient is NaN, from its fifth call on."""

    def __init__(self, kind):
        super().__init__()
        self.calls, self.kind = 0, kind

    def forward(self, embeddings, labels):
        self.calls += 1
        if self.calls < 5:
            return embeddings.square().mean()
        return embeddings.mean() * math.nan if self.kind == "loss" else (embeddings[0] - embeddings[0]).sum().sqrt()


@pytest.mark.parametrize("kind", ["loss", "gradient"])
def test_a_number_that_is_not_finite_stops_training_before_it_harms_and_names_the_batch(tmp_path, kind):
    from dmlbook.sampling import UniformBatches
    from dmlbook.training import checkpoints

    net = toy_net()
    with pytest.raises(FloatingPointError) as stopped:
        _fit(net=net, loss=_Breaking(kind), folder=tmp_path)
    images = ", ".join(map(str, UniformBatches(40, 16, toy_config().seed).batches(2)[1].tolist()))
    assert f"in epoch 2, step 2, on the images {images} of train_set" in str(stopped.value)
    assert ("the loss is nan" in str(stopped.value)) == (kind == "loss")
    assert "smaller lr" in str(stopped.value)
    assert all(value.isfinite().all() for value in net.state_dict().values())
    assert [path.name for path in checkpoints.find(tmp_path)] == ["checkpoint-00001-0000000.pt"]


def test_fit_works_beside_the_main_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(_fit(toy_config(epochs=1))))
    thread.start()
    thread.join()
    assert len(results[0].history) == 1


def test_the_bar_shows_loss_and_speed_and_smoke_mode_shows_none(capsys, monkeypatch):
    monkeypatch.setenv("DMLBOOK_MODE", "class")
    _fit(toy_config(epochs=1), progress=True)
    shown = capsys.readouterr()
    assert "loss=" in shown.err
    assert "images/s=" in shown.err
    assert shown.out == ""
    monkeypatch.setenv("DMLBOOK_MODE", "smoke")
    _fit(toy_config(epochs=1), progress=True)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": nn.Identity()}, None),
        ({"validation": toy_set(1, "test")}, "validation must be a split of the training classes; got the test split"),
        ({"config": toy_config(freeze_batch_norm=True)}, "config.freeze_batch_norm must be False for random weights"),
        (
            {"data": toy_set().of_classes(torch.tensor([0, 1]))},
            "be made for the classes of train_set; got num_classes = 5",
        ),
        ({"config": toy_config(precision="16-mixed")}, "config.precision must not be 16-mixed on a CPU"),
    ],
)
def test_arguments_that_do_not_fit_are_explained(change, message):
    if message is None:
        change, message = {"loss": _Constant()}, "loss must give one number with a gradient; got shape"
    with pytest.raises(ValueError, match=message):
        _fit(**change)


def test_a_place_of_no_devices_and_several_at_a_prompt_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="devices must be an integer >= 1"):
        Place("cpu", devices=0)
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    with pytest.raises(ValueError, match="devices must be 1 in a notebook or at a prompt; got 2. Run a script"):
        Place("cpu", devices=2)
    assert Place("cpu").devices == 1


class _Constant(nn.Module):
    def forward(self, embeddings, labels):
        return torch.ones(())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gloo between processes is tested on Linux and macOS")
@pytest.mark.parametrize("kind", ["frozen", "live"])
def test_two_processes_train_as_one_would(tmp_path, kind):
    from tests.training.two_processes import run

    done = subprocess.run(
        [sys.executable, "-m", "tests.training.two_processes", str(tmp_path), kind, "3", "2", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        env=environment(),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    first, second = (torch.load(tmp_path / f"rank{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(value, second["state"][name]) for name, value in first["state"].items())
    alone = outcome(run(1, kind=kind))
    _close(first, alone)
    assert [r["loss"] for r in first["history"]] == pytest.approx([r["loss"] for r in alone["history"]], rel=1e-4)


# --- features


def _features(data, net=None):
    return Features(embed(net or toy_net(), data, features=True), data.labels, data.num_classes)


@pytest.mark.parametrize("sampler", ["uniform", "class"])
def test_a_head_on_features_trains_as_on_the_images_of_a_frozen_backbone(sampler):
    config = toy_config(sampler=sampler, batch_size=20, freeze_backbone=True, milestones=(2,))
    data, validation = toy_set(), toy_set(1, "val")
    by_images = outcome(_fit(config, validation=validation))
    net = toy_net()
    plain = replace(config, freeze_backbone=False)
    result = _fit(plain, net=net.head, data=_features(data), validation=_features(validation))
    assert result.net is net.head
    assert_same(outcome(replace(result, net=net)), by_images)
    assert result.history[-1]["loss"] < result.history[0]["loss"]
    whole = _fit(plain, data=_features(data), validation=_features(validation))  # the network's head, and it alone
    assert_same(outcome(whole), by_images)


def test_a_head_is_measured_without_its_dropout():
    data, validation = _features(toy_set()), _features(toy_set(1, "val"))
    head = nn.Sequential(nn.Dropout(0.5), toy_net().head)
    recall = _fit(toy_config(), net=head, data=data, validation=validation).history[-1]["recall_at_1"]
    with torch.no_grad():
        embeddings = head.eval()(validation.features)
    assert recall == recall_at_k(embeddings, validation.labels, ks=(1,))[1]


def test_a_run_on_features_is_resumed_and_other_features_are_another_run(tmp_path):
    data = _features(toy_set())
    expected = outcome(_fit(data=data, net=toy_net().head))
    _fit(toy_config(epochs=1), data=data, net=toy_net().head, folder=tmp_path)
    with pytest.raises(ValueError, match="train_set.content"):
        _fit(data=replace(data, features=2 * data.features), net=toy_net().head, folder=tmp_path)
    again = Checkpoints(tmp_path, any_start=True)
    assert_same(outcome(_fit(data=data, net=toy_net(7).head, loss=toy_loss(seed=8), folder=again)), expected)


def test_features_train_where_they_lie(monkeypatch):
    monkeypatch.setattr("dmlbook.settings.device", lambda: pytest.fail("the machine's device was asked for"))
    result = _fit(toy_config(epochs=1), data=_features(toy_set()), net=toy_net().head, device=None)
    assert next(result.net.parameters()).device.type == "cpu"


@pytest.mark.bad_input
def test_features_that_do_not_fit_are_explained():
    head, loss = nets.Head(4, 2), make("softmax", num_classes=2, embedding_size=2)
    labels = torch.tensor([0, 1, 1])
    with pytest.raises(ValueError, match="labels must be as many as the rows of features; got 3 labels for 5 rows"):
        Features(torch.ones(5, 4), labels)
    with pytest.raises(FloatingPointError, match="the loss is nan in epoch 1, step 1, on the images"):
        _fit(TrainConfig(), net=head, loss=loss, data=Features(torch.full((3, 4), torch.nan), labels))
    with pytest.raises(ValueError, match="got num_classes = 2 for 3 classes"):
        _fit(TrainConfig(), net=head, loss=loss, data=Features(torch.ones(3, 4), labels + 1))
    with pytest.raises(ValueError, match="validation must be Features as train_set is; got ImageSet"):
        _fit(TrainConfig(), net=head, loss=loss, data=Features(torch.ones(3, 4), labels), validation=toy_set(1, "val"))


# --- embed


def test_embeddings_do_not_depend_on_the_batch_and_modes_are_put_back():
    net, data = toy_net(), toy_set()
    net.train()
    net.backbone[1].eval()
    one, other = embed(net, data, batch_size=7), embed(net, data, batch_size=40)
    torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-5)
    assert one.shape == (40, 8)
    assert net.training
    assert not net.backbone[1].training
    assert net.backbone[0].training
    torch.testing.assert_close(one, net.eval()(data.images / 255), atol=1e-6, rtol=1e-5)


def test_features_are_the_backbones():
    net, data = toy_net(), toy_set()
    features = embed(net, data, features=True)
    torch.testing.assert_close(features, net.eval().features(data.images / 255).detach())
    assert features.shape == (40, net.head.linear.in_features)


def test_embeddings_may_be_trained_on():
    weight = torch.ones(8, requires_grad=True)
    (embed(toy_net(), toy_set()) @ weight).sum().backward()
    assert weight.grad.abs().sum() > 0


def test_photographs_are_cut_as_in_training_unless_the_whole_is_asked_for():
    photographs = replace(toy_set(), aspects=torch.full((40,), 1.5))
    net = toy_net()
    cut, whole = embed(net, photographs), embed(net, photographs, view="whole")
    torch.testing.assert_close(whole, embed(net, toy_set()))
    torch.testing.assert_close(cut, embed(net, photographs, config=TrainConfig(image_size=14, test_crop=224 / 256)))
    assert (cut - whole).abs().max() > 1e-3


def test_bad_arguments_of_embed_are_explained():
    with pytest.raises(ValueError, match="Did you mean 'whole'"):
        embed(toy_net(), toy_set(), view="wole")
    with pytest.raises(ValueError, match="batch_size must be an integer >= 1"):
        embed(toy_net(), toy_set(), batch_size=0)
    for place in ("cuda:99", "meta"):
        with pytest.raises(ValueError, match=f"device must be one of this machine's; got '{place}'. It has cpu"):
            embed(toy_net(), toy_set(), device=place)
    net = toy_net()
    nn.init.constant_(net.head.linear.weight, math.nan)
    with pytest.raises(ValueError, match="net must give finite numbers; got 40 rows"):
        embed(net, toy_set())


HOME, AWAY = torch.device("cpu"), torch.device("cpu:0")  # one place under two names, which compare as different


def _traveler(*, fails=False):
    """A network that notes where it is sent, with its notes; in its forward pass it fails on request."""
    net, places = toy_net(), []
    send, forward = net.to, net.forward

    def noting(place):
        places.append(place)
        return send(place)

    def computing(images):
        assert places == [AWAY], "it computes where it was asked to"
        if fails:
            raise MemoryError
        return forward(images)

    net.to, net.forward = noting, computing
    return net, places


def test_the_networks_place_is_its_own_again():
    net, places = _traveler()
    assert torch.equal(embed(net, toy_set(), device=AWAY), embed(toy_net(), toy_set()))
    assert places == [AWAY, HOME]
    net, places = _traveler(fails=True)
    with pytest.raises(MemoryError):
        embed(net, toy_set(), device=AWAY)
    assert places == [AWAY, HOME]
