"""No cell and no test hides that a check failed."""

from collections import Counter
from pathlib import Path

import build
import pytest

from tests import silence

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "notebooks" / "src").glob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
# What would hide a failure and is meant, by chapter and by file: "what is found" -> why. A lesson that shows an error
# on purpose catches that kind of error alone, which needs no leave.
IN_CELLS: dict[str, dict[str, str]] = {}
IN_TESTS = {
    "tests/chapters/ch05/test_theory.py": {
        "assert 3 * (100 - 1) * (32 / 100 - 1) * 32 / 100 < 0": "arithmetic that the chapter quotes",
    },
    "tests/book/test_attempts.py": {
        "except Exception": "an answer of a learner, who catches everything",
        "except": "the same",
    },
    "tests/datasets/photos/damage.py": {"except BaseException": "whatever a damaged index does is counted"},
    "tests/fuzz/running.py": {
        "except Exception": "whatever a call with a wrong argument ends in is counted",
        "except BaseException (2 times)": "the same, and a report that is sent to another process",
        "warnings.simplefilter('ignore')": "warnings are not what is counted",
    },
    "tests/test_house_rules.py": {
        "pytest.raises(AssertionError, match='tqdm is absent here')": "the helper asserts, and is seen to",
    },
    "tests/test_nets.py": {"pytest.mark.filterwarnings('ignore')": "torch says that what is tested will go"},
    "tests/test_weight_files.py": {
        "pytest.mark.filterwarnings('ignore') (2 times)": "torch says that what is tested will go"
    },
    "tests/browser/conftest.py": {"pytest.skip": "no browser is there; CI installs one"},
    "tests/losses/test_references.py": {
        "pytest.skip": "one loss takes the first image of a class, so their order counts"
    },
    "tests/test_mutants.py": {"pytest.skip": "systems without fork"},
    "tests/training/test_checkpoints.py": {"pytest.skip": "systems without the signal"},
    "tests/test_nbval_shims.py": {
        "NBVAL_CHECK_OUTPUT": "a probe",
        "NBVAL_RAISES_EXCEPTION": "a probe",
        "NBVAL_IGNORE_OUTPUT": "a probe",
    },
    "tests/training/test_identity.py": {
        "pytest.raises(AssertionError, match='before the first step')": "the step itself asserts, and is seen to",
    },
    "tests/training/killed_training.py": {"except BaseException": "the process ends here, and says why"},
}


def complaints(where: str, found: list[str], meant: dict[str, str]) -> list[str]:
    """What hides a failure and is not meant, or more often than is meant, and what is excused and need not be."""
    counts = Counter(found)
    found = [words if times == 1 else f"{words} ({times} times)" for words, times in counts.items()]
    return [f"{where}: {words}" for words in found if words not in meant] + [
        f"{where}: {words} is excused, and is not there" for words in meant if words not in found
    ]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_no_cell_hides_a_failure(source):
    cells = [cell for cell in build.read_text(source).cells if cell.cell_type == "code"]
    found = [words for cell in cells for words in silence.silenced(cell.source, cell.metadata.get("tags", []))]
    assert complaints(source.stem, found, IN_CELLS.get(source.stem, {})) == []


def test_no_test_hides_a_failure():
    for path in TESTS:
        name, source = path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")
        if path not in (Path(__file__), ROOT / "tests" / "silence.py"):  # which write such code
            assert complaints(name, silence.silenced(source), IN_TESTS.get(name, {})) == []
    assert {ROOT / name for name in IN_TESTS} <= set(TESTS)


def test_an_excuse_is_for_what_is_there():
    assert complaints("05", ["except Exception"], {"except Exception": "why"}) == []
    assert complaints("05", ["except Exception"], {}) == ["05: except Exception"]
    assert complaints("05", [], {"except": "why"}) == ["05: except is excused, and is not there"]
    assert complaints("05", ["except"] * 2, {"except (2 times)": "why"}) == []
    assert complaints("05", ["except"] * 3, {"except (2 times)": "why"}) == [
        "05: except (3 times)",
        "05: except (2 times) is excused, and is not there",
    ]


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("try:\n    assert x\nexcept AssertionError as error:\n    print(error)", "except AssertionError"),
        ("try:\n    assert x\nexcept:\n    pass", "except"),
        ("try:\n    f()\nexcept Exception:\n    print('close enough')", "except Exception"),
        ("try:\n    f()\nexcept (ValueError, AssertionError):\n    x = 1", "except (ValueError, AssertionError)"),
        ("try:\n    f()\nexcept builtins.BaseException:\n    x = 1", "except builtins.BaseException"),
        ("with contextlib.suppress(AssertionError):\n    f()", "contextlib.suppress(AssertionError)"),
        ("with suppress(ValueError, Exception):\n    f()", "suppress(ValueError, Exception)"),
        ("with pytest.raises(AssertionError):\n    f()", "pytest.raises(AssertionError)"),
        ("assert True", "assert True"),
        ("assert x == 1 or True", "assert x == 1 or True"),
        ("assert (x == 1, 'always')", "assert (x == 1, 'always')"),
        ("assert x == x", "assert x == x"),
        ("assert 'x is 1'", "assert 'x is 1'"),
        ("if __debug__:\n    assert x", "if __debug__"),
        ("if False:\n    assert x", "if False"),
        ("while 0:\n    assert x", "if 0"),
        ("warnings.filterwarnings('ignore')", "warnings.filterwarnings('ignore')"),
        ("warnings.simplefilter('ignore', UserWarning)", "warnings.simplefilter('ignore', UserWarning)"),
        ("# NBVAL_SKIP\nassert x", "NBVAL_SKIP"),
        ("# NBVAL_RAISES_EXCEPTION\nassert x", "NBVAL_RAISES_EXCEPTION"),
        ("%%capture\nassert x", "%%capture"),
        ("%%script false\nassert x", "%%script false"),
        ("try:\n    f()\nexcept AssertionError:\n    if strict:\n        raise", "except AssertionError"),
        ("try:\n    f()\nexcept Exception:\n    def g():\n        raise", "except Exception"),
        ("try:\n    f()\nexcept Exception:\n    if x:\n        return\n    raise", "except Exception"),
        ("try:\n    f()\nexcept Exception:\n    raise SystemExit(0)", "except Exception"),
        ("errors = Exception\ntry:\n    f()\nexcept errors:\n    x = 1", "except errors"),
        ("a = (ValueError, AssertionError)\nb = a\ntry:\n    f()\nexcept b:\n    x = 1", "except b"),
        ("errors = Exception\nwith suppress(errors):\n    f()", "suppress(errors)"),
        ("@pytest.mark.xfail\ndef test_a():\n    assert x", "pytest.mark.xfail"),
        ("@pytest.mark.skip(reason='later')\ndef test_a():\n    assert x", "pytest.mark.skip"),
        ("@unittest.skip('later')\ndef test_a():\n    assert x", "unittest.skip"),
        ("@pytest.mark.skipif(True)\ndef test_a():\n    assert x", "pytest.mark.skipif(True)"),
        ("def test_a():\n    pytest.skip('later')", "pytest.skip"),
        ("from pytest import xfail", "from pytest import xfail"),
    ],
)
def test_what_would_hide_a_failure_is_seen(code, seen):
    assert silence.silenced(code) == [seen]


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    f(-1)\nexcept ValueError as error:\n    print(error)",
        "try:\n    f()\nexcept Exception:\n    clean()\n    raise",
        "try:\n    f()\nexcept Exception as error:\n    raise error",
        "try:\n    f()\nexcept Exception as error:\n    raise RuntimeError('f') from error",
        "errors = ValueError\ntry:\n    f()\nexcept errors:\n    x = 1",
        "pytest.importorskip('timm')",
        "@pytest.mark.skipif(sys.platform == 'win32', reason='forks')\ndef test_a():\n    assert x",
        "with contextlib.suppress(FileNotFoundError):\n    f()",
        "with pytest.raises(ValueError):\n    f()",
        "assert x == 1 or y == 1",
        "assert not x, 'why'",
        "if x:\n    assert y",
        "while True:\n    f()",
        "warnings.filterwarnings('error')",
        "%matplotlib inline\nassert x",
    ],
)
def test_what_lets_a_failure_through_is_not_complained_about(code):
    assert silence.silenced(code) == []


def test_whoever_skips_instead_of_failing_is_seen_twice():
    code = "try:\n    f()\nexcept AssertionError:\n    raise pytest.skip.Exception"
    assert sorted(silence.silenced(code)) == ["except AssertionError", "pytest.skip"]


@pytest.mark.parametrize("tag", ["raises-exception", "nbval-skip", "nbval-ignore-output", "skip-execution"])
def test_a_tag_that_lets_a_cell_fail_is_seen(tag):
    assert silence.silenced("assert x", [tag]) == [f"the tag {tag}"]
    assert silence.silenced("assert x", ["hide-input"]) == []


def test_a_fault_planted_in_a_chapter_is_seen(tmp_path):
    source = SOURCES[0].read_text(encoding="utf-8")
    planted = tmp_path / SOURCES[0].name
    planted.write_text(
        source + "\n# %%\ntry:\n    assert len([1]) > 2\nexcept AssertionError:\n    print('fine')\n", encoding="utf-8"
    )
    cells = [cell for cell in build.read_text(planted).cells if cell.cell_type == "code"]
    assert [words for cell in cells for words in silence.silenced(cell.source)] == ["except AssertionError"]
