# %% [markdown]
# # 05 · The centroid bound
#
# **Question.** Can triplets be bounded in time that is linear in the number of images?
#
# **After this chapter you can**
# - derive an upper bound of the triplet loss that never lists a triplet, for classes of one size and of any sizes,
# - prove how loose it can be, when it is exact, and where descent on it ends,
# - choose centroids, and say what the choice costs,
# - recognize three popular ways to break it (a hinge, squares, the batch size) and repair each,
# - measure how the cost of a loss grows, and read an exponent with care.
#
# **Before it** you need chapter [00](00_start_here.ipynb). Cross-entropy is not used here; a distance is.
#
# **Time** about {reading} minutes to read and try, and {exercises} for the exercises; the cells run in about a
# minute on a laptop with two cores.

# %%
import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

from dmlbook import book, datasets, geometry, losses, records, retrieval, settings
from dmlbook.chapters import check, outcome, predict, show
from dmlbook.chapters.ch05 import figures, theory
from dmlbook.seeding import SEED, generator

book.use_style()
book.story("05")

# %% [markdown]
# ## 5.1 Eight images, two classes
#
# Let $x_i \in \mathbb{R}^D$ be the **embedding** of image $i$ (the point that a network makes of it), $y_i$ its **label**
# (the number of its class), $N$ the number of images and $C$ the number of classes. Take $N = 8$ and $C = 2$ in the plane,
# so that you can see everything.

# %%
around = torch.tensor(
    [[0.3, 0.4], [-0.3, 0.4], [-0.3, -0.4], [0.3, -0.4]], dtype=torch.float64
)
centroids = torch.tensor([[-1.0, 0.0], [1.0, 0.0]], dtype=torch.float64)  # (C=2, D=2)
x = torch.cat([centroids[0] + around, centroids[1] + around.flip(1)])  # (N=8, D=2)
labels = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1])

# %% [markdown]
# A **triplet** is an image $i$ (the **anchor**), another image $j$ of its class (the **positive**) and an image $k$ of
# another class (the **negative**). We want the positive to be closer than the negative, so we add up by how much it is
# farther (a negative number if all is well):
#
# $$L_t = \sum_{(i, j, k)} \big( \lVert x_i - x_j \rVert - \lVert x_i - x_k \rVert \big) \tag{5.1}$$
#
# over all triplets with $y_j = y_i$, $j \ne i$, $y_k \ne y_i$. The bars mean plain distance: not squared. There is no margin
# and no hinge $[\,\cdot\,]_+ = \max(\cdot, 0)$; both come in section 5.9, with trouble. As loops:


# %%
def distance(a, b):
    return float((a - b).norm())


def triplets(labels):
    everyone = range(len(labels))
    same = [
        (i, j) for i in everyone for j in everyone if i != j and labels[i] == labels[j]
    ]
    return [(i, j, k) for i, j in same for k in everyone if labels[k] != labels[i]]


def triplet_loss(x, labels):
    return sum(
        distance(x[i], x[j]) - distance(x[i], x[k]) for i, j, k in triplets(labels)
    )


print(f"{len(triplets(labels))} triplets, L_t = {triplet_loss(x, labels):.3f}")

# %% [markdown]
# **Counting.** Let $n_m$ be the number of images of class $m$. An anchor of class $m$ has $n_m - 1$ positives and
# $N - n_m$ negatives, and there are $n_m$ such anchors. With $H$ for the number of triplets,
#
# $$H = \sum_m n_m (n_m - 1) (N - n_m), \qquad H = N \Big(\frac NC - 1\Big) \Big(N - \frac NC\Big) \text{ if all } n_m = \frac NC. \tag{5.2}$$

# %%
assert (
    len(triplets(labels))
    == 8 * (8 // 2 - 1) * (8 - 8 // 2)
    == losses.count_triplets(labels)
)
print(
    f"triplets: {losses.count_triplets(labels)}    distances from 8 images to 2 centroids: {8 * 2}"
)

# %% [markdown]
# **Predict.** With twice as many images of the same two classes, the number of triplets grows (a) twofold; (b) fourfold;
# (c) more than eightfold.

# %%
predict("5.1", "?")  # "a", "b" or "c"

# %%
for n in (8, 16, 32, 64, 1024):
    y = torch.arange(n) % 2
    print(
        f"N = {n:5}: {losses.count_triplets(y):12,} triplets, {2 * n:5,} distances to centroids"
    )
ratio = losses.count_triplets(torch.arange(16) % 2) / losses.count_triplets(labels)
outcome("5.1", "c" if ratio > 8 else "b")

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(10, 2.7))
figures.one_anchor(axes[0], x, labels, anchor=0)
mine = sum(i == 0 for i, _, _ in triplets(labels))
axes[0].set(
    title=f"One anchor: 3 × 4 = {mine} triplets, {len(triplets(labels))} for all"
)
figures.to_centroids(axes[1], x, labels, centroids)
axes[1].set(title=f"All images to both centroids: {8 * 2} distances")
show(figure, "5.1 eight points two groups")

# %% [markdown]
# **What to see.** On the left each full line is paired with each dashed one, and that is one image of eight. On the right
# stands everything; the plus signs are the classes' centroids, of which in a moment. With this picture, 96 terms against 16,
# the paper that this chapter follows makes its point (Do and others, CVPR 2019). Its full text could not be obtained:
# what it states is taken from restatements by others, and every formula is derived here and tested.
#
# ## 5.2 A detour through the centroids
#
# Give each class $m$ a point $c_m \in \mathbb{R}^D$, its **centroid**. Despite the name it is not the mean of the class: it
# is *fixed*, chosen before training and never moved. For now it may lie anywhere. Write
#
# - $d_i = \lVert x_i - c_{y_i} \rVert$ for the distance of an image to its **own** centroid, and
# - $d_{im} = \lVert x_i - c_m \rVert$ for its distance to that of another class $m$.
#
# A detour is never shorter than the straight way (the triangle inequality). From anchor to positive we may go through their
# common centroid:
#
# $$\lVert x_i - x_j \rVert \le d_i + d_j .$$
#
# And from the anchor to the negative's centroid we may go through the negative: $d_{i y_k} \le \lVert x_i - x_k \rVert + d_k$.
# Moved around, this says how *short* the way to the negative can be at least, which is what a minus sign needs:
#
# $$-\lVert x_i - x_k \rVert \le -d_{i y_k} + d_k .$$
#
# Add the two lines. One triplet's loss $l_t = \lVert x_i - x_j \rVert - \lVert x_i - x_k \rVert$ is at most
#
# $$l_d = d_i - d_{i y_k} + d_j + d_k . \tag{5.3}$$

# %%
i, j, k = (
    0,
    1,
    5,
)  # anchor, positive, negative: at (-0.7, 0.4), (-1.3, 0.4) and (1.4, -0.3)
straight = distance(x[i], x[j]) - distance(x[i], x[k])
own, other = centroids[0], centroids[1]
detour = (
    distance(x[i], own)
    - distance(x[i], other)
    + distance(x[j], own)
    + distance(x[k], other)
)
print(f"l_t = {straight:.3f}    l_d = {detour:.3f}")

# %%
package = theory.triplet_terms(x[[i]], x[[j]], x[[k]], own[None], other[None])
torch.testing.assert_close(
    torch.stack(package)[:, 0], torch.tensor([straight, detour], dtype=torch.float64)
)

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(9, 3.2))
ends = {
    name: tuple(x[n].tolist())
    for name, n in {"anchor": i, "positive": j, "negative": k}.items()
}
figures.detour(ax, ends, centroids, (0, 1))
ax.set(
    title="Two detours: through $c_0$, and through the negative",
    xlim=(-1.6, 1.8),
    ylim=(-0.55, 0.6),
)
show(figure, "5.2 one triplet eight points")

# %% [markdown]
# **What to see.** The two grey legs on the left sum to more than the black line between anchor and positive: the triplet is
# charged too much. On the right the straight way is the long grey leg, to $c_1$, and the detour is the black line and then the short
# grey leg. So the long grey leg minus the short one is less than the black line: the triplet is credited too little.
#
# ## 5.3 Three roles
#
# So far there is one $l_d$ for each triplet, and nothing is gained. But $l_d$ is made of distances **of single images to
# centroids**, and the same ones come up again and again. Count how often, with $M = N/C$ images in each class ($M = 4$ in
# our toy).
#
# - $d_i$ enters as often as image $i$ is the **anchor**: $M - 1$ positives times $N - M = (C - 1) M$ negatives, 3 times 4 in
#   the toy.
# - It enters again as often as $i$ is the **positive**: $M - 1$ anchors times $(C - 1) M$ negatives. The same.
# - And as often as $i$ is the **negative**: anchor and positive are an ordered pair of images of one of the other $C - 1$
#   classes, $(C - 1) M (M - 1)$, 4 times 3 in the toy. The same once more!
# - $-d_{im}$ enters as often as $i$ is the anchor and the negative is of class $m$: $(M - 1) M$, 3 times 4.
#
# Three roles, each taken equally often: that is the 3 in the next formula. Sum $l_d$ over all triplets and take
# $G = 3 (C - 1) M (M - 1)$ out of the sum:
#
# $$L_t \le L_d = G \sum_i \Big( d_i - \frac{1}{3 (C - 1)} \sum_{m \ne y_i} d_{im} \Big), \qquad G = 3 (C - 1) \Big(\frac NC - 1\Big) \frac NC . \tag{5.4}$$
#
# One pass over the images, $C$ distances each: $O(N C)$, linear in $N$ for a fixed number of classes. (With classes of a fixed
# size $M$ instead, $C$ grows with $N$, and the cost is $N^2 / M$.)


# %%
def bound_by_triplets(x, labels, c):
    """The sum of l_d over all triplets: slow, and plain."""
    total = 0.0
    for i, j, k in triplets(labels):
        total += distance(x[i], c[labels[i]]) - distance(x[i], c[labels[k]])
        total += distance(x[j], c[labels[j]]) + distance(x[k], c[labels[k]])
    return total


def bound(x, labels, c):
    """The same number from N C distances, for classes of one size."""
    n, classes = len(x), len(c)
    g = 3 * (classes - 1) * (n // classes - 1) * (n // classes)
    total = 0.0
    for i in range(n):
        others = [distance(x[i], c[m]) for m in range(classes) if m != labels[i]]
        total += distance(x[i], c[labels[i]]) - sum(others) / (3 * (classes - 1))
    return g * total


# %%
apart = geometry.distances(x, centroids)  # (N, C)
slow, quick = bound_by_triplets(x, labels, centroids), bound(x, labels, centroids)
assert abs(slow - quick) < 1e-9
assert abs(quick - float(losses.centroid_bound_sum(apart, labels))) < 1e-9
print(
    f"L_t = {triplet_loss(x, labels):.3f}    L_d = {slow:.3f} by triplets, {quick:.3f} by images"
)

# %% [markdown]
# Nobody can judge the size of a sum over all triplets. We divide by $H$ and speak of the loss **per triplet**, written
# with a bar. Since there are $N$ images and 3 roles in each triplet, $G N = 3 H$, and
#
# $$\bar L_d = \frac{L_d}{H} = \frac 1N \sum_i \Big( 3\, d_i - \frac{1}{C - 1} \sum_{m \ne y_i} d_{im} \Big) : \tag{5.5}$$
#
# three times the mean distance to the own centroid, minus the mean distance to the others'. No $G$ is left in it. This is
# the loss to train with.

# %%
g, h = theory.balanced_counts(8, 2)
assert g * 8 == 3 * h
torch.testing.assert_close(
    losses.centroid_terms(apart, labels).mean() * h,
    torch.tensor(quick, dtype=torch.float64),
)
print(
    f"G = {g}, H = {h}; per triplet: loss {triplet_loss(x, labels) / h:.3f}, bound {quick / h:.3f}"
)

# %% [markdown]
# ## 5.4 Classes of different sizes
#
# Real classes are not of one size, and the roles are then taken unequally often. For an image of class $m$ let
#
# - $p_m = (n_m - 1)(N - n_m)$ be the number of triplets in which it is the anchor, which is also the number in which it
#   is the positive, and
# - $q_m = \sum_{r \ne m} n_r (n_r - 1)$ the number in which it is the negative.
#
# As anchor it meets $(n_m - 1)\, n_r$ triplets whose negative is of class $r$. The same sum as before, with nothing
# canceled:
#
# $$L_t \le \sum_i \Big( (2 p_{y_i} + q_{y_i})\, d_i - (n_{y_i} - 1) \sum_{m \ne y_i} n_m\, d_{im} \Big), \qquad p_m = (n_m - 1)(N - n_m), \quad q_m = \sum_{r \ne m} n_r (n_r - 1) . \tag{5.6}$$

# %%
uneven = torch.tensor([0, 0, 1, 1, 1, 1, 1, 2])  # sizes 2, 5, 1
three = torch.randn(3, 2, generator=generator(SEED, "uneven"), dtype=torch.float64)
anchor, negative = losses.role_counts(torch.bincount(uneven))
for m, (p, q) in enumerate(zip(anchor.tolist(), negative.tolist(), strict=True)):
    image = int((uneven == m).nonzero()[0])
    roles = [
        sum(image == t[role] for t in triplets(uneven.tolist())) for role in range(3)
    ]
    assert roles == [p, p, q]
    print(f"an image of class {m}: anchor {p:2}, positive {p:2}, negative {q:2} times")
by_images = losses.centroid_bound_sum(geometry.distances(x, three), uneven)
assert abs(float(by_images) - bound_by_triplets(x, uneven, three)) < 1e-9

# %% [markdown]
# **What to see.** The single image of class 2 is never an anchor, for it has no positive. Images of the large class do most
# of the work as anchors; the small ones, as negatives. If that is not wanted, draw triplets so that *all classes count
# alike*: the anchor's class at random, anchor and positive at random in it, the negative's class at random among the others,
# the negative at random in it. Anchor, positive and negative are then each an image of a random class, and the bound of the
# *expected* $l_t$ has its simple form back:
#
# $$\frac 1C \sum_m \frac{1}{n_m} \sum_{i :\, y_i = m} \Big( 3\, d_i - \frac{1}{C - 1} \sum_{r \ne m} d_{ir} \Big) . \tag{5.7}$$
#
# (Each class needs two images or more.) `CentroidBound(class_counts=...)` is this: it weighs an image of class $m$ by
# $N / (C\, n_m)$. Below, `"simplex"` means centroids of length 1 at equal distances (section 5.7), and `normalize=False` that
# the embeddings are taken as they are; by default they are brought to length 1.

# %%
y = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1])
loss = losses.CentroidBound(
    num_classes=2,
    embedding_size=2,
    centroids="simplex",
    class_counts=torch.bincount(y),
    normalize=False,
).double()
terms = losses.centroid_terms(geometry.distances(x, loss.centroids), y)
by_classes = (terms[y == 0].mean() + terms[y == 1].mean()) / 2
torch.testing.assert_close(loss(x, y), by_classes, rtol=1e-6, atol=1e-6)
print(
    f"all classes alike (5.7) {float(by_classes):.3f}    plain mean (5.5) {float(terms.mean()):.3f}"
)

# %% [markdown]
# **With unequal sizes the plain mean (5.5) bounds neither** the loss of all triplets nor the expected one. Eight numbers are
# enough to see it: centroids at 0 and 1, six images of class 0 at 0, two of class 1 at 1 and 0.6.

# %%
eight, at = (
    torch.tensor([0.0] * 6 + [1.0, 0.6]).double()[:, None],
    torch.tensor([0.0, 1.0]).double()[:, None],
)
apart, pairs, h = (
    geometry.distances(eight, at),
    geometry.distances(eight, eight),
    losses.count_triplets(y),
)
truth = float(losses.triplet_sum(pairs, y)) / h
inside = (
    pairs[:6, :6].sum() / (6 * 5) + pairs[6:, 6:].sum() / (2 * 1)
) / 2  # anchor to positive, classes alike
expected = float(inside - pairs[:6, 6:].mean())
terms = losses.centroid_terms(apart, y)
alike, mean = (
    float(terms[y == 0].mean() + terms[y == 1].mean()) / 2,
    float(terms.mean()),
)
print(
    f"all triplets:      loss {truth:.3f}, bound (5.6) {float(losses.centroid_bound_sum(apart, y)) / h:.3f}"
)
print(f"all classes alike: loss {expected:.3f}, bound (5.7) {alike:.3f}")
print(f"plain mean (5.5), below both: {mean:.3f}")
assert mean < min(truth, expected)
assert expected <= alike + 1e-9

# %% [markdown]
# **What to see.** Each loss has its own bound. The plain mean counts the image that went astray as one of eight, but among the
# negatives of the large class it is one of two.
#
# ## 5.5 How loose is it?
#
# **Predict.** Take 60 random points of the unit sphere in 16
# dimensions, 5 classes, and 5 centroids of a simplex. Per triplet the loss is about 0, of course: neither
# positives nor negatives are closer. The bound is (a) less than 1 above it; (b) between 1 and 2; (c) more than 2.

# %%
predict("5.2", "?")

# %%
sphere = geometry.normalize(
    torch.randn(60, 16, generator=generator(SEED, "sphere"), dtype=torch.float64)
)
five, y = geometry.simplex(5, 16).double(), torch.arange(60) % 5
h = losses.count_triplets(y)
truth = float(losses.triplet_sum(geometry.distances(sphere, sphere), y)) / h
above = float(losses.centroid_bound_sum(geometry.distances(sphere, five), y)) / h
print(f"per triplet: loss {truth:.3f}, bound {above:.3f}")
outcome("5.2", "a" if above - truth < 1 else "b" if above - truth < 2 else "c")

# %% [markdown]
# Not a trifle: distances on this sphere are at most 2. When does it get better? Look at what the two detours waste. For one
# triplet
#
# $$l_d - l_t = \big( d_i + d_j - \lVert x_i - x_j \rVert \big) + \big( d_k + \lVert x_i - x_k \rVert - d_{i y_k} \big) .$$
#
# The first bracket is at most $d_i + d_j$, since a distance is not negative. The second is at most $2 d_k$, since
# $\lVert x_i - x_k \rVert \le d_{i y_k} + d_k$, a triangle once more. So $0 \le l_d - l_t \le d_i + d_j + 2 d_k$. Sum over
# all triplets and count roles: once as anchor, once as positive, *twice* as negative.
#
# $$0 \le L_d - L_t \le \sum_i 2 (p_{y_i} + q_{y_i})\, d_i = \frac 43\, G \sum_i d_i \quad \text{(the last for classes of one size)} . \tag{5.8}$$
#
# The centroids may lie anywhere. If every image is within $\varepsilon / 2$ of its centroid, each triplet wastes at most
# $2 \varepsilon$, so $L_d - L_t \le 2 \varepsilon H$.
#
# The paper's own theorem, as it is restated, has the same premise and says
#
# $$0 \le L_d - L_t \le H\, (\kappa_{\max} - \kappa_{\min} + 3\, \varepsilon), \tag{5.9}$$
#
# where $\kappa_{\max}$ and $\kappa_{\min}$ are the largest and the smallest distance between two centroids. It is true, and
# (5.8) is never larger: unequal distances between centroids cost nothing there.

# %%
near = torch.randn(60, 16, generator=generator(SEED, "near"), dtype=torch.float64)
ragged = torch.randn(
    5, 16, generator=generator(SEED, "ragged"), dtype=torch.float64
)  # centroids at unequal distances
eps = 0.4
points = ragged[y] + eps / 2 * geometry.normalize(
    near
)  # every image at exactly eps / 2
apart = geometry.distances(points, ragged)
gap = losses.centroid_bound_sum(apart, y) - losses.triplet_sum(
    geometry.distances(points, points), y
)
own = apart.gather(1, y[:, None])[:, 0]
limits = (
    float(theory.gap_limit_sum(own, y)) / h,
    theory.restated_gap_limit(ragged, eps=eps),
)
print(
    f"per triplet: gap {float(gap) / h:.3f}, limit (5.8) {limits[0]:.3f}, restated limit (5.9) {limits[1]:.3f}"
)
assert 0 <= float(gap) / h <= limits[0] <= limits[1]

# %% [markdown]
# **Can (5.8) be improved?** Not for two classes: it is attained. Put two centroids on a line, at 0 and 1, and displace every image
# **outward** by $\varepsilon / 2$. Positives coincide, so that the first detour is pure waste; negatives lie behind their centroids,
# so that the second one is, too.

# %%
line = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
side = torch.tensor([0, 0, 0, 1, 1, 1])


def gap_per_triplet(x, labels, c):
    """(L_d - L_t) / H."""
    truth = losses.triplet_sum(geometry.distances(x, x), labels)
    return float(
        losses.centroid_bound_sum(geometry.distances(x, c), labels) - truth
    ) / losses.count_triplets(labels)


for eps in (0.4, 0.1, 0.01):
    outward = (
        line[side] + eps / 2 * (2 * side - 1).double()[:, None]
    )  # -1 for class 0, +1 for class 1
    print(
        f"eps = {eps:4}: gap per triplet {gap_per_triplet(outward, side, line):.3f}, limit {2 * eps:.3f}"
    )
    assert abs(gap_per_triplet(outward, side, line) - 2 * eps) < 1e-9

# %% [markdown]
# With more classes, of two images or more each, nothing is spared exactly if each class is one point, and where that is off its
# centroid, the centroid lies between it and *every* other class. Such a class ends a row of all of them, and a row has two ends.
# So **as soon as three classes have an image off its centroid, some waste is spared**; with one or two, it need not be:

# %%
row, of = torch.tensor([[0.0], [1.0], [2.0]]).double(), torch.arange(3).repeat(2)
for name, places in {
    "the ends off": [-0.2, 1.0, 2.2],
    "all three off": [-0.2, 1.2, 2.2],
}.items():
    there = torch.tensor(places).double()[of, None]
    most = float(theory.gap_limit_sum((there - row[of]).abs()[:, 0], of))
    gap = gap_per_triplet(there, of, row) * losses.count_triplets(of)
    print(
        f"centroids 0, 1, 2, classes at {places}, {name}: gap {gap:.1f}, limit {most:.1f}"
    )
    assert (abs(gap - most) < 1e-9) == (name == "the ends off")

# %% [markdown]
# Outward on a simplex, with every image off, comes close:

# %%
for classes in (2, 3, 5, 20):
    c, of = geometry.simplex(classes, classes).double(), torch.arange(classes).repeat(2)
    print(
        f"C = {classes:2}: gap per triplet {gap_per_triplet(1.05 * c[of], of, c) / 0.1:.3f} eps"
    )  # eps / 2 = 0.05

# %% [markdown]
# **When is the bound exact?** When no detour wastes anything: in every triplet $c_{y_i}$ lies on the segment from $x_i$ to
# $x_j$, and $x_k$ on the segment from $x_i$ to $c_{y_k}$. Let every class have two images or more.
#
# 1. Suppose two images of class $m$ lie off $c_m$. By the first condition they lie on opposite sides of it.
#    By the second, both lie on the segment from $c_m$ to any image of any other class, hence on the same side.
#    That cannot be, so **at most one image of a class is off its centroid**.
# 2. Then every class has an image *at* its centroid, and by the second condition the one that is off lies on the segment
#    from $c_m$ to each of the other centroids. If those are not all in one direction from $c_m$, there is no such place
#    but $c_m$ itself.
#
# So, as soon as no centroid sees all the others in one direction, $L_d = L_t$ **only at collapse**, $x_i = c_{y_i}$ for all
# $i$. With two classes, or centroids in a row, there are a few more cases. Below, two centroids at 0 and 1, and one image of
# each class off its own: *inward* it may be, as long as the two do not cross. *Crossed*: 0.3 is not between 0.8 and its
# centroid 1. *Two off* of one class breaks step 1.

# %%
c = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
inward = torch.tensor([[0.0], [0.0], [0.3], [1.0], [1.0], [0.8]], dtype=torch.float64)
crossed = torch.tensor([[0.0], [0.0], [0.8], [1.0], [1.0], [0.3]], dtype=torch.float64)
two_off = torch.tensor([[0.0], [0.3], [0.3], [1.0], [1.0], [1.0]], dtype=torch.float64)
for name, points in {
    "collapse": c[side],
    "one of each inward": inward,
    "crossed": crossed,
    "two off": two_off,
}.items():
    print(f"{name:18} gap per triplet {gap_per_triplet(points, side, c):.3f}")

# %% [markdown]
# ## 5.6 Where descent ends
#
# What an image contributes, divided by $G$, is $f(x) = d_y - \frac{1}{3 (C - 1)} \sum_{m \ne y} d_m$, with $d_m$ the distance
# from $x$ to $c_m$ and $y$ its class. The own centroid pulls with weight 1, the others push with $\frac13$ in all. So the
# pull should win everywhere. Proof: walk a step $s$ straight towards $c_y$. Then $d_y$ falls by $s$. Each other $d_m$ falls by at
# most $s$ (the triangle inequality), so all of them together raise $f$ by at most $\frac13 s$, and **$f$ falls by at least $\frac23 s$**.
# This holds from every starting point, so there is no other low in which an embedding could rest. And the whole walk, with
# $s = \lVert x - c_y \rVert$, says
#
# $$f(x) \ge f(c_y) + \frac 23\, \lVert x - c_y \rVert . \tag{5.10}$$
#
# So $f$ rises from $c_y$ at least as a cone of slope $\frac23$ does. (Classes of any sizes,
# (5.6): a pull of $2 p + q$ against a push of $p$, so the slope is $p + q$.) Two consequences.
#
# - Descent on the bound drives each class into a point. Nothing in it rewards keeping differences within a class.
# - A cone is not a bowl: the slope does not fade towards the tip. Steps of a fixed size jump over the tip for ever, so the
#   learning rate has to decay.
#
# **On the sphere.** Where embeddings are kept at length 1, as in section 5.8, the straight walk leaves the sphere. Let centroids
# have length 1 too, $D \ge 2$, and walk on a *great circle* through $c_y$. At the angle $\theta$ from it
# $d_y = 2 \sin \frac\theta2$, of slope $\cos \frac\theta2$ and second derivative $-\frac12 \sin \frac\theta2$. Another
# centroid, at the angle $\varphi$, and with the product $b$ with the walk's direction, has $d_m' = -b / d_m$, no
# steeper than 1, and $-d_m'' = (b^2 / d_m^2 - \cos \varphi) / d_m \le \frac14 d_m \le \frac12$, for $b^2 \le \sin^2 \varphi$;
# at $c_m$ itself $-d_m$ has a tip that points up. The others' mean counts a third:
#
# $$f' \ge \cos \tfrac\theta2 - \tfrac13, \qquad f'' \le \tfrac16 - \tfrac12 \sin \tfrac\theta2 .$$
#
# Where $\cos \frac\theta2 > \frac13$, $f$ rises with $\theta$; elsewhere the sine is above $\frac13$ and $f$ is concave,
# across $-c_y$ too. So each great circle through $c_y$ has one hill and one valley, $c_y$: **next to every other
# point of the sphere lie lower ones**, whatever the centroids. Descent may balance on a hilltop, but there is no other low. (For
# classes of any sizes $\frac13$ becomes $p / (2 p + q) \le \frac12$, and the same holds.)

# %%
turn = torch.linspace(
    0, 2 * torch.pi, 721, dtype=torch.float64
)  # from c_0 around the sphere and back to it
walks = [
    (classes, size, n)
    for classes, size in ((2, 2), (3, 2), (5, 3), (20, 8))
    for n in range(50)
]
for classes, size, n in walks:
    drawn = torch.randn(
        classes + 1,
        size,
        generator=generator(SEED, "hill", classes, n),
        dtype=torch.float64,
    )
    c = geometry.normalize(drawn[1:])
    aside = geometry.normalize(
        drawn[:1] - (c[0] @ drawn[0]) * c[0]
    )  # at right angles to c_0
    walk = turn.cos()[:, None] * c[0] + turn.sin()[:, None] * aside
    rises = (
        losses.centroid_terms(
            geometry.distances(walk, c), torch.zeros(721).long()
        ).diff()
        > 0
    )
    assert rises[0]
    assert int((rises[1:] != rises[:-1]).sum()) == 1  # up, and then down
print(f"one hill on each of {len(walks)} random great circles")

# %%
corners = geometry.simplex(3, 2).double()
grid = torch.linspace(-1.6, 1.6, 161, dtype=torch.float64)
places = torch.cartesian_prod(grid, grid)[:, [1, 0]]  # (161 * 161, 2): across, up
f = (
    losses.centroid_terms(
        geometry.distances(places, corners), torch.zeros(len(places)).long()
    )
    / 3
)
away = (places - corners[0]).norm(dim=1)
at_tip = (
    losses.centroid_terms(geometry.distances(corners[:1], corners), torch.tensor([0]))
    / 3
)
assert (f >= at_tip + 2 / 3 * away - 1e-12).all()
print(
    f"lowest on the grid {float(f.min()):.4f}, at the own centroid {float(at_tip):.4f}"
)

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(10.5, 4.0), width_ratios=(1, 1.25))
figures.landscape(axes[0], f.view(161, 161), reach=1.6, points=corners)
axes[0].set(
    title="Class 0's centroid is the only low", xlabel="dark: low", xticks=[], yticks=[]
)
along = torch.linspace(-1.5, 3.0, 181, dtype=torch.float64)
cut = (
    corners[0] - along[:, None] * corners[0]
)  # through c_0 and the origin, between the other two
heights = (
    losses.centroid_terms(
        geometry.distances(cut, corners), torch.zeros(len(cut)).long()
    )
    / 3
)
axes[1].plot(along, heights, color="black", linewidth=2)
axes[1].plot(along, at_tip + 2 / 3 * along.abs(), color="black", linestyle="--")
axes[1].annotate(
    "$f$", (2.4, float(heights[156])), xytext=(-14, 6), textcoords="offset points"
)
axes[1].annotate(
    "cone", (1.6, at_tip + 2 / 3 * 1.6), xytext=(8, -16), textcoords="offset points"
)
axes[1].set(
    title="It rises at least as a cone",
    xlabel="signed distance from $c_0$; the others lie to the right",
    ylabel="$f$",
)
show(figure, "5.6 left contours f plane")

# %% [markdown]
# **What to see.** On the left the other two centroids make no low ground of their own; they only tilt the slope. On the
# right there is a kink at 0, where the slope jumps from one side to the other.
#
# ## 5.7 Which centroids?
#
# At its minimum, $x_i = c_{y_i}$ for all images, $\bar L_d = \bar L_t$ is minus the mean distance between two centroids. So,
# centroids of length 1 and far apart: how far can they be? For unit vectors $c_0, \dots, c_{C-1}$
#
# $$\sum_{m, r} \lVert c_m - c_r \rVert^2 = 2 C^2 - 2\, \Big\lVert \sum_m c_m \Big\rVert^2 \le 2 C^2 .$$
#
# There are $C (C - 1)$ ordered pairs of different centroids, so their mean *squared* distance is at most $2 C / (C - 1)$. A
# mean is never above the root of the mean square, hence
#
# $$\frac{1}{C (C - 1)} \sum_{m \ne r} \lVert c_m - c_r \rVert \le \sqrt{\frac{2 C}{C - 1}} . \tag{5.11}$$
#
# Equality needs both steps: $\sum_m c_m = 0$, and all distances equal. That is the regular **simplex** (for $C = 3$ a
# triangle, for $C = 4$ a tetrahedron), which fits into $C - 1$ dimensions or more. The paper offers two other choices: **one-hot** vectors, the coordinate
# axes, all $\sqrt 2$ apart, in $C$ dimensions or more; and **k-means**: draw many random points of the sphere, cluster them
# into $C$ clusters, and take the cluster centers, brought to length 1. That works in any dimension.
#
# One-hot falls short of the simplex by the factor $\sqrt{2} \big/ \sqrt{2C / (C - 1)} = \sqrt{1 - 1/C}$.
#
# **Predict.** The value that $\bar L_d$ can reach, from the lowest (best) to the highest, in 64 dimensions with 10
# classes: (a) simplex, one-hot, k-means; (b) simplex, k-means, one-hot; (c) k-means, simplex, one-hot.

# %%
predict("5.3", "?")

# %%
KINDS = {"simplex": geometry.simplex, "one-hot": geometry.one_hot}


def centroids_of(kind, classes, size):
    if kind == "k-means":
        return geometry.kmeans_on_sphere(
            classes, size, generator=generator(SEED, "centroids")
        )
    return KINDS[kind](classes, size)


reached = {}
for classes in (10, 50):
    print(f"C = {classes}: (5.11) allows {-theory.farthest_mean_distance(classes):.4f}")
    for kind in ("simplex", "k-means", "one-hot"):
        c = centroids_of(kind, classes, 64)
        reached[kind, classes] = float(theory.smallest_bound(c))
        total = float(c.sum(0).norm())
        print(
            f"   {kind:8} {reached[kind, classes]:.4f}    length of the sum of all centroids {total:.2f}"
        )
order = sorted(("simplex", "k-means", "one-hot"), key=lambda kind: reached[kind, 10])
outcome(
    "5.3",
    {"simplex one-hot": "a", "simplex k-means": "b"}.get(" ".join(order[:2]), "c"),
)

# %% jupyter={"source_hidden": true}
assert abs(reached["one-hot", 10] / reached["simplex", 10] - (1 - 1 / 10) ** 0.5) < 1e-6
off = ~torch.eye(50, dtype=torch.bool)
found = {
    kind: torch.rad2deg(torch.arccos(geometry.cosines(c, c)[off].clamp(-1, 1)))
    for kind in ("simplex", "k-means", "one-hot")
    for c in [centroids_of(kind, 50, 64)]
}
figure, ax = plt.subplots(figsize=(8, 2.6))
figures.angles(ax, found)
ax.axvline(90, color=book.SOFT, linestyle=":", zorder=0)
ax.set(
    title="k-means: wide on average, but some pairs are close",
    xlabel="angle between two of 50 centroids, degrees",
)
show(figure, "5.7 pairwise angles fifty centroids")

# %% [markdown]
# **What to see.** One-hot comes last of the three, though all its angles are right angles: its vectors all lie on one side of
# the sphere, and the first step of the proof charges for the length of their sum. The k-means centroids largely cancel, and
# so their *mean* distance is almost the simplex's. But the mean (the tick; the bar runs from the smallest angle to the
# largest) hides the closest pair, and that pair's two classes will be kept close. With a simplex there is no such pair. So,
# of the three, the simplex if $D \ge C - 1$, else k-means. (There one could also push close pairs apart by descent; we do not
# try it here.)
#
# **The same minimum.** With simplex centroids and embeddings of length 1, the bound even has the *same minimum value* as the
# triplet loss itself, at the same place. For $L_t \ge -\sum \lVert x_i - x_k \rVert$, and with classes of one size the mean distance
# between images of different classes is a mean over all ways to pick one image of each class; for each pick, (5.11) applies
# to the $C$ images. So no embeddings of length 1 have $\bar L_t$ below $-\sqrt{2C/(C-1)}$, and that is what both reach at
# collapse onto a simplex. The difference: $\bar L_t$ reaches it on *every* simplex, however it is turned, while the bound
# asks for the one that was chosen.
#
# ## 5.8 Along a training run
#
# Now with a network: one hidden layer, on the handwritten digits 0 to 4, embeddings of length 1 in 16 dimensions, simplex
# centroids. We train on $\bar L_d$ and watch three numbers on the training images: the bound, the triplet loss, and the
# **floor**, which is what (5.8) leaves: $\bar L_t \ge \bar L_d - \frac 4N \sum_i d_i$.

# %%
digits = {split: datasets.load("digits", split, size=8) for split in ("train", "test")}
pixels = {
    split: found.images[:, 0].flatten(1).float() / 255
    for split, found in digits.items()
}  # (N, 64)
per_class = settings.by_mode(smoke=20, class_=60, full=150)
kept = torch.cat(
    [(digits["train"].labels == m).nonzero()[:per_class, 0] for m in range(5)]
)
images, y = pixels["train"][kept], digits["train"].labels[kept]
H, simplex = losses.count_triplets(y), geometry.simplex(5, 16)
print(
    f"{len(y)} images of 5 digits: {H:,} triplets, {5 * len(y):,} distances to centroids"
)


# %%
def three_means(embeddings):
    """Triplet loss, bound and floor, per triplet, with gradients."""
    apart = geometry.distances(embeddings, simplex)
    own = apart.gather(1, y[:, None])[:, 0]
    truth = losses.triplet_sum(geometry.distances(embeddings, embeddings), y) / H
    above = losses.centroid_bound_sum(apart, y) / H
    return {
        "triplet loss": truth,
        "bound": above,
        "floor": above - theory.gap_limit_sum(own, y) / H,
    }


# %%
def network(seed):
    """64 pixels to 64 hidden units to 16 dimensions: weights (out, in + 1), the last column the bias."""
    numbers = generator(seed, "digits")
    return [torch.randn(rows, 65, generator=numbers) / 8 for rows in (64, 16)]


def forward(weights, images):
    first, second = weights
    hidden = F.relu(images @ first[:, :-1].T + first[:, -1])
    return F.normalize(hidden @ second[:, :-1].T + second[:, -1], dim=1)


# %%
STEPS = settings.by_mode(smoke=30, class_=200, full=400)


def train(seed, on, rate=0.005):
    """Descend on one of the figures; all of them at every step, and the network."""
    weights, log = [w.requires_grad_() for w in network(seed)], []
    adam = torch.optim.Adam(weights, lr=rate)
    schedule = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.05, STEPS)
    for _ in range(STEPS):
        now = three_means(forward(weights, images))
        log.append({name: value.item() for name, value in now.items()})
        adam.zero_grad()
        now[on].backward()
        adam.step()
        schedule.step()
    return log, weights


# %%
log, trained = train(SEED, "bound")
assert all(
    now["floor"] - 1e-5 <= now["triplet loss"] <= now["bound"] + 1e-5 for now in log
)
assert log[0]["bound"] > 2
for step in (0, STEPS // 8, STEPS // 2, STEPS - 1):
    print(
        f"step {step:4}: "
        + "   ".join(f"{name} {value:6.3f}" for name, value in log[step].items())
    )
lowest_possible = -theory.farthest_mean_distance(5)
print(f"lowest possible, for either: {lowest_possible:.3f}")

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(9.5, 4.2))
figures.sandwich(ax, range(STEPS), *([now[name] for now in log] for name in log[0]))
ax.axhline(lowest_possible, color=book.MIDDLE, linewidth=0.8)
ax.annotate(
    "lowest\npossible",
    (1.02 * STEPS, lowest_possible),
    xytext=(0, 4),
    textcoords="offset points",
)
ax.set_xlim(right=1.15 * STEPS)
ax.set(title="Loose early, tight late", xlabel="training step", ylabel="per triplet")
show(figure, "5.8 bound triplet loss floor")

# %% [markdown]
# **What to see.** At the first step the bound says nothing: it is above 2, which no triplet of unit vectors can be. It becomes a
# good approximation only when the classes are compact, but it *makes* them compact, so it improves itself. Shaded is what bound and floor together leave open for the
# triplet loss.
#
# Now train on the triplet loss itself, all triplets, and on the bound, from the same starts and for as many steps, and compare the
# *triplet loss* that each reaches. Each takes the learning rate at which that is lowest.

# %%
RATES = settings.by_mode(
    smoke=(0.02,), class_=(0.002, 0.02, 0.2), full=(0.002, 0.02, 0.2)
)
seeds = [SEED + n for n in range(settings.by_mode(smoke=1, class_=3, full=5))]
ends, runs = {}, {}
for on in ("bound", "triplet loss"):
    found = {rate: [train(seed, on, rate) for seed in seeds] for rate in RATES}
    ends[on] = {
        rate: sum(log[-1]["triplet loss"] for log, _ in found[rate]) / len(seeds)
        for rate in RATES
    }
    runs[on] = found[min(ends[on], key=ends[on].get)]
    print(
        f"trained on the {on}: "
        + "   ".join(f"rate {rate}: {end:.3f}" for rate, end in ends[on].items())
    )

# %% [markdown]
# Then retrieve digits 5 to 9, which neither has seen. **Recall@1** is the percentage of images whose nearest other image shows the
# same digit; **MAP@R** asks how early all its other images come (chapter [01](01_measures.ipynb)). Both have their 95 percent
# interval and, in brackets, the number of seeds.


# %%
def unseen(embeddings):
    """Recall@1 and MAP@R of the digits 5 to 9."""
    of = digits["test"].labels
    return retrieval.recall_at_k(embeddings, of, ks=(1,))[1], retrieval.map_at_r(
        embeddings, of
    )


with torch.no_grad():
    scores = {
        "before training": [
            unseen(forward(network(seed), pixels["test"])) for seed in seeds
        ]
    }
    for on, of_seeds in runs.items():
        last = [log[-1] for log, _ in of_seeds]
        pairs = [
            f"{now['triplet loss']:.3f} (gap {now['bound'] - now['triplet loss']:.3f})"
            for now in last
        ]
        print(f"trained on the {on}: triplet loss {', '.join(pairs)}")
        scores[on] = [
            unseen(forward(weights, pixels["test"])) for _, weights in of_seeds
        ]
scores["pixels"] = [unseen(pixels["test"])]
for name, of_seeds in scores.items():
    recalls, means = zip(*of_seeds, strict=True)
    print(
        f"{name:16} Recall@1 {records.percent(recalls):15}   MAP@R {records.percent(means)}"
    )

# %%
if settings.mode() == "smoke":
    print("not shown in smoke mode: a few steps do not collapse anything")
else:
    first, last = (log[step]["bound"] - log[step]["triplet loss"] for step in (0, -1))
    assert last < 0.1 * first
    for measure in (0, 1):
        trained = [both[measure] for on in runs for both in scores[on]]
        assert 1.2 * max(trained) < min(
            both[measure] for both in scores["before training"]
        )
        assert (
            max(both[measure] for both in scores["before training"])
            < scores["pixels"][0][measure]
        )
    lowest_of = {on: min(of_rates.values()) for on, of_rates in ends.items()}
    assert abs(lowest_of["bound"] - lowest_of["triplet loss"]) < 0.05
    assert ends["bound"][RATES[0]] > ends["triplet loss"][RATES[0]] + 0.02
    assert (
        min(
            log[-1]["bound"] - log[-1]["triplet loss"]
            for log, _ in runs["triplet loss"]
        )
        > 3
    )

# %% [markdown]
# **What to see.** With a rate of its own, training on the bound takes the triplet
# loss about as low as training on itself does, without a single triplet; at the smallest rate, in as many steps, it lags.
# Trained on the triplet loss, the gap stays wide open: nothing tells it
# *which* simplex to collapse onto, so its classes lie far from our centroids. A wide gap does not mean a bad embedding, only
# that these centroids are not its own.
#
# Before you praise either: on digits that were not in training both, trained this far, are *worse* than
# the same network before any training, and far worse than raw pixels. A likely reason: the minimum of both is collapse, five
# points for five digits, and nothing rewards keeping what tells other digits apart. In chapter 07, with many species and a
# few epochs, the same loss gains on pixels.
#
# Drag a sample or a centroid yourself. Try to push the bound below the triplet
# loss; then take `spread` to 0. The first button takes a step at a fixed rate down the bound: close to a centroid it soon jumps to and fro,
# as on a cone it must.

# %%
from dmlbook.chapters.ch05.explorer import BoundExplorer

BoundExplorer().browser()

# %% [markdown]
# ## 5.9 A trap: the hinge
#
# Usually a triplet that is already right by a **margin** $\delta > 0$ counts nothing: $[\,l_t + \delta\,]_+$, as in FaceNet
# (Schroff and others, CVPR 2015, there with squared distances).
# It is tempting to add $\delta$ for each triplet to the bound as well, and to say that $L_d + \delta H$ bounds $\sum [\,l_t + \delta\,]_+$.
#
# **Predict.** Put every image at its centroid, where the bound is at its best. Then $L_d + \delta H$ is, compared with the hinged loss,
# (a) above it; (b) equal; (c) below it.

# %%
predict("5.4", "?")

# %%
collapsed, margin = centroids[labels], 0.2


def hinged_loss(x, labels, margin):
    """The sum of [l_t + margin]_+ over all triplets."""
    mean, _ = losses.triplet_mean(geometry.distances(x, x), labels, margin=margin)
    return float(mean) * losses.count_triplets(labels)


apart = geometry.distances(collapsed, centroids)
naive = float(
    losses.centroid_bound_sum(apart, labels)
) + margin * losses.count_triplets(labels)
hinged = hinged_loss(collapsed, labels, margin)
print(f"L_d + margin H = {naive:.1f}    hinged triplet loss = {hinged:.1f}")
outcome("5.4", "c" if naive < hinged - 1e-9 else "b" if naive < hinged + 1e-9 else "a")

# %% [markdown]
# A negative number is no bound of a sum of things that are not negative. The hinge cuts off the negative terms of $L_t$; the
# bound still has them in it, where they pay for others.
#
# **The remedy.** Write $l_d + \delta$ as $u + v$ with $u = d_i - d_{i y_k} + \delta$, which knows only the anchor and the negative's
# *class*, and $v = d_j + d_k \ge 0$. For $v \ge 0$ we have $[u + v]_+ \le [u]_+ + v$. (If $u + v < 0$ the left side is 0 and
# the right is not negative. Otherwise the left side is $u + v$.) So
# $[\,l_t + \delta\,]_+ \le [\,l_d + \delta\,]_+ \le [\,d_i - d_{i y_k} + \delta\,]_+ + d_j + d_k$, and roles are counted as before: $d_i$ now
# enters as positive and as negative only, and the hinged part for each class $r$ of negatives. With classes of one size
#
# $$\sum_{(i, j, k)} [\, l_t + \delta\, ]_+ \le \frac G3 \sum_i \Big( 2\, d_i + \frac{1}{C - 1} \sum_{r \ne y_i} [\, d_i - d_{ir} + \delta\, ]_+ \Big) . \tag{5.12}$$
#
# Still one pass. What went out of the hinge stays: $2 d_i$ pulls even where no triplet violates the margin, and there the bound is
# far from 0. At collapse $d_i = 0$ and both sides are $\sum [\,\delta - \lVert c_{y_i} - c_{y_k} \rVert\,]_+$: exact.


# %%
def hinged_bound(x, labels, c, margin):
    """(5.12), as loops."""
    n, classes = len(x), len(c)
    g, _ = theory.balanced_counts(n, classes)
    total = 0.0
    for i in range(n):
        own = distance(x[i], c[labels[i]])
        hinges = [
            max(own - distance(x[i], c[r]) + margin, 0.0)
            for r in range(classes)
            if r != labels[i]
        ]
        total += 2 * own + sum(hinges) / (classes - 1)
    return g / 3 * total


for margin in (0.2, 3.0):
    for name, points in {"toy": x, "collapsed": collapsed}.items():
        above = hinged_bound(points, labels, centroids, margin)
        package = theory.hinged_bound_sum(
            geometry.distances(points, centroids), labels, margin=margin
        )
        assert abs(above - float(package)) < 1e-9
        print(
            f"margin {margin}, {name:9} hinged loss {hinged_loss(points, labels, margin):6.1f}, bound {above:6.1f}"
        )

# %% [markdown]
# ## 5.10 A trap: squares
#
# Squared distances are popular: they are cheaper, and smooth at 0. It is tempting to square the distances in (5.5) and to
# keep the weights 3 and $\frac{1}{C-1}$. But the triangle inequality is about distances. Four points of a line, centroids at
# 0 and 1:

# %%
quarter = torch.tensor([[1 / 6], [1 / 6], [5 / 6], [5 / 6]], dtype=torch.float64)
two, y4 = torch.tensor([[0.0], [1.0]], dtype=torch.float64), torch.tensor([0, 0, 1, 1])
squares = geometry.squared_distances(quarter, two)  # (4, 2)
pairs = geometry.squared_distances(quarter, quarter)
g, h = theory.balanced_counts(4, 2)
wrong = h * float(losses.centroid_terms(squares, y4).mean())
exact = sum(float(pairs[i, j] - pairs[i, k]) for i, j, k in triplets(y4))
print(f"squared triplet loss {exact:.3f}, the 'bound' {wrong:.3f}")
assert wrong < exact

# %% [markdown]
# **The remedy.** For squares the triangle inequality has a kin. For any vectors $u$, $v$ and any $t > 0$
#
# $$\lVert u + v \rVert^2 \le (1 + t)\, \lVert u \rVert^2 + \Big(1 + \frac 1t\Big) \lVert v \rVert^2 ,$$
#
# because $2\, u \cdot v \le t \lVert u \rVert^2 + \frac 1t \lVert v \rVert^2$, which is $\big\lVert \sqrt t\, u - v / \sqrt t \big\rVert^2 \ge 0$
# multiplied out. We use it twice, as before.
#
# - Anchor and positive, with $t = 1$: $\lVert x_i - x_j \rVert^2 \le 2 d_i^2 + 2 d_j^2$.
# - Anchor and negative's centroid: $d_{i y_k}^2 \le (1 + t) \lVert x_i - x_k \rVert^2 + (1 + \frac1t)\, d_k^2$. Divide by $1 + t$; since
#   $(1 + \frac 1t) / (1 + t) = \frac 1t$, we get $-\lVert x_i - x_k \rVert^2 \le -\frac{1}{1 + t}\, d_{i y_k}^2 + \frac 1t\, d_k^2$.
#
# Roles: 2 as anchor, 2 as positive, $\frac 1t$ as negative. With $M = N / C$ images in each class,
#
# $$\sum_{(i, j, k)} \big( \lVert x_i - x_j \rVert^2 - \lVert x_i - x_k \rVert^2 \big) \le (C - 1)\, M (M - 1) \sum_i \Big( \Big(4 + \frac 1t\Big)\, d_i^2 - \frac{1}{(1 + t) (C - 1)} \sum_{m \ne y_i} d_{im}^2 \Big) . \tag{5.13}$$
#
# At $t = 1$ the weights are 5 and $\frac 12$: with $5 (C - 1) M (M - 1)$ in front, the others weigh
# $\frac{1}{10 (C - 1)}$ and not $\frac{1}{3 (C - 1)}$. In the package $t$ is called `slack`, and is 1 if not given.

# %%
for t in (0.1, 0.3, 1.0, 3.0):
    near = (4 + 1 / t) * sum(float(squares[i, y4[i]]) for i in range(4))
    far = sum(float(squares[i, 1 - y4[i]]) for i in range(4)) / (1 + t)
    above = 1 * 2 * 1 * (near - far)  # (C - 1) M (M - 1) = 1 * 2 * 1
    assert abs(above - float(theory.squared_bound_sum(squares, y4, slack=t))) < 1e-9
    print(f"t = {t}: bound {above:6.3f}    squared triplet loss {exact:.3f}")

# %% [markdown]
# A true bound, and not a sharp one: at collapse it gives only a part $\frac{1}{1 + t}$ of the loss. But who needs it? **Squared
# triplets need no bound at all.** Without a hinge their sum can be had *exactly* in one pass. Let $s_m$ be the sum of the
# embeddings of class $m$ and $b_m$ the sum of their squared lengths, and $s = \sum_m s_m$, $b = \sum_m b_m$. Multiply out
# $\lVert x_i - x_j \rVert^2 = \lVert x_i \rVert^2 + \lVert x_j \rVert^2 - 2\, x_i \cdot x_j$ and sum over ordered pairs within class $m$ (each counted once
# for each of its $N - n_m$ negatives), and over pairs from class $m$ to elsewhere (once for each of the $n_m - 1$ positives):
#
# $$\sum_m \Big[ (N - n_m) \big( 2 n_m b_m - 2 \lVert s_m \rVert^2 \big) - (n_m - 1) \big( (N - n_m)\, b_m + n_m (b - b_m) - 2\, s_m \cdot (s - s_m) \big) \Big] . \tag{5.14}$$

# %%
exactly = theory.squared_triplet_sum(quarter, y4)
assert abs(float(exactly) - exact) < 1e-9
many, of_many = (
    torch.randn(50_000, 64, generator=generator(SEED, "many")),
    torch.arange(50_000) % 100,
)
print(f"4 images: {float(exactly):.3f} exactly")
mean = float(
    theory.squared_triplet_sum(many.double(), of_many)
) / losses.count_triplets(of_many)
print(
    f"50,000 images, {losses.count_triplets(of_many):,} triplets: {mean:.4f} per triplet, exactly"
)

# %% [markdown]
# **A search would have found it.** Let descent look for a counter-example: lower *candidate minus loss* over embeddings and
# centroids together. A valid bound never goes below 0. (That the search finds nothing proves nothing, the derivation does; but
# the same search finds the wrong ones, so it can see.)


# %%
SEARCH = settings.by_mode(smoke=60, class_=300, full=1000)


def lowest(candidate, truth):
    """The least value per triplet of candidate - truth that descent meets, on points of the unit sphere."""
    six, c = (
        torch.arange(6) % 3,
        torch.randn(3, 3, generator=generator(SEED, "c"), dtype=torch.float64),
    )
    start, least = (
        torch.randn(6, 3, generator=generator(SEED, "six"), dtype=torch.float64),
        torch.inf,
    )
    both = [start.requires_grad_(), c.requires_grad_()]
    adam = torch.optim.Adam(both, lr=0.05)
    for _ in range(SEARCH):
        points, ends = (F.normalize(v, dim=1) for v in both)
        apart, pairs = (
            geometry.distances(points, ends),
            geometry.distances(points, points),
        )
        gap = candidate(apart, six) / losses.count_triplets(six) - truth(pairs, six)
        adam.zero_grad()
        gap.backward()
        adam.step()
        least = min(least, gap.item())
    return least


# %%
def plain(pairs, y, margin=0.5):
    return losses.triplet_mean(pairs, y, margin=margin)[0]


def of_squares(pairs, y):
    return losses.triplet_mean(pairs.square(), y, hinge=False)[0]


CANDIDATES = {
    "L_d + margin H, hinged": (
        lambda a, y: losses.centroid_bound_sum(a, y) + 0.5 * losses.count_triplets(y),
        plain,
    ),
    "(5.12), hinged": (lambda a, y: theory.hinged_bound_sum(a, y, margin=0.5), plain),
    "weights 3 and 1, squared": (
        lambda a, y: losses.centroid_bound_sum(a.square(), y),
        of_squares,
    ),
    "(5.13), squared": (
        lambda a, y: theory.squared_bound_sum(a.square(), y),
        of_squares,
    ),
}
for name, (candidate, truth) in CANDIDATES.items():
    least = lowest(candidate, truth)
    print(
        f"{name:26} minus the loss: {least:6.3f}, {'a counter-example' if least < -1e-9 else 'none found'}"
    )
    assert (least < -1e-9) == name.startswith(("L_d", "weights"))

# %% [markdown]
# ## 5.11 A trap: the batch size in G
#
# $G$ was counted over the whole set. Training sees batches of $B$ images, and it is natural to type `len(batch)` where the formula
# says $N$. With 100 classes and batches of 32:

# %%
for size in (32, 64, 100, 128, 5_000):
    print(f"B = {size:5}: G = {3 * (100 - 1) * (size / 100 - 1) * size / 100:14.1f}")

# %% [markdown]
# **Predict.** Embeddings trained with $G$ computed from $B = 32$ and 100 classes will (a) collapse as before, since $G$ is only a factor;
# (b) stay where they are; (c) flee from their own centroids.

# %%
predict("5.5", "?")

# %%
hundred, mine = geometry.simplex(100, 128), torch.arange(32)


def descend(factor, steps=40):
    """On factor times the terms, lengths 1: (loss, mean and smallest distance to the own centroid) of each step."""
    points = torch.randn(32, 128, generator=generator(SEED, "batch")).requires_grad_()
    adam, seen = torch.optim.Adam([points], lr=0.05), []
    for _ in range(steps):
        apart = geometry.distances(F.normalize(points, dim=1), hundred)
        loss, own = (
            (factor * losses.centroid_terms(apart, mine)).mean(),
            apart.gather(1, mine[:, None]),
        )
        seen.append((loss.item(), own.mean().item(), own.min().item()))
        adam.zero_grad()
        loss.backward()
        adam.step()
    return seen


# %%
turned, right = descend(3 * 99 * (32 / 100 - 1) * 32 / 100), descend(1.0)
for name, seen in {"G from the batch": turned, "without G": right}.items():
    for when, (loss, own, smallest) in {"first": seen[0], "last": seen[-1]}.items():
        print(
            f"{name:16} {when:5}: loss {loss:7.2f}    own distance: mean {own:.2f}, smallest {smallest:.2f}"
        )
moved = turned[-1][1] - turned[0][1]
assert turned[-1][2] > turned[0][2]
assert turned[-1][0] < turned[0][0]
outcome("5.5", "c" if moved > 0.1 else "a" if moved < -0.1 else "b")

# %% [markdown]
# A negative factor turns descent into ascent: on average the images run towards the far side of the sphere, even the smallest own
# distance has grown, and the "loss" falls nicely. At $B = C$ the factor is 0, and nothing is learned. **The remedy** is (5.5):
# the mean over the batch, without $G$, if the classes *of the whole set* are of one size; else pass `class_counts` and have
# (5.7). `CentroidBound` computes both. `balanced_counts` refuses this batch (a multiple of $C$ would slip through: it cannot
# know what is a whole set):

# %%
try:
    theory.balanced_counts(32, 100)
except ValueError as error:
    print(error)

# %% [markdown]
# ## 5.12 What does it cost?
#
# The bound was invented because triplets are many. How much does it take to sum them *all*, exactly, with a hinge?
#
# **Predict.** On logarithmic axes a cost of $\alpha N^\beta$ is a straight line of slope $\beta$, the **exponent**. The best exact,
# hinged way that we shall time has a slope of about (a) 1; (b) 2; (c) 3, for there are that many triplets.

# %%
predict("5.6", "?")

# %% [markdown]
# "Cubic" is the cost of *listing* triplets. There are better ways. Without a hinge, (5.1) is a sum over **pairs**. The pair
# $(i, j)$ of one class comes up once for each negative, the pair $(i, k)$ of two classes once for each positive:
#
# $$L_t = \sum_i \Big( (N - n_{y_i}) \sum_{j \ne i,\, y_j = y_i} \lVert x_i - x_j \rVert - (n_{y_i} - 1) \sum_{k :\, y_k \ne y_i} \lVert x_i - x_k \rVert \Big) . \tag{5.15}$$
#
# That is $N^2$ distances. With a hinge, sort. Fix an anchor $i$ and sort its distances to negatives, $a_1 \le a_2 \le \dots$; let
# $S_v = a_1 + \dots + a_v$, the **prefix sums**, be computed once. A positive at distance $p$ violates the margin exactly with the
# $v$ negatives that are closer than $p + \delta$, and those come first in the sorted row:
#
# $$\sum_k [\, p - a_k + \delta\, ]_+ = v\, (p + \delta) - S_v , \qquad v = \#\{ k : a_k < p + \delta \} . \tag{5.16}$$
#
# A binary search finds $v$. So all triplets of an anchor cost a sort, $O(N \log N)$, and all anchors $O(N^2 \log N)$.

# %%
row, p, margin = (
    torch.tensor([0.9, 0.3, 1.4, 0.6]),
    0.5,
    0.2,
)  # one anchor: four negatives, one positive
by_listing = sum(max(p - a + margin, 0.0) for a in row.tolist())
ascending = row.sort().values  # 0.3 0.6 0.9 1.4
prefix = torch.cat([torch.zeros(1), ascending.cumsum(0)])  # S_0, S_1, ...
v = int(
    torch.searchsorted(ascending, torch.tensor(p + margin))
)  # 0.3 and 0.6 are closer than 0.7
print(
    f"v = {v}: listed {by_listing:.2f}, sorted {v * (p + margin) - float(prefix[v]):.2f}"
)
pairs = geometry.distances(x, x)
listed = sum(
    max(float(pairs[i, j] - pairs[i, k]) + 2.0, 0.0) for i, j, k in triplets(labels)
)
assert (
    abs(listed - hinged_loss(x, labels, 2.0)) < 1e-9
)  # losses.triplet_mean does this for all rows at once

# %% [markdown]
# We time six ways to pass over $N$ images once (an epoch), 64 dimensions, 4 classes:
#
# - **listed**: the three nested loops, hinged;
# - **masks**: all $N \times N \times N$ sums of two distances at once, then a mask for those that are triplets;
# - **sorted**: (5.16), exact and hinged;
# - **pairs**: (5.15), exact, no hinge;
# - **means each batch**: the bound, but with centroids that follow the embeddings: for each batch of 32 the class means of
#   *all* $N$ embeddings are taken anew, $N / 32$ times $N$;
# - **bound**: fixed centroids, batch by batch.
#
# The first four take all triplets of the whole set, the last two go by batches. A network sees batches only, and sorted triplets
# *within* batches of $B$ images cost $O(N B \log B)$ an epoch: linear in $N$ as well, for a smaller task.


# %%
def listed(x, y, margin=0.2):
    d, y = geometry.distances(x, x).tolist(), y.tolist()
    return sum(max(d[i][j] - d[i][k] + margin, 0.0) for i, j, k in triplets(y))


def masks(x, y, margin=0.2):
    d = geometry.distances(x, x)
    return (
        (d[:, :, None] - d[:, None, :] + margin)
        .clamp(min=0)[losses.valid_triplets(y)]
        .sum()
    )


# %%
def by_batches(x, y, centroids_now):
    """The bound over batches of 32; the centroids are asked for at each."""
    parts = zip(x.split(32), y.split(32), strict=True)
    return sum(
        losses.centroid_terms(geometry.distances(part, centroids_now(x, y)), of).sum()
        for part, of in parts
    )


def class_means(x, y):
    return torch.zeros(4, x.shape[1]).index_add(0, y, x) / torch.bincount(y)[:, None]


fixed = geometry.simplex(4, 64)

# %%
times = settings.by_mode(smoke=0.25, class_=1, full=1)
PATIENCE = settings.by_mode(
    smoke=0.0, class_=0.4, full=2.0
)  # seconds for each size, at least
WAYS = {  # the exponent that theory gives for large N, the largest N to time, what to time
    "listed": (3, 128, listed),
    "masks": (3, 128, masks),
    "sorted": (
        2,
        2048,
        lambda x, y: losses.triplet_mean(geometry.distances(x, x), y, margin=0.2),
    ),
    "pairs": (2, 2048, lambda x, y: losses.triplet_sum(geometry.distances(x, x), y)),
    "means each batch": (2, 32768, lambda x, y: by_batches(x, y, class_means)),
    "bound": (1, 32768, lambda x, y: by_batches(x, y, lambda x, y: fixed)),
}
SIZES = {
    name: [8 * 4**e for e in range(7) if 8 * 4**e <= most * times]
    for name, (_, most, _) in WAYS.items()
}
print(
    "   ".join(f"{name}: {sizes[0]} to {sizes[-1]:,}" for name, sizes in SIZES.items())
)

# %%
import time


def seconds(call, n):
    """The least of several runs, in time of the processor: what it gives to other programs does not count."""
    x = geometry.normalize(torch.randn(n, 64, generator=generator(SEED, "cost", n)))
    y, times = torch.arange(n) % 4, []
    while len(times) < 2 or sum(times) < PATIENCE:
        start = time.process_time()
        call(x, y)
        times.append(time.process_time() - start)
    return min(times)


threads = torch.get_num_threads()
torch.set_num_threads(1)  # so that the number of cores does not count
measured = {
    name: {n: seconds(WAYS[name][2], n) for n in sizes} for name, sizes in SIZES.items()
}
torch.set_num_threads(threads)

# %% [markdown]
# The exponent is fitted by **least squares** on the logarithms: with $u = \log N$ and $v = \log(\text{seconds})$, and bars for means,
#
# $$\beta = \frac{\sum (u - \bar u)(v - \bar v)}{\sum (u - \bar u)^2} . \tag{5.17}$$
#
# We fit all sizes, the two smallest, and the two largest.


# %%
def exponent(by_size):
    u = torch.tensor([float(n) for n in by_size]).log()
    v = torch.tensor(list(by_size.values())).log()
    u, v = u - u.mean(), v - v.mean()
    return float((u * v).sum() / (u * u).sum())


slopes = {}
print(
    "                  theory   all sizes   two smallest   two largest     smallest        largest"
)
for name, by_size in measured.items():
    pairs = list(by_size.items())
    slopes[name] = [exponent(dict(some)) for some in (pairs, pairs[:2], pairs[-2:])]
    assert abs(slopes[name][0] - records.exponent(by_size)) < 1e-3
    fitted = "{:11.1f} {:14.1f} {:13.1f}".format(*slopes[name])
    print(
        f"{name:17} {WAYS[name][0]:6} {fitted} {1000 * pairs[0][1]:9.2f} ms {1000 * pairs[-1][1]:11.1f} ms"
    )
large = {name: last for name, (_, _, last) in slopes.items()}

# %%
if settings.mode() == "smoke":
    print("not shown in smoke mode: so few sizes make no slope")
else:
    for name, (of_all, first, last) in slopes.items():
        assert abs(last - WAYS[name][0]) < 0.75
        assert name == "listed" or first < of_all < last
        assert name == "listed" or first < 0.5 * WAYS[name][0]
    assert min(large, key=large.get) == "bound"
    assert large["sorted"] < min(large["listed"], large["masks"])
    outcome("5.6", "abc"[min(max(round(large["sorted"]), 1), 3) - 1])
    took = {name: 1000 * measured[name][128] for name in ("listed", "sorted", "bound")}
    print(
        "N = 128: "
        + "   ".join(
            f"{name} {milliseconds:.1f} ms" for name, milliseconds in took.items()
        )
    )
    assert took["bound"] < took["sorted"] < took["listed"]

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(8.6, 5.2))
figures.growth(ax, measured, large)
title = "At the large end listing rises steepest, the bound least"
ax.set(
    title=title,
    xlabel="images $N$; the exponents are those of the two largest",
    ylabel="processor seconds an epoch",
)
ax.set_xlim(right=max(max(sizes) for sizes in SIZES.values()) * 8)
show(figure, "5.12 processor seconds one pass")

# %% [markdown]
# **What to see.** Read the slopes, not the heights: Python loops are slow for reasons of their own. And read them at the
# large end. At the small end all but the loops rise far less than theory says: each call of a tensor library has a **fixed
# cost** (checks, memory, the way to the kernel), and while the work is less, more images take hardly longer. So a fit over
# all sizes comes out below the theory for all but listing. The two largest sizes come nearer, and some go beyond it: a table
# that no longer fits into the processor's cache may be one reason; we did not measure it. Means for each batch have lost what
# fixed centroids gained, with $N^2 / 32$ rows to average; that shows once it outgrows the fixed cost of $N / 32$ batches.
#
# So the honest case for the bound is that it is linear in $N$ (for a fixed number of classes),
# needs no second image of a class in the batch, and gives an image a gradient that does not depend on the company it came with.
# Within a batch of a hundred images or so *all* triplets can be had exactly and cheaply (see the line for $N = 128$), and a
# batch is all they ever see.

# %% [markdown]
# ## Exercises
#
# **Exercise 5.1 · three roles** · difficulty 2 of 5 · 10 minutes. For classes of the given sizes, return how often an image
# of class `m` is the anchor, the positive and the negative of a triplet.


# %%
def roles(sizes: list[int], m: int) -> tuple[int, int, int]:
    """(anchor, positive, negative) for one image of class m."""
    ...


check("5.1", roles)

# %% [markdown]
# <details><summary>Hint 1</summary>As anchor: how many positives, times how many negatives?</details>
# <details><summary>Hint 2</summary>As negative: anchor and positive are an <em>ordered</em> pair of one other class. Sum over the
# other classes.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def roles(sizes, m):
#     anchor = (sizes[m] - 1) * (sum(sizes) - sizes[m])
#     negative = sum(n * (n - 1) for r, n in enumerate(sizes) if r != m)
#     return anchor, anchor, negative
# ```
#
# People count the image as its own positive, count pairs without their order, or use N / C for every class: it agrees
# exactly where classes are of one size, and nowhere else.
# </details>

# %% [markdown]
# **Exercise 5.2 · one image's share** · difficulty 1 of 5 · 5 minutes. Given the distances of one image to all $C$
# centroids and its class, return its term in (5.5), $3\, d_y - \frac{1}{C - 1} \sum_{m \ne y} d_m$.


# %%
def term(distances: torch.Tensor, y: int) -> float:
    """distances: (C,), not squared."""
    ...


check("5.2", term)

# %% [markdown]
# <details><summary>Hint 1</summary><code>distances.sum() - distances[y]</code> is the sum over the others.</details>
# <details><summary>Hint 2</summary>How many others are there?</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def term(distances, y):
#     return float(3 * distances[y] - (distances.sum() - distances[y]) / (len(distances) - 1))
# ```
#
# People take the mean over all C, the own one included; or divide by 3 a second time, mixing (5.4) and (5.5).
# </details>

# %% [markdown]
# **Exercise 5.3 · the hinged share** · difficulty 2 of 5 · 10 minutes. Return one image's term in the valid hinged bound (5.12),
# $2\, d_y + \frac{1}{C - 1} \sum_{r \ne y} [\, d_y - d_r + \delta\, ]_+$.


# %%
def hinged_term(distances: torch.Tensor, y: int, margin: float) -> float:
    """distances: (C,), not squared; margin: delta."""
    ...


check("5.3", hinged_term)

# %% [markdown]
# <details><summary>Hint 1</summary><code>.clamp(min=0)</code> is the hinge.</details>
# <details><summary>Hint 2</summary>At r = y the hinge would be the margin itself: leave it out.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def hinged_term(distances, y, margin):
#     hinges = (distances[y] - distances + margin).clamp(min=0)
#     return float(2 * distances[y] + (hinges.sum() - hinges[y]) / (len(distances) - 1))
# ```
#
# People hinge the whole term, or the mean instead of each class. The mean's hinge can be 0 while a single close class violates the
# margin: what comes out is too small, and no bound.
# </details>

# %% [markdown]
# **Exercise 5.4 · the price of a square** · difficulty 3 of 5 · 20 minutes. In (5.13) the positive was treated with $t = 1$. Use a
# slack $s > 0$ there as well: $\lVert x_i - x_j \rVert^2 \le (1 + s)\, d_i^2 + (1 + \frac1s)\, d_j^2$. Derive the weights and return them: that of $d_i^2$
# (all three roles together, in units of $(C - 1) M (M - 1)$), and that of the mean of the $d_{im}^2$.


# %%
def weights(s: float, t: float) -> tuple[float, float]:
    """(weight of the own centroid, weight of the others' mean), both positive."""
    ...


check("5.4", weights)

# %% [markdown]
# <details><summary>Hint 1</summary>Anchor 1 + s, positive 1 + 1/s. What does the negative bring?</details>
# <details><summary>Hint 2</summary>Divide the second inequality by 1 + t, both of its terms.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def weights(s, t):
#     return (1 + s) + (1 + 1 / s) + 1 / t, 1 / (1 + t)
# ```
#
# Positive: ||x_i - x_j||² ≤ (1 + s) d_i² + (1 + 1/s) d_j². Negative, divided by 1 + t:
# -||x_i - x_k||² ≤ -d_im² / (1 + t) + d_k² / t, where m is the negative's class. Add the two and count roles: an image is
# anchor, positive and negative (C - 1) M (M - 1) times each, and brings 1 + s, 1 + 1/s and 1/t. As anchor it meets each other class
# M (M - 1) times: 1 / (1 + t) for the mean over C - 1 classes.
#
# The sum s + 1/s is least at s = 1, so nothing is gained there, and 4 + 1/t is the best. People keep the weight 1 for the others
# (then it is no bound), or forget to divide the negative's own distance by 1 + t.
# </details>

# %% [markdown]
# **Exercise 5.5 · outward on a simplex** · difficulty 3 of 5 · 15 minutes. The centroids are a simplex of $C$ unit vectors, two images
# of each class, all displaced by $\varepsilon / 2$ straight away from the origin: $x_i = (1 + \varepsilon / 2)\, c_{y_i}$. Return the gap per
# triplet, $(L_d - L_t) / H$, divided by $\varepsilon$. Then explain on paper: why 2 for two classes, why less for three, and what for tiny $\varepsilon$?


# %%
def outward_gap(eps: float, classes: int) -> float:
    """(L_d - L_t) / (H * eps); geometry.simplex(classes, classes) are the centroids."""
    ...


check("5.5", outward_gap)

# %% [markdown]
# <details><summary>Hint 1</summary><code>gap_per_triplet</code> of section 5.5 takes embeddings, labels and centroids.</details>
# <details><summary>Hint 2</summary>On paper: all triplets are alike. Take one, and look at its two brackets of waste.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def outward_gap(eps, classes):
#     c, y = geometry.simplex(classes, classes).double(), torch.arange(classes).repeat(2)
#     return gap_per_triplet((1 + eps / 2) * c[y], y, c) / eps
# ```
#
# Positives coincide, so the first bracket is eps, for any C. In the second, d_k = eps/2, and the move outward brings the negative
# farther from the anchor than its centroid is, but by all of eps/2 only if it moves along the line of sight. For two classes it
# does; for three it moves at 30 degrees to it. With e the edge of the simplex, gap / eps tends to 3/2 + e/4 as eps vanishes:
# 2 for two classes, about 1.93 for three, and towards 3/2 + √2/4, about 1.85, for many.
#
# People displace inward (then the negative's detour costs little), or only one image of each class (then the positive's is free).
# </details>

# %% [markdown]
# **Exercise 5.6 · how fast one-hot catches up** · difficulty 3 of 5 · 15 minutes. One-hot centroids are $\sqrt 2$ apart, the simplex's
# $\sqrt{2 C / (C - 1)}$. The shortfall $1 - \text{one-hot} / \text{simplex}$ vanishes as $C$ grows. Return $C$ times it, try large $C$, and find the limit; then
# prove it on paper.


# %%
def scaled_shortfall(classes: int) -> float:
    """C * (1 - one-hot distance / simplex distance)."""
    ...


check("5.6", scaled_shortfall)

# %% [markdown]
# <details><summary>Hint 1</summary>The ratio is the root of 1 - 1/C.</details>
# <details><summary>Hint 2</summary>Multiply 1 - r by (1 + r) / (1 + r), with r the ratio.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def scaled_shortfall(classes):
#     return classes * (1 - (1 - 1 / classes) ** 0.5)
# ```
#
# With r the root of 1 - 1/C, the product (1 - r)(1 + r) is 1/C, so C (1 - r) = 1 / (1 + r), and r tends to 1: the limit is one
# half. People compare squared distances (then it is 1 for every C), or angles.
# </details>

# %% [markdown]
# ## What to take away
#
# - Two triangle inequalities bound every triplet by distances of single images to fixed centroids; counting three roles
#   makes one pass of it.
# - The bound is loose for scattered classes and exact at collapse; what it wastes is at most $d_i + d_j + 2 d_k$ for a
#   triplet. Summed over all triplets, that limit can be reached while at most two classes are off their centroids, and never
#   once three are.
# - For classes of different sizes the plain mean is no bound: weigh the images.
# - Its only low is collapse onto the centroids, in space and on the sphere, and has the shape of a cone: decay the learning rate.
# - Of all centroids of length 1 a simplex gives the bound its lowest value, if $D \ge C - 1$. One-hot vectors fall short a
#   little; k-means vectors do well on average, and with fifty classes in 64 dimensions some pairs are close.
# - It bounds plain distances without a hinge. Hinge, squares and the batch size in $G$ each break it, and each has a remedy.
# - "Cubic" is the cost of listing triplets. Sorting sums all of them, hinged and exactly, in $O(N^2 \log N)$; the bound costs $O(N C)$.
#
# ## Five questions
#
# 1. Why may the centroids lie anywhere in (5.4), and why should they be far apart nevertheless?
# 2. Where in the derivation does it matter that distances are not squared?
# 3. The bound of your run is 0.9 per triplet. What do you know about its triplet loss?
# 4. What would happen if the centroids were parameters, trained together with the network, on the bound as it stands, without unit length?
# 5. When would you rather take the sorted triplets of a batch than the bound?
#
# <details><summary>Short answers</summary>
#
# 1. The triangle inequality holds for any point. But the lowest value is minus their mean distance, and close centroids ask for
#    close classes.
# 2. In both detours: for squares the way through a third point may be shorter.
# 3. It is at most 0.9, and at least 0.9 minus four times the mean distance to the own centroid.
# 4. The others' distances enter with a minus sign, so the centroids would run away from each other, with their classes, without end.
# 5. With a hinge and a margin that should stop the pull, with classes that should keep their inner differences, or with new
#    classes in every batch.
# </details>
#
# ## References
#
# - T.-T. Do, T. Tran, I. Reid, V. Kumar, T. Hoang, G. Carneiro. *A Theoretically Sound Upper Bound on the Triplet Loss
#   for Improving the Efficiency of Deep Distance Metric Learning*. CVPR 2019, arXiv 1904.08720.
# - F. Schroff, D. Kalenichenko, J. Philbin. *FaceNet: A Unified Embedding for Face Recognition and Clustering*. CVPR 2015.
#
# **Next**: [06 · The field](06_the_field.ipynb), where this loss stands beside twelve others.
