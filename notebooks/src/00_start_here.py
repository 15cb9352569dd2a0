# %% [markdown]
# # 00 · Start here
#
# **Question.** What will I be able to do?
#
# **After this chapter you can**
# - say what an *embedding* is, what *retrieval* is, and how Recall@1 measures it,
# - retrieve images by their raw pixels, and say why that finds the pose and not the species,
# - train your first metric, and measure it on species it has never seen.
#
# **Before it** you need Python, a little linear algebra, and what cross-entropy is. Nothing about metric learning.
#
# **Time** about 30 minutes to read and try; the cells run in under a minute on a laptop.

# %% [markdown]
# ## 0.1 Is everything there?
#
# Run this cell (Shift + Enter). It prints what this machine has. If the last line says `ready`, so are you.

# %%
from dmlbook.__main__ import main

_ = main(["check"])

# %% [markdown]
# The **mode** says how large the experiments are: `class` (the default) is made for a laptop, `smoke` for automatic
# checks, `full` for a GPU. To change it, set the environment variable `DMLBOOK_MODE` before you start JupyterLab.
#
# These three lines begin every chapter.

# %%
import torch

from dmlbook import datasets, plotting, settings
from dmlbook.exercises import check, outcome, predict

plotting.use_style()

# %% [markdown]
# ## 0.2 Meet the birds
#
# Learning to tell **classes** apart is easy to show with cats and cars. It gets interesting when classes look alike,
# and when one class has several looks. So this book comes with birds of its own, drawn by a program: a few dozen
# invented **species** (our classes), each in up to four **poses**. You have the same birds as everybody else, without
# any download.

# %%
train = datasets.load("birds", "train")
print(f"{len(train)} images of {train.num_classes} species, {tuple(train.images.shape[1:])} each")
print("poses:", ", ".join(train.mode_names))

# %%
import matplotlib.pyplot as plt

some = torch.randperm(len(train), generator=torch.Generator().manual_seed(7))[:75]
figure, ax = plt.subplots(figsize=(10, 3.45))
plotting.tiles(ax, train.images[some], columns=15)
plotting.show(
    figure,
    alt="A contact sheet of 75 small drawings: ducks, owls, kingfishers, swallows and other birds, perched, facing us, "
    "foraging, swimming and flying, partly behind reeds and twigs.",
)

# %% [markdown]
# Ten **genera** (owls, ducks, tits and so on) are easy to tell apart. The species *within* one genus are not. Here are
# three of one genus, drawn large and clean, in two poses each. What differs?

# %%
from dmlbook.datasets import birds

three, poses = [3, 13, 23], ["perched", "flying"]
figure, axes = plt.subplots(2, 3, figsize=(9, 6.2))
for column, species in enumerate(three):
    for row, pose in enumerate(poses):
        axes[row, column].imshow(birds.draw(species, pose).permute(1, 2, 0))
        axes[row, column].set_axis_off()
    axes[0, column].set_title(train.class_names[species], loc="center")
plotting.show(
    figure,
    alt="Three bird species of one genus, each perched (top) and flying (bottom). The silhouettes are the same; crown, "
    "bill, breast markings, wing bar and eye ring differ.",
)

# %% [markdown]
# **What to see.** Between two poses of *one* species nearly every pixel changes. Between two *species* in one pose only
# a few do: crown, bill, breast, wing bar, eye ring. A good measure of similarity must ignore the first kind of change
# and notice the second. That is the problem of this book.
#
# There is one more thing you know here and almost never in real life: the pose of every image. A class that appears in
# three poses has three **local clusters**. SoftTriple, the method of chapters 03 and 04, claims to find them; here its
# claim can be checked.

# %%
counts = birds.true_modes(train)
for number in (1, 2, 3, 4):
    print(f"{int((counts == number).sum()):3} species show {number} pose{'s' if number > 1 else ''}")

# %% [markdown]
# ## 0.3 Words and letters
#
# Each is declared here once and means the same in every chapter, in the text, in the code and in the figures.
#
# | word | letter | meaning |
# |---|---|---|
# | **embedding** | $x_i \in \mathbb{R}^D$ | the point that stands for image $i$; most of the time of length 1 |
# | **label** | $y_i$ | the class of image $i$, a number from 0 to $C - 1$ |
# | batch, set, queries | $B$, $N$, $Q$ | how many images |
# | dimension, classes, centers | $D$, $C$, $K$ | size of an embedding; number of classes; centers of each class |
# | **center** | $w_c^k$ | a learned point that stands for a part of class $c$ |
# | **proxy** | $w_c$ | the same with one a class |
# | **centroid** | $c_c$ | a *fixed* point for class $c$, chosen before training |
# | **scale** | $\lambda$ | how sharply similarities are compared |
# | **gamma** | $\gamma$ | how softly an image chooses among the centers of a class |
# | **margin** | $\delta$ | by how much the right class has to win |
# | **tau** | $\tau$ | how strongly spare centers are pulled together |

# %% [markdown]
# ## 0.4 Your first retrieval
#
# **Retrieval** is the task all chapters share. Take one image as the **query**, compare it with all others, and list
# them, the most similar first. To compare, we need numbers: an **embedding** turns each image into a point. The simplest
# one does nothing at all. It takes the pixels themselves, $3 \times 64 \times 64 = 12{,}288$ of them, as the point.
#
# Two points are similar if they lie in the same direction. The **cosine** of the angle between them says how much:
#
# $$\cos(x_i, x_j) = \frac{x_i \cdot x_j}{\lVert x_i \rVert\, \lVert x_j \rVert} \in [-1, 1].$$
#
# First by hand, on four points whose answer you can see.

# %%
x = torch.tensor([[1.0, 0.0], [2.0, 0.2], [0.0, 1.0], [-0.1, 3.0]])  # (N=4, D=2): two point east, two north
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
# **Recall@1** asks of every query: is the first image in its list of the same class? It is the share of queries for
# which it is. Here it is as loops, on the four points.


# %%
def first_attempt(x, labels):
    """Recall@1, with a mistake. Find it before you read on."""
    hits = 0
    for i in range(len(x)):
        cosines = [float(x[i] @ x[j] / (x[i].norm() * x[j].norm())) for j in range(len(x))]
        best = max(range(len(x)), key=lambda j: cosines[j])
        hits += int(labels[best] == labels[i])
    return hits / len(x)


print("Recall@1:", first_attempt(x, labels), "  with labels that mean nothing:", first_attempt(x, torch.arange(4)))

# %% [markdown]
# **A trap.** A perfect score, and just as perfect when every image has a class of its own, so that *nothing* can be
# found. The mistake: each query found itself, for its cosine with itself is 1. The query has to be left out of its own
# list.


# %%
def recall_at_1(x, labels):
    """Share of the queries whose most similar other image has their label."""
    hits = 0
    for i in range(len(x)):
        others = [j for j in range(len(x)) if j != i]  # the query is not in its own list
        best = max(others, key=lambda j: float(x[i] @ x[j] / (x[i].norm() * x[j].norm())))
        hits += int(labels[best] == labels[i])
    return hits / len(x)


from dmlbook import retrieval

small = torch.randn(60, 8, generator=torch.Generator().manual_seed(1))
classes = torch.arange(60) % 5
assert abs(recall_at_1(small, classes) - retrieval.recall_at_k(small, classes, ks=(1,))[1]) < 1e-6
print("four points:", recall_at_1(x, labels), "  the package agrees with the loop on 60 random points")

# %% [markdown]
# Now the birds. We take the **test** half: species that no network in this book is ever trained on.
#
# **Predict.** An image's most similar other image, pixel by pixel: how often is it of the same species? There are 40
# species with 50 images each. (a) in about 2 percent of the cases, which is guessing; (b) in about a quarter; (c) in
# more than half.

# %%
predict("0.1", "?")  # "a", "b" or "c"

# %%
test = datasets.load("birds", "test")
pixels = test.images.flatten(1).float()  # (N, 12288)
pixels = pixels - pixels.mean(0)  # else all pictures are similar for being bright
found = plotting.nearest(pixels, 7)
score = retrieval.recall_at_k(pixels, test.labels, ks=(1,))[1]
print(f"Recall@1 of pixels: {100 * score:.1f} percent; guessing: {100 * 49 / 1999:.1f} percent")
outcome("0.1", "b" if 0.1 < score < 0.5 else "c")

# %%
queries = [30, 520, 1215, 1710]
figure = plotting.gallery(test, queries, found, title="Pixels retrieve the pose, not the species")
plotting.show(
    figure,
    alt="Four queries, each with its seven most similar test images by pixels. Nearly all retrieved birds share pose and "
    "background with the query; few share the species.",
)

# %% [markdown]
# **What to see.** A black frame marks the right species, a grey dashed one a wrong species. The retrieved birds sit as
# the query sits, on the same kind of ground. We can count it, because we know the poses:

# %%
first = found[:, 0]
same_pose = (test.modes[first] == test.modes).float().mean()
same_species = (test.labels[first] == test.labels).float().mean()
print(f"first retrieved image: same pose {100 * same_pose:.0f} percent, same species {100 * same_species:.0f} percent")
assert same_pose > same_species

# %% [markdown]
# ## 0.5 Your first metric
#
# So we let a small network move the points. It sees the *training* species only, with a loss that pulls images of one
# species together: SoftTriple, which you will build yourself in chapter 03. Then we retrieve among the *test* species.
#
# **Predict.** The network has never seen a test species. Against pixels, its Recall@1 on them will be (a) lower, it
# knows other birds; (b) about the same; (c) clearly higher.

# %%
predict("0.2", "?")

# %%
from dmlbook import losses, nets
from dmlbook.training import TrainConfig, embed, fit

net = nets.build("small", embedding_size=64)
loss = losses.make("softtriple", num_classes=train.num_classes, embedding_size=64, centers_per_class=4)
epochs = settings.by_mode(smoke=1, class_=4, full=20)
for_drawings = {"augment": "shift", "flip": False, "freeze_batch_norm": False, "adam_eps": 1e-8, "milestones": ()}
config = TrainConfig(epochs=epochs, lr=4e-3, loss_lr=3e-2, **for_drawings)
history = fit(net, loss, train, config, progress=False).history
learned = embed(net, test)  # (N, 64)
after = retrieval.recall_at_k(learned, test.labels, ks=(1,))[1]
print(f"{epochs} epochs, loss {history[0]['loss']:.2f} -> {history[-1]['loss']:.2f}")
print(f"Recall@1 on unseen species: pixels {100 * score:.1f} percent, learned {100 * after:.1f} percent")

# %%
if settings.mode() == "smoke":
    print("not shown in smoke mode: one epoch is too short to say")
else:
    assert after > score + 0.05
    outcome("0.2", "c")

# %%
figure = plotting.gallery(
    test,
    queries[:3],
    {"pixels": found, "learned": plotting.nearest(learned, 7)},
    title="The learned embedding looks past the pose",
)
plotting.show(
    figure,
    alt="Three queries, each with two rows of seven retrieved images: by pixels, mostly wrong species in the same pose; "
    "by the learned embedding, more of the right species, also in other poses.",
)

# %% [markdown]
# **What to see.** The second row of each pair holds more black frames, and birds in *other* poses and before other
# grounds than the query's. Nobody told the network about these species; it learned what to look at. That is **metric
# learning**: to learn a distance that also holds for classes it has never seen.
#
# Choose a query yourself. The line below the pictures says what they show.

# %%
from dmlbook.widgets import NeighbourExplorer

NeighbourExplorer(test, {"learned": learned, "pixels": pixels}).widget()

# %% [markdown]
# ## 0.6 The map
#
# | chapter | question | |
# |---|---|---|
# | **00** | what will I be able to do? | you are here |
# | 01 | what is a good embedding, and why is sampling triplets a problem? | to come |
# | 02 | why does a classifier learn a metric? | to come |
# | 03 | what if a class has several clusters? | to come |
# | 04 | who chooses the number of centers? | to come |
# | 05 | can triplets be bounded in linear time? | to come |
# | 06 | what did people do before, and after? | to come |
# | **07** | how do you train one that works? | [ready](07_training.ipynb) |
# | 08 | does it hold on CUB, Cars196 and SOP? | to come |
# | 09 | what did the centers learn? | to come |
# | 10 | what breaks first as $N$ and $C$ grow? | to come |
# | 11 | which claims survived? | to come |

# %% [markdown]
# ## Exercises
#
# Each has a stub. Replace the three dots, run the cell, and it answers at once.
#
# **Exercise 0.1 · the angle, not the length** · difficulty 1 of 5 · 5 minutes. Write the cosine of two vectors,
# $\frac{a \cdot b}{\lVert a \rVert \lVert b \rVert}$, without `F.cosine_similarity`.


# %%
def cosine(a: torch.Tensor, b: torch.Tensor) -> float:
    """Cosine of the angle between a (D,) and b (D,)."""
    ...


check("0.1", cosine)

# %% [markdown]
# <details><summary>Hint 1</summary>The numerator is <code>a @ b</code>.</details>
# <details><summary>Hint 2</summary>The length of <code>a</code> is <code>a.norm()</code>; you need both lengths.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def cosine(a, b):
#     return float((a @ b) / (a.norm() * b.norm()))
# ```
#
# People forget one of the lengths, or both. Between vectors of length 1 it makes no difference, and so it goes unnoticed
# until somebody takes the normalization out of the network.
# </details>

# %% [markdown]
# **Exercise 0.2 · Recall@1 from scratch** · difficulty 2 of 5 · 10 minutes. For each row of `x`, find the most similar
# *other* row, and return the share of rows for which it has the same label. The rows have length 1 already. Try it
# without a loop.


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
# mistake in disguise: where all others are at negative cosines, the query is first again.
# </details>

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
# People answer 1 / C. For many images a class that is close; for two images a class it is twice too much.
# </details>

# %% [markdown]
# ## What to take away
#
# - An embedding makes a point of an image; retrieval lists the other points by their similarity to a query.
# - Recall@1 is the share of queries whose first image has the right class. The query must be left out, and the score
#   read beside what guessing gets.
# - Pixels retrieve pose and background. A learned embedding can look past them, also for classes it has never seen.
# - A class with several looks is several clusters. That is where this book is going.
#
# ## Five questions
#
# 1. Why is Recall@1 measured on classes that were not trained on?
# 2. Two embeddings differ by a factor of 10 in length. What happens to their cosine?
# 3. What would Recall@1 of pixels be, had each species one pose and one background?
# 4. Which changes should an embedding ignore for birds, and which for cars?
# 5. What does "local cluster" mean, and how many has a species that perches, swims and flies?
#
# ## References
#
# - Q. Qian, L. Shang, B. Sun, J. Hu, H. Li, R. Jin. *SoftTriple Loss: Deep Metric Learning Without Triplet Sampling*.
#   ICCV 2019, arXiv 1909.05235.
# - T.-T. Do, T. Tran, I. Reid, V. Kumar, T. Hoang, G. Carneiro. *A Theoretically Sound Upper Bound on the Triplet Loss
#   for Improving the Efficiency of Deep Distance Metric Learning*. CVPR 2019, arXiv 1904.08720.
#
# **Next**: [07 · Training](07_training.ipynb), how to train one that works.
