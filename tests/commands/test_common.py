"""Options that commands share: what was given, what is shown, which record is continued."""

from argparse import ArgumentParser

import pytest

from dmlbook import datasets, nets, settings
from dmlbook.commands import common


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


def test_a_record_is_continued_where_its_configuration_is_the_same(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(settings, "results_root", lambda: tmp_path)
    first = common.continued("mine", "a title", {"sizes": (1, 2)})
    first.add(1, {"map_at_r": 0.5}, seconds=1.0)
    first.save()
    again = common.continued("mine", "a title", {"sizes": (1, 2)})
    assert [run["seed"] for run in again.runs] == [1]
    assert capsys.readouterr().err == ""
    assert common.continued("mine", "a title", {"sizes": (1, 3)}).runs == []
    assert capsys.readouterr().err == "record mine had another configuration and is written anew\n"
    assert common.continued("other", "a title", {}).runs == []
    assert common.continued(None, "a title", {"sizes": (1, 2)}).name == "unnamed"


def test_figures_are_read_in_percent_beside_their_floor():
    figures = {"recall_at_1": 0.7345, "recall_at_8": 0.9, "map_at_r": 0.25}
    assert common.percents(figures) == "R@1 73.5   R@8 90.0   MAP@R 25.0"
    more = figures | {"nmi": 0.6, "chance_nmi": 0.19, "ami": 0.5}
    assert common.percents(more) == "R@1 73.5   R@8 90.0   MAP@R 25.0   NMI 60.0 (floor 19.0)   AMI 50.0"
