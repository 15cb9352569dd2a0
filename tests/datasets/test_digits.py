"""The digits that come with scikit-learn."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits

from dmlbook.datasets import digits


def test_the_halves_are_split_by_digit_and_hold_every_drawing():
    train, test, everything = (digits.load(split) for split in ("train", "test", "all"))
    assert (len(train), len(test), len(everything)) == (901, 896, 1797)
    assert (train.class_names, test.class_names) == (tuple("01234"), tuple("56789"))
    assert set(train.class_names).isdisjoint(test.class_names)
    assert train.images.shape == (901, 3, 32, 32)


@pytest.mark.parametrize("split", ["train", "test"])
def test_each_image_is_under_its_own_digit(split):
    found, drawings = digits.load(split, size=8), load_digits()
    wanted = [int(name) for name in found.class_names]
    chosen = [i for i, digit in enumerate(drawings.target) if digit in wanted]
    assert [wanted[label] for label in found.labels.tolist()] == drawings.target[chosen].tolist()
    ink = torch.as_tensor(drawings.images[chosen]).float()  # at 8 pixels nothing is enlarged: 16 is 255
    for channel in range(3):
        torch.testing.assert_close(found.images[:, channel].float(), ink * 255 / 16, atol=0.5, rtol=0)


def test_enlarging_keeps_the_drawing():
    small, large = digits.load("all", size=8), digits.load("all", size=32)
    back = torch.nn.functional.avg_pool2d(large.images.float(), 4)
    assert torch.corrcoef(torch.stack([back.flatten(), small.images.float().flatten()]))[0, 1] > 0.95


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("split", "size", "message"), [("dev", 32, "split must be one of"), ("all", 7, "size must be an")]
)
def test_bad_input_is_named(split, size, message):
    with pytest.raises(ValueError, match=message):
        digits.load(split, size=size)
