"""Two pages of help: a short one with what a newcomer needs, and all of it."""

from __future__ import annotations

from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Sequence


class _All(Action):
    """Prints the whole page and ends."""

    def __call__(self, parser: ArgumentParser, *_: object) -> None:
        print(ArgumentParser.format_help(parser), end="")
        parser.exit()


def two_pages(parser: ArgumentParser, first: Sequence[str], usage: str) -> None:
    """``--help`` shows the options named in ``first``, in that order; ``--help-all`` shows every one.

    Args:
        parser: Whose other options have been added; its description and epilog stand on both pages.
        first: Options by the names of their values, such as ``embedding_size``.
        usage: Of the short page, behind the command's name.
    """
    parser.add_argument("--help-all", action=_All, nargs=0, default=SUPPRESS, help="every option, in groups")
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
