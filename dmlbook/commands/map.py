"""A trained run as a page that opens anywhere: its images on a map, their neighbors, and what its centers serve."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

import torch

from dmlbook import maps, records
from dmlbook._checks import at_least, bad_input, check_number, checked
from dmlbook._types import Int, Tensor
from dmlbook.commands import common, places, split_options, uses
from dmlbook.datasets import ImageSet, split_classes
from dmlbook.maps import Map, Shown
from dmlbook.seeding import SEED, generator
from dmlbook.training import embed
from dmlbook.use import run_folders

ABOUT = """\
examples
  python -m dmlbook train --data folder --root my_photos --loss softtriple
  python -m dmlbook map --run runs/my_photos-softtriple                (the training classes, with their centers)
  python -m dmlbook map --run runs/my_photos-softtriple --split test   (classes that it never saw have no centers)
  python -m dmlbook map --run runs/my_photos-softtriple --data folder --root others --split test --out others.html

The page is one file: map, small pictures, neighbors and centers. It needs no network and nothing installed. It holds
small copies of your images: send it to nobody who may not see them.
"""
TEXT = (
    "Each dot is an image, placed by UMAP so that most images lie near some of their nearest neighbors; each X is a "
    "center that serves images, the larger the more. Axes, distances between groups and sizes of groups mean nothing. "
    "The neighbors listed beside the map are those of the embedding, not of the map."
)


def add_arguments(parser: ArgumentParser) -> None:
    uses.add_run_argument(parser)
    parser.add_argument(
        "--split",
        choices=("train", "validation", "test"),
        default="train",
        help="which classes (default: train); validation: those that train --validation held out",
    )
    parser.add_argument("--out", help="the page to write (default: map-SPLIT.html in the run's folder)")
    parser.add_argument(
        "--most",
        type=common.integer,
        default=5000,
        help="images at most, as many of each class; 10,000 take 4 GB (default: 5000)",
    )
    parser.add_argument(
        "--neighbors", type=common.integer, default=15, help="how many count as near on the map (default: 15)"
    )
    parser.add_argument(
        "--seeds", type=common.integer, default=3, help="layouts that are judged; the first is shown (default: 3)"
    )
    common.add_data_arguments(parser, required=False)


@checked
def run(options: Namespace) -> int:
    check_number(low=4, integer=True, most=options.most)
    check_number(low=1, integer=True, seeds=options.seeds)
    check_number(low=1, integer=True, neighbors=options.neighbors)
    if options.out is not None:
        common.check_file(Path(options.out), "--out")
    trained = run_folders.read_run(Path(options.run), trust_code=options.trust_code)
    folder, images = trained.folder, _images(places.of_run(trained, options))
    images = images.select(spread(images.labels, options.most))
    out = Path(options.out) if options.out else folder / f"map-{options.split}.html"
    vectors = embed(trained.net, images, config=trained.config)
    centers = trained.centers if options.split == "train" else None
    if centers is not None and len(centers) != images.num_classes:
        got = f"{images.num_classes} for the centers of {len(centers)}"
        raise bad_input("--data", "have the classes that the run was trained on", got, "Or give --split test.")
    served = None if centers is None else maps.serving(vectors, images.labels, centers)
    used = {} if served is None else {"used": served.used}
    layouts = [
        maps.umap_map(vectors, centers, n_neighbors=options.neighbors, seed=seed, **used)
        for seed in common.seeds(options.seeds)
    ]
    said = [judgment(vectors, layouts, min(options.neighbors, (len(images) - 1) // 2))]
    if served is not None:
        said.append(_of_centers(served))
    print("\n".join(said))
    shown = [
        Shown("UMAP", layouts[0], vectors, centers),
        Shown("PCA", maps.pca_map(vectors, centers, **used), vectors, centers),
    ]
    about = f"{options.split} classes of {folder.name}."
    data = maps.view_data(images, shown, about=about, n_neighbors=min(8, len(images) - 1))
    title = f"{images.name}: {len(images)} images of {images.num_classes} classes"
    page = maps.write_page(out, maps.MODULE, data, title=title, text=" ".join([TEXT, *said]))
    print(f"{page} ({page.stat().st_size / 1e6:.1f} MB): open it in a browser")
    return 0


@checked(most=at_least(1))
def spread(labels: Int[Tensor, " N"], most: int) -> Int[Tensor, " M"]:
    """Numbers of at most ``most`` images, in order, drawn evenly: no class gives more while another is cut short.

    Args:
        labels: Class of each image.
        most: How many may be kept.
    """
    if len(labels) <= most:
        return torch.arange(len(labels))
    order = torch.randperm(len(labels), generator=generator(SEED, "map"))
    rank = torch.empty_like(order)  # of each image among those of its class, in that order
    for label in torch.unique(labels):
        own = order[labels[order] == label]
        rank[own] = torch.arange(len(own))
    return rank.argsort(stable=True)[:most].sort().values


def judgment(vectors: Tensor, layouts: list[Map], k: int) -> str:
    """How far the maps may be believed, in a sentence; intervals are over the layouts' seeds."""
    parts = []
    for name, values in judged(vectors, layouts, k).items():
        mean, half = records.interval(values)
        parts.append(f"{name} {mean:.2f}" + (f" \u00b1 {half:.2f}" if len(layouts) > 1 else ""))
    text = f"Of {k} neighbors, {len(layouts)} layout{'s' * (len(layouts) > 1)}: {', '.join(parts)}."
    if len(layouts) > 1:
        text += f" Two seeds leave {100 * unexplained(layouts):.0f}% of each other's layout unexplained."
    return text


def judged(vectors: Tensor, layouts: list[Map], k: int) -> dict[str, list[float]]:
    """What each layout has kept of the neighborhoods, by the measure's name."""
    kept = [float(maps.kept_neighbors(vectors, each, n_neighbors=k).mean()) for each in layouts]
    return {
        "trustworthiness": [maps.trustworthiness(vectors, each, n_neighbors=k) for each in layouts],
        "continuity": [maps.continuity(vectors, each, n_neighbors=k) for each in layouts],
        "neighbors kept": kept,
    }


def unexplained(layouts: list[Map]) -> float:
    """The Procrustes distance of two layouts, in the mean over all pairs."""
    apart = [maps.procrustes_distance(a, b) for n, a in enumerate(layouts) for b in layouts[:n]]
    return sum(apart) / len(apart)


def _of_centers(served: maps.Serving) -> str:
    classes, per_class = served.counts.shape
    used, apart = (float(which.sum()) / classes for which in (served.used, ~served.merged))
    return f"Of {per_class} centers a class, {apart:.1f} are distinct and {used:.1f} serve somebody."


def _images(options: Namespace) -> ImageSet:
    """The images asked for; of a run that held some out, those that it trained on."""
    if options.protocol != split_options.BY_CLASS:
        if options.split == "validation" and options.validation is None:
            raise bad_input("--split", "be train or test", options.split, "This run has held nothing out.")
        held = None if options.split == "test" else options.validation
        found = split_options.load(options, options.protocol, held)
        return found.train if options.split == "train" else found.queries
    if options.validation is None:
        if options.split == "validation":
            raise bad_input("--split", "be train or test", options.split, "This run has held no classes out.")
        return common.load_images(options, options.split)
    if options.split == "test":
        return common.load_images(options, "test")
    halves = split_classes(
        common.load_images(options, "train"), validation=options.validation, generator=generator(SEED, "validation")
    )
    return halves[options.split == "validation"]
