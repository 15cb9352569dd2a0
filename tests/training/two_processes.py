"""A script for test_processes: the processes of one run on the CPU, started by Fabric, by torchrun or by the test."""

import os
import sys
import time

import torch
from torch import nn

from dmlbook.training import Place, fit
from tests.training.training_toys import outcome, toy_config, toy_loss, toy_net, toy_set

steps = []


def die_in_the_eighth_step():
    """Kills the process whose number the environment names; the others are slow enough to be seen."""
    steps.append(0)
    if len(steps) == 8 and os.environ.get("LOCAL_RANK") == os.environ["KILL_RANK"]:
        os.kill(os.getpid(), 9)
    time.sleep(0.1)


class Both(nn.Module):
    """A loss with weights of its own, and one that needs the triplets across the two processes."""

    def __init__(self):
        super().__init__()
        self.centers, self.triplets = toy_loss("softtriple"), toy_loss("semihard")

    def forward(self, embeddings, labels):
        if "KILL_RANK" in os.environ:
            die_in_the_eighth_step()
        return self.centers(embeddings, labels) + self.triplets(embeddings, labels)


KINDS = {
    "frozen": {},
    "live": {"freeze_batch_norm": False},
    "double": {"precision": "64-true"},
    "double-live": {"precision": "64-true", "freeze_batch_norm": False},
    "double-class": {"precision": "64-true", "sampler": "class", "batch_size": 9, "samples_per_class": 3},
    "double-head": {"precision": "64-true", "freeze_backbone": True},
    "double-rests": {"precision": "64-true", "freeze_batch_norm": False, "head_epochs": 1},
    "double-pieces": {"precision": "64-true", "micro_batch": 3},
    "mined": {},
}


def run(devices, folder=None, *, kind="frozen", epochs=3, nodes=1):
    torch.set_num_threads(1)
    net = toy_net()
    net.train()(toy_set().images / 255)  # statistics, for where they are frozen
    usual = {"freeze_batch_norm": True, "batch_size": 15, "epochs": epochs}  # the last batch has 10, the others are odd
    config = toy_config(**usual | KINDS[kind])
    validation = toy_set(1, "val") if kind not in ("frozen", "mined") else None
    place = Place("cpu", devices, nodes)
    if kind == "mined":
        from pytorch_metric_learning.miners import UniformHistogramMiner  # it draws

        loss, miner = toy_loss("triplet"), UniformHistogramMiner(num_bins=4, pos_per_bin=3, neg_per_bin=5)
        return fit(net, loss, toy_set(), config, miner=miner, folder=folder, device=place, progress=False)
    return fit(net, Both(), toy_set(), config, validation=validation, folder=folder, device=place, progress=False)


if __name__ == "__main__":
    target, kind, epochs, devices, nodes = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    result = run(devices, target, kind=kind, epochs=epochs, nodes=nodes)
    torch.save(outcome(result), f"{target}/rank{result.rank}.pt")
