"""The tests' own files, read as trees: what a name in them stands for, what can fail a test, what a test judges."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef
FAILS = re.compile(r"pytest\.(?:raises|warns|fail)")
COMPARES = re.compile(r"(?:torch|numpy)\.testing\.assert_\w+")
CODE = re.compile(r"\b(?:from|import) dmlbook\b|dmlbook\.[\w.]*\Z")  # run by another process, or imported by name
DRAWS = {"dmlbook.seeding.generator", "dmlbook.seeding.SEED"}  # draw inputs; only the tests of seeding judge them


class Suite:
    """Files of tests and of their helpers.

    Args:
        sources: Texts by path relative to the repository, such as ``tests/losses/test_base.py``.
        judged: First words of the dotted names that tests are there for: the package, and the notebooks' modules.
    """

    def __init__(self, sources: dict[Path, str], judged: set[str]) -> None:
        self.judged = judged
        self.trees = {module_name(path): ast.parse(text) for path, text in sources.items()}
        self.imported = {module: dict(imports(tree)) for module, tree in self.trees.items()}
        self.bound: dict[str, dict[str, list[ast.stmt]]] = {}  # by module: the statements that bind a name at the top
        for module, tree in self.trees.items():
            names = self.bound[module] = {}
            for statement in tree.body:
                for name in binds(statement):
                    names.setdefault(name, []).append(statement)

    def tests(self, module: str) -> list[ast.FunctionDef]:
        return [n for n in self.trees[module].body if isinstance(n, FUNCTION) and n.name.startswith("test_")]

    def can_fail(self, module: str, function: ast.AST, seen: frozenset = frozenset()) -> bool:
        """Whether a function asserts something that is not constant, itself or in a helper of the tests."""
        nodes = list(reached(function))
        local = {
            n.targets[0].id: n.value for n in nodes if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)
        }
        for node in nodes:
            if isinstance(node, ast.Assert) and is_open(node.test):
                return True
            if isinstance(node, ast.Call):
                called = local.get(node.func.id, node.func) if isinstance(node.func, ast.Name) else node.func
                name = self._meaning(module, called)
                if FAILS.fullmatch(name) or (COMPARES.fullmatch(name) and are_open(node.args)):
                    return True
                home = self._home(name)
                statements = self.bound[home[0]][home[1]] if home and home not in seen else []
                helpers = [n for n in statements if isinstance(n, FUNCTION)]
                if any(self.can_fail(home[0], helper, seen | {home}) for helper in helpers):
                    return True
        return False

    def judges(self, module: str, node: ast.AST, seen: set | None = None) -> bool:
        """Whether anything that is judged occurs: by name, in a helper, a fixture or a constant, or in code as text.

        What has been looked into, ``seen``, is not looked into again, by whichever way it is reached.
        """
        seen = set() if seen is None else seen
        for inner in ast.walk(node):
            text = inner.value if isinstance(inner, ast.Constant) and isinstance(inner.value, str) else ""
            if CODE.search(text):
                return True
            if text in self.trees and text not in seen:
                seen.add(text)
                if self.judges(text, self.trees[text], seen):
                    return True
            name = f"{module}.{inner.arg}" if isinstance(inner, ast.arg) else self._meaning(module, inner)
            if name.split(".")[0] in self.judged and (module == "tests.test_seeding" or not draws(name)):
                return True
            home = self._home(name)
            if home and home not in seen:
                seen.add(home)
                if any(self.judges(home[0], statement, seen) for statement in self.bound[home[0]][home[1]]):
                    return True
        return False

    def identifiers(self) -> set[str]:
        """Every name and attribute that occurs, and the methods of classes; what is only imported does not."""
        found = set()
        for tree in self.trees.values():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    found |= {n.name for n in node.body if isinstance(n, FUNCTION)}
                elif isinstance(node, ast.Name | ast.Attribute):
                    found.add(node.id if isinstance(node, ast.Name) else node.attr)
        return found

    def first_words(self) -> set[str]:
        """The texts that begin a list, as a command's name begins its arguments."""
        lists = [n for tree in self.trees.values() for n in ast.walk(tree) if isinstance(n, ast.List) and n.elts]
        return {n.elts[0].value for n in lists if isinstance(n.elts[0], ast.Constant)}

    def _meaning(self, module: str, node: ast.AST) -> str:
        """The dotted name that a name, or an attribute of one, stands for; empty for anything else."""
        if isinstance(node, ast.Attribute):
            owner = self._meaning(module, node.value)
            return owner and f"{owner}.{node.attr}"
        return self.imported[module].get(node.id, f"{module}.{node.id}") if isinstance(node, ast.Name) else ""

    def _home(self, name: str) -> tuple[str, str] | None:
        """The module of the tests that binds a dotted name at its top, and the name there."""
        parts = name.split(".")
        for cut in range(len(parts) - 1, 0, -1):
            module, first = ".".join(parts[:cut]), parts[cut]
            if module in self.trees:
                if first in self.imported[module]:
                    return self._home(".".join([self.imported[module][first], *parts[cut + 1 :]]))
                return (module, first) if first in self.bound[module] else None
        return None


def module_name(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def imports(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """Names that imports bind anywhere in a file, and the dotted names they stand for."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.asname, alias.name) if alias.asname else (alias.name.split(".")[0],) * 2
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def binds(statement: ast.stmt) -> set[str]:
    """The names that a statement at the top of a file binds, imports apart."""
    if isinstance(statement, FUNCTION | ast.ClassDef):
        return {statement.name}
    return {n.id for n in ast.walk(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def reached(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function, without the functions inside it that it never names."""
    named = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)}
    todo = [function]
    while todo:
        node = todo.pop()
        yield node
        todo += [n for n in ast.iter_child_nodes(node) if not isinstance(n, FUNCTION) or n.name in named]


def is_open(claim: ast.expr) -> bool:
    """Whether a claim can come out either way: it is no constant, and does not compare a thing with itself."""
    if isinstance(claim, ast.Compare) and len(claim.comparators) == 1:
        return are_open([claim.left, *claim.comparators])
    return not isinstance(claim, ast.Tuple) and any(isinstance(n, ast.Name | ast.Call) for n in ast.walk(claim))


def are_open(compared: list[ast.expr]) -> bool:
    """The same for things that are compared; two calls may differ though they read alike."""
    calls = any(isinstance(n, ast.Call) for thing in compared for n in ast.walk(thing))
    names = any(isinstance(n, ast.Name) for thing in compared for n in ast.walk(thing))
    return calls or (names and ast.dump(compared[0]) != ast.dump(compared[1]))


def draws(name: str) -> bool:
    return name in DRAWS or any(longer.startswith(f"{name}.") for longer in DRAWS)
