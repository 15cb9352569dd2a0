"""The drawn birds: the same for everyone, known to the last pose, kept whole or drawn again."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dmlbook.datasets.birds import images as birds
from dmlbook.datasets.birds.genera import GENERA, PALETTE, POSES
from dmlbook.datasets.birds.species import TRAITS, make_species

SMALL = {"size": 16, "num_species": 12, "images_per_species": 3}


@pytest.fixture
def small(tmp_path):
    def load(split="all", **changes):
        return birds.load(split, **({"root": tmp_path} | SMALL | changes))

    return load


def test_default_has_forty_species_and_five_poses_or_more(tmp_path):
    kinds = make_species(birds.NUM_SPECIES, birds.SEED)
    assert len(kinds) >= 40
    assert len(set().union(*(kind.poses for kind in kinds))) == len(POSES) >= 5


def test_training_species_never_occur_in_the_test_set(small):
    train, test, both = small("train"), small("test"), small("all")
    assert not set(train.class_names) & set(test.class_names)
    assert both.class_names == train.class_names + test.class_names
    torch.testing.assert_close(both.images, torch.cat([train.images, test.images]))


def test_the_middle_species_trains(small):
    assert [small(split, num_species=3).num_classes for split in ("train", "test")] == [2, 1]


def test_every_image_has_a_nuisance_of_its_own(small, monkeypatch):
    def noise(kind, pose, size, difficulty, rng):
        return np.frombuffer(rng.randbytes(size * size * 3), np.uint8).reshape(size, size, 3)

    monkeypatch.setattr(birds, "picture", noise)
    drawn = small()
    assert len(torch.unique(drawn.images.flatten(1), dim=0)) == len(drawn) == 36


def test_both_halves_hold_equally_many_species_of_every_genus():
    half = birds.NUM_SPECIES // 2
    of = [birds.genus_of(s) for s in range(birds.NUM_SPECIES)]
    assert all(of[:half].count(genus) == of[half:].count(genus) >= 3 for genus in set(of))


def test_image_is_the_same_however_many_others_are_asked_for(small):
    few, more = small(images_per_species=2, num_species=6), small(images_per_species=4, num_species=11)
    assert few.class_names == more.class_names[:6]
    kept = torch.arange(6 * 4).view(6, 4)[:, :2].flatten()
    torch.testing.assert_close(few.images, more.images[kept])
    assert few.kinds.tolist() == more.kinds[kept].tolist()


def test_another_process_draws_the_same_images(small, tmp_path):
    code = (
        "import hashlib, sys; from dmlbook.datasets import birds; "
        f"b = birds.load('test', root=sys.argv[1], **{SMALL!r}); "
        "print(hashlib.sha256(b.images.numpy().tobytes() + b.kinds.numpy().tobytes()).hexdigest(), b.class_names[0])"
    )
    environment = os.environ | {"PYTHONHASHSEED": "7"}
    answer = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "other")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    here = small("test")
    digest = hashlib.sha256(here.images.numpy().tobytes() + here.kinds.numpy().tobytes()).hexdigest()
    assert answer.stdout.strip() == f"{digest} {here.class_names[0]}"


def test_another_seed_makes_other_species_and_other_images(small):
    first, second = small(seed=1), small(seed=2)
    assert first.class_names != second.class_names
    assert (first.images != second.images).float().mean() > 0.5


def test_reading_drawing_and_splitting_leave_the_global_generators_alone(small):
    before = torch.get_rng_state()
    small()
    torch.testing.assert_close(torch.get_rng_state(), before)


@settings(derandomize=True, deadline=None, max_examples=15)
@given(number=st.integers(0, 300), seed=st.integers(0, 1000), count=st.integers(40, 120))
def test_poses_of_a_species_come_in_its_own_shares_at_every_length(number, seed, count):
    kind = make_species(301, seed % 3)[number]
    assert 1 <= len(kind.poses) <= 4
    assert sum(kind.shares) == pytest.approx(1)
    assert min(kind.shares) > 0.0999
    drawn = [kind.pose_of(i, seed) for i in range(count)]
    for pose, share in zip(kind.poses, kind.shares, strict=True):
        assert abs(drawn.count(pose) - share * count) <= 4


def test_true_kinds_are_the_poses_that_each_species_has(small, monkeypatch):
    monkeypatch.setattr(birds, "_draw_image", lambda *_, size, **__: np.zeros((3, size, size), np.uint8))
    both = small(images_per_species=30, num_species=40)
    kinds = make_species(40, birds.SEED)
    assert birds.true_kinds(both).tolist() == [len(kind.poses) for kind in kinds]
    assert both.kind_names == POSES
    assert set(birds.true_kinds(both).tolist()) == {1, 2, 3, 4}


def test_true_kinds_of_images_without_kinds_is_an_error(small):
    import dataclasses

    with pytest.raises(ValueError, match="true_kinds: image_set must know its kinds"):
        birds.true_kinds(dataclasses.replace(small(), kinds=None))


def test_species_of_one_genus_differ_in_three_details_and_share_many():
    kinds = make_species(80, birds.SEED)
    differences = [
        sum(a[t] != b[t] for t in TRAITS) for i, a in enumerate(kinds) for b in kinds[:i] if a.genus is b.genus
    ]
    assert min(differences) >= 3
    assert sum(differences) / len(differences) < 0.65 * len(TRAITS)


def test_a_thousand_species_have_a_thousand_names_and_a_thousand_plumages():
    kinds = make_species(1000, birds.SEED)
    assert len({kind.name for kind in kinds}) == 1000
    assert len({(kind.genus.name, kind.details) for kind in kinds}) == 1000


def test_accents_and_poses_of_every_genus_exist():
    assert all(set(genus.accents) <= set(PALETTE) and set(genus.habits) <= set(POSES) for genus in GENERA)


def test_kept_file_is_read_and_not_drawn_again(small, tmp_path, monkeypatch):
    first = small()
    monkeypatch.setattr(birds, "_draw_image", lambda *_, **__: pytest.fail("drawn again"))
    torch.testing.assert_close(small().images, first.images)
    assert [path.suffix for path in tmp_path.iterdir()] == [".birds"]


@pytest.mark.parametrize("harm", ["cut", "flip", "empty", "longer"])
def test_damaged_file_is_drawn_again(small, tmp_path, harm):
    first = small()
    (path,) = tmp_path.iterdir()
    whole = bytearray(path.read_bytes())
    if harm == "flip":
        whole[len(whole) // 2] ^= 1
    path.write_bytes({"cut": whole[:-100], "flip": whole, "empty": b"", "longer": whole + b"x"}[harm])
    torch.testing.assert_close(small().images, first.images)
    assert birds._read(path, tuple(first.images.shape)) is not None, "the damaged file stayed"


def test_every_argument_and_the_renderer_itself_change_the_kept_file(small, tmp_path, monkeypatch):
    small("train")
    for change in ({"size": 17}, {"images_per_species": 5}, {"num_species": 14}, {"difficulty": "hard"}, {"seed": 5}):
        before = len(list(tmp_path.iterdir()))
        small("train", **change)
        assert len(list(tmp_path.iterdir())) == before + 1, change
    before = birds._key(size=16)
    monkeypatch.setattr(birds, "_renderer", lambda: "another")
    assert birds._key(size=16) != before


@pytest.mark.parametrize("source", ["drawing", "genera", "images", "parts", "scenes", "shapes", "species", "wings"])
def test_a_change_in_any_source_of_the_renderer_changes_its_digest(tmp_path, monkeypatch, source):
    folder = shutil.copytree(Path(birds.__file__).parent, tmp_path / "birds")
    digests = [birds._renderer.__wrapped__()]
    monkeypatch.setattr(birds, "__file__", str(folder / "images.py"))
    digests.append(birds._renderer.__wrapped__())
    (folder / f"{source}.py").write_text("another")
    digests.append(birds._renderer.__wrapped__())
    assert digests[0] == digests[1] != digests[2]


def test_the_whole_set_is_eighty_species_of_fifty_images_in_two_halves(tmp_path, monkeypatch):
    monkeypatch.setattr(birds, "_draw_image", lambda *_, size, **__: np.zeros((3, size, size), np.uint8))
    sizes = {split: len(birds.load(split, size=16, root=tmp_path)) for split in birds.SPLITS}
    assert sizes == {"train": 2000, "test": 2000, "all": 4000}
    assert (birds.NUM_SPECIES, birds.IMAGES_PER_SPECIES) == (80, 50)


def test_interrupted_write_leaves_nothing_behind(small, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.warns(UserWarning, match=r"could not be kept in .* \(disk full\)"):
        drawn = small()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.undo()
    torch.testing.assert_close(small().images, drawn.images)


def test_folder_that_cannot_be_made_is_reported_and_the_birds_come_all_the_same(small, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="Pass root="):
        assert len(small(root=tmp_path / "file" / "birds")) == 36


def test_default_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("DMLBOOK_DATA", str(tmp_path))
    birds.load("test", size=16, num_species=2, images_per_species=1)
    assert len(list((tmp_path / "birds").iterdir())) == 1


def test_returned_images_can_be_changed_without_changing_what_is_kept(small):
    first = small()
    first.images.zero_()
    assert small().images.float().mean() > 50


@pytest.mark.parametrize("pose", POSES)
def test_every_genus_can_be_drawn_in_every_pose_and_fills_its_picture(pose):
    for species in range(len(GENERA)):
        drawn = birds.draw(species, pose, size=48).float()
        assert drawn.shape == (3, 48, 48)
        assert drawn.std() > 15, f"{GENERA[species].name} {pose} is nearly blank"


def test_drawing_twice_gives_the_same_picture_and_difficulty_fades_the_details():
    torch.testing.assert_close(birds.draw(3, "facing", size=64), birds.draw(3, "facing", size=64))
    kin = [3, 13, 23, 33]

    def apart(difficulty):
        drawn = [birds.draw(s, "soaring", size=64, difficulty=difficulty).float() for s in kin]
        return sum((a - b).abs().mean() for i, a in enumerate(drawn) for b in drawn[:i])

    assert apart("easy") > apart("normal") > apart("hard") > 0


def test_two_species_of_a_genus_look_more_alike_than_two_genera():
    drawn = torch.stack([birds.draw(s, "soaring", size=48).float() for s in range(30)])
    apart = (drawn[:, None] - drawn[None]).abs().flatten(2).mean(-1)
    genus = torch.arange(30) % 10
    same = (genus[:, None] == genus[None]) & ~torch.eye(30, dtype=torch.bool)
    assert 0 < apart[same].mean() < 0.6 * apart[genus[:, None] != genus[None]].mean()


def test_poses_are_local_clusters_of_pixels(small):
    """Images of one species lie closer to those in the same pose than to those in others, before any training."""
    both = small(size=32, num_species=10, images_per_species=24, difficulty="easy")
    flat = both.images.float().flatten(1)
    apart = torch.cdist(flat, flat)
    kin = (both.labels[:, None] == both.labels[None]) & ~torch.eye(len(both), dtype=torch.bool)
    same = both.kinds[:, None] == both.kinds[None]
    assert apart[kin & same].mean() < 0.85 * apart[kin & ~same].mean()


@pytest.mark.slow
def test_drawing_is_fast_enough(small):
    """5,000 images at 64 px within 20 s on two quiet cores are 4 ms each; five times that where the machine is busy."""
    start = time.process_time()
    loaded = small(size=64, num_species=20, images_per_species=10)
    assert (time.process_time() - start) / len(loaded) < 0.02


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "tests"}, r"split must be one of 'train', 'test', 'all'; got 'tests'\. Did you mean 'test'\?"),
        ({"difficulty": "hart"}, r"difficulty must be one of .*; got 'hart'\. Did you mean 'hard'\?"),
        ({"size": 8}, "size must be an integer >= 16 and <= 512; got 8"),
        ({"size": 64.0}, "size must be an integer"),
        ({"num_species": 1}, "num_species must be an integer >= 2; got 1"),
        ({"images_per_species": 0}, "images_per_species must be an integer >= 1; got 0"),
        ({"seed": "1"}, "seed must be an integer; got '1'"),
    ],
)
def test_bad_arguments_are_named(small, change, message):
    with pytest.raises(ValueError, match=f"birds.load: {message}"):
        small(**change)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("arguments", "message"),
    [((-1, "facing"), "species must be"), ((0, "face"), "pose must be one of .* Did you mean 'facing'")],
)
def test_bad_arguments_of_draw_are_named(arguments, message):
    with pytest.raises(ValueError, match=f"birds.draw: {message}"):
        birds.draw(*arguments)
