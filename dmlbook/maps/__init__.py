"""Maps of embeddings: images and their learned centers in the plane, and how far such a picture may be believed."""

from dmlbook.maps.honesty import (
    continuity,
    kept_neighbors,
    procrustes_distance,
    trustworthiness,
)
from dmlbook.maps.layout import Map, align, pca_map, umap_map
from dmlbook.maps.page import registered, write_page
from dmlbook.maps.purity import kind_purity, purity_by_chance
from dmlbook.maps.serving import Serving, serving
from dmlbook.maps.view import MODULE, Shown, kind_places, view_data

__all__ = [
    "MODULE",
    "Map",
    "Serving",
    "Shown",
    "align",
    "continuity",
    "kept_neighbors",
    "kind_places",
    "kind_purity",
    "pca_map",
    "procrustes_distance",
    "purity_by_chance",
    "registered",
    "serving",
    "trustworthiness",
    "umap_map",
    "view_data",
    "write_page",
]
