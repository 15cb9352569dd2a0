"""What is measured where classes hide kinds: retrieval, classification, what the centers serve, and maps."""

from __future__ import annotations

import torch

from dmlbook import losses, maps, retrieval
from dmlbook._types import Float, Int, Tensor
from dmlbook.commands.map import judged, unexplained
from dmlbook.maps import Map
from dmlbook.seeding import generator

NEIGHBORS = 15


def retrieved(
    embeddings: Float[Tensor, "N D"], labels: Int[Tensor, " N"], kinds: Int[Tensor, " N"]
) -> dict[str, float]:
    """Recall@1 and MAP@R, by class and by kind."""
    found = {}
    for what, truth in (("class", labels), ("kind", kinds)):
        found[f"recall_by_{what}"] = retrieval.recall_at_k(embeddings, truth, ks=(1,))[1]
        found[f"map_by_{what}"] = retrieval.map_at_r(embeddings, truth)
    return found


def measure(
    loss: losses.SoftTriple, embeddings: Float[Tensor, "N D"], labels: Int[Tensor, " N"], kinds: Int[Tensor, " N"]
) -> dict[str, float]:
    """Classification by class, and what became of the kinds."""
    own = loss.similarities(embeddings)[torch.arange(len(labels)), labels]  # (N, K)
    assigned = loss.report().groups[labels, own.argmax(1)]  # merged centers count as one
    return {
        "accuracy": float((loss.class_similarities(embeddings).argmax(1) == labels).double().mean()),
        "recovery": retrieval.kind_recovery(assigned, labels, kinds),
        "kind_cosine": retrieval.kind_cosine(embeddings, labels, kinds),
    }


def near(count: int) -> int:
    """How many neighbors count as near among so many images: 15, or as many as can be judged."""
    return min(NEIGHBORS, (count - 1) // 2)


def layouts_of(
    loss: losses.SoftTriple, embeddings: Float[Tensor, "N D"], labels: Int[Tensor, " N"], seeds: list[int]
) -> list[Map]:
    """A UMAP of the images and of the centers that serve any of them, for each seed."""
    used = maps.serving(embeddings, labels, loss.centers).used
    return [
        maps.umap_map(embeddings, loss.centers.detach(), used=used, n_neighbors=near(len(labels)), seed=seed)
        for seed in seeds
    ]


def seen(
    loss: losses.SoftTriple,
    embeddings: Float[Tensor, "N D"],
    labels: Int[Tensor, " N"],
    kinds: Int[Tensor, " N"],
    *,
    seed: int,
    layouts: int,
) -> dict[str, float]:
    """How pure the centers are, how many serve, and how far maps of these images may be believed.

    Args:
        loss: Its centers; merged ones count as one.
        embeddings: Of the images to be mapped.
        labels: Their classes.
        kinds: Their hidden kinds.
        seed: Of the run; the layouts' seeds count up from it.
        layouts: How many, 2 or more.
    """
    served = maps.serving(embeddings, labels, loss.centers)
    drawn = layouts_of(loss, embeddings, labels, list(range(seed, seed + layouts)))
    found = {
        "purity": maps.kind_purity(served, kinds)[0],
        "purity_by_chance": maps.purity_by_chance(served, kinds, generator=generator(seed, "chance")),
        "used": float(served.used.sum(1).double().mean()),
        "unexplained": unexplained(drawn),
    }
    for prefix, shown in (("", drawn), ("pca_", [maps.pca_map(embeddings)])):
        for name, values in judged(embeddings, shown, near(len(labels))).items():
            found[f"{prefix}{name.replace(' ', '_')}"] = sum(values) / len(values)
    return {f"seen_{name}": value for name, value in found.items()}
