# %% [markdown]
# # 01c · Triplets, deeper
#
# **Question.** How likely does a batch hold any of an image's neighbors, its triplets, or a negative that is really close?
# And what do batches of classes change?
#
# **After this companion you can**
# - give the chance that a batch holds at least one of the $k$ nearest neighbors of an image, exactly and in the limit,
# - say how many of its triplets a batch holds, and how near the closest negative is that mining can find there,
# - say which neighbors a batch of classes holds more often than a uniform one, and which less.
#
# **Before it** you need lesson [01b](01b_triplets.ipynb), above all §1b.7.
#
# **Time** about {reading} minutes to read, half as much again with a pencil, and {exercises} for the exercise; the
# cells run in less than a minute on a laptop with two cores.

# %%
import itertools

import matplotlib.pyplot as plt
import torch

from dmlbook import book, datasets, geometry, losses, nets, records, settings
from dmlbook.chapters import check, show
from dmlbook.chapters.ch01 import experiments, theory
from dmlbook.sampling import ClassBatches, UniformBatches
from dmlbook.seeding import SEED
from dmlbook.training import TrainConfig, embed, fit

book.use_style()
book.story("01c")

# %% [markdown]
# The neighbors are again those of 1,600 training birds in the embedding of a network that was trained on semi-hard triplets.

# %%
birds = datasets.load("birds", "train")
part = birds.select((torch.arange(len(birds)) % 50 < 40).nonzero()[:, 0])
net = nets.build("small", embedding_size=64)
epochs = settings.by_mode(smoke=1, class_=6, full=20)
# What small drawings need; chapter 07 explains each.
drawings = {"augment": "shift", "flip": False, "freeze_batch_norm": False}
drawings |= {"adam_eps": 1e-8, "milestones": ()}
config = TrainConfig(epochs=epochs, lr=4e-3, **drawings)
fit(net, losses.SemiHardLoss(margin=0.2), part, config, progress=False)
x = embed(net, part)  # (1600, 64)
nearest = book.nearest(x, 10)  # (1600, 10)
print(f"{len(part)} images of {part.num_classes} species")

# %% [markdown]
# ## 1c.1 At least one of the neighbors
#
# A batch of $B$ holds image $i$, and $B - 1$ of the $N - 1$ others, drawn without replacement. It misses all $k$ neighbors of
# $i$ if its $B - 1$ others come from the $N - 1 - k$ that are not neighbors: $\binom{N-1-k}{B-1}$ choices of
# $\binom{N-1}{B-1}$. So
#
# $$P(\text{at least one of the } k \text{ nearest}) = 1 - \binom{N-1-k}{B-1} \Big/ \binom{N-1}{B-1}
# = 1 - \prod_{t=0}^{k-1} \frac{N - B - t}{N - 1 - t}. \tag{1.13}$$
#
# The product reads: the first neighbor is among the $N - B$ images outside the batch, then the second among the $N - B - 1$
# left outside, and so on. $\blacksquare$
#
# For $k = 1$ it is the share (1.12) of §1b.7. By counting every batch of three that holds A, on the five points of lesson
# 01, whose nearest are B and C:

# %%
batches = [{0, *others} for others in itertools.combinations([1, 2, 3, 4], 2)]
some = sum(bool(batch & {1, 2}) for batch in batches) / len(batches)
print(f"at least one of the two: {some:.4f} by counting", end=", ")
print(f"{theory.neighbor_chance(5, 3, 2):.4f} by the formula")
assert abs(some - theory.neighbor_chance(5, 3, 2)) < 1e-12

# %% jupyter={"source_hidden": true}
sizes, n = [16, 32, 64, 128, 256, 512], len(part)
line = range(4, n // 2 + 1, 4)
names = {10: "any of the 10 nearest", 3: "any of the 3 nearest", 1: "the nearest"}
figure, ax = plt.subplots(figsize=(7.5, 3.8))
lines = {
    name: [theory.neighbor_chance(n, b, k) for b in line] for k, name in names.items()
}
ax.set(xscale="log", ylim=(0, 1.03))
book.named_lines(ax, list(line), lines)
for k in names:
    counts = []
    for b in sizes:
        sampler = UniformBatches(n, b, SEED, drop_last=True)
        batches = itertools.chain(*(sampler.batches(epoch) for epoch in range(3)))
        counts.append(experiments.neighbors_met(nearest[:, :k], batches)[1])
    ax.plot(sizes, counts, "o", color="black", markersize=5)
ax.set(xlabel=f"batch size B, of N = {n}", ylabel="chance")
ax.set(title="The nearest neighbor is rarely in a batch of usual size")
ax.set_xticks(sizes, sizes), ax.minorticks_off()
show(figure, "1c.1 chance of a neighbor")

# %% [markdown]
# **What to see.** The dots, counted over three epochs, lie on or near the lines, which end where the batch is half the set. For the
# single nearest neighbor the chance is nearly the share of the set that the batch holds: for even odds the batch has to be
# *half the training set*. Any of ten is met far sooner, but which of the ten is left to chance.
#
# ## 1c.2 A whole triplet
#
# An anchor's triplet needs *two* particular others in the batch. The second is there with probability
# $\frac{B-2}{N-2}$ once the first is:
#
# $$\mathbb{E}\,[\text{share of an anchor's triplets in the batch}] = \frac{(B - 1)(B - 2)}{(N - 1)(N - 2)}. \tag{1.14}$$

# %%
sampler = UniformBatches(len(part), 64, SEED, drop_last=True)
rows = []
for epoch in range(settings.by_mode(smoke=8, class_=30, full=30)):
    batches = sampler.batches(epoch)
    met = experiments.neighbors_met(nearest, batches)
    rows.append([*met, experiments.triplets_met(part.labels, batches)])
formulas = {
    "share of the 10 nearest": theory.neighbor_share(len(part), 64),
    "at least one of them": theory.neighbor_chance(len(part), 64, 10),
    "share of the triplets": theory.triplet_share(len(part), 64),
}
print("in batches of 64, mean and interval over epochs, in percent")
for column, (name, formula) in enumerate(formulas.items()):
    found = records.percent([row[column] for row in rows], digits=3)
    print(f"    {name:24} {found:20} formula {100 * formula:.3f}")

# %% [markdown]
# **What to see.** Counting and formula agree: the intervals hold the formula or miss it by a hair, as one in twenty may. Of an
# anchor's triplets a batch holds about the square of what it holds of the neighbors, well below one in a hundred.
#
# ## 1c.3 The closest negative
#
# The closest negative costs an anchor the most, by (1.10). How close is the closest in a batch? Rank all $M$ negatives of an
# anchor by distance, 1 for the closest in the whole set, and let the batch hold $b$ of them. The $b$ drawn ones cut the line of
# the other $M - b$ into $b + 1$ stretches, which are equally long on average, because every order of drawn and undrawn is
# equally likely. So for $b \ge 1$, on average $\frac{M - b}{b + 1}$ undrawn ones come before the first drawn one, and its rank
# is one more:
#
# $$\mathbb{E}\,[\text{rank of the closest negative in the batch}] = \frac{M - b}{b + 1} + 1 = \frac{M + 1}{b + 1}.
# \tag{1.15}$$

# %%
same = part.labels[:, None] == part.labels
apart = geometry.squared_distances(x, x).masked_fill_(same, torch.inf)
ranks = apart.argsort(1).argsort(1) + 1  # (1600, 1600): 1 for the closest negative
samplers = {
    "drawn one by one": UniformBatches(len(part), 64, SEED),
    "4 of a species": ClassBatches(part.labels, 64, 4, SEED),
}
for name, sampler in samplers.items():
    batches = itertools.chain(*(sampler.batches(epoch) for epoch in range(3)))
    found, drawn = experiments.closest_ranks(ranks, part.labels, batches)
    expected = sum(theory.first_rank(len(part) - 40, b) for b in drawn) / len(drawn)
    print(f"{name:17} the closest negative is number {found:.1f}", end=" ")
    print(f"of {len(part) - 40} on average; (1.15) says {expected:.1f}")
    assert abs(found / expected - 1) < 0.1 or name != "drawn one by one"

# %% [markdown]
# **What to see.** On average, the "hardest" negative that mining can find in a uniform batch has more than twenty closer ones
# in the set. And the closest negative of a batch of classes is farther down the ranking than (1.15) says for single draws: its
# negatives come four of a kind, and where one is far away its three fellows tend to be far as well, once a network has learned
# to gather classes.
#
# ## 1c.4 Batches of classes
#
# The training of §1b.5 used batches of $m$ images of each of $B / m$ classes. What do they change? Let all classes have
# $n = N/C$ images, let $m$ divide $n$ (then an epoch shows each image once), and let the classes of a batch be different ones,
# drawn with no preference for a class or an image.
#
# *A neighbor of the own class.* Of the $n - 1$ others of the class, $m - 1$ are in the batch, all equally likely.
# *A neighbor of another class.* The batch holds $B - m$ images of other classes. There are $N - n$ of them, again all equally
# likely, because no class and no image is preferred. So
#
# $$P(\text{own class}) = \frac{m - 1}{n - 1}, \qquad P(\text{another class}) = \frac{B - m}{N - n}. \tag{1.16}$$
#
# An image has $n - 1$ others of its class and $N - n$ of other classes, and of all these $(m - 1) + (B - m) = B - 1$ are in the
# batch, as in a uniform one. So what one kind gains the other loses: if $\frac{m-1}{n-1} > \frac{B-1}{N-1}$, the batch holds more
# of the own class than a uniform batch, and therefore fewer of the others. $\blacksquare$
#
# "Uniform" in the output is (1.12).

# %%
same = part.labels[nearest] == part.labels[:, None]  # (1600, 10)
counts = torch.zeros(2, 2)
sampler = ClassBatches(part.labels, 64, 4, SEED)
for batch in itertools.chain(*(sampler.batches(epoch) for epoch in range(30))):
    inside = torch.isin(nearest[batch], batch)
    for row, chosen in enumerate((same[batch], ~same[batch])):
        counts[row] += torch.stack([(inside & chosen).sum(), chosen.sum()])
uniform = theory.neighbor_share(len(part), 64)
formulas = theory.class_batch_shares(len(part), 40, 64, 4)
print("percent of the neighbors in a batch of 64, four of a class, over 30 epochs")
for row, name in enumerate(("own class", "other classes")):
    found = float(counts[row, 0] / counts[row, 1])
    print(f"    {name:13} counted {100 * found:.2f}", end="   ")
    print(f"formula {100 * formulas[row]:.2f}   uniform {100 * uniform:.2f}")
    assert abs(found - formulas[row]) < 0.008

# %% [markdown]
# **What to see.** The batch of classes holds about twice as many neighbors of the own class as a uniform one. Those
# serve as positives. Of the neighbors from *other* classes, the ones an image is confused with, it holds slightly fewer.

# %% [markdown]
# ## Exercises
#
# **Exercise 1.9 · a limit** · difficulty 4 of 5 · 20 minutes. Let the set grow, and the batch with it, so that the batch
# keeps holding the same share $B/N$ of the set, between 0 and 1; $k$ stays as it is. To what number does the chance (1.13)
# tend as $N \to \infty$? Prove it on paper, write it as a function, and compare it with the chances in the cell after.


# %%
def limit_of_the_chance(share: float, k: int) -> float:
    """The limit of (1.13) for a batch of this share of the set, and N to infinity."""
    ...


check("1.9", limit_of_the_chance)

# %%
for n in (100, 1000, 10_000, 100_000):
    chance = theory.neighbor_chance(n, n // 10, 10)
    print(f"N = {n:7,}, B = N / 10, k = 10: chance {chance:.5f}")
print("your limit:", limit_of_the_chance(0.1, 10))

# %% [markdown]
# <details><summary>Hint 1</summary>Look at one factor of the product in (1.13), for a fixed t. Divide numerator and
# denominator by N.</details>
# <details><summary>Hint 2</summary>The product has k factors, however large N is: the limit of the product is the product
# of the limits.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# $$\frac{N - B - t}{N - 1 - t} = \frac{1 - B/N - t/N}{1 - (1 + t)/N} \;\longrightarrow\; \frac{1 - B/N}{1} = 1 - \frac{B}{N}
# \qquad (N \to \infty),$$
#
# for each of the $k$ values of $t$. So the chance of a miss tends to $(1 - B/N)^k$:
#
# ```python
# def limit_of_the_chance(share, k):
#     return 1 - (1 - share) ** k
# ```
#
# People answer $1 - e^{-k B/N}$. That is close for a small share, and wrong for a large one: with half the set and $k = 1$
# the chance is $\frac12$ and not $0.39$. The lesson: what counts is the *share* of the set that
# the batch holds. A set ten times as large needs a batch ten times as large.
# </details>

# %% [markdown]
# ## What to take away
#
# - A uniform batch meets at least one of $k$ neighbors with chance (1.13), which for a large set hangs on $k$ and the
# share $B/N$ alone.
# - Of an anchor's triplets it holds about the square of that share.
# - The closest negative of a uniform batch is number $(M + 1) / (b + 1)$ of all $M$ on average, where the batch holds
# $b$ of them.
# - Batches of $m$ images a class, if $(m - 1) / (n - 1)$ is larger than the share (1.12), hold more neighbors of the own
#   class than uniform ones, and therefore fewer of the others.
#
# **Back**: [01b · Triplets](01b_triplets.ipynb). **Next**: [02 · SoftMax is a smoothed triplet
# loss](02_softmax_is_smoothed_triplet.ipynb).
