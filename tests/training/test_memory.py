"""Where memory ends: pieces give the gradient of the whole, and what is said can be done."""

import copy

import pytest
import torch
from torch import nn

from dmlbook import nets
from dmlbook.__main__ import main
from dmlbook.training import TrainConfig, Views, checkpoints, embed, fit, memory, outside, preflight
from dmlbook.training.memory import InPieces, OutOfMemory, is_out_of_memory
from tests.training.training_toys import assert_same, outcome, toy_config, toy_loss, toy_net, toy_set

CPU_WORDS = (
    "[enforce fail at alloc_cpu.cpp:124] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"
)


def _seen(net):
    """With statistics, for where they are frozen."""
    net.train()(toy_set().images / 255)
    return net


def _run(loss="triplet", folder=None, net=None, **options):
    config = toy_config(**{"freeze_batch_norm": True, "batch_size": 20, "precision": "64-true"} | options)
    return fit(net or _seen(toy_net()), toy_loss(loss), toy_set(), config, folder=folder, device="cpu", progress=False)


def _by_literal_halves(net, loss, images, labels):
    """GradCache in words: embeddings, the loss's gradient of them, then each half once more against its share."""
    with torch.no_grad():
        embeddings = torch.cat([net(half) for half in images.split(10)])
    embeddings.requires_grad_()
    loss(embeddings, labels).backward()
    for half, gradient in zip(images.split(10), embeddings.grad.split(10), strict=True):
        net(half).backward(gradient)


@pytest.mark.parametrize("name", ["triplet", "lifted", "softtriple", "npairs"])
@pytest.mark.parametrize("size", [1, 7, 10])
def test_pieces_give_the_gradient_of_the_whole_batch_for_losses_that_compare_its_images(name, size):
    net = nets.freeze_batch_norm(_seen(toy_net())).double().train()
    loss, data = toy_loss(name).double(), toy_set()
    index = torch.arange(0, 40, 2)
    images, labels = data.images[index].double() / 255, data.labels[index]
    others = [copy.deepcopy(net) for _ in range(2)]
    loss(net(images), labels).backward()
    _by_literal_halves(others[0], loss, images, labels)
    loss(InPieces(others[1], size)(images), labels).backward()
    for other in others:
        for weight, mine in zip(net.parameters(), other.parameters(), strict=True):
            assert weight.grad.abs().max() > 0
            torch.testing.assert_close(mine.grad, weight.grad, atol=1e-12, rtol=1e-9)


def test_the_mean_of_two_halves_is_another_gradient_which_is_why_there_are_pieces():
    net, loss = toy_net().eval().double(), toy_loss("triplet").double()
    data, index = toy_set(), torch.arange(0, 40, 2)
    images, labels = data.images[index].double() / 255, data.labels[index]
    whole = torch.autograd.grad(loss(net(images), labels), net.head.linear.weight)[0]
    halves = sum(loss(net(images[h::2]), labels[h::2]) for h in (0, 1)) / 2
    apart = torch.autograd.grad(halves, net.head.linear.weight)[0] - whole
    assert apart.norm() > 0.05 * whole.norm()


def test_no_piece_keeps_its_insides_and_each_passes_twice():
    calls, net = [], nn.Linear(3, 2)
    net.register_forward_pre_hook(lambda _, inputs: calls.append((len(inputs[0]), torch.is_grad_enabled())))
    found = InPieces(net, 4)(torch.randn(10, 3))
    assert [size for size, _ in calls] == [4, 4, 2]
    found.sum().backward()
    assert sorted(size for size, _ in calls) == [2, 2, 4, 4, 4, 4]
    with torch.no_grad():
        InPieces(net, 4)(torch.randn(10, 3))
    assert calls[-1] == (10, False)


@pytest.mark.parametrize("loss", ["triplet", "softtriple"])
def test_a_run_in_pieces_is_the_run(loss):
    whole, pieces = outcome(_run(loss)), outcome(_run(loss, micro_batch=6))
    for name, value in whole["state"].items():
        torch.testing.assert_close(pieces["state"][name], value, atol=1e-6, rtol=1e-6)
    assert [r["loss"] for r in pieces["history"]] == pytest.approx([r["loss"] for r in whole["history"]], rel=1e-6)


@pytest.fixture
def scarce(monkeypatch):
    """Memory for eight images with their gradients, and a list of how many were tried."""
    tried, forward = [], nets.EmbeddingNet.forward

    def limited(self, images):
        if torch.is_grad_enabled() and self.training:
            tried.append(len(images))
            if len(images) > 8:
                raise RuntimeError(CPU_WORDS)
        return forward(self, images)

    monkeypatch.setattr(nets.EmbeddingNet, "forward", limited)
    return tried


def test_where_memory_ends_pieces_are_halved_if_asked_and_the_result_is_the_same(request, capsys):
    whole, net = outcome(_run(net=_filled(), micro_batch=5)), _filled()
    tried = request.getfixturevalue("scarce")
    pieces = outcome(_run(net=net, on_memory="halve"))
    assert tried[:3] == [20, 10, 5]
    assert max(tried[2:]) == 5  # and stays so
    assert_same(pieces, whole)
    said = capsys.readouterr().err
    assert said.count("note: memory ended; 5 images pass the network at a time") == 1


def test_where_memory_ends_the_message_says_what_to_change(scarce, tmp_path):
    net = _filled()
    with pytest.raises(OutOfMemory) as told:
        _run(net=net, precision="32-true", folder=tmp_path)
    text = str(told.value)
    assert "memory ended on cpu in a step of 20 images of 16 x 16 pixels in 32-true (" in text
    assert "Pass micro_batch=10 for the same result in less memory" in text
    assert "batch_size=10" in text
    assert "bf16" not in text  # it takes no less on a CPU
    with pytest.raises(OutOfMemory, match=r"in 64-true, 12 at a time .* Pass micro_batch=6 .* precision=\"32-true\""):
        _run(net=_filled(), micro_batch=12)
    with pytest.raises(OutOfMemory, match="Train on less with batch_size=10"):
        _run(net=_filled(), freeze_batch_norm=False)
    assert checkpoints.find(tmp_path) == []


def _filled():
    net = toy_net()
    with torch.no_grad():
        _seen(net)
    return net


def test_pieces_end_at_one_image(monkeypatch, capsys):
    net, whole = _filled(), nets.EmbeddingNet.forward
    monkeypatch.setattr(
        nets.EmbeddingNet,
        "forward",
        lambda self, images: (_ for _ in ()).throw(MemoryError("no more")) if self.training else whole(self, images),
    )
    with pytest.raises(OutOfMemory, match="1 at a time .* Train on less with"):
        _run(net=net, on_memory="halve")
    assert capsys.readouterr().err.count("note: memory ended") == 5  # 10, 5, 3, 2, 1


def test_a_memory_of_former_batches_is_not_filled_twice():
    failed = []

    class Remembering(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.steps = toy_loss("softtriple"), 0
            self.register_buffer("seen", torch.zeros(()))

        def forward(self, embeddings, labels):
            self.steps += 1
            self.seen += len(labels)
            if self.steps == 2 and not failed:
                failed.append(0)
                raise RuntimeError("CUDA out of memory")  # after it has remembered
            return self.inner(embeddings, labels)

    loss, net = Remembering(), _filled()
    config = toy_config(freeze_batch_norm=True, batch_size=20, epochs=1, on_memory="halve", micro_batch=8)
    fit(net, loss, toy_set(), config, device="cpu", progress=False)
    assert (loss.steps, int(loss.seen), failed) == (2, 40, [0])


def test_pieces_are_refused_where_they_would_change_the_result():
    for options in ({"micro_batch": 4}, {"on_memory": "halve"}):
        with pytest.raises(ValueError, match=f"{next(iter(options))} must be left out with batch norm that measures"):
            _run(freeze_batch_norm=False, **options)
    with pytest.raises(ValueError, match="on_memory must be stop with several processes"):
        memory.check_pieces(nn.Linear(1, 1), TrainConfig(on_memory="halve"), 2)
    memory.check_pieces(nn.Linear(1, 1), TrainConfig(micro_batch=4, freeze_batch_norm=False), 2)


def test_a_run_may_go_on_in_other_pieces(tmp_path):
    _run(folder=tmp_path, epochs=1)
    result = _run(folder=tmp_path, epochs=3, micro_batch=5, on_memory="halve")
    assert len(result.history) == 3


def test_what_counts_as_the_end_of_memory():
    ends = [MemoryError(), torch.OutOfMemoryError("CUDA out of memory."), RuntimeError(CPU_WORDS)]
    ends.append(RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"))
    assert all(is_out_of_memory(error) for error in ends)
    assert not any(is_out_of_memory(error) for error in (RuntimeError("shapes differ"), ValueError("out of memory")))


def test_the_command_line_says_it_in_its_own_words(scarce, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("DMLBOOK_DATA", str(tmp_path))
    line = ["train", "--data", "birds", "--loss", "softmax", "--batch-size", "16", "--no-baseline"]
    line += ["--data-option", "num_species=4", "--data-option", "images_per_species=8", "--epochs", "1"]
    assert main([*line, "--folder", str(tmp_path / "run")]) == 1
    told = capsys.readouterr().err
    assert told.count("error: ") == 1
    assert "memory ended" in told
    assert "--batch-size 8" in told


def test_a_network_is_wrapped_where_pieces_are_asked_for_and_left_alone_elsewhere():
    net = nn.Linear(1, 1)
    assert memory.in_pieces(net, TrainConfig()) is net
    assert memory.in_pieces(net, TrainConfig(micro_batch=3)).size == 3
    assert memory.in_pieces(net, TrainConfig(on_memory="halve")).size is None
    memory.release(torch.device("cpu"))


def test_the_advice_of_a_gpu_says_what_was_in_use_and_offers_bf16(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (3e9, 80e9))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 76e9)
    text = memory.advice(TrainConfig(batch_size=64), (64, 3, 224, 224), torch.device("cuda"), nn.Linear(1, 1))
    assert "(76.0 GB in use at the most, 3.0 of 80.0 GB free)" in text
    assert 'train on less with batch_size=32 or image_size=144 or precision="bf16-mixed"' in text
    assert "Pass micro_batch=32" in text


def test_a_step_that_fails_for_another_reason_is_not_done_again():
    class Stepper:
        loss, trained, calls = nn.Linear(1, 1), nn.Linear(1, 1), 0

        def gradients(self, inputs):
            self.calls += 1
            raise RuntimeError("shapes differ")

    stepper = Stepper()
    with pytest.raises(RuntimeError, match="shapes differ"):
        memory.Remedied(stepper, TrainConfig(on_memory="halve"))(torch.ones(2, 1))
    assert stepper.calls == 1


def test_all_that_a_forward_pass_may_change_is_put_back():
    loss = nn.BatchNorm1d(2)
    loss.steps = [1, 2]
    before = outside.with_buffers("loss", loss)
    loss(torch.randn(4, 2))
    loss.steps.append(3)
    outside.restore("loss", loss, before, torch.device("cpu"))
    assert (loss.steps, int(loss.num_batches_tracked), loss.running_mean.tolist()) == ([1, 2], 0, [0.0, 0.0])


def test_what_cannot_be_computed_is_refused_before_the_work():
    config = toy_config(micro_batch=4)
    with pytest.raises(ValueError, match="micro_batch must be left out"):
        preflight.check_means(toy_net(), toy_set(), config, torch.device("cpu"), 1)


@pytest.mark.parametrize("where", ["apply", "inputs"])
def test_memory_that_ends_beside_the_gradients_is_told_too(monkeypatch, where):
    def end(*arguments, **options):
        raise MemoryError

    owner = {"apply": "stepping.Stepper.apply", "inputs": "sources.Pictures.inputs"}[where]
    monkeypatch.setattr(f"dmlbook.training.{owner}", end)
    with pytest.raises(
        memory.OutOfMemory, match=r"fit: memory ended on cpu in a step of 16 images.* batch_size=8"
    ) as told:
        fit(toy_net(), toy_loss(), toy_set(), toy_config(), device="cpu", progress=False)
    assert "checkpoint" not in str(told.value)


def test_a_checkpoint_is_spoken_of_where_there_is_a_folder(tmp_path, monkeypatch):
    def end(*arguments, **options):
        raise MemoryError

    monkeypatch.setattr("dmlbook.training.stepping.Stepper.gradients", end)
    for folder in (tmp_path, None):
        with pytest.raises(memory.OutOfMemory) as told:
            fit(toy_net(), toy_loss(), toy_set(), toy_config(), folder=folder, device="cpu", progress=False)
        assert memory.BEFORE.strip() == "The last checkpoint was written before it."
        assert (memory.BEFORE in str(told.value)) == (folder is not None)


def test_fewer_images_are_embedded_at_a_time_where_pythons_own_memory_ends(monkeypatch):
    draw, sizes = Views.drawn, []

    def tight(self, parts):
        sizes.append(len(parts.images))
        if len(parts.images) > 20:
            raise MemoryError
        return draw(self, parts)

    expected = embed(toy_net(), toy_set())
    monkeypatch.setattr(Views, "drawn", tight)
    assert torch.allclose(embed(toy_net(), toy_set(), batch_size=32), expected)
    assert sizes == [32, 16, 16, 8]
