"""What the library says of its arguments is said of options to those who typed them."""

from argparse import ArgumentParser, BooleanOptionalAction

import pytest

from dmlbook.commands.wording import as_typed


@pytest.fixture
def parser():
    parser = ArgumentParser()
    for name in ("--root", "--size", "--batch-size", "--data-option", "--loss-option", "--weights"):
        parser.add_argument(name)
    parser.add_argument("--drop-last", action=BooleanOptionalAction)
    return parser


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("f: root must be a folder; got None. Pass root= one.", "--root must be a folder; got None. Pass --root one."),
        ("Config: batch_size must be 1; got 0.", "--batch-size must be 1; got 0."),
        ("size must be 1; got 0.", "--size must be 1; got 0."),
        ("fit: config.size must be 1; got 0.", "--size must be 1; got 0."),
        ("f: --seeds must be 1; got 0.", "--seeds must be 1; got 0."),
        ("f: labels must be integers; got float.", "f: labels must be integers; got float."),
        ("f: x must be. Pass drop_last=False.", "f: x must be. Pass --no-drop-last."),
        ("f: x must be. Pass drop_last=True.", "f: x must be. Pass --drop-last."),
        ('f: x must be. Pass weights="imagenet".', "f: x must be. Pass --weights imagenet."),
        ("f: x must be. Pass weights=<file>.", "f: x must be. Pass --weights <file>."),
        ("f: x must be. Pass skip_corrupt=True to", "f: x must be. Pass --data-option skip_corrupt=True to"),
        ("f: x must be. Try tau=0.", "f: x must be. Try --loss-option tau=0."),
        ("f: x must be. Pass ks=(1,) for", "f: x must be. Pass ks=(1,) for"),
        ("a plain sentence", "a plain sentence"),
        ("", ""),
    ],
)
def test_arguments_become_options_where_the_command_has_them(parser, message, expected):
    assert as_typed(message, parser) == expected


def test_a_command_without_such_options_leaves_the_words_alone():
    assert as_typed("f: x. Pass root= one, skip_corrupt=True.", ArgumentParser()) == (
        "f: x. Pass root= one, skip_corrupt=True."
    )
