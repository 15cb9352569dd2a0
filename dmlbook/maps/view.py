"""What the map's page is fed: places, labels, neighbors and small pictures, packed as plain JSON values."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from dmlbook._checks import at_least, bad_input, checked, finite
from dmlbook._types import Float, Int, Tensor, UInt8
from dmlbook.datasets.image_set import ImageSet
from dmlbook.geometry import normalize
from dmlbook.maps.layout import Map
from dmlbook.maps.near import nearest

MODULE = Path(__file__).parent / "web" / "map.js"
"""The module that shows it, in a notebook and on a page."""
COLUMNS = 24  # pictures in a row of a sheet, and rows of it: browsers draw no sheet of any size
COLORS = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd")
"""petroff10: ten hues that stay apart in every kind of color vision (Petroff, 2021). Classes beyond share them."""


@checked(embeddings=finite, epoch=at_least(0))
@dataclass(frozen=True)
class Shown:
    """One map to look at, and the embedding that it was made of.

    Attributes:
        method: What the reader chooses it by.
        map: Where images, and centers if any, are drawn.
        embeddings: One row an image.
        centers: Learned centers of each class; None where the loss has none. Those that the map left out are not shown.
        epoch: How long it had been trained, where a method is shown more than once.
    """

    method: str
    map: Map
    embeddings: Float[Tensor, "N D"]
    centers: Float[Tensor, "C K D"] | None = None
    epoch: int | None = None


@checked(side=at_least(8), n_neighbors=at_least(1))
def view_data(
    image_set: ImageSet,
    shown: Sequence[Shown],
    *,
    about: str = "",
    center_classes: Sequence[str] | None = None,
    side: int = 48,
    n_neighbors: int = 8,
) -> dict:
    """Everything that the map's page shows, as values that JSON can hold.

    Args:
        image_set: N images, with kinds where they are known.
        shown: The maps, in the order in which they are offered; all of the same N images.
        about: A sentence that stands beside the map before anything is chosen.
        center_classes: Names of the classes that the centers belong to (C), where they are not the images' own:
            centers are learned for training classes.
        side: Of the small pictures, in pixels.
        n_neighbors: How many neighbors of each image are listed, below N.

    Raises:
        ValueError: Nothing is to be shown, or sizes do not fit.
    """
    count = len(image_set)
    if not shown:
        raise bad_input("shown", "hold at least one map", "none", "Make one with umap_map.")
    if n_neighbors >= count:
        raise bad_input("n_neighbors", "be below the number of images", n_neighbors, f"Give at most {count - 1}.")
    names = list(center_classes if center_classes is not None else image_set.class_names)
    kinds = image_set.kinds
    kind_names = image_set.kind_names or ([] if kinds is None else [f"kind {n}" for n in range(int(kinds.max()) + 1)])
    return {
        "about": about,
        "classes": list(image_set.class_names),
        "centerClasses": names,
        "labels": _packed(image_set.labels, np.uint16),
        "kinds": None if kinds is None else list(kind_names),
        "kind": None if kinds is None else _packed(kinds, np.uint16),
        "mark": None if kinds is None else _packed(kind_places(image_set.labels, kinds), np.uint8),
        "colors": list(COLORS),
        "columns": COLUMNS,
        "sheets": sheets(image_set.images, side=side),
        "views": [_view(each, image_set, names, n_neighbors) for each in shown],
    }


@checked
def kind_places(labels: Int[Tensor, " N"], kinds: Int[Tensor, " N"]) -> Int[Tensor, " N"]:
    """For each image the place of its kind among the kinds of its class, from 0: what its marker says.

    Example:
        >>> kind_places(torch.tensor([0, 0, 1, 1]), torch.tensor([7, 5, 5, 9]))
        tensor([1, 0, 0, 1])
    """
    places = torch.zeros_like(kinds)
    for label in torch.unique(labels):
        own = labels == label
        places[own] = torch.unique(kinds[own], return_inverse=True)[1]
    return places


@checked(side=at_least(8))
def sheets(images: UInt8[Tensor, "N 3 S S"], *, side: int) -> list[str]:
    """Small pictures side by side on a few large ones, each as the address of a JPEG that carries its own bytes."""
    found, per = [], COLUMNS**2
    for part in images.split(per):
        small = F.interpolate(part.float(), size=(side, side), mode="bilinear", antialias=True, align_corners=False)
        rows = math.ceil(len(part) / COLUMNS)
        whole = torch.full((rows * COLUMNS, 3, side, side), 255.0)
        whole[: len(part)] = small
        sheet = whole.unflatten(0, (rows, COLUMNS)).permute(0, 3, 1, 4, 2).reshape(rows * side, COLUMNS * side, 3)
        buffer = io.BytesIO()
        Image.fromarray(sheet.round().clamp(0, 255).byte().numpy()).save(buffer, format="jpeg", quality=82)
        found.append("data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii"))
    return found


def _view(shown: Shown, image_set: ImageSet, names: Sequence[str], k: int) -> dict[str, object]:
    count = len(image_set)
    if len(shown.map.points) != count or len(shown.embeddings) != count:
        got = f"{len(shown.map.points)} places and {len(shown.embeddings)} embeddings under {shown.method!r}"
        raise bad_input("shown", f"have a place and an embedding for each of {count} images", got, "Map this set.")
    unit = normalize(shown.embeddings.detach().cpu().double())
    view = {
        "method": shown.method,
        "epoch": shown.epoch,
        "points": _packed(shown.map.points, np.float32),
        "k": k,
        "neighbors": _packed(nearest(count, k, lambda rows: -unit[rows] @ unit.T), np.uint32),
        "assigned": None,
        "similarity": None,
        "centers": None,
    }
    if shown.centers is None:
        return view
    if shown.map.centers is None or shown.map.centers.shape[:2] != shown.centers.shape[:2]:
        got = "none" if shown.map.centers is None else tuple(shown.map.centers.shape[:2])
        raise bad_input("shown", "have a place for each center", got, "Give the centers to umap_map, too.")
    if len(shown.centers) != len(names):
        got = f"{len(shown.centers)} under {shown.method!r}, and {len(names)} names"
        raise bad_input("center_classes", "name each class that has centers", got, "Pass center_classes.")
    return view | _served(shown, unit, image_set, names)


def _served(shown: Shown, unit: Tensor, image_set: ImageSet, names: Sequence[str]) -> dict[str, object]:
    """The centers that are drawn, and to which of them each image belongs: of its own class, if that has any."""
    drawn = shown.map.centers.isfinite().all(2)  # (C, K)
    owners = drawn.nonzero()[:, 0]
    similar = unit @ normalize(shown.centers.detach().cpu().double())[drawn].T  # (N, M)
    own = torch.tensor([names.index(name) if name in names else -1 for name in image_set.class_names])
    foreign = own[image_set.labels][:, None] != owners
    best = similar.masked_fill(foreign & ~foreign.all(1, keepdim=True), -torch.inf).max(1)
    return {
        "assigned": _packed(best.indices, np.int32),
        "similarity": _packed(best.values, np.float32),
        "centers": {
            "points": _packed(shown.map.centers[drawn], np.float32),
            "labels": _packed(owners, np.uint16),
            "numbers": _packed(drawn.nonzero()[:, 1] + 1, np.uint16),
            "counts": _packed(torch.bincount(best.indices, minlength=len(owners)), np.uint32),
        },
    }


def _packed(values: Tensor, kind: type) -> str:
    return base64.b64encode(np.ascontiguousarray(values.cpu().numpy().astype(kind)).tobytes()).decode("ascii")
