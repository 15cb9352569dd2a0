"""``train --recipe``: the recipe first, what the line says wins one by one, and all of it is shown and kept."""

import json
import re
import shutil
import sys
from argparse import ArgumentParser, ArgumentTypeError
from dataclasses import fields
from pathlib import Path

import pytest
import torch

from dmlbook import losses, nets, recipes, records
from dmlbook.__main__ import main
from dmlbook.commands import common, help_pages, plans, settled, shown
from dmlbook.commands import train as train_command
from dmlbook.datasets import ImageSet
from dmlbook.seeding import SEED
from dmlbook.training import TrainConfig
from dmlbook.use import run_folders

SMALL = [
    "--net",
    "small",
    "--weights",
    "none",
    "--size",
    "16",
    "--image-size",
    "16",
    "--epochs",
    "2",
    "--batch-size",
    "5",
]


@pytest.fixture(autouse=True)
def _own_images(here, monkeypatch):
    monkeypatch.setenv("DMLBOOK_DATA", str(here / "images"))


def options(*words):
    parser = ArgumentParser(prog="python -m dmlbook train")
    train_command.add_arguments(parser)
    return settled.resolved(parser.parse_args(list(words)))


def test_a_recipe_names_everything_and_the_line_wins_one_by_one():
    for name in recipes.NAMES:
        found = options("--recipe", name)
        assert settled.config(found, SEED) == recipes.read(name).config()
        assert found.but_for == []
        assert settled.recipe_of(found) == {"recipe": {"name": name, "but_for": []}}
        network = settled.network(found)
        of_recipe = recipes.read(name).options
        assert [network[key] for key in ("name", "weights", "embedding_size")] == [
            of_recipe[key] for key in ("net", "weights", "embedding_size")
        ]
        settled.check_loss(found)
    changed = options("--lr", "0.5", "--recipe", "cub-softtriple-64", "--no-flip", "--milestones", "7")
    config = settled.config(changed, 3)
    assert config == TrainConfig(
        **{**vars(recipes.read("cub-softtriple-64").config()), "lr": 0.5, "flip": False, "milestones": (7,), "seed": 3}
    )
    assert changed.but_for == ["flip", "lr", "milestones"]


def test_what_is_typed_counts_wherever_it_stands_and_even_where_it_is_the_usual_default():
    for words in (("--embedding-size", "64", "--recipe", "cub-softtriple-512"),
                  ("--recipe", "cub-softtriple-512", "--embedding-size", "64")):  # fmt: skip
        found = options(*words)
        assert (found.embedding_size, found.but_for) == (64, ["embedding_size"])
    same = options("--recipe", "cub-softtriple-512", "--embedding-size", "512", "--data", "cub")
    assert same.but_for == []
    plain = options("--data", "birds", "--loss", "softmax")
    assert {name: getattr(plain, name) for name in settled.UNSAID} == settled.UNSAID
    assert (settled.UNSAID, plain.but_for) == ({"embedding_size": 64, "width_mult": 1.0, "same_padding": False}, [])
    assert settled.recipe_of(plain) == {}
    assert settled.resolved(plain) is plain


def test_options_of_a_loss_are_changed_one_by_one_and_go_with_their_loss():
    found = options("--recipe", "cub-softtriple-64", "--loss-option", "tau=0.5", "--loss-option", "gamma=0.1")
    assert dict(found.loss_option) == {**recipes.read("cub-softtriple-64").options["loss_option"], "tau": 0.5}
    assert found.but_for == ["loss_option.tau"]
    other = options("--recipe", "cub-softtriple-64", "--loss", "semihard", "--loss-option", "margin=0.3")
    assert other.loss_option == [("margin", 0.3)]
    assert other.but_for == ["loss", "loss_option.margin"]
    assert settled.config(other, SEED).sampler == "class"


@pytest.mark.parametrize(
    ("recipe", "words", "weights"),
    [
        ("cub-softtriple-64", ("--net", "timm/resnet50"), "imagenet"),
        ("cub-softtriple-64", ("--net", "mobilenet_v2"), "imagenet"),
        ("cub-modern-vit-64", ("--net", "resnet18"), "imagenet"),
        ("cub-softtriple-64", ("--net", "mobilenet_v2", "--width-mult", "0.35"), None),
        ("cub-softtriple-64", ("--net", "small"), None),
        ("cub-softtriple-64", ("--net", "mine.py:backbone"), None),
        ("cub-softtriple-64", ("--net", "resnet18", "--weights", "none"), "none"),
    ],
)
def test_another_network_of_a_recipe_comes_with_its_own_published_weights(recipe, words, weights):
    found = options("--recipe", recipe, *words)
    assert found.weights == weights
    assert ("weights" in found.but_for) == (weights != recipes.read(recipe).options["weights"])


@pytest.mark.parametrize(("words", "flag"), [(("--data", "birds"), "--loss"), (("--loss", "softmax"), "--data")])
def test_without_a_recipe_images_and_loss_are_asked_for(capsys, words, flag):
    assert main(["train", *words]) == 1
    assert f"error: {flag} must be named, or a --recipe that names it; got neither." in capsys.readouterr().err


def test_a_recipe_that_is_none_is_answered_with_the_nearest(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--recipe", "cub-softripple-64"])
    assert "did you mean cub-softtriple-64?" in capsys.readouterr().err


def test_recipes_are_listed_with_their_sources(capsys):
    assert main(["train", "--recipe", "list"]) == 0
    said = capsys.readouterr().out
    assert shown.all_recipes() in said
    words = " ".join(said.split())
    for name in recipes.NAMES:
        recipe = recipes.read(name)
        assert name in words
        assert recipe.summary in words
        assert f"source: {recipe.source}" in words
    assert "unknown: The paper's own backbone, dimensions, optimizer, rates and batches." in words


@pytest.mark.parametrize(("own", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_bf16_is_taken_where_the_device_has_it(monkeypatch, own, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: own)
    assert settled.config(options("--recipe", "cub-modern-64", "--device", "cuda"), SEED).precision == expected
    assert settled.config(options("--recipe", "cub-modern-64", "--device", "cpu"), SEED).precision == "32-true"
    told = options("--recipe", "cub-modern-64", "--device", "cuda", "--precision", "32-true")
    assert settled.config(told, SEED).precision == "32-true"


def test_a_run_shows_and_keeps_all_of_its_recipe(photos, capsys, tmp_path):
    line = ["train", "--recipe", "cub-modern-64", "--data", "folder", "--root", str(photos), *SMALL,
            "--no-freeze-batch-norm", "--ema-decay", "0.5", "--record", "trees", "--embedding-size", "8"]  # fmt: skip
    assert main(line) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert said.startswith("recipe cub-modern-64; * said otherwise on the command line images data folder*, root ")
    for words in ("size 16*, split classes", "net small*", "embedding_size 8*",
                  "loss softtriple, centers_per_class 10, scale 20",
                  "epochs 2*", "optimizer adamw", "ema_decay 0.5*", "schedule cosine", "warmup_epochs 1,"):  # fmt: skip
        assert words in said
    about = run_folders.read_about(Path("runs/trees") / f"seed-{SEED}")
    but_for = ["batch_size", "data", "ema_decay", "embedding_size", "epochs", "freeze_batch_norm", "image_size", "net"]
    assert about["recipe"] == {"name": "cub-modern-64", "but_for": [*but_for, "size", "weights"]}
    assert about["config"]["schedule"] == "cosine"
    record = records.load("trees", tmp_path / "results")
    assert record.configuration["recipe"] == about["recipe"]
    assert record.configuration["training"]["ema_decay"] == 0.5
    shown_again = run_folders.read_run(Path("runs/trees"))
    assert shown_again.config == TrainConfig.from_dict(about["config"])
    assert main(line) == 0
    assert "is in record trees already" in capsys.readouterr().out


def test_settings_that_mean_nothing_beside_the_others_are_not_shown():
    said = shown.configuration(options("--data", "birds", "--loss", "softmax"))
    assert "milestones 12" in said
    for word in ("crop_scale", "samples_per_class", "momentum", "ema_decay", "clip_norm", "further", "*"):
        assert word not in said
    assert "samples_per_class 4" in shown.configuration(options("--data", "birds", "--loss", "semihard"))


def test_help_begins_with_few_options_and_all_of_them_stand_on_a_second_page(capsys):
    parser = ArgumentParser(prog="train")
    for flag in ("--first", "--second", "--third"):
        parser.add_argument(flag, help=f"what {flag[2:]} means")
    help_pages.two_pages(parser, ("third", "first"), "[options]")
    short = parser.format_help()
    assert "usage: train [options]" in short
    assert short.index("--third") < short.index("--first") < short.index("--help-all")
    assert "--second" not in short
    with pytest.raises(SystemExit, match="0"):
        parser.parse_args(["--help-all"])
    assert "what second means" in capsys.readouterr().out


def test_every_setting_stands_in_one_group_of_the_help_page_and_of_what_is_shown():
    grouped = [name for names in shown.GROUPS.values() for name in names]
    named = [*train_command.ELSEWHERE, *grouped]
    assert len(named) == len(set(named))
    assert set(named) <= {field.name for field in fields(TrainConfig)}
    assert shown.NEEDS.keys() <= set(grouped)
    assert set(train_command.FIRST) <= vars(options("--data", "birds", "--loss", "softmax")).keys()


def test_a_plan_may_name_a_recipe():
    content = {
        "command": "train",
        "options": {"recipe": "cars-modern-64", "batch_size": 48},
        "vary": {"lr": [1e-4, 1e-3]},
        "trial": {"validation": 0.2},
        "methods": {"softtriple": {}, "softmax": {"loss": "softmax"}},
    }
    plan = plans.make_plan(content, "modern")
    found = plan.parsed("softtriple", plan.trial, {"lr": 1e-3})
    config = settled.config(found, SEED)
    assert (config.lr, config.batch_size, config.schedule, found.data) == (1e-3, 48, "cosine", "cars")
    assert plan.parsed("softmax", plan.final, {}).loss == "softmax"
    halved = {**content, "search": {"trials": 2, "rungs": [1, 2]}}
    with pytest.raises(ValueError, match="schedule must be step in a plan with .search.; got 'cosine'"):
        plans.make_plan(halved, "modern")


def test_a_cosine_made_longer_is_another_run(photos, capsys):
    line = ["train", "--data", "folder", "--root", str(photos), "--loss", "softmax", *SMALL, "--no-freeze-batch-norm",
            "--no-baseline"]  # fmt: skip
    assert main([*line, "--schedule", "cosine", "--folder", "a"]) == 0
    assert main([*line, "--schedule", "cosine", "--folder", "a", "--epochs", "3"]) == 1
    assert "config.epochs 2, not 3" in capsys.readouterr().err


# --- networks on the command line


@pytest.fixture
def own(tmp_path):
    lines = "import torch\n\n\ndef make():\n    return torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3), torch.nn.ReLU())\n"
    (tmp_path / "my_nets.py").write_text(lines)
    return tmp_path / "my_nets.py"


def test_a_network_of_ones_own_is_trained_measured_again_and_missed(photos, own, capsys, tmp_path, monkeypatch):
    line = ["train", "--data", "folder", "--root", str(photos), "--loss", "softmax", "--net", "my_nets.py:make",
            "--size", "16", "--embedding-size", "8", "--epochs", "1", "--no-freeze-batch-norm"]  # fmt: skip
    assert main([*line, "--record", "own"]) == 0
    assert capsys.readouterr().out.count("--run runs/own --trust-code") == 3  # what to type next
    network = records.load("own", tmp_path / "results").configuration["network"]
    assert network["name"] == "my_nets.py:make"
    assert str(tmp_path) not in json.dumps(network)
    capsys.readouterr()
    shutil.copytree("runs", tmp_path / "elsewhere" / "runs")
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = ["evaluate", "--run", "runs/own", "--trust-code"]
    assert main(again) == 0
    for command in (["evaluate"], ["map"], ["embed", "--root", "x", "--out", "v.npz"], ["export", "--out", "v.pt2"]):
        capsys.readouterr()
        assert main([*command, "--run", "runs/own"]) == 1
        told = capsys.readouterr().err
        assert told.startswith("error: --run must hold a run.json whose network is none of a file, or be trusted; got ")
        assert (
            "my_nets.py, which makes its network and would be run. Look at that file, then pass --trust-code." in told
        )
    own.write_text(own.read_text() + "\n")
    assert main(again) == 1
    assert "name must be a file that is as it was" in capsys.readouterr().err
    own.unlink()
    assert main(again) == 1
    assert "name must be a file of Python that is there" in capsys.readouterr().err


def test_a_network_of_timm_is_trained_and_its_size_known_before(photos, capsys, monkeypatch):
    pytest.importorskip("timm")
    line = ["train", "--data", "folder", "--root", str(photos), "--loss", "softmax", "--net", "timm/test_vit", "--size",
            "32", "--embedding-size", "8", "--epochs", "1", "--no-freeze-batch-norm", "--folder", "vit"]  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setattr("dmlbook.commands.baseline.measure", lambda *a, **k: pytest.fail("images were embedded"))
        assert main([*line, "--image-size", "20"]) == 1
    assert "error: --image-size must be a side that the network takes; got 20 (" in capsys.readouterr().err
    assert main([*line, "--image-size", "32", "--no-baseline"]) == 0
    again = run_folders.read_run(Path("vit"))
    assert again.net_settings["name"] == "timm/test_vit"
    assert again.net(torch.rand(1, 3, 32, 32)).shape == (1, 8)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet81", "did you mean resnet18?"),
        ("timm/resnet5O", "got 'timm/resnet5O'. Did you mean timm/resnet50"),
        ("vit", "is none of small, resnet18"),
    ],
)
def test_a_network_that_is_none_is_answered_at_once(capsys, name, message):
    with pytest.raises(SystemExit, match="2"):
        main(["train", "--data", "digits", "--loss", "softmax", "--net", name])
    assert message in capsys.readouterr().err
    assert common.network("small") == "small"


def test_files_of_weights_and_code_are_recorded_without_their_folders():
    given = {"name": "/a/b/my_nets.py:make", "code_digest": "0" * 16, "weights": "/c/w.pt", "embedding_size": 4}
    assert records.described(given) == {**given, "name": "my_nets.py:make", "weights": "w.pt"}
    for weights in (None, "imagenet", "timm"):
        plain = {"name": "timm/resnet50", "weights": weights}
        assert records.described(plain) == plain
    assert nets.PUBLISHED == ("imagenet", "timm")


def test_stored_results_are_still_results_of_the_same_configuration():
    root = Path(__file__).parents[2] / "data" / "results"
    found = 0
    for path in (path for part in (".", "field") for path in (root / part).glob("*.json")):
        training = json.loads(path.read_text(encoding="utf-8"))["configuration"].get("training", {})
        if "sampler" in training:
            again = TrainConfig.from_dict(training).to_dict()
            assert {**training, "seed": SEED} == again, path.name
            found += 1
    assert found > 20


def test_the_long_page_lists_what_can_be_typed_of_each_loss(capsys):
    with pytest.raises(SystemExit):
        main(["train", "--help-all"])
    said = capsys.readouterr().out
    assert said.endswith(f"{help_pages.of_losses()}\n")
    listed = said.split("with their defaults\n")[1]
    for loss in losses.NAMES:
        words = re.search(rf"^  {loss}: (.*)$", listed, re.MULTILINE)[1].split(", ")
        given = losses.make(loss, num_classes=3, embedding_size=4, **dict(map(common.pair, words)))
        assert type(given) is type(losses.make(loss, num_classes=3, embedding_size=4)), loss


def test_an_empty_list_is_an_answer_and_an_option_never_given_is_none():
    found = options("--recipe", "cub-softtriple-64", "--milestones")
    assert (settled.config(found, SEED).milestones, found.but_for) == ((), ["milestones"])
    assert {name: getattr(found, name) for name in settled.REPEATED} == {
        "data_option": [], "miner_option": [], "loss_option": found.loss_option,
    }  # fmt: skip
    assert dict(found.loss_option) == recipes.read("cub-softtriple-64").options["loss_option"]


@pytest.mark.parametrize("name", [f"cub-{family}-64" for family in recipes.FAMILIES if family != "modern-vit"])
def test_a_recipe_makes_in_python_the_loss_that_the_command_makes(name):
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    images = ImageSet(torch.zeros(6, 3, 32, 32, dtype=torch.uint8), labels, tuple("abc"))
    found = options("--recipe", name, "--net", "small", "--weights", "none")
    _, expected = settled.build(found, settled.network(found), images, SEED)
    loss = recipes.read(name).loss(3, labels=labels)
    assert repr(loss) == repr(expected)
    assert loss.state_dict().keys() == expected.state_dict().keys()
    for key, value in loss.state_dict().items():
        torch.testing.assert_close(value, expected.state_dict()[key], rtol=0, atol=0)


def test_weights_go_with_their_network():
    of_recipe = recipes.read("cub-softtriple-64").options
    assert of_recipe["weights"] == "imagenet"
    other = options("--recipe", "cub-softtriple-64", "--net", "small")
    assert settled.network(other)["weights"] is None
    assert other.but_for == ["net", "weights"]
    same = options("--recipe", "cub-softtriple-64", "--net", of_recipe["net"])
    assert (settled.network(same)["weights"], same.but_for) == ("imagenet", [])
    given = options("--recipe", "cub-softtriple-64", "--net", "resnet18", "--weights", "imagenet")
    assert (settled.network(given)["weights"], given.but_for) == ("imagenet", ["net"])


@pytest.mark.bad_input
def test_a_network_of_timm_without_timm_is_answered_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ArgumentTypeError, match="while timm is missing; got 'timm/resnet50'. Install it"):
        common.network("timm/resnet50")
