"""Seeds by name are the same on every machine."""

import subprocess
import sys

import torch

from dmlbook import seeding


def test_named_generators_are_the_same_in_every_process_and_differ_by_name_and_seed():
    def draw(*names):
        return torch.rand(4, generator=seeding.generator(*names)).tolist()

    assert draw(1, "a") == draw(1, "a")
    assert draw(1, "a") != draw(1, "b")
    assert draw(1, "a") != draw(2, "a")
    assert draw(1, "ab", "c") != draw(1, "a", "bc")
    script = "from dmlbook.seeding import named_seed; print(named_seed(1, 'sampler', 3))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert int(printed) == seeding.named_seed(1, "sampler", 3)


def test_a_named_seed_is_the_same_on_every_machine_and_fits_in_63_bits():
    assert seeding.named_seed(1, "sampler") == 5664748819516242636
    assert all(seeding.named_seed(seed).bit_length() <= 63 for seed in range(100))
