"""What an annotation allows, read from its text by other code than the package's own."""

from __future__ import annotations

import ast
import inspect
from typing import NamedTuple

DTYPES = {"Float": "float", "Int": "int", "Bool": "bool", "UInt8": "uint8"}
SEQUENCES = {"Sequence", "tuple", "list", "Iterable"}
ANYTHING = {"object", "T", "Any"}


class Kind(NamedTuple):
    """One alternative of an annotation: ``word`` is ``int``, ``tensor``, ``Sequence``, ``Mapping``, a class, ...

    A tensor has a dtype and axes; a sequence or a mapping has the kinds of its elements or values in ``inner``.
    """

    word: str
    dtype: str = ""
    axes: tuple[str, ...] = ()
    inner: tuple[Kind, ...] = ()
    keys: tuple[Kind, ...] = ()


def kinds(annotation: object) -> tuple[Kind, ...]:
    """All alternatives; one of ``object`` where nothing is written."""
    if annotation is inspect.Parameter.empty:
        return (Kind("object"),)
    if not isinstance(annotation, str):
        text = getattr(annotation, "__forward_arg__", None)
        annotation = text or ("None" if annotation is type(None) else getattr(annotation, "__name__", "object"))
    return tuple(_kinds(ast.parse(annotation, mode="eval").body))


def _kinds(node: ast.expr) -> list[Kind]:
    if isinstance(node, ast.BinOp):
        return [*_kinds(node.left), *_kinds(node.right)]
    if isinstance(node, ast.Constant):
        return [Kind("None")] if node.value is None else _kinds(ast.parse(node.value, mode="eval").body)
    name = ast.unparse(node.value if isinstance(node, ast.Subscript) else node).rpartition(".")[2]
    if name == "Tensor":
        return [Kind("tensor", "any", ("...",))]
    if not isinstance(node, ast.Subscript):
        return [Kind(name)]
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name in DTYPES:
        return [Kind("tensor", DTYPES[name], tuple(parts[1].value.split()))]
    if name in SEQUENCES:
        inner = [
            kind
            for part in parts
            if not (isinstance(part, ast.Constant) and part.value is ...)
            for kind in _kinds(part)
        ]
        return [Kind(name, inner=tuple(dict.fromkeys(inner)))]
    if name in ("Mapping", "dict"):
        return [Kind("Mapping", inner=tuple(_kinds(parts[1])), keys=tuple(_kinds(parts[0])))]
    return [Kind(name)]
