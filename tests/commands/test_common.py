"""Options that commands share: what was given, what is shown, which record is continued."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace

import pytest
import torch

from dmlbook import datasets, losses, nets, settings
from dmlbook.commands import baseline, common, settled


def parsed(add, *given, **options):
    parser = ArgumentParser()
    add(parser.add_argument_group("of its own") if add is common.add_config_arguments else parser, **options)
    return parser.parse_args(given)


def test_images_are_chosen_by_name_with_options_of_their_own():
    found = parsed(common.add_data_arguments, "--data", "birds", "--size", "32", "--data-option", "difficulty=hard")
    assert (found.data, found.size, found.root, found.data_option) == ("birds", 32, None, [("difficulty", "hard")])
    for name in datasets.NAMES:
        assert parsed(common.add_data_arguments, "--data", name).data == name
    with pytest.raises(SystemExit):
        parsed(common.add_data_arguments, "--data", "fish")
    with pytest.raises(SystemExit):
        parsed(common.add_data_arguments)


def test_a_network_is_chosen_by_name_and_asked_for_where_it_is_needed():
    plain = parsed(common.add_net_arguments)
    assert (plain.net, plain.weights, plain.same_padding, plain.bn_eps) == (None, None, False, None)
    told = parsed(common.add_net_arguments, "--net", nets.NAMES[0], "--same-padding", "--bn-eps", "0.001")
    assert (told.net, told.same_padding, told.bn_eps) == (nets.NAMES[0], True, 0.001)
    with pytest.raises(SystemExit):
        parsed(common.add_net_arguments, required=True)


def test_only_the_settings_that_were_given_are_passed_on():
    names = ["epochs", "milestones", "lr", "flip", "crop_scale", "loss_lr"]
    assert common.given_config(parsed(common.add_config_arguments, names=names)) == {}
    words = "--epochs 3 --milestones 4 5 --lr 0.5 --no-freeze-batch-norm --loss-lr 2"
    found = parsed(common.add_config_arguments, *words.split(), names=[*names, "freeze_batch_norm"])
    assert common.given_config(found) == {
        "epochs": 3,
        "milestones": (4, 5),
        "lr": 0.5,
        "freeze_batch_norm": False,
        "loss_lr": 2.0,
    }


def test_a_setting_shows_the_default_that_holds_for_the_command(capsys):
    with pytest.raises(SystemExit):
        parsed(common.add_config_arguments, "--help", names=["epochs", "lr"], defaults={"epochs": 77})
    said = " ".join(capsys.readouterr().out.split())
    assert "(default: 77)" in said
    assert "(default: 0.0001)" in said


def test_a_record_is_continued_where_its_configuration_is_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "results_root", lambda: tmp_path)
    first = common.continued("mine", "a title", {"sizes": (1, 2)})
    first.add(1, {"map_at_r": 0.5}, seconds=1.0)
    first.save()
    again = common.continued("mine", "a title", {"sizes": (1, 2)})
    assert [run["seed"] for run in again.runs] == [1]
    with pytest.raises(
        ValueError, match="--record must be free or name a record of this configuration; got 'mine' with"
    ):
        common.continued("mine", "a title", {"sizes": (1, 3)})
    assert common.continued("mine", "a title", {"sizes": (1, 3)}, replace=True).runs == []
    assert common.continued("other", "a title", {}).runs == []
    assert common.continued(None, "a title", {"sizes": (1, 2)}).name == "unnamed"


def test_figures_are_read_in_percent_beside_their_floor():
    figures = {"recall_at_1": 0.7345, "recall_at_8": 0.9, "map_at_r": 0.25}
    assert common.percents(figures) == "R@1 73.5   R@8 90.0   MAP@R 25.0"
    more = figures | {"nmi": 0.6, "chance_nmi": 0.19, "ami": 0.5}
    assert common.percents(more) == "R@1 73.5   R@8 90.0   MAP@R 25.0   NMI 60.0 (floor 19.0)   AMI 50.0"


def test_integers_are_of_64_bits_and_written_as_python_writes_them():
    assert [common.integer(text) for text in ("12", "-3", "1_000", "0x10")] == [12, -3, 1000, 16]
    assert common.integer(str(2**63 - 1)) == 2**63 - 1
    with pytest.raises(ArgumentTypeError, match="beyond the integers of 64 bits"):
        common.integer(str(2**63))
    with pytest.raises(ValueError, match="invalid literal"):
        common.integer("1.5")


def test_a_word_that_is_none_is_answered_with_the_nearest():
    assert common.word("gull", "tern")("tern") == "tern"
    with pytest.raises(ArgumentTypeError, match="'gul' is none of gull, tern; did you mean gull?"):
        common.word("gull", "tern")("gul")
    with pytest.raises(ArgumentTypeError, match="none of gull, tern$"):
        common.word("gull", "tern")("xyz")


@pytest.mark.parametrize("name", common.OWN)
def test_what_has_an_option_of_its_own_is_no_data_option(name):
    with pytest.raises(ValueError, match=f"--data-option must name no option of the command itself; got {name}"):
        common.load_images(Namespace(data="digits", root=None, size=None, data_option=[(name, 1)]), "train")


def test_recall_is_measured_as_far_as_there_are_others():
    labels = torch.tensor([0, 0, 1, 1])
    found = common.scores(torch.eye(4), labels)
    measured = [k for k in common.KS if f"recall_at_{k}" in found]
    assert measured == [1, 2]
    assert "euclidean_recall_at_1" not in found
    assert common.scores(torch.eye(4), labels, unit=False)["euclidean_recall_at_1"] == found["recall_at_1"]


def test_places_are_checked_before_the_work(tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "results_root", lambda: tmp_path)
    common.check_record(None)
    common.check_record("mine")
    common.check_file(tmp_path / "page.html", "--out")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="--name must stay below"):
        common.check_record("../mine", flag="--name")
    with pytest.raises(ValueError, match="--out must name a file that can be written"):
        common.check_file(tmp_path, "--out")


def test_the_shell_is_told_which_signal_stopped_a_run():
    assert [common.Stopped(signal).status for signal in (2, 15, 1, None)] == [130, 143, 129, 130]


def test_what_seed_and_images_decide_is_no_option_of_a_loss():
    for name in losses.NAMES:
        settled.check_loss(Namespace(loss=name, loss_option=[], embedding_size=4))
        for given in settled.GIVEN:
            with pytest.raises(ValueError, match=f"--loss-option {given} must be one of"):
                settled.check_loss(Namespace(loss=name, loss_option=[(given, 1)], embedding_size=4))


def test_what_is_shown_before_and_after_training_is_the_same():
    before = {"frozen features, 2 dimensions": {"recall_at_1": 0.5, "map_at_r": 0.25}}
    assert baseline.shown(before, "test classes").splitlines() == [
        "before training, on test classes:",
        "  frozen features, 2 dimensions   R@1 50.0   MAP@R 25.0",
    ]
    said = baseline.gain(before, next(iter(before.values())))
    assert [f"{name} +0.0" in said for name in baseline.SHOWN.values()] == [True, True]


def test_a_record_is_replaced_only_where_that_is_asked_for():
    assert vars(parsed(common.add_record_arguments)) == {"record": None, "replace": False}
    told = parsed(common.add_record_arguments, "--record", "mine", "--replace")
    assert (told.record, told.replace) == ("mine", True)


@pytest.mark.parametrize(("loss", "chosen", "unit"), [("softmax", [], True), ("npairs", [], False)])
def test_the_network_of_a_loss_has_lengths_where_the_loss_needs_them(loss, chosen, unit):
    rest = dict.fromkeys(("net", "weights", "width_mult", "preprocessing", "same_padding", "bn_eps"))
    options = Namespace(data="digits", loss=loss, loss_option=chosen, embedding_size=8, **rest)
    found = settled.network(options)
    assert (found["name"], found["embedding_size"]) == ("small", 8)
    assert found.get("normalize", True) is unit
