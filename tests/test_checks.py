"""Checks at the door: what ``@checked`` reads from a function, what it refuses, and under whose name it says so."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

import dmlbook
from dmlbook import _checks, datasets, geometry, losses, nets, records, retrieval, sampling, settings, training
from dmlbook._checks import (
    above,
    at_least,
    bad_input,
    between,
    check_batch,
    check_below,
    check_choice,
    check_filled,
    check_finite,
    check_labels,
    check_lengths,
    check_number,
    check_shape,
    check_unique,
    checked,
    finite,
    one_of,
    under_vmap,
)
from dmlbook._checks.shapes import read
from dmlbook._checks.values import INTEGERS
from dmlbook._types import Bool, Float, Int, Tensor
from dmlbook.chapters.ch05 import theory
from dmlbook.commands import evaluate
from dmlbook.datasets import birds
from dmlbook.losses.centroid_bound import own_and_others
from dmlbook.training import checkpoints


def said(call) -> str:
    with pytest.raises(ValueError) as error:  # noqa: PT011 the message is what is looked at
        call()
    return str(error.value)


# What is read from the annotations.


@checked
def tensors(
    embeddings: Float[Tensor, "B D"],
    labels: Int[Tensor, " B"],
    centers: Float[Tensor, "C K D"] | None = None,
    similarities: Float[Tensor, "B C"] | None = None,
    *,
    pairs: Float[Tensor, "2 S S"] | None = None,
    paths: Float[Tensor, "*batch K D"] | None = None,
    own: Float[Tensor, " B"] | None = None,
    count: Int[Tensor, " B"] | int = 0,
    parts: Int[Tensor, "B+1 #B _"] | None = None,
    anything: Tensor | None = None,
    scores: Int[Tensor, " C"] | None = None,
) -> int:
    """Says so."""
    return len(labels)


ROWS, LABELS = torch.ones(4, 3), torch.arange(4)
WRONG = [
    (
        {"embeddings": torch.ones(4)},
        "embeddings must be a tensor of shape (B, D); got shape (4,). Reshape or index it.",
    ),
    (
        {"embeddings": [[1.0]]},
        "embeddings must be a tensor of shape (B, D); got list. Convert it with torch.as_tensor.",
    ),
    ({"labels": torch.ones(4, 1)}, "labels must be a tensor of shape (B,); got shape (4, 1). Reshape or index it."),
    ({"labels": None}, "labels must be a tensor of shape (B,); got NoneType. Convert it with torch.as_tensor."),
    (
        {"labels": torch.arange(5)},
        "labels must be as many as the embeddings; got 4 embeddings and 5 labels. Give both for the same images.",
    ),
    (
        {"centers": torch.ones(2, 5, 4)},
        "centers must have the dimension of embeddings; got dimensions 3 and 4. Compare points of one space.",
    ),
    (
        {"centers": torch.ones(2, 5, 3), "similarities": torch.ones(4, 6)},
        "similarities must be a tensor of shape (B, C); got shape (4, 6), while C is 2 in centers. Make them agree.",
    ),
    ({"pairs": torch.ones(3, 2, 2)}, "pairs must be a tensor of shape (2, S, S); got shape (3, 2, 2). Reshape"),
    ({"pairs": torch.ones(2, 2, 3)}, "pairs must be a tensor of shape (2, S, S); got shape (2, 2, 3). Reshape"),
    ({"paths": torch.ones(3)}, "paths must be a tensor of shape (..., K, D); got shape (3,). Reshape"),
    ({"paths": torch.ones(7, 7, 5, 4)}, "paths must have the dimension of embeddings; got dimensions 3 and 4."),
    (
        {"centers": torch.ones(2, 5, 3), "paths": torch.ones(7, 4, 3)},
        "paths must be a tensor of shape (..., K, D); got shape (7, 4, 3), while K is 5 in centers. Make them agree.",
    ),
    ({"own": torch.ones(3)}, "own must be as many as the embeddings; got 4 embeddings and 3 own."),
    ({"count": torch.arange(3)}, "count must be as many as the embeddings; got 4 embeddings and 3 count."),
    ({"parts": torch.ones(2, 2)}, "parts must be a tensor of shape (B+1, #B, _); got shape (2, 2)."),
    ({"anything": 3.0}, "anything must be a tensor of shape (...,); got float."),
    (
        {"similarities": torch.ones(4, 6), "scores": torch.ones(5)},
        "scores must be a tensor of shape (C,); got shape (5,), while C is 6 in similarities. Make them agree.",
    ),
]


@pytest.mark.parametrize(("given", "message"), WRONG)
def test_a_shape_that_is_not_the_annotations_is_refused_in_words(given, message):
    assert said(lambda: tensors(**{"embeddings": ROWS, "labels": LABELS} | given)).startswith(f"tensors: {message}")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"centers": None, "similarities": None, "pairs": None},
        {"centers": torch.ones(2, 5, 3), "similarities": torch.ones(4, 2)},
        {"pairs": torch.ones(2, 6, 6)},
        {"paths": torch.ones(5, 3)},
        {"paths": torch.ones(2, 7, 5, 3)},
        {"count": 7},
        {"count": LABELS},
        {"parts": torch.ones(9, 9, 9, dtype=torch.long)},
        {"anything": torch.ones(())},
        {"anything": torch.ones(1, 2, 3)},
    ],
)
def test_what_an_annotation_allows_is_let_in(given):
    assert tensors(ROWS, LABELS, **given) == 4
    assert tensors(labels=LABELS, embeddings=ROWS, **given) == 4


def test_rows_of_a_table_are_called_rows():
    @checked
    def of_tables(distances: Float[Tensor, "B C"], labels: Int[Tensor, " B"]): ...

    expected = "of_tables: labels must be as many as the rows of distances; got 2 labels for 3 rows. Give one a row."
    assert said(lambda: of_tables(torch.ones(3, 3), torch.arange(2))) == expected


@pytest.mark.parametrize(
    ("written", "names", "integer", "others"),
    [
        ('Float[Tensor, "B C K"]', ["B", "C", "K"], False, set()),
        ('Int[Tensor, " B"] | None', ["B"], False, {"None"}),
        ('int | Int[Tensor, " N"]', ["N"], True, {"int"}),
        ('Float[Tensor, ""]', [], False, set()),
        ("Tensor | float", ["..."], False, {"float"}),
        ("int | None", None, True, {"int", "None"}),
        ("int | float", None, False, {"int", "float"}),
        ("Mapping[str, Tensor]", None, False, {"Mapping[str, Tensor]"}),
        ("torch.Generator | None", None, False, {"torch.Generator", "None"}),
    ],
)
def test_annotations_are_read_from_their_text(written, names, integer, others):
    shape, found, beside, _ = read(written)
    assert (shape.names if shape else None, found, set(beside)) == (names, integer, others)


@pytest.mark.parametrize(
    ("kind", "names", "integer", "others"),
    [
        (Float[Tensor, "B C K"], ["B", "C", "K"], False, set()),
        (Int[Tensor, " B"] | None, ["B"], False, {"None"}),
        (Int[Tensor, "*batch D"] | int, ["...", "D"], True, {"int"}),
        (Tensor, ["..."], False, set()),
        (int, None, True, {"int"}),
        (float | None, None, False, {"float", "None"}),
    ],
)
def test_annotations_are_read_from_the_types_that_they_stand_for(kind, names, integer, others):
    shape, found, beside, _ = read(kind)
    assert (shape.names if shape else None, found, set(beside)) == (names, integer, others)


# What is declared above the function.


@checked(
    gamma=above(0),
    share=above(0, "Pass a share.", up_to=1),
    classes=at_least(2, "A loss tells classes apart."),
    size=between(16, 512),
    margin=finite,
    seed=finite,
    side=one_of("left", "right"),
    images="Gray images: expand them.",
)
def ruled(
    images: Float[Tensor, "B 3"] | None = None,
    *,
    gamma: float = 0.1,
    share: float | None = 1,
    classes: int = 2,
    size: int | None = None,
    margin: float = 0.0,
    seed: int = 0,
    side: str = "left",
): ...


NUMBER = "Pass a number in that range."


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gamma": 0}, f"gamma must be a finite number > 0; got 0. {NUMBER}"),
        ({"gamma": float("nan")}, f"gamma must be a finite number > 0; got nan. {NUMBER}"),
        ({"gamma": 10**400}, "gamma must be a finite number > 0; got 1000"),
        ({"gamma": np.float32("nan")}, "gamma must be a finite number > 0; got nan."),
        ({"gamma": np.bool_(True)}, "gamma must be a finite number > 0; got True."),
        ({"gamma": True}, f"gamma must be a finite number > 0; got True. {NUMBER}"),
        ({"gamma": None}, f"gamma must be a finite number > 0; got None. {NUMBER}"),
        ({"share": 1.5}, "share must be a finite number > 0 and <= 1; got 1.5. Pass a share."),
        ({"classes": 1}, "classes must be an integer >= 2; got 1. A loss tells classes apart."),
        ({"classes": 2.0}, "classes must be an integer >= 2; got 2.0. A loss tells classes apart."),
        ({"size": 8}, f"size must be an integer >= 16 and <= 512; got 8. {NUMBER}"),
        ({"size": 513}, f"size must be an integer >= 16 and <= 512; got 513. {NUMBER}"),
        ({"margin": "wide"}, f"margin must be a finite number; got 'wide'. {NUMBER}"),
        ({"margin": float("inf")}, f"margin must be a finite number; got inf. {NUMBER}"),
        ({"seed": 1.0}, f"seed must be an integer; got 1.0. {NUMBER}"),
        ({"side": "lft"}, "side must be one of 'left', 'right'; got 'lft'. Did you mean 'left'?"),
        ({"side": 3}, "side must be one of 'left', 'right'; got 3. Choose one of them."),
        (
            {"images": torch.ones(2, 1)},
            "images must be a tensor of shape (B, 3); got shape (2, 1). Gray images: expand",
        ),
    ],
)
def test_a_value_out_of_its_declared_range_is_refused_in_words(given, message):
    assert said(lambda: ruled(**given)).startswith(f"ruled: {message}")


def test_the_ends_of_a_closed_range_are_in_it_and_none_is_where_the_annotation_says_so():
    for given in ({"size": 16}, {"size": 512}, {"share": 1}, {"classes": 2}, {"size": None}, {"share": None}):
        assert ruled(**given) is None


def test_a_rule_that_fits_no_argument_is_refused_where_it_is_written():
    def function(x: int, name: str): ...

    with pytest.raises(TypeError, match="function has no argument y"):
        checked(y=finite)(function)
    with pytest.raises(TypeError, match="name is no tensor, so 'Reshape it.' is no rule for it"):
        checked(name="Reshape it.")(function)


def test_a_call_with_too_few_or_too_many_arguments_is_pythons_affair():
    for call in (lambda: tensors(ROWS), lambda: ruled(None, 0), lambda: ruled(sighed=True)):
        with pytest.raises(TypeError, match="argument"):
            call()


def test_a_checked_function_looks_like_the_one_it_was():
    assert list(inspect.signature(tensors).parameters)[:2] == ["embeddings", "labels"]
    assert (tensors.__name__, tensors.__doc__, tensors.__module__) == ("tensors", "Says so.", __name__)
    assert inspect.unwrap(losses.softtriple_similarity).__code__.co_varnames[0] == "similarities"
    assert losses.options("semihard") == {"margin": 0.2, "normalize": True}


def test_gradients_vmap_and_autocast_go_through():
    x = torch.rand(4, 2, 3, 5, dtype=torch.float64, requires_grad=True)
    similarity = losses.softtriple_similarity
    assert torch.autograd.gradcheck(similarity, (x[0],))
    stacked = torch.stack([similarity(part) for part in x])
    torch.testing.assert_close(torch.vmap(similarity)(x), stacked)
    assert "inner_shape" not in said(lambda: torch.vmap(similarity)(x[0]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(similarity(x[0]), stacked[0])


# What plain annotations ask, without any rule.


class Thing:
    """A class of this module, written below some functions that take it."""


@checked
def plain(
    count: int = 1,
    share: float = 0.5,
    flag: bool = True,
    word: str = "a",
    scores: Sequence[float] = (),
    ends: Mapping[str, float] | None = None,
    pair: tuple[int, int] = (1, 2),
    path: str | Path | None = None,
    folder: Path | None = None,
    call: Callable[[int], int] | None = None,
    draw: torch.Generator | None = None,
    device: str | torch.device = "cpu",
    later: Later | None = None,
    runs: Iterable[Thing] = (),
    tables: Mapping[str, Int[Tensor, "N K"]] | None = None,
    anything: object = None,
) -> dict:
    return dict(locals())


class Later:
    """Written below what takes it."""


ALIKE = [
    ({"count": True}, "count must be an integer; got True. Pass a whole number."),
    ({"count": 2.0}, "count must be an integer; got 2.0."),
    ({"count": 10**400}, "count must be an integer; got 1000"),
    ({"count": None}, "count must be an integer; got None."),
    ({"count": np.float64(2)}, "count must be an integer; got 2.0."),
    ({"share": "0.5"}, "share must be a finite number; got '0.5'. Pass a number."),
    ({"share": float("nan")}, "share must be a finite number; got nan."),
    ({"share": np.float32("inf")}, "share must be a finite number; got inf."),
    ({"share": 10**400}, "share must be a finite number; got 1000"),
    ({"share": torch.tensor(0.5)}, "share must be a finite number; got Tensor."),
    ({"flag": 1}, "flag must be True or False; got 1."),
    ({"word": b"a"}, "word must be a string; got b'a'. Put it in quotes."),
    ({"scores": [0.5, "a"]}, "scores must be a sequence of finite numbers; got 'a' at 1."),
    ({"scores": "abc"}, "scores must be a sequence of finite numbers; got 'abc'."),
    ({"scores": 0.5}, "scores must be a sequence of finite numbers; got 0.5. Put it in brackets: (0.5,)."),
    ({"scores": np.array([0.5, np.nan])}, "scores must be a sequence of finite numbers; got ndarray."),
    ({"ends": {"a": None}}, "ends must be a mapping from strings to finite numbers or None; got None at 'a'."),
    ({"ends": [("a", 0.5)]}, "ends must be a mapping from strings to finite numbers or None; got list."),
    ({"pair": (1, 2, 3)}, "pair must be a tuple of 2 integers; got tuple. Give one for each."),
    ({"pair": (1, 0.5)}, "pair must be a tuple of 2 integers; got tuple."),
    ({"path": 3}, "path must be a path or None; got 3."),
    ({"path": "a\0b"}, "path must be a path or None; got a name with a NUL."),
    ({"path": "a" * 300}, "path must be a path or None; got a name of 300 letters."),
    ({"folder": "a"}, "folder must be a path or None; got 'a'. Pass a pathlib.Path."),
    ({"call": 3}, "call must be a function or None; got 3."),
    ({"draw": 3}, "draw must be a torch.Generator or None; got 3. seeding.generator(SEED, ...) makes one."),
    ({"draw": np.random.default_rng(1)}, "draw must be a torch.Generator or None; got Generator."),
    ({"device": "gpu"}, "device must be a device; got 'gpu'. This machine has cpu"),
    ({"later": Thing()}, "later must be a Later or None; got Thing."),
    ({"runs": [Thing(), 3]}, "runs must be a sequence of Thing objects; got 3 at 1."),
    (
        {"tables": {"a": torch.ones(2, 2)}},
        "tables must be a mapping from strings to tensors or None; got Tensor at 'a'.",
    ),
    (
        {"tables": {"a": torch.arange(2)}},
        "tables must be a mapping from strings to tensors or None; got Tensor at 'a'.",
    ),
]


@pytest.mark.parametrize(("given", "message"), ALIKE)
def test_a_value_of_another_type_is_refused_in_words(given, message):
    assert said(lambda: plain(**given)).startswith(f"plain: {message}")


@pytest.mark.parametrize(
    "given",
    [
        {"share": 3},
        {"scores": range(3)},
        {"scores": []},
        {"ends": {}},
        {"pair": [1, 2]},
        {"path": "a"},
        {"path": Path("a")},
        {"folder": Path("a")},
        {"call": len},
        {"draw": torch.Generator()},
        {"device": torch.device("cpu")},
        {"device": "cuda:1"},
        {"later": Later()},
        {"runs": (thing for thing in [Thing()])},
        {"tables": {"a": torch.ones(2, 2, dtype=torch.int32)}},
        {"anything": object()},
    ],
)
def test_a_value_of_the_type_is_let_in_as_it_is(given):
    (name, value), found = next(iter(given.items())), plain(**given)
    assert found[name] is value


def test_numpys_numbers_count_and_the_function_gets_pythons():
    found = plain(np.int64(3), share=np.float64(0.5), flag=np.bool_(False), scores=np.array([0.5, 1.0]))
    kinds = [type(found[name]) for name in ("count", "share", "flag", "scores")]
    assert kinds == [int, float, bool, list]
    assert (found["count"], found["share"], found["flag"], found["scores"]) == (3, 0.5, False, [0.5, 1.0])
    assert plain(scores=torch.tensor([0.5, 1.0]))["scores"] == [0.5, 1.0]
    assert ruled(gamma=np.float32(0.5), classes=np.int16(2)) is None
    assert said(lambda: ruled(classes=np.int16(1))).startswith("ruled: classes must be an integer >= 2; got 1.")


@checked
def kept(x: Float[Tensor, "B D"], labels: Int[Tensor, " B"], mask: Bool[Tensor, " B"] | None = None) -> tuple:
    return x, labels


@pytest.mark.parametrize(
    ("x", "labels", "mask", "message"),
    [
        (ROWS.long(), LABELS, None, "x must be floating point; got torch.int64. Call .float() on them."),
        (ROWS.to(torch.complex64), LABELS, None, "x must be floating point; got torch.complex64."),
        (ROWS, LABELS.float(), None, "labels must be integers; got torch.float32. Number the classes: labels.long()."),
        (ROWS, LABELS > 1, None, "labels must be integers; got torch.bool."),
        (ROWS, LABELS, LABELS, "mask must be True and False; got torch.int64. Call .bool() on them."),
        (ROWS.to("meta"), LABELS, None, "x must hold its values, densely; got a tensor on meta."),
        (ROWS.to_sparse(), LABELS, None, "x must hold its values, densely; got a tensor of layout torch.sparse_coo."),
    ],
)
def test_a_tensor_of_other_values_is_refused_in_words(x, labels, mask, message):
    assert said(lambda: kept(x, labels, mask)).startswith(f"kept: {message}")


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.int8, torch.uint8])
def test_integers_of_every_width_arrive_in_64_bits(dtype):
    x, labels = kept(ROWS, LABELS.to(dtype))
    assert (x is ROWS, labels.dtype, labels.tolist()) == (True, torch.int64, LABELS.tolist())
    assert kept(ROWS, LABELS)[1] is LABELS


def test_embeddings_that_are_not_finite_are_let_in_where_no_rule_looks_at_them():
    broken = torch.full((4, 3), torch.nan, requires_grad=True)
    assert kept(broken, LABELS)[0] is broken
    assert losses.SemiHardLoss()(broken, torch.tensor([0, 0, 1, 1])).isnan()


@checked(x=finite, counts=at_least(0), scores=between(0, 1), ends=above(0))
def drawn(
    x: Float[Tensor, "B D"] | None = None,
    counts: Int[Tensor, " B"] | None = None,
    scores: Sequence[float] = (),
    ends: Mapping[str, Sequence[float]] | None = None,
) -> Tensor | None:
    return x


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": torch.tensor([[1.0, torch.nan]])}, "x must hold finite numbers; got nan at (0, 1)."),
        ({"x": torch.tensor([[1.0], [torch.inf]])}, "x must hold finite numbers; got inf at (1, 0)."),
        ({"counts": torch.tensor([0, -1])}, "counts must hold integers >= 0; got -1 at (1,)."),
        ({"scores": [0.5, 1.5]}, "scores[1] must be a finite number >= 0 and <= 1; got 1.5."),
        ({"scores": 0.5}, "scores must be a sequence of finite numbers; got 0.5."),
        ({"ends": {"a": [1.0, 0.0]}}, "ends['a'][1] must be a finite number > 0; got 0.0."),
    ],
)
def test_a_rule_of_numbers_holds_for_each_number_of_a_tensor_or_a_sequence(given, message):
    assert said(lambda: drawn(**given)).startswith(f"drawn: {message}")


def test_what_is_looked_at_comes_without_a_gradient():
    assert not drawn(torch.ones(2, 2, requires_grad=True)).requires_grad
    assert drawn(torch.ones(0, 2)).shape == (0, 2)


# What is checked in a body.


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: check_number(low=0, x=-1), f"x must be a finite number >= 0; got -1. {NUMBER}"),
        (lambda: check_number(low=0, high=1, open_low=True, x=0), "x must be a finite number > 0 and <= 1; got 0."),
        (lambda: check_number(integer=True, x=True), "x must be an integer; got True"),
        (
            lambda: check_number(high=5, x=float("inf"), remedy="Less."),
            "x must be a finite number <= 5; got inf. Less.",
        ),
        (lambda: check_unique(x=[3, 1, 3]), "x must hold no value twice; got 3 repeated. Remove the copy."),
        (lambda: check_choice(choices=("left", "right"), side="lft"), "side must be one of 'left', 'right'; got 'lft'"),
        (
            lambda: check_shape(expected="B 3", x=torch.ones(2, 4)),
            "x must be a tensor of shape (B, 3); got shape (2, 4)",
        ),
        (
            lambda: check_shape(expected="B B", x=torch.ones(2, 4)),
            "x must be a tensor of shape (B, B); got shape (2, 4)",
        ),
        (
            lambda: check_shape(expected="B D", x=torch.ones(2, 4), y=torch.ones(3, 4)),
            "y must be a tensor of shape (B, D); got shape (3, 4), while B is 2 in x.",
        ),
        (
            lambda: check_finite(x=torch.ones(2) / 0),
            "x must be finite; got 2 of 2 entries that are not. Look where they",
        ),
        (
            lambda: check_labels([0, 1]),
            "labels must be a tensor of integers; got list. Convert it with",
        ),
        (
            lambda: check_labels(LABELS + 0.5),
            "labels must be integers; got torch.float32. Number the classes",
        ),
        (lambda: check_labels(LABELS.double() * torch.nan), "labels must be integers; got torch.float64"),
        (lambda: check_labels(LABELS.to(torch.complex64)), "labels must be integers; got torch.complex64"),
        (lambda: check_labels(LABELS > 1, argument="kinds"), "kinds must be integers; got torch.bool"),
        (lambda: check_lengths(ends=[1, 2], names="a"), "names must be as many as the ends; got 2 ends and 1 names."),
        (lambda: check_filled(names=[]), "names must hold at least one; got none. Leave the call out"),
        (lambda: check_below(3, "images", query=3), "query must number one of 3 images, from 0; got 3."),
        (lambda: check_below(3, "images", found=LABELS), "found must number one of 3 images, from 0; got 3."),
        (lambda: check_batch(ROWS.long(), LABELS), "embeddings must be floating point; got torch.int64. Call .float()"),
        (lambda: check_batch(ROWS, ROWS[:, 0]), "labels must be integers; got torch.float32. Number the classes"),
        (lambda: check_batch(ROWS, LABELS > 1), "labels must be integers; got torch.bool. Number the classes"),
        (lambda: check_batch(ROWS[:0], LABELS[:0]), "embeddings must hold at least one row; got none. Skip empty"),
        (
            lambda: check_batch(ROWS, LABELS.to("meta")),
            "labels must be on the embeddings' device; got embeddings on cpu",
        ),
        (lambda: check_batch(ROWS, LABELS, num_classes=3), "labels must lie in 0..2; got 0..3. Number the training"),
        (
            lambda: check_batch(ROWS, LABELS - 1, num_classes=4),
            "labels must lie in 0..3; got -1..2. Number the training",
        ),
    ],
)
def test_messages_say_what_was_expected_what_came_and_what_to_do(call, message):
    assert said(call).partition(": ")[2].startswith(message)


@pytest.mark.parametrize(
    ("check", "inside", "beyond"),
    [
        (lambda x: check_number(low=0, high=1, x=x), 0, -1e-9),
        (lambda x: check_number(low=0, high=1, x=x), 1, 1 + 1e-9),
        (lambda x: check_number(low=0, open_low=True, x=x), 1e-9, 0),
        (lambda x: check_number(low=1, integer=True, x=x), 1, 0),
        (lambda x: check_unique(x=x), [3, 1], [3, 3]),
        (lambda x: check_lengths(y=[3, 1], x=x), [3, 1], [3]),
        (lambda x: check_filled(x=x), [0], []),
        (lambda x: check_below(3, "images", x=x), 2, 3),
        (lambda x: check_choice(choices=("left", "right"), side=x), "right", "middle"),
        (lambda x: check_shape(expected="B D", x=torch.ones(2, 4), y=x), torch.ones(2, 4), torch.ones(2, 5)),
        (lambda x: check_batch(ROWS, LABELS, num_classes=x), 4, 3),
    ],
)
def test_what_a_body_asks_for_is_let_in_and_what_is_just_beyond_is_not(check, inside, beyond):
    check(inside)
    assert said(lambda: check(beyond))


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.float16, np.float32, np.float64])
def test_numbers_of_numpy_are_numbers_and_arrive_as_pythons_own(kind):
    @checked(count=at_least(1), share=above(0))
    def doubled(count: int, *, share: float = 0.5):
        return count * 2, share * 2

    assert doubled(100, share=kind(1)) == (200, 2)
    assert {type(number) for number in doubled(100, share=kind(1))} <= {int, float}
    if issubclass(kind, np.integer):
        assert doubled(kind(100)) == (200, 1.0)  # int8 ends at 127
        assert doubled(count=kind(100)) == (200, 1.0)
    else:
        assert said(lambda: doubled(kind(100))).startswith("doubled: count must be an integer >= 1; got 100.0.")


@pytest.mark.parametrize("width", sorted(INTEGERS, key=str))
def test_labels_of_every_width_come_back_as_int64(width):
    labels = torch.tensor([3, 0, 100])
    for found in (check_labels(labels.to(width)), check_batch(torch.ones(3, 1), labels.to(width), num_classes=101)):
        assert found.dtype == torch.int64
        assert torch.equal(found, labels)
    assert (check_labels(labels.to(width)) * 100).tolist() == [300, 0, 10_000]  # 200 and more would overflow int8


def test_a_batch_under_vmap_is_known_beneath_other_transforms_too():
    seen = []

    def look(x):
        seen.append(under_vmap(x))
        return x.sum()

    rows = torch.ones(2, 3)
    look(rows)
    torch.func.grad(look)(rows)
    torch.func.vmap(look)(rows)
    torch.func.vmap(torch.func.grad(look))(rows)
    assert seen == [False, False, True, True]


# Under whose name it is said.


def _helper():
    raise bad_input("x", "be good", "bad", "Mend it.")


def helper():
    _helper()


@checked
def with_helper():
    helper()


@checked
def with_nested_parts():
    def inner(x):
        return [(lambda: _helper())() for _ in range(x)]

    inner(1)


class Base:
    @checked(size=at_least(1))
    def __init__(self, size: int = 1):
        self.size = size

    @checked(count=at_least(1))
    def draw(self, count: int):
        _helper()

    @checked(labels="Number them.")
    def forward(self, labels: Int[Tensor, " B"]):
        _helper()

    @classmethod
    @checked
    def of(cls, size):
        _helper()


class Special(Base):
    pass


@checked(size=at_least(1))
@dataclass(frozen=True)
class Record:
    labels: Int[Tensor, " B"]
    kinds: Int[Tensor, " B"] | None = None
    size: int = 1

    def __post_init__(self):
        if self.size > 8:
            _helper()


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (with_helper, "with_helper"),
        (with_nested_parts, "with_nested_parts"),
        (lambda: Special(size=0), "Special"),
        (lambda: Special().draw(0), "Special.draw"),
        (lambda: Special().draw(1), "Special.draw"),
        (lambda: Base().draw(count=1), "Base.draw"),
        (lambda: Special().forward(3), "Special"),
        (lambda: Special().forward(LABELS), "Special"),
        (lambda: Special.of(3), "Special.of"),
        (lambda: Record(3), "Record"),
        (lambda: Record(LABELS, LABELS[:2]), "Record"),
        (lambda: Record(LABELS, size=0), "Record"),
        (lambda: Record(LABELS, size=9), "Record"),
    ],
)
def test_a_message_has_the_name_of_the_checked_function_it_comes_from(call, name):
    assert said(call).startswith(f"{name}: ")


def test_without_a_checked_function_the_caller_speaks():
    assert said(helper).startswith("_helper: x must be good; got bad. Mend it.")
    assert said(lambda: check_number(integer=True, x=0.5)).startswith("test_without_a_checked_function_the_caller")
    assert str(bad_input("x", "be good", "bad", "Mend it.", function="f")) == "f: x must be good; got bad. Mend it."


ROOM = """
def _hidden():
    raise bad_input("x", "be good", "bad", "Mend it.")

def enter_it():
    _hidden()

def load():
    _hidden()

class Plain:
    def draw(self):
        return [(lambda: _hidden())() for _ in range(1)]

class Loud(Plain):
    def __init__(self, loud=False):
        if loud:
            _hidden()
"""


def test_without_a_checked_function_the_innermost_public_one_of_the_package_speaks():
    room = {"__name__": "dmlbook.rooms.doors", "bad_input": bad_input}
    exec(compile(ROOM, "doors.py", "exec"), room)
    calls = {"enter_it": room["enter_it"], "doors.load": room["load"], "Loud.draw": room["Loud"]().draw}
    calls["Loud"] = lambda: room["Loud"](loud=True)
    for name, call in calls.items():
        assert said(call) == f"{name}: x must be good; got bad. Mend it."


SMALL = torch.eye(2)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("call", "name"),
    [
        # One word says nothing without the folder or file that it is reached through.
        (lambda: losses.make("triple", num_classes=2, embedding_size=2), "losses.make"),
        (lambda: datasets.load("bird", "train"), "datasets.load"),
        (lambda: datasets.load("cub", "train", size=0), "datasets.load"),
        (lambda: datasets.fetch("cup"), "datasets.fetch"),
        (lambda: nets.build("smal", embedding_size=1), "nets.build"),
        (lambda: nets.build("small", embedding_size=1, weights="none.pt"), "nets.build"),
        (lambda: geometry.simplex(3, 1), "geometry.simplex"),
        (lambda: retrieval.evaluate(SMALL, torch.arange(2)), "retrieval.evaluate"),
        (lambda: records.interval([]), "records.interval"),
        (lambda: training.embed(None, None, view="hole"), "training.embed"),
        (lambda: checkpoints.load(Path(__file__)), "checkpoints.load"),
        # A command is known by its own name.
        (lambda: evaluate.run(Namespace(run=None, net=None, record=None)), "evaluate"),
        (lambda: geometry.one_hot(3, 1), "one_hot"),
        (lambda: losses.TripletLoss(margin=-1), "TripletLoss"),
        (lambda: losses.SoftTriple(num_classes=1, embedding_size=2), "SoftTriple"),
        (
            lambda: losses.make("hardtriple", num_classes=2, embedding_size=2)(SMALL[:1], torch.tensor([5])),
            "HardTriple",
        ),
        (lambda: training.TrainConfig(epochs=0), "TrainConfig"),
        (lambda: training.TrainConfig(milestones=(2, 1)), "TrainConfig"),
        (lambda: training.TrainConfig.from_dict({"epoch": 1}), "TrainConfig.from_dict"),
        (lambda: training.TrainConfig.from_dict({"epochs": 0}), "TrainConfig"),
        (lambda: training.Checkpoints("runs", resume="may"), "Checkpoints"),
        (lambda: training.Checkpoints("nowhere", resume="must").newest(), "Checkpoints.newest"),
        (lambda: training.fit(None, None, range(0), None, folder="nowhere"), "training.fit"),
        (lambda: sampling.UniformBatches(4, 2, seed=0).shard(2, 2), "UniformBatches.shard"),
        (lambda: datasets.ImageSet(SMALL, torch.arange(2), ("a", "b")), "ImageSet"),
        (lambda: nets.build("small", embedding_size=1).features(SMALL), "EmbeddingNet.features"),
        # Helpers speak for the function that called them, and alone for themselves.
        (lambda: losses.centroid_terms(SMALL, torch.tensor([0, 2])), "centroid_terms"),
        (lambda: theory.hinged_bound_sum(SMALL, torch.tensor([0, 2]), margin=0.1), "hinged_bound_sum"),
        (lambda: own_and_others(SMALL, torch.tensor([0, 2])), "own_and_others"),
        (lambda: theory.restated_gap_limit(SMALL[:1], eps=0.1), "restated_gap_limit"),
    ],
)
def test_functions_of_the_package_have_the_names_that_their_callers_write(call, name):
    assert said(call).startswith(f"{name}: ")


def test_the_mode_is_refused_under_the_name_of_its_setting(monkeypatch):
    monkeypatch.setenv("DMLBOOK_MODE", "smok")
    assert said(lambda: settings.by_mode(smoke=1, class_=2, full=3)).startswith(
        "settings.mode: DMLBOOK_MODE must be one"
    )


def test_the_birds_are_refused_under_their_own_name_through_either_door():
    for call in (lambda: birds.load("train", size=8), lambda: datasets.load("birds", "train", size=8)):
        assert said(call).startswith("birds.load: size must be an integer >= 16")


def doors():
    """Every function that a package of the library exports, or that a module of its top floor has."""
    for found in pkgutil.walk_packages(dmlbook.__path__, "dmlbook."):
        if not found.name.split(".")[1].startswith("_") and (found.ispkg or found.name.count(".") == 1):
            module = importlib.import_module(found.name)
            for name in getattr(module, "__all__", [n for n in vars(module) if not n.startswith("_")]):
                function = getattr(module, name)
                if inspect.isfunction(function) and not function.__module__.startswith("dmlbook._checks"):
                    yield f"{found.name}.{name}", function


SPEAK_FOR_OTHERS = {
    "dmlbook.chapters.judge",  # for check, which prints its verdict
    "dmlbook.weight_files.read_weights",  # for nets.build, whose argument it reads
}


def test_a_function_that_is_exported_and_checks_is_declared_so():
    checking = {}
    for name, function in doors():
        names = set(inspect.unwrap(function).__code__.co_names)
        if names & {"bad_input", *(n for n in _checks.__all__ if n.startswith("check_"))}:
            checking[name] = function.__code__.co_name
    assert len(checking) > 15
    assert {name for name, code in checking.items() if code != "guarded"} == SPEAK_FOR_OTHERS
