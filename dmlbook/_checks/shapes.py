"""Shapes as annotations write them, such as ``Float[Tensor, "B C K"]``, asked of tensors."""

from __future__ import annotations

import ast
from types import NoneType, UnionType
from typing import NamedTuple, Union, get_args, get_origin

from dmlbook._checks.messages import bad_input
from dmlbook._types import Tensor

Sizes = dict[str, tuple[int, str, "Shape"]]
"""Of each axis that has been seen in a call: its size, the argument it was seen in, and that argument's shape."""


class Shape:
    """The axes of a tensor: a number fixes one, a letter that recurs has one size throughout a call.

    ``*batch`` or ``...`` stands for any number of axes. What else jaxtyping knows is passed over: such an axis may have
    any size.
    """

    def __init__(self, axes: str) -> None:
        names = axes.split()
        spread = [place for place, axis in enumerate(names) if axis.startswith(("*", "..."))]
        self.names = ["..." if place in spread else axis for place, axis in enumerate(names)]
        self.least, self.open = len(names) - len(spread), bool(spread)
        # Axes behind ``...`` are counted from the end; between two of them no axis has a place.
        before, behind = (spread[0], spread[-1]) if spread else (len(names), len(names))
        placed = [*range(before), *(place - len(names) for place in range(behind + 1, len(names)))]
        self.fixed = [(place, int(names[place])) for place in placed if names[place].isdecimal()]
        self.named = [(p, names[p]) for p in placed if names[p].isidentifier() and names[p] != "_"]

    def check(self, argument: str, tensor: object, sizes: Sizes, remedy: str = "") -> None:
        """Raises unless it is a tensor with these axes, as long as those of one letter seen before."""
        if not isinstance(tensor, Tensor):
            got, remedy = type(tensor).__name__, remedy or "Convert it with torch.as_tensor."
            raise bad_input(argument, self.rule, got, remedy)
        shape = tensor.shape
        fits = len(shape) >= self.least if self.open else len(shape) == self.least
        if fits:
            for place, size in self.fixed:
                fits = fits and shape[place] == size
        if not fits:
            raise self._misfit(argument, tensor, remedy)
        for place, axis in self.named:
            size, other, its_shape = sizes.setdefault(axis, (shape[place], argument, self))
            if size != shape[place]:
                if other == argument:
                    raise self._misfit(argument, tensor, remedy)
                raise self._disagreement(argument, tensor, place, (size, other, its_shape), remedy)

    @property
    def rule(self) -> str:
        return f"be a tensor of shape ({', '.join(self.names)}{',' if len(self.names) == 1 else ''})"

    def _misfit(self, argument: str, tensor: Tensor, remedy: str) -> ValueError:
        return bad_input(argument, self.rule, f"shape {tuple(tensor.shape)}", remedy or "Reshape or index it.")

    def _disagreement(
        self, argument: str, tensor: Tensor, place: int, seen: tuple[int, str, Shape], remedy: str
    ) -> ValueError:
        """Said in the words of what the axis means: as many as, of one dimension, or else its letter."""
        size, other, its_shape = seen
        found, axis = tensor.shape[place], self.names[place]
        if self.names == [axis] == its_shape.names[:1]:
            # Rows that are vectors, (B, D), are what the argument says; those of a table, (B, C), are its rows.
            if len(its_shape.names) == 2 and its_shape.names[1] != "D":
                rule, got = f"be as many as the rows of {other}", f"{found} {argument} for {size} rows"
                return bad_input(argument, rule, got, remedy or "Give one a row.")
            got = f"{size} {other} and {found} {argument}"
            return bad_input(argument, f"be as many as the {other}", got, remedy or "Give both for the same images.")
        if axis == "D":
            got = f"dimensions {size} and {found}"
            return bad_input(argument, f"have the dimension of {other}", got, remedy or "Compare points of one space.")
        got = f"shape {tuple(tensor.shape)}, while {axis} is {size} in {other}"
        return bad_input(argument, self.rule, got, remedy or "Make them agree.")


class Meaning(NamedTuple):
    """What an annotation says of an argument, as far as it is checked."""

    shape: Shape | None
    integer: bool
    others: frozenset[str]
    """The types that stand beside the tensor's, or alone, such as ``None``."""


def read(annotation: object) -> Meaning:
    """The meaning of an annotation: of its text, which modules keep, or of the type that the text stands for."""
    tree = ast.parse(annotation, mode="eval").body if isinstance(annotation, str) else annotation
    shape, others = None, set()
    for part in _alternatives(tree):
        axes = _axes(part)
        if axes is not None:
            shape = Shape(axes)
        elif isinstance(part, ast.AST):
            others.add(ast.unparse(part))
        else:
            others.add("None" if part in (None, NoneType) else getattr(part, "__name__", repr(part)))
    return Meaning(shape, "int" in others and "float" not in others, frozenset(others))


def _alternatives(annotation: object) -> list:
    if isinstance(annotation, ast.BinOp):
        return [*_alternatives(annotation.left), *_alternatives(annotation.right)]
    return list(get_args(annotation)) if get_origin(annotation) in (Union, UnionType) else [annotation]


def _axes(part: object) -> str | None:
    """``B C K`` of ``Float[Tensor, "B C K"]``; ``...`` of a plain ``Tensor``; None where it is no tensor."""
    if part is Tensor or (isinstance(part, ast.Name) and part.id == "Tensor"):
        return "..."
    if isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Tuple):
        kind, *said = part.slice.elts
        if isinstance(kind, ast.Name) and kind.id == "Tensor" and isinstance(said[0], ast.Constant):
            return said[0].value
    return getattr(part, "dim_str", None)
