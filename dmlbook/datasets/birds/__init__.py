"""Drawn birds: an image set whose local clusters are known, and the program that draws it."""

from dmlbook.datasets.birds.images import (
    IMAGES_PER_SPECIES,
    NUM_SPECIES,
    SPLITS,
    draw,
    genus_of,
    load,
    true_kinds,
)

__all__ = ["IMAGES_PER_SPECIES", "NUM_SPECIES", "SPLITS", "draw", "genus_of", "load", "true_kinds"]
