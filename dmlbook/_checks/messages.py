"""Messages for bad input, all of one form: who speaks, what was expected, what came, what to do."""

from __future__ import annotations

import sys
from types import FrameType

import numpy as np

PACKAGE, HERE = __package__.split(".")[0] + ".", __package__
LONGEST = 80
"""Letters of a value in a message."""
DOOR = "guarded"  # the function around each checked one; its frames hold ``function`` and ``arguments``


def bad_input(argument: str, rule: str, got: object, remedy: str, *, function: str | None = None) -> ValueError:
    """The error itself, to be raised: ``<function>: <argument> must <rule>; got <got>. <remedy>``.

    The function is found, see ``speaker``; name it only where the reader knows another one.
    """
    return ValueError(f"{function or speaker()}: {argument} must {rule}; got {got}. {remedy}")


def brief(value: object) -> str:
    """What came, in few letters: a plain value as it is written, a class by its name, anything else by its type."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if not isinstance(value, (str, bytes, int, float, complex, np.generic, type(None))):
        return type(value).__name__
    try:
        text = repr(value.item() if isinstance(value, np.generic) else value)
    except ValueError:  # Python writes no integer of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 20]}... ({len(text)} characters)"


def speaker() -> str:
    """The name of the function that a message belongs to: the innermost one on the stack that is ``@checked``.

    Helpers are not, so they speak for the function that called them. Where no function on the stack is checked, it is
    the innermost public one of the package, or else the caller, whoever that is.
    """
    frame, public, caller = sys._getframe(1), None, None
    while frame is not None:
        code, module = frame.f_code, frame.f_globals.get("__name__", "")
        if not module.startswith(HERE):
            name = shown(code.co_qualname.partition(".<locals>")[0], module, _first_argument(frame))
            caller = caller or name
            written = module.startswith(PACKAGE) and not code.co_filename.startswith("<")  # and not by a decorator
            if written and "<" not in code.co_qualname and not any(part.startswith("_") for part in name.split(".")):
                public = public or name
        elif code.co_name == DOOR:
            function, arguments = frame.f_locals["function"], frame.f_locals["arguments"]
            name = function.__qualname__.rpartition("<locals>.")[2]
            return shown(name, function.__module__, arguments[0] if arguments else None)
        frame = frame.f_back
    return public or caller


def shown(name: str, module: str, first: object = None) -> str:
    """A function's name as its callers write it.

    A name of one word, such as ``load``, says nothing alone: it is shown with the folder or file that it is reached
    through, as in ``birds.load``. A method is shown with the class of its object, ``first``; a constructor, and what
    happens when an object is called, as the class alone. What runs a command is shown as the command.
    """
    *owners, name = name.split(".")
    if owners:
        kind = first if isinstance(first, type) else type(first)
        owner = kind.__name__ if owners[-1] in (base.__name__ for base in kind.__mro__) else owners[-1]
        return owner if name.startswith("__") or name == "forward" else f"{owner}.{name}"
    if name == "run" and module.startswith(f"{PACKAGE}commands."):
        return module.rpartition(".")[2]
    return name if "_" in name or not module.startswith(PACKAGE) else f"{_reached_through(module, name)}.{name}"


def _reached_through(module: str, name: str) -> str:
    """The last word of the outermost package that exports the function, or else of its own module."""
    parts = module.split(".")
    for end in range(2, len(parts)):
        package = sys.modules.get(".".join(parts[:end]))
        if getattr(getattr(package, name, None), "__module__", None) == module:
            return parts[end - 1]
    return parts[-1]


def _first_argument(frame: FrameType) -> object:
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    return frame.f_locals.get(names[0]) if names else None
