"""A script for test_training: Fabric starts it a second time, and the two processes train together on the CPU."""

import sys

import torch
from torch import nn

from dmlbook.training import Place, fit
from tests.training.training_toys import outcome, toy_config, toy_loss, toy_net, toy_set


class Both(nn.Module):
    """A loss with weights of its own, and one that needs the triplets across the two processes."""

    def __init__(self):
        super().__init__()
        self.centers, self.triplets = toy_loss("softtriple"), toy_loss("semihard")

    def forward(self, embeddings, labels):
        return self.centers(embeddings, labels) + self.triplets(embeddings, labels)


def run(devices, folder=None, *, live=False):
    torch.set_num_threads(1)
    net = toy_net()
    net.train()(toy_set().images / 255)  # statistics, for where they are frozen
    config = toy_config(freeze_batch_norm=not live, batch_size=15)  # the last batch has 10 images, the others are odd
    return fit(net, Both(), toy_set(), config, folder=folder, device=Place("cpu", devices), progress=False)


if __name__ == "__main__":
    result = run(2, folder=sys.argv[1], live=sys.argv[2:] == ["live"])
    torch.save(outcome(result), f"{sys.argv[1]}/rank{result.rank}.pt")
