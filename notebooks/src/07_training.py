# %% [markdown]
# # 07 · Training
#
# **Question.** How do you train one that works?
#
# **After this chapter you can**
# - split data so that a score means what it says,
# - write the training loop of a metric, with two learning rates, and know that the package's does the same,
# - compare four losses over several seeds, with intervals, on species that none of them has seen,
# - recognize a trap that stood in published code: centers that do not learn.
#
# **Before it** you need chapter [00](00_start_here.ipynb). The losses are explained in chapters 01 to 05; here it is enough
# that each takes embeddings and labels and returns a number.
#
# **Time** about {reading} minutes to read, half as much again with a pencil, and {exercises} for the exercises; the
# cells run in about three minutes on a laptop with two cores. **Deeper**: [07b](07b_training_deeper.ipynb),
# photographs.

# %%
import matplotlib.pyplot as plt
import torch

from dmlbook import book, datasets, losses, nets, records, retrieval, settings
from dmlbook.chapters import check, outcome, predict, show, yours
from dmlbook.chapters.ch07 import experiments, figures, loops, photographs
from dmlbook.seeding import SEED, generator
from dmlbook.training import TrainConfig, embed, fit

book.use_style()
book.story("07")

# %% [markdown]
# ## 7.1 Split by class, and then split again
#
# Retrieval has to work for classes that were not there in training: new species, next year's cars. So the data is split
# **by class**. The first half of the species trains, the other half tests, and no species is in both.

# %%
train, test = datasets.load("birds", "train"), datasets.load("birds", "test")
print(
    f"train: {len(train)} images of {train.num_classes} species",
    f"   test: {len(test)} of {test.num_classes}",
)
assert not set(train.class_names) & set(test.class_names)

# %% [markdown]
# Settings have to be chosen somewhere (a learning rate, the number of epochs), and not on the test species: whoever looks
# there ten times and keeps the best has trained on them by hand. So some of the *training* species are held out as a
# **validation set**.

# %%
fit_set, validation = datasets.split_classes(
    train, validation=0.2, generator=generator(SEED, "validation")
)
print(
    f"fit: {fit_set.num_classes} species   ",
    f"validation: {validation.num_classes} species",
)
assert not set(fit_set.class_names) & set(validation.class_names)

# %% [markdown]
# `fit` is the package's training loop (§7.3 takes it apart): it is given a network, a loss, images and the settings. It
# refuses the test set as a validation set, by name:

# %%
net = nets.build("small", embedding_size=64)
loss = losses.make("softmax", num_classes=train.num_classes, embedding_size=64)
try:
    fit(net, loss, train, TrainConfig(), validation=test)
except ValueError as error:
    print(error)

# %% [markdown]
# ## 7.2 What the network sees
#
# Each time an image comes up, the network sees another **view** of it: moved a little (drawings), or a random crop, perhaps
# mirrored (photographs). Eight views of one bird:

# %%
figure, ax = plt.subplots(figsize=(9.6, 1.3))
figures.views(ax, train, TrainConfig(**experiments.FOR_DRAWINGS), image=30)
show(figure, "7.2 eight views")

# %% [markdown]
# ## 7.3 One step, by hand
#
# A network $f$ maps an image to a point of length 1. A loss $\ell$ maps the points and labels of a whole batch to a number.
# Training lowers its mean over batches,
#
# $$\operatorname{mean}_{\text{batches}}\; \ell\big(f(\text{images of the batch}),\, \text{their labels}\big),$$
#
# over the weights of $f$ **and the loss's own weights**, its centers. They get a larger **learning rate** of their own:
# a pretrained network should change gently, while the centers start from nothing. (Our small network starts from nothing,
# too; what the larger rate is worth there is the last exercise, investigation 7.5.) A step of plain descent moves every
# weight against its slope:


# %%
def one_step(net, loss, pixels, labels, lr, loss_lr):
    """One step of plain descent for the network and for the loss's centers."""
    value = loss(net(pixels), labels)
    value.backward()  # adds the slope of every weight to its .grad
    with torch.no_grad():
        for part, rate in ((net, lr), (loss, loss_lr)):
            for weight in part.parameters():
                weight -= rate * weight.grad
                weight.grad = None  # else the next step would add to it
    return value


# %% [markdown]
# The package's `fit` has to do the same. We give both the same start, in training mode, and one batch, and compare every
# weight.

# %%
few = train.of_classes(torch.arange(6))
for_drawings = experiments.FOR_DRAWINGS  # small views; batch norm is not frozen
plain = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "lr": 0.1}
config = TrainConfig(epochs=1, batch_size=300, loss_lr=1.0, **plain, **for_drawings)
by_hand = experiments.start("softtriple", classes=6)
by_fit = experiments.start("softtriple", classes=6)
for pixels, labels in experiments.drawn(few, config):  # one batch: 6 x 50 images
    one_step(*by_hand, pixels, labels, lr=0.1, loss_lr=1.0)
fit(*by_fit, few, config, device="cpu", progress=False)
for ours, theirs in zip(by_hand, by_fit, strict=True):
    for weight, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(weight, other, rtol=1e-4, atol=1e-5)
print("one step by hand and by fit: every weight agrees")

# %% [markdown]
# A training **loop** takes such a step for every batch of every **epoch** (a pass over all images), and four things
# come in:
#
# - **batches** are drawn anew in each epoch, and each image in a new view;
# - **Adam** takes the place of plain descent: each weight follows a running mean of its slopes, divided by their running
#   size. `torch.optim.Adam` is told the weights in *parameter groups*, dictionaries with `"params"` and `"lr"`; then
#   `zero_grad()` clears the slopes and `step()` moves the weights;
# - **two modes** of the network: in `net.train()` batch norm normalizes by the batch, and renews its stored statistics;
#   in `net.eval()` it uses the stored ones, so that an image's point does not depend on the rest of its batch. (Frozen,
#   as by default for photographs, it uses the stored ones in training, too);
# - **weight decay**, a small pull of all weights towards 0.
#
# You write this loop in exercise 7.2 (now, if you like), and the check holds every weight of yours against `fit`'s. What `fit` has beyond it: a progress bar, other devices, checkpoints, and a guard against
# values that are not finite.
#
# ## 7.4 Four losses, several seeds
#
# We compare four losses. A *center* is a point on the sphere that stands for a class, or for a part of it; here a *centroid*
# is a center that is fixed.
#
# - **semi-hard triplets**: an anchor, a positive, and the closest negative that is farther than the positive. Batches need
#   several images of a class, so they are drawn by class;
# - the **centroid bound** (chapter 05): pull each image to its class's centroid, here a corner of a *simplex*: its corners
#   are points of the sphere, all equally far apart;
# - **normalized SoftMax**: one learned center a class;
# - **SoftTriple**: several learned centers a class, here 4.
#
# Every score comes in two measures: Recall@1, and **MAP@R** (§1.3), which looks at as many images as there are right ones,
# adds for each right one among them the share of right ones up to it, and divides by how many it looked at. So it asks for
# a whole class, not for one neighbor.
#
# Same network, same data. Every batch holds 40 images (for the triplets 5 of each of 8 species), so all four take the same
# number of steps and see the same number of images: few in this mode, more in `full` (`settings.by_mode`). One thing they do not share is the learning rate: what suits one loss starves or breaks another, and whoever gives all
# four the same has compared rates. So each is given its own, by the same search.

# %%
PAIRED = {"sampler": "class", "samples_per_class": 5}
METHODS = {  # the loss, its options, its batches
    "SoftTriple": ("softtriple", {"centers_per_class": 4}, {}),
    "normalized SoftMax": ("softmax", {}, {}),
    "centroid bound": ("centroid_bound", {"centroids": "simplex"}, {}),
    "semi-hard triplets": ("semihard", {}, PAIRED),
}
EPOCHS = settings.by_mode(smoke=1, class_=3, full=30)
TRIAL = settings.by_mode(smoke=1, class_=2, full=15)  # epochs of a trial
SEEDS = [SEED + n for n in range(settings.by_mode(smoke=1, class_=5, full=5))]
RATES = (2.5e-4, 5e-4, 1e-3, 2e-3, 4e-3)

# %% [markdown]
# The line to beat comes first: a score is only as good as its distance from guessing, from the untrained network
# (random weights still mix nearby pixels, so similar pictures stay similar) and from raw pixels.

# %%
untrained = embed(nets.build("small", embedding_size=64), test)
pixels = test.images.flatten(1).float()
pixels = pixels - pixels.mean(0)  # without the average picture, as in chapter 00
floor = {
    "guessing": retrieval.chance(test.labels)["recall_at_1"],
    "untrained network": experiments.scores(untrained, test.labels)["R@1"],
    "pixels": experiments.scores(pixels, test.labels)["R@1"],
}
for name, score in floor.items():
    print(f"{name:18} {100 * score:5.1f}")

# %% [markdown]
# ### Choose on held-out training species
#
# Five rates for each loss. Every trial trains on `fit_set` and is measured on `validation`, the eight species held out in
# §7.1. The test species have no part in it.

# %%
searched = experiments.search(
    METHODS, RATES, fit_set, validation, epochs=TRIAL, seeds=SEEDS[:2]
)
chosen = searched.chosen()
print(searched.table())
(budget,) = searched.budgets  # one for all: counted, not assumed
print("each trial: {} steps, {:,} images".format(*budget))
assert settings.mode() == "smoke" or not searched.at_the_edge(), "widen the grid"

# %% [markdown]
# A star marks the rate chosen, by Recall@1. (Each number is the mean of two seeds; a trial is about half as long as a run
# below.) Two seeds and eight species are few: rates side by side may change places. Had a star stood at the edge, the grid would have been widened, for all four. And
# these scores are not to be held beside those below: guessing gets one in eight right here, and one in forty there.
#
# ### Then train, and measure once
#
# Now all training species train, each loss at its own rate, from several seeds: another seed gives other weights, other
# batches and another score. It takes most of this chapter's time. A line such as 58.2 ± 2.4 (5) is the mean, the half-width of a
# 95 percent interval for it, by Student's t over the seeds (the formula: exercise 7.4), and how many seeds there were.

# %%
trained = {
    name: [
        experiments.run(method, train, rate=chosen[name], epochs=EPOCHS, seed=seed)
        for seed in SEEDS
    ]
    for name, method in METHODS.items()
}
runs = {name: [embed(run.net, test) for run in many] for name, many in trained.items()}
scored = experiments.by_measure(
    {
        name: [experiments.scores(vectors, test.labels) for vectors in many]
        for name, many in runs.items()
    }
)
(budget,) = {run.budget for many in trained.values() for run in many}
print("each run: {} steps, {:,} images; on unseen species".format(*budget))
for name in METHODS:
    both = [f"{key} {records.percent(found[name])}" for key, found in scored.items()]
    print(f"{name:20}   {'   '.join(both)}")

# %% [markdown]
# Runs of one seed share the network's first weights, so two losses are compared pair by pair: the mean and interval of their
# *difference*.

# %%
lead = "centroid bound"
lines, clear = experiments.leads(scored, first=lead)
print(*lines, sep="\n")
if settings.mode() == "class":  # what the text below says
    others = [name for name in METHODS if name != lead]
    assert all((lead, other, key) in clear for other in others for key in scored)
    assert ("SoftTriple", "normalized SoftMax", "R@1") not in clear

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.4), sharey=True)
of_pixels = experiments.scores(pixels, test.labels)
for ax, key in zip(axes, scored, strict=True):
    figures.score_rows(ax, scored[key], of_pixels[key], measure=key)
    assert all(min(found) > of_pixels[key] for found in scored[key].values())
show(figure, "7.4 scores over seeds")

# %% jupyter={"source_hidden": true}
falling = {name: [run.falls for run in many] for name, many in trained.items()}
del falling[lead]  # whose values fall below 0
figure, ax = plt.subplots(figsize=(6, 3))
figures.falls(ax, falling)
show(figure, "7.4 losses fall")

# %% [markdown]
# **What to see.** Gray dots are runs, a black one is their mean, with its interval; the dotted line is what raw pixels
# score, and every run of every loss lies above it. In this run the mean lead
# of the centroid bound over each of the others, paired by seed, is larger than its half-width, by both measures. SoftTriple
# and normalized SoftMax cannot be told apart by Recall@1; by MAP@R their interval leaves out 0 by little. (Twelve
# intervals were looked at, and one of twenty misses by chance.) Semi-hard triplets have the lowest means. That is after a few
# epochs of a small network on easy data, forty classes that fit a simplex: more epochs, other rates (each was chosen in a
# short search, and the centers' own rate was not searched) or other data may reorder them. (In §7.8 network, data and
# rates differ, and so does the order.) The training loss falls, too: each curve (faint: a run) is a share of its own
# start, so that their heights say nothing about which loss is better. (The bound
# is left out: its values fall below 0.) And we look at the test species again and again below, in order to teach; nothing is
# chosen from it.

# %% [markdown]
# **Stop.** Classes are held out, not images, and twice: some for choosing, others for the one measurement at the end. A
# step moves the weights of network *and* loss, each part at its own rate, and that rate belongs to the loss, so each rival
# gets its own search of the same size. A mean over seeds comes with its interval and its floor.
#
# **Question.** A colleague trains four losses at the rate that her paper gives for the first one, from five seeds; the
# first one leads, and the paired intervals leave out 0. What has she shown?
#
# <details><summary>Answer</summary>
# That at this rate the first loss is ahead on these classes. The seeds make sure that it is no accident of one start; they
# say nothing about the rate, which is the same wrong one in every run of the others. An interval covers what was varied,
# and nothing else.
# </details>

# %% [markdown]
# ## 7.5 What was retrieved
#
# Which images come first when they are wrong? Species come in genera of similar build (owls,
# ducks, tits).
#
# **Predict.** Of the wrong first images of the trained network (the first SoftTriple run), the share that is at least of the
# right genus is, against the same share among the mistakes of pixels, (a) smaller by more than five points; (b) within five
# points; (c) larger by more.

# %%
predict("7.1", "?")

# %%
from dmlbook.datasets import birds

species = range(train.num_classes, train.num_classes + test.num_classes)
genus = [birds.genus_of(number) for number in species]
by_pixels, by_learned = (book.nearest(x, 7) for x in (pixels, runs["SoftTriple"][0]))
same_genus = {}
for way, found in {"SoftTriple": by_learned, "pixels": by_pixels}.items():
    wrong = (~book.right_first(found, test.labels)).nonzero()[:, 0]
    pairs = zip(test.labels[wrong], test.labels[found[wrong, 0]], strict=True)
    within = sum(genus[a] == genus[b] for a, b in pairs)
    same_genus[way] = within / len(wrong)
    share = f"{within} ({100 * same_genus[way]:.0f} percent)"
    print(f"{way:10} {len(wrong):4} wrong first images, {share} of the right genus")
alike, n = sum(a == b for a in genus for b in genus) - len(genus), len(genus)
by_chance = alike / (n * (n - 1))
print(f"another species, drawn blindly: {100 * by_chance:.0f} percent")
more = same_genus["SoftTriple"] - same_genus["pixels"]
outcome("7.1", "c" if more > 0.05 else "b" if more > -0.05 else "a")
ordered = same_genus["SoftTriple"] > 1.5 * same_genus["pixels"] > 3 * by_chance
assert settings.mode() == "smoke" or ordered

# %% [markdown]
# **What to see.** Of the wrong *first* images, in this run, most of those across genera went; those within the genus became
# more, not fewer: 658 instead of 533. (Only of first images: further back, in the first query below, other builds appear.)
# Pixels, which know nothing of genera, find the right one in a third or more of their mistakes: similar builds make similar
# pictures. Here are three queries, two whose first image became right and one that is still wrong (full frame and ✓: of the
# query's species; dashed and ✗: not).

# %% jupyter={"source_hidden": true}
right = book.right_first(by_learned, test.labels)
gained = (right & ~book.right_first(by_pixels, test.labels)).nonzero()
lost = (~right).nonzero()
queries = [gained[len(gained) // 4], gained[3 * len(gained) // 4], lost[len(lost) // 2]]
figure = book.gallery(
    test,
    [int(query) for query in queries],
    {"pixels": by_pixels, "SoftTriple": by_learned},
    title="Two queries that were won, and one that was not",
)
show(figure, "7.5 three queries")

# %% [markdown]
# Now choose your own query and method.

# %%
from dmlbook.book.neighbours import NeighbourExplorer

first = {method: of_seeds[0] for method, of_seeds in runs.items()}
NeighbourExplorer(test, first | {"pixels": pixels}, start=20).widget()

# %% [markdown]
# ## 7.6 A trap: centers that do not learn
#
# The centers belong to the *loss*, and `net.parameters()` does not hold them. Whoever writes
# `Adam(net.parameters())` trains the network against centers that stay where they were drawn. Nothing fails, and the loss
# still falls: the network moves its points to the centers instead of the other way round. It happened in published code: users
# of Proxy-Anchor, a later method, [found it](https://github.com/tjddus9597/Proxy-Anchor-CVPR2020/issues/25) in its training script.
#
# We train SoftTriple with the centers' own learning rate, and with centers that the optimizer was never given; once in
# 64 dimensions, once in 8, three seeds each.
#
# **Predict.** In the mean, forgetting the centers costs Recall@1 on unseen species (a) more in 64 dimensions, by over five
# points; (b) more in 8, by over five points; (c) about the same in both.

# %%
predict("7.2", "?")

# %%
found = {}
for size in (64, 8):
    for learning in (True, False):
        for seed in SEEDS[:3]:
            told = {"rate": chosen["SoftTriple"], "epochs": EPOCHS}
            net, falls, turned = experiments.with_centers(
                learning, train, **told, size=size, seed=seed
            )
            score = experiments.scores(embed(net, test), test.labels)
            found.setdefault((size, learning), []).append(score)
            if seed == SEED:
                fate = "learn" if learning else "were forgotten"
                print(f"D = {size}, centers {fate}, first seed: turned by", end=" ")
                print(f"{turned:.0f} degrees, loss {falls[0]:.2f} to {falls[-1]:.2f}")

# %%
cost = {}
for size in (64, 8):
    pairs = list(zip(found[size, True], found[size, False], strict=True))
    for key in ("R@1", "MAP@R"):
        ahead = [a[key] - b[key] for a, b in pairs]
        cost[size, key], half = records.interval(ahead)
        said = records.percent(ahead)
        print(f"D = {size:2}: forgetting the centers costs {said} points of {key}")
        if settings.mode() == "class" and size == 8:
            assert cost[size, key] > half
if settings.mode() == "smoke":
    print("not shown in smoke mode: one epoch is too short to say")
else:
    more = cost[8, "R@1"] - cost[64, "R@1"]
    outcome("7.2", "b" if more > 0.05 else "a" if more < -0.05 else "c")

# %% [markdown]
# **What to see.** The forgotten centers did not move at all, and the loss fell nevertheless. In 64 dimensions three seeds cannot
# tell the cost from 0 in this run, by either measure; nor do they rule out five points. $40 \times 4$ random directions are nearly
# at right angles to each other there, so the network is given targets that are far apart, and it is free to move its points to
# them. (The *centroid bound* makes a method of this: its centroids are fixed on purpose, and well spread.) In 8 dimensions the
# cost is large by both measures, at the rate that was chosen for centers that learn, in 64 dimensions. A likely reason: 160 random
# directions crowd each other there, so centers of different species lie side by side, and fixed ones stay so. (Not tested here; one
# would fix well-spread centers in 8 dimensions.) That is what makes this mistake dangerous: with some sizes it hardly shows.
#
# `fit` cannot fall into it: it takes the loss's parameters itself.
#
# ## 7.7 To stop and go on
#
# A long run gets interrupted. `fit(..., folder=...)` writes a **checkpoint** after every epoch, whole or not at all, and
# when it is called again with the same folder it goes on there. That can be tested: the
# resumed run has to end with the *same bits* as the one that was never stopped.

# %%
import tempfile
from dataclasses import replace

two = TrainConfig(epochs=2, lr=4e-3, loss_lr=3e-2, **for_drawings)
straight, stopped, again = (
    experiments.start("softtriple", classes=6) for _ in range(3)
)
told = {"device": "cpu", "progress": False}
fit(*straight, few, two, **told)
with tempfile.TemporaryDirectory() as folder:
    fit(*stopped, few, replace(two, epochs=1), folder=folder, **told)
    # as after a restart: nothing is left but the folder
    fit(*again, few, two, folder=folder, **told)
for ours, theirs in zip(straight, again, strict=True):  # network and loss
    for name, weight in ours.state_dict().items():
        assert torch.equal(weight, theirs.state_dict()[name]), name
print("stopped after one epoch and resumed: the same bits as two epochs in one go")

# %% [markdown]
# It works because the checkpoint holds all that training has changed (weights, the optimizer's memory, batch norm's
# statistics), and because nothing random depends on what came before: batches and views are drawn from the seed, the epoch
# and the step alone.
#
# A folder belongs to one run. `fit` keeps with each checkpoint what the run is: every setting of network and loss, the
# values that their weights began with, and a digest of all images. Where one of these differs it refuses and names it:
# otherwise a record would say what never ran. A second process in the folder is refused, too. A cluster's time limit
# (SIGTERM) saves the run as Ctrl-C does.
#
# ## 7.8 Photographs
#
# A pretrained network already knows a great deal. What follows was computed beforehand, because it takes longer than a
# lesson: a MobileNetV2 of 0.35 width with ImageNet weights (a small network with a third of the usual channels), images of
# 128 pixels, 64 dimensions. Each loss tried the same ten settings on held-out training classes, and was then trained with
# its own from three seeds and measured on the test classes, once. (All that was tried, and the settings that photographs
# ask for: §7b.1.)
#
# What has to be beaten stands first: the **frozen features**, the 1,280 numbers that the pretrained network makes of a picture,
# not trained at all; and the same brought to 64 numbers by **PCA** (principal component analysis), which keeps the 64
# directions in which the features vary most, and sees no label.

# %%
from IPython.display import Markdown

BOTH, FROZEN = photographs.BOTH, photographs.FROZEN
whole = {
    "Cars196": photographs.beside_floors("cars"),
    "CUB-200-2011": photographs.beside_floors("cub"),
}
for data, table in whole.items():
    display(Markdown(f"**{data}, unseen classes**\n\n{table.table(BOTH)}"))
for data, table in whole.items():
    ahead = photographs.clearly_above(table, FROZEN, "recall_at_1")
    print(f"{data}: ahead of the frozen features by Recall@1: {', '.join(ahead)}")
    assert ahead == ["normalized SoftMax", "SoftTriple"]
    assert len(photographs.clearly_above(table, FROZEN, "map_at_r")) == 4

# %% jupyter={"source_hidden": true}
gains = {
    (data, key): {each: table.gains(each, FROZEN, key) for each in photographs.LOSSES}
    for data, table in whole.items()
    for key in BOTH
}
figure = figures.gains(gains)
show(figure, "7.8 gains over frozen features")

# %% [markdown]
# **What to see.** Beside the 1,280 frozen features the same two losses are ahead by Recall@1 on both sets, SoftTriple and
# normalized SoftMax, on the cars by some fifteen points. Semi-hard triplets and the centroid bound are not; on the cars the
# bound ends even a little below. By MAP@R all four are ahead: for those two on the cars more of a class is near, but what
# is nearest is not right more often. And on the drawn birds of §7.4 the bound led. So far no loss of this book is
# best everywhere, and a table of one network does not say which will be best for you.
#
# Which losses differ from each other, what more floors and measures say, and what these figures may be compared with:
# §7b.2. And what becomes of a last layer that is trained alone, on frozen features: §7b.3.

# %% [markdown]
# ## 7.9 On your own photographs
#
# Everything above works on any folder that holds one folder a class. If you have CUB-200-2011, the next cell trains on
# ten of its species and retrieves among ten others; if not, it says how to get it.


# %%
def before_and_after(seen, unseen, epochs=2):
    """A small run on photographs: embeddings of unseen classes before and after."""
    net = nets.build("mobilenet_v2", embedding_size=64, weights="imagenet")
    sizes = {"num_classes": seen.num_classes, "embedding_size": 64}
    numbers = generator(SEED, "centers")
    loss = losses.make("softtriple", **sizes, centers_per_class=4, generator=numbers)
    vectors = {"frozen": embed(net, unseen, features=True)}
    vectors["before"] = embed(net, unseen)
    cropped = {"crop_scale": (0.5, 1.0), "adam_eps": 1e-8, "milestones": ()}
    fit(net, loss, seen, TrainConfig(epochs=epochs, **cropped), progress=False)
    return vectors | {"SoftTriple": embed(net, unseen)}


# %%
if not datasets.describe("cub")["complete"]:
    print("CUB-200-2011 is not here. `python -m dmlbook data cub` downloads it,")
    print("or says how to get it by hand.")
elif settings.mode() == "smoke":
    print("not shown in smoke mode")
else:
    every = datasets.load("cub", "train", size=112, progress=False)
    unseen = every.of_classes(torch.arange(10, 20))
    vectors = before_and_after(every.of_classes(torch.arange(10)), unseen)
    for way, x in vectors.items():
        score = 100 * experiments.scores(x, unseen.labels)["R@1"]
        print(f"{way:10} {x.shape[1]:5} dimensions   Recall@1 {score:.1f}")
    title = "Photographs: unseen species, before and after"
    found = {way: book.nearest(x, 5) for way, x in vectors.items()}
    figure = book.gallery(unseen, [5, 200], found, title=title)
    show(figure, "7.9 two photographs")

# %% [markdown]
# *before* is where training starts: 64 random directions of the frozen features. Compare with both rows: *frozen* has twenty
# times as many numbers. The crops are larger than the papers' (at least half of the picture instead of a twelfth), because
# there are few pixels and steps; try both.
#
# From a terminal the same is one command, for CUB or for a folder of yours:
#
#     python -m dmlbook train --data cub --loss softtriple --seeds 3 --record my-cub
#     python -m dmlbook train --data folder --root my_photos --loss softtriple
#
# `python -m dmlbook train --help` explains every setting.

# %% [markdown]
# ## Exercises
#
# **Exercise 7.1 · hold out classes, not images** · difficulty 2 of 5 · 10 minutes. Given the label of each image, return the
# sorted positions of the validation images: those of the highest-numbered classes, as many as `round(share * number of
# classes)`, which may be none.


# %%
def validation_images(labels: list[int], share: float) -> list[int]:
    """Positions of all images whose class is held out."""
    ...


check("7.1", validation_images)

# %% [markdown]
# <details><summary>Hint 1</summary>Which classes are there? <code>sorted(set(labels))</code></details>
# <details><summary>Hint 2</summary>Choose the classes first, then collect <em>all</em> of their images.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def validation_images(labels, share):
#     classes = sorted(set(labels))
#     held = classes[len(classes) - round(share * len(classes)):]
#     return [i for i, label in enumerate(labels) if label in held]
# ```
#
# People hold out images. Then validation shows classes that training has seen, and the score says how well the network
# remembers, not how well it finds new classes. And beware of `classes[-0:]`: that is all of them, not none.
# </details>

# %% [markdown]
# **Exercise 7.2 · the training loop** · difficulty 3 of 5 · 20 minutes. Write the loop of §7.3: for each batch of inputs and
# labels one step of Adam, the network at `lr`, the loss's centers at `loss_lr`, no weight decay. The network comes in
# evaluation, as after a measurement. All else is Adam as torch has it. Return the loss of every step, as numbers that hold
# no graph: a kept graph keeps its step in memory. The check compares all weights with those that `fit` arrives at.


# %%
def train_loop(net, loss, batches, lr: float, loss_lr: float) -> list[float]:
    """Trains both in place; ``batches`` gives pairs (inputs, labels)."""
    ...


check("7.2", train_loop)

# %% [markdown]
# <details><summary>Hint 1</summary>Once: the mode of the network, one optimizer with two groups. In each step: value, clear,
# backward, step.</details>
# <details><summary>Hint 2</summary><code>torch.optim.Adam([{"params": net.parameters(), "lr": lr}, ...])</code>; the centers
# are <code>loss.parameters()</code>.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def train_loop(net, loss, batches, lr, loss_lr):
#     groups = [{"params": net.parameters(), "lr": lr}, {"params": loss.parameters(), "lr": loss_lr}]
#     adam = torch.optim.Adam(groups)
#     net.train()
#     values = []
#     for inputs, labels in batches:
#         value = loss(net(inputs), labels)
#         adam.zero_grad()
#         value.backward()
#         adam.step()
#         values.append(float(value.detach()))
#     return values
# ```
#
# The loss is forgotten (the trap of §7.6), or everything gets one rate; slopes are not cleared, or cleared between
# `backward` and `step`; a new optimizer is made in each step, which loses Adam's memory; the network stays in evaluation;
# `state_dict().values()` is handed over, which holds copies that never get a slope. In each case the loop runs, and in
# most the loss falls, so nobody notices. And losses that are kept as they are, without `float(value.detach())`, hold every step's graph.
# </details>
#
# Now train with it: all training species, some epochs. Does it find species that it has not seen?

# %%
loop = yours("7.2", train_loop, ours=loops.loop)
rates = {"lr": 1e-3, "loss_lr": 3e-2}
config = TrainConfig(
    epochs=EPOCHS, batch_size=experiments.BATCH, **rates, **for_drawings
)
net, loss = experiments.start("softtriple", centers_per_class=4)
values = loop(net, loss, experiments.drawn(train, config), **rates)
last = values[-len(values) // EPOCHS :]
score = 100 * experiments.scores(embed(net, test), test.labels)["R@1"]
print(f"{len(values)} steps, loss {values[0]:.2f} to {sum(last) / len(last):.2f}")
print(f"Recall@1 {score:.1f} on unseen species; pixels {100 * floor['pixels']:.1f}")

# %% [markdown]
# **Exercise 7.3 · the planted bug** · difficulty 3 of 5 · 15 minutes. This loop measures held-out classes after each epoch.
# It runs, the loss falls, the scores rise, and it does not train as it should. Find out why, and
# write a right one. (`epochs` is a list: for each epoch its batches. One rate for all is meant here.)


# %%
def watched(net, loss, epochs, held_out, lr: float) -> list[float]:
    """Recall@1 of the held-out images after each epoch; trains both in place."""
    images, labels = held_out
    adam = torch.optim.Adam([*net.parameters(), *loss.parameters()], lr=lr)
    net.train()
    found = []
    for batches in epochs:
        for inputs, targets in batches:
            value = loss(net(inputs), targets)
            adam.zero_grad()
            value.backward()
            adam.step()
        net.eval()
        with torch.no_grad():
            points = net(images)
        found.append(retrieval.recall_at_k(points, labels, ks=(1,))[1])
    return found


# %%
def mended(net, loss, epochs, held_out, lr: float) -> list[float]:
    """As ``watched``, without its bug."""
    ...


check("7.3", mended)

# %% [markdown]
# <details><summary>Hint 1</summary>Follow the mode of the network through two epochs.</details>
# <details><summary>Hint 2</summary>Measuring needs <code>net.eval()</code>. What does the next epoch need?</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# `net.train()` belongs into the loop over epochs, before the first batch. As it stands, batch norm uses its stored
# statistics from the second epoch on and never renews them, though the weights below it go on changing.
#
# People delete `net.eval()`: then held-out images are normalized by each other, so that an image's score depends on its
# company, and they enter the stored statistics of the network. Or they put the network into evaluation for good. Or they
# call `net.train()` after measuring and forget the first epoch, for a network that comes in evaluation.
# </details>
#
# Both, trained on the birds from one start:

# %%
right = yours("7.3", mended, ours=loops.measured)
config = TrainConfig(epochs=EPOCHS, batch_size=experiments.BATCH, **for_drawings)
held_out = validation.images.float() / 255, validation.labels
for name, function in {"with the bug": watched, "mended": right}.items():
    net, loss = experiments.start("softtriple", classes=fit_set.num_classes)
    epochs = [experiments.drawn(fit_set, config, [n + 1]) for n in range(EPOCHS)]
    found = function(net, loss, epochs, held_out, 1e-3)
    print(f"{name:13}", *(f"{100 * score:5.1f}" for score in found))

# %% [markdown]
# The first epochs agree to the digit, the later ones do not. Whether the bug costs anything one seed cannot say, and that
# is why such bugs live long: nothing fails, and a run with it looks like another seed. A loop is tested by comparing its
# weights with those of a loop that is known to be right, not by its scores.
#
# **Exercise 7.4 · a lead over seeds** · difficulty 3 of 5 · 15 minutes. Given the scores of two methods, one a seed, in the
# same order of seeds, return the mean lead of the first, and the half-width of its 95 percent interval. For the mean of
# $n$ numbers $v_1, \dots, v_n$ that is
#
# $$t_{0.975,\,n-1}\; \frac{s}{\sqrt{n}}, \qquad s^2 = \frac{1}{n-1} \sum_i (v_i - \bar v)^2,$$
#
# with $t$ (by $n$ itself, not by one less) from this table: $n = 2$: 12.7062, $n = 3$: 4.3027, $n = 4$: 3.1824, $n = 5$: 2.7764. Which numbers are the $v_i$
# here?


# %%
def mean_lead(first: list[float], second: list[float]) -> tuple[float, float]:
    """Mean lead of ``first`` over ``second``, and its half-width; 2 to 5 seeds."""
    ...


check("7.4", mean_lead)

# %% [markdown]
# <details><summary>Hint 1</summary>Runs of one seed share their start: what they share should not count as spread.</details>
# <details><summary>Hint 2</summary><code>statistics.stdev</code> divides by n - 1, <code>statistics.pstdev</code> by n. For
# leads of 50 and 52 the half-width is 12.7062: one seed more would help a great deal.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# import statistics
# def mean_lead(first, second):
#     ahead = [a - b for a, b in zip(first, second)]
#     t = {2: 12.7062, 3: 4.3027, 4: 3.1824, 5: 2.7764}[len(ahead)]
#     return statistics.mean(ahead), t * statistics.stdev(ahead) / len(ahead) ** 0.5
# ```
#
# People look whether two intervals overlap, or put the two spreads together: both throw away that the runs are paired.
# They print the standard deviation and call it an interval, or use 1.96, which is right for many runs and far too narrow
# for three.
# </details>

# %% [markdown]
# **Investigation 7.5 · the rate that was not searched** · difficulty 3 of 5 · 30 minutes. In §7.4 every loss had a search
# for the network's rate; the centers' own rate was 0.03, by decree. Would a search have moved SoftTriple? Write down what
# you expect *before* you run it. Then try five rates or more for the centers, wide apart, on the validation species, with
# the budget of a trial and two seeds, by both measures. (No check: your sentence is the result.)


# %%
def with_center_rate(center_rate, seed):
    """SoftTriple with another rate for its centers; scores on the validation set."""
    told = {"rate": chosen["SoftTriple"], "epochs": TRIAL, "seed": seed}
    run = experiments.run(
        METHODS["SoftTriple"], fit_set, center_rate=center_rate, **told
    )
    return experiments.scores(embed(run.net, validation), validation.labels)


# %% [markdown]
# Your finding: ...
#
# <details><summary>What others found</summary>
#
# In class mode, seven rates from a hundredth of ours to ten times ours, two seeds each: by Recall@1 the means lie within
# about three points, in no order, and two seeds of one rate differ by as much. By MAP@R the smallest rates have the lowest
# means and ours the highest, some four points apart. So no sign that the search would have made up the centroid bound's
# lead by Recall@1, in this budget and in 64 dimensions. (§7.6 says why slow centers cost little there; in 8 dimensions
# another answer is likely.) What does not follow: that the rate never matters, or that ours is best.
# </details>

# %% [markdown]
# ## What to take away
#
# - Split by class. Choose settings on held-out *training* classes. Measure the test classes once.
# - A loss with centers has weights of its own: hand them to the optimizer, in a group with its own rate.
# - One run is an anecdote. Give the number of seeds and an interval, and do not name a winner inside it.
# - A score needs its floor beside it: guessing, pixels, frozen features.
# - Each loss has its own settings, by a search of the same size, or the table compares settings. Say what was not searched.
#
# ## Five questions
#
# 1. Why would a test score be too good if the validation classes were test classes?
# 2. Semi-hard triplets need batches with several images a class. What would happen with plain shuffled batches of 64 from
#    11,000 classes?
# 3. Why does the loss still fall when the centers are frozen?
# 4. Two methods score 78.1 ± 1.9 (3) and 79.0 ± 2.2 (3), from the same three seeds. What do you report, and what would you
#    compute before you say that they cannot be told apart?
# 5. Why is "the same bits" a better test of resuming than "about the same loss"?
#
# <details><summary>Short answers</summary>
#
# 1. The best of many tries on the test classes is best in part by luck, and the score counts that luck as skill.
# 2. Most batches would hold no two images of one class: no anchor would have a positive, and there would be nothing to learn from.
# 3. The network moves its points to the centers, wherever they are.
# 4. Both means with their intervals and seeds; and the three differences, seed by seed, with the interval of *their* mean. Where
#    the runs of a seed are good and bad together, it is narrower.
# 5. Another seed has about the same loss, too. So has a run whose optimizer lost its memory: only the bits tell.
# </details>
#
# ## References
#
# - Q. Qian, L. Shang, B. Sun, J. Hu, H. Li, R. Jin. *SoftTriple Loss: Deep Metric Learning Without Triplet Sampling*.
#   ICCV 2019, arXiv 1909.05235.
# - T.-T. Do, T. Tran, I. Reid, V. Kumar, T. Hoang, G. Carneiro. *A Theoretically Sound Upper Bound on the Triplet Loss
#   for Improving the Efficiency of Deep Distance Metric Learning*. CVPR 2019, arXiv 1904.08720.
# - F. Schroff, D. Kalenichenko, J. Philbin. *FaceNet: A Unified Embedding for Face Recognition and Clustering*. CVPR 2015.
#
# **Deeper**: [07b · Training, deeper](07b_training_deeper.ipynb): photographs, what was tried, a last layer alone.
# **Next**: [08 · Benchmarks](08_benchmarks.ipynb).
