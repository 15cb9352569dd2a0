"""Sets of other libraries become image sets: same pictures, same classes, whatever their items look like."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Subset, TensorDataset

from dmlbook import datasets
from dmlbook.datasets import from_dataset


def photo(number, size=(40, 30)):
    draw = np.random.default_rng(number)
    return Image.fromarray(draw.integers(0, 256, (size[1], size[0], 3)).astype(np.uint8))


@pytest.fixture
def folders(tmp_path):
    for number, name in enumerate(("ash", "beech", "cedar", "elm")):
        (tmp_path / name).mkdir()
        for i in range(2):
            exif = Image.Exif()
            exif[0x0112] = 6 if i else 1
            photo(10 * number + i).save(tmp_path / name / f"{i}.jpg", exif=exif)
    return tmp_path


class Hugging(list):
    """What a set of HuggingFace's looks like from outside."""

    Image = type("Image", (), {})
    ClassLabel = type("ClassLabel", (), {"names": ["ash", "beech", "cedar"]})

    def __init__(self, items):
        super().__init__(items)
        self.features = {"note": SimpleNamespace(), "picture": self.Image(), "kind": self.ClassLabel()}


def test_a_folder_of_torchvision_is_the_folder_of_ours(folders):
    from torchvision.datasets import ImageFolder

    ours = datasets.load("folder", "all", root=folders, size=16, cache=False)
    found = from_dataset(ImageFolder(folders), size=16, name="trees", split="all")
    assert found.class_names == ours.class_names
    assert torch.equal(found.labels, ours.labels)
    torch.testing.assert_close(found.aspects, ours.aspects)  # one of two is turned by its EXIF tag
    assert found.aspects.unique().numel() == 2
    assert (found.images.int() - ours.images.int()).abs().max() <= 1  # ours are read at a reduced scale
    assert (found.name, found.split) == ("trees", "all")


def test_columns_of_huggingface_are_found_by_their_kinds_and_others_by_name():
    items = [{"note": "x", "picture": photo(n), "kind": n % 2} for n in range(4)]
    found = from_dataset(Hugging(items), size=16)
    assert (found.class_names, found.labels.tolist()) == (("ash", "beech"), [0, 1, 0, 1])
    named = from_dataset([{"seen": photo(n), "genus": "ab"[n]} for n in range(2)], size=16, label="genus")
    assert named.class_names == ("a", "b")
    with pytest.raises(ValueError, match="label must name a column of the set; got None. Pass label= one of seen, gen"):
        from_dataset([{"seen": photo(1), "genus": "a"}], size=16)


def test_every_kind_of_image_gives_the_same_bytes():
    pixels = torch.randint(256, (3, 12, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    array = pixels.permute(1, 2, 0).numpy()
    kinds = [Image.fromarray(array), pixels, array, pixels / 255, (pixels / 255).double().numpy()]
    found = from_dataset([(each, 0) for each in kinds], size=8)
    assert all(torch.equal(each, found.images[0]) for each in found.images)
    assert found.aspects.tolist() == pytest.approx([20 / 12] * 5)
    gray = torch.randint(256, (12, 20), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    found = from_dataset([(each, 0) for each in (gray, gray[None], gray[..., None])], size=8)
    assert torch.equal(found.images[0], found.images[1])
    assert torch.equal(found.images[0, 0], found.images[2, 2])


def test_classes_that_are_not_there_are_left_out_and_names_stay_with_theirs():
    from torchvision.datasets import FakeData

    fake = FakeData(6, (3, 9, 9), num_classes=4)
    fake.classes = ["a", "b", "c", "d"]
    labels = [int(fake[n][1]) for n in range(6)]
    few = [n for n in range(6) if labels[n] != labels[0]]
    found = from_dataset(Subset(Subset(fake, list(range(6))), few), size=8)
    assert [found.class_names[c] for c in found.labels.tolist()] == ["abcd"[labels[n]] for n in few]
    plain = from_dataset(TensorDataset(torch.zeros(3, 3, 8, 8), torch.tensor([7, 3, 7])), size=8)
    assert (plain.class_names, plain.labels.tolist()) == (("3", "7"), [1, 0, 1])
    named = from_dataset([(photo(1), 2), (photo(2), 0)], size=8, class_names=("x", "y", "z"))
    assert (named.class_names, named.labels.tolist()) == (("x", "z"), [1, 0])


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], "dataset must hold at least one item"),
        ((number for number in range(3)), "dataset must have a length; got generator"),
        ([(torch.randn(3, 8, 8), 0)], r"dataset\[0\] must be an image and a label; .*leave out Normalize"),
        ([(torch.full((3, 8, 8), torch.nan), 0)], "leave out Normalize"),
        ([(torch.zeros(4, 8, 8), 0)], r"an image of shape \(4, 8, 8\), neither"),
        ([(torch.zeros(3, 8, 8, dtype=torch.int64), 0)], "an image of torch.int64"),
        ([(torch.zeros(2, 3, 8, 8), 0)], "an image of shape"),
        ([("a.jpg", 0)], "an image of type str"),
        ([(photo(1), 0), photo(2)], r"dataset\[1\] must be an image and a label; got a Image"),
        ([(photo(1), 0.5)], "label must be an integer or a word; got 0.5"),
        ([(photo(1), 0), (photo(1), "a")], "label must be integers or words throughout"),
    ],
)
def test_what_is_no_set_of_images_is_refused(items, expected):
    with pytest.raises(ValueError, match=expected):
        from_dataset(items, size=8)


def test_numbers_beyond_the_names_and_columns_of_pairs_are_refused():
    with pytest.raises(ValueError, match="label must be a place in class_names; got 2 to 2 for 2 names"):
        from_dataset([(photo(1), 2)], size=8, class_names=("a", "b"))
    with pytest.raises(ValueError, match="image and label must be None for a set of pairs"):
        from_dataset([(photo(1), 2)], size=8, label="x")


class Broken:
    """A set that reads its pictures when it is asked for them."""

    def __len__(self):
        return 3

    def __getitem__(self, number):
        if number == 2:
            raise OSError("image file is truncated")
        return photo(number), "ash"


@pytest.mark.bad_input
def test_faults_of_the_set_are_told_with_the_number_of_the_item(tmp_path):
    with pytest.raises(
        ValueError, match=r"from_dataset: dataset\[2\] must be an image and a label; got OSError: image"
    ):
        from_dataset(Broken(), size=8)
    items = [{"image": photo(0), "label": 0}, {"image": photo(1)}]
    with pytest.raises(ValueError, match=r"dataset\[1\] must be an image and a label; got an item without 'label'"):
        from_dataset(items, size=8)
    photo(3).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2])
    with Image.open(tmp_path / "a.jpg") as picture, pytest.raises(ValueError, match=r"dataset\[1\] .* truncated"):
        from_dataset([(photo(0), 0), (picture, 1)], size=8)
    with pytest.raises(ValueError, match=r"got an image of shape \(48, 48, 4\), neither of one color nor of three"):
        from_dataset([(np.zeros((48, 48, 4), np.uint8), 0)], size=8)


def test_arrays_that_are_views_backwards_are_taken():
    pixels = np.asarray(photo(0))
    forth, back = (from_dataset([(each, 0), (each, 1)], size=8) for each in (pixels, pixels[::-1, ::-1].copy()))
    assert torch.equal(from_dataset([(pixels[::-1, ::-1], 0), (pixels, 1)], size=8).images[0], back.images[0])
    assert not torch.equal(forth.images[0], back.images[0])


def test_words_are_numbered_in_the_order_of_the_names_that_are_given():
    items = [(photo(0), "ash"), (photo(1), "elm"), (photo(2), "ash")]
    found = from_dataset(items, size=8, class_names=["elm", "oak", "ash"])
    assert (found.class_names, found.labels.tolist()) == (("elm", "ash"), [1, 0, 1])
    with pytest.raises(ValueError, match="class_names must hold every label that is a word; got none 'elm'"):
        from_dataset(items, size=8, class_names=["ash"])
