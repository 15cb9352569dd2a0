"""``python -m tests.fuzz``: call every public function with one wrong argument at a time, and say what came of it."""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from pathlib import Path

from tests.fuzz import running
from tests.fuzz.running import BAD, OUTCOMES, Outcome
from tests.fuzz.targets import targets

MOST = 0.01
"""The largest share of calls that may pass silently, and that may end in another exception."""


def table(found: list[Outcome]) -> list[str]:
    """A row a module, and their sum: how many calls came to what."""
    rows: dict[str, Counter] = {}
    for outcome in found:
        module = ".".join(outcome.target.split(".")[: 2 if outcome.target.startswith("chapters.") else 1])
        rows.setdefault(module, Counter())[outcome.outcome] += 1
    rows["all"] = sum(rows.values(), Counter())
    lines = [f"{'':16}{'calls':>8}" + "".join(f"{name:>17}" for name in OUTCOMES)]
    for module, counts in rows.items():
        total = sum(counts[name] for name in OUTCOMES)
        lines.append(f"{module:16}{total:8}" + "".join(f"{counts[name]:17}" for name in OUTCOMES))
    return lines


def shares(found: list[Outcome]) -> dict[str, float]:
    """The share of each outcome in all calls."""
    counts = Counter(outcome.outcome for outcome in found if outcome.outcome)
    return {name: counts[name] / max(1, sum(counts.values())) for name in OUTCOMES}


def main(given: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("only", nargs="*", help="functions whose name begins so, such as book.figures")
    parser.add_argument("--sample", type=int, default=0, help="calls of each function; 0 (default): all")
    parser.add_argument("--part", type=int, default=1, help="one function in so many; 1 (default): all")
    parser.add_argument("--seed", type=int, default=0, help="of the samples")
    parser.add_argument("--list", type=Path, help="a file for all calls that went wrong")
    options = parser.parse_args(given)
    running.prepare()
    names = [name for name in targets() if not options.only or name.startswith(tuple(options.only))]
    names = random.Random(options.seed).sample(names, len(names) // options.part) if options.part > 1 else names
    found = []
    for outcome in running.run(names, sample=options.sample, seed=options.seed):
        found.append(outcome)
        if options.list and outcome.outcome in BAD:
            with options.list.open("a", encoding="utf-8", errors="replace") as file:
                file.write("\t".join(outcome).replace("\n", " ") + "\n")
    print("\n".join(table(found)))
    bad = [outcome for outcome in found if outcome.outcome in BAD]
    worst = Counter(outcome.target for outcome in bad).most_common(20)
    print("\nWorst:", ", ".join(f"{name} {count}" for name, count in worst))
    share = shares(found)
    print(" ".join(f"{name} {100 * share[name]:.2f} %" for name in BAD))
    invalid = [outcome.target for outcome in bad if outcome.value == "the valid call"]
    if invalid:
        print("No valid call:", ", ".join(invalid))
    return int(bool(invalid) or any(share[name] > MOST for name in BAD))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
