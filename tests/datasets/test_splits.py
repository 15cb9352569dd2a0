"""Splits by class: nothing of a class is on both sides."""

from __future__ import annotations

import pytest
import torch

from dmlbook import datasets, records
from dmlbook.datasets.image_set import ImageSet
from dmlbook.datasets.splits import closed_set, join, split_classes, training_classes
from dmlbook.seeding import generator


def image_set(classes: int = 10, each: int = 3, *, first: int = 0, **fields) -> ImageSet:
    """Image i of class c is filled with 10 c + i; classes are named by their number."""
    values = torch.tensor([10 * c + i for c in range(first, first + classes) for i in range(each)])
    return ImageSet(
        images=values.byte()[:, None, None, None].expand(-1, 3, 2, 2),
        labels=torch.arange(classes).repeat_interleave(each),
        class_names=tuple(str(c) for c in range(first, first + classes)),
        **{"split": "train", "name": "numbers"} | fields,
    )


@pytest.mark.parametrize(("classes", "training"), [(2, 1), (5, 3), (196, 98), (200, 100)])
def test_the_first_half_of_the_classes_trains(classes, training):
    assert training_classes(classes) == training


def test_validation_holds_out_whole_classes():
    whole = image_set()
    train, validation = split_classes(whole, validation=0.3, generator=generator(0, "validation"))
    assert (train.num_classes, validation.num_classes) == (7, 3)
    assert (len(train), len(validation)) == (21, 9)
    assert sorted(train.class_names + validation.class_names) == sorted(whole.class_names)
    assert (train.split, validation.split) == ("train", "validation")
    for part in (train, validation):  # every image is still under its own name, numbered anew
        named = torch.tensor([int(part.class_names[label]) for label in part.labels.tolist()])
        torch.testing.assert_close(part.images[:, 0, 0, 0].long() // 10, named)


def test_the_held_out_classes_follow_from_the_seed_alone():
    def held_out(seed: int) -> tuple[str, ...]:
        return split_classes(image_set(), validation=0.5, generator=generator(seed, "validation"))[1].class_names

    assert held_out(1) == held_out(1)
    assert len({held_out(seed) for seed in range(10)}) > 5


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (0.0, "a finite number > 0"),
        (1.5, "< 1"),
        (0.1, "two classes on each side; got 9 and 1 of 10"),
        (0.9, "got 1 and 9"),
    ],
)
def test_a_share_that_leaves_too_few_classes_is_refused(validation, message):
    with pytest.raises(ValueError, match=message):
        split_classes(image_set(), validation=validation, generator=generator(0))


def test_settings_are_not_chosen_on_test_classes():
    with pytest.raises(ValueError, match="must hold training classes; got split 'test'"):
        split_classes(image_set(split="test"), generator=generator(0))


def test_joined_sets_keep_every_image_under_its_name():
    fields = {"aspects": torch.ones(12), "kinds": torch.arange(2).repeat(6), "paths": tuple("abcdefghijkl")}
    first = image_set(4, kind_names=("sits", "flies"), **fields)
    second = image_set(4, first=2, kind_names=("swims", "sits"), **fields)
    both = join(first, second)
    assert (len(both), both.split, both.class_names) == (24, "all", ("0", "1", "2", "3", "4", "5"))
    torch.testing.assert_close(both.images[:, 0, 0, 0].long() // 10, both.labels)
    assert [both.kind_names[kind] for kind in both.kinds[[0, 1, 12, 13]].tolist()] == ["sits", "flies", "swims", "sits"]
    assert both.paths == (*"abcdefghijkl", *"abcdefghijkl")
    assert len(both.aspects) == 24


def test_sets_of_which_only_one_knows_something_are_not_joined():
    with pytest.raises(ValueError, match="aspects must be known for both sets or for none"):
        join(image_set(aspects=torch.ones(30)), image_set(first=10))


@pytest.mark.bad_input
@pytest.mark.parametrize("share", [0, 1, 1.5])
def test_a_share_is_neither_nothing_nor_all(share):
    numbers = generator(0)
    for draw, name in (
        (lambda: split_classes(image_set(10, 2), validation=share, generator=numbers), "validation"),
        (lambda: closed_set(image_set(10, 2), share, generator=numbers), "held_out"),
        (lambda: datasets.split_images(image_set(10, 2), share, generator=numbers), "share"),
        (lambda: datasets.protocol("digits", "closed", held_out=share), "held_out"),
        (lambda: records.interval([1.0, 2.0], level=share), "level"),
    ):
        with pytest.raises(ValueError, match=f"{name} must be a finite number > 0 and < 1; got {share}"):
            draw()
