"""A page that opens without a network, a kernel or anything installed: module, data and pictures in one file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from pathlib import Path

from dmlbook._checks import bad_input, checked
from dmlbook._files import unwritable, write_whole

HOST = Path(__file__).parent / "web" / "host.js"
"""Runs a module on a page: it plays the part that the kernel has in a notebook."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ margin: 0 auto; max-width: 1040px; padding: 12px; color: #1a1a1a; background: #fff; }}
body {{ font: 16px/1.5 system-ui, sans-serif; }}
h1 {{ font-size: 1.35em; margin: 0.3em 0; }}
p {{ margin: 0.3em 0 0.8em; max-width: 75ch; }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
<div data-live="view"><noscript>This page needs JavaScript.</noscript></div>
</main>
<script>{view}</script>
<script>{host}</script>
</body>
</html>
"""


@checked
def write_page(path: str | Path, module: str | Path, data: Mapping[str, object], *, title: str, text: str = "") -> Path:
    """One view as a page of its own, to open from the file system or to send to somebody.

    Args:
        path: The file to write.
        module: An ES module that exports ``default { render }``, as :data:`dmlbook.maps.view.MODULE`.
        data: What it is fed, as values that JSON can hold.
        title: Above it.
        text: What to see and what not to conclude, in a few sentences.

    Returns:
        The path.
    """
    if (reason := unwritable(Path(path))) is not None:
        raise bad_input("path", "name a file that can be written", reason, "Choose another one.")
    if not Path(module).is_file():
        raise bad_input("module", "be a file that exists", repr(str(module)), "Pass maps.view.MODULE, or your own.")
    view = registered("view", Path(module).read_text(encoding="utf-8"), data)
    host = HOST.read_text(encoding="utf-8")
    page = PAGE.format(title=escape(title), text=escape(text), view=view, host=host)
    write_whole(Path(path), page)
    return Path(path)


@checked
def registered(name: str, source: str, data: Mapping[str, object]) -> str:
    """A script that hands a module's source and its data to the host, under a name. It may stand inside a page.

    Example:
        >>> registered("one", "export default {}", {"a": 1})
        '(window.dmlbookLive ??= {})["one"] = {"source": "export default {}", "data": {"a": 1}};'
    """
    try:
        values = json.dumps({"source": source, "data": data}, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise bad_input("data", "hold what JSON can", error, "Pass numbers, texts, lists and dictionaries.") from error
    values = values.replace("<", "\\u003c")  # no tag in it
    return f"(window.dmlbookLive ??= {{}})[{json.dumps(name)}] = {values};"
