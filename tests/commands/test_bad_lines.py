"""Command lines that will not do: one sentence each in the words of the command line, before any work, no traceback."""

import os

import pytest

from dmlbook import settings
from tests.commands.conftest import refusal

TRAIN = ["train", "--data", "digits", "--loss", "softmax", "--epochs", "1"]
FOLDER = ["train", "--loss", "softmax", "--data", "folder"]
EVALUATE = ["evaluate", "--data", "digits", "--net", "small"]
KINDS = ["kinds", "--data", "digits", "--merge", "2", "--net", "small"]
COMPARE = ["compare", "--data", "digits", "--validation", "0.4"]

REFUSED = {
    # of train
    "a loss with a slip of the pen": (
        ["train", "--data", "digits", "--loss", "sofftriple"],
        "did you mean softtriple?",
    ),
    "a set that is none": (["train", "--data", "bird", "--loss", "softmax"], "did you mean birds?"),
    "a network that is none": ([*TRAIN, "--net", "resnet-18"], "did you mean resnet18?"),
    "no loss": (["train", "--data", "digits"], "--loss"),
    "a device that is none": ([*TRAIN, "--device", "gpu"], "--device must "),
    "a device that is not there": ([*TRAIN, "--device", "cuda:7"], "--device must "),
    "no device": ([*TRAIN, "--devices", "0"], "--devices must be an integer >= 1; got 0"),
    "no seeds": ([*TRAIN, "--seeds", "0"], "--seeds must be an integer >= 1; got 0"),
    "fewer than no seeds": ([*TRAIN, "--seeds", "-2"], "--seeds must be an integer >= 1"),
    "half a seed": ([*TRAIN, "--seeds", "1.5"], "invalid integer value"),
    "the loss's classes": ([*TRAIN, "--loss-option", "num_classes=5"], "--loss-option num_classes must be one of"),
    "the loss's generator": ([*TRAIN, "--loss-option", "generator=3"], "--loss-option generator must be one of"),
    "the loss's size": ([*TRAIN, "--loss-option", "embedding_size=3"], "--loss-option embedding_size must be one of"),
    "an option without a value": ([*TRAIN, "--loss-option", "scale"], "'scale' is not of the form key=value"),
    "a word for a number": ([*TRAIN, "--loss-option", "scale=big"], "scale must be"),
    "a list for a number": ([*TRAIN, "--loss-option", "scale=[1,2]"], "scale must be"),
    "a scale that is no number": ([*TRAIN, "--loss-option", "scale=nan"], "scale must be"),
    "a scale below zero": ([*TRAIN, "--loss-option", "scale=-1"], "scale must be"),
    "the set's root as an option": ([*TRAIN, "--data-option", "root=/"], "--data-option must name no option"),
    "the set's split as an option": ([*TRAIN, "--data-option", "split=all"], "--data-option must name no option"),
    "an option that the set has not": ([*TRAIN, "--data-option", "partial=True"], "option must be one of"),
    "no epochs": ([*TRAIN, "--epochs", "0"], "--epochs must be an integer >= 1; got 0"),
    "a rate that is no number": ([*TRAIN, "--lr", "nan"], "--lr must be"),
    "a rate without end": ([*TRAIN, "--lr", "inf"], "--lr must be"),
    "no rate": ([*TRAIN, "--lr", "0"], "--lr must be"),
    "a batch of none": ([*TRAIN, "--batch-size", "0"], "--batch-size must be"),
    "a batch that cannot hold whole classes": (
        [*TRAIN, "--sampler", "class", "--batch-size", "10", "--samples-per-class", "3"],
        "--batch-size must hold whole classes",
    ),
    "milestones that fall": ([*TRAIN, "--milestones", "5", "2"], "--milestones must be"),
    "a crop larger than the picture": ([*TRAIN, "--crop-scale", "0.5", "2"], "--crop-scale must be"),
    "an embedding of no dimensions": (
        [*TRAIN, "--embedding-size", "0"],
        "--embedding-size must",
    ),
    "an embedding beyond memory": (
        [*TRAIN, "--embedding-size", "99999999999"],
        "--embedding-size must make a loss that fits",
    ),
    "an embedding beyond integers": ([*TRAIN, "--embedding-size", "9" * 30], "beyond the integers of 64 bits"),
    "centers beyond memory": (
        ["train", "--data", "digits", "--loss", "softtriple", "--loss-option", "centers_per_class=99999999999"],
        "centers_per_class must make a loss that fits into memory",
    ),
    "a network of no width": ([*TRAIN, "--width-mult", "0"], "--width-mult must be"),
    "a network beyond memory": ([*TRAIN, "--width-mult", "1e9"], "--width-mult must make a network that fits"),
    "weights that are not there": ([*TRAIN, "--net", "small", "--weights", "no.pt"], "--weights must be"),
    "weights that nobody has": ([*TRAIN, "--net", "small", "--weights", "imagenet"], "--weights must be"),
    "a share of none": ([*TRAIN, "--validation", "0"], "--validation must be"),
    "a share of all": ([*TRAIN, "--validation", "1"], "--validation must"),
    "a share that is no number": ([*TRAIN, "--validation", "nan"], "--validation must be"),
    "a watch without watched": ([*TRAIN, "--evaluate-every", "2"], "--evaluate-every must come with --validation"),
    "a record without a name": ([*TRAIN, "--record", ""], "--record must be a word"),
    "a record elsewhere": ([*TRAIN, "--record", "../../x"], "--record must stay below"),
    "a record at the root": ([*TRAIN, "--record", "/x"], "--record must stay below"),
    "a record with an endless name": ([*TRAIN, "--record", "x" * 300], "--record must have at most"),
    "a picture of no size": ([*TRAIN, "--size", "0"], "--size must be"),
    "a picture beyond memory": ([*TRAIN, "--size", "9999999"], "--size must be"),
    "no photographs named": (FOLDER, "--root must be the folder of class folders; got None. Pass --root FOLDER"),
    "photographs that are not there": ([*FOLDER, "--root", "nowhere"], "--root must be the folder of class folders"),
    "photographs that are a file": ([*FOLDER, "--root", "FILE"], "--root must be the folder of class folders"),
    "photographs in an empty folder": ([*FOLDER, "--root", "EMPTY"], "--root must"),
    "runs where a file is": ([*TRAIN, "--folder", "FILE"], "--folder must"),
    "runs below a file": ([*TRAIN, "--folder", "FILE/x"], "--folder must be a folder that can be written"),
    "an option that is none": ([*TRAIN, "--epoch-count", "3"], "unrecognized arguments"),
    # of evaluate
    "nothing to measure": (["evaluate", "--data", "digits"], "--run or --net must be given, one of them; got neither"),
    "two things to measure": ([*EVALUATE, "--run", "RUN"], "--run or --net must be given, one of them; got both"),
    "no images": (["evaluate", "--net", "small"], "--data must name the images"),
    "a run that is none": (["evaluate", "--run", "EMPTY"], "--run must hold run.json and a checkpoint"),
    "a run of a list": (["evaluate", "--run", "LIST"], "--run must hold a run.json that describes a run"),
    "a run of noise": (["evaluate", "--run", "NOISE"], "--run must hold a run.json that can be read"),
    "a run of a string": (["map", "--run", "STRING"], "--run must hold a run.json that"),
    "components of a run": (["evaluate", "--run", "RUN", "--pca", "4"], "--pca must not stand beside --run"),
    "a view of a run": (["evaluate", "--run", "RUN", "--image-size", "8"], "--image-size must not stand beside --run"),
    "weights of a run": (["evaluate", "--run", "RUN", "--weights", "w.pt"], "--weights must not stand beside --run"),
    "no components": ([*EVALUATE, "--pca", "0"], "--pca must be"),
    "more components than features": (
        [*EVALUATE, "--pca", "129"],
        "--pca must be an integer >= 1 and <= 128; got 129",
    ),
    "a split and a share": ([*EVALUATE, "--split", "test", "--validation", "0.4"], "--split must not stand beside"),
    "a view of no size": ([*EVALUATE, "--image-size", "0"], "--image-size must be"),
    # of map
    "a map of three images": (["map", "--run", "RUN", "--most", "3"], "--most must be"),
    "no layouts": (["map", "--run", "RUN", "--seeds", "0"], "--seeds must be"),
    "no neighbors": (["map", "--run", "RUN", "--neighbors", "0"], "--neighbors must be"),
    "a page where a folder is": (
        ["map", "--run", "RUN", "--out", "EMPTY"],
        "--out must name a file that can be written",
    ),
    # of kinds
    "no centers": ([*KINDS, "--centers", "0"], "--centers must be"),
    "one layout": ([*KINDS, "--layouts", "1"], "--layouts must be 0, 2 or more"),
    "classes of one kind too many": (
        [*KINDS[:4], "9", "--net", "small"],
        "--merge must be an integer >= 1 and <= 5",
    ),
    "all held out": ([*KINDS, "--held-out", "1.5"], "error: --held-out must be a finite number > 0 and <= 1; got 1.5"),
    "all for validation": ([*KINDS, "--validation", "1.5"], "error: --validation must be a finite number > 0 and <= 1"),
    "kinds of no seeds": ([*KINDS, "--seeds", "0"], "--seeds must be"),
    "kinds without dimensions": ([*KINDS, "--embedding-size", "0"], "--embedding-size must be"),
    # of choose and compare
    "a plan that is not there": (
        ["choose", "no.toml"],
        "plan must be a file that can be read; got no.toml: ",
    ),
    "a plan that is no TOML": (["choose", "FILE"], "plan must be TOML"),
    "a plan of noise": (["choose", "NOISE/run.json"], "plan must be TOML; got run.json: 'utf-8' codec"),
    "a plan in a folder": (["choose", "EMPTY"], "plan must be a file that can be read; got EMPTY: "),
    "one rival": ([*COMPARE, "--losses", "softmax"], "--losses must name two losses or more"),
    "a rival twice": ([*COMPARE, "--losses", "softmax", "softmax"], "--losses must hold no value twice"),
    "a comparison of no seeds": ([*COMPARE, "--seeds", "0"], "--seeds must be"),
    "rungs that fall": (
        [*COMPARE, "--rungs", "4", "2"],
        "--rungs must be epochs that increase; got [4, 2].",
    ),
    "one trial": ([*COMPARE, "--trials", "1"], "--trials must be an integer >= 2; got 1"),
    "a comparison without a name": ([*COMPARE, "--name", ""], "--name must be"),
    # of the others
    "a contest that is none": (["bench", "speed"], "CONTEST must be one of"),
    "a set to download that is none": (["data", "birdies"], "invalid choice"),
    "a command that is none": (["trian"], "invalid choice"),
    "nothing": ([], "COMMAND"),
}


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Files and folders to be named by their words, in a working folder of their own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DMLBOOK_MODE", "smoke")
    monkeypatch.setattr(settings, "results_root", lambda: tmp_path / "results")
    for word in ("EMPTY", "LIST", "NOISE", "STRING", "RUN"):
        (tmp_path / word).mkdir()
    (tmp_path / "FILE").write_text("a = = 1")
    (tmp_path / "LIST" / "run.json").write_text("[]")
    (tmp_path / "NOISE" / "run.json").write_bytes(b"\xff" + os.urandom(99))
    (tmp_path / "STRING" / "run.json").write_text('"a run"')
    (tmp_path / "RUN" / "run.json").write_text("{}")
    for word in ("LIST", "NOISE", "STRING"):
        (tmp_path / word / "checkpoint-00001-0000000.pt").write_bytes(b"")
    return tmp_path


def listing(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("what", REFUSED)
def test_a_bad_line_is_answered_with_one_sentence_and_nothing_is_done(what, places, capsys, monkeypatch):
    line, expected = REFUSED[what]
    before = listing(places)
    monkeypatch.setattr("dmlbook.training.stepping.Stepper.apply", lambda self: pytest.fail("a step was taken"))
    said = refusal(line, capsys)
    assert expected in said
    assert said.strip().splitlines()[-1].count("error: ") == 1
    assert listing(places) == before
