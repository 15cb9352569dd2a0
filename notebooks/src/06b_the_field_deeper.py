# %% [markdown]
# # 06b · The field, deeper
#
# **Question.** Where does each loss come from, what does it do at its limits, and what do the larger comparisons say?
#
# **After this companion you can**
# - name for each loss its paper, its constants, and where our version differs,
# - say how well clustering's search for a wrong clustering works, and what keeping class means exact costs,
# - predict which losses go on pushing when everything is solved, and which go dead when a batch is poor,
# - read the records of other image sets and the published tables beside them, and say what cannot be compared,
# - use our losses in pytorch-metric-learning, and its losses in `fit`.
#
# **Before it** you need the lesson [06](06_the_field.ipynb).
#
# **Time** about {reading} minutes; the sections do not build on one another. The cells run in about a minute.

# %%
import math
import time
from itertools import combinations

import matplotlib.pyplot as plt
import torch
from IPython.display import Markdown, display
from sklearn.metrics import normalized_mutual_info_score as agreement

from dmlbook import book, geometry, losses, records, settings
from dmlbook.chapters import show
from dmlbook.chapters.ch06 import experiments, figures, methods, theory
from dmlbook.losses.facility_location import facility_score, loss_augmented_medoids
from dmlbook.seeding import SEED, generator

book.use_style()
book.story("06b")

# %% [markdown]
# ## 6b.1 Where each comes from
#
# *Paper; its formula in a line; the constants of paper and code; what ours does otherwise.* "Code" is a public
# repository that was read.
#
# **Semi-hard triplets.** Schroff, Kalenichenko, Philbin, *FaceNet*, CVPR 2015. $[d^2_{ap} - d^2_{an} + m]_+$ with a
# negative beyond the positive and, in the paper, within the margin. Ours is TensorFlow's rule: the closest negative
# beyond the positive, however far, else the farthest. TensorFlow's default margin is 1.0; ours is 0.2.
# pytorch-metric-learning's semi-hard miner takes *all* negatives within the margin, unsquared, and averages over what
# is left: another loss.
#
# **Lifted structure.** Oh Song, Xiang, Jegelka, Savarese, CVPR 2016, formula (6.1). $\alpha = 1$, distances not
# squared, embeddings **not** normalized (the linear layer feeds the loss, and evaluation is plain Euclidean). The
# official batches hold each image twice, in two views, as a positive pair; ours do not. pytorch-metric-learning's value
# is the same on the sphere, where it normalizes unless told not to.
#
# **N-pairs.** Sohn, NIPS 2016, formula (6.2). Not normalized; a small weight on squared lengths (TensorFlow's default
# amounts to 0.001 times the mean) keeps them from growing. The paper also picks hard classes for a batch; ours draws
# classes at random. The published numbers are with several crops of each test image.
#
# **Clustering.** Oh Song, Jegelka, Rathod, Murphy, CVPR 2017, formula (6.3). Unsquared distances on the sphere, NMI
# divided by the *geometric* mean of the entropies (scikit-learn's default is the arithmetic one today). In the
# paper $\gamma$ falls by factors of 0.94 during training, from a start that we do not know; ours is constant. We divide
# the whole gap, $\gamma$ and all, by the batch size: a mean over images, like every other loss here.
#
# **Proxy-NCA.** Movshovitz-Attias, Toshev, Leung, Ioffe, Singh, ICCV 2017, formula (6.5). The paper leaves the own
# proxy out of the denominator, speaks of scaling factors and gives no values. The best-known re-implementation keeps
# the own proxy, smooths labels, and scales both sides by 3, which but for the smoothed labels
# is normalized SoftMax with $\lambda = 18$. The paper
# already says that its loss bounds a triplet loss up to an error that shrinks as images approach their proxies; the
# centroid bound of chapter 05 keeps that error as two more terms of the loss.
#
# **ProxyNCA++.** Teh, DeVries, Taylor, ECCV 2020. The own proxy is kept, $T = 1/9$: `proxy_nca` with
# `scale=9, denominator="all"`. Its other changes are none of the loss's: global *maximum* pooling, a normalization
# layer, 8 classes with 4 images each in a batch, and proxies that learn far faster than the network.
#
# **Triplet-center.** He, Zhou, Zhou, Bai, Bai, CVPR 2018, formula (6.4), with a SoftMax beside it, which ours leaves
# out. Its margin of 5 is for features of any length: on the sphere half a squared distance is at most 2. Means follow
# by center loss's rule (Wen, Zhang, Li, Qiao, ECCV 2016), formula (6.9) below. `negatives="mean"` is the linear form of
# Ming and others (ICCV workshops 2017). Which earlier works Do and others mean when they speak of centroids that are
# optimized, their text would say; we could not obtain it.
#
# **Normalized SoftMax.** Zhai and Wu, BMVC 2019, and the baseline of Qian and others, ICCV 2019; chapter 02.
#
# **HardTriple, SoftTriple.** Qian, Shang, Sun, Hu, Li, Jin, ICCV 2019; chapters 03 and 04. $\lambda = 20$,
# $\gamma = 0.1$, $\delta = 0.01$, $\tau = 0.2$, ten centers (two on online products).
#
# **Centroid bound.** Do, Tran, Reid, Kumar, Hoang, Carneiro, CVPR 2019; chapter 05, which says how we know it: its full
# text could not be obtained.
#
# **Proxy-Anchor.** Kim, Kim, Cho, Kwak, CVPR 2020, formula (6.7). $\alpha = 32$, $\delta = 0.1$, random batches of 180.
# The official code adds what the paper does not say: average *and* maximum pooling, frozen batch norm, a warm-up epoch,
# clipped gradients, and the best test epoch is what is reported. In the paper's own table over batch sizes, with 30
# images it is half a point ahead of SoftTriple on CUB (65.9, SoftTriple 65.4) and 2.3 behind on online products (76.0,
# 78.3). The paper charges
# SoftTriple a cost that is quadratic in the centers; that is true of the regularizer of the official code alone, and
# not of the loss.
#
# **Sub-center ArcFace.** Deng, Guo, Liu, Gong, Zafeiriou, ECCV 2020, formula (6.6). $s = 64$, $m = 0.5$, $K = 3$.
# Afterwards images more than 75 degrees from their class's dominant center are dropped, and a plain ArcFace is trained
# on the rest; ours is the first half. The authors' code has no guard for $\theta > \pi - m$; ours and
# pytorch-metric-learning have.
#
# **Magnet**, the ancestor of several centers (Rippel, Paluri, Dollár, Bourdev, ICLR 2016), is told and not built: $K$
# clusters a class by k-means over the whole set, refreshed now and then; a batch holds one cluster and its nearest
# impostors; and the loss is a softmax over clusters, with the variance of the batch as temperature. SoftTriple took
# from it that a class may have several representatives, and replaced what was expensive: no index, no special batches,
# a soft assignment instead of k-means, and centers that are learned.
#
# The identity behind "keep the own proxy or not", image by image:
#
# $$\ell_{\text{all}} = \log\big( 1 + e^{\,\ell_{\text{others}}} \big) \tag{6.8}$$

# %%
apart = torch.rand(6, 5, generator=generator(SEED, "identity"), dtype=torch.float64) * 4
for image, label in enumerate(torch.arange(6) % 5):
    one, own = apart[image : image + 1], label[None]
    left_out = losses.proxy_nca_mean(one, own)
    kept = losses.proxy_nca_mean(one, own, denominator="all")
    torch.testing.assert_close(kept, torch.log1p(left_out.exp()))
print("the identity holds for six images with five proxies")

# %% [markdown]
# The losses of earlier chapters, on the four points of the lesson: all triplets (01), normalized SoftMax (02),
# HardTriple and SoftTriple (03), the centroid bound (05). The first and the last use only the first center of each class;
# $\lambda = 20$, $\gamma = 0.1$, and $\delta = 0.01$ where there are several centers, else 0.

# %%
x = [[1.0, 0.0], [0.6, 0.8], [0.8, -0.6], [0.0, -1.0]]  # a, b | c, d
x = torch.tensor(x, dtype=torch.float64)
y, labels = [0, 0, 1, 1], torch.tensor([0, 0, 1, 1])
w = [[[0.8, 0.6], [0.0, 1.0]], [[0.6, -0.8], [0.8, -0.6]]]
w = torch.tensor(w, dtype=torch.float64)  # (C=2, K=2, D=2)


def cross_entropy(similarity, scale, delta):
    """What SoftMax, HardTriple, SoftTriple share; similarity(image, class) differs."""
    values = []
    for i in range(4):
        own = math.exp(scale * (similarity(i, y[i]) - delta))
        other = math.exp(scale * similarity(i, 1 - y[i]))
        values.append(-math.log(own / (own + other)))
    return sum(values) / 4


# %%
def one(i, c):
    return float(x[i] @ w[c, 0])


def hard(i, c):
    return max(float(x[i] @ center) for center in w[c])


def soft(i, c):
    s = [float(x[i] @ center) for center in w[c]]
    q = [math.exp(v / 0.1) for v in s]
    return sum(a * b for a, b in zip(q, s, strict=True)) / sum(q)


# %%
cosines = torch.einsum("bd,ckd->bck", x, w)
of = {
    "normalized SoftMax": (one, 0.0, cosines[:, :, 0]),
    "HardTriple": (hard, 0.01, losses.hardtriple_similarity(cosines)),
    "SoftTriple": (soft, 0.01, losses.softtriple_similarity(cosines)),
}
for name, (similarity, delta, package) in of.items():
    mine = cross_entropy(similarity, 20.0, delta)
    theirs = losses.margin_cross_entropy(package, labels, scale=20.0, margin=delta)
    torch.testing.assert_close(torch.tensor(mine).double(), theirs, rtol=0, atol=1e-6)
    print(f"{name:20} {mine:.4f}")

# %%
from itertools import product

d = [[float((p - q).norm()) for q in x] for p in x]
found = [t for t in product(range(4), repeat=3) if y[t[0]] == y[t[1]] != y[t[2]]]
values = [max(d[i][j] ** 2 - d[i][k] ** 2 + 0.2, 0) for i, j, k in found if i != j]
triplet = sum(values) / len(values)
to = [[float((p - c).norm()) for c in w[:, 0]] for p in x]
bound = sum(3 * to[i][y[i]] - to[i][1 - y[i]] for i in range(4)) / 4
apart = geometry.distances(x, x).square()
theirs, _ = losses.triplet_mean(apart, labels, margin=0.2)
near = geometry.distances(x, w[:, 0].contiguous())
package = losses.centroid_terms(near, labels).mean()
for mine, other in ((triplet, theirs), (bound, package)):
    torch.testing.assert_close(torch.tensor(mine).double(), other, rtol=0, atol=1e-6)
print(f"{'triplet, margin 0.2':20} {triplet:.4f}\n{'centroid bound':20} {bound:.4f}")

# %% [markdown]
# ## 6b.2 How wrong a clustering can be found?
#
# **Clustering** (Oh Song and others, 2017) judges the batch as a whole. Choose as many images as there are classes, any
# images: the **medoids** $S$. Every image joins the closest one, and $F(S) = -\sum_i \min_{j \in S} d_{ij}$ says how
# well $S$ stands for all. NMI, normalized mutual information, is 1 if these clusters are the classes and 0 if they say
# nothing about them. The true classes, each with its best medoid, must beat every $S$ by $\gamma (1 - \mathrm{NMI})$:
# by nothing if $S$ finds the classes, by $\gamma$ if its clusters say nothing about them:
#
# $$\ell = \Big[ \max_S \big\{ F(S) + \gamma\, (1 - \mathrm{NMI}(S)) \big\} - \sum_c \max_{j \in c} F_c(\{j\}) \Big]_+ \tag{6.3}$$
#
# $F_c$ sums over the images of class $c$ alone. With four points there are six sets $S$, and we can try them all.

# %%
d = geometry.distances(x, x)
pairs_of_points = list(combinations(range(4), 2))


def clustering(gamma):
    scores = []
    for s in pairs_of_points:
        clusters = [min(s, key=lambda j: d[i, j]) for i in range(4)]
        far = sum(float(d[i, j]) for i, j in enumerate(clusters))
        nmi = agreement(y, clusters, average_method="geometric")
        scores.append(-far + gamma * (1 - nmi))
    # of two points either is the medoid, and one distance is left
    classes = -float(d[0, 1]) - float(d[2, 3])
    return max(max(scores) - classes, 0)


package = losses.clustering_gap(d, labels, margin_weight=4.0)
torch.testing.assert_close(clustering(4.0), float(package), rtol=0, atol=1e-6)
print(f"{'clustering, gamma 4':28} {clustering(4.0):8.4f}")

# %% [markdown]
# Clustering's loss needs the *most violating* medoids: those with a high score although their clusters disagree with the
# classes. For a
# batch of 128 there are astronomically many sets, so they are built greedily, and then a local search lets each cluster
# try its members, up to five rounds. On ten points and three classes all 120 sets can be tried.

# %%
TRIALS = settings.by_mode(smoke=10, class_=60, full=200)
sets, classes = list(combinations(range(10), 3)), torch.arange(10) % 3


def ten_points(trial):
    """Distances between ten random points on a sphere."""
    draw = generator(SEED, "sets", trial)
    points = geometry.normalize(torch.randn(10, 4, generator=draw, dtype=torch.float64))
    return geometry.distances(points, points)


def score(apart, chosen, weight):
    """F(S) + weight (1 - NMI), with scikit-learn's NMI."""
    clusters = apart[:, list(chosen)].argmin(1)
    nmi = agreement(classes, clusters, average_method="geometric")
    return float(facility_score(apart, torch.tensor(chosen))) + weight * (1 - nmi)


# %%
exact = {0: 0, 5: 0}
for trial in range(TRIALS):
    apart = ten_points(trial)
    best = max(score(apart, chosen, 10.0) for chosen in sets)
    for rounds in exact:
        told = {"margin_weight": 10.0, "rounds": rounds}
        found = loss_augmented_medoids(apart, classes, **told).tolist()
        exact[rounds] += score(apart, found, 10.0) > best - 1e-9
print(f"the most violating of {len(sets)} sets was found in {exact[0]} of {TRIALS}")
print(f"batches greedily, in {exact[5]} after local search")

# %% [markdown]
# So the loss that is minimized is often a lower one than (6.3), and a hinge is needed where theory needs none: among
# the sets are the classes' own medoids, and so the true maximum is never below what it is compared with. A batch of 128
# has far more sets; there nothing can be checked.
#
# The margin matters only where $\gamma$ is of the order of the whole batch's distances. In how many of these batches
# does it change which set violates most?

# %%
changed = {0.1: 0, 1.0: 0, 10.0: 0}
for trial in range(TRIALS):
    apart = ten_points(trial)
    plain = [score(apart, chosen, 0.0) for chosen in sets]
    whole = [score(apart, chosen, 1.0) for chosen in sets]
    first = plain.index(max(plain))
    for weight in changed:
        both = [a + weight * (b - a) for a, b in zip(plain, whole, strict=True)]
        changed[weight] += both.index(max(both)) != first
print(f"of {TRIALS} batches of ten, the most violating set changes")
for weight, count in changed.items():
    print(f"with a margin of weight {weight:g} in {count}")

# %% [markdown]
# Of a hundred images the distances sum to ten times as much, and it takes ten times the weight.
#
# ## 6b.3 What does a fresh mean cost?
#
# A batch moves the network, and so all means. The exact remedy is a pass over the set for each step. The cheap one lets a
# batch of $n$ images of class $c$ pull its mean along, by $\eta = 0.5$ in center loss's paper and here:
#
# $$c \leftarrow c + \frac{\eta}{1 + n} \sum_{i:\, y_i = c} (x_i - c) \tag{6.9}$$
#
# How far off is it? We train a head on the features of a network with random weights and measure, every few steps, how
# far the running means are from the exact ones, beside how far the classes' exact means are from one another.

# %%
from dmlbook import datasets, nets
from dmlbook.training import embed

train = datasets.load("birds", "train")
features = embed(nets.build("small", embedding_size=64), train, features=True)
STEPS = settings.by_mode(smoke=40, class_=300, full=1000)


# %%
behind = {
    rate: experiments.drift(features, train.labels, rate=rate, steps=STEPS)
    for rate in (3e-3, 3e-4, 0.0)
}
for rate, late in behind.items():
    print(f"learning rate {rate:g}: at the end {late[-1][1]:.2f}")
print("images through the network a step: 32 with running means,")
print(f"32 + {len(train):,} with exact ones")
ends = [late[-1][1] for late in behind.values()]
assert settings.mode() == "smoke" or ends[0] > ends[1] > 0.2 < ends[2] < ends[0]

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7.4, 3.4))
for (rate, late), line in zip(behind.items(), ("-", "--", ":"), strict=True):
    style = {"color": "black", "linestyle": line, "label": f"learning rate {rate:g}"}
    ax.plot(*zip(*late, strict=True), **style)
ax.set(
    title="Running means are noisy; at a high rate they are farther off still",
    ylim=(0, None),
    xlabel="steps",
    ylabel="offset of a mean /\ndistance of two classes",
)
ax.legend()
show(figure, "6b.3 running means")


# %% [markdown]
# **What to see.** Mostly running means are *noisy*: even where the network stands still (rate 0) they are off by about
# half of what separates two classes, of which these features hold little. A batch of 32 holds on average 0.8 images of
# each of 40 classes, and a single one moves its class's mean by $\eta / 2$, a quarter of the way. A smaller $\eta$
# makes them less noisy, and later. At the largest rate they are *late* as well: an image is pulled to where its class
# was. (The distance between classes grows with training, too, so the curve is not lateness alone.) Exact means are
# neither, and each step then needs the whole set. Proxies do not have this problem, because the same descent moves them
# as the network; fixed centroids do not move.
#
# ## 6b.4 What still pushes when all is solved, and what goes dead
#
# Put ten classes at the corners of a simplex, as far apart as ten can be, every image within 0.005 of its corner, and
# every representative on its corner. Nothing is left to do. Which losses
# agree? (The force on an image is minus the gradient of the batch's mean loss, times the number of images.)
#
# **Predict.** Which of these still moves its images: (a) Proxy-Anchor; (b) normalized SoftMax; (c) all triplets?

# %%
rows = ["| loss | mean length of the force on an image |", "|---|---|"]
pushes = {name: theory.still_pushes(name) for name in losses.NAMES}
pushes["proxy_nca, scale 2"] = theory.still_pushes("proxy_nca", scale=2.0)
for name, push in sorted(pushes.items(), key=lambda item: -item[1]):
    rows.append(f"| {name} | {push:.4f} |")
display(Markdown("\n".join(rows)))

# %% [markdown]
# **What to see.** SoftMax, its kin, and every hinge that can close are content. The bound pulls with the same force as
# on the first day. Proxy-NCA's force shrinks with the distance, but no further than that: it never asks whether the
# image is classified (with scale 2 less of it is push, and the force is smaller). Proxy-Anchor's pull is silent, but
# its push is not: ten corners have cosine $-1/9$, hardly beyond the $-\delta = -0.1$ that it asks for, and with eleven
# classes and more no arrangement satisfies it. N-pairs, off the sphere, still wants to be longer. Lifted structure
# wants that too (§6.8), and since its distance is not squared, it pulls at a positive 0.005 away as hard as at a far
# one, as the bound does. Whether such restlessness helps or hurts unseen classes, this table cannot say: in
# §6.10 SoftMax, which stops, and Proxy-NCA, which never does, are both in the upper half.
#
# Then the other end: batches that teach nothing, because of what they hold. The mean length of the force on an image
# again, for up to 12 images of five classes in 8 dimensions, before they are normalized: vectors are about 2.8 long, and
# not all losses normalize, so compare along a row. **0** is less than 0.005:


# %%
points = torch.randn(12, 8, generator=generator(SEED, "poor"))
one, every = torch.zeros(12, dtype=torch.long), torch.arange(12) % 5
BATCHES = {
    "ordinary": (points, every),
    "one class": (points, one),
    "each class once": (points[:5], torch.arange(5)),
    "all images in one place": (points[:1].expand(12, 8).clone(), every),
}
rows = [f"| loss | {' | '.join(BATCHES)} |", "|---" * 5 + "|"]
for name in losses.NAMES:
    loss, cells = theory.place(name, theory.around(points, every)), []
    for batch in BATCHES.values():
        norm = float(theory.forces(loss, *batch).norm(dim=1).mean())
        cells.append(f"{norm:.2f}" if norm > 5e-3 else "**0**")
    rows.append(f"| {name} | {' | '.join(cells)} |")
display(Markdown("\n".join(rows)))

# %% [markdown]
# **What to see.** With one class there is nothing to push from, with every class once nothing to pull to, and at one
# point nothing has a direction: losses on examples are dead there (what is left of N-pairs is its weight on lengths),
# and that is why their batches are drawn by class. Losses with representatives of their own learn from each of these
# batches. A collapse is a point, though, and networks come *near* it:

# %%
FEW = ("triplet", "semihard", "npairs", "lifted", "clustering")
for spread in (1e-2, 1e-4, 1e-6):
    noise = torch.randn(12, 8, generator=generator(SEED, "near"))
    near = geometry.normalize((torch.ones(8) + spread * noise).double())
    stage, lengths = theory.around(near, every), {}
    for name in FEW:
        force = theory.forces(theory.place(name, stage), near, every)
        lengths[name] = float(force.norm(dim=1).mean())
    said = ", ".join(f"{name} {length:.4f}" for name, length in lengths.items())
    print(f"spread {spread:g}: {said}")
    assert lengths["lifted"] > 1 > 10 * spread + 0.01 > lengths["triplet"]

# %% [markdown]
# With squared distances (and with N-pairs' products) the force goes to 0 with the spread: a network that has collapsed
# under such a loss gets out only slowly. With distances that are not squared it is as large beside the point as anywhere.
#
# ## 6b.5 What a step costs
#
# The value and the gradient of each loss alone, without a network, for 100 classes in 64 dimensions (ten centers a
# class where there are several):

# %%
CLASS, FULL = (32, 64, 128, 256), (32, 64, 128, 256, 512)
SIZES = settings.by_mode(smoke=CLASS[:2], class_=CLASS, full=FULL)
seconds, told = {}, {"classes": 100, "dimensions": 64, "repeat": 3}
for name in losses.NAMES:
    seconds[name] = [theory.step_seconds(name, batch=n, **told) for n in SIZES]
dearest = max(losses.NAMES, key=lambda name: seconds[name][-1])
assert dearest == "clustering"


# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(9.4, 4.6))
figures.cost_lines(ax, SIZES, seconds)
ax.set(
    title="Looking for medoids costs most", xlabel="images in a batch", ylabel="seconds"
)
show(figure, "6b.5 seconds a loss")


# %% [markdown]
# **What to see.** Clustering looks for medoids, and costs far more than any other. For the others overhead still decides
# at these sizes: the pairs of all triplets grow toward the square of the table below, N-pairs hardly at all, and
# SoftTriple's regularizer costs the same for any batch. How much is that beside the network?

# %%
net = nets.build("small", embedding_size=64)
images, timed = torch.rand(64, 3, 64, 64, generator=generator(SEED, "step")), []
for _ in range(4):
    start = time.perf_counter()
    net(images).sum().backward()
    timed.append(1000 * (time.perf_counter() - start))
others = [1000 * seconds[name][1] for name in losses.NAMES if name != "clustering"]
print(f"the small network alone, 64 images of 64 pixels: {min(timed):.0f} ms a step")
low, high = min(others), max(others)
print(f"losses but clustering, 64 images: {low:.1f} to {high:.1f} ms")

# %% [markdown]
# $B$ images in a batch, $D$ dimensions, $C$ classes, $K$ centers a class, $P$ pairs, $M$ medoids:
#
# | | grows as | what a batch must hold |
# |---|---|---|
# | triplet, semi-hard | $B^2 D + B^2 \log B$: the $B^3$ triplets are not listed, but counted in sorted rows (lesson 01b) | two images of a class, two classes |
# | lifted | $B^2 D$ | two images of a class, two classes |
# | N-pairs | $P^2 D$ for $P$ pairs | two images of each class |
# | clustering | $B^2 D$, and $B^2 M$ and more for $M$ medoids | several images of several classes |
# | triplet-center, Proxy-NCA, SoftMax, bound | $B C D$ | anything |
# | Proxy-Anchor | $B C D$ | anything; many images are better |
# | HardTriple, SoftTriple, Sub-center ArcFace | $B C K D$ (SoftTriple's regularizer: $C K^2 D$) | anything |
#
# ## 6b.6 Other choices, other image sets
#
# Three doubts about the lesson's own table (§6.10), for which its text has no room.
#
# **Chosen by another measure.** Its searches took the settings with the best Recall@1 on held-out species. Would MAP@R
# have taken the same? And **more places to look**: some ranges were widened, so some losses had more points. How many,
# and whose choice still lies near an end?

# %%
same, points, ends = [], {}, []
for name in losses.NAMES:
    search = records.load_search(f"choosing/field-birds-{name}")
    title, mean = methods.METHODS[name].title, experiments.mean
    by_map = max(search.trials, key=lambda trial: mean(trial.values("map_at_r")))
    same += [name] * (by_map is search.best())
    looked = len(search.points()) * (1 + len(search.before))
    points.setdefault(looked, []).append(title)
    ends += [f"{title}'s {setting}" for setting in search.edges()]
print("MAP@R would have chosen the same settings", end=" ")
print(f"for {len(same)} of {len(losses.NAMES)} losses")
for count, titles in sorted(points.items(), reverse=True):
    print(f"{count} points: {', '.join(titles)}")
print("near an end (two images a class are the fewest there can be):", end=" ")
print(*ends, sep=", ")
assert len(same) == 7

# %% [markdown]
# Nearly half of the choices hang on the measure. The extra points went mostly to losses that stayed behind all the same;
# of those ahead only SoftTriple had them, and §6.10 shows SoftMax and HardTriple searched in ranges as wide as its own:
# SoftMax gained, HardTriple lost.
#
# **Other settings than the papers'.** The arrows of §6.6 were drawn with each loss's usual settings. What they give the
# one misplaced image of all their force, and with the settings that the search of §6.10 chose:

# %%
on, titles = theory.stage(), {n: methods.METHODS[n].title for n in losses.NAMES}
birds = records.compare({titles[n]: f"field/birds-{n}" for n in losses.NAMES})
forces = {"usual": {}, "chosen": {}}
for name, title in titles.items():
    options, _ = experiments.loss_options(birds.chosen(title))
    shares = []
    for which, given in (("usual", {}), ("chosen", options)):
        force = theory.forces(theory.place(name, on, **given), on.points, on.labels)
        forces[which][name] = force
        shares.append(f"{float(force[4].norm() / force.norm(dim=1).sum()):.2f}")
    print(f"{title:19} share of the misplaced image {shares[0]}, chosen {shares[1]}")

# %%
PAIRS = [("proxy_nca", "centroid_bound"), ("softmax", "hardtriple")]
for one, other in [*PAIRS, ("triplet_center", "lifted")]:
    both = []
    for of in forces.values():
        _, cosines = theory.alike({name: of[name] for name in (one, other)})
        both.append(f"{float(cosines[0, 1]):.2f}")
    print(f"cosine of {one} and {other}: {both[0]}, chosen {both[1]}")

# %% [markdown]
# Proxy-NCA stays with the bound. SoftMax still moves the mistake alone; HardTriple and SoftTriple, with the smaller
# scales that were chosen, give it 0.57 and 0.69 of their force. Triplet-center with its tiny margin moves nothing *but*
# the mistake, and leaves lifted structure's company. What a loss does is the loss *and* its scale or margin.
#
# Now the comparison of the lesson on other sets. The procedure is the same everywhere: eight points of each loss's own
# space, the better half trained for longer, on held-out training classes; then all seeds on test classes that nothing
# has chosen. One command repeats each: `python -m dmlbook choose data/plans/field-omniglot.toml`, and so on.

# %%
BUDGET = (
    "N-pairs' batches hold 6 images (three digits have three pairs), all others 30;"
)
BUDGET += " images and epochs are equal"
SETS = {
    "digits": "Digits, five to train and five to test",
    "omniglot": "Omniglot, 482 characters to train and 482 to test, "
    "11 to 20 drawings each",
    "many-birds": "Drawn birds, 1,000 species to train and 1,000 to test, "
    "five pictures each",
}
BOTH, fields = experiments.BOTH, {}
for key, title in SETS.items():
    rows = {titles[name]: f"field/{key}-{name}" for name in losses.NAMES}
    unequal = {"budget": BUDGET} if key == "digits" else {}
    fields[key] = records.compare(rows, unequal=unequal)
    table = fields[key].table(BOTH)
    display(Markdown(f"**{title}; small network**\n\n{table}"))

# %%
for key, title in SETS.items():
    table = fields[key].differences("SoftTriple", BOTH)
    display(Markdown(f"**{title}; small network**\n\n{table}"))

# %% [markdown]
# **What to see.** Three sets, three orders.
#
# - *Digits.* Five classes train, and the nearest neighbor is right 87 to 95 times in 100; on the two held-out digits of the
#   search Recall@1 was 100 percent for most, so ties chose their settings. There is no line between examples and
#   representatives: all triplets, clustering, triplet-center, SoftMax, HardTriple and Proxy-Anchor cannot be told apart
#   from SoftTriple by either measure; the others, some of each sort, are behind by Recall@1.
# - *Omniglot.* Learned proxies and centers are ahead of examples and of class means, the lowest of them by 5 points of
#   Recall@1 of the highest of those, and but for Sub-center ArcFace none of them can be told apart from SoftTriple. The
#   centroid bound now stands with the losses on examples. A possible reason, not tested, is that 482 fixed points do not
#   fit as a simplex into 64 dimensions, where at most 65 do; on digits, where five fit, the bound is low as well.
# - *Many species of five pictures.* All are poor. The two losses with one fixed or averaged point a class are last; about
#   the others the next cell says more. (Losses whose batches are drawn by class were shown more pictures in an epoch: a
#   class of five fills its last group of two or four with repeats. That is unequal, and in their favor.)
#
# Here many choices of a first search lay at the end of their range. So all thirteen were searched again, by as many
# points of wider ranges; the tables above are of that second search. Side by side:

# %%
narrow = {titles[name]: f"field/many-birds-narrow-{name}" for name in losses.NAMES}
first, moved, ends = records.compare(narrow), [], []
for name, title in titles.items():
    rows = (first.rows[title], fields["many-birds"].rows[title])
    found = [[100 * mean(row.values(key)) for row in rows] for key in BOTH]
    moved.append(abs(found[0][1] - found[0][0]))
    said = [
        f"{measure} {before:4.1f} {after:4.1f}"
        for measure, (before, after) in zip(BOTH.values(), found, strict=True)
    ]
    print(f"{title:19} {'   '.join(said)}")
    search = records.load_search(f"choosing/field-many-birds-{name}")
    near = [setting.removeprefix("loss_option.") for setting in search.edges()]
    ends += [f"{title}'s {setting}" for setting in near]
print(f"the second search moves Recall@1 by {mean(moved):.1f} points in the mean,")
print(f"and by up to {max(moved):.1f}")
print(f"still near an end: {', '.join(ends)}")

# %% [markdown]
# Semi-hard triplets led the first search by both measures, with $p < 0.01$ against SoftTriple; in the second they are
# in the middle, and Proxy-NCA leads, which was in the middle before. Had we stopped after the first, this page would
# say that pairs of examples suit many small classes. It would have had a table, five seeds and a corrected test for it.
# Only that the bound and triplet-center are last has been found twice.
#
# So no line of the lesson is a law, and each table is one search: §6.10 shows what a second one may do. Plans for
# Cars196 and CUB lie beside these (`data/plans/field-*.toml`).
#
# ## 6b.7 The published numbers, and why they are not in the tables above
#
# The table that SoftTriple's paper prints for CUB-200-2011 (64 dimensions), Recall@1, 2, 4, 8 and NMI in percent:
#
# | method | R@1 | R@2 | R@4 | R@8 | NMI | in the package |
# |---|---|---|---|---|---|---|
# | SemiHard | 42.6 | 55.0 | 66.4 | 77.2 | 55.4 | `semihard` |
# | LiftedStruct | 43.6 | 56.6 | 68.6 | 79.6 | 56.5 | `lifted` |
# | Clustering | 48.2 | 61.4 | 71.8 | 81.9 | 59.2 | `clustering` |
# | Npairs (several crops) | 51.0 | 63.3 | 74.3 | 83.2 | 60.4 | `npairs` |
# | ProxyNCA | 49.2 | 61.9 | 67.9 | 72.4 | 59.5 | `proxy_nca` |
# | SoftMax norm | 57.8 | 70.0 | 80.1 | 87.9 | 65.3 | `softmax` |
# | SoftTriple | 60.1 | 71.9 | 81.2 | 88.5 | 66.2 | `softtriple` |
#
# The upper rows are taken from other papers, with their own pictures' sizes and crops, and networks about which sources
# disagree; so the step from 49 to 58 is a step from one laboratory to another, and the step that is about the
# loss is the last one. The centroid bound's paper reports 51.4 (CUB) and 68.3 (Cars196), with a network and a dimension
# that we could not find out.
#
# Seven of them were put in one frame by Fehérvári, Ravichandran and Appalaraju (*Unbiased Evaluation of Deep Metric
# Learning Algorithms*, 2019), with one network (BN-Inception), 64 dimensions, means of ten runs, the *best test epoch* of
# each (empty: not reported):
#
# | Recall@1 | semi-hard | lifted | N-pairs | clustering | Proxy-NCA | SoftMax proxies | bound |
# |---|---|---|---|---|---|---|---|
# | CUB | 50.9 | 51.7 | 53.7 | 56.4 | 54.6 | **58.3** | 51.2 |
# | Cars196 | 60.9 | 65.3 | 71.2 | 73.3 | 71.9 | **81.7** | |
# | online products | | | 67.7 | 64.3 | 73.6 | **73.8** | |
#
# There, one center and a SoftMax has the highest mean on each set, on online products by 0.2. (Its 81.7 on Cars196 is a
# best test epoch, and so no match for the 78.6 that SoftTriple's paper reports.) And the bound of that table is not Do
# and others' bound: the code squares the distances (§5b.6 shows what that breaks) and puts the
# batch size where the number of images belongs.
#
# Then Musgrave, Belongie and Lim, *A Metric Learning Reality Check* (ECCV 2020), 50 trials of a Bayesian search for
# each loss, four-fold validation on training classes, found that the gains since 2006 are marginal. Best validation
# MAP@R, SoftTriple against normalized SoftMax: .4411 / .4399 (CUB), .2279 / .2361 (Cars196), .4166 / .4229 (online
# products). But the search for SoftTriple's $\gamma$ ran evenly up to 100, and of 50 trials a set none, one and none
# lay between hard assignment ($\gamma \le 0.01$) and a plain average of the centers ($\gamma > 1$). It says much about
# averaged centers, and nothing about the paper's $\gamma = 0.1$.
#
# ## 6b.8 After 2020, in words
#
# Each as read in its paper, its code or, where marked (t), in somebody else's table; Recall@1 on CUB, Cars196 and
# online products.
#
# - **Multi-similarity** (Wang and others, CVPR 2019): pairs are weighed by their own similarity and by that of the
#   batch's other pairs; positives and negatives saturate separately. In 64 dimensions 57.4 / 77.3 / 74.1 (t).
# - **Recall@k surrogates** (Patel, Tolias, Matas, CVPR 2022): ranks made soft by sigmoids, batches of 400 to 4,000. The
#   official code lets the query count in its own ranks.
# - **Hypergraphs** (HIST, Lim and others, CVPR 2022): classes are learned distributions, and the batch is a hypergraph.
#   ResNet-50: 71.4 / 89.6 / 81.4.
# - **Hyperbolic embeddings** (Hyp-ViT, Ermolov and others, CVPR 2022): distances in a space where trees fit; a vision
#   transformer with 85.6 / 86.5 / 85.9.
# - **Many proxies as a field** (PFML, Bhatnagar and Ahuja, CVPR 2025): 15 proxies a class on CUB and Cars196, 2 on
#   online products; ResNet-50 in 512 dimensions, five runs: 73.4 ± .3 / 92.7 ± .3 / 82.9 ± .2 (t). The best with that
#   network that we know of, and it has several centers; how much they do is not separated.
# - **Against several centers**: a multi-proxy paper of 2022 (MPL, IJCAI) says that earlier ones collapse to one mode;
#   ProxyGML (NeurIPS 2020) uses twelve proxies on CUB and one on online products; Sub-center ArcFace throws all but one
#   away.
# - **Frozen foundation features**: no training at all. DINOv2 (large) 84.4 / 69.2 / 57.6; CLIP L/14 74.5 / 84.4 / 67.0;
#   a ResNet-50 of ImageNet 45.5 / 24.7 / 51.5 (tables of the library Open Metric Learning, which warns that parts of
#   these sets may have been in the training data).
#
# Two lessons. The one change that moved CUB by twelve points was not a loss: Proxy-Anchor on a ResNet-50 goes from 69.7
# to 81.8 when its weights come from ImageNet-21k instead of ImageNet-1k (as a paper of AAAI 2026 on starting from neural
# collapse reports); the best and the worst loss of the one-network table of §6b.7 are 7.4 points apart there. And frozen
# features are not equally good everywhere: DINOv2 beats every trained ResNet of this page on birds, and is below
# 64-dimensional networks of 2019 on cars and on online products. Why, this list cannot say.
#
# ## 6b.9 With pytorch-metric-learning, both ways
#
# Every loss of the package is called as theirs are, and so runs in their trainers; theirs run in `fit`, with their own
# weights at `loss_lr`.
#
# ```python
# from pytorch_metric_learning import losses as theirs
#
# loss = theirs.MultiSimilarityLoss()
# config = TrainConfig(epochs=1, batch_size=40, sampler="class", samples_per_class=5, lr=1e-3, freeze_batch_norm=False)
# fit(nets.make_head(128, 0, 64), loss, Features(features, labels, num_classes), config)
# ```
#
# ```python
# from pytorch_metric_learning import miners, trainers
#
# trainer = trainers.MetricLossOnly(
#     models={"trunk": head, "embedder": torch.nn.Identity()},
#     optimizers={"trunk_optimizer": torch.optim.Adam(head.parameters(), lr=1e-3)},
#     batch_size=32,
#     loss_funcs={"metric_loss": losses.TripletLoss(margin=0.2)},
#     mining_funcs={"tuple_miner": miners.TripletMarginMiner(margin=0.2, type_of_triplets="semihard")},
#     dataset=torch.utils.data.TensorDataset(features, labels),
# )
# trainer.train(num_epochs=1)
# ```
#
# (`features`, `labels` and `Features` are as in exercise 6.1's training and in `tests/losses/test_interop.py`, where
# both run; the library is installed by `pip install pytorch-metric-learning`. The miner's 0.2 is of distances, the
# loss's of squared ones.) What a miner finds reaches our triplet, semi-hard, lifted structure and N-pairs losses as
# their third argument; losses on centers and the clustering loss refuse it and say why. In our own training it is
# `fit(..., miner=miners.MultiSimilarityMiner())`, or `python -m dmlbook train --miner MultiSimilarityMiner`. Their
# memory of former batches goes around the same four: `losses.cross_batch_memory(loss, embedding_size=64,
# memory_size=1024)` compares each batch with so many of the last images. A reference is no anchor, so lifted structure then
# sums over the negatives of the anchor alone. Theirs also adds those of whichever image of the batch has the positive's
# place in the memory.
#
# Where the two libraries differ, for the same name and default options: their Proxy-NCA keeps the own proxy and has
# scale 1; their lifted structure and N-pairs normalize; their semi-hard triplets are all those within the margin; their
# SoftTriple's regularizer is a separate object, off unless given. Where definitions agree, value and gradient do. The
# tests hold it for every loss, and train all of ours in their trainer (`tests/losses/test_interop.py`).
#
# ## References
#
# - H. Oh Song, Y. Xiang, S. Jegelka, S. Savarese. *Deep Metric Learning via Lifted Structured Feature Embedding*. CVPR
#   2016.
# - K. Sohn. *Improved Deep Metric Learning with Multi-class N-pair Loss Objective*. NIPS 2016.
# - H. Oh Song, S. Jegelka, V. Rathod, K. Murphy. *Deep Metric Learning via Facility Location*. CVPR 2017.
# - Y. Movshovitz-Attias, A. Toshev, T. Leung, S. Ioffe, S. Singh. *No Fuss Distance Metric Learning using Proxies*.
#   ICCV 2017.
# - X. He, Y. Zhou, Z. Zhou, S. Bai, X. Bai. *Triplet-Center Loss for Multi-View 3D Object Retrieval*. CVPR 2018.
# - O. Rippel, M. Paluri, P. Dollár, L. Bourdev. *Metric Learning with Adaptive Density Discrimination*. ICLR 2016.
# - S. Kim, D. Kim, M. Cho, S. Kwak. *Proxy Anchor Loss for Deep Metric Learning*. CVPR 2020.
# - J. Deng, J. Guo, T. Liu, M. Gong, S. Zafeiriou. *Sub-center ArcFace*. ECCV 2020.
# - E. W. Teh, T. DeVries, G. W. Taylor. *ProxyNCA++*. ECCV 2020.
# - I. Fehérvári, A. Ravichandran, S. Appalaraju. *Unbiased Evaluation of Deep Metric Learning Algorithms*. 2019, arXiv
#   1911.12528.
# - K. Musgrave, S. Belongie, S.-N. Lim. *A Metric Learning Reality Check*. ECCV 2020, arXiv 2003.08505.
#
# **Back** to the lesson: [06 · The field](06_the_field.ipynb). **Next**: [07 · Training](07_training.ipynb).
