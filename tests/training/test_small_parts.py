"""The small parts of a run: rates by epoch, evaluation mode and back, the bar, what a run leaves and is known by."""

import pytest
import torch
from torch import nn

from dmlbook.training import FitResult, Report, TrainConfig
from dmlbook.training.checkpoints import check_same_run, fingerprint
from dmlbook.training.devices import Devices
from dmlbook.training.embedding import evaluating
from dmlbook.training.stepping import Stepper
from tests.training.training_toys import toy_config, toy_loss, toy_net, toy_set


def test_rates_fall_once_at_each_milestone():
    config = TrainConfig(milestones=(3, 5), lr_decay=0.5, lr=0.8)
    assert [config.decay(epoch) for epoch in range(1, 7)] == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert config.rate(5) == pytest.approx(0.2)


def test_evaluation_ends_with_every_part_in_the_mode_it_was_in():
    net = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2), nn.Linear(2, 2))
    net[1].eval()
    with evaluating(net):
        assert not any(part.training for part in net.modules())
    assert [part.training for part in net.modules()] == [True, True, False, True]


@pytest.mark.parametrize(
    ("bar", "mode", "rank", "shown"),
    [(True, "class", 0, True), (False, "class", 0, False), (True, "smoke", 0, False), (True, "class", 1, False)],
)
def test_the_bar_is_shown_by_the_first_process_alone_and_never_in_smoke_mode(bar, mode, rank, shown, monkeypatch):
    monkeypatch.setenv("DMLBOOK_MODE", mode)
    with Report(bar=bar).open_bar(done=3, total=8, rank=rank) as opened:
        assert opened.disable is not shown
        assert not shown or (opened.total, opened.n) == (8, 3)


def test_the_best_weights_are_put_back_and_without_a_validation_set_none_are_known():
    net, loss = toy_net(), toy_loss("softtriple")
    best = {"net": {k: v + 1 for k, v in net.state_dict().items()}, "loss": dict(loss.state_dict())}
    result = FitResult(net, loss, [], best=best)
    assert result.restore_best() is result
    torch.testing.assert_close(dict(net.state_dict()), best["net"])
    with pytest.raises(ValueError, match="restore_best: validation must have been given to fit; got None"):
        FitResult(net, loss, []).restore_best()


def test_a_run_is_known_by_settings_network_loss_and_images_and_may_go_on_longer(tmp_path):
    made = fingerprint(toy_net(), toy_loss("softtriple"), toy_set(), None, toy_config(epochs=2))
    longer = made | {"config.epochs": 3}
    check_same_run(made, longer, path=tmp_path)
    for changed in ("config.epochs", "config.lr", "network", "loss weights", "train_set.content"):
        with pytest.raises(ValueError, match=changed):
            check_same_run(longer, longer | {changed: 1}, path=tmp_path)


def test_a_stepper_goes_on_from_its_state():
    def stepper() -> Stepper:
        config = toy_config()
        return Stepper(
            nn.Linear(2, 2), toy_loss("softtriple"), config, Devices(torch.device("cpu"), 1, config.precision)
        )

    first, second = stepper(), stepper()
    for weight in first.weights:
        weight.grad = torch.ones_like(weight)
    first.apply()
    second.load_state(first.state())
    steps = [entry["step"].item() for entry in second.state()["optimizer"]["state"].values()]
    assert steps == [1.0] * len(first.weights)
