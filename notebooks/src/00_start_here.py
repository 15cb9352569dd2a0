# %% [markdown]
# # 00 · Start here
#
# **Question.** What will I be able to do?
#
# **After this lesson you can**
# - say what an *embedding* is, what *retrieval* is, and how Recall@1 measures it,
# - retrieve images by their raw pixels, and say what that finds,
# - train your first *metric*, a measure of similarity that is learned, and test it on species it has never seen.
#
# **Before it** you need Python, a little linear algebra, and what cross-entropy is. Nothing about metric learning.
#
# **Time** about {reading} minutes to read, half as much again with a pencil (each prediction and step worked out),
# and {exercises} for the exercises; the cells run in under a minute on a laptop.

# %% [markdown]
# ## 0.1 Is everything there?
#
# Run this cell (Shift + Enter). It prints what this machine has. If the last line says `ready`, so are you. You need none of
# the photographs that it asks for (`cub`, `cars`, `sop`) now.

# %%
from dmlbook.__main__ import main

_ = main(["check"])

# %% [markdown]
# The **mode** says how large the experiments are: `class` (the default) is made for a laptop, `smoke` for automatic
# checks, `full` for a GPU. To change it, set the environment variable `DMLBOOK_MODE` before you start JupyterLab.
#
# Cells that only draw start collapsed: click on the bar to the left of three dots to read one. Widgets work without a mouse:
# Tab leads to a slider or button, the arrow keys move a slider, and the space bar presses a button.
#
# A first cell of this kind begins every lesson. The strip below it shows where we are in the story.

# %%
import dataclasses

import torch

from dmlbook import book, datasets, settings
from dmlbook.chapters import check, outcome, predict, show, yours

book.use_style()
book.story("00")

# %% [markdown]
# ## 0.2 Meet the birds
#
# Learning to tell **classes** apart is easy to show with cats and cars. It gets interesting when classes look alike,
# and when one class has several looks. So this book comes with birds of its own, drawn by a program: 40 invented
# **species** (our classes) to train on and 40 to test on. Each shows up to four of six **poses**. You have the same birds as
# everybody else, without any download.

# %%
train = datasets.load("birds", "train")
size = tuple(train.images.shape[1:])
print(f"{len(train)} images of {train.num_classes} species, {size} each")
print("poses:", ", ".join(train.kind_names))

# %% jupyter={"source_hidden": true}
import matplotlib.pyplot as plt

some = torch.randperm(len(train), generator=torch.Generator().manual_seed(7))[:30]
figure, ax = plt.subplots(figsize=(9.6, 1.4))
book.tiles(ax, train.images[some], columns=15)
show(figure, "0.2 contact sheet")

# %% [markdown]
# Ten **genera** (owls, ducks, tits and so on) are easy to tell apart. The species *within* one genus are not. Here are
# three, drawn large and clean, in two poses each. What differs? (Branch and leaves are scenery.)

# %% jupyter={"source_hidden": true}
from dmlbook.datasets import birds

three, poses = [3, 13, 23], ["perched", "flying"]
figure, axes = plt.subplots(2, 3, figsize=(7.2, 5.0))
for column, species in enumerate(three):
    for row, pose in enumerate(poses):
        axes[row, column].imshow(birds.draw(species, pose).permute(1, 2, 0))
        axes[row, column].set_axis_off()
    axes[0, column].set_title(train.class_names[species], loc="center")
show(figure, "0.2 three species of a genus")

# %% [markdown]
# **What to see.** Between two poses of *one* species nearly every pixel changes. Between two *species* in one pose only
# some do: crown, crest, bill, breast, eye ring. A good measure of similarity must ignore the first kind of change and
# notice the second.
#
# There is one more thing you know here and almost never in real life: the pose of every image. In the code a pose is called a
# `kind`. A group of images of one class that lie close together is called a **local cluster**, and we expect one for each
# pose. SoftTriple, the method of lessons 03 and 04, claims to find such clusters, and with these birds the claim can be
# checked. Of the training species

# %%
counts = birds.true_kinds(train)
for number in (1, 2, 3, 4):
    plural = "s" if number > 1 else ""
    print(f"{int((counts == number).sum()):3} show {number} pose{plural}")

# %% [markdown]
# ## 0.3 Words and letters
#
# These keep their meaning in every lesson, in the text, in the code and in the figures. Other letters, and indices, are
# declared where they are used.
#
# | word | letter | meaning |
# |---|---|---|
# | **embedding** | $x_i \in \mathbb{R}^D$ | the point that stands for image $i$; most of the time of length 1 |
# | **label** | $y_i$ | the class of image $i$, a number from 0 to $C - 1$ |
# | batch, set, queries | $B$, $N$, $Q$ | how many images |
# | neighbors | $k$ | how many places of a list are looked at, as in recall at $k$ |
# | dimension, classes | $D$, $C$ | size of an embedding; number of classes |
#
# <details><summary>To come back to from lesson 02 on: what belongs to the losses</summary>
#
# | word | letter | meaning |
# |---|---|---|
# | **center** | $w_c^k$ | a learned point that stands for a part of class $c$; here $k$ is an index, from 1 to $K$, the number of centers of a class |
# | **proxy** | $w_c$ | a learned point for a class that has only one |
# | **centroid** | $c_m$ | a *fixed* point for class $m$, chosen before training |
# | **scale** | $\lambda$ | how sharply similarities are compared |
# | **gamma** | $\gamma$ | how softly an image chooses among the centers of a class |
# | **margin** | $\delta$ | by how much the right class has to win, or a triplet to hold (lesson 01b); the text says which |
# | **tau** | $\tau$ | how strongly centers that are not needed are pulled together |
# </details>

# %% [markdown]
# ## 0.4 Your first retrieval
#
# **Retrieval** is the task all lessons share. Take one image as the **query**, compare it with all others, and list
# them, the most similar first. To compare, we need numbers: an **embedding** turns each image into a point. The simplest
# one does nothing at all. It takes the pixels themselves, $3 \times 64 \times 64 = 12{,}288$ of them, as the point. (First we
# take off the average picture: pixels are never negative, so without this all cosines would be high.)
#
# We shall call two points similar if they lie in the same direction. (Why not if they are near each other? §1.2
# answers.) The **cosine** of the angle between them says how much:
#
# $$\cos(x_i, x_j) = \frac{x_i \cdot x_j}{\lVert x_i \rVert\, \lVert x_j \rVert} \in [-1, 1].$$
#
# First by hand, on four points whose answer you can see: two point east, two north.

# %%
x = torch.tensor([[1.0, 0.0], [2.0, 0.2], [0.0, 1.0], [-0.1, 3.0]])  # (N=4, D=2)
labels = torch.tensor([0, 0, 1, 1])
for i in range(4):
    row = [float(x[i] @ x[j] / (x[i].norm() * x[j].norm())) for j in range(4)]
    print("  ".join(f"{value:5.2f}" for value in row))

# %% [markdown]
# Row $i$ compares point $i$ with all four. Lengths do not matter: point 1 is twice as long as point 0 and still its best
# match. The package computes the same table at once.

# %%
from dmlbook import geometry

table = geometry.cosines(x, x)
torch.testing.assert_close(table[0, 1], x[0] @ x[1] / (x[0].norm() * x[1].norm()))

# %% [markdown]
# **Recall@1** asks of every query: is the first image in its list of the same class? (The 1 says that only the first
# counts.) It is the share of queries for which it is. Here it is as loops, on the four points.


# %%
def cosine(a, b):
    return float(a @ b / (a.norm() * b.norm()))


def first_attempt(x, labels):
    """Recall@1, with a mistake. Find it before you read on."""
    hits = 0
    for i in range(len(x)):
        best = max(range(len(x)), key=lambda j: cosine(x[i], x[j]))
        hits += int(labels[best] == labels[i])
    return hits / len(x)


print("Recall@1:", first_attempt(x, labels), end="   ")
print("with labels that mean nothing:", first_attempt(x, torch.arange(4)))

# %% [markdown]
# **A trap.** A perfect score, and just as perfect when every image has a class of its own, so that *nothing* can be
# found. The mistake: each query found itself, for its cosine with itself is 1. The query has to be left out of its own
# list.


# %%
def recall_at_1(x, labels):
    """Share of the queries whose most similar other image has their label."""
    hits = 0
    for i in range(len(x)):
        others = [j for j in range(len(x)) if j != i]  # not in its own list
        best = max(others, key=lambda j: cosine(x[i], x[j]))
        hits += int(labels[best] == labels[i])
    return hits / len(x)


print("Recall@1:", recall_at_1(x, labels), end="   ")
print("with labels that mean nothing:", recall_at_1(x, torch.arange(4)))

# %% [markdown]
# Labels that mean nothing now score 0, as they should. (Here an image alone in its class is a miss; from lesson 01 on it is no
# query.) Where no image is alone, the package agrees with the loop:

# %%
from dmlbook import retrieval

small = torch.randn(60, 8, generator=torch.Generator().manual_seed(1))
classes = torch.arange(60) % 5
package = retrieval.recall_at_k(small, classes, ks=(1,))[1]
assert abs(recall_at_1(small, classes) - package) < 1e-6
print("60 random points: loop and package agree")

# %% [markdown]
# Now the birds. We take the **test** half: species that no network in this book is ever trained on.
#
# **Predict.** An image's most similar other image, pixel by pixel: how often is it of the same species? There are 40
# species with 50 images each. (a) in about 2 percent of the cases; (b) in about a quarter; (c) in more than half.

# %%
predict("0.1", "?")  # "a", "b" or "c"

# %%
test = datasets.load("birds", "test")
pixels = test.images.flatten(1).float()  # (N, 12288)
pixels = pixels - pixels.mean(0)  # without the average picture
found, queries = book.nearest(pixels, 5), [60, 680, 1290, 1820]
score = retrieval.recall_at_k(pixels, test.labels, ks=(1,))[1]
guess = retrieval.chance(test.labels)["recall_at_1"]
print(f"Recall@1 of pixels: {100 * score:.1f} percent; guessing: {100 * guess:.1f}")
outcome("0.1", "a" if score < 0.1 else "b" if score < 0.5 else "c")

# %% [markdown]
# Four queries, each of another genus, and what pixels retrieve for them. A black frame marks the query and, with a
# check mark, the right species; a grey dashed one, crossed, a wrong species.

# %%
title = "Pixels often find the pose, seldom the species"
figure = book.gallery(test, queries, found, title=title, size=0.72)
show(figure, "0.4 pixels retrieve")

# %% [markdown]
# **What to see.** In three rows every bird has the query's pose. In the third the query faces us, but the first two birds are
# in the air; they share the brown behind them. Counted, in these rows and over all queries:


# %%
def share_of_pairs(groups):
    """How often two different images, drawn at random, belong to one group."""
    sizes, n = torch.bincount(groups), len(groups)
    return float((sizes * (sizes - 1)).sum() / (n * (n - 1)))


known = {"pose": test.kinds, "species": test.labels}
for name, groups in known.items():
    shared = (groups[found[queries]] == groups[queries][:, None]).sum(1).tolist()
    assert shared == {"pose": [5, 5, 3, 5], "species": [1, 2, 0, 1]}[name]
    print(f"of five retrieved images with the query's {name:7}, row by row: {shared}")
for name, groups in known.items():
    hit = 100 * (groups[found[:, 0]] == groups).float().mean()
    by_chance = 100 * share_of_pairs(groups)
    print(f"first image has the query's {name:7} {hit:3.0f} percent", end="   ")
    print(f"guessing {by_chance:4.1f}")

# %% [markdown]
# **Why.** The cosine is a sum over all 12,288 numbers, so what moves many of them decides. Take all pairs of images, sorted
# by what the two share. How large is their cosine on the average, and how far does it spread?


# %%
def compare_pairs(x):
    """Mean and standard deviation of the cosines of all pairs that share the same."""
    cosines, others = geometry.cosines(x, x), ~torch.eye(len(x), dtype=torch.bool)
    pose, species = (groups[:, None] == groups for groups in known.values())
    pairs = {
        "pose and species": pose & species & others,
        "the pose alone": pose & ~species,
    }
    pairs |= {"the species alone": ~pose & species, "neither": ~pose & ~species}
    return {name: (cosines[of].mean(), cosines[of].std()) for name, of in pairs.items()}


by_pair = compare_pairs(pixels)
for name, (average, spread) in by_pair.items():
    print(f"pairs that share {name:18} mean {average:5.2f}   spread {spread:.2f}")
assert by_pair["the pose alone"][0] > by_pair["the species alone"][0] + 0.1

# %% [markdown]
# A shared pose lifts the cosine much more than a shared species does. But whatever two images share, the cosine spreads more
# than either lift, so something else moves the pixels most. Is it the scenery, say the colors at the top and bottom edge? We take
# out what these six numbers tell about the pixels.

# %%
images = test.images.float()
top, bottom = images[:, :, :8].mean((2, 3)), images[:, :, -8:].mean((2, 3))
edges = torch.cat([top, bottom], dim=1)  # (N, 6)
edges = edges - edges.mean(0)
fitted = edges @ torch.linalg.lstsq(edges, pixels).solution  # least squares
share, rest = float((fitted**2).sum() / (pixels**2).sum()), pixels - fitted
print(f"known from the edges: {100 * share:.0f} percent of the pixels' variance")
first = book.nearest(rest, 1)[:, 0]
hits = [100 * float((of[first] == of).float().mean()) for of in known.values()]
print(f"edges taken out, the first image has the query's pose {hits[0]:.0f}", end=", ")
print(f"its species {hits[1]:.0f} percent")
spread = max(spread for _, spread in compare_pairs(rest).values())
print(f"and the cosine spreads by at most {spread:.2f}")

# %% [markdown]
# These colors (scenery, and in part the pose: a swimmer has water below) make more than half of the variance, and are in the
# way of both: without them pixels find the species more often, and the pose nearly always.

# %% [markdown]
# **Stop.** Pixels are an embedding, too, and find the species more often than guessing does. But what moves them most, scenery
# and pose, is not what makes a species.
#
# **Question.** Somebody trains a network on the training species, and it finds their images perfectly. What do you know
# about the test species?
#
# <details><summary>Answer</summary>
#
# Nothing yet. The network may have learned what to look at (marks, not scenery), which would help with any bird. Or it may
# remember the forty species one by one, which helps with none of the others. Only species that it has not seen can tell;
# they are what this book measures on.
# </details>

# %% [markdown]
# ## 0.5 Your first metric
#
# So we let a small network compute the points, 64 numbers an image. It sees the *training* species only. Its loss is
# SoftTriple (lesson 03 builds it); until then read it as cross-entropy over the similarity to a few
# learned points of each species, its *centers* (they have a learning rate of their own, `loss_lr`). Then we retrieve among the
# *test* species.
#
# **Predict.** The network has never seen a test species. Its Recall@1 on them will be (a) below 40 percent; (b) from 40 to 60;
# (c) above 60.

# %%
predict("0.2", "?")

# %%
from dmlbook import losses, nets
from dmlbook.seeding import SEED, generator
from dmlbook.training import TrainConfig, embed, fit

net = nets.build("small", embedding_size=64)
untrained = retrieval.recall_at_k(embed(net, test), test.labels, ks=(1,))[1]
sizes = {"num_classes": train.num_classes, "embedding_size": 64, "centers_per_class": 4}
loss = losses.make("softtriple", **sizes, generator=generator(SEED, "centers"))

# %%
epochs = settings.by_mode(smoke=1, class_=6, full=20)
# What small drawings need; lesson 07 explains each.
drawings = {"augment": "shift", "flip": False, "freeze_batch_norm": False}
drawings |= {"adam_eps": 1e-8, "milestones": ()}
config = TrainConfig(epochs=epochs, lr=4e-3, loss_lr=3e-2, **drawings)
history = fit(net, loss, train, config, progress=False).history
print(f"{epochs} epochs, loss {history[0]['loss']:.2f} -> {history[-1]['loss']:.2f}")

# %%
learned = embed(net, test)  # (N, 64)
after = retrieval.recall_at_k(learned, test.labels, ks=(1,))[1]
by_name = {"guessing": guess, "untrained network": untrained}
by_name |= {"pixels": score, "learned": after}
for name, value in by_name.items():
    print(f"Recall@1 on unseen species: {name:18}{100 * value:5.1f} percent")

# %%
if settings.mode() == "smoke":
    print("not shown in smoke mode: one epoch is too short to say")
else:
    assert after > score + 0.05
    outcome("0.2", "a" if after < 0.4 else "b" if after <= 0.6 else "c")

# %% jupyter={"source_hidden": true}
lists = {"pixels": found, "learned": book.nearest(learned, 5)}
title = "The learned embedding finds more of the right species"
figure = book.gallery(test, queries, lists, title=title, size=0.72)
show(figure, "0.5 pixels and learned")

# %%
genera = sorted({name.split()[-1] for name in test.class_names})
of_species = [genera.index(name.split()[-1]) for name in test.class_names]
known["genus"] = torch.tensor(of_species)[test.labels]
counts = {}
for name, lists in {"pixels": found, "learned": book.nearest(learned, 5)}.items():
    counts[name] = {
        key: (of[lists[queries]] == of[queries][:, None]).sum(1).tolist()
        for key, of in known.items()
    }
    right = (test.labels[lists[queries, 0]] == test.labels[queries]).sum()
    print(f"{name:7} of five, row by row:", counts[name])
    print(f"{'':7} species right at place 1: in {right} of 4 rows")

# %%
for name, x in {"pixels": pixels, "learned": learned}.items():
    first = book.nearest(x, 1)[:, 0]
    wrong = test.labels[first] != test.labels
    near = (known["genus"][first] == known["genus"])[wrong].float().mean()
    print(
        f"{name:7} first images of a wrong species: {100 * near:.0f} percent", end=" "
    )
    print("are of the query's genus")
if settings.mode() != "smoke":
    before, now = (sum(counts[name]["species"]) for name in ("pixels", "learned"))
    assert now > 2 * before  # what the text says
    assert near > 0.6  # most of the network's errors stay in the genus
    assert counts["learned"]["genus"][2] > counts["pixels"]["genus"][2]

# %% [markdown]
# **What to see.** The second rows hold more than twice as many check marks as the first rows. At place 1 alone the two
# tie, and
# in the first row it is the pixels that are right there: four rows are no measure, all queries together are. (And this is one
# start of one network.) The third query is a kingfisher: pixels bring one other kingfisher, and of another species; the network
# brings more. Where it errs, it mostly knows the genus: what it mistakes then must be the marks. And all birds of the
# second rows
# have the query's pose. Does the network look past it? Take every image in that pose out of the list.


# %%
def recall_in_other_poses(x):
    """Recall@1 where lists hold no image in the query's pose; and guessing.

    Queries whose species shows no other pose do not count.
    """
    other = test.kinds[:, None] != test.kinds
    first = geometry.cosines(x, x).masked_fill(~other, -torch.inf).argmax(1)
    right = (test.labels[first] == test.labels).float()
    share = ((test.labels[:, None] == test.labels) & other).sum(1) / other.sum(1)
    return right[share > 0].mean().item(), share[share > 0].mean().item()


across = {"pixels": recall_in_other_poses(pixels)}
across["learned"] = recall_in_other_poses(learned)
for name, (value, by_chance) in across.items():
    print(f"in other poses: {name:8}{100 * value:3.0f} percent", end=", ")
    print(f"guessing {100 * by_chance:.0f} percent")
if settings.mode() != "smoke":
    assert across["pixels"][0] + 0.1 < across["learned"][0] < after - 0.2

# %% [markdown]
# Better than pixels, and far from solved: where no image in the query's pose may be found, most first images are wrong. To
# learn a measure of similarity that holds for classes never seen is called **metric learning**; classes of several clusters
# are the subject of lessons 03 and 04.
#
# Choose a query yourself. The line above the pictures says what they show.

# %%
from dmlbook.book.neighbours import NeighbourExplorer

NeighbourExplorer(test, {"learned": learned, "pixels": pixels}).widget()

# %% [markdown]
# ## 0.6 The map
#
# | lesson | question | |
# |---|---|---|
# | **00** | what will I be able to do? | you are here |
# | **01** | what is a good embedding? | [ready](01_measures.ipynb) |
# | **01b** | how do you learn from triplets, and why is sampling them a problem? | [ready](01b_triplets.ipynb), [deeper](01c_triplets_deeper.ipynb) |
# | **02** | why does a classifier learn a metric? | [ready](02_softmax_is_smoothed_triplet.ipynb), [deeper](02b_softmax_deeper.ipynb) |
# | **03** | what if a class has several clusters? | [ready](03_softtriple.ipynb), [deeper](03b_softtriple_deeper.ipynb) |
# | **04** | who chooses the number of centers? | [ready](04_how_many_centers.ipynb), [deeper](04b_do_they_find_the_poses.ipynb), [on photographs](04c_photographs.ipynb) |
# | **05** | can triplets be bounded in linear time? | [ready](05_centroid_bound.ipynb), [deeper](05b_centroid_bound_deeper.ipynb) |
# | **06** | what did people do before and after, and which loss should I use? | [ready](06_the_field.ipynb), [deeper](06b_the_field_deeper.ipynb) |
# | **07** | how do you train one that works? | [ready](07_training.ipynb), [deeper](07b_training_deeper.ipynb) |
# | **08** | does it hold on CUB, Cars196 and SOP, and on my photographs? | [ready](08_benchmarks.ipynb) |
# | **09** | what did the centers learn? | [ready](09_seeing_clusters.ipynb), [deeper](09b_seeing_clusters_deeper.ipynb) |
# | 10 | what breaks first as $N$ and $C$ grow? | to come |
# | 11 | which claims survived? | to come |
# | | where does each formula come from, and what tests it? | [the equation ledger](equations.md) |
# | | what became of each claim of the two papers? | [the claims ledger](claims.md) |

# %% [markdown]
# ## Exercises
#
# Each has a stub. Replace the three dots and run the cell; `check` answers at once.
#
# **Exercise 0.1 · the planted bug** · difficulty 2 of 5 · 10 minutes. Somebody computes the table of §0.4 at once, for
# $N$ points. On embeddings of length 1 nobody notices that anything is wrong.


# %%
def cosines_with_a_bug(x):
    lengths = x.norm(dim=1)  # (N,)
    return x @ x.T / lengths / lengths


four = torch.tensor([[1.0, 0.0], [2.0, 0.2], [0.0, 1.0], [-0.1, 3.0]])
print(cosines_with_a_bug(four))

# %% [markdown]
# Cosines above 1? Compare the table with the one of §0.4, and write the function without the bug.


# %%
def my_cosines(x: torch.Tensor) -> torch.Tensor:
    """x: points (N, D) of any length but 0. Their cosines (N, N)."""
    ...


check("0.1", my_cosines)

# %% [markdown]
# <details><summary>Hint 1</summary>Is the table symmetric? It should be.</details>
# <details><summary>Hint 2</summary>An (N, N) divided by an (N,): entry (i, j) is divided by number j, both times. How do you
# divide by number i?</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def my_cosines(x):
#     lengths = x.norm(dim=1)
#     return x @ x.T / lengths[:, None] / lengths
# ```
#
# Torch lines the last axes up: <code>lengths</code> counts as a row, and every column is divided by its own length twice.
# Long points then look similar to nothing. People mend it by dividing once, or both times by the row; or take
# <code>x.norm()</code>, the length of all points together, or <code>dim=0</code>, which runs down the columns. Between
# vectors of length 1 it makes no difference, and so it goes unnoticed until somebody takes the normalization out of the
# network.
# </details>

# %% [markdown]
# **Exercise 0.2 · Recall@1 from scratch** · difficulty 2 of 5 · 10 minutes. For each row of `x`, find the most similar
# *other* row, and return the share of rows for which it has the same label; a row alone in its class is a miss. The rows have
# length 1 already, and two of them may be identical. Try it without a loop.


# %%
def my_recall_at_1(x: torch.Tensor, labels: torch.Tensor) -> float:
    """x: unit vectors (N, D); labels: (N,) integers. A fraction in [0, 1]."""
    ...


check("0.2", my_recall_at_1)

# %% [markdown]
# <details><summary>Hint 1</summary><code>x @ x.T</code> holds all cosines.</details>
# <details><summary>Hint 2</summary>Its diagonal compares each row with itself.
# <code>fill_diagonal_(-torch.inf)</code> takes it out.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def my_recall_at_1(x, labels):
#     cosines = (x @ x.T).fill_diagonal_(-torch.inf)
#     return (labels[cosines.argmax(1)] == labels).float().mean().item()
# ```
#
# The query finds itself (Recall@1 is then always 1). Setting the diagonal to 0 instead of minus infinity is the same
# mistake in disguise: where all others are at negative cosines, the query is first again (with -1 where they are opposite).
# And whoever sorts and takes the
# second place trusts that the query is first: of two identical images it may be the other one.
# </details>

# %% [markdown]
# Now let yours measure: the same network while it learns, on species that it does not see.


# %%
def the_books(x, labels):
    return retrieval.recall_at_k(x, labels, ks=(1,))[1]


measure = yours("0.2", my_recall_at_1, the_books)
again = nets.build("small", embedding_size=64)
loss = losses.make("softtriple", **sizes, generator=generator(SEED, "centers"))
one = TrainConfig(epochs=1, lr=4e-3, loss_lr=3e-2, **drawings)
for epoch in range(settings.by_mode(smoke=2, class_=3, full=6)):
    value = measure(geometry.normalize(embed(again, test)), test.labels)
    print(f"after {epoch} epochs: Recall@1 {100 * value:.1f} percent")
    fit(again, loss, train, one, progress=False)

# %% [markdown]
# **Exercise 0.3 · what guessing scores** · difficulty 2 of 5 · 5 minutes. With `num_classes` classes of `per_class`
# images each, a random list is right at its first place with what probability? The query is not in its own list.


# %%
def chance(num_classes: int, per_class: int) -> float:
    """Expected Recall@1 of a random ranking."""
    ...


check("0.3", chance)

# %% [markdown]
# <details><summary>Hint 1</summary>How many images are in the list?</details>
# <details><summary>Hint 2</summary>How many of them are right?</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def chance(num_classes, per_class):
#     return (per_class - 1) / (num_classes * per_class - 1)
# ```
#
# People answer 1 / C. For many images a class that is close; for two images a class it is nearly twice too much.
# </details>

# %% [markdown]
# **Investigation 0.4 · what does it look at?** · difficulty 2 of 5 · 15 minutes. Change one bird by one thing, and let pixels
# and the network look for the original among all test images. After which changes does each of the two still find it? Write
# down what you expect of a mirror image, a shift, darkness and lost colors before you look at the numbers; then invent a change of
# your own.


# %%
CHANGES = {
    "mirrored": lambda images: images.flip(-1),
    "shifted by 6": lambda images: images.roll(6, dims=-1),
    "half as bright": lambda images: images // 2,
    "without color": lambda images: (
        images.float().mean(1, keepdim=True).expand_as(images)
    ),
}  # add yours


# %%
def still_found(change):
    """How often a changed image's most similar one is its original, in percent."""
    chosen = torch.arange(0, len(test), 10)
    images = change(test.images[chosen]).byte()
    changed = dataclasses.replace(test.select(chosen), images=images)
    average = test.images.flatten(1).float().mean(0)
    queries = {"pixels": images.flatten(1).float() - average}
    queries["learned"] = embed(net, changed)
    for name, x in {"pixels": pixels, "learned": learned}.items():
        right = geometry.cosines(queries[name], x).argmax(1) == chosen
        print(f"    {name} {100 * right.float().mean():3.0f}", end="")
    print()


# %%
for name, change in CHANGES.items():
    print(f"{name:15}", end="")
    still_found(change)

# %% [markdown]
# **Your finding:** ...
#
# <details><summary>What others found</summary>
#
# The network finds a shifted bird four times in five: its training shifted every picture. Pixels find about every second one.
# Mirrored birds neither finds as a rule: left and right change places, and training did not mirror them. Without color pixels hardly notice, and the
# network is lost: it has learned to look at color, by which species differ. In half the light both are lost. So here the
# network bears the one change that its training has varied. That is why training pictures are changed on purpose, and
# why one has to choose how (lesson 07).
# </details>

# %% [markdown]
# ## What to take away
#
# - An embedding makes a point of an image; retrieval lists the other points by their similarity to a query.
# - Recall@1 is the share of queries whose first image has the right class. The query must be left out, and the score
#   read beside what guessing gets.
# - Pixels mostly retrieve the pose. A learned embedding finds species that it has never seen far more often; across poses it
#   does better than pixels, and still badly.
# - Of a class with several looks we expect several local clusters.
#
# ## Five questions
#
# 1. Why is Recall@1 measured on classes that were not trained on?
# 2. Two embeddings differ by a factor of 10 in length. What happens to their cosine?
# 3. Would Recall@1 of pixels be higher or lower, had each species one pose only?
# 4. Which changes should an embedding ignore for birds, and which for cars?
# 5. What is a local cluster, and how many do we expect of a species that perches, swims and flies?
#
# <details><summary>Short answers</summary>
#
# 1. In use, new classes turn up: a new species, next year's car. On trained classes a network can score by remembering.
# 2. Nothing.
# 3. Higher: the most similar image would share pose and species more often, because they would come together.
# 4. Birds: pose, light, background. Cars: viewpoint, and the color too, for every model is sold in many.
# 5. Images of one class that lie close together; three.
# </details>
#
# ## References
#
# - Q. Qian, L. Shang, B. Sun, J. Hu, H. Li, R. Jin. *SoftTriple Loss: Deep Metric Learning Without Triplet Sampling*.
#   ICCV 2019, arXiv 1909.05235.
# - T.-T. Do, T. Tran, I. Reid, V. Kumar, T. Hoang, G. Carneiro. *A Theoretically Sound Upper Bound on the Triplet Loss
#   for Improving the Efficiency of Deep Distance Metric Learning*. CVPR 2019, arXiv 1904.08720.
#
# Both papers are what this book teaches, the second from lesson 05 on.
#
# **Next**: [01 · What is a good embedding?](01_measures.ipynb) If you are in a hurry, [07 · Training](07_training.ipynb) needs only this one.
