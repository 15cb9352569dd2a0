"""Shapes as annotations write them, such as ``Float[Tensor, "B C K"]``, asked of tensors."""

from __future__ import annotations

import ast
from types import NoneType, UnionType
from typing import NamedTuple, Union, get_args, get_origin

import torch

from dmlbook._checks.messages import bad_input
from dmlbook._types import Tensor

Sizes = dict[str, tuple[int, str, "Shape"]]
"""Of each axis that has been seen in a call: its size, the argument it was seen in, and that argument's shape."""


_FLOATS = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
INTEGERS = frozenset(
    {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32, torch.uint64}
)
VALUES = {
    "Float": (_FLOATS, "floating point", "Call .float() on them."),
    "Int": (INTEGERS, "integers", "Call .long() on them."),
    "Bool": (frozenset({torch.bool}), "True and False", "Call .bool() on them."),
    "UInt8": (frozenset({torch.uint8}), "uint8", "Scale to 0..255, call .byte()."),
    "": (_FLOATS | INTEGERS | {torch.bool}, "real numbers", "Take the real part."),
}
"""By annotation: which dtypes a tensor may have, what they are called, and what to do about another."""
USUAL = {
    ("labels", "integers"): "Number the classes: labels.long().",
    ("images", "floating point"): "Use images / 255.",
}
"""What is usually wrong with another dtype of these arguments."""


class Shape:
    """The axes of a tensor, and what it holds: a number fixes one, a letter that recurs has one size throughout a call.

    ``*batch`` or ``...`` stands for any number of axes. What else jaxtyping knows is passed over: such an axis may have
    any size.
    """

    def __init__(self, axes: str, values: str = "") -> None:
        self.holds, self.values, self.remedy = VALUES[values]
        self.counts = values == "Int"
        names = axes.split()
        spread = [place for place, axis in enumerate(names) if axis.startswith(("*", "..."))]
        self.names = ["..." if place in spread else axis for place, axis in enumerate(names)]
        self.least, self.open = len(names) - len(spread), bool(spread)
        # Axes behind ``...`` are counted from the end; between two of them no axis has a place.
        before, behind = (spread[0], spread[-1]) if spread else (len(names), len(names))
        placed = [*range(before), *(place - len(names) for place in range(behind + 1, len(names)))]
        self.fixed = [(place, int(names[place])) for place in placed if names[place].isdecimal()]
        self.named = [(p, names[p]) for p in placed if names[p].isidentifier() and names[p] != "_"]

    def check(self, argument: str, tensor: object, sizes: Sizes, remedy: str = "") -> Tensor | None:
        """Raises unless it is a tensor with these axes, as long as those of one letter seen before.

        Returns the same integers in 64 bits where they came in fewer, in which torch cannot count or index; else None.
        """
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
        if tensor.layout is not torch.strided or tensor.is_meta:
            got = "a tensor on meta" if tensor.is_meta else f"a tensor of layout {tensor.layout}"
            raise bad_input(argument, "hold its values, densely", got, "Call .to_dense(), or build it on a device.")
        for place, axis in self.named:
            size, other, its_shape = sizes.setdefault(axis, (shape[place], argument, self))
            if size != shape[place]:
                if other == argument:
                    raise self._misfit(argument, tensor, remedy)
                raise self._disagreement(argument, tensor, place, (size, other, its_shape), remedy)
        if tensor.dtype not in self.holds:
            mask = f"A mask becomes numbers by {argument}.nonzero().flatten()."
            usual = mask if self.counts and tensor.dtype is torch.bool else self.remedy
            remedy = USUAL.get((argument, self.values), usual)
            raise bad_input(argument, f"be {self.values}", tensor.dtype, remedy)
        return tensor.long() if self.counts and tensor.dtype is not torch.int64 else None

    def fits(self, tensor: object) -> bool:
        """Whether it is a tensor with so many axes, of such values."""
        if not isinstance(tensor, Tensor) or tensor.dtype not in self.holds:
            return False
        long_enough = tensor.dim() >= self.least if self.open else tensor.dim() == self.least
        return long_enough and tensor.layout is torch.strided and not tensor.is_meta

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
    parts: tuple = ()
    """The same, as trees of their text or as types."""


def read(annotation: object) -> Meaning:
    """The meaning of an annotation: of its text, which modules keep, or of the type that the text stands for."""
    tree = ast.parse(annotation, mode="eval").body if isinstance(annotation, str) else annotation
    shape, others, parts = None, set(), []
    for part in alternatives(tree):
        found = shape_of(part)
        if found is not None:
            shape = found
            continue
        parts.append(part)
        if isinstance(part, ast.AST):
            others.add(ast.unparse(part))
        else:
            others.add("None" if part in (None, NoneType) else getattr(part, "__name__", repr(part)))
    return Meaning(shape, "int" in others and "float" not in others, frozenset(others), tuple(parts))


def alternatives(annotation: object) -> list:
    """The alternatives of an annotation, of its tree or of the type itself."""
    if isinstance(annotation, ast.BinOp):
        return [*alternatives(annotation.left), *alternatives(annotation.right)]
    return list(get_args(annotation)) if get_origin(annotation) in (Union, UnionType) else [annotation]


def shape_of(part: object) -> Shape | None:
    """``B C K`` of ``Float[Tensor, "B C K"]``; ``...`` of a plain ``Tensor``; None where it is no tensor."""
    if part is Tensor or (isinstance(part, ast.Name) and part.id == "Tensor"):
        return Shape("...")
    if isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Tuple):
        kind, *said = part.slice.elts
        if isinstance(kind, ast.Name) and kind.id == "Tensor" and isinstance(said[0], ast.Constant):
            return Shape(said[0].value, ast.unparse(part.value))
    axes = getattr(part, "dim_str", None)
    if axes is None:
        return None
    word = part.__name__.partition("[")[0]
    return Shape(axes, "Int" if word == "Integer" else word if word in VALUES else "")
