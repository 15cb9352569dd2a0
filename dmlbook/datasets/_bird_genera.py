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


GENERA: tuple[Genus, ...] = (
    Genus(
        "tit", (108, 142, 178), (250, 222, 130), (74, 104, 142), (62, 58, 66), (96, 92, 104),
        ("coal", "azure", "ember", "fern", "plum"), 0.72, 0.62, (0.62, 0.62), "thin", 0.55,
        0.95, 0.30, 0.10, 0.42, 1.5, 0.72, habits=_likes("perched", "facing", "flying"),
    ),
    Genus(
        "duck", (142, 118, 98), (232, 222, 206), (108, 92, 84), (240, 170, 60), (236, 134, 54),
        ("jade", "rust", "indigo", "umber", "plum"), 0.56, 0.44, (0.92, 0.62), "flat", 1.15,
        0.40, 0.26, 0.0, 0.32, 1.5, 0.62, crest=0.6, upright=8, habits=_likes("swimming", "flying", "perched"),
    ),
    Genus(
        "owl", (156, 122, 92), (240, 224, 196), (122, 92, 70), (226, 176, 84), (206, 170, 110),
        ("umber", "rust", "ash", "ivory", "coal"), 0.74, 0.72, (0.60, 0.68), "hook", 0.38,
        0.55, 0.40, 0.0, 0.26, 1.7, 0.86, crest=0.55, disc=True, upright=58,
        habits=_likes("facing", "perched", "soaring"),
    ),
    Genus(
        "finch", (196, 140, 104), (248, 228, 200), (128, 88, 68), (232, 176, 128), (150, 104, 92),
        ("crimson", "amber", "rose", "rust", "plum"), 0.64, 0.54, (0.68, 0.56), "cone", 0.72,
        0.92, 0.36, 0.30, 0.36, 1.5, 0.66, habits=_likes("perched", "feeding", "flying"),
    ),
    Genus(
        "heron", (150, 166, 182), (240, 242, 244), (104, 122, 146), (244, 190, 74), (214, 158, 76),
        ("indigo", "plum", "coal", "rust", "teal"), 0.50, 0.34, (1.12, 1.18), "dagger", 2.0,
        0.45, 0.24, 0.0, 1.35, 1.9, 0.72, crest=1.5, upright=30, habits=_likes("feeding", "perched", "soaring"),
    ),
    Genus(
        "kingfisher", (28, 132, 168), (248, 172, 96), (20, 96, 142), (60, 54, 62), (232, 98, 62),
        ("azure", "ivory", "ember", "jade", "indigo"), 0.62, 0.60, (0.66, 0.60), "dagger", 1.55,
        0.45, 0.28, 0.0, 0.22, 1.35, 0.62, crest=0.9, upright=45, habits=_likes("perched", "flying", "facing"),
    ),
    Genus(
        "falcon", (112, 122, 142), (244, 230, 208), (78, 86, 108), (92, 88, 96), (244, 200, 72),
        ("coal", "rust", "indigo", "amber", "ash"), 0.56, 0.46, (0.78, 0.50), "hook", 0.62,
        1.05, 0.38, 0.05, 0.36, 2.1, 0.66, crest=0.45, upright=55, habits=_likes("soaring", "perched", "flying"),
    ),
    Genus(
        "hummingbird", (46, 158, 116), (234, 240, 226), (92, 116, 128), (52, 48, 58), (80, 74, 84),
        ("crimson", "lilac", "amber", "azure", "rose"), 0.52, 0.50, (0.82, 0.52), "needle", 2.1,
        0.85, 0.36, 0.35, 0.20, 1.65, 0.50, crest=0.7, upright=40, habits=_likes("flying", "perched", "soaring"),
    ),
    Genus(
        "parrot", (86, 172, 84), (196, 220, 96), (44, 128, 84), (236, 216, 190), (150, 140, 146),
        ("crimson", "azure", "lemon", "coral", "indigo"), 0.60, 0.56, (0.72, 0.60), "hook", 0.72,
        1.65, 0.26, 0.0, 0.26, 1.7, 0.72, crest=1.0, upright=55, habits=_likes("perched", "facing", "soaring"),
    ),
    Genus(
        "tern", (206, 212, 220), (252, 252, 250), (160, 170, 184), (228, 84, 54), (226, 96, 64),
        ("coal", "ash", "teal", "rose", "umber"), 0.46, 0.42, (0.86, 0.42), "dagger", 1.15,
        1.15, 0.42, 0.55, 0.30, 2.3, 0.52, crest=0.6, upright=14, habits=_likes("soaring", "flying", "swimming"),
    ),
)
"""Species number s belongs to genus ``GENERA[s % len(GENERA)]``."""
