"""What the style asks for and a program can judge. Each rule is seen to catch a planted violation."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import build
import nbformat
import pytest

from tests import house_rules as rules
from tests.suite import Suite

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "dmlbook"
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOURCES = sorted((ROOT / "notebooks" / "src").glob("*.py"))
FOLDERS = ("dmlbook", "tests", "notebooks", ".ci", ".github", "data")
WRITTEN = {".py", ".md", ".ipynb", ".toml", ".yml", ".txt", ".cfg", ".cff", ".json", ".js", ".css", ".html", ".sh", ""}


def written_files() -> list[Path]:
    """Every text file of the repository, without asking git, which may be absent."""
    files = [*ROOT.glob("*"), *(p for folder in FOLDERS for p in (ROOT / folder).rglob("*"))]
    others = {".git", "__pycache__", ".ipynb_checkpoints", ".hypothesis", ".pytest_cache", ".ruff_cache", "downloads"}
    found = (p for p in files if p.is_file() and p.suffix in WRITTEN)
    return sorted(p for p in found if others.isdisjoint(p.relative_to(ROOT).parts))


def test_every_text_file_that_git_knows_is_judged():
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0:  # a copy without git has none
        known = {ROOT / line for line in done.stdout.splitlines()}
        pictures = {path for path in known if path.suffix == ".png"}
        assert {path for path in known - pictures if path.is_file()} - set(written_files()) == set()


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def over(judge, base: Path, paths) -> list[str]:
    """The violations of one rule in all files."""
    paths = list(paths)
    assert paths, "nothing was judged"
    return [found for path in paths for found in judge(path, read(base / path))]


def python(code: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_modules_import_only_from_lower_floors():
    assert over(rules.import_violations, PACKAGE, MODULES) == []


@pytest.mark.parametrize(
    ("path", "line", "complaint"),
    [
        ("geometry.py", "from dmlbook import losses", "imports dmlbook.losses, which is not below it"),
        ("retrieval.py", "import dmlbook.sampling", "imports dmlbook.sampling, which is not below it"),
        ("losses/triplets.py", "from ..training import fit", "imports dmlbook.training.fit, which is not below it"),
        ("training/loop.py", "def f():\n    from dmlbook.book import show", "which is not below it"),
        ("book/live.py", "from dmlbook.chapters import ch03", "imports dmlbook.chapters.ch03, which is not below it"),
        (
            "chapters/ch04/theory.py",
            "from dmlbook.chapters.ch03 import theory",
            "imports dmlbook.chapters.ch03.theory, another",
        ),
        ("chapters/ch04/theory.py", "from ..ch03.theory import toy", "another chapter's; what two chapters share"),
        (
            "losses/centers.py",
            "from dmlbook.losses.base import _norm",
            "dmlbook.losses.base._norm, which is private there",
        ),
        ("__init__.py", "from dmlbook.settings import mode", "the package itself imports nothing"),
        ("nets.py", "from dmlbook import helpers", "imports dmlbook.helpers, which is not in the table"),
        ("helpers.py", "import os", "not in the table of floors"),
        ("records.py", "import pandas as pd", "imports pandas, which the base does not install"),
        ("losses/softtriple.py", "try:\n    import jaxtyping\nexcept ImportError:\n    pass", "imports jaxtyping"),
        ("maps.py", "import umap", "imports umap as it loads"),
    ],
)
def test_an_import_that_goes_up_or_sideways_is_seen(path, line, complaint):
    assert [complaint in found for found in rules.import_violations(Path(path), line)] == [True]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (
            "losses/softtriple.py",
            "from . import proxies\nfrom ..geometry import normalize\nfrom .triplets import masks",
        ),
        (
            "training/loop.py",
            "import torch\nfrom lightning.fabric import Fabric\nfrom dmlbook import losses, __version__",
        ),
        ("records.py", "def table():\n    import pandas"),
        ("chapters/ch04/explorer.py", "from dmlbook.book import Live\nfrom dmlbook.chapters.ch04 import theory"),
        ("chapters/ch04/theory.py", "from dmlbook._checks import bad_input\nfrom . import figures"),
        ("maps.py", "import matplotlib\ndef draw():\n    import umap"),
    ],
)
def test_an_import_that_goes_down_is_not_complained_about(path, line):
    assert rules.import_violations(Path(path), line) == []


def test_no_check_is_told_the_name_of_its_function_or_a_shape_that_is_annotated():
    assert over(rules.check_violations, PACKAGE, MODULES) == []


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ('bad_input("f", "x", "be good", x, "Mend it.")', "bad_input is told 'f'"),
        ('bad_input("losses.f", "x", "be good", x, "Mend it.")', "bad_input is told 'losses.f'"),
        ('bad_input("x", "be good", x, "Mend it.", function="f")', "bad_input is told 'f'"),
        ('_checks.check_number("C", low=0, x=x)', "check_number is told 'C'"),
        ('_check_margin("f", x)', "_check_margin is told 'f'"),
        ('check_shape(expected="B  C", x=x)', "the shape of x stands in its annotation"),
        ('check_shape(expected="B", y=y, x=x)', "the shape of y stands in its annotation"),
        ('bad_input("x", "be good", x, "Mend f.")', ""),
        ('check_number(low=0, x=x["f"])', ""),
        ('check_shape(expected="B D", x=x)', ""),
        ('check_shape(expected="B C", x=x.mT)', ""),
        ('named("f")', ""),
    ],
)
def test_a_repeated_name_or_shape_is_seen(body, seen):
    source = f"class C:\n    def f(self, x: Float[Tensor, 'B C'], *, y: Int[Tensor, ' B'] | None):\n        {body}\n"
    assert [seen in line for line in rules.check_violations(Path("a.py"), source)] == ([True] if seen else [])


def test_importing_the_package_is_instant_and_loads_no_torch():
    code = "import sys, time; t = time.perf_counter(); import dmlbook; t = time.perf_counter() - t; "
    code += "print(t, 'torch' in sys.modules)"
    seconds, torch = zip(*(python(code).split() for _ in range(5)), strict=True)
    assert min(map(float, seconds)) < 0.05
    assert set(torch) == {"False"}


def test_base_modules_import_without_jupyter_plots_and_test_tools():
    names = [".".join(("dmlbook", *path.with_suffix("").parts)) for path in MODULES if rules.part(path) in rules.BASE]
    names = [name.removesuffix(".__init__") for name in names]
    assert {"dmlbook.losses", "dmlbook.datasets", "dmlbook.settings"} <= set(names)
    code = """
import importlib, os, sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in os.environ["ABSENT"].split():
            raise ImportError(name + " is absent here")
sys.meta_path.insert(0, Absent())
for name in os.environ["NAMES"].split():
    importlib.import_module(name)
print(*sorted({name.split(".")[0] for name in sys.modules} & set(os.environ["ABSENT"].split())))
"""
    absent = "matplotlib IPython ipywidgets umap pandas seaborn jaxtyping beartype jupytext safetensors numba"
    assert python(code, ABSENT=absent, NAMES=" ".join(names)).strip() == ""
    with pytest.raises(AssertionError, match="tqdm is absent here"):  # the stand-in works
        python(code, ABSENT="tqdm", NAMES="tqdm")


def test_no_file_of_the_package_is_long():
    assert over(rules.length_violations, PACKAGE, MODULES) == []
    assert rules.length_violations(Path("a.py"), "x = 1\n" * 300) == []
    assert rules.length_violations(Path("a.py"), "x = 1\n" * 301) == ["a.py: 301 lines, at most 300"]


def test_nothing_is_unfinished_and_no_file_names_a_machine():
    assert over(rules.text_violations, ROOT, (path.relative_to(ROOT) for path in written_files())) == []


@pytest.mark.parametrize(
    ("planted", "clean"),
    [
        ("# TO" + "DO: later", "# todos are lists"),
        ("FIX" + "ME", "affixment"),
        ("see /ro" + "ot/x.py", "https://example.org/root/x.py"),
        ("/home" + "/ann/data", "~/data, /home"),
        ("C:" + "\\Users\\ann", "C:\\"),
        ("/tm" + "p/abc/d.py", "/tmp/ipykernel_12/3.py"),
    ],
)
def test_unfinished_words_and_paths_of_machines_are_seen(planted, clean):
    assert len(rules.text_violations(Path("a"), planted)) == 1
    assert rules.text_violations(Path("a"), clean) == []


def test_colors_have_names():
    drawn = [path for path in MODULES if path.parts[0] in ("book", "chapters") and path != Path("book/lines.py")]
    assert over(rules.color_violations, PACKAGE, drawn) == []
    assert over(rules.color_violations, ROOT, (path.relative_to(ROOT) for path in SOURCES)) == []


@pytest.mark.parametrize(
    ("planted", "clean"),
    [('color="#8f8f8f"', "color=SOFT"), ("color=f'C{label}'", "color=class_color(label)"), ('"C0"', '"C = 10", "#1"')],
)
def test_a_color_without_a_name_is_seen(planted, clean):
    assert len(rules.color_violations(Path("a.py"), planted)) == 1
    assert rules.color_violations(Path("a.py"), clean) == []


SUITE = Suite(
    {path.relative_to(ROOT): read(path) for path in sorted((ROOT / "tests").rglob("*.py"))},
    {"dmlbook", *(path.stem for path in (ROOT / "notebooks").glob("*.py"))} - {"conftest"},
)
TEST_MODULES = [module for module in SUITE.trees if module.rpartition(".")[2].startswith("test_")]
# Tests that judge something else than the package.
OTHERS = {
    "tests.test_environment": "pyproject.toml, the constraints, make and the runs of continuous integration",
    "tests.test_house_rules": "the repository's files, and the rules themselves",
    "tests.test_nbval_shims": "what nbval sees of a notebook under notebooks/conftest.py, which pytest itself loads",
    "tests.test_silence": "what would hide a failure in cells and in tests",
    "tests.test_typed_numbers": "the chapters' prose, and the list that says where its numbers come from",
    "tests.test_advice test_ten_causes_each_with_how_it_shows_a_command_and_what_to_do": "a page of advice",
    "tests.test_advice test_a_page_types_no_score": "the pages of advice",
    "tests.test_advice test_the_sections_of_chapters_that_a_page_names_are_there": "the pages of advice",
    "tests.test_side_by_side": "the script that runs three tools, and its counters",
    "tests.test_mutants": "the script that plants faults, on files of its own, and the list of faults",
    "tests.test_perturb": "the script that bends functions, on toys of its own",
    "tests.browser.test_lab_chapters test_a_chapter_runs_and_its_widgets_answer": "the notebooks, in JupyterLab",
    "tests.test_docstrings test_an_example_that_is_not_true_is_seen": "this test's own look-out",
    "tests.test_docstrings test_every_example_of_a_module_is_true": "the package's modules, imported by their paths",
    "tests.commands.test_uses test_a_page_is_served_on_this_machine_alone_until_ctrl_c": "demo, as a process",
    "tests.test_files test_nobody_waits_for_a_child_that_has_ended": "what the tests beside it wait with",
    "tests.fuzz.test_fuzz test_annotations_are_read_without_the_packages_own_reader": "the fuzzer's own reader",
    "tests.fuzz.test_fuzz test_a_sample_of_wrong_calls_is_refused_in_the_packages_own_words": "all of it, by a process",
    "tests.fuzz.test_fuzz test_the_table_adds_up_and_shares_are_of_all_calls": "the fuzzer's table",
    "tests.fuzz.test_fuzz test_the_right_thing_to_do_with_a_value_follows_from_the_annotation": "the fuzzer's oracle",
    "tests.test_ledger test_a_test_that_does_not_exist_is_seen": "this test's own look-up of tests",
    "tests.test_readme test_every_link_leads_to_a_file": "README",
    "tests.test_readme test_a_snippet_runs_by_itself": "README's snippets, which use the package",
    "tests.test_readme test_the_commands_are_run_in_the_environment_that_make_has_made": "README and the Makefile",
    "tests.test_readme test_the_targets_of_make_are_there": "README and the Makefile",
}


def suite(**files: str) -> Suite:
    """A suite of a few planted files of ``tests/``."""
    return Suite({Path(f"tests/{name}.py"): text for name, text in files.items()}, {"dmlbook", "ledger"})


def test_every_test_asserts_something():
    assert len(TEST_MODULES) > 30
    assert [found for module in TEST_MODULES for found in rules.assertion_violations(SUITE, module)] == []


LIBRARIES = """
import pytest
from numpy import testing as npt
from torch.testing import assert_close
from dmlbook import losses
from tests import helpers
"""
HELPERS = """
def alike(a, b): assert a == b
def twice(a): alike(a, a + a)
def runs(a): print(a)
def assert_nothing(a): runs(a)
"""
IDLE = [
    "x == 1",
    "losses.check('4.2', x)",
    "check = x == 1",
    "runs(x)",
    "helpers.runs(x)",
    "assert_nothing(x)",
    "assert_elsewhere(x)",
    "gradcheck(x, y)",
    "assert True",
    "assert 1 == 1",
    "assert x == x",
    "assert (x == 1, 'always true')",
    "assert_close(1, 1)",
    "assert_close(x, x)",
    "npt.assert_allclose",
    "'assert x == 1'",
    "pytest.approx(x)",
    "raises = x",
    "def inner():\n        assert x == 1",
    "subprocess.run(x, check=True)",
]
BUSY = [
    "assert x",
    "assert x == 1",
    "assert draw() == draw()",
    "assert gradcheck(f, x)",
    "with pytest.raises(ValueError): x()",
    "with pytest.warns(UserWarning, match='a'): x()",
    "x or pytest.fail('no x')",
    "assert_close(x, y)",
    "npt.assert_allclose(x, 1)",
    "same = assert_close\n    same(x, y)",
    "alike(x, 1)",
    "twice(x)",
    "helpers.twice(x)",
    "def inner():\n        assert x == 1\n    inner()",
    "for y in x: assert y > 1",
]


@pytest.mark.parametrize(("line", "idle"), [*((line, True) for line in IDLE), *((line, False) for line in BUSY)])
@pytest.mark.parametrize("near", [HELPERS, "from tests.helpers import alike, twice, runs, assert_nothing\n"])
def test_a_test_that_cannot_fail_is_seen(line, idle, near):
    text = f"{LIBRARIES}{near}def test_it(x, y):\n    {line}\n"
    found = rules.assertion_violations(suite(test_a=text, helpers=HELPERS), "tests.test_a")
    assert found == (["tests.test_a: test_it asserts nothing"] if idle else [])


def test_every_test_judges_something_of_the_package():
    found = [found for module in TEST_MODULES for found in rules.judgement_violations(SUITE, module, OTHERS)]
    assert found == []
    assert {key.split(" ")[0] for key in OTHERS} <= set(TEST_MODULES)


USED = """
import ledger, pytest, torch
from dmlbook import geometry
from dmlbook.seeding import SEED, generator
from tests import tools
"""
TOOLS = f"""{USED}
SIZES = (2, 3)
NAMES = sorted(dir(geometry))
def plain(x): return x + 1
def unit(x): return twice(x)
def twice(x): return geometry.normalize(2 * x)
@pytest.fixture
def points(): return geometry.simplex(3, 2)
@pytest.fixture
def numbers(): return [1, 2]
"""


@pytest.mark.parametrize(
    ("test", "judges"),
    [
        ("def test_it(): assert torch.ones(2).sum() == 2", False),
        ("def test_it(): assert len(SIZES) == 2", False),
        ("def test_it(): assert plain(1) == 2", False),
        ("def test_it(numbers): assert numbers[0] == 1", False),
        ("def test_it(): assert torch.rand(2, generator=generator(SEED, 'a')).sum() < 2", False),
        ("def test_it(): assert 'dmlbook' != 'the package'", False),
        ("def test_it(): assert tools.plain(1) == 2", False),
        ("def test_it(): assert geometry.normalize(x) is x", True),
        ("def test_it():\n    from dmlbook import nets\n    assert nets.NAMES", True),
        ("def test_it(): assert unit(x) == y", True),
        ("def test_it(): assert tools.unit(x) == y", True),
        ("def test_it(): assert len(NAMES) == 9", True),
        ("def test_it(points): assert points.sum() == 0", True),
        ("@pytest.mark.parametrize('name', NAMES)\ndef test_it(name): assert len(name) > 1", True),
        ("def test_it(): assert run('from dmlbook import nets') == 0", True),
        ("def test_it(): assert run('-m', 'tests.tools') == 0", True),
        ("def test_it(): assert ledger.rows() == []", True),
    ],
)
@pytest.mark.parametrize("near", [TOOLS, f"{USED}from tests.tools import SIZES, NAMES, plain, unit, points, numbers\n"])
def test_a_test_that_uses_nothing_of_the_package_is_seen(test, judges, near):
    found = rules.judgement_violations(suite(test_a=f"{near}{test}\n", tools=TOOLS), "tests.test_a", {})
    assert found == ([] if judges else ["tests.test_a: test_it uses nothing of the package"])


def test_an_excuse_holds_where_it_is_needed_and_nowhere_else():
    planted = suite(test_a="import dmlbook\ndef test_b(): assert x\ndef test_c(): assert dmlbook.__version__\n")
    assert rules.judgement_violations(planted, "tests.test_a", {"tests.test_a test_b": "why"}) == []
    assert rules.judgement_violations(planted, "tests.test_a", {"tests.test_a": "why"}) == []
    found = rules.judgement_violations(planted, "tests.test_a", {f"tests.test_a test_{x}": "why" for x in "bc"})
    assert found == ["tests.test_a: test_c is excused, and need not be"]


def test_every_public_name_occurs_in_a_test():
    names = rules.public_names({path.relative_to(ROOT): read(path) for path in sorted(PACKAGE.rglob("*.py"))})
    assert len(names) > 300
    assert rules.untested_names(names, SUITE) == []


MODULE = """
from dmlbook.other import help_out
LIMIT, UNUSED, Alias = 3, 4, tuple
_HIDDEN = 5
def add(a): return a
def _inner(a): return a
class Point:
    size = 3
    def __init__(self): self.x = 1
    @property
    def length(self): return self.x
    def _own(self): return 0
class _Quiet:
    def speak(self): return 1
class Slider: pass
EXPLORER = Slider
"""
OTHER = "from dmlbook.module import LIMIT, _HIDDEN\nprint(module.EXPLORER)\n"


def package(**files: str) -> dict[str, set[str]]:
    return rules.public_names({Path(f"dmlbook/{name.replace('__', '/')}.py"): text for name, text in files.items()})


def test_public_names_are_those_that_others_may_call():
    found = package(module=MODULE, other=OTHER, _private="def f(): pass", chapters__ch99__theory="def half(x): pass")
    assert found == {
        "dmlbook.module.LIMIT": {"LIMIT"},
        "dmlbook.module.add": {"add"},
        "dmlbook.module.Point": {"Point"},
        "dmlbook.module.Point.length": {"length"},
        "dmlbook.module.Slider": {"Slider", "explorers"},
        "dmlbook.module.EXPLORER": {"EXPLORER", "explorers"},
        "dmlbook.chapters.ch99.theory.half": {"half"},
    }


@pytest.mark.parametrize(
    ("test", "tested"),
    [
        ("assert module.add(1) == 1", True),
        ("assert add(1) == 1", True),
        ("assert map(module.add, [1])", True),
        ("from dmlbook.module import add", False),
        ("'add'", False),
        ("assert 1  # add", False),
        ("assert module.address == 1", False),
        ("class Mine(module.Sum):\n        def add(self): return 1", True),
    ],
)
def test_a_public_name_that_no_test_uses_is_seen(test, tested):
    names = package(module="def add(a): return a\n")
    found = rules.untested_names(names, suite(test_a=f"def test_it():\n    {test}\n"))
    assert found == ([] if tested else ["dmlbook.module.add"])


def test_a_command_counts_where_it_is_run_by_its_name():
    names = package(commands__train="def add_arguments(parser): pass\ndef run(options): pass\n")
    assert set(names) == {"dmlbook.commands.train.add_arguments", "dmlbook.commands.train.run"}
    assert rules.untested_names(names, suite(test_a="assert subprocess.run(['data'])\nadd_arguments()")) == list(names)
    assert rules.untested_names(names, suite(test_a="assert main(['train', '--help'])")) == []


def test_letters_inside_a_picture_are_not_words():
    word = "XX" + "X"
    assert rules.text_violations(Path("a.ipynb"), f'"image/png": "ab/{word}/cd", "text": "fine"') == []
    assert len(rules.text_violations(Path("a.ipynb"), f'"image/png": "ab/cd", "text": "{word}"')) == 1


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff_is_content(command):
    done = subprocess.run([sys.executable, "-m", "ruff", *command, "."], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_notebook_that_make_lab_opens_is_there():
    first = re.search(r"^FIRST := (\S+)$", read(ROOT / "Makefile"), re.MULTILINE)[1]
    assert (ROOT / first).is_file()


def test_every_notebook_is_what_its_paired_text_says():
    assert [path.stem for path in NOTEBOOKS] == [path.stem for path in SOURCES]
    for notebook, source in zip(NOTEBOOKS, SOURCES, strict=True):
        stored, text = nbformat.read(notebook, as_version=4), build.read_text(source)
        assert rules.contents(stored) == rules.contents(text), f"{notebook.name} is not {source.name}: run `make book`"
        assert stored.metadata.kernelspec == text.metadata.kernelspec, "a name of this machine was stored"
        assert set(stored.metadata) == set(text.metadata)
        assert stored.metadata.language_info.name == "python"


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_the_rules(notebook):
    book = nbformat.read(notebook, as_version=4)
    nbformat.validate(book)
    found = rules.cell_violations(notebook.name, book)
    assert found == []
    assert rules.output_violations(notebook.name, book) == []
    assert notebook.stat().st_size < rules.LARGEST_NOTEBOOK


PNG = {"output_type": "display_data", "data": {"image/png": "aaaa"}, "metadata": {}}
HTML = {"output_type": "display_data", "metadata": {}}


def cells(*outputs, source="x = 1", count=1):
    cell = {"cell_type": "code", "source": source, "execution_count": count, "outputs": list(outputs), "metadata": {}}
    return {"cells": [cell]}


def described(alt):
    return PNG | {"metadata": {"image/png": {"alt": alt}}}


@pytest.mark.parametrize(
    ("book", "complaint"),
    [
        (cells(source="x = 1\n" * 21), "code cell 1 has 21 lines, at most 20"),
        (cells(source="x = 1\n!ls"), "calls a shell"),
        (cells(source="files = !ls"), "calls a shell"),
        (cells(source="%%bash\nls"), "calls a shell"),
        (cells(source="%pip install x"), "calls a shell"),
        (cells(source="a = records.load('cars-softmax')"), "shows records that nobody compared: records.load"),
        (cells(source="print(records.table(rows, {}))"), "shows records that nobody compared: records.table"),
        (cells(count=None), "not executed from top to bottom"),
        (cells(count=2), "not executed from top to bottom"),
        (cells({"output_type": "error", "ename": "KeyError"}), "stores an error: KeyError"),
        (cells({"output_type": "stream", "name": "stderr", "text": "FutureWarning: gone"}), "stores a warning: Future"),
        (cells(PNG), "a figure without alt text: ''"),
        (cells(described("a plot")), "a figure without alt text: 'a plot'"),
        (cells(described("Two circles of points."), described("Two circles of points.")), "repeats the alt text"),
        (cells(HTML | {"data": {"text/html": "<p><img src='x'></p>"}}), "a figure without alt text: ''"),
    ],
)
def test_a_notebook_that_breaks_a_rule_is_seen(book, complaint):
    found = rules.cell_violations("n", book) + rules.output_violations("n", book)
    assert [complaint in line for line in found] == [True]


def test_a_notebook_with_described_figures_and_twenty_lines_is_not_complained_about():
    html = HTML | {"data": {"text/html": '<img alt="Three birds in a row." src="x">', "image/png": "aaaa"}}
    book = cells(described("Two circles of points."), html, source="records.compare(rows)\n" * 20)
    assert rules.cell_violations("n", book) + rules.output_violations("n", book) == []


def test_a_notebook_edited_behind_its_text_is_seen():
    edited = json.loads(json.dumps(cells(source="x = 2")))
    assert rules.contents(edited) != rules.contents(cells())
    edited["cells"][0] |= {"source": "x = 1", "metadata": {"alt": "Two circles of points."}}
    assert rules.contents(edited) == rules.contents(cells())
