"""The door: losses by name, with the options they take."""

import pytest
import torch

from dmlbook import losses
from tests.losses.loss_toys import (
    CLASSES,
    SIZE,
)


def test_options_lists_the_papers_defaults():
    several = {"centers_per_class": 10, "scale": 20.0, "margin": 0.01, "generator": None}
    assert {name: losses.options(name) for name in losses.NAMES} == {
        "triplet": {"margin": 0.2, "distance": "squared", "hinge": True, "average": "valid", "normalize": True},
        "semihard": {"margin": 0.2, "normalize": True},
        "softmax": {"scale": 20.0, "margin": 0.0, "generator": None},
        "hardtriple": {**several, "tau": 0.0},
        "softtriple": {**several, "gamma": 0.1, "tau": 0.2, "similarity": "expected"},
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
        ("softtriple", {"centers_per_class": 2.0}, "centers_per_class must be an integer >= 1; got 2.0"),
        ("softtriple", {"similarity": "max"}, "similarity must be one of 'expected', 'logsumexp'; got 'max'"),
        ("softmax", {"scale": 0}, "NormalizedSoftmax: scale must be a finite number > 0; got 0"),
        ("triplet", {"margin": -1.0}, "TripletLoss: margin must be a finite number >= 0; got -1.0"),
        ("triplet", {"distance": "cosine"}, "distance must be one of 'squared', 'euclidean'; got 'cosine'"),
        ("triplet", {"hinge": False, "average": "active"}, 'average must be "valid" without a hinge; got active'),
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
@pytest.mark.parametrize("name", ["softmax", "hardtriple", "softtriple", "centroid_bound"])
def test_one_class_is_too_few_to_tell_apart(name):
    with pytest.raises(ValueError, match="num_classes must be an integer >= 2; got 1"):
        losses.make(name, num_classes=1, embedding_size=SIZE)
