"""What keeps a failed check from failing: an exception caught too widely, an assertion that holds whatever happens."""

from __future__ import annotations

import ast
import re

from tests.suite import is_open

WIDE = {"AssertionError", "Exception", "BaseException"}
HUSHED = re.compile(r"NBVAL_\w+|^\s*%%?(?:capture|script|xmode|pdb)\b.*", re.MULTILINE)
TAGS = re.compile(r"nbval-|raises-exception|skip-execution")
MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


def silenced(source: str, tags: list[str] = ()) -> list[str]:
    """What in a piece of code would hide a failure, each in a few words; ``tags`` are those of a notebook's cell."""
    found = [f"the tag {tag}" for tag in tags if TAGS.match(tag)]
    found += [match[0].strip() for match in HUSHED.finditer(source)]
    for node in ast.walk(ast.parse(MAGIC.sub("", source))):
        found += [words for words in (_caught(node), _idle(node), _dead(node), _muted(node)) if words]
    return found


def _caught(node: ast.AST) -> str | None:
    """A failed assertion that is caught and not raised again."""
    if isinstance(node, ast.ExceptHandler) and not any(isinstance(inner, ast.Raise) for inner in ast.walk(node)):
        names = _names(node.type) if node.type else WIDE
        return f"except {ast.unparse(node.type) if node.type else ''}".strip() if names & WIDE else None
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func).split(".")[-1]
        given = [*node.args, *(word.value for word in node.keywords)]
        if called in ("suppress", "raises", "assertRaises") and any(_names(value) & WIDE for value in given):
            return ast.unparse(node)
    return None


def _names(node: ast.AST) -> set[str]:
    """The last words of the names in an expression: ``(ValueError, builtins.Exception)`` has two."""
    inside = list(ast.walk(node))
    return {n.id for n in inside if isinstance(n, ast.Name)} | {n.attr for n in inside if isinstance(n, ast.Attribute)}


def _idle(node: ast.AST) -> str | None:
    """An assertion that cannot fail."""
    if not isinstance(node, ast.Assert):
        return None
    parts = node.test.values if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.Or) else [node.test]
    idle = any(isinstance(part, ast.Constant) for part in parts) or not is_open(node.test)
    return ast.unparse(node) if idle else None


def _dead(node: ast.AST) -> str | None:
    """Code that never runs, or only where assertions are on anyway."""
    if not isinstance(node, ast.If | ast.While | ast.IfExp):
        return None
    never = isinstance(node.test, ast.Constant) and not node.test.value
    return f"if {ast.unparse(node.test)}" if never or "__debug__" in _names(node.test) else None


def _muted(node: ast.AST) -> str | None:
    """Warnings that nobody sees."""
    if isinstance(node, ast.Call):
        called = ast.unparse(node.func).split(".")[-1]
        if called in ("filterwarnings", "simplefilter") and node.args and ast.unparse(node.args[0]) == "'ignore'":
            return ast.unparse(node)
    return None
