"""Two pages of help: a short one with what a newcomer needs, and all of it."""

from __future__ import annotations

from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Sequence
from textwrap import wrap

from dmlbook import losses


class _All(Action):
    """Prints the whole page and ends."""

    def __call__(self, parser: ArgumentParser, *_: object) -> None:
        print(ArgumentParser.format_help(parser), end=f"\n{self.const}\n")
        parser.exit()


def of_losses() -> str:
    """The options of each loss with their defaults, a line each."""
    lines = ["options of the losses (--loss-option NAME=VALUE), with their defaults"]
    for loss in losses.NAMES:
        typed = {
            name: value for name, value in losses.options(loss).items() if value is not None
        }  # None: no word is one
        words = ", ".join(f"{name}={value}" for name, value in typed.items())
        lines += wrap(f"{loss}: {words}", 118, initial_indent="  ", subsequent_indent="    ")
    return "\n".join([*lines, "  What they mean says python -m pydoc dmlbook.losses.SoftTriple (or another class)."])


def two_pages(parser: ArgumentParser, first: Sequence[str], usage: str) -> None:
    """``--help`` shows the options named in ``first``, in that order; ``--help-all`` shows every one.

    Args:
        parser: Whose other options have been added; its description and epilog stand on both pages.
        first: Options by the names of their values, such as ``embedding_size``.
        usage: Of the short page, behind the command's name.
    """
    parser.add_argument(
        "--help-all", action=_All, nargs=0, const=of_losses(), default=SUPPRESS, help="every option, in groups"
    )
    known = {action.dest: action for action in parser._actions}

    def short_page() -> str:
        formatter = parser.formatter_class(prog=parser.prog)
        formatter.add_usage(f"{parser.prog} {usage}", [], [])
        formatter.add_text(parser.description)
        formatter.start_section("where to begin")
        formatter.add_arguments([known[name] for name in (*first, "help_all")])
        formatter.end_section()
        formatter.add_text(parser.epilog)
        return formatter.format_help()

    parser.format_help = short_page
