"""Decoding: what becomes of a picture, and what the cache takes for whole."""

from __future__ import annotations

import io
import os
import socket
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from dmlbook.datasets.photos import decoding
from tests.datasets.image_trees import picture


def gradient(width: int, height: int) -> np.ndarray:
    """Red rises from left to right, green from top to bottom."""
    red = np.linspace(0, 255, width)[None].repeat(height, 0)
    green = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    return np.stack([red, green, 0 * red], -1).round().astype(np.uint8)


@pytest.fixture
def three(tmp_path):
    """Three plain pictures of different color and shape, and their names."""
    picture(tmp_path / "a.png", width=12, height=8, color=(10, 20, 30))
    picture(tmp_path / "b.png", width=8, height=16, color=(40, 50, 60))
    picture(tmp_path / "c.png", width=4, height=4, color=(70, 80, 90))
    return tmp_path, ["a.png", "b.png", "c.png"]


def decode(three, **options):
    folder, files = three
    return decoding.decode(folder, files, 6, name="set", progress=False, **options)


def kept(folder):
    return next(folder.glob("*.photos"))


def test_a_picture_is_squeezed_whole_and_its_aspect_kept(tmp_path):
    Image.fromarray(gradient(60, 20)).save(tmp_path / "wide.png")
    pixels, aspect = decoding.decode_file(tmp_path / "wide.png", 10)
    assert pixels.shape == (3, 10, 10)
    assert aspect == 3.0
    expected = (np.arange(10) + 0.5) / 10 * 255  # nothing was cut away: both ends of both gradients are there
    np.testing.assert_allclose(pixels[0].mean(0), expected, atol=6)
    np.testing.assert_allclose(pixels[1].mean(1), expected, atol=6)


def test_downscaling_averages_instead_of_picking_pixels(tmp_path):
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    Image.fromarray(stripes).save(tmp_path / "stripes.png")
    pixels, _ = decoding.decode_file(tmp_path / "stripes.png", 8)
    assert 110 < pixels.min() <= pixels.max() < 145


def test_a_jpeg_decoded_at_reduced_scale_is_close_to_the_full_one(tmp_path):
    Image.fromarray(gradient(800, 600)).save(tmp_path / "large.jpg", quality=95)
    pixels, aspect = decoding.decode_file(tmp_path / "large.jpg", 32)
    with Image.open(tmp_path / "large.jpg") as full:
        exact = np.asarray(full.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
    assert aspect == pytest.approx(4 / 3)
    assert np.abs(pixels.astype(int) - exact).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_upright_as_its_exif_tag_says(tmp_path, orientation):
    upright = Image.fromarray(gradient(64, 32))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that the tag's own one takes back
    stored = upright.transpose(Image.Transpose(undo[orientation])) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.jpg", quality=95, exif=exif)
    pixels, aspect = decoding.decode_file(tmp_path / "turned.jpg", 8)
    assert aspect == 2.0
    assert (np.diff(pixels[0].astype(int).mean(0)) > 20).all()
    assert (np.diff(pixels[1].astype(int).mean(1)) > 20).all()


def test_other_kinds_of_pixels_become_rgb(tmp_path):
    Image.new("L", (4, 4), 90).save(tmp_path / "gray.png")
    Image.fromarray(np.full((4, 4), 90 * 256, np.uint16)).save(tmp_path / "deep.png")
    Image.new("CMYK", (8, 8), (0, 0, 0, 0)).save(tmp_path / "print.jpg")
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("RGB", (4, 4), (9, 8, 7)).quantize(2).save(tmp_path / "palette.png")
    found = {path.stem: decoding.decode_file(path, 2)[0][:, 0, 0].tolist() for path in tmp_path.iterdir()}
    assert found == {
        "gray": [90] * 3, "deep": [90] * 3, "print": [255] * 3, "clear": [255] * 3, "palette": [9, 8, 7],
    }  # fmt: skip


@pytest.mark.parametrize(("maxval", "value"), [(65535, 90 * 256), (65535, 65535), (1000, 500), (255, 90)])
def test_deep_pgm_is_scaled_to_bytes(tmp_path, maxval, value):
    width = 2 if maxval > 255 else 1
    (tmp_path / "deep.pgm").write_bytes(f"P5 4 4 {maxval}\n".encode() + value.to_bytes(width, "big") * 16)
    pixels, _ = decoding.decode_file(tmp_path / "deep.pgm", 2)
    assert abs(int(pixels[0, 0, 0]) - 255 * value / maxval) <= 1
    assert (pixels == pixels[0, 0, 0]).all()


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".jp2", ".avif", ".webp", ".tif", ".bmp", ".gif", ".ppm", ".apng"])
def test_each_kind_of_photograph_is_decoded(tmp_path, suffix):
    pixels, aspect = decoding.decode_file(picture(tmp_path / f"x{suffix}", color=(200, 100, 50)), 4)
    assert np.abs(pixels[:, 0, 0].astype(int) - [200, 100, 50]).max() <= 3
    assert aspect == 1.5


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(x) run\n%%EOF\n"


@pytest.mark.parametrize("name", ["x.png", "x.jpg", "x.tif"])
def test_what_would_reach_an_interpreter_is_not_opened_whatever_its_name(tmp_path, name):
    (tmp_path / name).write_bytes(EPS)
    with Image.open(tmp_path / name) as opened:
        assert opened.format == "EPS"  # Pillow alone would go on
    with pytest.raises(ValueError, match=r"got 1 of 1 in .*:\n  x\..*: it is no picture, or of none of the formats"):
        decode((tmp_path, [name]))


def pipe(path):
    os.mkfifo(path)


def device(path):
    path.symlink_to("/dev/zero")


def folder(path):
    path.mkdir()


def plug(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path)[-100:] if len(str(path)) < 100 else os.path.relpath(path))


UNIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")


@pytest.mark.parametrize("make", [*(pytest.param(each, marks=UNIX) for each in (pipe, device, plug)), folder])
def test_only_regular_files_are_opened(three, make, monkeypatch):
    place, files = three
    monkeypatch.chdir(place)
    make(place / "d.png")
    with pytest.warns(UserWarning, match="1 of 4 images .*\n  d.png: ValueError: it is no regular file"):
        found = decode((place, [*files, "d.png"]), skip_corrupt=True)
    assert found.kept.tolist() == [0, 1, 2]


def bomb(side):
    """The beginning of a PNG that says it has ``side`` * ``side`` pixels."""
    head = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))


@pytest.mark.parametrize("content", [bomb(60_000), bomb(0), b"\xff\xd8\xff", b"GIF89a", b"", b"RIFF\0\0\0\0WEBPVP8 "])
def test_bombs_and_stumps_are_named(three, content):
    place, files = three
    (place / "b.png").write_bytes(content)
    with pytest.raises(ValueError, match="images must be readable; got 1 of 3 in .*\n  b.png: .*. Replace or delete"):
        decode((place, files))
    with pytest.warns(UserWarning, match=r"1 of 3 images"):
        assert decode((place, files), skip_corrupt=True).kept.tolist() == [0, 2]


def test_order_aspects_and_bytes_are_those_of_the_files(three):
    found = decode(three)
    assert found.images[:, :, 3, 3].tolist() == [[10, 20, 30], [40, 50, 60], [70, 80, 90]]
    torch.testing.assert_close(found.aspects, torch.tensor([1.5, 0.5, 1.0]))
    assert found.kept.tolist() == [0, 1, 2]


def test_what_is_decoded_is_of_one_size_and_names_its_places(three):
    folder, files = three
    (folder / "b.png").write_text("no picture")
    with pytest.warns(UserWarning, match="b.png"):
        found = decode((folder, files), skip_corrupt=True)
    plain = torch.tensor([[10, 20, 30], [70, 80, 90]], dtype=torch.uint8)
    expected = decoding.Decoded(
        plain[..., None, None].expand(2, 3, 6, 6), torch.tensor([1.5, 1.0]), torch.tensor([0, 2])
    )
    for name in ("images", "aspects", "kept"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name))


def test_the_cache_gives_the_same_without_opening_a_picture(three, tmp_path, monkeypatch):
    fresh = decode(three, cache=tmp_path / "cache")
    monkeypatch.setattr(decoding, "decode_file", None)
    again = decode(three, cache=tmp_path / "cache")
    assert fresh.images.shape == (3, 3, 6, 6)
    for name in ("images", "aspects", "kept"):
        assert torch.equal(getattr(again, name), getattr(fresh, name))
        assert torch.equal(getattr(again, name), getattr(decode_uncached(three, monkeypatch), name))
    assert not list((tmp_path / "cache").glob("*.part"))


def decode_uncached(three, monkeypatch):
    monkeypatch.undo()
    return decode(three)


def test_writing_into_loaded_images_leaves_the_cache_alone(three, tmp_path):
    found = decode(three, cache=tmp_path / "cache")
    before = kept(tmp_path / "cache").read_bytes()
    found.images.zero_()
    assert kept(tmp_path / "cache").read_bytes() == before


def test_an_interrupted_decoding_leaves_nothing_to_be_taken_for_whole(three, tmp_path, monkeypatch):
    def stop(path, size):
        raise KeyboardInterrupt

    monkeypatch.setattr(decoding, "decode_file", stop)
    with pytest.raises(KeyboardInterrupt):
        decode(three, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    monkeypatch.undo()
    assert len(decode(three, cache=tmp_path / "cache").images) == 3


def spoil(three):
    """The second picture is cut short, and a text that calls itself a picture comes before it."""
    folder, _ = three
    stream = io.BytesIO()
    Image.fromarray(gradient(64, 64)).save(stream, "jpeg")
    (folder / "b.png").write_bytes(stream.getvalue()[:-400])
    (folder / "aa.png").write_text("no picture")
    return folder, ["a.png", "aa.png", "b.png", "c.png"]


@pytest.mark.parametrize("with_cache", [False, True])
def test_every_corrupt_image_is_named_at_every_load(three, tmp_path, with_cache):
    broken = spoil(three)
    for _ in range(2):
        with pytest.raises(
            ValueError, match=r"images must be readable; got 2 of 4 in .*:\n  aa.png: .*\n  b.png: .*[Tt]runc"
        ) as error:
            decode(broken, cache=tmp_path / "cache" if with_cache else None)
        assert "skip_corrupt=True" in str(error.value)


@pytest.mark.parametrize("with_cache", [False, True])
def test_corrupt_images_are_left_out_only_if_asked_and_with_a_warning(three, tmp_path, with_cache):
    broken = spoil(three)
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"2 of 4 images .* left out:\n  aa.png.*\n  b.png"):
            found = decode(broken, cache=tmp_path / "cache" if with_cache else None, skip_corrupt=True)
        assert found.kept.tolist() == [0, 3]
        assert found.images[:, :, 0, 0].tolist() == [[10, 20, 30], [70, 80, 90]]
        torch.testing.assert_close(found.aspects, torch.tensor([1.5, 1.0]))


def test_only_the_first_ten_corrupt_images_are_listed(tmp_path):
    files = [f"{i:02}.png" for i in range(12)]
    for file in files:
        (tmp_path / file).write_text("no picture")
    with pytest.raises(ValueError, match="got 12 of 12") as error:
        decode((tmp_path, files), skip_corrupt=True)
    assert "09.png" in str(error.value)
    assert "10.png" not in str(error.value)
    assert "and 2 more" in str(error.value)
