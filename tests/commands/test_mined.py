"""``train --miner``: made by name, kept in the run and the record, and refused before an image is read."""

import json
import re
import sys
from argparse import ArgumentParser, Namespace

import pytest
import torch

from dmlbook import records
from dmlbook.__main__ import main
from dmlbook.commands import mined

pytestmark = pytest.mark.usefixtures("here")


def train(photos, *more):
    small = ["--net", "small", "--size", "16", "--embedding-size", "8", "--epochs", "1", "--no-freeze-batch-norm"]
    batches = ["--batch-size", "4", "--samples-per-class", "2", "--no-baseline"]
    return main(["train", "--data", "folder", "--root", str(photos), *small, *batches, *more])


def test_the_options_of_miners_may_stand_in_a_group_of_a_parser():
    parser = ArgumentParser()
    mined.add_miner_arguments(parser.add_argument_group("what to train"))
    options = parser.parse_args(["--miner", "MultiSimilarityMiner", "--miner-option", "epsilon=0.2"])
    assert mined.said(options) == {"miner": "MultiSimilarityMiner", "miner_options": {"epsilon": 0.2}}


def test_a_miner_by_name_trains_and_stands_in_run_and_record(photos, tmp_path):
    mined = ["--loss", "triplet", "--miner", "MultiSimilarityMiner", "--miner-option", "epsilon=0.2"]
    assert train(photos, *mined, "--record", "mined") == 0
    about = json.loads(next(tmp_path.glob("runs/mined/seed-*/run.json")).read_text())
    for said in (about, records.load("mined").configuration):
        assert (said["miner"], said["miner_options"]) == ("MultiSimilarityMiner", {"epsilon": 0.2})
    assert "mined" in next(tmp_path.glob("runs/mined/seed-*/history.csv")).read_text().splitlines()[0]
    assert train(photos, "--loss", "triplet", "--record", "alone") == 0
    assert "miner" not in records.load("alone").configuration


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "--loss softtriple --miner BatchHardMiner",
            "--miner must come with a loss on pairs: triplet, semihard, lifted",
        ),
        ("--loss triplet --miner BatchHardMinor", "--miner must be one of .*Did you mean 'BatchHardMiner'"),
        ("--loss triplet --miner EmbeddingsAlreadyPackagedAsTriplets", "--miner must be one of 'AngularMiner'"),
        (
            "--loss triplet --miner PairMarginMiner --miner-option pos=1",
            "--miner-option pos must be one of 'pos_margin'",
        ),
        (
            "--loss triplet --miner BatchEasyHardMiner --miner-option pos_strategy=x",
            "--miner-option must suit .*It says: ",
        ),
        (
            "--loss triplet --miner MultiSimilarityMiner --miner-option epsilon=abc",
            "--miner-option must suit MultiSimilarityMiner; got {'epsilon': 'abc'}. It says: ",
        ),
        (
            "--loss triplet --miner TripletMarginMiner --miner-option type_of_triplets=semi-hard",
            "--miner-option type_of_triplets must be one of 'all', 'easy', 'hard', 'semihard'; got 'semi-hard'",
        ),
        ("--loss triplet --miner BaseTupleMiner", "--miner must be one of 'AngularMiner'"),
        ("--loss triplet --miner-option epsilon=1", "--miner-option must come with --miner; got it alone"),
    ],
)
def test_a_miner_that_cannot_be_is_refused_before_images_are_read(line, said, tmp_path, capsys):
    assert train(tmp_path / "nowhere", *line.split()) != 0
    message = " ".join(capsys.readouterr().err.split())
    assert re.search(said, message), message


def test_without_the_package_it_is_said_what_to_install(photos, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pytorch_metric_learning", None)
    assert train(photos, "--loss", "triplet", "--miner", "BatchHardMiner") != 0
    assert 'pip install -e ".[miners]"' in capsys.readouterr().err


def test_every_miner_of_theirs_is_made_and_its_trial_leaves_no_trace():
    miners = pytest.importorskip("pytorch_metric_learning.miners")
    names = {name for name, kind in vars(miners).items() if isinstance(kind, type)} - mined.NONE_HERE
    assert len(names) > 8
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    for name in names:
        miner = mined.made(Namespace(miner=name, miner_option=[]))
        assert type(miner).__name__ == name
        assert not getattr(miner, "num_triplets", 0)
    assert torch.equal(torch.rand(3), expected)
    assert mined.KINDS == ("all", "easy", "hard", "semihard")
