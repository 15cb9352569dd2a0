"""Trains on classes that hide several kinds of images, to see whether several centers find them."""

from __future__ import annotations

import fnmatch
import time
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass, replace
from pathlib import PurePath

import torch

from dmlbook import losses, nets, records, retrieval
from dmlbook._checks import bad_input, check_number, checked
from dmlbook._types import Float, Int, Tensor
from dmlbook.commands import common
from dmlbook.commands.train import DEFAULTS
from dmlbook.datasets import ImageSet, kinds_as_classes, merge_classes, split_images
from dmlbook.datasets.kinds import check_kinds
from dmlbook.seeding import SEED, generator
from dmlbook.training import Features, TrainConfig, embed, fit

ABOUT = """\
Do several centers pay where a class has several clusters? Here the clusters (kinds) are known and hidden from training.

Two ways to hide them:
  --merge 5                     each class is made of five kinds at random (with --relatives: of neighbors in order)
  no --merge, --data folder     root/COARSE/FINE/*.jpg: the outer folders are the classes, the inner ones the kinds
The photographs pass through the frozen network once. On these features an embedding is trained with SoftTriple, for
every --embedding-size and every K of --centers: linear, or with one hidden layer. Measured on the images held out:
  recall by class, by kind      whether the nearest other image is of the same class; of the same hidden kind
  MAP@R by class, by kind       the same of all the nearest, as many as there are right ones
  accuracy                      whether the most similar class (by the loss's own similarity) is the right one
  distinct centers, recovery    how many were left; adjusted Rand index between an image's center and its kind
  kind cosine                   how close the kinds of one class lie together; 1: moved onto one another
Each seed draws its own classes, weights and batches; the images held out are the same for all. The same seed draws the
same for every K, so two values of K can be compared seed by seed.

examples
  python -m dmlbook kinds --data cub --merge 5 --centers 1 5 10 --seeds 5 --record kinds/cub-linear
  python -m dmlbook kinds --data cub --merge 5 --hidden-layer 512 --centers 1 5 10
  python -m dmlbook kinds --data folder --root GroceryStore --held-out-files "test_*" --centers 1 5
  python -m dmlbook kinds --data cub --merge 5 --validation 0.25 --lr 0.003     (to choose settings: dmlbook choose)

Of a benchmark only its training classes are used. --record NAME writes NAME-64d-k5.json and so on, one a configuration.
"""

TRAINING = {"epochs": 20, "batch_size": 128, "lr": 1e-2, "loss_lr": 3e-2, "adam_eps": 1e-8, "milestones": (14,)}
CHOOSABLE = ("epochs", "batch_size", "lr", "loss_lr", "adam_eps", "weight_decay", "milestones", "lr_decay")
SHOWN = {
    "recall_by_class": "R@1 by class", "recall_by_kind": "by kind", "accuracy": "accuracy", "recovery": "recovery",
    "kind_cosine": "kind cosine",
}  # fmt: skip


@dataclass(frozen=True)
class _Halves:
    """Rows of the feature matrix, with what is trained on and what is hidden; first those that train.

    ``frozen`` are the figures of the features as they are, on the images held out.
    """

    rows: tuple[Int[Tensor, " M"], Int[Tensor, " L"]]
    labels: tuple[Int[Tensor, " M"], Int[Tensor, " L"]]
    kinds: tuple[Int[Tensor, " M"], Int[Tensor, " L"]]
    num_classes: int
    frozen: dict[str, float]


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--merge", type=int, metavar="M", help="make classes of M kinds each (default: as they are)")
    parser.add_argument("--relatives", action="store_true", help="merge neighbors in order instead of drawing them")
    parser.add_argument("--centers", type=int, nargs="+", default=[1, 5], metavar="K", help="(default: 1 5)")
    parser.add_argument("--hidden-layer", type=int, default=0, metavar="UNITS", help="0 (default): a linear embedding")
    parser.add_argument(
        "--standardize", action="store_true", help="give each feature mean 0 and deviation 1 on the training images"
    )
    parser.add_argument(
        "--loss-option", type=common.pair, action="append", default=[], metavar="KEY=VALUE", help="such as tau=0"
    )
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--held-out", type=float, default=0.5, metavar="SHARE", help="of each kind (default: 0.5)")
    group.add_argument("--held-out-files", metavar="PATTERN", help="images of such names are held out, as 'test_*'")
    parser.add_argument("--validation", type=float, metavar="SHARE", help="measure this share of the training images")
    parser.add_argument("--seeds", type=int, default=1, help="how many runs, each with a seed of its own (default: 1)")
    parser.add_argument("--record", metavar="NAME", help="write the figures to data/results/NAME-64d-k5.json and so on")
    parser.add_argument("--image-size", type=int, help="side in pixels that the network sees")
    parser.add_argument("--test-crop", type=float, help="side of the middle square as a share of the short side")
    common.add_data_arguments(parser)
    common.add_net_arguments(parser, sizes=True)
    group = parser.add_argument_group("training", "of the embedding and of the centers")
    common.add_config_arguments(group, CHOOSABLE, TRAINING)


@checked
def run(options: Namespace) -> int:
    for per_class in options.centers:
        check_number(low=1, integer=True, centers=per_class)
    study = Study(options)
    fine = "" if study.images.kinds is None else f" with {len(torch.unique(study.images.kinds))} kinds"
    images, features = study.images, study.features
    print(f"{len(images)} images of {images.num_classes} classes{fine}, {features.shape[1]} features each")
    for size in options.embedding_size:
        for per_class in options.centers:
            one = Namespace(**{**vars(options), "embedding_size": [size], "centers": [per_class]})
            name = f"{options.record}-{size}d-k{per_class}" if options.record else None
            record = study.record(one, name)
            for seed in common.seeds(options.seeds):
                if seed not in record.seeds:
                    start = time.perf_counter()
                    figures = study.figures(one, seed)
                    record.add(seed, figures, seconds=time.perf_counter() - start)
            shown = "   ".join(f"{name} {records.percent(record.values(key))}" for key, name in SHOWN.items())
            print(f"{size} dimensions, K = {per_class}: {shown}", flush=True)
            if options.record:
                print(f"recorded in {record.save()}")
    return 0


class Study:
    """Images and their features, made once for many runs, each of one embedding size and one number of centers.

    Args:
        options: Of ``python -m dmlbook kinds``. Those named in ``READ_ONCE`` must be the same in each later call.

    Raises:
        ValueError: The options do not fit together.
    """

    READ_ONCE = (
        "data", "root", "size", "data_option", "merge", "net", "weights", "width_mult", "preprocessing", "same_padding",
        "bn_eps", "image_size", "test_crop",
    )  # fmt: skip
    BY = "recall_by_class"

    def __init__(self, options: Namespace):
        check_number(low=0, integer=True, hidden_layer=options.hidden_layer)
        if options.relatives and options.merge is None:
            raise bad_input("--relatives", "come with --merge", "none", "Say how many make a class: --merge 5.")
        self.images, self.view = (
            images_of(options),
            TrainConfig(image_size=options.image_size, test_crop=options.test_crop),
        )
        self.features = embed(nets.build(**self._network(options)), self.images, config=self.view, features=True)
        self._parts: dict[tuple, _Halves] = {}
        # Splits copy what they are given, so they are given as little as there is.
        self._rows = replace(self.images, images=torch.zeros(len(self.images), 3, 1, 1, dtype=torch.uint8))

    def figures(self, options: Namespace, seed: int) -> dict[str, float]:
        """Train one embedding from one seed and measure it.

        Raises:
            KeyboardInterrupt: Training was stopped; half a training is no result.
        """
        key = (seed, options.relatives, options.held_out, options.held_out_files, options.validation)
        if key not in self._parts:
            self._parts[key] = halves(options, self._rows, self.features, seed)
        parts = self._parts[key]
        return one_run(options, self.features, parts, options.embedding_size[0], options.centers[0], seed)

    def record(self, options: Namespace, name: str | None) -> records.Record:
        """The record that these options make, continued where it is there."""
        (size,), (per_class,) = options.embedding_size, options.centers
        grouped = "coarse folders" if options.merge is None else f"{options.merge} kinds, drawn by the seed"
        if options.relatives:
            grouped = f"{options.merge} kinds, neighbors in order"
        share = f"{options.held_out:g} of each kind" if options.held_out_files is None else options.held_out_files
        configuration = {
            "data": options.data,
            "size": self.images.images.shape[-1],
            "data_options": dict(options.data_option),
            "images": len(self.images),
            "classes_made_of": grouped,
            "held_out": f"{share}, the same for every seed",
            "measured_on": "the images held out"
            if options.validation is None
            else f"{options.validation:g} of the training images of each kind",
            "image_size": self.view.image_size,
            "test_crop": self.view.test_crop,
            "network": common.described(self._network(options)),
            "standardize": options.standardize,
            "hidden_layer": options.hidden_layer,
            "loss": "softtriple",
            "loss_options": {**dict(options.loss_option), "centers_per_class": per_class},
            "training": {name: _config(options).to_dict()[name] for name in CHOOSABLE},
        }
        head = f"{options.hidden_layer} hidden units" if options.hidden_layer else "a linear embedding"
        title = f"SoftTriple with K = {per_class} on {options.data}, classes of {grouped}, {head}, {size} dimensions"
        return common.continued(name, title, configuration)

    @staticmethod
    def _network(options: Namespace) -> dict[str, object]:
        return common.net_settings(options, DEFAULTS[options.data]) | {"embedding_size": options.embedding_size[0]}


def images_of(options: Namespace) -> ImageSet:
    """All images that may be used. Classes to be merged are the finest kinds; else the kinds are known."""
    split = "all" if options.data in ("folder", "digits", "birds") else "train"
    images = common.load_images(options, split)
    if options.merge is None:
        check_kinds(images)
        return images
    return images if images.kinds is None else kinds_as_classes(images)


def halves(options: Namespace, images: ImageSet, features: Float[Tensor, "N F"], seed: int) -> _Halves:
    """What one seed trains on and what it measures; the images held out are the same for every seed."""
    numbered = replace(images, paths=tuple(map(str, range(len(images)))))  # paths go with their images: a row's number
    if options.held_out_files is None:  # whole kinds are split before they are dealt into classes, so alike each time
        parts = split_images(numbered, options.held_out, generator=generator(SEED, "split"))
    else:
        parts = _by_name(numbered, images.paths, options.held_out_files)
    if options.validation is not None:
        parts = split_images(parts[0], options.validation, generator=generator(seed, "validation"))
    if options.merge is not None:
        draws = (None if options.relatives else generator(seed, "merge") for _ in parts)
        parts = tuple(
            merge_classes(part, options.merge, generator=draw) for part, draw in zip(parts, draws, strict=True)
        )
    rows = tuple(torch.tensor([int(path) for path in part.paths]) for part in parts)
    frozen, labels, kinds = features[rows[1]], parts[1].labels, parts[1].kinds
    return _Halves(
        rows=rows,
        labels=tuple(part.labels for part in parts),
        kinds=tuple(part.kinds for part in parts),
        num_classes=parts[0].num_classes,
        frozen={f"frozen_{key}": value for key, value in retrieved(frozen, labels, kinds).items()},
    )


def retrieved(
    embeddings: Float[Tensor, "N D"], labels: Int[Tensor, " N"], kinds: Int[Tensor, " N"]
) -> dict[str, float]:
    """Recall@1 and MAP@R, by class and by kind."""
    found = {}
    for what, truth in (("class", labels), ("kind", kinds)):
        found[f"recall_by_{what}"] = retrieval.recall_at_k(embeddings, truth, ks=(1,))[1]
        found[f"map_by_{what}"] = retrieval.map_at_r(embeddings, truth)
    return found


def _by_name(numbered: ImageSet, files: tuple[str, ...] | None, pattern: str) -> tuple[ImageSet, ImageSet]:
    """The images whose file names do not match, and those whose do; ``numbered.paths`` are places in ``files``."""
    if files is None:
        raise bad_input("--held-out-files", "be used with files", "drawn images", "Use --held-out.")
    fits = torch.tensor([fnmatch.fnmatch(PurePath(files[int(row)]).name, pattern) for row in numbered.paths])
    for chosen, which in ((fits, "match"), (~fits, "do not match")):
        if len(torch.unique(numbered.labels[chosen])) < numbered.num_classes:
            remedy = "Quote the pattern, and compare it with the names of the files."
            got = f"none that {which} {pattern!r} in some class"
            raise bad_input("--held-out-files", "leave images of every class on both sides", got, remedy)
    return numbered.select((~fits).nonzero().flatten()), numbered.select(fits.nonzero().flatten(), split="held out")


def one_run(
    options: Namespace, features: Float[Tensor, "N F"], parts: _Halves, size: int, per_class: int, seed: int
) -> dict[str, float]:
    """Train one embedding and measure it on the images held out."""
    head = nets.make_head(features.shape[1], options.hidden_layer, size, seed=seed)
    chosen = {**dict(options.loss_option), "centers_per_class": per_class, "generator": generator(seed, "centers")}
    loss = losses.make("softtriple", num_classes=parts.num_classes, embedding_size=size, **chosen)
    train, held_out = (features[rows] for rows in parts.rows)
    if options.standardize:
        mean, deviation = train.mean(0), train.std(0).clamp(min=1e-6)  # a feature that never varies stays 0
        train, held_out = ((part - mean) / deviation for part in (train, held_out))
    config = replace(_config(options), seed=seed)
    result = fit(head, loss, Features(train, parts.labels[0], parts.num_classes), config, progress=False)
    if result.interrupted:  # half a training is no result
        raise KeyboardInterrupt
    with torch.no_grad():
        before, after = head(train), head(held_out)
        return {
            **retrieved(after, parts.labels[1], parts.kinds[1]),
            **measure(loss, after, parts.labels[1], parts.kinds[1]),
            **{f"train_{key}": value for key, value in measure(loss, before, parts.labels[0], parts.kinds[0]).items()},
            **parts.frozen,
            "distinct_centers": float(loss.report().counts.double().mean()),
            "final_loss": result.history[-1]["loss"],
        }


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


def _config(options: Namespace) -> TrainConfig:
    return TrainConfig(**{**TRAINING, **common.given_config(options)})
