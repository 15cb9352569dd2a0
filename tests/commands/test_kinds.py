"""Classes with hidden kinds: made, split and measured so that the truth is known and never trained on."""

from __future__ import annotations

import html
import signal
from collections import Counter

import numpy as np
import pytest
import torch

from dmlbook import losses, maps, records, settings
from dmlbook.__main__ import main
from dmlbook.commands import common, kind_figures
from dmlbook.commands import kinds as command
from dmlbook.commands.kind_splits import Halves
from dmlbook.commands.map import TEXT, unexplained
from dmlbook.datasets import ImageSet, kinds_as_classes, merge_classes, split_images
from dmlbook.datasets.kinds import check_kinds
from dmlbook.retrieval import kind_cosine, kind_recovery
from dmlbook.seeding import SEED, generator
from tests.commands.test_map import data_of
from tests.datasets.image_trees import picture
from tests.datasets.test_splits import image_set
from tests.maps.test_view import unpacked


def old_class(images: ImageSet) -> torch.Tensor:
    """Which old class each image of ``test_splits.image_set`` was of: it is filled with 10 times its number."""
    return images.images[:, 0, 0, 0].long() // 10


# --- merging and splitting


def test_merged_classes_are_made_of_whole_old_ones_which_become_the_kinds():
    merged = merge_classes(image_set(10, 3), 2, generator=generator(1, "merge"))
    assert (merged.num_classes, len(merged.kind_names), len(merged)) == (5, 10, 30)
    for new, name in enumerate(merged.class_names):
        inside = merged.labels == new
        assert name == " + ".join(str(c) for c in torch.unique(old_class(merged)[inside]).tolist())
        assert len(torch.unique(old_class(merged)[inside])) == 2
    named = torch.tensor([int(merged.kind_names[kind]) for kind in merged.kinds.tolist()])
    torch.testing.assert_close(named, old_class(merged))


def test_old_classes_left_over_are_left_out_whole():
    merged = merge_classes(image_set(10, 3), 4, generator=generator(1, "merge"))
    assert (merged.num_classes, len(merged.kind_names), len(merged)) == (2, 8, 24)
    named = torch.tensor([int(merged.kind_names[kind]) for kind in merged.kinds.tolist()])
    torch.testing.assert_close(named, old_class(merged))
    parts = [merged.class_names[label].split(" + ") for label in merged.labels.tolist()]
    assert all(str(c) in part for c, part in zip(named.tolist(), parts, strict=True))


def test_without_a_generator_neighbors_are_merged():
    merged = merge_classes(image_set(6, 2), 3, generator=None)
    assert merged.class_names == ("0 + 1 + 2", "3 + 4 + 5")
    torch.testing.assert_close(merged.labels, torch.arange(2).repeat_interleave(6))


def test_what_is_merged_follows_from_the_seed_alone():
    def names(seed: int) -> tuple[str, ...]:
        return merge_classes(image_set(), 5, generator=generator(seed, "merge")).class_names

    assert names(1) == names(1)
    assert len({names(seed) for seed in range(10)}) > 5


@pytest.mark.parametrize(
    ("per_class", "rule"), [(0, " >= 1 and <= 5; got 0"), (6, " >= 1 and <= 5; got 6"), (2.0, "; got 2.0")]
)
@pytest.mark.bad_input
def test_a_merger_into_fewer_than_two_classes_is_refused(per_class, rule):
    with pytest.raises(ValueError, match=f"merge_classes: per_class must be an integer{rule}"):
        merge_classes(image_set(10), per_class, generator=None)


def test_kinds_can_be_taken_as_classes_and_merged_anew():
    birds = image_set(2, 6, kinds=torch.tensor([4, 4, 4, 1, 1, 1, 3, 3, 3, 0, 0, 0]), kind_names=tuple("abcde"))
    fine = kinds_as_classes(birds)
    assert (fine.class_names, fine.kinds) == (("a", "b", "d", "e"), None)
    assert [fine.class_names[label] for label in fine.labels.tolist()] == list("eeebbbdddaaa")
    assert merge_classes(fine, 2, generator=None).class_names == ("a + b", "d + e")
    with pytest.raises(ValueError, match="kinds_as_classes: image_set must know its kinds; got 'numbers'"):
        kinds_as_classes(image_set())
    with pytest.raises(ValueError, match="^check_kinds: image_set must know its kinds; got 'numbers'"):
        check_kinds(image_set())
    assert check_kinds(birds) is None


@pytest.mark.parametrize(("share", "expected"), [(0.5, 4), (0.1, 1), (0.99, 7), (0.25, 2)])
def test_a_share_of_every_kind_is_held_out(share, expected):
    merged = merge_classes(image_set(6, 8), 3, generator=generator(2, "merge"))
    stay, held_out = split_images(merged, share, generator=generator(3, "split"))
    for part, count in ((stay, 8 - expected), (held_out, expected)):
        assert set(Counter(part.kinds.tolist()).items()) == {(kind, count) for kind in range(6)}
        assert part.class_names == merged.class_names  # numbered as before
        named = torch.tensor([int(part.kind_names[kind]) for kind in part.kinds.tolist()])
        torch.testing.assert_close(named, old_class(part))
    together = torch.cat([stay.images, held_out.images])[:, 0, 0, 0]
    torch.testing.assert_close(together.sort().values, merged.images[:, 0, 0, 0].sort().values)  # each image once
    assert (stay.split, held_out.split) == ("train", "held out")


def test_without_kinds_a_share_of_every_class_is_held_out_and_the_seed_decides():
    def held_out(seed: int) -> list[int]:
        return split_images(image_set(4, 6), 0.5, generator=generator(seed))[1].images[:, 0, 0, 0].tolist()

    assert Counter(value // 10 for value in held_out(1)) == dict.fromkeys(range(4), 3)
    assert held_out(1) == held_out(1)
    assert held_out(1) != held_out(2)


def test_a_kind_with_one_image_cannot_be_split():
    with pytest.raises(ValueError, match="split_images: image_set must hold two images of each kind; got one of '0'"):
        split_images(image_set(3, 1), 0.5, generator=generator(1))
    with pytest.raises(ValueError, match="share must be a finite number > 0"):
        split_images(image_set(3, 4), 0.0, generator=generator(1))


# --- what became of the kinds

LABELS = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2, 2])
KINDS = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 4, 4])  # class 2 has one kind: nothing to recover


def test_recovery_is_one_for_the_truth_however_it_is_numbered():
    assert kind_recovery(KINDS, LABELS, KINDS) == 1.0
    assert kind_recovery(9 - KINDS, LABELS, KINDS + 3) == 1.0


def test_recovery_is_the_mean_adjusted_rand_index_of_classes_with_several_kinds():
    # class 0 found exactly: 1; class 1 crossed: no pair agrees where 2/3 were expected to, so (0 - 2/3) / (2 - 2/3)
    assigned = torch.tensor([7, 7, 8, 8, 0, 1, 0, 1, 0, 1])
    assert kind_recovery(assigned, LABELS, KINDS) == pytest.approx((1 - 0.5) / 2)


def test_one_center_a_class_recovers_nothing():
    assert kind_recovery(LABELS, LABELS, KINDS) == 0.0


def test_centers_dealt_at_random_recover_nothing_on_average():
    labels, kinds = torch.zeros(60, dtype=torch.long), torch.arange(60) % 3
    numbers = generator(1, "deal")
    found = [kind_recovery(kinds[torch.randperm(60, generator=numbers)], labels, kinds) for _ in range(200)]
    assert abs(sum(found) / len(found)) < 0.01


def test_kind_cosine_by_hand():
    # class 0: (3, 0) and (0, 1), whose mean direction is at 45 degrees, against (0, 3); class 1: three directions
    points = torch.tensor([[3.0, 0], [0, 1], [0, 3], [5, 5], [2, -2], [1, 0]])
    labels, kinds = torch.tensor([0, 0, 0, 1, 1, 1]), torch.tensor([0, 0, 1, 2, 3, 4])
    assert kind_cosine(points, labels, kinds) == pytest.approx((0.5**0.5 + (0 + 2 * 0.5**0.5) / 3) / 2)
    assert kind_cosine(points[[0, 0]], labels[:2], kinds[1:3]) == pytest.approx(1.0)


@pytest.mark.parametrize("measure", [kind_recovery, lambda a, y, m: kind_cosine(torch.eye(len(a)), y, m)])
def test_without_hidden_kinds_there_is_nothing_to_measure(measure):
    with pytest.raises(ValueError, match="kinds must be two or more in some class; got one in each"):
        measure(LABELS, LABELS, LABELS)


def test_kinds_whose_embeddings_cancel_out_have_no_direction():
    points = torch.tensor([[1.0, 0], [-1, 0], [0, 1]])
    with pytest.raises(ValueError, match="embeddings must give each kind a mean direction"):
        kind_cosine(points, torch.zeros(3, dtype=torch.long), torch.tensor([0, 0, 1]))


# --- the command


@pytest.fixture(scope="module")
def grocery(tmp_path_factory):
    """Two coarse folders of two kinds each, one color a kind: of eight pictures five are of the training files."""
    root, numbers = tmp_path_factory.mktemp("grocery"), torch.Generator().manual_seed(1)
    colors = {"apple/gala": (250, 0, 0), "apple/granny": (0, 250, 0), "milk/oat": (0, 0, 250), "milk/soy": (250,) * 3}
    for kind, color in colors.items():
        for i in range(8):
            noise = torch.randint(-40, 40, (3,), generator=numbers).tolist()
            shade = tuple(min(max(c + n, 0), 255) for c, n in zip(color, noise, strict=True))
            picture(root / kind / f"{'train' if i < 5 else 'test'}_{i}.png", color=shade)
    return root


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    """Nothing of the reader's is read or written."""
    monkeypatch.setenv("DMLBOOK_DATA", str(tmp_path / "images"))
    monkeypatch.setattr(settings, "results_root", lambda: tmp_path / "results")


def run(root, *more: str) -> int:
    small = ["--net", "small", "--size", "16", "--epochs", "4", "--batch-size", "8", "--embedding-size", "4"]
    return main(["kinds", "--data", "folder", "--root", str(root), *small, *more])


FEATURES = torch.randn(32, 5, generator=torch.Generator().manual_seed(1))
RETRIEVED = {"recall_by_class", "recall_by_kind", "map_by_class", "map_by_kind"}
FIGURES = {"accuracy", "recovery", "kind_cosine"}


def test_coarse_folders_hide_their_inner_ones(grocery, capsys, tmp_path):
    assert run(grocery, "--centers", "1", "2", "--seeds", "2", "--record", "kinds/g", "--lr", "0.01") == 0
    one, two = (records.load(f"kinds/g-4d-k{k}", tmp_path / "results") for k in (1, 2))
    assert [run["seed"] for run in one.runs] == common.seeds(2)
    extra = RETRIEVED | {f"frozen_{name}" for name in RETRIEVED} | {"distinct_centers", "final_loss"}
    assert set(one.runs[0]["figures"]) == FIGURES | {f"train_{name}" for name in FIGURES} | extra
    assert one.values("recovery") == one.values("train_recovery") == [0.0, 0.0]
    assert one.values("distinct_centers") == [1.0, 1.0]
    assert two.configuration["loss_options"] == {"centers_per_class": 2}
    assert one.configuration["classes_made_of"] == "coarse folders"
    assert (one.configuration["training"]["lr"], one.configuration["training"]["batch_size"]) == (0.01, 8)
    assert one.values("frozen_recall_by_kind") == two.values("frozen_recall_by_kind")  # same images in both
    said = capsys.readouterr().out
    assert "32 images of 2 classes with 4 kinds, 128 features each" in said
    assert "4 dimensions, K = 2: R@1 by class" in said


def test_half_a_training_is_no_result(grocery, tmp_path, monkeypatch):
    def pressing(*arguments):
        signal.raise_signal(signal.SIGINT)
        return compute(*arguments)

    compute = losses.SoftTriple.compute
    monkeypatch.setattr(losses.SoftTriple, "compute", pressing)
    assert run(grocery, "--record", "kinds/stopped") == 130
    assert not (tmp_path / "results").exists()


def test_merged_kinds_are_the_inner_folders_and_each_seed_draws_its_own(grocery):
    options = _options(grocery, "--merge", "2")
    images = command.images_of(options)
    assert images.class_names == ("apple/gala", "apple/granny", "milk/oat", "milk/soy")
    parts = [command.halves(options, images, FEATURES, seed) for seed in range(8)]
    for half in parts:
        assert half.num_classes == 2
        assert sorted(torch.cat(half.rows).tolist()) == list(range(32))
        for rows, kinds in zip(half.rows, half.kinds, strict=True):
            torch.testing.assert_close(images.labels[rows], kinds)  # the rows are those images
        assert all(len(torch.unique(half.kinds[0][half.labels[0] == c])) == 2 for c in (0, 1))
    assert len({tuple(half.labels[0][half.kinds[0].argsort()].tolist()) for half in parts}) > 1
    again = command.halves(options, images, FEATURES, 3)
    torch.testing.assert_close(again.rows[1], parts[3].rows[1])


def test_the_images_held_out_last_are_the_same_for_every_seed_and_no_search_sees_them(grocery):
    for merge in ("2", "1"):
        options, choosing = (
            _options(grocery, "--held-out", "0.375", "--merge", merge, *more) for more in ((), ("--validation", "0.4"))
        )
        images = command.images_of(options)
        last = [set(command.halves(options, images, FEATURES, seed).rows[1].tolist()) for seed in range(4)]
        assert last[0] == last[1] == last[2] == last[3]
        searched = [torch.cat(command.halves(choosing, images, FEATURES, seed).rows).tolist() for seed in range(4)]
        assert not last[0] & {row for rows in searched for row in rows}


def test_relatives_are_neighbors_in_order(grocery):
    options = _options(grocery, "--merge", "2", "--relatives")
    images = command.images_of(options)
    for seed in range(3):
        half = command.halves(options, images, FEATURES, seed)
        torch.testing.assert_close(half.labels[0], half.kinds[0] // 2)


def test_files_are_held_out_by_name(grocery):
    options = _options(grocery, "--held-out-files", "test_*")
    images = command.images_of(options)
    half = command.halves(options, images, FEATURES, 1)
    assert [len(rows) for rows in half.rows] == [20, 12]
    assert all("test_" in images.paths[row] for row in half.rows[1].tolist())
    with pytest.raises(ValueError, match="must leave images of every class on both sides; got none that match"):
        command.halves(_options(grocery, "--held-out-files", "valid*"), images, FEATURES, 1)


@pytest.mark.parametrize("held_out", [("--held-out-files", "test_*"), ("--held-out", "0.375")])
def test_validation_leaves_the_held_out_images_alone(grocery, held_out):
    plain, choosing = (_options(grocery, *held_out, *more) for more in ((), ("--validation", "0.4")))
    images = command.images_of(plain)
    train, measured = command.halves(plain, images, FEATURES, 1).rows
    stay, validation = command.halves(choosing, images, FEATURES, 1).rows
    assert set(stay.tolist()) | set(validation.tolist()) == set(train.tolist())
    assert not (set(stay.tolist()) | set(validation.tolist())) & set(measured.tolist())
    assert (len(stay), len(validation)) == (12, 8)


def test_standardized_features_have_no_scale_and_know_the_training_images_alone(grocery):
    options = _options(grocery, "--standardize", "--epochs", "2", "--batch-size", "8", "--lr", "0.01")
    images = command.images_of(options)

    def figures(features: torch.Tensor) -> dict[str, float]:
        half = command.halves(options, images, features, 1)
        found = command.one_run(options, features, half, 4, 2, 1)
        return {name: value for name, value in found.items() if not name.startswith("frozen")}

    first = figures(FEATURES)
    moved = figures(5 * FEATURES + 7)
    assert moved == pytest.approx(first, abs=1e-3)
    changed = FEATURES.clone()
    changed[command.halves(options, images, FEATURES, 1).rows[1]] *= 100
    other = figures(changed)
    assert other["final_loss"] == first["final_loss"]  # nothing of the images held out reached the training
    assert {k: v for k, v in other.items() if k.startswith("train")} == {k: first[k] for k in other if "train" in k}
    constant = FEATURES.clone()
    constant[:, 0] = 3.0
    assert figures(constant)["final_loss"] > 0


def directions(*degrees: float) -> torch.Tensor:
    radians = torch.deg2rad(torch.tensor(degrees))
    return torch.stack([radians.cos(), radians.sin()], -1)


def with_centers(gamma: float, *classes: tuple[float, ...]) -> losses.SoftTriple:
    """A loss whose centers stand in these directions."""
    loss = losses.SoftTriple(num_classes=2, embedding_size=2, centers_per_class=3, gamma=gamma)
    loss.weight.data = torch.stack([directions(*degrees) for degrees in classes], 1)
    return loss


def test_kinds_are_measured_by_their_own_numbers_and_merged_centers_count_as_one():
    loss = with_centers(0.1, (0, 2, 90), (180, 180, 270))
    images = directions(-5, 5, 85, 95, 175, 178, 185, 188)
    labels, kinds = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]), torch.tensor([0, 0, 1, 1, 2, 3, 2, 3])
    found = command.measure(loss, images, labels, kinds)
    near = command.retrieved(images, labels, kinds)
    assert (near["recall_by_class"], near["recall_by_kind"], found["accuracy"]) == (1.0, 0.5, 1.0)
    assert near["map_by_class"] > near["map_by_kind"] > 0
    assert found["recovery"] == 0.5  # class 0 is recovered by two centers of which one was merged, class 1 by nothing


def test_the_accuracy_is_that_of_the_losss_own_similarity():
    loss = with_centers(10.0, (0, 180, 180), (60, 60, 60))  # a large gamma: the mean of the centers decides
    found = command.measure(loss, directions(0, 5, 60, 65), torch.ones(4).long(), torch.tensor([0, 0, 1, 1]))
    assert found["accuracy"] == 1.0


def test_seeds_and_sizes_that_are_recorded_are_not_run_again(grocery, monkeypatch):
    assert run(grocery, "--centers", "2", "--record", "again") == 0
    monkeypatch.setattr(command, "one_run", lambda *_: pytest.fail("trained again"))
    assert run(grocery, "--centers", "2", "--record", "again") == 0


def test_a_benchmarks_test_classes_are_never_opened(monkeypatch):
    opened = []
    monkeypatch.setattr(common, "load_images", lambda options, split: opened.append(split) or image_set())
    command.images_of(_options("x", "--merge", "2", "--data", "cub"))
    command.images_of(_options("x", "--merge", "2"))
    assert opened == ["train", "all"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--centers", "0"), "centers must be an integer >= 1"),
        (("--hidden-layer", "-1"), "--hidden-layer must be an integer >= 0"),
        (("--relatives",), "--relatives must come with --merge"),
        (("--merge", "3"), "error: --merge must be an integer >= 1 and <= 2; got 3"),
        (("--loss-option", "slack=1"), "must be among those of softtriple"),
    ],
)
def test_what_does_not_fit_is_said_and_not_thrown(grocery, capsys, more, message):
    assert run(grocery, *more) == 1
    assert message in capsys.readouterr().err


def test_a_flat_folder_has_nothing_hidden(grocery, capsys):
    assert run(grocery / "apple") == 1
    assert "kinds: image_set must know its kinds" in capsys.readouterr().err


def _options(root, *more: str):
    """The command's options as the parser gives them."""
    import argparse

    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(["--data", "folder", "--root", str(root), "--size", "16", "--net", "small", *more])


# --- what the centers serve, and maps


def test_what_is_seen_is_that_of_the_images_held_out(grocery, tmp_path, monkeypatch):
    """Layouts of the right images with the centers that serve them; their measures are the package's, in the mean."""
    drawn, judged = [], []
    real, judge_all = maps.umap_map, kind_figures.judged
    monkeypatch.setattr(kind_figures, "judged", lambda *a: judged.append(a) or judge_all(*a))
    monkeypatch.setattr(maps, "umap_map", lambda *a, **k: drawn.append((a, k, real(*a, **k))) or drawn[-1][2])
    assert run(grocery, "--centers", "3", "--layouts", "2", "--held-out-files", "test_*", "--record", "seen") == 0
    found = records.load("seen-4d-k3", tmp_path / "results").runs[0]["figures"]
    ((vectors, centers), options, _), second = drawn[0], drawn[1]
    assert len(vectors) == 12  # of 4 kinds 3 files each
    assert options["n_neighbors"] == 5
    assert [k["seed"] for _, k, _ in drawn] == [SEED, SEED + 1]
    parts = command.halves(_options(grocery, "--held-out-files", "test_*"), *_of(grocery), SEED)
    served = maps.serving(vectors, parts.labels[1], centers)
    assert torch.equal(options["used"], served.used)
    assert found["seen_purity"] == maps.kind_purity(served, parts.kinds[1])[0]
    chance = maps.purity_by_chance(served, parts.kinds[1], generator=generator(SEED, "chance"))
    assert found["seen_purity_by_chance"] == chance
    assert found["seen_used"] == float(served.used.double().sum()) / 2
    layouts = [drawn[0][2], second[2]]
    assert [len(shown) for _, shown, _ in judged] == [2, 1]
    torch.testing.assert_close(judged[1][1][0].points, maps.pca_map(vectors).points)
    for name, judge in (("trustworthiness", maps.trustworthiness), ("continuity", maps.continuity)):
        each = [judge(vectors, layout, n_neighbors=5) for layout in layouts]
        assert found[f"seen_{name}"] == pytest.approx(sum(each) / 2)
        assert found[f"seen_pca_{name}"] == pytest.approx(judge(vectors, maps.pca_map(vectors), n_neighbors=5))
    kept = [float(maps.kept_neighbors(vectors, layout, n_neighbors=5).mean()) for layout in layouts]
    assert found["seen_neighbors_kept"] == pytest.approx(sum(kept) / 2)
    assert found["seen_unexplained"] == pytest.approx(maps.procrustes_distance(*layouts))


def test_two_layouts_leave_what_each_pair_leaves_in_the_mean():
    layouts = [maps.Map(torch.randn(9, 2, generator=generator(seed, "places"))) for seed in range(3)]
    pairs = [maps.procrustes_distance(layouts[a], layouts[b]) for a, b in ((1, 0), (2, 0), (2, 1))]
    assert unexplained(layouts) == pytest.approx(sum(pairs) / 3)


def test_layouts_have_a_place_for_each_center_that_serves_and_no_other():
    loss = with_centers(0.1, (0, 2, 90), (180, 180, 270))
    images, labels = directions(*range(0, 100, 10), *range(180, 280, 10)), torch.arange(20) // 10
    (layout,) = kind_figures.layouts_of(loss, images, labels, [SEED])
    assert layout.points.shape == (20, 2)
    used = maps.serving(images, labels, loss.centers).used
    assert torch.equal(layout.centers.isfinite().all(2), used)
    assert not used.all()


def _of(root):
    images = command.images_of(_options(root))
    return images, torch.ones(len(images), 2)


def test_a_page_holds_every_k_and_the_pictures_held_out(grocery, tmp_path, capsys):
    page = tmp_path / "kinds.html"
    assert run(grocery, "--centers", "1", "3", "--held-out-files", "test_*", "--page", str(page)) == 0
    assert f"{page} (" in capsys.readouterr().out
    assert TEXT in html.unescape(page.read_text(encoding="utf-8"))
    data = data_of(page)
    assert [view["method"] for view in data["views"]] == ["K = 1, 4 dimensions", "K = 3, 4 dimensions"]
    parts = command.halves(_options(grocery, "--held-out-files", "test_*"), *_of(grocery), SEED)
    assert isinstance(parts, Halves)
    assert unpacked(data["labels"], np.uint16).tolist() == parts.labels[1].tolist()
    assert unpacked(data["kind"], np.uint16).tolist() == parts.kinds[1].tolist()
    assert data["classes"] == ["apple", "milk"]
    assert data["kinds"] == ["apple/gala", "apple/granny", "milk/oat", "milk/soy"]
    images = command.images_of(_options(grocery)).select(parts.rows[1])
    assert data["sheets"] == maps.view_data(images, [_one_map(len(images))])["sheets"]
    counts = [unpacked(view["centers"]["counts"], np.uint32) for view in data["views"]]
    assert [int(each.sum()) for each in counts] == [12, 12]
    assert (counts[1] > 0).all()


def _one_map(count):
    points = torch.randn(count, 2, generator=generator(1, "places"))
    return maps.Shown("x", maps.Map(points), points)


@pytest.mark.parametrize(("value", "message"), [("1", "--layouts must be 0, 2 or more; got 1"), ("-1", "layouts must")])
def test_one_layout_is_refused_before_any_work(grocery, capsys, monkeypatch, value, message):
    monkeypatch.setattr(command, "Study", lambda *_: pytest.fail("work was begun"))
    assert run(grocery, "--layouts", value) == 1
    assert message in capsys.readouterr().err


def test_a_stopped_study_keeps_the_seeds_that_it_has_measured(few_digits, monkeypatch, tmp_path):
    original, line = command.Study.figures, ["kinds", "--data", "digits", "--merge", "2", "--net", "small"]
    monkeypatch.setattr("dmlbook.commands.kind_splits.common.load_images", lambda options, split: image_set(10, 8))
    line += ["--centers", "1", "2", "--seeds", "2", "--epochs", "1", "--record", "mine"]

    def stopped(study, options, seed):
        if (options.centers, seed) == ([2], SEED + 1):
            raise KeyboardInterrupt
        return original(study, options, seed)

    with monkeypatch.context() as patch:
        patch.setattr(command.Study, "figures", stopped)
        assert main(line) == 130
    kept = [records.load(f"mine-64d-k{k}", tmp_path / "results").seeds for k in (1, 2)]
    assert kept == [[SEED, SEED + 1], [SEED]]
    first = records.load("mine-64d-k2", tmp_path / "results").runs[0]
    assert main(line) == 0
    assert records.load("mine-64d-k2", tmp_path / "results").runs[0] == first


def test_a_record_of_other_settings_is_refused_before_any_training(few_digits, monkeypatch, capsys):
    line = ["kinds", "--data", "digits", "--merge", "2", "--net", "small", "--epochs", "1", "--record", "mine"]
    monkeypatch.setattr("dmlbook.commands.kind_splits.common.load_images", lambda options, split: image_set(10, 8))
    assert main([*line, "--centers", "5"]) == 0
    monkeypatch.setattr(command.Study, "figures", lambda *_: pytest.fail("trained"))
    assert main([*line, "--centers", "1", "5", "--lr", "0.5"]) == 1
    assert "--record must be free or name a record of this configuration" in capsys.readouterr().err
