"""The command line: ``python -m dmlbook train | evaluate | map | kinds | choose | compare | data | bench | check``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "train": "train an embedding, measure it on classes it never saw, and record the figures",
    "evaluate": "measure a trained run, or the features of a pretrained network as they are",
    "map": "draw a trained run as a page to look through: images, neighbors, centers; it opens offline",
    "kinds": "train on classes that hide several kinds of images, and see whether several centers find them",
    "choose": "search settings for rival methods with one budget, then measure each at its own",
    "compare": "find out which losses suit your images: settings searched for each, and differences with their tests",
    "data": "say which image sets are there, or download one",
    "bench": "measure speed and memory of losses, retrieval and drawing on this machine",
    "check": "say what this machine has: versions, device, mode, image sets",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 for input or data that will not do, 2 for an unknown option."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="python -m dmlbook",
        description="Deep metric learning: train, measure, check. Each command explains itself with --help.",
        epilog="New here? `python -m dmlbook check`, then `make lab` for the book.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        sub = commands.add_parser(
            name, help=purpose, description=purpose, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if given[:1] == [name]:  # only the command asked for is imported: --help stays quick
            module = import_module(f"dmlbook.commands.{name}")
            sub.epilog = module.ABOUT
            module.add_arguments(sub)
            sub.set_defaults(execute=module.run)
    options = parser.parse_args(given)
    try:
        return options.execute(options) or 0
    except (ValueError, FloatingPointError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
