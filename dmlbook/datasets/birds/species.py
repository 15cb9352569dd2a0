"""Species of the drawn birds: fine details on a genus's common plan, an invented name, and which poses it shows."""

from __future__ import annotations

import random
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, product

import numpy as np

from dmlbook.datasets.birds.genera import GENERA, PALETTE, POSES, Color, Genus
from dmlbook.seeding import named_seed

TRAITS: dict[str, tuple] = {
    "crown": (0, 1, 2, 3, 4),  # places in the genus's accents
    "breast": ("plain", "washed", "bib", "band", "spots", "streaks"),
    "breast_color": (0, 1, 2, 3, 4),
    "wing_bars": (0, 1, 2),
    "bar_color": ("ivory", "lemon", "rose"),
    "tail": ("plain", "tip", "banded"),
    "face": ("plain", "brow", "stripe", "cheek"),
    "eye_ring": ("", "ivory", "amber"),
    "crest": (0.0, 0.0, 1.0),
    "bill_length": (0.85, 1.0, 1.2),
    "bill_color": ("", "coral", "ash"),
}
"""What species of one genus differ in, and the values each of these takes."""

GOLDEN = 0.6180339887498949
REGIONS = ("Northern", "Southern", "Island", "Hill", "Marsh", "Coastal", "River", "Forest", "Lesser", "Greater")
PART = {
    "plain": "",
    "washed": "breasted",
    "bib": "throated",
    "band": "banded",
    "spots": "spotted",
    "streaks": "streaked",
}


@dataclass(frozen=True)
class Species:
    """One species: its number, its genus, its details (values of ``TRAITS``), and its poses with their shares."""

    number: int
    name: str
    genus: Genus
    details: tuple[tuple[str, object], ...]
    poses: tuple[int, ...]
    shares: tuple[float, ...]

    def __getitem__(self, trait: str):
        return dict(self.details)[trait]

    def color(self, trait: str) -> Color:
        """The color that ``crown`` or ``breast_color`` stands for."""
        return PALETTE[self.genus.accents[self[trait]]]

    def pose_of(self, image: int, seed: int) -> int:
        """The pose of its image number ``image``: steps of the golden ratio keep the shares at every length."""
        start = random.Random(named_seed(seed, "birds", "pose", self.number)).random()
        return self.poses[
            min(bisect_right(list(accumulate(self.shares)), (start + image * GOLDEN) % 1), len(self.poses) - 1)
        ]


@lru_cache(maxsize=16)
def make_species(count: int, seed: int) -> tuple[Species, ...]:
    """Species 0 to count - 1; each is the same however many follow it.

    Every genus has a type, of which each species keeps about half the details. What it has of its own differs in at
    least three traits from every earlier species of the genus, or in as many as fifty attempts reach.
    """
    made: list[Species] = []
    codes = np.zeros((len(GENERA), -(-count // len(GENERA)), len(TRAITS)), np.int8)  # of the species of each genus
    names: list[set[str]] = [set() for _ in GENERA]
    for number in range(count):
        kin, place = number % len(GENERA), number // len(GENERA)
        type_rng = random.Random(named_seed(seed, "birds", "genus", kin))
        genus_type = {trait: _pick(type_rng, values) for trait, values in TRAITS.items()}
        rng = random.Random(named_seed(seed, "birds", "species", number))
        details = _draw_details(rng, genus_type, codes[kin, :place])
        codes[kin, place] = _code(details)
        poses, shares = _draw_poses(rng, GENERA[kin])
        name = _name(rng, GENERA[kin], details, names[kin])
        names[kin].add(name)
        made.append(Species(number, name, GENERA[kin], tuple(details.items()), poses, shares))
    return tuple(made)


def _code(details: dict) -> list[int]:
    """The places of the values among those of their traits."""
    return [values.index(details[trait]) for trait, values in TRAITS.items()]


def _draw_details(rng: random.Random, genus_type: dict, earlier: np.ndarray, *, wanted: int = 3) -> dict:
    """Details of one more species; ``earlier`` are the codes of its genus, (M, traits)."""
    best, apart = {}, -1
    for _ in range(50):
        details = {t: _pick(rng, values) if rng.random() < 0.5 else genus_type[t] for t, values in TRAITS.items()}
        if details["breast"] == "plain" and details["face"] != "cheek":
            details["breast_color"] = 0  # what nobody can see must not count as a difference
        if details["wing_bars"] == 0:
            details["bar_color"] = "ivory"
        nearest = int((earlier != np.array(_code(details), np.int8)).sum(1).min(initial=wanted))
        if nearest > apart:
            best, apart = details, nearest
        if apart >= wanted:
            break
    return best


def _pick(rng: random.Random, values: tuple):
    return values[int(rng.random() * len(values))]


def _draw_poses(rng: random.Random, genus: Genus) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """One to four poses, those the genus likes more often, each with a share of at least one tenth."""
    left = [POSES.index(pose) for pose in genus.habits]
    poses = []
    for _ in range(_pick(rng, (1, 2, 2, 3, 3, 4))):
        weights = list(accumulate(genus.habits[POSES[p]] for p in left))
        poses.append(left.pop(bisect_right(weights, rng.random() * weights[-1])))
    raw = [0.5 + rng.random() for _ in poses]
    return tuple(sorted(poses)), tuple(weight / sum(raw) for weight in raw)


def _name(rng: random.Random, genus: Genus, details: dict, taken: set[str]) -> str:
    """A name from the species' own details, such as ``Ember-crowned tit``, that no other of its genus has."""
    crown, breast = genus.accents[details["crown"]], genus.accents[details["breast_color"]]
    words = [f"{crown}-crowned"] + ([f"{crown}-crested"] * 2 if details["crest"] else [])
    if part := PART[details["breast"]]:
        words.append(f"{breast}-{part}")
    if details["wing_bars"]:
        words.append(f"{details['bar_color']}-winged")
    if details["eye_ring"]:
        words.append(f"{details['eye_ring']}-eyed")
    if details["face"] in ("brow", "cheek"):
        words.append(f"{'ivory-browed' if details['face'] == 'brow' else breast + '-cheeked'}")
    words.sort(key=lambda _: rng.random())
    plain = [f"{word.capitalize()} {genus.name}" for word in words]
    with_region = (f"{region} {word} {genus.name}" for word, region in product(words, REGIONS))
    numbered = (f"{plain[0]} {n}" for n in range(2, len(taken) + 3))
    return next(name for name in (*plain, *with_region, *numbered) if name not in taken)
