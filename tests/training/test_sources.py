"""Sources: the same questions, asked of pictures and of features."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from dmlbook.training import Features, Views, embed
from dmlbook.training.devices import Devices
from dmlbook.training.sources import Pictures, kind_of_source
from dmlbook.training.state import RunState
from dmlbook.training.stepping import Stepper
from tests.training.training_toys import toy_config, toy_loss, toy_net, toy_set

CPU = torch.device("cpu")


def test_pictures_are_shown_in_the_views_of_their_step_and_train_the_whole_network():
    data, net, config = toy_set(), toy_net(), toy_config()
    source = Pictures.of(data, net, config, CPU)
    index, part = torch.tensor([7, 3, 30, 4]), torch.tensor([1, 2])
    shown = source.inputs(source.parts(index, epoch=2, step=1, part=part))
    assert torch.equal(shown, Views(data, config).for_training(index, CPU, epoch=2, step=1)[part])
    assert not torch.equal(shown, source.inputs(source.parts(index, epoch=3, step=1, part=part)))
    assert Pictures.trained(net) is net
    assert torch.equal(source.embeddings(net), embed(net, data, config=config))


def test_features_are_the_same_in_every_step_and_train_the_head():
    data, net, config = toy_set(), toy_net(), toy_config()
    source = Features.of(data, net, config, CPU)
    torch.testing.assert_close(source.features, embed(net, data, features=True))
    assert (len(source), source.num_classes, source.name, source.split) == (40, 5, "toy", "train")
    index, part = torch.tensor([7, 3, 30, 4]), torch.tensor([1, 2])
    assert torch.equal(source.inputs(source.parts(index, epoch=1, step=0, part=part)), source.features[[3, 30]])
    assert torch.equal(source.inputs(source.parts(index, epoch=2, step=5, part=part)), source.features[[3, 30]])
    assert Features.trained(net) is net.head
    other = nn.Linear(4, 2)
    assert Features.trained(other) is other
    torch.testing.assert_close(source.embeddings(net), embed(net, data), atol=1e-6, rtol=1e-5)
    again = Features.of(source, net, config, CPU)
    assert torch.equal(again.features, source.features)


def test_images_become_features_where_the_backbone_is_frozen():
    frozen = toy_config(freeze_backbone=True)
    features = Features(torch.ones(3, 2), torch.tensor([0, 1, 1]))
    assert kind_of_source(toy_set(), toy_config()) is Pictures
    assert kind_of_source(toy_set(), frozen) is Features
    assert kind_of_source(features, toy_config()) is Features
    assert features.num_classes == 2
    assert replace(features, num_classes=5).num_classes == 5


def test_a_state_is_what_it_was_after_plain_values():
    state = RunState.start(CPU)
    state.loss_sum += 0.1
    state.images, state.seconds, state.step, state.epoch = 7, 1.5, 2, 3
    state.history, state.best = [{"epoch": 3, "loss": 0.2}], {"epoch": 2}
    other = RunState.start(CPU)
    other.load(state.to_dict() | {"net": {}})
    assert other == state
    assert state.to_dict()["loss_sum"] == pytest.approx(0.1)
    assert state.loss_sum.dtype == torch.float64
    state.begin_epoch()
    assert (float(state.loss_sum), state.images, state.seconds, state.step) == (0.0, 0, 0.0, 0)
    assert (state.epoch, state.history, state.best) == (3, other.history, other.best)


def test_a_step_is_seeded_as_torch_seeds_itself():
    devices = Devices(CPU, 1, "32-true")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        expected = torch.rand(3)
        devices.seed(5)
        assert torch.equal(torch.rand(3), expected)


def test_one_process_keeps_its_batch_its_gradients_and_its_opinion():
    devices, rows = Devices(CPU, 1, "32-true"), torch.rand(5, 2)
    assert (devices.rank, devices.world, devices.device) == (0, 1, CPU)
    devices.begin_batch(5)
    assert devices.own == 5
    assert torch.equal(devices.gathered(rows, 5), rows)
    assert torch.equal(devices.mean(rows), rows)
    assert (devices.any(True), devices.any(False), devices.agreed(0.3)) == (True, False, 0.3)


def test_a_stepper_moves_network_and_centers_at_the_rates_of_the_epoch():
    net, loss, data = toy_net(), toy_loss(), toy_set()
    config = toy_config(milestones=(2,), lr_decay=0.5, loss_lr=None)
    stepper = Stepper(net, loss, config, Devices(CPU, 1, "32-true"))
    stepper.set_epoch(1)
    assert stepper.rates() == {"lr": 1e-3, "loss_lr": 1e-3}
    before = [weight.clone() for weight in (net.head.linear.weight, loss.weight)]
    with torch.random.fork_rng(devices=[]):
        value, numbers = stepper.gradients(data.images / 255, data.labels, epoch=1, step=0)
    gradients = [weight.grad for weight in stepper.weights]
    assert float(numbers[0]) == float(value)
    assert float(numbers[1]) == pytest.approx(float(torch.cat([g.flatten() for g in gradients]).norm()), rel=1e-5)
    assert torch.equal(net.head.linear.weight, before[0])
    stepper.apply()
    assert not torch.equal(net.head.linear.weight, before[0])
    assert not torch.equal(loss.weight, before[1])
    stepper.set_epoch(2)
    assert stepper.rates() == {"lr": 5e-4, "loss_lr": 5e-4}


@pytest.mark.bad_input
@pytest.mark.parametrize("labels", [[5, 0, 1], [-1, 0, 1]])
def test_labels_of_features_number_the_classes(labels):
    with pytest.raises(ValueError, match=r"Features: labels must number the classes from 0; got .* for 2 classes"):
        Features(torch.rand(3, 4), torch.tensor(labels), num_classes=2)
    with pytest.raises(ValueError, match="labels must number the classes from 0; got -1 to"):
        Features(torch.rand(2, 4), torch.tensor([-1, 1]))
    assert Features(torch.rand(0, 4), torch.zeros(0, dtype=torch.long)).num_classes == 0
