"""Recipes: whole, of values that their commands take, and as their sources have them."""

from dataclasses import fields

import pytest
import torch

from dmlbook import losses, nets, recipes
from dmlbook.training import TrainConfig

UNSAID = {
    "sampler": "follows from the loss, and so with another --loss",
    "samples_per_class": "follows from the loss",
    "small_classes": "follows from the loss",
    "momentum": "of sgd, which no recipe uses",
    "shift": "of an augmentation that no recipe uses",
    "seed": "each run's own",
    "evaluate_every": "of validation, which a recipe does not ask for",
    "compile": "the machine's affair",
    "micro_batch": "the machine's affair",
    "on_memory": "the machine's affair",
}
"""What no recipe says, each with the reason."""
MEANINGLESS = {"cosine": ("milestones", "lr_decay")}
"""What means nothing beside a schedule."""


@pytest.mark.parametrize("name", recipes.NAMES)
def test_every_recipe_says_every_setting_and_makes_what_it_says(name):
    recipe = recipes.read(name)
    assert isinstance(recipe, recipes.Recipe)
    data, size = name.split("-")[0], int(name.split("-")[-1])
    assert (recipe.name, recipe.options["data"], recipe.options["embedding_size"]) == (name, data, size)
    config = recipe.config()
    assert config.precision == "32-true"
    known = {field.name for field in fields(TrainConfig)}
    assert known - recipe.options.keys() == {*UNSAID, *MEANINGLESS.get(config.schedule, ())}
    assert (config.optimizer == "sgd", config.augment == "shift") == (False, False)
    outside = recipe.options.keys() - known
    assert outside == {"data", "size", "net", "weights", "embedding_size", "loss", "loss_option"}
    assert nets.check_name(recipe.options["net"])
    loss = recipe.loss(7, labels=torch.arange(7))
    assert isinstance(loss, losses.Loss)
    assert recipe.options["loss_option"].keys() <= losses.options(recipe.options["loss"]).keys()
    assert recipe.summary
    assert recipe.source
    assert recipe.differs
    assert config.image_size == 224
    assert config.test_crop * recipe.options["size"] == 224


def test_softtriples_recipe_is_the_papers():
    recipe = recipes.read("cub-softtriple-64")
    config = recipe.config()
    assert (config.epochs, config.batch_size, config.milestones, config.lr_decay) == (50, 32, (20, 40), 0.1)
    assert (config.lr, config.loss_lr, config.adam_eps, config.weight_decay) == (1e-4, 1e-2, 0.01, 1e-4)
    assert (config.optimizer, config.schedule, config.sampler) == ("adam", "step", "uniform")
    assert config == TrainConfig(image_size=224, test_crop=0.875)
    loss = recipe.loss(100)
    assert (loss.scale, loss.gamma, loss.tau, loss.margin) == (20, 0.1, 0.2, 0.01)
    assert loss.centers.shape == (100, 10, 64)
    assert recipes.read("cars-softtriple-512").loss(98).centers.shape == (98, 10, 512)


def test_sop_has_two_centers_and_batch_norm_that_measures():
    for family in ("softtriple", "softmax", "centroid-bound", "semihard"):
        sop, cub = (recipes.read(f"{data}-{family}-64") for data in ("sop", "cub"))
        assert (sop.config().freeze_batch_norm, cub.config().freeze_batch_norm) == (False, True)
        assert "Batch norm measures the batch: the paper freezes it on CUB and Cars." in sop.differs
        assert any("frozen on SOP" in each for each in sop.unknown)
        assert not any("SOP" in each for each in (*cub.differs, *cub.unknown))
    assert recipes.read("sop-softtriple-64").loss(5).centers.shape == (5, 2, 64)
    assert recipes.read("sop-modern-64").loss(5).centers.shape == (5, 2, 64)


def test_rivals_differ_from_softtriple_in_their_loss_alone():
    ours = recipes.read("cars-softtriple-64")
    for family in ("softmax", "centroid-bound", "semihard"):
        rival = recipes.read(f"cars-{family}-64")
        other = {key for key in ours.options if ours.options[key] != rival.options[key]}
        assert other == {"loss", "loss_option"}
    paired = recipes.read("cars-semihard-64").config()
    assert (paired.sampler, paired.samples_per_class, paired.small_classes) == ("class", 4, "repeat")


def test_the_modern_recipe_warms_up_falls_along_a_cosine_and_says_that_it_is_not_chosen_yet():
    for name in ("cub-modern-64", "cub-modern-vit-64"):
        recipe = recipes.read(name)
        config = recipe.config()
        assert (config.optimizer, config.schedule, config.warmup_epochs) == ("adamw", "cosine", 1)
        assert recipe.options["precision"] == recipes.AUTO
        assert any("not been chosen on validation classes yet" in each for each in recipe.differs)
    assert recipes.read("cub-modern-vit-64").options["net"].startswith("timm/vit_small")


def test_a_network_and_a_loss_come_from_their_seeds():
    recipe = recipes.read("cub-softtriple-64")
    net = recipe.net(seed=1, weights=None, name="small")
    expected = nets.build("small", embedding_size=64, seed=1)
    assert torch.equal(net.head.linear.weight, expected.head.linear.weight)
    one, again, other = (recipe.loss(3, seed) for seed in (1, 1, 2))
    assert torch.equal(one.centers, again.centers)
    assert not torch.equal(one.centers, other.centers)
    assert recipe.loss(3, tau=0.5).tau == 0.5


@pytest.mark.parametrize(("own", "expected"), [(True, "bf16-mixed"), (False, "32-true")])
def test_bf16_is_taken_where_the_device_computes_in_it(monkeypatch, own, expected):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: own)
    assert recipes.precision_of("cuda") == expected
    assert recipes.precision_of("cpu") == "32-true"
    assert recipes.read("cub-modern-64").config("cuda").precision == expected


@pytest.mark.bad_input
def test_a_recipe_that_is_none_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"read: name must be one of .*Did you mean 'cub-softtriple-64'"):
        recipes.read("cub-softriple-64")


def test_every_family_is_a_file_of_the_package():
    from importlib import resources

    there = {file.name for file in resources.files("dmlbook.recipes").iterdir() if file.name.endswith(".toml")}
    assert there == {f"{family}.toml" for family in recipes.FAMILIES}


@pytest.mark.bad_input
def test_a_loss_that_weighs_classes_asks_for_the_training_images():
    bound = recipes.read("cub-centroid-bound-64")
    with pytest.raises(ValueError, match="labels must be known to centroid_bound, which weighs classes"):
        bound.loss(3)
    assert bound.loss(3, class_counts=None).class_weights.unique().numel() == 1
    assert bound.loss(2, labels=torch.tensor([0, 1, 1])).class_weights.unique().numel() == 2
