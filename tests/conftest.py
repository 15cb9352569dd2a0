"""Shape types are enforced in every test, except where one hands over wrong shapes on purpose."""

import os
import signal

import jaxtyping
import pytest

from dmlbook import _checks  # noqa: F401 before the hook: what stands around every call is not itself enforced
from tests import shape_types

jaxtyping.install_import_hook("dmlbook", f"{shape_types.__name__}.enforce")  # before any test imports the rest
LAUNCHERS = ("RANK", "MASTER_", "SLURM_", "TORCHELASTIC", "WORLD_SIZE", "DMLBOOK_PARENT")
"""Parts of the names by which processes are told who has started them."""


@pytest.fixture
def ax():
    """Axes of a figure of their own, closed after the test."""
    import matplotlib.pyplot as plt  # a second to import, and few tests draw

    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


@pytest.fixture(autouse=True, scope="session")
def _signals():
    """As at a terminal: a shell ignores Ctrl-C for what it starts in the background, and training lets it be."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _no_launcher():
    """Nobody has started the tests as one of several processes, also where a SLURM job or torchrun runs them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if any(word in name for word in LAUNCHERS):
                patch.delenv(name)
        yield


@pytest.fixture(autouse=True, scope="session")
def _cache_folder(tmp_path_factory):
    """Tests leave nothing in the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMLBOOK_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _shape_types(request):
    """``@pytest.mark.bad_input`` lets wrong shapes reach the function, whose own message is what the test is about."""
    jaxtyping.config.update("jaxtyping_disable", request.node.get_closest_marker("bad_input") is not None)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture(scope="session")
def class_folders(tmp_path_factory):
    """Six classes of four pictures: wide, high, square, turned by EXIF, transparent, gray."""
    from PIL import Image

    from tests.use.conftest import picture

    root = tmp_path_factory.mktemp("photographs")
    for number, name in enumerate(("ash", "beech", "cedar", "elm", "fir", "gean")):
        (root / name).mkdir()
        for i, size in enumerate([(40, 30), (20, 44), (32, 32), (50, 25)]):
            one = picture(10 * number + i, size)
            exif = Image.Exif()
            if i == 1:
                exif[0x0112] = 6
                one.save(root / name / f"{i}.jpg", exif=exif)
            elif i == 2:
                one.putalpha(Image.linear_gradient("L").resize(size))
                one.save(root / name / f"{i}.png")
            elif i == 3:
                one.convert("L").save(root / name / f"{i}.png")
            else:
                one.save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="session")
def run_folder(class_folders, tmp_path_factory):
    """The folder of a run on the first half of the classes."""
    from tests.use.conftest import train

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DMLBOOK_MODE", "smoke")
        return train(class_folders, tmp_path_factory.mktemp("runs") / "trees")


@pytest.fixture
def gallery_folder(tmp_path):
    """Five photographs in two folders and in none, with a name that needs care."""
    from tests.use.conftest import picture

    root = tmp_path / "photos"
    names = ["it's <b>100% & more.png", "a/1.png", "a/2.png", "b/deep/3.png", "b/deep/4.png"]
    if os.name == "nt":
        names[0] = "it's 100% & more.png"
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        picture(100 + number).save(root / name)
    return root
