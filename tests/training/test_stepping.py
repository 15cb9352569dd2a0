"""Optimizers, schedules, resting backbones, clipped gradients and averages, against plain loops and torch's own."""

import math
from dataclasses import replace

import pytest
import torch

from dmlbook import nets
from dmlbook.sampling import UniformBatches
from dmlbook.training import Checkpoints, Features, TrainConfig, checkpoints, embed, fit
from dmlbook.training.average import Average
from dmlbook.training.devices import Devices
from dmlbook.training.stepping import Stepper
from tests.training.training_toys import assert_same, outcome, toy_config, toy_loss, toy_net, toy_set

PLAIN = {"augment": "none", "flip": False}
CPU = {"progress": False, "device": "cpu"}


def plain_loop(config, optimizer_of, *, factor=lambda epoch, step, steps: 1.0, after=lambda net, step: None):
    """The same training, written out: batches as they come, one optimizer with two groups, a factor for both rates."""
    data, net, loss = toy_set(), toy_net(), toy_loss()
    optimizer = optimizer_of([{"params": net.parameters(), "lr": config.lr},
                              {"params": loss.parameters(), "lr": config.loss_lr}])  # fmt: skip
    batches, done = UniformBatches(len(data), config.batch_size, config.seed), 0
    for epoch in range(1, config.epochs + 1):
        for step, index in enumerate(batches.batches(epoch)):
            for group, rate in zip(optimizer.param_groups, (config.lr, config.loss_lr), strict=True):
                group["lr"] = rate * factor(epoch, step, len(batches))
            net.train()
            optimizer.zero_grad()
            loss(net(data.images[index] / 255), data.labels[index]).backward()
            after.gradient(net, loss, epoch) if hasattr(after, "gradient") else None
            optimizer.step()
            done += 1
            after(net, done)
    return net, loss


def assert_alike(result, net, loss):
    for mine, theirs in ((result.net, net), (result.loss, loss)):
        for name, value in mine.state_dict().items():
            torch.testing.assert_close(value, theirs.state_dict()[name], atol=3e-5, rtol=1e-3, msg=name)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_each_optimizer_is_torchs_with_the_settings_given(name):
    config = toy_config(optimizer=name, momentum=0.7, weight_decay=0.05, adam_eps=1e-3, milestones=(), **PLAIN)
    made = {
        "adam": lambda groups: torch.optim.Adam(groups, eps=1e-3, weight_decay=0.05),
        "adamw": lambda groups: torch.optim.AdamW(groups, eps=1e-3, weight_decay=0.05),
        "sgd": lambda groups: torch.optim.SGD(groups, momentum=0.7, weight_decay=0.05),
    }
    assert_alike(fit(toy_net(), toy_loss(), toy_set(), config, **CPU), *plain_loop(config, made[name]))


@pytest.mark.parametrize("warm", [0, 0.4, 1, 2.4])
@pytest.mark.parametrize("schedule", ["step", "cosine"])
def test_rates_are_those_of_torchs_schedulers(schedule, warm):
    epochs, steps = 6, 5
    config = TrainConfig(epochs=epochs, schedule=schedule, warmup_epochs=warm, milestones=(3, 5), lr_decay=0.5)
    rising = round(warm * steps)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    if schedule == "cosine":
        falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * steps - rising)
    else:
        falling = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2 * steps - rising, 4 * steps - rising], 0.5)
    if rising > 1:
        line = torch.optim.lr_scheduler.LinearLR(optimizer, 1 / rising, total_iters=rising - 1)
        falling = torch.optim.lr_scheduler.SequentialLR(optimizer, [line, falling], [rising])
    for epoch in range(1, epochs + 1):
        for step in range(steps):
            expected = optimizer.param_groups[0]["lr"]
            risen = (epoch - 1) * steps + step >= rising
            if schedule == "cosine" or risen or epoch < 3:  # torch has no drop while rates rise
                assert config.decay(epoch, step, steps) == pytest.approx(expected, abs=1e-12), (epoch, step)
            optimizer.step()
            falling.step()
    assert config.changes_each_step == (schedule == "cosine" or warm > 0)


def test_a_run_goes_through_the_rates_of_every_step():
    config = toy_config(epochs=3, schedule="cosine", warmup_epochs=0.7, **PLAIN)

    def factor(epoch, step, steps):
        done, warm = (epoch - 1) * steps + step, 0.7 * steps
        if done + 1 < warm:
            return (done + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * max(0, done - warm) / (3 * steps - warm)))

    result = fit(toy_net(), toy_loss(), toy_set(), config, **CPU)
    adam = lambda groups: torch.optim.Adam(groups, eps=config.adam_eps, weight_decay=1e-4)  # noqa: E731
    assert_alike(result, *plain_loop(config, adam, factor=factor))
    assert result.history[-1]["lr"] == pytest.approx(1e-3 * factor(3, 2, 3))


def test_the_backbone_rests_at_first_while_head_and_centers_move():
    config = toy_config(epochs=1, head_epochs=1, **PLAIN)
    net, loss = toy_net(), toy_loss()
    before = {name: value.clone() for name, value in net.named_parameters()}
    centers = loss.weight.clone()
    fit(net, loss, toy_set(), config, **CPU)
    moved = {name for name, value in net.named_parameters() if not torch.equal(value, before[name])}
    assert moved == {"head.linear.weight", "head.linear.bias"}
    assert not torch.equal(loss.weight, centers)
    again = fit(toy_net(), toy_loss(), toy_set(), toy_config(epochs=2, head_epochs=1, **PLAIN), **CPU)
    moved = {name for name, value in again.net.named_parameters() if not torch.equal(value, before[name])}
    assert moved == set(before)


def test_clipped_gradients_have_the_norm_asked_for_and_small_ones_are_left():
    class Clipped:
        def __call__(self, net, step):
            pass

        def gradient(self, net, loss, epoch):
            weights = [*net.parameters(), *loss.parameters()]
            norm = torch.sqrt(sum(weight.grad.square().sum() for weight in weights))
            self.norms.append(float(norm))
            for weight in weights:
                weight.grad.mul_(min(1.0, 0.5 / float(norm)))

        norms = []  # noqa: RUF012

    config = toy_config(
        optimizer="sgd", momentum=0.0, weight_decay=0.0, clip_norm=0.5, lr=0.1, loss_lr=0.1, milestones=(), **PLAIN
    )
    expected = plain_loop(config, lambda groups: torch.optim.SGD(groups), after=Clipped())
    assert min(Clipped.norms) > 0.5  # or the test would see nothing
    assert_alike(fit(toy_net(), toy_loss(), toy_set(), config, **CPU), *expected)
    loose = toy_config(clip_norm=1e6, **PLAIN)
    free = fit(toy_net(), toy_loss(), toy_set(), toy_config(**PLAIN), **CPU)
    torch.testing.assert_close(
        outcome(fit(toy_net(), toy_loss(), toy_set(), loose, **CPU))["state"], outcome(free)["state"]
    )


def test_the_average_of_the_weights_is_a_literal_average_and_is_what_one_gets():
    averages = {}

    def average(net, step):
        for name, value in net.state_dict().items():
            if value.is_floating_point():
                averages[name] = value.clone() if step == 1 else 0.8 * averages[name] + 0.2 * value

    config = toy_config(ema_decay=0.8, **PLAIN)
    plain_loop(config, lambda groups: torch.optim.Adam(groups, eps=0.01, weight_decay=1e-4), after=average,
               factor=lambda epoch, step, steps: config.decay(epoch))  # fmt: skip
    result = fit(toy_net(), toy_loss(), toy_set(), config, **CPU)
    for name, value in averages.items():
        if "num_batches" not in name:
            torch.testing.assert_close(result.net.state_dict()[name], value, atol=3e-5, rtol=1e-3, msg=name)
    last = fit(toy_net(), toy_loss(), toy_set(), toy_config(**PLAIN), **CPU).net
    assert not torch.allclose(last.head.linear.weight, result.net.head.linear.weight, atol=1e-5)


def test_the_average_is_what_is_measured_and_what_the_checkpoint_shows(tmp_path):
    config, validation = toy_config(ema_decay=0.9, lr=3e-3), toy_set(1, "val")
    result = fit(toy_net(), toy_loss(), toy_set(), config, validation=validation, folder=tmp_path, **CPU)
    from dmlbook.retrieval import recall_at_k

    vectors = embed(result.net, validation, config=config)
    assert result.history[-1]["recall_at_1"] == recall_at_k(vectors, validation.labels, ks=(1,))[1]
    kept = checkpoints.load(checkpoints.find(tmp_path)[-1])
    assert all(torch.equal(value, result.net.state_dict()[name]) for name, value in kept["net"].items())
    own = dict(zip([name for name, _ in result.net.named_parameters()], kept["average"]["weights"], strict=False))
    assert not torch.equal(own["head.linear.weight"], kept["net"]["head.linear.weight"])


NEW = {"ema_decay": 0.9, "optimizer": "adamw", "schedule": "cosine", "warmup_epochs": 1.5, "clip_norm": 1.0}


@pytest.mark.parametrize("options", [NEW, {"ema_decay": 0.9}, {"optimizer": "sgd"}, {"head_epochs": 2, **NEW}])
@pytest.mark.parametrize("frozen", [False, True])
def test_a_resumed_run_ends_as_the_uninterrupted_one_bit_for_bit(tmp_path, monkeypatch, options, frozen):
    config = toy_config(freeze_backbone=frozen, **options)
    whole = fit(toy_net(), toy_loss(), toy_set(), config, validation=toy_set(1, "val"), **CPU)
    apply, count = Stepper.apply, iter(range(100))

    def dying(self):
        apply(self)
        if next(count) == 4:  # in the second epoch
            import os
            import signal

            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Stepper, "apply", dying)
    net, loss = toy_net(), toy_loss()
    cut = fit(net, loss, toy_set(), config, validation=toy_set(1, "val"), folder=tmp_path, **CPU)
    assert cut.interrupted
    monkeypatch.undo()
    fresh = fit(toy_net(), toy_loss(), toy_set(), config, validation=toy_set(1, "val"), folder=tmp_path, **CPU)
    assert_same(outcome(whole), outcome(fresh))


def test_a_run_left_with_its_average_goes_on_with_the_same_network(tmp_path):
    config, net, loss = toy_config(ema_decay=0.9, epochs=2), toy_net(), toy_loss()
    fit(net, loss, toy_set(), config, folder=tmp_path, **CPU)
    longer = toy_config(ema_decay=0.9, epochs=4)
    result = fit(net, loss, toy_set(), longer, folder=Checkpoints(tmp_path, resume="must"), **CPU)
    whole = fit(toy_net(), toy_loss(), toy_set(), longer, **CPU)
    assert_same(outcome(whole), outcome(result))


def test_a_cosine_is_not_made_longer_afterwards(tmp_path):
    fit(toy_net(), toy_loss(), toy_set(), toy_config(epochs=2, schedule="cosine"), folder=tmp_path, **CPU)
    with pytest.raises(ValueError, match=r"hold checkpoints of this run \(config.epochs 2\); got config.epochs 3"):
        fit(toy_net(), toy_loss(), toy_set(), toy_config(epochs=3, schedule="cosine"), folder=tmp_path, **CPU)


def test_settings_younger_than_the_stored_results_are_named_where_they_say_something():
    plain = TrainConfig().to_dict()
    later = {"optimizer", "momentum", "schedule", "warmup_epochs", "head_epochs", "clip_norm", "ema_decay"}
    assert not later & plain.keys()
    changed = TrainConfig(optimizer="adamw", ema_decay=0.99)
    assert changed.to_dict() == {**plain, "optimizer": "adamw", "ema_decay": 0.99}
    assert TrainConfig.from_dict(changed.to_dict()) == changed
    assert TrainConfig.from_dict(plain) == TrainConfig()


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adamax"}, "optimizer must be one of .adam., .adamw., .sgd."),
        ({"schedule": "cos"}, "schedule must be one of 'step', 'cosine'"),
        ({"warmup_epochs": -1}, "warmup_epochs must be a finite number >= 0"),
        ({"clip_norm": -1.0}, "clip_norm must be a finite number >= 0"),
        ({"ema_decay": 1.0}, "ema_decay must be a finite number >= 0 and <= 0.99999; got 1.0"),
        ({"head_epochs": 0.5}, "head_epochs must be an integer >= 0"),
        ({"momentum": 1.0}, "momentum must be a finite number >= 0 and <= 0.9999"),
        ({"epochs": 50, "warmup_epochs": 100}, "warmup_epochs must be at most epochs; got 100 of 50"),
        ({"warmup_epochs": 20}, "milestones must begin after the warm-up; got 20 for 20 of warm-up"),
        ({"schedule": "cosine", "epochs": 2, "warmup_epochs": 2}, "warmup_epochs must leave epochs for the cosine"),
    ],
)
def test_settings_of_steps_that_will_not_do_are_explained(options, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**options)


def test_an_average_is_shown_and_hidden_without_a_trace():
    module = torch.nn.Linear(2, 1, bias=False)
    average = Average(module, 0.75)
    with average.shown():
        assert not average.model.n_averaged  # nothing to show yet, and nothing done
    for value in (1.0, 2.0, 4.0):
        torch.nn.init.constant_(module.weight, value)
        average.update()
    expected = 0.75 * (0.75 * 1 + 0.25 * 2) + 0.25 * 4
    average.show()
    average.show()
    assert module.weight.tolist() == [[expected, expected]]
    assert average.state()["weights"][0].tolist() == [[4.0, 4.0]]
    average.hide()
    average.hide()
    assert module.weight.tolist() == [[4.0, 4.0]]


def test_a_stepper_without_an_average_shows_its_weights():
    config = toy_config()
    net = toy_net()
    stepper = Stepper(net, toy_loss(), config, Devices(torch.device("cpu"), 1, "32-true"))
    before = net.head.linear.weight.clone()
    with stepper.averaged():
        assert torch.equal(net.head.linear.weight, before)
    assert "average" not in stepper.state()


class _Watched(torch.nn.Module):
    """A backbone with statistics and dropout that notes whether a gradient is asked of it."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop, self.asked = torch.nn.BatchNorm2d(3), torch.nn.Dropout(0.5), []

    def forward(self, images):
        found = self.drop(self.norm(images)).mean((2, 3))
        self.asked.append((found.requires_grad, self.training))
        return found


@pytest.mark.parametrize(
    "options", [{}, {"precision": "bf16-mixed"}, {"on_memory": "halve", "freeze_batch_norm": True}]
)
def test_a_resting_backbone_measures_nothing_drops_nothing_and_no_gradient_is_computed_for_it(options):
    net = nets.wrap(_Watched(), embedding_size=8)
    watched = next(part for part in net.modules() if isinstance(part, _Watched))
    watched.norm.bias.requires_grad_(False)
    watched.norm.running_mean += 0.25  # measured on something
    before = watched.norm.running_mean.clone()
    watched.asked.clear()
    config = toy_config(epochs=1, head_epochs=1, **{"freeze_batch_norm": False, **options})
    fit(net, toy_loss(), toy_set(), config, **CPU)
    assert watched.asked[-3:] == [(False, False)] * 3
    assert torch.equal(watched.norm.running_mean, before)
    assert (watched.norm.weight.requires_grad, watched.norm.bias.requires_grad) == (True, False)
    fit(net, toy_loss(), toy_set(), replace(config, epochs=2), **CPU)
    assert watched.asked[-6:] == [(False, False)] * 3 + [(True, True)] * 3


def test_a_head_that_trains_alone_is_a_head_on_the_features():
    data, config = toy_set(), toy_config(epochs=2, head_epochs=2, milestones=(), augment="none", flip=False)
    net = toy_net()
    features = embed(net, data, config=config, features=True)
    result = fit(net, toy_loss(), data, config, **CPU)
    head = toy_net().head
    fit(head, toy_loss(), Features(features, data.labels), replace(config, head_epochs=0), **CPU)
    assert torch.allclose(result.net.head.linear.weight, head.linear.weight, atol=1e-6)


def test_epochs_of_the_head_need_one():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 8))
    with pytest.raises(ValueError, match="head_epochs must be 0 for a Sequential; got 1"):
        fit(net, toy_loss(), toy_set(), toy_config(head_epochs=1), **CPU)
