"""What keeps a failed check from failing: an exception caught too widely, an assertion that holds whatever happens."""

from __future__ import annotations

import ast
import re

from tests.suite import is_open

WIDE = {"AssertionError", "Exception", "BaseException"}
EXCUSING = {"xfail", "skip", "expectedFailure", "skipTest"}
HUSHED = re.compile(r"NBVAL_\w+|^\s*%%?(?:capture|script|xmode|pdb)\b.*", re.MULTILINE)
TAGS = re.compile(r"nbval-|raises-exception|skip-execution")
MAGIC = re.compile(r"^\s*[%!].*$", re.MULTILINE)


def silenced(source: str, tags: list[str] = ()) -> list[str]:
    """What in a piece of code would hide a failure, each in a few words; ``tags`` are those of a notebook's cell."""
    found = [f"the tag {tag}" for tag in tags if TAGS.match(tag)]
    found += [match[0].strip() for match in HUSHED.finditer(source)]
    tree = ast.parse(MAGIC.sub("", source))
    wide = _wide(tree)
    for node in ast.walk(tree):
        ways = (_caught(node, wide), _idle(node), _dead(node), _muted(node), _excused(node))
        found += [words for words in ways if words]
    return found


def _wide(tree: ast.AST) -> set[str]:
    """The wide exceptions, and other names that the code gives to them, or to a group that holds one."""
    named = [node for node in ast.walk(tree) if isinstance(node, ast.Assign)]
    wide, before = set(WIDE), set()
    while wide != before:
        before = set(wide)
        for node in named:
            kinds = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
            if any(_last(kind) in wide for kind in kinds):
                wide |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return wide


def _last(node: ast.AST) -> str:
    """The last word of a dotted name; empty for anything else."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _caught(node: ast.AST, wide: set[str]) -> str | None:
    """A failed assertion that is caught and not raised again, whatever else is done."""
    if isinstance(node, ast.ExceptHandler) and not _goes_on(node):
        names = _names(node.type) if node.type else wide
        return f"except {ast.unparse(node.type) if node.type else ''}".strip() if names & wide else None
    if isinstance(node, ast.Call):
        called = _last(node.func)
        given = [*node.args, *(word.value for word in node.keywords)]
        if called in ("suppress", "raises", "assertRaises") and any(_names(value) & wide for value in given):
            return ast.unparse(node)
    return None


def _goes_on(handler: ast.ExceptHandler) -> bool:
    """Whether a handler always raises what it caught, or another exception because of it."""
    if any(isinstance(inner, ast.Return | ast.Continue | ast.Break) for inner in ast.walk(handler)):
        return False
    raised = [each for each in handler.body if isinstance(each, ast.Raise)]
    return any(each.exc is None or handler.name in (_last(each.exc), _last(each.cause or each)) for each in raised)


def _excused(node: ast.AST) -> str | None:
    """A test that may fail, or that is not run; ``importorskip``, and ``skipif`` with a reason, are no such thing."""
    if isinstance(node, ast.Attribute) and node.attr in EXCUSING:
        return ast.unparse(node)
    if isinstance(node, ast.ImportFrom) and EXCUSING & {each.name for each in node.names}:
        return ast.unparse(node)
    if isinstance(node, ast.Call) and _last(node.func) == "skipif":
        return None if any(word.arg == "reason" for word in node.keywords) else ast.unparse(node)
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
