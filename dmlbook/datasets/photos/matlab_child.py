"""A program of its own, run by ``matlab.read_mat``: prints a line of JSON for each MATLAB file that it is given."""

from __future__ import annotations

import json
import struct
import sys
import zlib

MEMORY = 4 << 30
MOST_BYTES = 1 << 28


def check_stream(content: bytes) -> None:
    """The elements of the file must fill it, and what is compressed must agree with its checksum.

    Raises:
        ValueError: They do not.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ValueError("no mark of MATLAB's version 5")
    place = 128
    while place < len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        place += 8 + size
        if place > len(content):
            raise ValueError("a file that was cut short")
        if kind == 15:
            stream = zlib.decompressobj()
            grown = len(stream.decompress(content[place - size : place], MOST_BYTES))
            if not stream.eof or stream.unused_data or grown >= MOST_BYTES:
                raise ValueError("compressed data that are not whole")


def plain(value: object) -> object:
    """Text and whole numbers as Python's own; all else as None."""
    import numpy as np

    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, str):
        return str(value)
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    return int(value) if number and abs(value) < 1e9 and value == int(value) else None


def read(path: str) -> dict[str, object]:
    """The two variables of a file, in Python's own types, or ``{"fault": why}``."""
    import numpy as np
    from scipy.io import loadmat  # comes with scikit-learn

    try:
        with open(path, "rb") as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES:,} bytes")
        check_stream(content)
        found = loadmat(path, squeeze_me=True, variable_names=("class_names", "annotations"))
        answer: dict[str, object] = {}
        if "class_names" in found:
            answer["class_names"] = [plain(name) for name in np.atleast_1d(found["class_names"])]
        if "annotations" in found:
            rows = np.atleast_1d(found["annotations"])
            fields = [name for name in ("relative_im_path", "fname", "class") if name in (rows.dtype.names or ())]
            answer["annotations"] = [{name: plain(row[name]) for name in fields} for row in rows]
    except Exception as error:  # a broken file makes the reader raise nearly anything
        return {"fault": f"{type(error).__name__}: {error}"[:300]}
    return answer


def main() -> None:
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, ValueError, OSError):  # Windows has no such limits, and some systems refuse them
        pass
    for path in sys.argv[1:]:
        print(json.dumps(read(path)), flush=True)


if __name__ == "__main__":
    main()
