"""The command line: ``python -m dmlbook COMMAND``; each command is a module of ``dmlbook.commands``."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module

COMMANDS = {
    "train": "train an embedding, measure it on classes it never saw, and record the figures",
    "evaluate": "measure a trained run, or the features of a pretrained network as they are",
    "runs": "list your runs with what they score, plot how they learned, and compare two of them",
    "map": "draw a trained run as a page to look through: images, neighbors, centers; it opens offline",
    "embed": "embed photographs by a trained run, into a file",
    "index": "embed a gallery of photographs into a vector store; then only what is new",
    "search": "find the photographs of a gallery that are nearest to others, as a table and as a page of pictures",
    "export": "write a trained run as ONNX or as PyTorch's own file, checked against the network",
    "demo": "show a gallery in a browser: drop a photograph, see its neighbors",
    "kinds": "train on classes that hide several kinds of images, and see whether several centers find them",
    "choose": "search settings for rival methods with one budget, then measure each at its own",
    "compare": "find out which losses suit your images: settings searched for each, and differences with their tests",
    "cache": "show or clear the decoded photographs that are kept",
    "data": "say which image sets are there, or download one",
    "bench": "measure speed and memory of losses, retrieval and drawing on this machine",
    "check": "say what this machine has: versions, device, mode, image sets",
}
SMALLER = "Try a smaller --batch-size, --size, --embedding-size or network, or fewer centers a class."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 for input or data that will not do, 2 for an unknown option."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="python -m dmlbook",
        description="Deep metric learning: train, measure, check. Each command explains itself with --help.",
        epilog="New here? `python -m dmlbook check`, then `make lab` for the book.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    subs = {}
    for name, purpose in COMMANDS.items():
        subs[name] = sub = commands.add_parser(
            name, help=purpose, description=purpose, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if given[:1] == [name]:  # only the command asked for is imported: --help stays quick
            module = import_module(f"dmlbook.commands.{name}")
            sub.epilog = module.ABOUT
            module.add_arguments(sub)
            sub.set_defaults(execute=module.run)
    options = parser.parse_args(given)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _notes()
            return options.execute(options) or 0
    except (ValueError, FloatingPointError, OSError) as error:
        from dmlbook.commands.wording import as_typed

        sys.stderr.write(f"error: {as_typed(str(error), subs[options.command])}\n")  # at once: others may write, too
        return 1
    except (MemoryError, RuntimeError) as error:
        from dmlbook.commands.wording import as_typed
        from dmlbook.training.memory import OutOfMemory, is_out_of_memory

        if not is_out_of_memory(error):
            raise
        why = (str(error).splitlines() or [type(error).__name__])[0]
        told = str(error) if isinstance(error, OutOfMemory) else f"not enough memory ({why}). {SMALLER}"
        print(f"error: {as_typed(told, subs[options.command])}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as stop:
        status = getattr(stop, "status", None)  # of a run that was stopped and saved
        print("interrupted" + (": the same command goes on from there" if status else ""), file=sys.stderr)
        return status or 130


def _notes() -> Callable:
    """Shows a warning as a line of its own, without the line of code that gave it, and each text once."""
    told = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in told:
            told.add(str(message))
            print(f"note: {message}", file=sys.stderr)

    return show


if __name__ == "__main__":
    sys.exit(main())
