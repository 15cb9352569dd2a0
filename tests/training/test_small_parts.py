"""The small parts of a run: rates by epoch, evaluation mode and back, the bar, what a run leaves and is known by."""

import pytest
import torch
from torch import nn

from dmlbook.training import FitResult, Report, TrainConfig
from dmlbook.training.devices import Devices
from dmlbook.training.embedding import evaluating
from dmlbook.training.identity import check_same_run, fingerprint
from dmlbook.training.report import Estimate, duration, farewell
from dmlbook.training.stepping import Stepper
from tests.training.training_toys import toy_config, toy_loss, toy_net, toy_set


def test_rates_fall_once_at_each_milestone():
    config = TrainConfig(milestones=(3, 5), lr_decay=0.5, lr=0.8)
    assert [config.decay(epoch) for epoch in range(1, 7)] == [1, 1, 0.5, 0.5, 0.25, 0.25]
    assert config.lr * config.decay(5) == pytest.approx(0.2)


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


def test_an_epochs_line_stays_and_tells_what_was_measured(capsys, monkeypatch):
    monkeypatch.setenv("DMLBOOK_MODE", "class")
    record = {"epoch": 3, "loss": 0.43212, "seconds": 260.0, "images_per_second": 61.24}
    report = Report()
    with report.open_bar(done=0, total=10, rank=0) as bar:
        report.tell_epoch(bar, record, epochs=50)
        report.tell_epoch(bar, {**record, "recall_at_1": 0.7534}, epochs=50)
    lines = [line.strip() for line in capsys.readouterr().err.replace("\r", "\n").splitlines()]
    assert "epoch 3 of 50   loss 0.4321   61.2 images/s   4 min" in lines
    assert "epoch 3 of 50   loss 0.4321   R@1 75.3   61.2 images/s   4 min" in lines


@pytest.mark.parametrize(("bar", "mode"), [(False, "class"), (True, "smoke")])
def test_nothing_is_told_without_a_bar(capsys, monkeypatch, bar, mode):
    monkeypatch.setenv("DMLBOOK_MODE", mode)
    report = Report(bar=bar, advice=lambda *numbers: pytest.fail("nobody asked"))
    with report.open_bar(done=0, total=10, rank=0) as shown:
        report.tell_epoch(shown, {"epoch": 1, "loss": 1.0, "seconds": 1.0, "images_per_second": 1.0}, epochs=2)
        report.tell_estimate(shown, 7800.0, epochs=2, images_per_second=7.9)
        assert Estimate(report, left=2).told(shown, 8)
    assert capsys.readouterr().err == ""


def test_the_whole_runs_time_is_told_once_from_the_speed_after_the_first_step(capsys, monkeypatch):
    monkeypatch.setenv("DMLBOOK_MODE", "class")
    clock, asked = iter([100.0, 102.0, 104.0, 106.0, 108.0, 110.0]), []
    monkeypatch.setattr("dmlbook.training.report.time.perf_counter", lambda: next(clock))
    report = Report(advice=lambda seconds, rate: asked.append((seconds, rate)) or "Try a smaller image_size.")
    estimate = Estimate(report, left=50)
    with report.open_bar(done=0, total=1000, rank=0) as bar:
        told = [estimate.told(bar, 16) for _ in range(6) if bar.update() or True]
    assert told == [False] * 5 + [True]
    assert asked == [(pytest.approx(2 * 994), 8.0)]
    assert "about 33 min for 50 epochs at 8.0 images/s. Try a smaller image_size." in capsys.readouterr().err


def test_a_short_run_is_not_estimated(capsys, monkeypatch):
    monkeypatch.setenv("DMLBOOK_MODE", "class")
    report = Report()
    with report.open_bar(done=0, total=10, rank=0) as bar:
        report.tell_estimate(bar, 59.0, epochs=1, images_per_second=8.0)
        assert "about" not in capsys.readouterr().err
        report.tell_estimate(bar, 7800.0, epochs=1, images_per_second=7.9)
    assert "about 2 h 10 min for 1 epoch at 7.9 images/s" in capsys.readouterr().err


def test_durations_are_said_in_words():
    assert [duration(s) for s in (0, 59.4, 60, 3599, 3600, 86_399, 90_000)] == [
        "0 s", "59 s", "1 min", "1 h", "1 h", "1 d", "1 d 1 h",
    ]  # fmt: skip


def test_a_farewell_says_where_the_run_stands_and_how_it_goes_on(tmp_path):
    said = farewell(2, 5, tmp_path / "checkpoint.pt")
    assert said.startswith("Interrupted after epoch 2 and 5 steps of the next. Saved as ")
    assert said.endswith("checkpoint.pt. To go on, start the same run again.")
    assert farewell(0, 1, None).endswith("Nothing was saved: pass folder=... to be able to go on.")


def test_what_leaves_a_float64_network_is_float64():
    devices = Devices(torch.device("cpu"), 1, "64-true")
    network = devices.fabric.setup_module(nn.Linear(2, 2).double())
    inputs = torch.full((1, 2), 1 / 3, dtype=torch.float64)
    assert devices.dtype == torch.float64
    assert network(inputs).dtype == torch.float64
    assert torch.equal(network(inputs), nn.functional.linear(inputs, network.weight, network.bias))
