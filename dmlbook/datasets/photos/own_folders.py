"""A user's own photographs: which of them train, and which test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dmlbook._checks import bad_input
from dmlbook.datasets.photos import layouts, metadata
from dmlbook.datasets.photos.layouts import Listing
from dmlbook.datasets.splits import training_classes

HALVES = ("train", "test")


def find(root: str | Path | None, *, partial: bool = False) -> Listing:
    """The class folders of a user's own, or those in his ``train``, ``val`` and ``test``; or what ``metadata`` finds.

    Raises:
        ValueError: ``root`` is missing, no folder, or holds no class folders; a file of metadata is faulty.
    """
    remedy = "Pass root=FOLDER, one with a folder of images for each class."
    folder = None if root is None else Path(root).expanduser()
    try:
        if folder is None or not folder.is_dir():
            raise bad_input("root", "be the folder of class folders", root, remedy)
        listing = metadata.find(folder) or layouts.class_folders(folder, numbered=False, partial=partial)
    except OSError as error:
        raise bad_input("root", "be readable", f"{folder} ({error})", "Change its permissions.") from error
    if len({entry.class_name for entry in listing.entries}) < 2:
        got = f"{len(listing.entries)} images of fewer than two classes in {folder}"
        if listing.left_out:
            got += f" (left out: {layouts.counted(listing.left_out)})"
        inside = layouts.visible_folders(folder)
        if len(inside) == 1 and len(layouts.visible_folders(inside[0])) > 1:
            remedy = f"Pass root={inside[0]}, if the classes are the folders in it."
        raise bad_input("root", "hold at least two class folders", got, remedy)
    return listing


def halves(
    listing: Listing, *, whole: bool = False, merge: bool = False, shared: bool = False
) -> tuple[dict[str, Listing], list[str]]:
    """The training and the test half of a user's own set, and remarks on what was decided for him.

    Class folders: the first half of them, in natural order, trains; the others test. ``train`` and ``test``: these
    are the halves, and no class may be in both, for the test classes must be unseen. Images in ``val`` are used by
    neither; without ``test`` they test.

    Args:
        listing: What ``find`` found.
        whole: Both halves are wanted together: classes may be in both.
        merge: Take the images of all parts together, as if all class folders lay in one folder.
        shared: Classes are in ``train`` and in ``test``: a closed set.

    Raises:
        ValueError: A class is in both halves, or with ``shared`` none is, a half is empty, or ``merge`` or ``shared``
            find no folders ``train`` and ``test``.
    """
    parts = {entry.part for entry in listing.entries}
    for option, value in {"merge": merge, "shared": shared}.items():
        if value and parts == {""}:
            got = f"class folders in {listing.folder}"
            raise bad_input(option, "be used with folders train and test", got, "Drop it.")
    if merge or parts == {""}:
        names = list(dict.fromkeys(entry.class_name for entry in listing.entries))
        first = set(names[: training_classes(len(names))])
        chosen = {half: [e for e in listing.entries if (e.class_name in first) == (half == "train")] for half in HALVES}
        return {half: replace(listing, entries=tuple(inside)) for half, inside in chosen.items()}, []
    if listing.index:  # of metadata
        there = {entry.part: entry.file.partition("/")[0] for entry in listing.entries}
    else:
        there = {part: place.name for part, place in layouts.split_folders(listing.folder).items()}
    source = {"train": "train", "test": "test" if "test" in there else "validation"}
    chosen = {half: [entry for entry in listing.entries if entry.part == part] for half, part in source.items()}
    if empty := [there[source[half]] for half, inside in chosen.items() if not inside]:
        got = f"none in {empty[0]}"
        if listing.left_out:
            got += f" (left out: {layouts.counted(listing.left_out)})"
        raise bad_input("root", "hold images in train and in test", got, "Fill it.")
    classes = {half: {entry.class_name for entry in inside} for half, inside in chosen.items()}
    common = sorted(classes["train"] & classes["test"], key=layouts.natural)
    if common and not (whole or shared):
        got = f"{len(common)} in both: {layouts.first(common)}"
        remedy = "Where test holds new images of the classes in train, that is a closed set: say split='closed'. "
        remedy += "Pass merge=True to take the images of all folders together: the first half of the classes trains, "
        raise bad_input("classes", "be in train or in test, not in both", got, remedy + "the others test.")
    if shared and not common:
        got = f"none of {len(classes['test'])} in both"
        raise bad_input("classes", "be in train and in test, for a closed set", got, "Split by classes instead.")
    remarks = []
    if "validation" in there:
        name, count = there["validation"], sum(entry.part == "validation" for entry in listing.entries)
        said = f"the {count:,} images in {name} are not used" if "test" in there else f"{name} tests: there is no test"
        remarks = [f"{listing.folder} holds {', '.join(there.values())}; {said}."]
    return {half: replace(listing, entries=tuple(inside)) for half, inside in chosen.items()}, remarks


def has_parts(root: str | Path | None) -> bool:
    """Whether a user's own folder holds ``train`` and ``test``, told without opening a picture."""
    folder = None if root is None else Path(root).expanduser()
    if folder is None or not folder.is_dir():
        return False
    named = metadata.find(folder)
    return layouts.split_folders(folder) != {} if named is None else {entry.part for entry in named.entries} != {""}
