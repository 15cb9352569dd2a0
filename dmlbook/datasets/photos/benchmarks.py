"""CUB-200-2011, Cars196 and Stanford Online Products under the zero-shot protocol, and a user's own class folders."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from dmlbook import settings
from dmlbook._checks import bad_input, check_choice, check_number, speaker
from dmlbook.datasets.image_set import ImageSet
from dmlbook.datasets.photos import indexes, layouts, own_folders, split_files
from dmlbook.datasets.photos.layouts import Entry, Listing
from dmlbook.datasets.splits import join, training_classes

SPLITS = ("train", "test", "all")


@dataclass(frozen=True)
class Benchmark:
    """What the whole of a set is.

    Attributes:
        title: Its full name.
        classes: Numbers of training and of test classes; the first ones train.
        images: Numbers of their images.
        folders: Where it is looked for below the data root, in this order.
        official: Reads the published layout of a folder, or returns None where it is not there.
    """

    title: str
    classes: tuple[int, int]
    images: tuple[int, int]
    folders: tuple[str, ...]
    official: Callable[[Path], Listing | None]


BENCHMARKS = {
    "cub": Benchmark(
        "CUB-200-2011", (100, 100), (5_864, 5_924), ("cub", "cub200", "CUB_200_2011", "cub/CUB_200_2011"), indexes.cub
    ),
    "cars": Benchmark(
        "Cars196", (98, 98), (8_054, 8_131),
        ("cars", "cars196", "stanford_cars", "CARS196", "car_data/car_data"), indexes.cars,
    ),
    "sop": Benchmark(
        "Stanford Online Products", (11_318, 11_316), (59_551, 60_502),
        ("sop", "Stanford_Online_Products", "sop/Stanford_Online_Products"), indexes.sop,
    ),
}  # fmt: skip


def load(
    name: str,
    split: str,
    root: str | Path | None = None,
    *,
    size: int = 256,
    partial: bool = False,
    skip_corrupt: bool = False,
    merge: bool = False,
    shared: bool = False,
    splits: str | Path | None = None,
    cache: bool | str | Path = True,
    progress: bool = True,
) -> ImageSet:
    """One half of a set of photographs, decoded: the first half of its classes trains, the others test.

    Args:
        name: ``"cub"``, ``"cars"``, ``"sop"``, or ``"folder"`` for class folders of your own.
        split: ``"train"``, ``"test"``, or ``"all"`` for both, one after the other; one of those in ``splits``.
        root: The folder that holds ``cub/``, ``cars/``, ``sop/`` ..., or the set's own folder; by default
            ``settings.data_root()``. For ``"folder"``: the folder of class folders, or one that holds ``train``,
            ``val`` and ``test`` with class folders inside and nothing else: see
            :func:`dmlbook.datasets.photos.own_folders.halves`.
        size: Side of the squares, in pixels. 256 leaves room for crops of 224.
        partial: Accept a set of which classes or images are missing. Its results compare with nobody's.
        skip_corrupt: Leave out images that cannot be decoded, with a warning that names them.
        merge: For a ``"folder"`` of ``train``, ``val`` and ``test`` that share their classes: take the images of all
            three together, and let the first half of the classes train.
        shared: For a ``"folder"`` of ``train`` and ``test`` that share their classes: that is meant, a closed set.
        splits: For a ``"folder"``: a CSV file that says of each image to which split it belongs, see
            :func:`dmlbook.datasets.photos.split_files.read`.
        cache: Keep the decoded images in ``settings.cache_root()`` (True), in a folder of yours, or nowhere (False).
        progress: Show a bar while decoding.

    Returns:
        The images with their aspects and paths. For ``"folder"``, folders inside every class folder are its kinds.

    Raises:
        ValueError: The set is not found (all places are listed), its index files are damaged, its counts are not the
            published ones, an image cannot be read, or training and test classes share a name.

    What lies in the folders and is not taken is counted in a warning.
    """
    check_choice(choices=(*BENCHMARKS, "folder"), name=name)
    check_choice(choices=SPLITS if splits is None else split_files.PARTS, split=split)
    check_number(low=1, high=4096, integer=True, size=size, remedy="Pass the side of the squares in pixels.")
    for option, value in {
        "partial": partial,
        "skip_corrupt": skip_corrupt,
        "merge": merge,
        "shared": shared,
        "progress": progress,
    }.items():
        if not isinstance(value, bool):
            raise bad_input(option, "be True or False", repr(value), "Pass one of them.")
    for option, value in {"root": root, "cache": cache, "splits": splits}.items():
        if not isinstance(value, (str, Path, bool if option == "cache" else type(None))):
            what = "file" if option == "splits" else "folder"
            raise bad_input(option, f"be a {what}", repr(value), f"Pass {option}={what.upper()}.")
    if name == "folder" and splits is not None:
        if merge or shared:
            raise bad_input("merge" if merge else "shared", "be False beside splits", True, "The file says all.")
        halves, remarks = split_files.read(splits, root or "")
        listing = next(iter(halves.values()))
        remarks = remarks if split == "train" else []  # once is enough
        halves = {**dict.fromkeys(split_files.PARTS, replace(listing, entries=())), **halves}
    elif name == "folder":
        listing = own_folders.find(root, partial=partial)
        halves, remarks = own_folders.halves(listing, whole=split == "all", merge=merge, shared=shared)
    else:
        for option, value in {"merge": merge, "shared": shared, "splits": splits is not None}.items():
            if value:
                remedy = "Its own classes train and test; as a folder of your own it may be split otherwise."
                raise bad_input(option, "be False for a benchmark", True, remedy)
        listing = find(name, root, partial=partial)
        halves, remarks = zero_shot(name, listing, partial=partial), []
    for remark in [*remarks, *layouts.left_out_remark(listing)]:
        warnings.warn(f"{speaker()}: {remark}", stacklevel=4)  # who called datasets.load
    kept_in = settings.cache_root() if cache is True else None if cache is False else Path(cache).expanduser()
    options = {"size": size, "cache": kept_in, "skip_corrupt": skip_corrupt, "progress": progress}
    if split != "all":
        return _decoded(name, split, halves[split], **options)
    return join(*(_decoded(name, half, halves[half], **options) for half in ("train", "test")))


def find(name: str, root: str | Path | None = None, *, partial: bool = False) -> Listing:
    """The files of a set, from the first place that holds it.

    Raises:
        ValueError: No place does (all that were looked at are listed), one cannot be read, or what lists its images is
            damaged.
    """
    base = settings.data_root() if root is None else Path(root).expanduser()
    try:
        found = _find(BENCHMARKS[name], base, partial=partial)
    except OSError as error:
        raise bad_input("root", "be readable", f"{base} ({error})", "Change its permissions.") from error
    if found is not None:
        return found
    looked = ", ".join(map(str, [*(base / inside for inside in BENCHMARKS[name].folders), base]))
    remedy = (
        f"`python -m dmlbook data {name}` downloads it or says how to get it; DMLBOOK_DATA or root=FOLDER says where."
    )
    raise bad_input("root", f"hold {BENCHMARKS[name].title}", f"none in {looked}", remedy)


def _find(benchmark: Benchmark, base: Path, *, partial: bool) -> Listing | None:
    places = [base / inside for inside in benchmark.folders]
    for place in [*places, base]:
        if place.is_dir() and (found := benchmark.official(place)) is not None:
            return found
    trees = [inside for place in places for inside in (place, place / "images")]
    for place, enough in [*((place, any) for place in trees), (base, all)]:
        if place.is_dir() and _is_tree(place, enough):
            return layouts.class_folders(place, partial=partial)
    return None


def _is_tree(folder: Path, enough: Callable[[list[bool]], bool]) -> bool:
    """Whether ``any`` or ``all`` folders in ``folder`` are class folders, with images directly in them."""
    try:
        places = [*layouts.split_folders(folder).values()] or [folder]
    except ValueError:  # other things with such names: sets beside each other, perhaps
        places = [folder]
    inside = [classes for place in places for classes in layouts.visible_folders(place)]
    return inside != [] and enough([layouts.holds_images(classes) for classes in inside])


def zero_shot(name: str, listing: Listing, *, partial: bool = False) -> dict[str, Listing]:
    """The training and the test half of a benchmark, of the published size.

    Raises:
        ValueError: Files are missing or the counts are not the published ones, and ``partial`` is False.
    """
    benchmark = BENCHMARKS[name]
    absent = [entry.file for entry in listing.entries if not (listing.folder / entry.file).is_file()]
    gone = set(absent)
    entries = [entry for entry in listing.entries if entry.file not in gone]
    numbers = sorted({entry.number for entry in entries})
    last = benchmark.classes[0]
    if listing.layout == "class folders" and len(numbers) != sum(benchmark.classes):
        last = training_classes(len(numbers))  # classes without numbers: which ones are missing, nobody can tell
    halves = {
        "train": [entry for entry in entries if entry.number <= last],
        "test": [entry for entry in entries if entry.number > last],
    }
    counts = {half: (len({entry.number for entry in inside}), len(inside)) for half, inside in halves.items()}
    expected = dict(zip(halves, zip(benchmark.classes, benchmark.images, strict=True), strict=True))
    if not partial and counts != expected:
        rule = f"be whole, {_counted(expected)}"
        by = f" by {', '.join(listing.index)}" if listing.index else ""
        got = f"{_counted(counts)} in {listing.folder}{by}{_missing(benchmark, listing, numbers, absent)}"
        remedy = (
            f"Fetch it again (python -m dmlbook data {name}), or pass partial=True: its results compare with nobody's."
        )
        raise bad_input(name, rule, got, remedy)
    return {half: replace(listing, entries=tuple(inside)) for half, inside in halves.items()}


def _counted(counts: dict[str, tuple[int, int]]) -> str:
    return " and ".join(
        f"{images:,} {half} images of {classes:,} classes" for half, (classes, images) in counts.items()
    )


def _missing(benchmark: Benchmark, listing: Listing, numbers: list[int], absent: list[str]) -> str:
    if absent:
        return f"; {len(absent):,} listed files are missing: {layouts.first(absent)}"
    if listing.layout == "class folders":
        return "; its class folders begin with no number, so their alphabetical order was taken"
    classes = sorted(set(range(1, sum(benchmark.classes) + 1)) - set(numbers))
    return f"; {len(classes):,} classes are missing: {layouts.first(classes)}" if classes else ""


def _decoded(name: str, split: str, listing: Listing, *, size: int, **options) -> ImageSet:
    from dmlbook.datasets.photos.decoding import decode

    if not listing.entries:
        raise bad_input("split", "hold images", f"none of {split!r} in {listing.folder}", "Add its classes.")
    files = [entry.file for entry in listing.entries]
    decoded = decode(listing.folder, files, size, name=f"{name}-{split}", **options)
    entries: list[Entry] = [listing.entries[i] for i in decoded.kept.tolist()]
    names = tuple(dict.fromkeys(entry.class_name for entry in entries))
    kinds = tuple(dict.fromkeys(entry.kind for entry in entries))
    number = {class_name: place for place, class_name in enumerate(names)}
    place = {kind: place for place, kind in enumerate(kinds)}
    known = name == "folder" and kinds != ("",)
    return ImageSet(
        images=decoded.images,
        labels=torch.tensor([number[entry.class_name] for entry in entries]),
        class_names=names,
        kinds=torch.tensor([place[entry.kind] for entry in entries]) if known else None,
        kind_names=kinds if known else None,
        aspects=decoded.aspects,
        paths=tuple(str(listing.folder / entry.file) for entry in entries),
        name=name,
        split=split,
    )
