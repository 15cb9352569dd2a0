# %% [markdown]
# # 01b · Triplets
#
# **Question.** How do you learn a metric from triplets of images, and why is sampling them a problem?
#
# **After this lesson you can**
# - count triplets, and say which of them still teach a network anything,
# - write the triplet loss of a batch with semi-hard mining, and train with it,
# - choose the images on which a trained network may be tested,
# - say exactly how much of an image's neighborhood a mini-batch holds on average, and check it by counting.
#
# **Before it** you need lesson [01](01_measures.ipynb): distance and cosine on the sphere, Recall@1, MAP@R.
#
# **Time** about {reading} minutes to read, half as much again with a pencil, and {exercises} for the exercises; the
# cells run in about two minutes on a laptop with two cores.

# %%
import itertools

import matplotlib.pyplot as plt
import torch

from dmlbook import book, datasets, geometry, losses, nets, records, retrieval, settings
from dmlbook.chapters import check, outcome, predict, show, yours
from dmlbook.chapters.ch01 import experiments, figures, theory
from dmlbook.seeding import SEED, generator

book.use_style()
book.story("01b")

# %% [markdown]
# ## 1b.1 Triplets, and how many there are
#
# Lesson 01 measured whether images of one class lie closer than images of others. Now we ask for it in a loss. Our toy is
# the one of §1.3: five points on the unit circle, A, B, C of class 0, D and E of class 1.

# %%
NAMES, DEGREES = "ABCDE", [0, 10, 40, 50, 120]
labels = torch.tensor([0, 0, 0, 1, 1])
five = book.on_circle(DEGREES, dtype=torch.float64)  # (N=5, D=2)

# %% [markdown]
# "Closer" is a statement about three images at a time: an **anchor** $i$, a **positive** $j$ of its class, and a
# **negative** $k$ of another class. Together they are a **triplet** $(i, j, k)$. We want
#
# $$x_i \cdot x_j - x_i \cdot x_k \ge \delta \quad\Longleftrightarrow\quad d_{ik} - d_{ij} \ge 2\delta, \qquad
# d_{ij} = \lVert x_i - x_j \rVert^2. \tag{1.7}$$
#
# The left side is how the SoftTriple paper states it, with a **margin** $\delta$: the positive has to win by that much. The
# right side is the same in squared distances: by (1.1) of lesson 01,
# $d_{ik} - d_{ij} = (2 - 2\, x_i \cdot x_k) - (2 - 2\, x_i \cdot x_j) = 2\,(x_i \cdot x_j - x_i \cdot x_k)$.
# FaceNet, the method that made triplets popular, writes the margin on squared distances as $\alpha$, so
# $\alpha = 2 \delta$; so do we from here on.
#
# If every triplet satisfied (1.7) with $\delta > 0$, every list would begin with the query's whole class: all scores of §1.3
# would be 1. So why not ask for all of them? Count.

# %%
listed = [
    (i, j, k)
    for i, j, k in itertools.product(range(5), repeat=3)
    if i != j and labels[i] == labels[j] and labels[i] != labels[k]
]
print(*(NAMES[i] + NAMES[j] + NAMES[k] for i, j, k in listed))
print(len(listed), "triplets")

# %% [markdown]
# In general: a class with $n_c$ images has $n_c$ choices of the anchor, $n_c - 1$ of the positive, and $N - n_c$ of the
# negative. Summed over the classes,
#
# $$T = \sum_c n_c\, (n_c - 1)\, (N - n_c). \tag{1.8}$$
#
# If all $C$ classes have the same size $n_c = N/C$, each of the $N$ images can be the anchor, and
#
# $$T = N \Big(\frac{N}{C} - 1\Big) \Big(N - \frac{N}{C}\Big)
# = \frac{N^3}{C} \Big(1 - \frac{C}{N}\Big) \Big(1 - \frac{1}{C}\Big) \approx \frac{N^3}{C}, \tag{1.9}$$
#
# where the two brackets are near 1 if classes are many and large.
#
# **Predict.** The birds to train on are 2,000 images of 40 species. How many triplets is that? (a) about two million;
# (b) about two hundred million; (c) about two hundred billion.

# %%
predict("1.2", "?")

# %%
from dmlbook.datasets.photos.benchmarks import BENCHMARKS

assert losses.count_triplets(labels) == len(listed)
birds = datasets.load("birds", "train")
count = losses.count_triplets(birds.labels)
print(
    f"the birds: {count:,} triplets; N^3/C of benchmarks' training halves, not loaded:"
)
for known in BENCHMARKS.values():
    n, c = known.images[0], known.classes[0]
    print(f"{known.title:26} N {n:6,}  C {c:6,}  N^3/C {n**3 / c:.1e}")
outcome("1.2", "a" if count < 2e7 else "b" if count < 2e9 else "c")

# %% [markdown]
# **What to see.** Even this small set has more than a hundred million triplets, and the benchmarks have billions. ($N^3/C$
# overstates where a bracket of (1.9) is not near 1: in the last row, whose classes are tiny, $1 - C/N$ is about 0.8.) To pass
# an image through the network for each of them, epoch after epoch, is out of the question. So one *samples* triplets, and
# the question begins: which ones?
#
# ## 1b.2 The hinge, and who still teaches
#
# Turned into a loss, a triplet costs what it lacks, and nothing once it is satisfied:
#
# $$\ell_{ijk} = \big[\, d_{ij} - d_{ik} + \alpha \,\big]_+ , \qquad [v]_+ = \max(v, 0). \tag{1.10}$$
#
# This corner at 0 is called a **hinge**. Where $\ell_{ijk} > 0$ the gradients are differences of points,
#
# $$\frac{\partial \ell}{\partial x_i} = 2\,(x_k - x_j), \qquad \frac{\partial \ell}{\partial x_j} = 2\,(x_j - x_i), \qquad
# \frac{\partial \ell}{\partial x_k} = 2\,(x_i - x_k),$$
#
# so descent moves the positive toward the anchor and the negative away from it. (These are gradients in the points. The last layer
# of our networks scales to length 1, and passes on only the part along the sphere.) Where $\ell_{ijk} = 0$ all three are zero:
# the triplet teaches nothing. Torch confirms it for anchor A, positive C and the negative D, then for E, which is farther away.
# The margin of these toys is $\alpha = 0.5$.

# %%
A, _, C, D, E = five.clone().requires_grad_()
for name, other in {"D": D, "E": E}.items():
    loss = ((A - C).square().sum() - (A - other).square().sum() + 0.5).clamp(min=0)
    gradients = torch.autograd.grad(loss, [A, C, other])
    by_hand = [2 * (other - C), 2 * (C - A), 2 * (A - other)]
    for found, expected in zip(gradients, by_hand, strict=True):
        torch.testing.assert_close(found, expected * bool(loss > 0))
    lengths = " ".join(f"{g.norm():.2f}" for g in gradients)
    print(f"A, C, {name}: loss {loss.item():.3f}   lengths of the gradients {lengths}")

# %% [markdown]
# So it matters where the negative lies. FaceNet's names, for a given anchor and positive:
#
# | name | the negative is | loss |
# |---|---|---|
# | **hard** | no farther than the positive, $d_{ik} \le d_{ij}$ | at least $\alpha$ |
# | **semi-hard** | farther, but by less than the margin, $d_{ij} < d_{ik} < d_{ij} + \alpha$ | between 0 and $\alpha$ |
# | **easy** | farther by the margin or more | 0 |
#
# Hard and semi-hard triplets are **active**. A negative exactly at the margin is easy: semi-hard ones "lie inside the margin",
# and there the loss is 0. On the unit circle the hard zone is one arc with the anchor in its middle, the semi-hard zone an arc on
# either side of it, and the rest is easy.


# %%
def kind(anchor, positive, negative, margin):
    near = float((anchor - positive).square().sum())
    far = float((anchor - negative).square().sum())
    return "hard" if far <= near else "semi-hard" if far < near + margin else "easy"


# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(9, 4.3))
for ax, positive in zip(axes, (1, 2), strict=True):
    figures.named_zones(
        ax, DEGREES, labels.tolist(), NAMES, positive=positive, margin=0.5
    )
    found = kind(five[0], five[positive], five[3], 0.5)
    ax.set_title(f"Anchor A, positive {NAMES[positive]}: D is {found}")
show(figure, "1b.2 zones")

# %% [markdown]
# **What to see.** (The square is the anchor, the black rim marks the positive.) The zones belong to the pair, not to the
# negative. For the close positive B, point D is far enough away; for
# C, which is farther from A, the same D is too close. E teaches A nothing in either case.
#
# The loss over all $T$ triplets, and the shares of the three kinds, by a loop and by the package:

# %%
apart = geometry.squared_distances(five, five)  # (5, 5)
values = [max(float(apart[i, j] - apart[i, k]) + 0.5, 0.0) for i, j, k in listed]
mean, active = losses.triplet_mean(apart, labels, margin=0.5)
assert abs(sum(values) / len(values) - float(mean)) < 1e-12
kinds = [kind(five[i], five[j], five[k], 0.5) for i, j, k in listed]
shares = losses.triplet_kinds(apart, labels, margin=0.5)
for name, share in zip(("hard", "semi-hard", "easy"), shares, strict=True):
    assert abs(kinds.count(name) / len(kinds) - share) < 1e-12
    print(f"{name:10} {kinds.count(name):2} of {len(kinds)}")
print(f"mean loss {float(mean):.4f}, active {100 * float(active):.0f} percent")

# %% [markdown]
# **A trap: the loss that stays at the margin.** "With margin 0.2, my loss falls to 0.2 and stays there." Suppose the network
# maps *every* image to one point. Then all $d$ are 0 and every triplet costs exactly $\alpha$. And the gradients above are
# differences of points: all 0. The network is stuck.

# %%
collapsed = five[:1].repeat(5, 1).requires_grad_()
# normalize=False: the slopes in the points themselves, as above; they have length 1.
loss = losses.TripletLoss(margin=0.2, normalize=False)(collapsed, labels)
loss.backward()
print(
    f"loss {loss.item():.3f}   largest gradient {float(collapsed.grad.abs().max()):.3f}"
)

# %% [markdown]
# **Remedy.** If your loss hangs at the margin, print the mean distance between the embeddings of different images. If it is
# near 0, the network has collapsed, and the way out is to start again, usually with a smaller learning rate. FaceNet's authors
# report that the hardest negatives can lead there early on; theirs are therefore others, as we see now.
#
# ## 1b.3 Mining
#
# To search the batch for triplets worth training on is called **mining**. FaceNet asks for a negative that is farther than the
# positive, but close enough to be within the margin. TensorFlow's code made a rule of it that always finds one: for every pair of
# anchor and positive, the closest negative that is still farther than the positive,
#
# $$k^*(i, j) = \arg\min_{k:\, y_k \ne y_i,\ d_{ik} > d_{ij}} d_{ik}, \tag{1.11}$$
#
# and where no negative is farther, the farthest there is. Not the *hardest*: where a label is wrong, or a picture too poor to
# tell, the hardest negative is the very one that should not be learned from. By hand on the five points, with $\alpha = 0.5$,
# and beside each mined negative what the table of §1b.2 calls it:


# %%
def mine(apart, labels, i, j):
    """The number of the negative for anchor i and positive j, by (1.11)."""
    negatives = [k for k in range(len(labels)) if labels[k] != labels[i]]
    beyond = [k for k in negatives if apart[i, k] > apart[i, j]]
    if beyond:
        return min(beyond, key=lambda k: apart[i, k])
    return max(negatives, key=lambda k: apart[i, k])


terms = []
for i, j in itertools.permutations(range(5), 2):
    if labels[i] == labels[j]:
        k = mine(apart, labels, i, j)
        terms.append(max(float(apart[i, j] - apart[i, k]) + 0.5, 0.0))
        print(f"{NAMES[i]}{NAMES[j]}: positive {apart[i, j]:.2f}, {NAMES[k]}", end=" ")
        print(f"at {apart[i, k]:.2f}, loss {terms[-1]:.2f}", end="   ")
        print(kind(five[i], five[j], five[k], 0.5))

# %%
package = losses.semihard_mean(apart, labels, margin=0.5)
assert abs(sum(terms) / len(terms) - float(package)) < 1e-12
print(f"mean over the {len(terms)} pairs {float(package):.4f}, as the package has it")

# %% [markdown]
# Despite its name, the rule also returns easy negatives, where the closest beyond the positive is beyond the margin as well,
# and hard ones, where it has to fall back. For anchor C it passes over D, the one point that C is really confused with, and
# takes E, which teaches nothing.
#
# ## 1b.4 Drag the margin
#
# Twelve points of three classes. On the left, the zones of one anchor (the square) and one positive (the black rim). On the
# right, for all triplets at once, the **gap** $d_{ik} - d_{ij}$: left of 0 hard, left of the dashed margin semi-hard, the
# rest easy.

# %%
from dmlbook.chapters.ch01.explorer import MarginExplorer

MarginExplorer().widget()

# %% [markdown]
# Try three things. Raise the margin: the semi-hard zone grows, the hard one does not change at all. Press the gradient button
# again and again: the loss falls, and triplets fall silent. Raise the margin once more: some of them speak again.

# %% [markdown]
# **Stop.** So far: a triplet asks that an anchor's positive be closer than its negative, by a margin. Once it is, the triplet
# costs nothing and moves nothing, so only hard and semi-hard ones teach. There are about $N^3 / C$ triplets, and mining picks
# those worth training on.
#
# **Question.** Mining looks at one batch at a time. Which images of the whole set should be in it, for an anchor to learn from
# what it is really confused with?
#
# <details><summary>Answer</summary>
#
# Its nearest neighbors of other classes in the whole *set*. The batch offers what happens to lie in it; §1b.7 counts how much.
# </details>

# %% [markdown]
# ## 1b.5 A network trained on triplets
#
# Now the birds. We keep ten images of each training species aside for later, and train the small network on the other forty,
# in batches of 64 that hold 4 images of each of 16 species, so that every anchor has three positives. (In a batch of random
# images some anchors would have none; with thousands of classes, nearly all.) At each step we note the shares of the three kinds among *all* triplets of the batch.

# %%
from dmlbook.sampling import ClassBatches
from dmlbook.training import TrainConfig, Views, embed

CPU = torch.device("cpu")
place = torch.arange(len(birds)) % 50  # within its species: 50 images each, in order
assert torch.equal(birds.labels, torch.arange(len(birds)) // 50)
part = birds.select((place < 40).nonzero()[:, 0])
kept = birds.select((place >= 40).nonzero()[:, 0])
unseen = datasets.load("birds", "test")
EPOCHS, MARGIN = settings.by_mode(smoke=1, class_=6, full=20), 0.2
SEEDS = [SEED + n for n in range(settings.by_mode(smoke=1, class_=3, full=5))]
# At each step every drawing is moved by up to 8 percent of its side, and not mirrored.
views = Views(part, TrainConfig(augment="shift", flip=False))
print(f"{len(part)} images to train on, {len(kept)} of the same species kept", end=", ")
print(f"{len(unseen)} of unseen species")


# %%
def train(loss, seed, epochs=EPOCHS, each=4):
    """A network, and the shares (hard, semi-hard, easy) in each of its batches."""
    net = nets.build("small", embedding_size=64, seed=seed)
    net.to(memory_format=torch.channels_last).train()
    adam = torch.optim.Adam(net.parameters(), lr=4e-3)
    batches, seen = ClassBatches(part.labels, 64, each, seed), []
    for epoch in range(epochs):
        for step, index in enumerate(batches.batches(epoch)):
            x = net(views.for_training(index, CPU, epoch=epoch, step=step))
            y = part.labels[index]
            apart = geometry.squared_distances(x, x)
            seen.append(losses.triplet_kinds(apart, y, margin=MARGIN))
            adam.zero_grad()
            loss(x, y).backward()
            adam.step()
    return net, seen


# %% [markdown]
# Two ways to train: on the mean over all triplets of the batch, or on those that (1.11) mines, "semi-hard" for short; both with
# the package's own margin, 0.2, which is FaceNet's. The output gives percent as mean ± half-width of the 95 percent interval
# (number of seeds).
#
# **Predict.** Training on all triplets, after the last epoch: how many of a batch's triplets are still active? (a) more than
# half; (b) between a quarter and a half; (c) less than a quarter.

# %%
predict("1.3", "?")

# %%
WAYS = {
    "all triplets": losses.TripletLoss(margin=MARGIN),
    "semi-hard": losses.SemiHardLoss(margin=MARGIN),
}
runs = {way: [train(loss, seed) for seed in SEEDS] for way, loss in WAYS.items()}
last = {}
for way, of_seeds in runs.items():
    firsts = [1 - seen[0].easy for _, seen in of_seeds]
    last[way] = [sum(1 - s.easy for s in seen[-20:]) / 20 for _, seen in of_seeds]
    print(f"{way:13} active in the first batch {records.percent(firsts)}", end=", ")
    print(f"over the last 20 {records.percent(last[way])}")
still = sum(last["all triplets"]) / len(SEEDS)
outcome("1.3", "a" if still > 0.5 else "b" if still > 0.25 else "c")
if settings.mode() == "smoke":
    print("not shown in smoke mode: one epoch is too short")
else:
    assert still < 0.25

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.3), sharey=True)
starts = range(0, 25 * EPOCHS, 5)
places = [0, *[(t + 2.5) / 25 for t in starts]]  # the first batch alone, then means
for ax, (way, of_seeds) in zip(axes, runs.items(), strict=True):
    seen = torch.tensor(of_seeds[0][1])  # (steps, 3)
    smooth = [seen[0].tolist(), *[seen[t : t + 5].mean(0).tolist() for t in starts]]
    by_kind = dict(zip(figures.KINDS, zip(*smooth, strict=True), strict=True))
    figures.shares(ax, places, by_kind)
    ax.set_title(f"Trained on {way}: most fall silent")
    ax.set_xlabel("epoch (first seed: first batch, means over 5 steps)")
axes[0].set_ylabel("share of the batch's triplets")
show(figure, "1b.5 shares of the kinds")


# %%
def both_scores(net, images):
    x = embed(net, images)
    recall = retrieval.recall_at_k(x, images.labels, ks=(1,))[1]
    return recall, retrieval.map_at_r(x, images.labels)


scores = {
    way: torch.tensor([both_scores(net, unseen) for net, _ in of_seeds])  # (seeds, 2)
    for way, of_seeds in runs.items()
}
for way, values in scores.items():
    print(f"{way:13} on unseen species: {experiments.both_measures(values)}")
paired = scores["semi-hard"] - scores["all triplets"]  # started alike
print("semi-hard minus all triplets, in points:", experiments.both_measures(paired))

# %% [markdown]
# **What to see.** An untrained network has learned no species, and most triplets of its first batch are active. A few
# epochs later most of each picture is light grey: most of the thousands of triplets in a batch are compared, found
# satisfied, and contribute
# exactly nothing, while every image still had to pass through the network. Mining looks for those that are left. Easy triplets
# count as zeros in the mean over all, so its gradient shrinks with the active share. (Adam divides by the usual size of the
# gradient and makes up for part of that.) Training on the semi-hard ones does not keep them alive: mining spends the supply it
# lives on. Does it pay in retrieval? Both ways share their seeds, so look at the differences seed by seed. As long as an interval
# holds 0, runs as few and as short as these cannot tell; and both had one learning rate, tuned for neither.
#
# ## 1b.6 Which images may we test on?
#
# No network has seen the ten images kept of every training species. May we test on these new *images*? To compare, as many:
# ten images of each of 40 *unseen* species. We score the networks of §1b.5 and average the two of one seed.
#
# **Predict.** MAP@R on new images of *seen* species, minus that on *unseen* species: (a) the interval over the seeds holds 0,
# for all images are new; (b) it lies above 0; (c) below.

# %%
predict("1.4", "?")

# %%
groups = {"new images of seen species": kept}
# The unseen species have fifty images each as well, so `place` fits them too.
groups["images of unseen species"] = unseen.select((place < 10).nonzero()[:, 0])
gap = {}
for name, images in groups.items():
    pixels = images.images.flatten(1).float()
    pixels = pixels - pixels.mean(0)
    by_pixels = retrieval.recall_at_k(pixels, images.labels, ks=(1,))[1]
    of_ways = [[both_scores(net, images) for net, _ in runs[way]] for way in runs]
    gap[name] = torch.tensor(of_ways).mean(0)  # (seeds, 2)
    print(f"{name:26} pixels {100 * by_pixels:.1f}", end="   ")
    print(f"trained: {experiments.both_measures(gap[name])}")

# %%
on_seen, on_unseen = gap.values()  # of the same networks
ahead = on_seen - on_unseen
print("seen minus unseen, in points:", experiments.both_measures(ahead))
for measure, values in zip(("Recall@1", "MAP@R"), ahead.T.tolist(), strict=True):
    print(
        measure, "one by one:", ", ".join(f"{100 * points:+.1f}" for points in values)
    )
mean, half = records.interval(ahead[:, 1].tolist())  # of MAP@R
outcome("1.4", "b" if mean - half > 0 else "c" if mean + half < 0 else "a")
if settings.mode() == "smoke":
    print("not shown in smoke mode: one epoch is too short to remember a species")
else:
    assert min(float(ahead.min()), mean - half) > 0

# %% [markdown]
# **What to see.** A trap. Same networks, same number of images and species, and yet seen species score higher: in MAP@R the
# interval is clear of 0. (In Recall@1 every seed is ahead too, but so few give a wide interval. No seed draws other species:
# that pixels find both groups about equally hard is our only check that they are.) A network that is asked for *known*
# classes may answer by what it remembers of each; this tells nothing about the species it will meet in use.
#
# **Remedy.** Split by class. If a set comes split by image, as many classification sets do, split it anew. And compare only
# scores of one and the same list of images: in §1b.5, with more images of each query's species to find, Recall@1 was
# higher.
#
# ## 1b.7 What a batch holds of a neighborhood
#
# Mining chooses among the triplets *of the batch*. But what is in the batch? An image is confused with its nearest neighbors of
# other classes. (§1b.3 passed over the hardest negative, whose label may be wrong; but what the batch does not hold, no rule
# can take or pass over.) Take image $i$, its $k$ nearest neighbors in the whole training set of $N$ images ($k$ is a
# number in this section, in exercise 1.7 and in 01c, no longer a negative), and a batch of $B$
# images that contains $i$. The other $B - 1$ are drawn from the other $N - 1$ at random, without replacement. Which share of
# the $k$ neighbors is in the batch?
#
# **Predict.** $N = 1600$, $B = 64$, $k = 10$: once by pixels, once by the trained network's embedding, which finds other
# neighbors. The share found in the batch is (a) larger for the trained embedding; (b) larger for pixels; (c) the same.

# %%
predict("1.5", "?")

# %% [markdown]
# First by counting every possible batch, on the five points: A and its $k = 2$ nearest, B and C, in batches of $B = 3$.

# %%
batches = [{0, *others} for others in itertools.combinations([1, 2, 3, 4], 2)]
found = [len(batch & {1, 2}) for batch in batches]
for batch, n in zip(batches, found, strict=True):
    print("".join(NAMES[j] for j in sorted(batch)), "holds", n, "of A's two nearest")
share = sum(found) / 2 / len(found)
print(f"share {share:.4f}")
assert abs(share - theory.neighbor_share(5, 3)) < 1e-12

# %% [markdown]
# **The share.** Each *single* neighbor is one of $N - 1$ others, of which $B - 1$ are in the batch. All are equally likely,
# so it is there with probability $\frac{B-1}{N-1}$. The expected number of neighbors in the batch is the sum of $k$ such
# probabilities (expectations add up, independent or not), and dividing by $k$,
#
# $$\mathbb{E}\,[\text{share of the } k \text{ nearest in the batch}] = \frac{B - 1}{N - 1}. \tag{1.12}$$
#
# ($\mathbb{E}$ is the mean over all batches that hold the image.) Neither $k$ nor the embedding appears: a random batch does
# not know who is near. $\blacksquare$
#
# Now count on real data, over the batches of several epochs: of every image's ten nearest in the whole set, those that are in
# its batch.

# %%
from dmlbook.sampling import UniformBatches

x = embed(runs["semi-hard"][0][0], part)  # (1600, 64)
pixels = part.images[..., ::2, ::2].flatten(1).float()
near = {
    "trained": book.nearest(x, 10),  # (1600, 10)
    "pixels": book.nearest(pixels - pixels.mean(0), 10),
}
sampler = UniformBatches(len(part), 64, SEED, drop_last=True)
epochs = range(settings.by_mode(smoke=8, class_=30, full=30))
formula, counted = theory.neighbor_share(len(part), 64), {}
print(f"share of the 10 nearest in batches of 64; formula {100 * formula:.3f} percent")
for name, nearest in near.items():
    met = [experiments.neighbors_met(nearest, sampler.batches(n)) for n in epochs]
    found = [share for share, _ in met]
    counted[name] = sum(found) / len(found)
    print(f"{name:8} mean and interval (epochs): {records.percent(found, digits=3)}")
    assert abs(counted[name] - formula) < 0.006
difference = counted["trained"] - counted["pixels"]
outcome("1.5", "c" if abs(difference) < 0.004 else "a" if difference > 0 else "b")

# %% [markdown]
# **What to see.** Counting and formula agree for both embeddings: the intervals hold the formula or miss it by a
# hair, as one in twenty may. A batch of 64 holds a few percent of an image's neighborhood, and this share is also the chance
# that it holds the *nearest* one. For even odds it would have to be half the training set; §1c.1 asks for any of several, and
# §1c.3 how near the closest negative of a batch is. On CUB, or worse on Stanford Online Products, half the set is far away:

# %%
for known in BENCHMARKS.values():
    of_size = {b: theory.neighbor_share(known.images[0], b) for b in (32, 128, 512)}
    found = ", ".join(f"B = {b}: {100 * share:.2f}" for b, share in of_size.items())
    print(f"{known.title:26} percent of the neighborhood: {found}")

# %% [markdown]
# What does a batch offer instead? Three birds, their nearest in the whole set, and their nearest in one batch drawn at random,
# a *uniform* batch (a black frame and a check mark: the same species; dashed and crossed: another).

# %% jupyter={"source_hidden": true}
batch = UniformBatches(len(part), 64, SEED).batches(0)[0]
queries = batch[:3].tolist()
near_set = book.nearest(x, 7)
near_batch = torch.zeros_like(near_set)
near_batch[batch] = batch[book.nearest(x[batch], 7)]
figure = book.gallery(
    part,
    queries,
    {"whole set": near_set, "batch of 64": near_batch},
    title="A batch offers few of the look-alikes of the whole set",
)
show(figure, "1b.7 set and batch")

# %% [markdown]
# **What to see.** The upper rows are full of look-alikes, some of other species: what this network still confuses. The lower
# rows are what a uniform batch would let training compare instead.
#
# And the batches of classes on which §1b.5 trains? They hold about twice as many neighbors of the *own* class as a uniform
# batch, and therefore slightly fewer of the other classes: §1c.4 proves and counts it.
#
# ## 1b.8 What to do about it
#
# We now know what "sampling triplets is a problem" means. There are too many to enumerate (§1b.1); after a while most teach
# nothing (§1b.5); and the images that one is most confused with are rarely in its batch, whatever the mining rule (§1b.7).
# Better mining cannot repair the last point, because it can only choose from what the batch holds. Larger batches help
# in proportion to their size.
#
# The two papers of this book, SoftTriple and the centroid bound, leave the triplets of images altogether. Let a few *points*
# stand for each class. There are far fewer of them than images, so every batch can compare every image with all of them, and
# not with the few percent of (1.12). What has to be shown is that comparing with such points says something about the images
# themselves. Chapter 02 proves it for one learned point a class, chapters 03 and 04 ask what to do with classes of several
# clusters, and chapter 05 bounds the sum over all triplets by distances to fixed points.

# %% [markdown]
# ## Exercises
#
# **Exercise 1.5 · the semi-hard batch loss** · difficulty 4 of 5 · 30 minutes. Build it from an empty function: for every
# ordered pair of an anchor and a positive (two images of one class) the negative of (1.11), with its fallback; for each such
# pair the hinge (1.10), on squared distances; the mean over all pairs. The check compares the value, and how it changes when a
# point moves along the sphere.


# %%
def my_semihard(
    x: torch.Tensor, labels: torch.Tensor, margin: float = 0.2
) -> torch.Tensor:
    """x: (B, D), of length 1; labels: (B,); returns one number, as a tensor."""
    ...


check("1.5", my_semihard)

# %% [markdown]
# <details><summary>Hint 1</summary>Loops are fine: a batch of 64 has a few hundred pairs. <code>mine</code> of §1b.3 finds the
# number of one negative; collect the terms in a list, and take the mean of <code>torch.stack(terms)</code>.</details>
# <details><summary>Hint 2</summary>Without loops: one (B, B, B) tensor holds the distance from i to k for each pair i, j.
# Where k is no negative, or not beyond j, put infinity and take the minimum over k; where that is infinite, take the
# farthest negative of i.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def my_semihard(x, labels, margin=0.2):
#     apart = (x[:, None] - x).square().sum(2)  # (B, B)
#     same = labels[:, None] == labels
#     negative = apart.masked_fill(same, torch.inf)[:, None]  # (B, 1, B)
#     beyond = negative.where(negative > apart[:, :, None], torch.inf).amin(2)  # (B, B)
#     farthest = apart.masked_fill(same, -torch.inf).amax(1, keepdim=True)  # (B, 1)
#     chosen = torch.where(beyond < torch.inf, beyond, farthest)
#     pairs = same & ~torch.eye(len(x), dtype=torch.bool)
#     return (apart - chosen + margin).clamp(min=0)[pairs].mean()
# ```
#
# People take the hardest negative; the closest where none is farther; a negative exactly as far as the positive; only
# those within the margin, as the table of §1b.2 has it. (A negative exactly at the margin is semi-hard to some libraries; no
# loss changes by it.) They take each pair once, though either image may be the anchor;
# divide by the active pairs or by the images; forget the square; or return a float, which has no slope. And a root of a
# squared distance has no slope at 0: the diagonal gives nan.
# </details>

# %% [markdown]
# When the check passes, yours trains here: two epochs, scored on unseen species before and after.

# %%
loss = yours("1.5", my_semihard, losses.SemiHardLoss(margin=MARGIN))
for epochs in (0, settings.by_mode(smoke=1, class_=2, full=6)):
    net, seen = train(loss, SEED, epochs)
    found = ", ".join(f"{100 * score:.1f}" for score in both_scores(net, unseen))
    active = f"; active at last {100 * (1 - seen[-1].easy):.0f} percent" if seen else ""
    print(f"after {epochs} epochs: Recall@1 and MAP@R {found}{active}")

# %% [markdown]
# **Exercise 1.6 · the planted bug** · difficulty 3 of 5 · 15 minutes. Another rule than (1.11): each anchor's *farthest*
# positive against its *closest* negative of the batch, the hardest triplet that the anchor has. The function runs, it has a
# gradient, and it trains. Here it moves free points of six classes. The loss falls, and stays at the margin.


# %%
def hardest_with_a_bug(x, labels, margin=0.2):
    apart = geometry.squared_distances(x, x)  # (B, B)
    same = labels[:, None] == labels
    farthest = (apart * same).amax(1)  # of the own class
    closest = (apart * ~same).amin(1)  # of other classes
    return (farthest - closest + margin).clamp(min=0).mean()


# %%
def descend(loss, y, steps=200):
    """Free points on the sphere: loss and mean distance of two, first and last."""
    points = torch.randn(len(y), 8, generator=generator(SEED, "free"))
    for step in range(steps + 1):
        x = geometry.normalize(points).requires_grad_()
        value = loss(x, y)
        if step in (0, steps):
            spread = geometry.distances(x, x).sum() / (len(y) * (len(y) - 1))
            print(f"step {step:3}: loss {value:.3f}, mean distance {spread:.3f}")
        points = (x - 0.5 * torch.autograd.grad(value, x)[0]).detach()


descend(hardest_with_a_bug, torch.arange(24) // 4)

# %% [markdown]
# A loss that stays at its margin: §1b.2 says to print the mean distance. It is far from 0: the points have not all become one,
# and the fault is in the function. Write it without the bug.


# %%
def hardest(x: torch.Tensor, labels: torch.Tensor, margin: float = 0.2) -> torch.Tensor:
    """x: (B, D), of length 1; labels: (B,), each at least twice; returns one number."""
    ...


check("1.6", hardest)
if hardest(five, labels) is not None:
    descend(hardest, torch.arange(24) // 4)

# %% [markdown]
# <details><summary>Hint 1</summary>Print <code>closest</code> for the five points. Which image is it?</details>
# <details><summary>Hint 2</summary>A mask that multiplies puts 0 where it hides. That is harmless under a maximum of
# distances. And under a minimum?</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def hardest(x, labels, margin=0.2):
#     apart = geometry.squared_distances(x, x)
#     same = labels[:, None] == labels
#     farthest = (apart * same).amax(1)
#     closest = apart.masked_fill(same, torch.inf).amin(1)
#     return (farthest - closest + margin).clamp(min=0).mean()
# ```
#
# The hidden entries are 0, the smallest of all: the closest "negative" is always the image itself, at distance 0, and has no
# gradient. What is left pulls positives together, pushes nothing away, and never falls below the margin. Free points of
# different classes stay apart all the same, for nothing moves them; a network has no such luck. People hide the
# diagonal alone and take the closest image of any class; turn the minimum into a maximum; take one minimum for the whole
# batch; mend the half that had no bug as well; or detach what they found.
# </details>

# %% [markdown]
# **Exercise 1.7 · a neighbor in the batch** · difficulty 3 of 5 · 15 minutes. (1.12) is the mean *share* of the $k$ nearest.
# What is the chance that *at least one* of them is in the batch? The batch of $B$ holds the image itself, and the others are
# drawn from the $N - 1$ without replacement. Derive it on paper, and write it.


# %%
def chance_of_a_neighbor(images: int, batch_size: int, k: int) -> float:
    """images: N; batch_size: B, the image itself among them; k: nearest neighbors."""
    ...


check("1.7", chance_of_a_neighbor)

# %% [markdown]
# <details><summary>Hint 1</summary>The opposite is easier: none of them is there.</details>
# <details><summary>Hint 2</summary>B - 1 others are drawn from N - 1. <code>math.comb</code> counts choices.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# from math import comb
#
# def chance_of_a_neighbor(images, batch_size, k):
#     return 1 - comb(images - 1 - k, batch_size - 1) / comb(images - 1, batch_size - 1)
# ```
#
# Its proof is in §1c.1, with a picture. People draw with replacement, treat the k neighbors as independent of each other,
# count the image itself among those to be drawn, or answer k (B - 1) / (N - 1), the expected *number* of neighbors, which
# can exceed 1.
# </details>

# %% [markdown]
# **Investigation 1.8 · images a class** · difficulty 4 of 5 · 30 minutes. Our batches of 64 held four images of each of
# sixteen species, because we said so. What of two, eight or sixteen images of each (`each`)? (1.16) of §1c.4 says what the
# batch then holds. Does it matter for unseen species? Choose the epochs so that the printed steps agree (forty images are no
# multiple of sixteen). Say first what you expect of Recall@1 and of MAP@R; use three seeds, and count what you tried.

# %%
for each in (4,):  # add yours
    runs_of = [
        train(losses.SemiHardLoss(margin=MARGIN), seed, 1, each) for seed in SEEDS
    ]
    found = torch.tensor([both_scores(net, unseen) for net, _ in runs_of])
    print(f"{each} images a class, {len(runs_of[0][1])} steps:", end=" ")
    print(experiments.both_measures(found))

# %% [markdown]
# **Your finding:** ...
#
# <details><summary>What others found</summary>
#
# After three epochs and three seeds two images of each were behind four and eight in the mean, by both measures, and behind
# four after six epochs as well. But every interval of paired differences held 0: such runs cannot tell. Sixteen of each had
# more steps in an epoch, so equal epochs were not equal steps. Six settings were tried. What (1.16) says of a batch is exact; whether it matters for unseen species takes more seeds.
# </details>

# %% [markdown]
# ## What to take away
#
# - There are about $N^3 / C$ triplets. Most soon satisfy their margin and teach nothing, so one mines, and can mine only what
#   the batch holds.
# - The zones hard, semi-hard and easy belong to a pair of anchor and positive.
# - When a loss stays at its margin, print the mean distance: near 0 the network has collapsed; if not, look for a bug.
# - Scores on new images of classes that training has seen may measure in part what is remembered of them. Split by
# class.
# - A uniform batch holds on average the share $(B - 1) / (N - 1)$ of the neighborhood of any of its images, whatever the
#   embedding.
#
# ## Two questions
#
# 1. One triplet in ten is still active. Why is the *mean* over all triplets then a poor guide to what is left to learn?
# 2. You double both the training set and the batch. What happens to the share of an image's neighbors in its batch?
#
# <details><summary>Short answers</summary>
#
# 1. Nine of ten terms are 0: the mean is small whether or not the active ones still lose much.
# 2. Almost nothing: $(2B - 1) / (2N - 1)$ is about $(B - 1) / (N - 1)$.
# </details>
#
# ## References
#
# - F. Schroff, D. Kalenichenko, J. Philbin. *FaceNet: A Unified Embedding for Face Recognition and Clustering*. CVPR 2015.
# - A. Hermans, L. Beyer, B. Leibe. *In Defense of the Triplet Loss for Person Re-Identification*. 2017, arXiv 1703.07737
#   (exercise 1.6's rule, "batch hard").
# - Q. Qian and others, 2019, and T.-T. Do, T. Tran, I. Reid, V. Kumar, T. Hoang, G. Carneiro. *A Theoretically Sound Upper
#   Bound on the Triplet Loss for Improving the Efficiency of Deep Distance Metric Learning*. CVPR 2019, arXiv 1904.08720.
#
# **Deeper**: [01c · Triplets, deeper](01c_triplets_deeper.ipynb): any of several neighbors, whole triplets, the closest
# negative. **Next**: [02 · SoftMax is a smoothed triplet loss](02_softmax_is_smoothed_triplet.ipynb), where one learned point
# stands for a whole class, and every image meets every class in every batch.
