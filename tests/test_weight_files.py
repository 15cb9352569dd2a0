"""Files of weights: whole ones are read, and each damaged or foreign one ends in one sentence that names it."""

import hashlib
import json
import random
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from dmlbook import nets
from dmlbook.weight_files import read_weights

WEIGHTS = {"0.weight": torch.arange(12.0).view(3, 4), "0.bias": torch.tensor([0.5, -1.0, 2.0])}


def refusal(path):
    """The one sentence that such a file ends in, wherever it is read."""
    with pytest.raises(ValueError, match="^read_weights: weights must be ") as caught:
        read_weights(path)
    said = str(caught.value)
    assert path.name in said
    assert said.endswith(".")
    assert "\n" not in said
    with pytest.raises(ValueError, match="^nets.build: weights must be "):
        nets.build("small", embedding_size=2, weights=path)
    return said


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda w: w,
        lambda w: {"state_dict": w, "epoch": 3},
        lambda w: {"model": w, "optimizer": {"lr": 0.1}},
        lambda w: {"model": {"state_dict": w}},
        lambda w: {"module." + name: values for name, values in w.items()},
        lambda w: {"state_dict": {"module._orig_mod." + name: values for name, values in w.items()}},
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_weights_are_found_where_training_scripts_leave_them(tmp_path, wrapped, zipped):
    torch.save(wrapped(WEIGHTS), tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    found = read_weights(tmp_path / "w.pt")
    assert list(found) == list(WEIGHTS)
    torch.testing.assert_close(found, WEIGHTS, rtol=0, atol=0)


def test_safetensors_are_read(tmp_path):
    save_file(WEIGHTS, tmp_path / "w.safetensors")
    torch.testing.assert_close(read_weights(str(tmp_path / "w.safetensors")), WEIGHTS)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (nn.Linear(2, 2), "it holds Python objects, which could run code when loaded. Where you trust its source"),
        ([torch.ones(2)], "it holds a list. Where you trust its source"),
        (torch.ones(2), "it holds a Tensor."),
        ({}, "it holds no weights."),
        ({"epoch": 3, "net": {"a": torch.ones(1)}}, "'epoch' is a int, not a tensor. The weights may lie under"),
        ({3: torch.ones(1)}, "3 is a Tensor, not a tensor"),
        ({"a": torch.tensor([1.0, float("nan")])}, "a holds NaN or infinity. Its training diverged"),
        ({"a": torch.tensor([float("inf")], dtype=torch.float16)}, "a holds NaN or infinity."),
        ({"a": torch.eye(2).to_sparse()}, "a is no ordinary tensor."),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.filterwarnings("ignore")
def test_files_of_other_things_are_refused(tmp_path, held, message, zipped):
    torch.save(held, tmp_path / "w.pt", _use_new_zipfile_serialization=zipped)
    assert message in refusal(tmp_path / "w.pt")


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty. Copy or download it again."),
        (b"\n<!DOCTYPE html><html>404</html>", "it is a web page. The download was answered with it"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "it is a pointer of Git LFS."),
        (b"nothing that anybody knows", "Copy or download it again."),
        (bytes(range(256)) * 9, "Copy or download it again."),
    ],
)
def test_what_is_no_file_of_weights_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    assert message in refusal(tmp_path / name)


@pytest.mark.filterwarnings("ignore")
def test_archives_of_other_things_are_refused(tmp_path):
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "script.pt")
    assert "it is a TorchScript archive." in refusal(tmp_path / "script.pt")
    for name, options, message in (
        ("other.pt", {}, "it is an archive of other files."),
        ("packed.pt", {"compression": zipfile.ZIP_DEFLATED}, "it is a compressed archive."),
    ):
        with zipfile.ZipFile(tmp_path / name, "w", **options) as archive:
            archive.writestr("readme.txt", "hello " * 99)
        assert message in refusal(tmp_path / name)


def written(folder, kind):
    """A file of weights of that format."""
    path = folder / ("w.safetensors" if kind == "safetensors" else "w.pt")
    if kind == "safetensors":
        save_file(WEIGHTS, path)
    else:
        torch.save(WEIGHTS, path, _use_new_zipfile_serialization=kind == "zip")
    return path


@pytest.mark.parametrize("kind", ["zip", "old", "safetensors"])
def test_cut_files_are_refused_wherever_they_end(tmp_path, kind):
    path = written(tmp_path, kind)
    whole = path.read_bytes()
    for end in range(1, len(whole), max(1, len(whole) // 40)):
        path.write_bytes(whole[:end])
        said = refusal(path)
        assert kind == "old" or "again." in said  # half a name there is the name of something unknown


@pytest.mark.parametrize("kind", ["zip", "old", "safetensors"])
def test_a_flipped_bit_never_escapes_and_in_an_archive_never_changes_a_weight(tmp_path, kind):
    path = written(tmp_path, kind)
    whole, draw, unharmed = path.read_bytes(), random.Random(0), 0
    for _ in range(300):
        place, bit = draw.randrange(len(whole)), draw.randrange(8)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
        found = error = None
        try:
            found = read_weights(path)
        except ValueError as caught:
            error = str(caught)
        if error is not None:
            assert error.startswith("read_weights: weights must be ")
            assert path.name in error
            continue
        unharmed += 1
        if kind == "zip":  # a bit between the entries, where nothing is kept
            torch.testing.assert_close(found, WEIGHTS, rtol=0, atol=0)
    assert unharmed < 300


def test_a_bit_of_a_weight_is_noticed_by_its_checksum(tmp_path):
    torch.save(WEIGHTS, tmp_path / "w.pt")
    whole = (tmp_path / "w.pt").read_bytes()
    place = whole.index(WEIGHTS["0.bias"].numpy().tobytes())
    (tmp_path / "w.pt").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    assert torch.load(tmp_path / "w.pt", weights_only=True)["0.bias"][0] != 0.5  # torch does not look
    assert "it is damaged: the checksum of w/data/1 differs. Copy or download it again." in refusal(tmp_path / "w.pt")


def test_a_published_name_must_fit_what_is_in_the_file(tmp_path):
    torch.save(WEIGHTS, tmp_path / "w.pt")
    content = (tmp_path / "w.pt").read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:8]
    right, wrong = tmp_path / f"resnet18-{digest}.pth", tmp_path / "resnet18-f37072fd.pth"
    for path in (right, wrong, own := tmp_path / "mine-f37072fd.pth"):
        path.write_bytes(content)
    assert list(read_weights(right)) == list(read_weights(own)) == list(WEIGHTS)
    assert f"its SHA-256 begins with {digest}, not as its name says." in refusal(wrong)


def test_published_weights_that_were_damaged_on_the_disk_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "resnet18-f37072fd.pth").write_bytes(b"half")
    with pytest.raises(ValueError, match="resnet18-f37072fd.pth: its SHA-256 begins with"):
        nets.build("resnet18", embedding_size=2, weights="imagenet")


def test_a_folder_and_a_header_that_promises_too_much_are_refused(tmp_path):
    (tmp_path / "w.pt").mkdir()
    assert "a file that exists" in refusal(tmp_path / "w.pt")
    entry = {"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}
    header = json.dumps(entry).encode()
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    assert "it is no whole .safetensors file." in refusal(tmp_path / "w.safetensors")


def test_weights_of_another_type_do_not_fit(tmp_path):
    state = nets.build("small", embedding_size=4).backbone.state_dict()
    state["0.weight"] = state["0.weight"].int()
    torch.save(state, tmp_path / "w.pt")
    with pytest.raises(ValueError, match=r"1 of another type \(0.weight\)"):
        nets.build("small", embedding_size=4, weights=tmp_path / "w.pt")
