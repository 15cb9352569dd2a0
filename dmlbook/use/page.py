"""What was found, as a page that opens anywhere: one file with its pictures, without scripts, network or server."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import escape
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image

from dmlbook._checks import bad_input, between, checked
from dmlbook._files import unwritable, write_whole
from dmlbook.datasets.photos.decoding import decode_file
from dmlbook.datasets.photos.formats import printable
from dmlbook.use.gallery import Hit

SIDE = 168
"""Longer side of a small picture, in pixels."""
GONE = "<em>no picture any more</em>"
ALLOWED = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

STYLE = """
:root { color-scheme: light dark; --line: #c8c8c8; --soft: #5b5b5b; --ground: #fff; --text: #1a1a1a; }
@media (prefers-color-scheme: dark) {
  :root { --line: #4a4a4a; --soft: #adadad; --ground: #161616; --text: #ececec; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1180px; padding: 16px; font: 16px/1.5 system-ui, sans-serif; }
body { color: var(--text); background: var(--ground); overflow-wrap: anywhere; }
h1 { font-size: 1.35em; margin: 0.2em 0; }
h2 { font-size: 1.1em; margin: 0 0 0.4em; overflow-wrap: anywhere; }
p { margin: 0.3em 0 0.8em; max-width: 75ch; }
nav ol { columns: 16em; padding-left: 1.6em; }
nav li { break-inside: avoid; }
section { border-top: 1px solid var(--line); padding-top: 1em; margin-top: 1.2em; }
.row { display: flex; gap: 20px; flex-wrap: wrap; align-items: flex-start; }
.found { display: grid; grid-template-columns: repeat(auto-fill, minmax(140px, 1fr)); gap: 12px; }
.found { flex: 1 1 320px; list-style: none; margin: 0; padding: 0; }
figure { margin: 0; }
img { display: block; max-width: 100%; height: auto; border-radius: 3px; }
.asked { flex: 0 0 auto; padding-right: 20px; border-right: 3px solid var(--line); }
figcaption { font-size: 0.84em; line-height: 1.35; margin-top: 4px; overflow-wrap: anywhere; }
figcaption b { font-variant-numeric: tabular-nums; }
figcaption span { display: block; color: var(--soft); }
@media (max-width: 560px) {
  .asked { flex-basis: 100%; border: 0; padding: 0; }
  .found { grid-template-columns: repeat(auto-fill, minmax(100px, 1fr)); }
}
"""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{allowed}">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
{contents}{sections}
</main>
</body>
</html>
"""


@dataclass(frozen=True)
class Answer:
    """What was found for one query.

    Attributes:
        query: The file that was asked with, as it was named.
        hits: From ``Gallery.search``, nearest first.
        files: The file of each hit.
    """

    query: str
    hits: Sequence[Hit]
    files: Sequence[Path]


@checked
def write_results(path: str | PathLike, answers: Sequence[Answer], *, title: str, text: str = "", unit: bool) -> Path:
    """Queries and what was found for them, side by side, with distances.

    Args:
        path: The file to write.
        answers: One a query.
        title: Above it.
        text: What to see and what not to conclude, in a few sentences.
        unit: Whether embeddings have length 1, so that a cosine can be told.

    Raises:
        ValueError: There are no answers, or the page cannot be written.
    """
    if (reason := unwritable(Path(path))) is not None:
        raise bad_input("path", "name a file that can be written", reason, "Choose another one.")
    if not answers:
        raise bad_input("answers", "hold at least one", "none", "Search first.")
    contents = ""
    if len(answers) > 1:
        links = (f'<li><a href="#q{n}">{_text(Path(each.query).name)}</a></li>' for n, each in enumerate(answers, 1))
        contents = f'<nav aria-label="Queries"><ol>{"".join(links)}</ol></nav>\n'
    files = dict.fromkeys(file for each in answers for file in (Path(each.query), *each.files))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # each photograph once, however often it was found
        pictures = dict(zip(files, pool.map(_small, files), strict=True))
    sections = "\n".join(_section(n, each, unit, pictures) for n, each in enumerate(answers, 1))
    page = PAGE.format(
        title=_text(title), text=_text(text), style=STYLE, allowed=ALLOWED, contents=contents, sections=sections
    )
    write_whole(Path(path), page)
    return Path(path)


def shown_distance(distance: float, *, unit: bool) -> str:
    """A distance in three digits, with the cosine where lengths are 1.

    Example:
        >>> shown_distance(1.0, unit=True), shown_distance(12.5, unit=False)
        ('distance 1.000, cosine 0.500', 'distance 12.500')
    """
    return f"distance {distance:.3f}" + (f", cosine {cosine(distance):.3f}" if unit else "")


@checked(distance=between(0, float("inf")))
def cosine(distance: float) -> float:
    """The cosine of two vectors of length 1 that are so far apart."""
    return 1 - distance * distance / 2


@checked(side=between(8, 1024))
def thumbnail(path: str | PathLike, *, side: int = SIDE) -> bytes:
    """A small copy of a photograph as a JPEG of its pixels alone: no place, no camera, no comment.

    Args:
        path: Of the photograph.
        side: Its longer side will have so many pixels.

    Raises:
        OSError, ValueError: It cannot be read, see ``decode_file``.
    """
    pixels, aspect = decode_file(Path(path), side)
    return jpeg(pixels, aspect, side=side)


def jpeg(pixels: np.ndarray, aspect: float, *, side: int = SIDE) -> bytes:
    """A squeezed square (3, S, S) in its own proportions again, as a JPEG."""
    size = (side, max(1, round(side / aspect))) if aspect >= 1 else (max(1, round(side * aspect)), side)
    buffer = io.BytesIO()
    picture = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    picture.resize(size, Image.Resampling.BILINEAR).save(buffer, format="jpeg", quality=85)
    return buffer.getvalue()


def _section(number: int, answer: Answer, unit: bool, pictures: Mapping[Path, str]) -> str:
    asked = _figure(pictures[Path(answer.query)], Path(answer.query).name, "", "asked for")
    hits = "".join(
        f"<li>{_figure(pictures[file], hit.path, hit.label, shown_distance(hit.distance, unit=unit), rank)}</li>"
        for rank, (hit, file) in enumerate(zip(answer.hits, answer.files, strict=True), 1)
    )
    heading = f'<h2 id="h{number}">{_text(Path(answer.query).name)}</h2>'
    return (
        f'<section id="q{number}" aria-labelledby="h{number}">{heading}\n'
        f'<div class="row"><div class="asked">{asked}</div><ol class="found">{hits}</ol></div></section>'
    )


def _small(path: Path) -> str:
    """A small copy as text; "" where there is none any more."""
    try:
        return base64.b64encode(thumbnail(path)).decode("ascii")
    except Exception:  # gone or broken since it was found; Pillow's readers raise nearly anything
        return ""


def _figure(small: str, name: str, label: str, said: str, rank: int | None = None) -> str:
    first = said if rank is None else f"{rank}. {said}"
    picture = f'<img alt="{_text(name)}" src="data:image/jpeg;base64,{small}">' if small else GONE
    names = f"<span>{_text(label)}</span>" if label else ""
    return f"<figure>{picture}<figcaption><b>{_text(first)}</b>{names}<span>{_text(name)}</span></figcaption></figure>"


def _text(text: str) -> str:
    return escape(printable(text), quote=True)
