"""What ``mutants.toml`` says, held against the code: each entry must be one that can be planted and judged."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

LIST = "tests/mutants.toml"


@dataclass(frozen=True)
class Mutant:
    """``line``, which stands once in ``file``, becomes another; one of ``tests`` must fail. ``why``: what lie it is."""

    file: str
    line: str
    becomes: str
    tests: tuple[str, ...]
    why: str

    def planted(self, root: Path) -> str:
        """The file's text with the fault in it."""
        return (root / self.file).read_text(encoding="utf-8").replace(self.line, self.becomes)

    def problems(self, root: Path) -> list[str]:
        """What keeps it from being planted, or judged."""
        if not (root / self.file).is_file():
            return ["there is no such file"]
        times = (root / self.file).read_text(encoding="utf-8").count(self.line)
        found = ["it changes nothing"] if self.line == self.becomes else []
        found += [f"its line stands {times} times in the file, not once"] if times != 1 else []
        if self.file.endswith(".py"):
            try:
                compile(self.planted(root), self.file, "exec", dont_inherit=True)
            except SyntaxError as error:
                found.append(f"what comes of it is no Python: {error}")
        for test in self.tests:
            file, *names = test.partition("[")[0].split("::")
            text = (root / file).read_text(encoding="utf-8") if (root / file).is_file() else None
            if text is None or not all(f"def {name}(" in text or f"class {name}" in text for name in names):
                found.append(f"there is no test {test}")
        return found


def read(root: Path) -> tuple[list[str], list[Mutant]]:
    """What is worth importing once, and the mutants.

    Raises:
        ValueError: An entry is malformed, does not fit the code or stands twice; all that is wrong is named.
    """
    content = tomllib.loads((root / LIST).read_text(encoding="utf-8"))
    names, mutants, wrong = {field.name for field in fields(Mutant)}, [], []
    for number, entry in enumerate(content.get("mutant", []), 1):
        tests = entry.get("tests")
        texts = [entry.get(name) for name in names - {"tests"}] + (tests if isinstance(tests, list) else [None])
        if set(entry) != names or not tests or not all(isinstance(text, str) for text in texts):
            wrong.append(f"entry {number}: it must have the texts {sorted(names)}, tests a list of them; it is {entry}")
            continue
        mutant = Mutant(**{**entry, "tests": tuple(tests)})
        problems = mutant.problems(root) + ["it stands twice"] * (mutant in mutants)
        wrong += [f"entry {number}, {mutant.file}, {mutant.line!r}: {problem}" for problem in problems]
        mutants.append(mutant)
    if wrong:
        raise ValueError("\n".join([f"{LIST}: a line that moves takes its mutant along.", *wrong]))
    return content.get("warm", []), mutants


def drawn(mutants: Sequence[Mutant], count: int, day: int) -> list[Mutant]:
    """``count`` of them, each day the next ones of an order by chance that never changes."""
    order = sorted(mutants, key=lambda mutant: hashlib.sha256(repr(mutant).encode()).digest())
    return [order[(day * count + place) % len(order)] for place in range(min(count, len(order)))]
