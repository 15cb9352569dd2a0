"""What ``python -m dmlbook data NAME`` does: fetch a set where its address still works, else say how to get it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dmlbook import settings
from dmlbook._checks import check_choice
from dmlbook.datasets.photos import benchmarks, layouts, own_folders
from dmlbook.datasets.photos.archives import unpacked
from dmlbook.datasets.photos.downloads import DownloadError, alone, check_md5, download


@dataclass(frozen=True)
class Source:
    """Where a set is published.

    Attributes:
        url: Address of the archive, or None where it is dead.
        md5: The archive's checksum, as other libraries record it too.
        folder: The folder in the archive that holds the set.
        gigabytes: Size of the archive.
        steps: How to get the set by hand; ``{folder}`` is where it shall go.
    """

    url: str | None
    md5: str | None
    folder: str
    gigabytes: float
    steps: str


SOURCES = {
    "cub": Source(
        "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
        "97eceeb196236b17998738112f37df78",
        "CUB_200_2011",
        1.15,
        "Open https://data.caltech.edu/records/65de6-vp158, download CUB_200_2011.tgz (1.15 GB), unpack it, and put\n"
        "its folder CUB_200_2011 at {folder}.",
    ),
    "cars": Source(
        None,
        None,
        "stanford_cars",
        1.9,
        "Its Stanford address has been dead since 2023. https://github.com/pytorch/vision/issues/7545 links the\n"
        "photographs (Kaggle, jessicali9530/stanford-cars-dataset), the devkit, and the test labels. Make the folder\n"
        "{folder}\n"
        "and put into it cars_train/*.jpg and cars_test/*.jpg (one level: the archive repeats the folders),\n"
        "devkit/cars_meta.mat, devkit/cars_train_annos.mat and cars_test_annos_withlabels.mat.\n"
        "The older form (cars_annos.mat and car_ims/) and 196 class folders of images are understood too.",
    ),
    "sop": Source(
        "http://ftp.cs.stanford.edu/cs/cvgl/Stanford_Online_Products.zip",
        "7f73d41a2f44250d4779881525aea32e",
        "Stanford_Online_Products",
        3.1,
        "Get Stanford_Online_Products.zip (3.1 GB) from http://cvgl.stanford.edu/projects/lifted_struct/, or from the\n"
        "mirror that https://github.com/rksltnl/Deep-Metric-Learning-CVPR16 names, unpack it, and put its folder with\n"
        "Ebay_train.txt and Ebay_test.txt at {folder}.",
    ),
}


def fetch(name: str, root: str | Path | None = None, *, progress: bool = True) -> Path | None:
    """Make sure that a set is there and whole; download it if it is not.

    The archive is fetched, compared with its checksum, unpacked aside, counted, and only then moved into place; it is
    deleted afterwards. What was fetched when the call is stopped is kept, and the next call goes on from there.

    Args:
        name: ``"cub"``, ``"cars"`` or ``"sop"``; ``"birds"`` and ``"digits"`` need nothing.
        root: The folder to put it into; by default ``settings.data_root()``.
        progress: Show progress bars.

    Returns:
        The set's folder, or None for sets that need no download.

    Raises:
        ValueError: ``name`` is no set that can be fetched, or what was found or fetched is not whole.
        DownloadError: It could not be fetched, or another process fetches it; the message says how to get it by hand.
    """
    check_choice(choices=("birds", "digits", *SOURCES), name=name)
    if name not in SOURCES:
        return None
    root = settings.data_root() if root is None else Path(root).expanduser()
    state = describe(name, root)
    if state["complete"]:
        return Path(state["folder"])
    folder = root / SOURCES[name].folder
    steps = f"To get {benchmarks.BENCHMARKS[name].title} by hand:\n{SOURCES[name].steps.format(folder=folder)}"
    try:
        if SOURCES[name].url is None:
            found = f"{state['problem']}\nMove what is there aside. " if state["folder"] else ""
            raise DownloadError(f"datasets.fetch: {found}{name} has no address to download from.")
        with alone(folder):
            return _fetched(name, root, folder, progress=progress)
    except DownloadError as error:
        raise DownloadError(f"{error}\n{steps}") from error
    except OSError as error:
        raise DownloadError(f"datasets.fetch: {root} cannot be written ({error}).\n{steps}") from error


def _fetched(name: str, root: Path, folder: Path, *, progress: bool) -> Path:
    state, source = describe(name, root), SOURCES[name]
    if state["complete"]:  # another process has just fetched it
        return Path(state["folder"])
    if folder.exists():
        raise DownloadError(f"datasets.fetch: {state['problem']}\nMove what is there aside to fetch it anew.")
    archive = root / source.url.rsplit("/", 1)[1]
    if archive.is_file():  # put there by hand
        check_md5(archive, source.md5)
    else:
        download(source.url, archive, md5=source.md5, progress=progress)
    with unpacked(archive, folder) as place:
        listing = benchmarks.BENCHMARKS[name].official(place / source.folder)
        if listing is None:
            raise DownloadError(f"datasets.fetch: {archive} does not hold {source.folder}. Delete it.")
        benchmarks.zero_shot(name, listing)
        os.replace(place / source.folder, folder)
    archive.unlink()
    return folder


def describe(name: str, root: str | Path | None = None) -> dict[str, object]:
    """What is there of a set, without opening a picture.

    Args:
        name: Any of ``datasets.NAMES``.
        root: Where to look; by default ``settings.data_root()``. For ``"folder"`` the folder itself.

    Returns:
        ``name``; ``complete`` (whether it can be loaded whole); ``folder``, ``layout``, ``classes`` and ``images``
        (None where nothing is found); ``problem``: what is wrong and what to do, or ""; ``remarks``: sentences on
        what lies there and is not taken, and on what was decided.

    Example:
        >>> describe("digits")["images"]
        1797
    """
    check_choice(choices=("birds", "digits", *SOURCES, "folder"), name=name)
    state = {
        "name": name,
        "complete": True,
        "folder": None,
        "layout": None,
        "classes": None,
        "images": None,
        "problem": "",
        "remarks": [],
    }
    if name == "digits":
        return state | {"layout": "comes with scikit-learn", "classes": 10, "images": 1797}
    if name == "birds":
        return state | {"layout": "drawn here"}
    try:
        own = name == "folder"
        listing = own_folders.find(root) if own else benchmarks.find(name, root, partial=True)
        classes = len({entry.number for entry in listing.entries})
        state |= {"folder": str(listing.folder), "layout": listing.layout}
        state |= {"classes": classes, "images": len(listing.entries)}
        state["remarks"] = layouts.left_out_remark(listing)
        if own:
            state["remarks"] = own_folders.halves(listing)[1] + state["remarks"]
        else:
            benchmarks.zero_shot(name, listing)
    except ValueError as error:
        return state | {"complete": False, "problem": str(error)}
    return state
