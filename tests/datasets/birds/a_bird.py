"""A genus and species of round numbers, for the tests of the drawing."""

from dmlbook.datasets.birds.genera import Genus
from dmlbook.datasets.birds.parts import Plumage
from dmlbook.datasets.birds.species import TRAITS, Species

GENUS = Genus(
    "auk",
    back=(100, 0, 0),
    belly=(200, 200, 200),
    wing=(0, 200, 0),
    bill=(0, 0, 100),
    legs=(50, 50, 0),
    accents=("coal", "azure", "ember", "fern", "plum"),
    depth=0.5,
    head=0.4,
    neck=(0.6, 0.6),
    bill_shape="cone",
    bill_length=1.0,
    tail=1.0,
    tail_width=0.5,
    fork=0.2,
    leg=0.4,
    span=1.5,
    chord=0.7,
)


def plumage(contrast=1.0, genus=GENUS, **traits) -> Plumage:
    """Of a species with the first value of every trait, but for those that are given."""
    details = {trait: values[0] for trait, values in TRAITS.items()} | traits
    return Plumage(Species(0, "Plain auk", genus, tuple(details.items()), (0,), (1.0,)), contrast)


def area(polygon) -> float:
    """By the shoelace formula; counterclockwise is positive."""
    x, y = polygon.T
    return float((x * [*y[1:], y[0]] - y * [*x[1:], x[0]]).sum()) / 2
