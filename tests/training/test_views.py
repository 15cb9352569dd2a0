"""Views: the same picture as torchvision's crops, in the proportions of the original."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmlbook.datasets.image_set import ImageSet
from dmlbook.seeding import generator
from dmlbook.training import TrainConfig, Views
from dmlbook.training.views import Parts, center_boxes, draw, random_boxes
from tests.training.training_toys import toy_config, toy_set

CPU = torch.device("cpu")


def _images(count=4, side=32):
    coarse = torch.rand(count, 3, 6, 6, generator=generator(0, "images"))
    return (torch.nn.functional.interpolate(coarse, size=side, mode="bicubic").clamp(0, 1) * 255).byte()


def _set(count=4, side=32, aspects=None):
    return ImageSet(_images(count, side), torch.arange(count), tuple(map(str, range(count))), aspects=aspects)


def _loop_boxes(aspect, random, scale, ratio):
    """RandomResizedCrop's own loop, for one picture of height 1: width and height of the first crop that fits."""
    for _ in range(10):
        area = aspect * (scale[0] + (scale[1] - scale[0]) * random())
        shape = math.exp(math.log(ratio[0]) + (math.log(ratio[1]) - math.log(ratio[0])) * random())
        width, height = math.sqrt(area * shape), math.sqrt(area / shape)
        if width <= aspect and height <= 1:
            return width, height
    return min(aspect, ratio[1]), min(1, aspect / ratio[0])


@pytest.mark.parametrize("size", [12, 32, 40])
def test_a_view_is_torchvisions_resized_crop_of_the_float_image(size):
    from torchvision.transforms.v2 import functional as reference

    images = _images()
    corners = torch.tensor([[0, 0, 32, 32], [4, 8, 20, 24], [0, 16, 32, 32], [7, 3, 31, 30]])
    drawn = draw(images, corners / 32, torch.tensor([False, False, True, True]), size)
    for view, image, (left, top, right, bottom), flip in zip(
        drawn, images, corners.tolist(), (0, 0, 1, 1), strict=True
    ):
        side = [size, size]
        crop = reference.resized_crop(image.float() / 255, top, left, bottom - top, right - left, side, antialias=True)
        expected = crop.flip(-1) if flip else crop
        # Within a crop the two are one; at its border ours looks at the picture's next pixel, torchvision cannot.
        least = min(right - left, bottom - top)
        border = math.ceil(size / least) + 1 if least < 32 else 0
        inside = (slice(None), *[slice(border, size - border)] * 2)
        torch.testing.assert_close(view[inside], expected[inside], atol=1e-5, rtol=0)
        assert (view - expected).abs().max() < 0.1


def test_a_whole_picture_at_its_own_size_is_itself_and_a_flip_is_a_mirror():
    images = _images(2)
    whole = torch.tensor([[0.0, 0.0, 1.0, 1.0]] * 2)
    drawn = draw(images, whole, torch.tensor([False, True]), 32)
    torch.testing.assert_close(drawn[0], images[0] / 255)
    torch.testing.assert_close(drawn[1], images[1].flip(-1) / 255)


def test_a_box_over_the_edge_repeats_the_edge():
    images = _images(1)
    moved = draw(images, torch.tensor([[-0.25, 0.0, 0.75, 1.0]]), torch.tensor([False]), 32)[0]
    torch.testing.assert_close(moved[:, :, 8:], images[0, :, :, :24] / 255, atol=1e-5, rtol=0)
    torch.testing.assert_close(moved[:, :, :8], (images[0, :, :, :1] / 255).expand(3, 32, 8), atol=1e-5, rtol=0)


@pytest.mark.parametrize("aspect", [0.5, 1.0, 1.5])
def test_the_test_view_resizes_the_short_side_and_cuts_the_middle(aspect):
    from torchvision.transforms.v2 import functional as reference

    square = _images(1, 64)
    wide, high = (round(64 * aspect), 64) if aspect > 1 else (64, round(64 / aspect))
    original = reference.resize(square.float() / 255, [high, wide], antialias=True)
    factor = 32 / min(high, wide)
    short = reference.resize(original, [round(high * factor), round(wide * factor)], antialias=True)
    expected = reference.center_crop(short, [28, 28])
    image_set = ImageSet(square, torch.zeros(1, dtype=torch.long), ("a",), aspects=torch.tensor([wide / high]))
    view = Views(image_set, TrainConfig(image_size=28)).for_test(torch.tensor([0]), CPU)
    assert (view - expected).abs().mean() < 0.01
    assert (view - expected).abs().max() < 0.08


def test_the_size_of_a_view_is_what_the_test_view_cuts_out():
    drawn, photographs = _set(4, 32), _set(4, 64, torch.ones(4))
    assert Views(drawn, TrainConfig()).size == 32
    assert Views(photographs, TrainConfig()).size == 56
    assert Views(photographs, TrainConfig(test_crop=1.0)).size == 64
    assert Views(photographs, TrainConfig(image_size=24)).size == 24


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.floats(0.1, 10.0), st.floats(0.05, 1.0), st.floats(0.5, 1.0), st.floats(1.0, 2.0), st.integers(0, 1000))
def test_random_boxes_lie_in_the_picture_with_area_and_ratio_in_range(aspect, least, low, high, seed):
    boxes = random_boxes(torch.full((50,), aspect), generator(seed), scale=(least, 1.0), ratio=(low, high))
    left, top, right, bottom = boxes.unbind(1)
    assert boxes.min() >= -1e-6
    assert boxes.max() <= 1 + 1e-6
    ratio = (right - left) / (bottom - top) * aspect
    assert ratio.min() >= low - 1e-3
    assert ratio.max() <= high + 1e-3
    if low <= aspect <= high:
        assert ((right - left) * (bottom - top)).min() >= least - 1e-3


@pytest.mark.parametrize("aspect", [1.0, 1.5, 6.0])
def test_random_boxes_are_as_large_on_average_as_those_of_the_plain_loop(aspect):
    import random

    draw_one = random.Random(0).random
    loop = torch.tensor([_loop_boxes(aspect, draw_one, (0.08, 1.0), (3 / 4, 4 / 3)) for _ in range(4000)])
    boxes = random_boxes(torch.full((4000,), aspect), generator(0))
    ours = torch.stack([(boxes[:, 2] - boxes[:, 0]) * aspect, boxes[:, 3] - boxes[:, 1]], dim=1)
    torch.testing.assert_close(ours.mean(0), loop.mean(0), atol=0.02, rtol=0)
    torch.testing.assert_close(ours.std(0), loop.std(0), atol=0.02, rtol=0)


def test_the_center_box_of_a_wide_picture_is_its_middle():
    torch.testing.assert_close(center_boxes(torch.tensor([2.0]), 1.0), torch.tensor([[0.25, 0.0, 0.75, 1.0]]))
    torch.testing.assert_close(center_boxes(torch.tensor([0.5]), 0.5), torch.tensor([[0.25, 0.375, 0.75, 0.625]]))


def test_training_views_depend_on_seed_epoch_and_step_alone():
    index = torch.arange(4)

    def view(seed=1, epoch=2, step=3, part=index):
        return Views(_set(), TrainConfig(seed=seed)).for_training(index, CPU, epoch=epoch, step=step, part=part)

    assert torch.equal(view(), view())
    assert torch.equal(view()[2:], view(part=index[2:]))
    for other in ({"seed": 2}, {"epoch": 3}, {"step": 4}):
        assert not torch.equal(view(), view(**other))


def test_no_augmentation_is_the_test_view_and_a_shift_moves_it_by_little():
    index = torch.arange(12)

    def train(**options):
        views = Views(_set(12), TrainConfig(**options))
        return views.for_training(index, CPU, epoch=1, step=0, part=index), views.for_test(index, CPU)

    still, test = train(augment="none", flip=False)
    assert torch.equal(still, test)
    moved, test = train(augment="shift", flip=False, shift=0.1)
    assert not torch.equal(moved, test)
    assert (moved - test).abs().mean() < 0.15
    flipped, test = train(augment="none", flip=True)
    mirrored = [torch.allclose(a, b.flip(-1), atol=1e-6) for a, b in zip(flipped, test, strict=True)]
    assert 0 < sum(mirrored) < 12


def test_an_aspect_that_is_no_proportion_is_refused():
    with pytest.raises(ValueError, match="ImageSet: aspects must be width / height, finite and > 0; got 0 to 1"):
        Views(_set(aspects=torch.tensor([1.0, 0.0, 1.0, 1.0])), TrainConfig())


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("index", "message"),
    [([0, 4], "index must number one of 4 images, from 0; got 4"), ([0, -1], "index must be >= 0; got -1")],
)
def test_an_image_that_is_not_there_has_no_view(index, message):
    views, index = Views(_set(), TrainConfig()), torch.tensor(index)
    for call in (
        lambda: views.for_test(index, torch.device("cpu")),
        lambda: views.for_training(index, torch.device("cpu"), epoch=1, step=1),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(ValueError, match="part must number one of 2 images of the batch, from 0; got 2"):
        views.for_training(torch.tensor([0, 1]), torch.device("cpu"), epoch=1, step=1, part=torch.tensor([2]))


@pytest.mark.bad_input
def test_views_of_no_size_or_proportion_are_refused():
    with pytest.raises(ValueError, match="ratio"):
        random_boxes(torch.ones(2), generator(1), ratio=(-1.0, 1.0))
    with pytest.raises(ValueError, match="size must be an integer >= 1; got -1"):
        draw(_images(1, 8), torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.tensor([False]), -1)


def test_parts_that_were_made_ready_elsewhere_give_the_same_views():
    views, index = Views(_set(), TrainConfig(image_size=6)), torch.tensor([3, 1, 2])
    parts = views.training_parts(index, CPU, epoch=2, step=5)
    assert isinstance(parts, Parts)
    assert torch.equal(views.drawn(parts), views.for_training(index, CPU, epoch=2, step=5))
    assert torch.equal(parts.images, views.images[index])
    assert torch.equal(views.drawn(views.test_parts(index, CPU)), views.for_test(index, CPU))


@pytest.mark.bad_input
def test_places_and_boxes_that_do_not_exist_are_refused():
    views, index = Views(toy_set(), toy_config()), torch.arange(4)
    with pytest.raises(ValueError, match="part must be >= 0; got -1"):
        views.for_training(index, torch.device("cpu"), epoch=1, step=0, part=torch.tensor([-1]))
    random, one = torch.Generator(), torch.ones(1)
    for crop in (-1.0, 0.0, 1.5):
        with pytest.raises(ValueError, match="center_boxes: crop must be"):
            center_boxes(one, crop)
    for scale in ((-1.0, 0.0), (0.5, 2.0), (0.9, 0.1)):
        with pytest.raises(ValueError, match="random_boxes: scale"):
            random_boxes(one, random, scale=scale)
    with pytest.raises(ValueError, match="random_boxes: ratio must be a range; got 2 to 1"):
        random_boxes(one, random, ratio=(2.0, 1.0))
    for wrong in (0.0, -1.0):
        with pytest.raises(ValueError, match="random_boxes: aspects"):
            random_boxes(torch.tensor([wrong]), random)
