"""The rules of the house: each a function from what it judges to the list of its violations."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.suite import FUNCTION, Suite, binds, module_name

# Who may import whom: a module imports from the rows above its own, and a package freely within itself; but no chapter
# from another.
FLOORS = [
    {"_types"},
    {"_checks"},
    {"_files"},
    {"settings", "seeding"},
    {"geometry", "layers", "weight_files"},
    {"losses", "retrieval", "nets", "datasets", "sampling"},
    {"training", "records", "maps"},
    {"recipes", "use"},
    {"book"},
    {"chapters"},
    {"commands"},
    {"__main__"},
]
FLOOR = {name: number for number, row in enumerate(FLOORS) for name in row}
BASE = {name for name in FLOOR if FLOOR[name] < FLOOR["book"]} - {"maps"} | {"commands", "__main__", "__init__"}
# What the base installs. jaxtyping is used where present; umap takes ten seconds and is imported where it is used.
BASE_IMPORTS = {
    "torch",
    "torchvision",
    "numpy",
    "PIL",
    "scipy",
    "sklearn",
    "lightning",
    "tqdm",
    "dmlbook",
} | sys.stdlib_module_names
OPTIONAL_IMPORTS = {("_types", "jaxtyping")}
NEVER_AT_THE_TOP = {"umap"}
PRIVATE_MODULES = {"_types", "_checks", "_files", "__version__", "__main__"}  # private to the package, shared inside it
CHAPTER = re.compile(r"dmlbook\.chapters\.(ch\d\d)\b")

LONGEST_FILE = 300
LONGEST_CELL = 20
WIDEST_LINE = 88  # characters of code: what JupyterLab shows beside its side bar
SHORTEST_HIDDEN = 4  # lines from which on a cell that only draws starts collapsed
WIDEST_FIGURE = 960  # CSS pixels
SHORTEST_ALT = 15  # characters; shorter ones are labels, not descriptions
LARGEST_NOTEBOOK = 3_000_000  # bytes

ANNOTATED_AXES = re.compile(r"\[Tensor, '([^']*)'\]")
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b")
PICTURE = re.compile(r'"image/(?:png|jpeg)": "[^"]*"|(?<=;base64,)[\w+/=]*')  # its letters mean nothing
MACHINE_PATH = re.compile(
    r"(?<![\w.])/(?:work|root|farm|home/\w+|Users/\w+|tmp/(?!ipykernel)\w+)/[\w.-]+|\b[A-Z]:\\Users\\"
)
SHELL = re.compile(r"^\s*(?:!|%%(?:bash|sh|script|cmd|system|!)|%(?:system|sx|pip|conda)\b|[\w, ]+=\s*!)", re.MULTILINE)
UNJUDGED = re.compile(r"\brecords\.(?:load|table|Record)\b")  # whoever calls these may set unlike runs side by side
COLOR = re.compile(r"""(["'])(?:#[0-9a-fA-F]{3,8}|C\d|C\{\w+\})\1""")
# A function or class that a module puts into one of these is reached by every test that names the other.
REGISTRIES = {"EXPLORER": "explorers", "EXERCISES": "exercises", "CONTESTS": "CONTESTS"}
OF_A_COMMAND = ("add_arguments", "run", "ABOUT")  # what makes a command; a test that runs it reaches them


def part(path: Path) -> str:
    """The row's name of a file, given relative to the package: ``losses/triplets.py`` -> ``losses``."""
    return path.parts[0].removesuffix(".py")


def imports(tree: ast.AST, path: Path) -> Iterator[tuple[str, bool]]:
    """Dotted names that a module of the package imports, with whether that happens as the module loads."""

    def walk(node: ast.AST, loading: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, loading) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                here = ("dmlbook", *path.parent.parts)
                base = [*here[: len(here) - child.level + 1], child.module] if child.level else [child.module]
                yield from ((".".join(filter(None, [*base, alias.name])), loading) for alias in child.names)
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from walk(child, loading and not inside)

    yield from walk(tree, True)


def import_violations(path: Path, source: str) -> list[str]:
    """``path`` is relative to the package."""
    own, found = part(path), []
    if own not in FLOOR and own != "__init__":
        return [f"{path}: not in the table of floors"]
    for name, loading in imports(ast.parse(source), path):
        top, _, rest = name.partition(".")
        target = rest.split(".")[0]
        if top == "dmlbook" and own == "__init__":
            found.append(f"{path}: imports {name}; the package itself imports nothing")
        elif top == "dmlbook" and target in FLOOR and target != own and FLOOR[target] >= FLOOR[own]:
            found.append(f"{path}: imports {name}, which is not below it")
        elif top == "dmlbook" and target and target not in FLOOR and not target.startswith("__version"):
            found.append(f"{path}: imports {name}, which is not in the table of floors")
        elif top == "dmlbook" and (other := CHAPTER.match(name)) and path.parts[1:2] != (other[1],):
            found.append(f"{path}: imports {name}, another chapter's; what two chapters share lies in book/")
        elif top == "dmlbook" and name.rpartition(".")[2].startswith("_") and target not in PRIVATE_MODULES:
            found.append(f"{path}: imports {name}, which is private there; make it public, or leave it")
        elif loading and top in NEVER_AT_THE_TOP:
            found.append(f"{path}: imports {top} as it loads; move that into the function that needs it")
        elif loading and own in BASE and (own, top) not in OPTIONAL_IMPORTS and top not in BASE_IMPORTS:
            found.append(f"{path}: imports {top}, which the base does not install")
    return found


def length_violations(path: Path, source: str) -> list[str]:
    lines = len(source.splitlines())
    return [f"{path}: {lines} lines, at most {LONGEST_FILE}"] if lines > LONGEST_FILE else []


def text_violations(path: Path, text: str) -> list[str]:
    """What no file of the repository may hold, pictures in notebooks apart."""
    text = PICTURE.sub("", text)
    found = [f"{path}: unfinished: {match[0]}" for match in UNFINISHED.finditer(text)]
    return found + [f"{path}: a path of one machine: {match[0]}" for match in MACHINE_PATH.finditer(text)]


def color_violations(path: Path, source: str) -> list[str]:
    """Hues are ``class_color``'s and greys have names: no color is typed where figures are drawn."""
    return [f"{path}: a color without a name: {match[0]}" for match in COLOR.finditer(source)]


def assertion_violations(suite: Suite, module: str) -> list[str]:
    """A test that asserts nothing cannot fail."""
    return [
        f"{module}: {test.name} asserts nothing" for test in suite.tests(module) if not suite.can_fail(module, test)
    ]


def judgement_violations(suite: Suite, module: str, others: dict[str, str]) -> list[str]:
    """A test in which nothing of the package occurs judges something else; ``others`` says what, by module or test."""
    names = [test.name for test in suite.tests(module) if not suite.judges(module, test)]
    if module in others:
        return [] if names else [f"{module}: is excused, and need not be"]
    excused = {key.split(" ")[1] for key in others if key.startswith(f"{module} ")}
    found = [f"{module}: {name} uses nothing of the package" for name in names if name not in excused]
    return found + [f"{module}: {name} is excused, and need not be" for name in sorted(excused - set(names))]


def public_names(sources: dict[Path, str]) -> dict[str, set[str]]:
    """What others may call, by dotted name, each with the words of which a test must hold one.

    Functions, classes and their methods; constants that another module uses. ``sources`` are the texts of the package's
    modules, by path relative to the repository. What makes a command is reached through the command's name.
    """
    trees = {module_name(path): ast.parse(text) for path, text in sources.items()}
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    elsewhere = {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
    elsewhere |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    found = {}
    for module, tree in trees.items():
        if any(is_private(part) for part in module.split(".")):
            continue
        registered: dict[str, set[str]] = {}
        for name, value in constants(tree):
            words = {REGISTRIES[name]} if name in REGISTRIES else set()
            registered |= {node.id: words for node in ast.walk(value) if isinstance(node, ast.Name) and words}
            if module.startswith("dmlbook.commands.") and name in OF_A_COMMAND:
                words = {f"the command {module.rpartition('.')[2]}"}
            if name.isupper() and not is_private(name) and name in elsewhere:
                found[f"{module}.{name}"] = {name} | words
        for node in tree.body:
            if not isinstance(node, FUNCTION | ast.ClassDef) or is_private(node.name):
                continue
            words = {node.name} | registered.get(node.name, set())
            if module.startswith("dmlbook.commands.") and node.name in OF_A_COMMAND:
                words = {f"the command {module.rpartition('.')[2]}"}
            found[f"{module}.{node.name}"] = words
            methods = [inner for inner in getattr(node, "body", []) if isinstance(node, ast.ClassDef)]
            methods = [inner.name for inner in methods if isinstance(inner, FUNCTION) and not is_private(inner.name)]
            found |= {f"{module}.{node.name}.{name}": {name} for name in methods}
    return found


def is_private(name: str) -> bool:
    return name.startswith("_")


def constants(tree: ast.Module) -> list[tuple[str, ast.AST]]:
    """Names that assignments at the top of a file bind, with what is assigned."""
    nodes = [n for n in tree.body if isinstance(n, ast.Assign | ast.AnnAssign) and n.value]
    return [(name, node.value) for node in nodes for name in binds(node)]


def untested_names(names: dict[str, set[str]], suite: Suite) -> list[str]:
    """Public names of which no word occurs in any file of the tests, but in an import."""
    occurring = suite.identifiers() | {f"the command {name}" for name in suite.first_words()}
    return [name for name, words in names.items() if occurring.isdisjoint(words)]


def check_violations(path: Path, source: str) -> list[str]:
    """What a check is told although it is read: the name of the function around it, and a shape that is annotated."""
    found = []
    for around, call in _calls(ast.parse(source)):
        check, given = ast.unparse(call.func).split(".")[-1], {word.arg: word.value for word in call.keywords}
        if check != "bad_input" and "check" not in check:
            continue
        texts = [word.value for word in (*call.args[:1], given.get("function")) if isinstance(word, ast.Constant)]
        names = {node.name for node in around}
        found += [f"{path}: {check} is told {text!r}" for text in texts if str(text).split(".")[-1] in names]
        if isinstance(given.get("expected"), ast.Constant):
            written = {name: axes for node in around for name, axes in _annotated_axes(node).items()}
            expected = given["expected"].value.split()
            values = [ast.unparse(value) for value in given.values()]
            found += [
                f"{path}: the shape of {v} stands in its annotation" for v in values if written.get(v) == expected
            ]
    return found


def _calls(node: ast.AST, around: tuple[ast.AST, ...] = ()) -> Iterator[tuple[tuple[ast.AST, ...], ast.Call]]:
    """Every call, with the functions and classes that it stands in."""
    for child in ast.iter_child_nodes(node):
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if isinstance(child, ast.Call):
            yield around, child
        yield from _calls(child, (*around, child) if inside else around)


def _annotated_axes(node: ast.AST) -> dict[str, list[str]]:
    """The axes of each argument of a function whose annotation names some."""
    arguments = [node.args.args, node.args.kwonlyargs] if isinstance(node, ast.FunctionDef) else []
    annotated = [argument for some in arguments for argument in some if argument.annotation]
    axes = {argument.arg: ANNOTATED_AXES.search(ast.unparse(argument.annotation)) for argument in annotated}
    return {name: match[1].split() for name, match in axes.items() if match}


def cell_violations(path: Path, book: dict) -> list[str]:
    """``book`` is a notebook, executed or not: what its cells may look like."""
    found = []
    for number, cell in enumerate(code_cells(book), start=1):
        lines = len(cell["source"].splitlines())
        if lines > LONGEST_CELL:
            found.append(f"{path}: code cell {number} has {lines} lines, at most {LONGEST_CELL}")
        if max((len(line) for line in cell["source"].splitlines()), default=0) > WIDEST_LINE:
            found.append(f"{path}: code cell {number} has a line of more than {WIDEST_LINE} characters")
        if (hidden := collapsed(cell)) != only_draws(cell["source"]):
            remedy = "which does more than draw" if hidden else "which only draws"
            found.append(f"{path}: code cell {number} starts {'collapsed' if hidden else 'open'}, {remedy}")
        if match := SHELL.search(cell["source"]):
            found.append(f"{path}: code cell {number} calls a shell, whose failure nobody sees: {match[0].strip()}")
        if match := UNJUDGED.search(cell["source"]):
            found.append(f"{path}: code cell {number} shows records that nobody compared: {match[0]}")
    return found


def collapsed(cell: dict) -> bool:
    return cell["metadata"].get("jupyter", {}).get("source_hidden", False)


def only_draws(source: str) -> bool:
    """Whether a cell shows a figure, defines and prints nothing, and is long enough to stand in the reader's way."""
    try:
        nodes = list(ast.walk(ast.parse(source)))
    except SyntaxError:
        return False
    called = {ast.unparse(node.func).rpartition(".")[2] for node in nodes if isinstance(node, ast.Call)}
    code = [line for line in source.splitlines() if line.strip() and not line.strip().startswith("#")]
    drawn = "show" in called and not called & {"print", "outcome", "predict", "check"}
    return drawn and len(code) >= SHORTEST_HIDDEN and not any(isinstance(node, FUNCTION) for node in nodes)


def output_violations(path: Path, book: dict) -> list[str]:
    """``book`` is an executed notebook: what its stored outputs must be."""
    found, alts = [], set()
    cells = [cell for cell in code_cells(book) if cell["source"].strip()]
    if [cell["execution_count"] for cell in cells] != list(range(1, len(cells) + 1)):
        found.append(f"{path}: not executed from top to bottom; run `make book`")
    for number, cell in enumerate(cells, start=1):
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                found.append(f"{path}: code cell {number} stores an error: {output['ename']}")
            if output["output_type"] == "stream" and output["name"] == "stderr" and "Warning" in output["text"]:
                found.append(f"{path}: code cell {number} stores a warning: {output['text'].splitlines()[0]}")
            widths = re.findall(r'<img\b[^>]*? width="(\d+)"', output.get("data", {}).get("text/html", ""))
            if max(map(int, widths), default=0) > WIDEST_FIGURE:
                found.append(f"{path}: code cell {number} shows a figure wider than {WIDEST_FIGURE} pixels")
            for alt in figure_alts(output):
                if len(alt) < SHORTEST_ALT:
                    found.append(f"{path}: code cell {number} shows a figure without alt text: {alt!r}")
                elif alt in alts:
                    found.append(f"{path}: code cell {number} repeats the alt text of another figure: {alt!r}")
                alts.add(alt)
    return found


def figure_alts(output: dict) -> list[str]:
    """The alt text of every figure in an output, empty where there is none: PNG or JPEG, SVG, and <img> in HTML."""
    data, metadata, alts = output.get("data", {}), output.get("metadata", {}), []
    if "text/html" in data:  # shown instead of the other forms
        tags = re.findall(r"<img\b[^>]*>", data["text/html"])
        alts = [(re.findall(r"""\balt=(["'])(.*?)\1""", tag) or [("", "")])[0][1] for tag in tags]
    return alts or [metadata.get(kind, {}).get("alt", "") for kind in data if kind.startswith("image/")][:1]


def code_cells(book: dict) -> list[dict]:
    return [cell for cell in book["cells"] if cell["cell_type"] == "code"]


def contents(book: dict) -> list[tuple]:
    """What a notebook and its paired text have in common: kind, source, and the metadata that authors write."""
    written = [{k: v for k, v in cell["metadata"].items() if k != "alt"} for cell in book["cells"]]
    return [(cell["cell_type"], cell["source"], meta) for cell, meta in zip(book["cells"], written, strict=True)]
