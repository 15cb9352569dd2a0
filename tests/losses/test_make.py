"""The door: losses by name, with the options they take."""

import ast
import inspect
from pathlib import Path

import pytest
import torch

from dmlbook import losses
from dmlbook.chapters.ch02 import theory
from tests.losses.loss_toys import (
    CLASSES,
    KNOW_CLASSES,
    SIZE,
)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("triplet", losses.TripletLoss),
        ("semihard", losses.SemiHardLoss),
        ("softmax", losses.NormalizedSoftmax),
        ("hardtriple", losses.HardTriple),
        ("softtriple", losses.SoftTriple),
        ("centroid_bound", losses.CentroidBound),
        ("lifted", losses.LiftedStructure),
        ("clustering", losses.FacilityLocation),
        ("npairs", losses.NPairs),
        ("proxy_nca", losses.ProxyNCA),
        ("triplet_center", losses.TripletCenter),
        ("proxy_anchor", losses.ProxyAnchor),
        ("subcenter_arcface", losses.SubcenterArcFace),
    ],
)
def test_a_name_makes_a_loss_of_its_class_with_its_options(name, kind):
    made = losses.make(name, num_classes=CLASSES, embedding_size=SIZE)
    assert type(made) is kind
    assert {key: getattr(made, key) for key in ("margin", "scale", "tau", "gamma") if hasattr(made, key)} == {
        key: value for key, value in losses.options(name).items() if key in ("margin", "scale", "tau", "gamma")
    }


def test_options_lists_the_papers_defaults():
    several = {"centers_per_class": 10, "scale": 20.0, "margin": 0.01, "generator": None}
    assert {name: losses.options(name) for name in losses.NAMES} == {
        "triplet": {"margin": 0.2, "distance": "squared", "hinge": True, "average": "valid", "normalize": True},
        "semihard": {"margin": 0.2, "normalize": True},
        "softmax": {"scale": 20.0, "margin": 0.0, "generator": None},
        "hardtriple": {**several, "tau": 0.0},
        "softtriple": {**several, "gamma": 0.1, "tau": 0.2, "similarity": "expected"},
        "lifted": {"margin": 1.0, "normalize": False},
        "clustering": {"margin_weight": 1.0, "rounds": 5, "normalize": True},
        "npairs": {"length_weight": 0.001, "normalize": False, "scale": 1.0},
        "proxy_nca": {"scale": 9.0, "denominator": "others", "generator": None},
        "triplet_center": {
            "margin": 1.0,
            "negatives": "closest",
            "update": "running",
            "rate": 0.5,
            "normalize": True,
        },
        "proxy_anchor": {"scale": 32.0, "margin": 0.1, "generator": None},
        "subcenter_arcface": {"centers_per_class": 3, "scale": 64.0, "margin": 0.5, "generator": None},
        "centroid_bound": {"centroids": "kmeans", "class_counts": None, "normalize": True, "generator": None},
    }


@pytest.mark.bad_input
def test_options_of_an_unknown_loss_are_refused_with_the_near_name():
    with pytest.raises(ValueError, match=r"losses.options: name must be one of .*Did you mean 'softmax'"):
        losses.options("softmx")


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("name", "chosen", "message"),
    [
        ("softriple", {}, "name must be one of .*got 'softriple'. Did you mean 'softtriple'"),
        ("softtriple", {"lambda_": 3}, "options must be among those of softtriple: centers_per_class, scale, gamma"),
        ("softtriple", {"gamma": 0.0}, "SoftTriple: gamma must be a finite number > 0; got 0.0"),
        ("softtriple", {"gamma": float("nan")}, "gamma must be a finite number > 0; got nan"),
        ("softtriple", {"scale": -1}, "scale must be a finite number > 0; got -1"),
        ("softtriple", {"tau": -0.1}, "tau must be a finite number >= 0; got -0.1"),
        ("softtriple", {"margin": "wide"}, "margin must be a finite number; got 'wide'"),
        ("softtriple", {"centers_per_class": 2.0}, "centers_per_class must be an integer; got 2.0"),
        ("softtriple", {"similarity": "max"}, "similarity must be one of 'expected', 'logsumexp'; got 'max'"),
        ("softmax", {"scale": 0}, "NormalizedSoftmax: scale must be a finite number > 0; got 0"),
        ("triplet", {"margin": -1.0}, "TripletLoss: margin must be a finite number >= 0; got -1.0"),
        ("triplet", {"distance": "cosine"}, "distance must be one of 'squared', 'euclidean'; got 'cosine'"),
        ("triplet", {"hinge": False, "average": "active"}, 'average must be "valid" without a hinge; got active'),
        ("lifted", {"margin": float("nan")}, "LiftedStructure: margin must be a finite number; got nan"),
        ("clustering", {"margin_weight": -1.0}, "FacilityLocation: margin_weight must be a finite number >= 0; got -1"),
        ("clustering", {"rounds": 0.5}, "FacilityLocation: rounds must be an integer >= 0; got 0.5"),
        ("npairs", {"length_weight": -1}, "NPairs: length_weight must be a finite number >= 0; got -1"),
        ("npairs", {"scale": 0.0}, "NPairs: scale must be a finite number > 0; got 0.0"),
        ("proxy_nca", {"scale": 0.0}, "ProxyNCA: scale must be a finite number > 0; got 0.0"),
        (
            "proxy_nca",
            {"denominator": "other"},
            "denominator must be one of 'others', 'all'; got 'other'. Did you mean",
        ),
        ("triplet_center", {"negatives": "max"}, "negatives must be one of 'closest', 'mean'; got 'max'"),
        ("triplet_center", {"update": "exact"}, "update must be one of 'running', 'fixed'; got 'exact'"),
        ("triplet_center", {"rate": 0.0}, "rate must be a finite number > 0 and <= 1; got 0.0"),
        ("triplet_center", {"margin": -1.0}, "TripletCenter: margin must be a finite number >= 0; got -1.0"),
        ("proxy_anchor", {"scale": -2.0}, "ProxyAnchor: scale must be a finite number > 0; got -2.0"),
        ("subcenter_arcface", {"margin": 28.6}, "margin must be a finite number >= 0 and <= 1.5708; got 28.6"),
        ("subcenter_arcface", {"centers_per_class": 0}, "centers_per_class must be an integer >= 1; got 0"),
        ("semihard", {"margin": float("inf")}, "SemiHardLoss: margin must be a finite number >= 0; got inf"),
        ("centroid_bound", {"centroids": "random"}, "centroids must be one of 'simplex', 'one_hot', 'kmeans'"),
        ("centroid_bound", {"class_counts": torch.tensor([3, 0, 2, 2])}, "class_counts must be at least 1; got 0"),
        ("centroid_bound", {"class_counts": torch.tensor([3, 2])}, r"class_counts must be a tensor of shape \(4,\)"),
    ],
)
def test_bad_options_are_named(name, chosen, message):
    with pytest.raises(ValueError, match=message):
        losses.make(name, num_classes=CLASSES, embedding_size=SIZE, **chosen)


@pytest.mark.bad_input
@pytest.mark.parametrize("name", KNOW_CLASSES)
def test_one_class_is_too_few_to_tell_apart(name):
    with pytest.raises(ValueError, match="num_classes must be an integer >= 2; got 1"):
        losses.make(name, num_classes=1, embedding_size=SIZE)


SOURCES = [path.read_text(encoding="utf-8") for path in Path(losses.__file__).parent.glob("*.py")]
# Functions that no trainable loss calls: each counts, lists or measures what one of them works on.
INSPECT = {
    "cross_batch_memory": "a memory of former batches around a loss on pairs",
    "assigned_centers": "to which of a center loss's centers an image belongs",
    "centroid_bound_sum": "the bound of CentroidBound over a whole set, for classes of any sizes",
    "triplet_kinds": "how many triplets of TripletLoss are hard, semi-hard and easy",
    "triplet_sum": "what the bound bounds: TripletLoss without hinge, summed",
    "role_counts": "in how many triplets an image takes part, which weigh the bound",
    "valid_triplets": "the triplets of TripletLoss, listed",
}


def reached_by_losses(sources: list[str]) -> set[str]:
    """The functions and classes that the loss classes in these files name, and those that they name in turn."""
    nodes = [node for text in sources for node in ast.parse(text).body]
    defined = {node.name: node for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    classes = [node for node in defined.values() if isinstance(node, ast.ClassDef)]
    todo = ["Loss"]
    for name in todo:  # which grows as it is gone through
        todo += [node.name for node in classes if any(getattr(base, "id", "") == name for base in node.bases)]
    reached = set()
    while todo:
        if (name := todo.pop()) in defined and name not in reached:
            reached.add(name)
            todo += [node.id for node in ast.walk(defined[name]) if isinstance(node, ast.Name)]
    return reached


def door_violations(exported: dict[str, object], sources: list[str]) -> list[str]:
    """``exported`` are the things at the door by name, ``sources`` the files behind it."""
    found = [] if len(exported) <= 45 else [f"{len(exported)} names, at most 45"]
    reached = reached_by_losses(sources)
    for name, thing in exported.items():
        if callable(thing) and not thing.__module__.startswith("dmlbook.losses"):
            found.append(f"{name} is {thing.__module__}'s")
        elif inspect.isfunction(thing) and name not in reached | INSPECT.keys() | {"make", "options"}:
            found.append(f"no loss uses {name}")
    return found


def at_the_door() -> dict[str, object]:
    return {name: getattr(losses, name) for name in losses.__all__}


def test_the_door_shows_what_trainable_losses_use_and_what_counts_or_inspects_it():
    assert door_violations(at_the_door(), SOURCES) == []
    reached = reached_by_losses(SOURCES)
    assert {"SoftTriple", "center_regularizer", "triplet_mean", "count_triplets"} <= reached
    assert INSPECT.keys() <= at_the_door().keys() - reached, "an excuse that is not needed"


def test_a_chapters_formula_at_the_door_is_seen():
    narrow = {name: thing for name, thing in at_the_door().items() if name != "options"}  # room for one more
    there = {**narrow, "violations": theory.violations}
    assert door_violations(there, SOURCES) == ["violations is dmlbook.chapters.ch02.theory's"]

    def smoothing_gap(): ...

    smoothing_gap.__module__ = "dmlbook.losses.triplets"  # moved back behind the door
    there = {**narrow, "smoothing_gap": smoothing_gap}
    formula = "def smoothing_gap(a):\n    return triplet_mean(a)\n"
    user = "class Mine(TripletLoss):\n    def compute(self, x, y):\n        return smoothing_gap(x)\n"
    assert door_violations(there, [*SOURCES, formula]) == ["no loss uses smoothing_gap"]
    assert door_violations(there, [*SOURCES, formula, user]) == []


def test_a_wide_door_is_seen():
    assert door_violations({f"name_{n}": 0 for n in range(45)}, SOURCES) == []
    assert door_violations({f"name_{n}": 0 for n in range(46)}, SOURCES) == ["46 names, at most 45"]
