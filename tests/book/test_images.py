"""Pictures as notebooks keep them."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from dmlbook.book import images


def dots(colors: int) -> bytes:
    """A PNG of so many colors in RGB."""
    buffer = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (colors // 16, 16, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, format="png")
    return buffer.getvalue()


def test_an_image_brings_its_bytes_and_says_what_it_shows():
    tag = images.image(b"abc", 'A "dot" & <more>.', 480)
    assert re.fullmatch(r'<img alt="[^"<>]*" width="480" src="data:image/png;base64,[^"]*">', tag)
    assert 'alt="A &quot;dot&quot; &amp; &lt;more&gt;."' in tag
    assert base64.b64decode(re.search(r"base64,([^\"]*)", tag)[1]) == b"abc"
    assert "width" not in images.image(b"abc", "A dot.")


def test_a_stored_picture_has_a_palette_and_shows_the_same():
    for colors in (64, 4096):
        packed = Image.open(io.BytesIO(images.with_palette(dots(colors))))
        assert packed.mode == "P"
        before, after = (
            np.asarray(each.convert("RGB"), dtype=float) for each in (Image.open(io.BytesIO(dots(colors))), packed)
        )
        assert before.shape == after.shape
        assert np.abs(before - after).mean() < (1 if colors == 64 else 20)
    assert len(images.with_palette(dots(65536))) < 0.6 * len(dots(65536))


@pytest.mark.bad_input
def test_bad_input_is_named():
    with pytest.raises(ValueError, match="picture must be a PNG; got 3 bytes of something else"):
        images.with_palette(b"abc")
    with pytest.raises(ValueError, match="width"):
        images.image(b"abc", "A dot.", 0)
