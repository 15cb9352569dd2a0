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
