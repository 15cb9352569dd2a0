"""A script for test_checkpoints: kills a training process over and over, at random moments, and resumes it each time.

It forks, so that torch is imported once; the parent computes nothing, so that the children may.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from dmlbook.training import fit
from tests.training.training_toys import outcome, toy_config, toy_loss, toy_net, toy_set

CONFIG = toy_config(epochs=4)


def train(folder, target=None):
    torch.set_num_threads(1)
    result = fit(toy_net(), toy_loss(), toy_set(), CONFIG, validation=toy_set(1, "val"), folder=folder, device="cpu")
    if target is not None:
        torch.save(outcome(result), target)


def die_while_writing(calls, half):
    """The process kills itself at its ``calls``-th checkpoint: with half of the file written, or before it is named."""
    save, replace, count = torch.save, os.replace, 0

    def killing_save(state, file):
        nonlocal count
        count += 1
        save(state, file)
        if count == calls and half:
            file.truncate(file.tell() // 2)
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    def killing_replace(source, destination):
        if count == calls and not half:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, destination)

    torch.save, os.replace = killing_save, killing_replace


def child(work):
    """Runs ``work`` in a new process; returns its number."""
    number = os.fork()
    if number == 0:
        try:
            work()
        except BaseException as error:
            print(f"child: {error!r}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return number


def main(folder, kills=9):
    import lightning.fabric  # noqa: F401  in the parent, once

    chance = random.Random(0)
    start = time.perf_counter()
    status = os.waitpid(child(lambda: train(None, folder / "expected.pt")), 0)[1]
    assert status == 0, "the uninterrupted run failed"
    duration, killed, whole = time.perf_counter() - start, 0, False
    for attempt in range(kills + 21):
        writing = attempt < 4

        def work(attempt=attempt, writing=writing):
            if writing:
                die_while_writing(calls=1 + attempt // 2, half=attempt % 2 == 0)
            train(folder / "run", folder / "actual.pt")

        number = child(work)
        if not writing and attempt < kills:
            time.sleep(chance.random() * duration)
            os.kill(number, signal.SIGKILL)
        status = os.waitpid(number, 0)[1]
        if status == 0:
            whole = True
            break
        assert os.WIFSIGNALED(status), "a resumed run failed"
        killed += 1
    print(f"killed {killed} whole {whole}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
