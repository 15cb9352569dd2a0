"""Messages in the words of the command line: the library says ``root=``, who types says ``--root``."""

from __future__ import annotations

import inspect
import re
from argparse import ArgumentParser, BooleanOptionalAction

from dmlbook import losses

NAMED = re.compile(r"""\b([a-z]\w*)=(True|False|"[^"]*"|'[^']*'|<\w+>|\(?[\w.-]+,?\)?)?""")
OF_RUN = re.compile(r"^(?:[\w.]+: )?folder must (?=hold (?:a )?run\.json|say how large)")
SUBJECT = re.compile(r"^(?:[\w.]+: )?(--)?(?:config\.)?([a-z][\w-]*)(?= )")


def as_typed(message: str, parser: ArgumentParser) -> str:
    """A message with every argument that is an option of ``parser`` written as that option.

    Example:
        >>> parser = ArgumentParser()
        >>> _ = parser.add_argument("--root"), parser.add_argument("--data-option")
        >>> as_typed("load: root must be a folder; got None. Pass root= one, or partial=True.", parser)
        '--root must be a folder; got None. Pass --root one, or --data-option partial=True.'
    """
    flags = {action.dest: action for action in parser._actions if action.option_strings}
    of_images, of_loss = _image_options(), {name for each in losses.NAMES for name in losses.options(each)}

    def option(match: re.Match) -> str:
        name, value = match[1], (match[2] or "").strip("\"'")
        action = flags.get(name)
        if action is not None and value in ("True", "False"):
            negated = isinstance(action, BooleanOptionalAction) and value == "False"
            return f"--{'no-' * negated}{_dashed(name)}"
        if action is not None:
            return f"--{_dashed(name)} {value}".rstrip()
        if name in of_images and "data_option" in flags:
            return f"--data-option {name}={value}"
        if name in of_loss and "loss_option" in flags:
            return f"--loss-option {name}={value}"
        return match[0]

    message = NAMED.sub(option, message)
    if "run" in flags and "folder" not in flags:
        message = OF_RUN.sub("--run must ", message)
    subject = SUBJECT.match(message)
    if subject and (subject[1] or subject[2] in flags):
        message = f"--{_dashed(subject[2])}{message[subject.end() :]}"
    return message


def _image_options() -> set[str]:
    from dmlbook.datasets import birds
    from dmlbook.datasets.photos import benchmarks

    return {name for load in (birds.load, benchmarks.load) for name in inspect.signature(load).parameters}


def _dashed(name: str) -> str:
    return name.replace("_", "-")
