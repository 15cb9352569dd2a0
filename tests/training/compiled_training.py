"""A script for test_compiling: compiled and plain runs go on from each other. Dynamo cannot trace shape types."""

import sys

import torch

from dmlbook.training import fit
from tests.training.training_toys import outcome, toy_config, toy_loss, toy_net, toy_set


def run(folder=None, **options):
    config = toy_config(**{"batch_size": 15} | options)  # the last batch is smaller
    return fit(toy_net(), toy_loss(), toy_set(), config, folder=folder, device="cpu", progress=False)


if __name__ == "__main__":
    torch.set_num_threads(1)
    made, compile_ = [], torch.compile
    torch.compile = lambda *arguments, **options: made.append(options) or compile_(*arguments, **options)
    plain = outcome(run())
    for epochs, chosen in ((1, True), (2, False), (3, True)):
        result = run(sys.argv[1], epochs=epochs, compile=chosen)
    breaks = sum(torch._dynamo.utils.counters["graph_break"].values())
    found = {"plain": plain["state"], "mixed": outcome(result)["state"], "breaks": breaks}
    torch.save(found | {"networks": made.count({"dynamic": False})}, f"{sys.argv[1]}/found.pt")
