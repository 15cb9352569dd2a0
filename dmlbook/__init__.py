"""dmlbook: the package under the workbook of deep metric learning. See README.md and ``python -m dmlbook check``.

``load_run(folder)`` is here too: a trained run, ready for use. It is imported when it is asked for.
"""

from importlib import import_module

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name == "load_run":
        return import_module("dmlbook.use").load_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
