"""Image sets: nothing is selected that is not there, and labels of every width are those of int64."""

from __future__ import annotations

import pytest
import torch

from dmlbook._checks.messages import brief
from dmlbook.datasets import kinds_as_classes, merge_classes, split_classes, split_images
from dmlbook.datasets.image_set import ImageSet
from dmlbook.datasets.splits import join
from dmlbook.seeding import generator
from tests.datasets.test_splits import image_set

WHOLE = image_set(4, paths=tuple("abcdefghijkl"), kinds=torch.arange(12) % 3, kind_names=("x", "y", "z"))
nan = float("nan")


def test_images_are_selected_in_the_order_asked_for_and_classes_numbered_anew():
    found = WHOLE.select(torch.tensor([11, 3, 3, 0]))
    assert found.images[:, 0, 0, 0].tolist() == [32, 10, 10, 0]
    assert (found.labels.tolist(), found.class_names, found.paths) == ([2, 1, 1, 0], ("0", "1", "3"), tuple("ldda"))
    assert WHOLE.of_classes(torch.tensor([3, 1])).class_names == ("1", "3")


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16])
def test_numbers_of_every_width_are_those_of_int64(dtype):
    many = image_set(130, each=2)  # 260 images: their numbers do not fit in a byte, those of their classes do
    narrow = ImageSet(many.images, many.labels.to(torch.uint8), many.class_names, kinds=many.labels.to(torch.uint8),
                      kind_names=many.class_names)  # fmt: skip
    assert (narrow.labels.dtype, narrow.kinds.dtype) == (torch.int64, torch.int64)
    chosen = torch.tensor([0, 100, 127])
    for select in (narrow.select, narrow.of_classes):
        found, expected = select(chosen.to(dtype)), select(chosen)
        assert torch.equal(found.images, expected.images)
        assert torch.equal(found.labels, expected.labels)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: WHOLE.of_classes(torch.tensor([99])), r"classes must lie in 0..3; got 99. There are 4 classes"),
        (lambda: WHOLE.of_classes(torch.tensor([-1])), r"classes must lie in 0..3; got -1"),
        (lambda: WHOLE.of_classes(torch.tensor([], dtype=torch.long)), "classes must name at least one; got none"),
        (lambda: WHOLE.of_classes(torch.tensor([1.0])), "classes must be integers; got torch.float32"),
        (lambda: WHOLE.of_classes([1]), "classes must be a tensor"),
        (lambda: WHOLE.select(torch.tensor([-1])), r"index must lie in 0..11; got -1. There are 12 images"),
        (lambda: WHOLE.select(torch.tensor([0, 12])), r"index must lie in 0..11; got 12"),
        (lambda: WHOLE.select(torch.tensor([nan])), "index must be integers; got torch.float32"),
        (lambda: WHOLE.select(torch.tensor([], dtype=torch.long)), "index must name at least one; got none"),
        (lambda: WHOLE.select(WHOLE.labels == 1), r"index must be integers; got torch.bool. A mask .*nonzero"),
        (lambda: WHOLE.select(torch.tensor([[0]])), r"index must be a tensor of shape \(M,\)"),
        (lambda: WHOLE.select(0), "index must be a tensor"),
    ],
)
def test_what_is_not_there_is_not_selected(call, message):
    with pytest.raises(ValueError, match=f"^ImageSet.(select|of_classes): {message}"):
        call()


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"images": WHOLE.images[:0], "labels": WHOLE.labels[:0], "class_names": ()}, "images must hold at least one"),
        ({"images": WHOLE.images[..., :0, :0]}, r"images must hold at least one; got shape \(12, 3, 0, 0\)"),
        ({"images": WHOLE.images.float()}, "images must be uint8"),
        ({"labels": WHOLE.labels.double()}, "labels must be integers; got torch.float64"),
        ({"labels": WHOLE.labels > 1}, "labels must be integers; got torch.bool"),
        ({"labels": WHOLE.labels * nan}, "labels must be integers; got torch.float32"),
        ({"labels": WHOLE.labels - 1}, "labels must be 0 to C - 1, each present"),
        ({"class_names": ("a", "b")}, "labels must be 0 to C - 1, each present"),
        ({"kinds": WHOLE.labels}, "kind_names must be known where kinds are; got None"),
        ({"kinds": WHOLE.labels, "kind_names": ("a",)}, r"kinds must lie in 0..0; got 3"),
        ({"kinds": WHOLE.labels - 1, "kind_names": tuple("abcd")}, r"kinds must lie in 0..3; got -1"),
        ({"kinds": WHOLE.labels.float(), "kind_names": tuple("abcd")}, "kinds must be integers"),
        ({"aspects": torch.full((12,), nan)}, "aspects must be width / height, finite and > 0"),
        ({"aspects": torch.zeros(12)}, "aspects must be width / height, finite and > 0"),
        ({"paths": ("a",)}, "paths must be as many as the images; got 12 images and 1 paths"),
    ],
)
def test_a_set_that_contradicts_itself_is_refused(fields, message):
    given = {"images": WHOLE.images, "labels": WHOLE.labels, "class_names": WHOLE.class_names} | fields
    with pytest.raises(ValueError, match=f"^ImageSet: {message}"):
        ImageSet(**given)


@pytest.mark.bad_input
@pytest.mark.parametrize("given", [None, 3, [], WHOLE.images])
def test_what_is_no_image_set_is_named(given):
    draw = {"generator": generator(0)}
    for call in (
        lambda: kinds_as_classes(given),
        lambda: merge_classes(given, 2, **draw),
        lambda: split_images(given, 0.5, **draw),
        lambda: split_classes(given, **draw),
    ):
        with pytest.raises(ValueError, match=f"image_set must be an ImageSet; got {brief(given)}. datasets.load"):
            call()
    with pytest.raises(ValueError, match="join: second must be an ImageSet"):
        join(WHOLE, given)


@pytest.mark.bad_input
@pytest.mark.parametrize("given", [0, "seed", torch.Generator])
def test_what_is_no_generator_is_named(given):
    for call in (
        lambda: merge_classes(WHOLE, 2, generator=given),
        lambda: split_images(WHOLE, 0.5, generator=given),
        lambda: split_classes(WHOLE, generator=given),
    ):
        with pytest.raises(ValueError, match=f"a torch.Generator.*; got {brief(given)}. seeding.generator"):
            call()


@pytest.mark.bad_input
def test_classes_of_one_name_are_refused_and_named():
    with pytest.raises(ValueError, match="class_names must name each class once; got twice a. Classes are matched by"):
        ImageSet(WHOLE.images, WHOLE.labels, ("a", "b", "a", "c"))
