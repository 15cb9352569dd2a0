"""The genera of the drawn birds: proportions, palette and habits that all species of one genus share."""

from __future__ import annotations

from dataclasses import dataclass, field

Color = tuple[int, int, int]
POSES = ("perched", "facing", "flying", "soaring", "swimming", "feeding")
"""Perched in profile, looking left; facing the reader; flying to the right, wings up; soaring, wings spread;
swimming to the right; feeding, head down, on the left."""

PALETTE: dict[str, Color] = {
    "amber": (242, 166, 48),
    "ash": (176, 182, 186),
    "azure": (54, 134, 214),
    "coal": (45, 42, 52),
    "coral": (246, 126, 104),
    "crimson": (196, 38, 56),
    "ember": (228, 92, 38),
    "fern": (88, 150, 72),
    "indigo": (66, 62, 150),
    "ivory": (250, 244, 226),
    "jade": (22, 160, 128),
    "lemon": (250, 218, 76),
    "lilac": (182, 142, 214),
    "plum": (126, 54, 110),
    "rose": (240, 148, 170),
    "rust": (168, 82, 44),
    "sand": (222, 190, 142),
    "teal": (30, 122, 138),
    "umber": (104, 72, 52),
}
"""Names of colors, which become names of species."""


@dataclass(frozen=True)
class Genus:
    """What all species of a genus share. Lengths are in half body lengths.

    Attributes:
        name: The second word of every species' name.
        back, belly, wing, bill, legs: Colors.
        accents: Names in ``PALETTE`` from which its species take crown, breast and markings.
        depth: Half the depth of the body.
        head: Radius of the head.
        neck: Where the head sits, forward and up from the middle of the body.
        bill_shape: ``cone``, ``thin``, ``dagger``, ``hook``, ``flat`` or ``needle``.
        bill_length: In head radii.
        tail, tail_width, fork: Length, width at the end, and depth of the notch as a share of the length.
        leg: Length of the legs.
        span, chord: Length and breadth of a spread wing.
        crest: How long the crest of a crested species is, in head radii.
        disc: Whether the face is a disc, as an owl's.
        upright: Degrees by which it sits up when perched.
        habits: How likely each pose is, by name; a pose that is missing never occurs.
    """

    name: str
    back: Color
    belly: Color
    wing: Color
    bill: Color
    legs: Color
    accents: tuple[str, ...]
    depth: float
    head: float
    neck: tuple[float, float]
    bill_shape: str
    bill_length: float
    tail: float
    tail_width: float
    fork: float
    leg: float
    span: float
    chord: float
    crest: float = 0.8
    disc: bool = False
    upright: float = 35.0
    habits: dict[str, float] = field(default_factory=lambda: dict.fromkeys(POSES, 1.0), hash=False)


def _likes(*often: str) -> dict[str, float]:
    """Every pose at least now and then: genera must not be told apart by their poses alone."""
    return {pose: 3.0 if pose in often else 1.0 for pose in POSES}


# fmt: off
GENERA: tuple[Genus, ...] = (
    Genus(
        "tit", back=(108, 142, 178), belly=(250, 222, 130), wing=(74, 104, 142), bill=(62, 58, 66),
        legs=(96, 92, 104), accents=("coal", "azure", "ember", "fern", "plum"),
        depth=0.72, head=0.62, neck=(0.62, 0.62), bill_shape="thin", bill_length=0.55, tail=0.95,
        tail_width=0.3, fork=0.1, leg=0.42, span=1.5, chord=0.72,
        habits=_likes("perched", "facing", "flying"),
    ),
    Genus(
        "duck", back=(142, 118, 98), belly=(232, 222, 206), wing=(108, 92, 84), bill=(240, 170, 60),
        legs=(236, 134, 54), accents=("jade", "rust", "indigo", "umber", "plum"),
        depth=0.56, head=0.44, neck=(0.92, 0.62), bill_shape="flat", bill_length=1.15, tail=0.4,
        tail_width=0.26, fork=0.0, leg=0.32, span=1.5, chord=0.62, crest=0.6, upright=8,
        habits=_likes("perched", "flying", "swimming"),
    ),
    Genus(
        "owl", back=(156, 122, 92), belly=(240, 224, 196), wing=(122, 92, 70), bill=(226, 176, 84),
        legs=(206, 170, 110), accents=("umber", "rust", "ash", "sand", "coal"),
        depth=0.74, head=0.72, neck=(0.6, 0.68), bill_shape="hook", bill_length=0.38, tail=0.55,
        tail_width=0.4, fork=0.0, leg=0.26, span=1.7, chord=0.86, crest=0.55, disc=True, upright=58,
        habits=_likes("perched", "facing", "soaring"),
    ),
    Genus(
        "finch", back=(196, 140, 104), belly=(248, 228, 200), wing=(128, 88, 68), bill=(232, 176, 128),
        legs=(150, 104, 92), accents=("crimson", "amber", "rose", "rust", "plum"),
        depth=0.64, head=0.54, neck=(0.68, 0.56), bill_shape="cone", bill_length=0.72, tail=0.92,
        tail_width=0.36, fork=0.3, leg=0.36, span=1.5, chord=0.66,
        habits=_likes("perched", "flying", "feeding"),
    ),
    Genus(
        "heron", back=(150, 166, 182), belly=(240, 242, 244), wing=(104, 122, 146), bill=(244, 190, 74),
        legs=(214, 158, 76), accents=("indigo", "plum", "coal", "rust", "teal"),
        depth=0.5, head=0.34, neck=(1.12, 1.18), bill_shape="dagger", bill_length=2.0, tail=0.45,
        tail_width=0.24, fork=0.0, leg=1.35, span=1.9, chord=0.72, crest=1.5, upright=30,
        habits=_likes("perched", "soaring", "feeding"),
    ),
    Genus(
        "kingfisher", back=(28, 132, 168), belly=(248, 172, 96), wing=(20, 96, 142), bill=(60, 54, 62),
        legs=(232, 98, 62), accents=("azure", "ivory", "ember", "jade", "indigo"),
        depth=0.62, head=0.6, neck=(0.66, 0.6), bill_shape="dagger", bill_length=1.55, tail=0.45,
        tail_width=0.28, fork=0.0, leg=0.22, span=1.35, chord=0.62, crest=0.9, upright=45,
        habits=_likes("perched", "facing", "flying"),
    ),
    Genus(
        "falcon", back=(112, 122, 142), belly=(244, 230, 208), wing=(78, 86, 108), bill=(92, 88, 96),
        legs=(244, 200, 72), accents=("coal", "rust", "indigo", "amber", "ash"),
        depth=0.56, head=0.46, neck=(0.78, 0.5), bill_shape="hook", bill_length=0.62, tail=1.05,
        tail_width=0.38, fork=0.05, leg=0.36, span=2.1, chord=0.66, crest=0.45, upright=55,
        habits=_likes("perched", "flying", "soaring"),
    ),
    Genus(
        "hummingbird", back=(46, 158, 116), belly=(234, 240, 226), wing=(92, 116, 128), bill=(52, 48, 58),
        legs=(80, 74, 84), accents=("crimson", "lilac", "amber", "azure", "rose"),
        depth=0.52, head=0.5, neck=(0.82, 0.52), bill_shape="needle", bill_length=2.1, tail=0.85,
        tail_width=0.36, fork=0.35, leg=0.2, span=1.65, chord=0.5, crest=0.7, upright=40,
        habits=_likes("perched", "flying", "soaring"),
    ),
    Genus(
        "parrot", back=(86, 172, 84), belly=(196, 220, 96), wing=(44, 128, 84), bill=(236, 216, 190),
        legs=(150, 140, 146), accents=("crimson", "azure", "lemon", "coral", "indigo"),
        depth=0.6, head=0.56, neck=(0.72, 0.6), bill_shape="hook", bill_length=0.72, tail=1.65,
        tail_width=0.26, fork=0.0, leg=0.26, span=1.7, chord=0.72, crest=1.0, upright=55,
        habits=_likes("perched", "facing", "soaring"),
    ),
    Genus(
        "tern", back=(206, 212, 220), belly=(252, 252, 250), wing=(160, 170, 184), bill=(228, 84, 54),
        legs=(226, 96, 64), accents=("coal", "ash", "teal", "rose", "umber"),
        depth=0.46, head=0.42, neck=(0.86, 0.42), bill_shape="dagger", bill_length=1.15, tail=1.15,
        tail_width=0.42, fork=0.55, leg=0.3, span=2.3, chord=0.52, crest=0.6, upright=14,
        habits=_likes("flying", "soaring", "swimming"),
    ),
)
# fmt: on
"""Species number s belongs to genus ``GENERA[s % len(GENERA)]``."""
