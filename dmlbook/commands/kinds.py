"""Trains on classes that hide several kinds of images, to see whether several centers find them."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

import torch

from dmlbook import losses, maps, nets, records
from dmlbook._checks import bad_input, check_number, checked
from dmlbook._types import Float, Tensor
from dmlbook.commands import common
from dmlbook.commands.kind_figures import layouts_of, measure, retrieved, seen
from dmlbook.commands.kind_splits import Halves, halves, images_of
from dmlbook.commands.map import TEXT, spread
from dmlbook.commands.settled import DEFAULTS
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
--layouts 3 adds, of the images held out: purity of the centers and what it would be by chance; centers that serve any;
trustworthiness, continuity and neighbors kept of that many UMAPs and of a PCA; how far two UMAPs leave one another
unexplained. --page FILE draws them. Such a page holds small copies of the photographs.
"""

TRAINING = {"epochs": 20, "batch_size": 128, "lr": 1e-2, "loss_lr": 3e-2, "adam_eps": 1e-8, "milestones": (14,)}
ON_A_PAGE = 5000  # images at most
CHOOSABLE = ("epochs", "batch_size", "lr", "loss_lr", "adam_eps", "weight_decay", "milestones", "lr_decay")
SHOWN = {
    "recall_by_class": "R@1 by class", "recall_by_kind": "by kind", "accuracy": "accuracy", "recovery": "recovery",
    "kind_cosine": "kind cosine",
}  # fmt: skip


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--merge", type=common.integer, metavar="M", help="make classes of M kinds each (default: as they are)"
    )
    parser.add_argument("--relatives", action="store_true", help="merge neighbors in order instead of drawing them")
    parser.add_argument("--centers", type=common.integer, nargs="+", default=[1, 5], metavar="K", help="(default: 1 5)")
    parser.add_argument(
        "--hidden-layer", type=common.integer, default=0, metavar="UNITS", help="0 (default): a linear embedding"
    )
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
    parser.add_argument(
        "--seeds", type=common.integer, default=1, help="how many runs, each with a seed of its own (default: 1)"
    )
    parser.add_argument(
        "--layouts",
        type=common.integer,
        default=0,
        metavar="N",
        help="judge N maps of the images held out, and their centers",
    )
    parser.add_argument("--page", metavar="FILE", help="draw the first seed's images held out, for every K, on a page")
    common.add_record_arguments(parser, "NAME-64d-k5.json and so on")
    parser.add_argument("--image-size", type=common.integer, help="side in pixels that the network sees")
    parser.add_argument("--test-crop", type=float, help="side of the middle square as a share of the short side")
    common.add_data_arguments(parser)
    common.add_net_arguments(parser, sizes=True)
    group = parser.add_argument_group("training", "of the embedding and of the centers")
    common.add_config_arguments(group, CHOOSABLE, TRAINING)


@checked
def run(options: Namespace) -> int:
    for per_class in options.centers:
        check_number(low=1, integer=True, centers=per_class)
    check_number(low=0, integer=True, layouts=options.layouts)
    if options.layouts == 1:
        raise bad_input("--layouts", "be 0, 2 or more", 1, "One layout cannot be compared with another.")
    seeds = common.seeds(options.seeds)
    pairs = [(size, per_class) for size in options.embedding_size for per_class in options.centers]
    names = {pair: f"{options.record}-{pair[0]}d-k{pair[1]}" if options.record else None for pair in pairs}
    for name in names.values():
        common.check_record(name)
    if options.page is not None:
        common.check_file(Path(options.page), "--page")
    _config(options)
    for size in options.embedding_size:
        check_number(low=1, integer=True, embedding_size=size)
    study = Study(options)
    made = {(size, k): Namespace(**{**vars(options), "embedding_size": [size], "centers": [k]}) for size, k in pairs}
    begun = {pair: study.record(one, names[pair]) for pair, one in made.items()}  # all, before any of them is trained
    fine = "" if study.images.kinds is None else f" with {len(torch.unique(study.images.kinds))} kinds"
    images, features = study.images, study.features
    print(f"{len(images)} images of {images.num_classes} classes{fine}, {features.shape[1]} features each")
    for (size, per_class), record in begun.items():
        for seed in seeds:
            if seed not in record.seeds:
                start = time.perf_counter()
                figures = study.figures(made[size, per_class], seed)
                record.add(seed, figures, seconds=time.perf_counter() - start)
                if options.record:
                    record.save()
        shown = "   ".join(f"{name} {records.percent(record.values(key))}" for key, name in SHOWN.items())
        print(f"{size} dimensions, K = {per_class}: {shown}", flush=True)
        if options.record:
            print(f"recorded in {record.save()}")
    if options.page:
        page = study.page(options, Path(options.page))
        print(f"{page} ({page.stat().st_size / 1e6:.1f} MB): open it in a browser")
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
        for name in ("held_out", "validation"):
            if (share := getattr(options, name)) is not None:
                check_number(low=0, high=1, open_low=True, **{name: share})
        if options.relatives and options.merge is None:
            raise bad_input("--relatives", "come with --merge", "none", "Say how many make a class: --merge 5.")
        self.images, self.view = (
            images_of(options),
            TrainConfig(image_size=options.image_size, test_crop=options.test_crop),
        )
        self.features = embed(nets.build(**self._network(options)), self.images, config=self.view, features=True)
        self._parts: dict[tuple, Halves] = {}
        # Splits copy what they are given, so they are given as little as there is.
        self._rows = replace(self.images, images=torch.zeros(len(self.images), 3, 1, 1, dtype=torch.uint8))

    def figures(self, options: Namespace, seed: int) -> dict[str, float]:
        """Train one embedding from one seed and measure it.

        Raises:
            KeyboardInterrupt: Training was stopped; half a training is no result.
        """
        parts = self._halves(options, seed)
        return one_run(options, self.features, parts, options.embedding_size[0], options.centers[0], seed)

    def page(self, options: Namespace, path: Path) -> Path:
        """A page of the first seed's images held out, on a map for each size and K, all laid onto the first."""
        parts, shown = self._halves(options, SEED), []
        few = spread(parts.labels[1], ON_A_PAGE)
        for size in options.embedding_size:
            for per_class in options.centers:
                loss, _, after, _ = trained(options, self.features, parts, size, per_class, SEED)
                (drawn,) = layouts_of(loss, after[few], parts.labels[1][few], [SEED])
                drawn = maps.align(drawn, shown[0].map) if shown else drawn
                shown.append(
                    maps.Shown(f"K = {per_class}, {size} dimensions", drawn, after[few], loss.centers.detach())
                )
        named = {"class_names": parts.names[0], "kind_names": parts.names[1]}
        images = self.images.select(parts.rows[1][few])
        images = replace(images, labels=parts.labels[1][few], kinds=parts.kinds[1][few], **named)
        about = f"Images held out, of {parts.num_classes} classes that hide kinds; an X is a center that serves some."
        data = maps.view_data(images, shown, about=about)
        return maps.write_page(path, maps.MODULE, data, title=f"{options.data}: kinds in classes", text=TEXT)

    def _halves(self, options: Namespace, seed: int) -> Halves:
        key = (seed, options.relatives, options.held_out, options.held_out_files, options.validation)
        if key not in self._parts:
            self._parts[key] = halves(options, self._rows, self.features, seed)
        return self._parts[key]

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
            "network": records.described(self._network(options)),
            "standardize": options.standardize,
            "hidden_layer": options.hidden_layer,
            "loss": "softtriple",
            "loss_options": {**dict(options.loss_option), "centers_per_class": per_class},
            "training": {name: _config(options).to_dict()[name] for name in CHOOSABLE},
        }
        head = f"{options.hidden_layer} hidden units" if options.hidden_layer else "a linear embedding"
        title = f"SoftTriple with K = {per_class} on {options.data}, classes of {grouped}, {head}, {size} dimensions"
        return common.continued(name, title, configuration, replace=options.replace)

    @staticmethod
    def _network(options: Namespace) -> dict[str, object]:
        return common.net_settings(options, DEFAULTS[options.data]) | {"embedding_size": options.embedding_size[0]}


def one_run(
    options: Namespace, features: Float[Tensor, "N F"], parts: Halves, size: int, per_class: int, seed: int
) -> dict[str, float]:
    """Train one embedding and measure it on the images held out."""
    loss, before, after, final_loss = trained(options, features, parts, size, per_class, seed)
    labels, kinds = parts.labels[1], parts.kinds[1]
    found = {
        **retrieved(after, labels, kinds),
        **measure(loss, after, labels, kinds),
        **{f"train_{key}": value for key, value in measure(loss, before, parts.labels[0], parts.kinds[0]).items()},
        **parts.frozen,
        "distinct_centers": float(loss.report().counts.double().mean()),
        "final_loss": final_loss,
    }
    return found | (seen(loss, after, labels, kinds, seed=seed, layouts=options.layouts) if options.layouts else {})


def trained(
    options: Namespace, features: Float[Tensor, "N F"], parts: Halves, size: int, per_class: int, seed: int
) -> tuple[losses.SoftTriple, Float[Tensor, "M D"], Float[Tensor, "L D"], float]:
    """A trained loss, the embeddings of the images that trained it and of those held out, and its last value."""
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
        return loss, head(train), head(held_out), result.history[-1]["loss"]


def _config(options: Namespace) -> TrainConfig:
    return TrainConfig(**{**TRAINING, **common.given_config(options)})
