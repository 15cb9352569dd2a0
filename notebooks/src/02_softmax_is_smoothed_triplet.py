# %% [markdown]
# # 02 · SoftMax is a smoothed triplet loss
#
# **Question.** Why does a classifier learn a metric?
#
# **After this chapter you can**
# - rewrite the SoftMax loss as a maximum over weights on triplets, and prove it,
# - say what the scale $\lambda$ does to that maximum, and how far the loss is from the hardest triplet,
# - explain why lengths must not count,
# - prove what a good classifier guarantees about *triplets of images*, and measure whether training delivers it,
# - write normalized SoftMax from nothing, stable at any scale, and train with it.
#
# **Before it** you need cross-entropy, gradients, retrieval by direction and its Recall@1 (chapter 00), and the triplet
# constraint (1.7) of lesson [01b](01b_triplets.ipynb).
#
# **Time** about {reading} minutes to read, half as much again with a pencil, and {exercises} for the exercises; the cells run
# in under a minute on a laptop with two cores. What goes beyond stands in the companion [02b](02b_softmax_deeper.ipynb).

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

from dmlbook import book, datasets, geometry, losses, nets, retrieval, settings
from dmlbook.chapters import check, outcome, predict, show, yours
from dmlbook.chapters.ch02 import experiments, figures, theory
from dmlbook.seeding import SEED, generator

book.use_style()
book.story("02")

# %% [markdown]
# ## 2.1 A classifier that compares directions
#
# A classifier gives one number a class, its *logit*; SoftMax turns the logits into probabilities; cross-entropy is minus
# the logarithm of the true class's probability. Here the logits are cosines. The embedding $x_i \in \mathbb{R}^D$ of
# image $i$ has length 1. Every class $c$ has one learned vector $w_c$ of length 1, its **center** (where a class has
# only one, it is also called its *proxy*; from chapter 03 on, classes have several). The **similarity** of image $i$ and
# class $c$ is $x_i \cdot w_c$, the cosine of the angle between the two, and the logit is $\lambda$ times that. The
# **scale** $\lambda > 0$ is a number that we choose. With $y_i$ for the class of image $i$, and $C$ classes, this is the
# **normalized SoftMax loss**:
#
# $$\ell(x_i) = -\log \frac{e^{\lambda\, x_i \cdot w_{y_i}}}{\sum_{c=1}^{C} e^{\lambda\, x_i \cdot w_c}} \tag{2.1}$$
#
# Our toy is one image and three centers on a circle. All coordinates come from right triangles with sides 3, 4, 5 and 7,
# 24, 25, so you can follow with a pencil.

# %%
x = torch.tensor([[1.0, 0.0]], dtype=torch.float64)  # (B=1, D=2)
rows = [[0.8, 0.6], [0.96, -0.28], [0.6, -0.8]]
centers = torch.tensor(rows, dtype=torch.float64)  # (C=3, D=2)
label = torch.tensor([0])


def softmax_loss(x, w, y, scale):
    """Formula (2.1), for one image."""
    e = [math.exp(scale * float(x @ center)) for center in w]
    return -math.log(e[y] / sum(e))


by_hand = softmax_loss(x[0], centers, 0, scale=5.0)
similarities = x @ centers.T  # (B, C)
# margin_cross_entropy can also subtract a margin, from chapter 03 on.
ours = losses.margin_cross_entropy(similarities, label, scale=5.0)
assert math.isclose(ours.item(), by_hand)
print(f"similarities: {similarities[0].tolist()}   loss at lambda = 5: {by_hand:.4f}")

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(3.8, 3.4))
figures.image_and_centers(book.unit_circle(ax), x[0], centers, 0)
ax.set_title("A wrong center is the closest one")
show(figure, "2.1 image and three centers")

# %% [markdown]
# **What to see.** The own center $w_0$ loses to $w_1$ and wins against $w_2$.
#
# ## 2.2 Triplets with centers in them
#
# Lesson 01b asked of every **triplet** of an image $x_i$, an image $x_j$ of its own class and an image $x_k$ of another
# class that
#
# $$x_i \cdot x_j - x_i \cdot x_k \ge \delta .$$
#
# There are about $N^3 / C$ such triplets among $N$ images. Now put centers in the place of $x_j$ and $x_k$. The triplet
# becomes $(x_i, w_{y_i}, w_c)$, with the center of another class $c$, and $N (C - 1)$ triplets are left.

# %%
birds = datasets.load("birds", "train")
number, classes = len(birds), birds.num_classes
print(f"{number} birds of {classes} species")
print(f"triplets of images: {losses.count_triplets(birds.labels):,}")
print(f"triplets with centers: {number * (classes - 1):,}")

# %% [markdown]
# By how much does the wrong center $w_c$ beat the own center $w_{y_i}$? We call that the **violation**:
#
# $$v_{ic} = x_i \cdot (w_c - w_{y_i}) \tag{2.2}$$
#
# If it is positive, the constraint (with $\delta = 0$) is broken. For $c = y_i$ it is 0. Divide the numerator and the denominator of (2.1) by $e^{\lambda\, x_i \cdot w_{y_i}}$, and the
# loss turns out to depend on nothing else:
#
# $$\ell(x_i) = -\log \frac{1}{\sum_c e^{\lambda (x_i \cdot w_c - x_i \cdot w_{y_i})}}$$
#
# $$\ell(x_i) = \log \sum_{c=1}^{C} e^{\lambda v_{ic}} \tag{2.3}$$

# %%
v = [float(x[0] @ (w - centers[0])) for w in centers]
torch.testing.assert_close(theory.violations(similarities, label)[0].tolist(), v)
assert math.isclose(math.log(sum(math.exp(5.0 * value) for value in v)), by_hand)
said = ", ".join(f"{value:+.2f}" for value in v)
print(f"violations: {said}   the hardest: {max(v):.2f}")

# %% [markdown]
# A triplet loss that mines the hardest negative would look at one of these numbers only, the **hardest violation**
# $v_i^{\max} = \max_c v_{ic}$. It is never negative, since the own class takes part with $v_{i y_i} = 0$: with the hinge
# of (1.10), $v_i^{\max} = [\max_{c \ne y_i} v_{ic}]_+$. SoftMax has exponentials instead.
#
# **Predict.** $v_i^{\max}$ was just printed. At $\lambda = 20$ the loss divided by $\lambda$ is (a) below it; (b) above
# it, by less than a tenth of it; (c) above it, by more than a tenth.

# %%
predict("2.1", "?")  # "a", "b" or "c"

# %%
hardest = theory.hardest_violation(similarities, label).item()
smoothed = softmax_loss(x[0], centers, 0, scale=20.0) / 20.0
print(f"hardest violation {hardest:.4f}    loss / lambda {smoothed:.4f}", end="")
print(f"    above it by {smoothed - hardest:.4f}")
outcome("2.1", "a" if smoothed < hardest else "b" if smoothed < 1.1 * hardest else "c")

# %% [markdown]
# ## 2.3 The loss is a maximum
#
# **First step: a maximum is a weighted mean whose weights are chosen by an adversary.** Let $u = (u_1, \dots, u_C)$ be
# weights, $u_c \ge 0$ and $\sum_c u_c = 1$. All such $u$ together are the **simplex** $\Delta$. A weighted mean never
# exceeds the largest value, and reaches it with all weight there. So $v_i^{\max} = \max_{u \in \Delta} \sum_c u_c v_{ic}$:
# mining the hardest triplet is choosing a corner of the simplex, where one weight is 1 and the others are 0.
#
# **Second step: the adversary is paid for not deciding.** The **entropy** $H(u) = -\sum_c u_c \log u_c$ (where
# $0 \log 0 = 0$) is 0 at a corner and largest, $\log C$, when all weights are equal. Add it, and the maximum becomes
# smooth; what comes out is SoftMax.
#
# **Theorem** (Qian et al. 2019).
#
# $$\ell(x_i) = \max_{u \in \Delta} \Big\{ \lambda \sum_{c=1}^{C} u_c v_{ic} + H(u) \Big\} \tag{2.4}$$
#
# and the maximum is reached at exactly one $u$, the classifier's probabilities $p$:
#
# $$p_c = \frac{e^{\lambda\, x_i \cdot w_c}}{\sum_{m=1}^{C} e^{\lambda\, x_i \cdot w_m}} \tag{2.5}$$
#
# In words: **SoftMax is a triplet loss over centers. It weights the triplets of an image by how badly they are violated,
# and the entropy keeps it from looking at the hardest one alone.**
#
# Before the proof, three candidates for $u$ in our toy, at $\lambda = 5$.


# %%
def objective(u, v, scale):
    """What (2.4) maximizes, with 0 log 0 = 0."""
    mean = sum(weight * value for weight, value in zip(u, v, strict=True))
    return scale * mean - sum(weight * math.log(weight) for weight in u if weight > 0)


p = theory.smoothing_weights(similarities, scale=5.0)  # (B, C), formula (2.5)
candidates = {
    "all on the hardest": [0.0, 1.0, 0.0],
    "all equal": [1 / 3, 1 / 3, 1 / 3],
    "softmax": p[0].tolist(),
}
for name, u in candidates.items():
    said = ", ".join(f"{weight:.3f}" for weight in u)
    print(f"{name:19} u = ({said})   objective {objective(u, v, 5.0):.4f}")
print(f"{'loss (2.1)':50}{by_hand:.4f}")

# %% [markdown]
# ### The proof: what a wrong $u$ costs
#
# Fix the image, write $v_c$ for $v_{ic}$ and $\ell$ for $\ell(x_i)$. Dividing above and below in (2.5) by
# $e^{\lambda\, x_i \cdot w_{y_i}}$ gives $p_c = e^{\lambda v_c} / \sum_m e^{\lambda v_m}$, and the denominator is $e^{\ell}$ by (2.3).
# Take the logarithm:
#
# $$\log p_c = \lambda v_c - \ell \quad\Longrightarrow\quad \lambda v_c = \log p_c + \ell .$$
#
# Insert this into the objective, for *any* $u \in \Delta$:
#
# $$\begin{aligned}
# \lambda \sum_c u_c v_c + H(u) &= \sum_c u_c (\log p_c + \ell) - \sum_c u_c \log u_c \\
# &= \ell \sum_c u_c - \sum_c u_c \log \frac{u_c}{p_c} .
# \end{aligned}$$
#
# The weights sum to 1, and the last sum has a name, the *Kullback-Leibler divergence* of $u$ from $p$:
#
# $$\lambda \sum_{c} u_c v_{ic} + H(u) = \ell(x_i) - \mathrm{KL}(u \,\Vert\, p), \qquad \mathrm{KL}(u \,\Vert\, p) = \sum_c u_c \log \frac{u_c}{p_c} \tag{2.6}$$
#
# It is left to show that KL is never negative (*Gibbs' inequality*). The line $t - 1$ touches $\log t$ at $t = 1$ and
# lies above it everywhere else. Over the $c$ with $u_c > 0$, and with $t = p_c / u_c$,
#
# $$-\mathrm{KL}(u \,\Vert\, p) = \sum_c u_c \log \frac{p_c}{u_c} \le \sum_c u_c \Big( \frac{p_c}{u_c} - 1 \Big) = \sum_c p_c - \sum_c u_c \le 1 - 1 = 0 .$$
#
# Equality needs $t = 1$ wherever $u_c > 0$, and no weight of $p$ elsewhere; so it needs $u = p$. So the objective is at
# most $\ell$, and reaches it at $p$ only. $\blacksquare$
#
# (2.6) says more than the theorem: it is the exact price of any other weights. A second proof, which *finds* $p$, and two
# searches that know neither proof stand in [§2b.1](02b_softmax_deeper.ipynb).

# %%
for name, u in candidates.items():
    pairs = zip(u, p[0].tolist(), strict=True)
    price = sum(mine * math.log(mine / best) for mine, best in pairs if mine > 0)  # KL
    print(f"{name:19} objective {objective(u, v, 5.0):.4f}   KL {price:.4f}", end="")
    print(f"   together {objective(u, v, 5.0) + price:.4f}")

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 4, figsize=(9.6, 2.6), sharey=True)
for ax, scale in zip(axes, (1.0, 5.0, 20.0, 100.0), strict=True):
    figures.weight_bars(
        ax, theory.smoothing_weights(similarities, scale=scale)[0], label=0
    )
    ax.set_title(rf"$\lambda = {scale:g}$")
axes[0].set_ylabel("weight $p$")
show(figure, "2.3 weights at four scales")

# %% [markdown]
# **What to see.** At a small scale all triplets get similar weights, at a large one the violated gets everything. The bar over the own center is weight on the triplet $(x_i, w_{y_i}, w_{y_i})$,
# which asks for nothing: weight that rests.
#
# ## 2.4 What training follows
#
# Training follows the gradient. In (2.5) the weights depend on $x_i$. Suppose we forget that: compute $p$ once, call it
# constant, and differentiate $\lambda \sum_c p_c v_{ic}$ alone.
#
# **Predict.** Compared with the gradient of cross-entropy, that is (a) the same; (b) the same only for large $\lambda$;
# (c) different, because the change of $p$ and the entropy were left out.

# %%
predict("2.2", "?")

# %%
same = {}
for scale in (1.0, 20.0):
    point = x.clone().requires_grad_()
    s = point @ centers.T
    loss = losses.margin_cross_entropy(s, label, scale=scale)
    (of_loss,) = torch.autograd.grad(loss, point, retain_graph=True)
    p = theory.smoothing_weights(s, scale=scale).detach()  # constant from here on
    of_triplets = scale * (p * theory.violations(s, label)).sum()
    (frozen,) = torch.autograd.grad(of_triplets, point)
    same[scale] = torch.allclose(frozen, of_loss)
    for name, slopes in (("cross-entropy", of_loss), ("fixed weights", frozen)):
        said = ", ".join(f"{slope:8.4f}" for slope in slopes[0].tolist())
        print(f"lambda {scale:3.0f}: {name:14} ({said})")
outcome("2.2", "a" if all(same.values()) else "b" if same[20.0] else "c")

# %% [markdown]
# **Why.** Let $F(u, \xi)$ be the objective of (2.4) before the maximum is taken, and $\xi$ any number on which it
# depends: a coordinate of $x_i$ or of a center, the scale, a length. By the chain rule, at the top $u = p$,
#
# $$\frac{d \ell}{d \xi} = \frac{\partial F}{\partial \xi}\Big|_{u\ \text{fixed}} + \sum_c \frac{\partial F}{\partial u_c} \frac{d p_c}{d \xi} .$$
#
# There all slopes $\partial F / \partial u_c = \lambda v_c - \log p_c - 1$ are the same number, $\ell - 1$: that is
# the first line of the proof. So the second term is $(\ell - 1)\, d(\sum_c p_c) / d\xi = 0$, because the sum is 1
# whatever happens. (At the top, a small step within the simplex costs nothing. This is the *envelope theorem*, also
# known as Danskin's.) $\blacksquare$
#
# What is left is easy to differentiate. With $[c = y_i]$ for 1 if $c$ is the own class and 0 otherwise, the slope of
# the loss in each similarity $s_{ic} = x_i \cdot w_c$ is
#
# $$\frac{\partial \ell(x_i)}{\partial s_{ic}} = \lambda \big( p_c - [c = y_i] \big) \tag{2.7}$$
#
# and the slope in the point itself is a sum over triplets:
#
# $$\nabla_{x_i}\, \ell(x_i) = \lambda \sum_{c=1}^{C} p_c\, (w_c - w_{y_i}) \tag{2.8}$$
#
# Going down, triplet $c$ pulls $x_i$ towards its own center and away from $w_c$, with weight $\lambda p_c$. (A network
# differentiates through the normalization too, so only the part along the sphere acts.) A triplet loss would have to
# *find* the triplets that matter. Here $p$ has found them, for the price of one softmax, and none is left out.
# ([§2b.2](02b_softmax_deeper.ipynb) draws triplets with probability $p$ instead, and counts how many one needs.)

# %%
slopes = theory.softmax_gradient(similarities, label, scale=20.0)  # (2.7)
torch.testing.assert_close(slopes @ centers, of_loss)  # gives (2.8), printed above

# %% [markdown]
# **Stop.** The loss of a classifier with unit vectors is the most that an adversary gets who is paid for violated triplets
# with centers in them, and for entropy. With his best weights, $p$, held fixed, the triplets have the gradient of the loss.
#
# **Question.** Two triplets of one image have violations $0.3$ and $-0.5$, and $\lambda = 10$. How many times as much
# weight has the first?
#
# <details><summary>Answer</summary>
#
# By (2.5) weights are as $e^{\lambda v_{ic}}$: the first has $e^{10 \cdot 0.8} = e^8$ times as much, about three
# thousand times. At $\lambda = 1$ it would be $e^{0.8}$, about twice. So the scale decides who is heard.
# </details>

# %% [markdown]
# ## 2.5 What the scale does
#
# ### Large scales: the hardest triplet
#
# In (2.4) the entropy lies between 0 and $\log C$. Divide by $\lambda$, and it shrinks: what remains is the hardest
# violation. Precisely:
#
# $$v_i^{\max} \;<\; \frac{\ell(x_i)}{\lambda} \;\le\; v_i^{\max} + \frac{\log C}{\lambda} \tag{2.9}$$
#
# *Proof.* Each of the $C$ terms of the sum in (2.3) is at most $e^{\lambda v_i^{\max}}$, one of them is equal to it, and
# none is 0. So
#
# $$e^{\lambda v_i^{\max}} < \sum_c e^{\lambda v_{ic}} \le C\, e^{\lambda v_i^{\max}},$$
#
# where the first step is strict as soon as there are two classes. Take the logarithm, divide by $\lambda$. $\blacksquare$
#
# The upper bound is reached when all $C$ terms are equal: the own class has $v_{i y_i} = 0$, so all violations are 0, and
# the loss is $\log C$, which is guessing, at every scale. The lower bound is approached. Take $e^{\lambda v_i^{\max}}$
# out of the sum:
#
# $$\ell(x_i) - \lambda v_i^{\max} = \log \sum_c e^{-\lambda (v_i^{\max} - v_{ic})} \;\longrightarrow\; \log(\text{ties}_i) \quad (\lambda \to \infty) \tag{2.10}$$
#
# where $\text{ties}_i$ is how many centers tie for the hardest: these give terms of 1 at every $\lambda$, and all others
# vanish. Without a tie that is $\log 1 = 0$, and the gap between $\ell / \lambda$ and $v_i^{\max}$ closes exponentially
# fast. On the left our toy between its bounds, on the right $\lambda$ times the gap for it, for an image whose own center
# ties with another, and for one as close to all three.

# %% jupyter={"source_hidden": true}
figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.4))
v = theory.violations(similarities, label)[0]
figures.limits(left, v)
ties = {"no tie": v, "two tie": torch.tensor([0, 0, -0.8]), "all tie": torch.zeros(3)}
figures.gaps(right, ties)
right.set(title="Ties remain: log 1, log 2, log 3", ylim=(-0.04, 1.2))
right.set_yticks([0, math.log(2), math.log(3)], ["log 1", "log 2", "log 3"])
show(figure, "2.5 gap and ties")

# %% [markdown]
# **What to see.** Left, loss / $\lambda$ falls through the band onto the hardest violation. Right, all three images
# begin near
# $\log 3$, and each ends at the logarithm of its ties. ([§2b.3](02b_softmax_deeper.ipynb), with (2.11) and (2.12): the gap only ever
# shrinks; what a *small* scale sees; where a learned scale goes.)
#
# **A trap.** (2.3) looks ready to be typed in. At a large scale it is not: exp overflows, and in float32, the precision
# of training, much sooner than in float64.

# %%
for kind in (torch.float32, torch.float64):
    print(f"{kind}: largest exponent {math.log(torch.finfo(kind).max):.1f}")
large = 1000.0 * theory.violations(similarities, label)[0].to(torch.float32)
naive = torch.log(torch.exp(large).sum())
stable = large.max() + torch.log(torch.exp(large - large.max()).sum())
print(f"log(sum(exp)) as written: {naive}    with the hardest taken out: {stable:.4f}")

# %% [markdown]
# **The remedy** is (2.10): take $e^{\lambda v_i^{\max}}$ of *each image* out of its sum, and add $\lambda v_i^{\max}$
# back. No exponent that is left is above 0 and one of them is 0, so the sum lies between 1 and $C$; single terms may
# vanish. `torch.logsumexp` and `F.cross_entropy` do so for you.
#
# ### The smallest loss there is
#
# Cosines cannot grow without bound, so neither can margins, and the loss has a floor. The best imaginable embedding
# puts every image exactly on the center of its class, and the centers as far apart as possible: at the corners of a
# **regular simplex**, $C$ unit vectors whose pairwise cosines are all $-1 / (C - 1)$. There is one in $D \ge C - 1$
# dimensions, and none in fewer. (Its corners are centers; those of $\Delta$ in §2.3 are weights.)
#
# **Predict.** With $C = 100$ classes and $\lambda = 1$, the loss of this perfect embedding is (a) almost 0; (b) about a
# tenth of $\log 100$, which is guessing; (c) more than half of it.

# %%
predict("2.3", "?")

# %%
perfect, guessing = geometry.simplex(100, 99).double(), math.log(100)
share = {}
for scale in (1.0, 5.0, 20.0):
    cosines, own = perfect @ perfect.T, torch.arange(100)
    reached = losses.margin_cross_entropy(cosines, own, scale=scale).item()
    floor = theory.smallest_softmax_loss(100, scale=scale)
    assert math.isclose(reached, floor, rel_tol=1e-4)
    share[scale] = reached / guessing
    print(f"lambda {scale:2.0f}: perfect embedding {reached:.2e}", end="")
    print(f"    guessing {guessing:.3f}    share {share[scale]:.1%}")
outcome("2.3", "c" if share[1.0] > 0.5 else "a" if share[1.0] < 0.02 else "b")

# %% [markdown]
# For unit vectors in balanced classes (as many images in each) the mean loss is never below
#
# $$\ell_{\min} = \log\Big( 1 + (C - 1)\, e^{-\lambda\, C / (C - 1)} \Big) \tag{2.13}$$
#
# and the perfect embedding reaches it, where there is room for it: $D \ge C - 1$. With fewer dimensions the smallest loss
# lies higher. Where classes differ in size, this holds if every class counts once: for the mean over the classes of
# their mean losses.
#
# <details><summary>Proof, in four lines (for a second reading)</summary>
#
# Let $W = \sum_c w_c$, and for an image $x$ of class $y$, with violations $v_c$ and loss $\ell$ (the index $i$ is left
# out), let $\bar v = \frac{1}{C-1} \sum_{c \ne y} v_c$ be the mean of its violations over the *other* classes.
#
# 1. The exponential is convex, so $\sum_{c \ne y} e^{\lambda v_c} \ge (C-1)\, e^{\lambda \bar v}$, and
#    $\ell \ge \varphi(\bar v)$ with $\varphi(t) = \log(1 + (C-1) e^{\lambda t})$, which is increasing and convex.
# 2.
#    $\bar v = x \cdot \big( \frac{W - w_y}{C - 1} - w_y \big) = \frac{1}{C-1}\, x \cdot (W - C w_y) \ge -\frac{1}{C-1} \lVert W - C w_y \rVert$,
#    by the Cauchy-Schwarz inequality and $\lVert x \rVert = 1$.
# 3. Square and sum over the classes:
#    $\sum_c \lVert W - C w_c \rVert^2 = C \lVert W \rVert^2 - 2 C \lVert W \rVert^2 + C^3 \le C^3$. The mean of $C$
#    numbers is at most the root of their mean square, so the mean over $c$ of $\lVert W - C w_c \rVert$ is at most $C$.
# 4. All images together: the mean of $\bar v$ is at least $-\frac{C}{C-1}$. $\varphi$ is convex and increasing, so the
#    mean loss is at least $\varphi$ of the mean of $\bar v$, hence at least $\varphi(-\frac{C}{C-1})$, which is (2.13).
#
# In the regular simplex with $x = w_y$ every $v_c$ but the own is $-\frac{1}{C-1} - 1 = -\frac{C}{C-1}$, and all steps are
# equalities. And only there: equality needs all $v_c$ of an image but the own to be equal, $W = 0$ and $x = w_y$. $\blacksquare$
# </details>
#
# A floor of this kind is known from NormFace (Wang et al. 2017). *First*, at a small scale a loss that seems stuck may
# be near its floor: compare it with that and not with 0. *Second*, at a large scale the floor is practically 0: there a
# small loss does not say that the embedding is near the perfect one.
#
# Turn the image around the circle, and move the scale. The panels show the pulls $p_c (w_{y_i} - w_c)$ as lines from the
# image, the weights, the slopes (2.7) divided by $\lambda$, and loss / $\lambda$ between its bounds (2.9). Raise the
# scale, and watch which center gets the weight.

# %%
from dmlbook.chapters.ch02.explorer import ScaleExplorer

ScaleExplorer().browser()

# %% [markdown]
# ## 2.6 Why lengths must not count
#
# Chapter 00 compared *directions*. An ordinary classifier does not: its logits are $x_i \cdot w_c$, with vectors of any
# length.
#
# **A trap.** Four images of two classes, and two centers. The loss is as good as 0.

# %%
tall = torch.tensor([[100.0, 0.0], [100.0, 90.0], [90.0, 100.0], [0.0, 100.0]])
of_class = torch.tensor([0, 0, 1, 1])
two = torch.eye(2)  # w_0 points east, w_1 north
print(f"loss {F.cross_entropy(tall @ two.T, of_class):.6f}")
print(f"Recall@1 by cosine: {retrieval.recall_at_k(tall, of_class, ks=(1,))[1]}")
cosines = F.normalize(tall, dim=1) @ two.T
of_directions = losses.margin_cross_entropy(cosines, of_class, scale=20.0)
print(f"loss of the directions, lambda = 20: {of_directions:.3f}")

# %% [markdown]
# Half of the queries find the wrong class. The second and the third image have almost the same direction; only their
# length makes of it a large difference in logits.
#
# How does training get there? A net of two layers learned the handwritten digits 0 to 4 with free lengths, in two
# dimensions, and was stopped while some images are on the wrong side. Now multiply all embeddings by one factor: no
# cosine changes.
#
# **Predict.** Embeddings three times as long: what happens to the mean loss of the *easy* images (own center ahead), and
# to that of the *hard* ones? (a) both fall; (b) the easy ones' falls and the hard ones' rises; (c) both rise.

# %%
predict("2.4", "?")

# %%
early, digits = experiments.fit_digits(2, steps=60), experiments.digits()[1]
logits = early.points @ early.centers.T  # inner products: lengths count
hard = theory.hardest_violation(logits, digits) > 0
stretch = torch.linspace(0.25, 4, 61)
loss_of, rises = {}, {}
for name, group in {"easy": ~hard, "hard": hard}.items():
    stretched = [F.cross_entropy(a * logits[group], digits[group]) for a in stretch]
    loss_of[name] = [float(value) for value in stretched]
    now, tripled = (F.cross_entropy(a * logits[group], digits[group]) for a in (1, 3))
    rises[name] = bool(tripled > now)
    print(f"{int(group.sum())} {name} images: loss {now:.4f}, tripled {tripled:.4f}")
outcome("2.4", "c" if rises["easy"] else "b" if rises["hard"] else "a")

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(6.2, 3.4))
book.named_lines(ax, stretch, loss_of)
ax.set(
    xlim=(0, 4),
    xlabel="factor $a$, all embeddings stretched",
    ylabel="mean loss",
    title="Stretching pays for easy images,\nfor hard ones not in the end",
)
show(figure, "2.6 stretched embeddings")

# %% [markdown]
# **Why.** Stretch an image by a factor $a > 0$. Its violations become $a\, v_{ic}$, so $a$ plays exactly the part of
# $\lambda$ (which is 1 here). By the envelope theorem
#
# $$\frac{d}{da}\, \ell(a\, x_i) = \sum_{c=1}^{C} p_c v_{ic}, \qquad p_c \propto e^{a\, x_i \cdot w_c} \tag{2.14}$$
#
# - **Easy images** ($v_{ic} < 0$ for all $c \ne y_i$): the slope is negative at every $a$, and the loss falls to 0 by
#   length alone.
# - **Hard images** (some $v_{ic} > 0$): the slope increases with $a$, because $p$ moves to the larger violations. It may
#   begin negative; in the long run it is $v_i^{\max}$. Once it is positive, the loss falls if the image gets *shorter*.
#
# So an unnormalized classifier has a scale too, but every image brings its own. **The remedy** is to normalize, and to
# choose the scale ourselves. Whether that helps retrieval is another question: [§2b.4](02b_softmax_deeper.ipynb) and
# [§2b.7](02b_softmax_deeper.ipynb) measure it, and the answer depends on how learning rates are chosen.
#
# ## 2.7 From centers back to examples
#
# So far the triplets have centers in them. Retrieval compares images with images. Does one imply the other?
#
# **Theorem** (Qian et al. 2019). Let $x_i$, $x_j$ be images of one class and $x_k$ an image of another,
# $\lVert x_i \rVert \le 1$, and suppose
#
# - the own center wins by a **margin** $\delta$: $\;x_i \cdot w_{y_i} - x_i \cdot w_{y_k} \ge \delta$,
# - $x_j$ and $x_k$ lie within a **radius** $\varepsilon$ of the centers of their classes:
#   $\lVert x_j - w_{y_i} \rVert \le \varepsilon$ and $\lVert x_k - w_{y_k} \rVert \le \varepsilon$.
#
# Then
#
# $$x_i \cdot x_j - x_i \cdot x_k \ge \delta - 2 \varepsilon \tag{2.15}$$
#
# *Proof.* Go from each example to its center and back:
#
# $$\begin{aligned}
# x_i \cdot x_j &= x_i \cdot w_{y_i} + x_i \cdot (x_j - w_{y_i}) \\
# &\ge x_i \cdot w_{y_i} - \lVert x_i \rVert\, \lVert x_j - w_{y_i} \rVert && \text{(Cauchy-Schwarz: } |a \cdot b| \le \lVert a \rVert \lVert b \rVert) \\
# &\ge x_i \cdot w_{y_i} - \varepsilon . \\
# x_i \cdot x_k &= x_i \cdot w_{y_k} + x_i \cdot (x_k - w_{y_k}) \;\le\; x_i \cdot w_{y_k} + \varepsilon .
# \end{aligned}$$
#
# Subtract the second from the first, and use the margin. $\blacksquare$

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(5.0, 6.0))
figures.margin_and_radius(ax, own=48.0, other=-125.0, radius=0.27)
ax.set_title(r"What two radii leave: $\delta - 2\varepsilon$")
show(figure, "2.7 margin minus two radii")

# %% [markdown]
# **What to see.** The image $x_i$ lies in the east, so a point's similarity to it is how far to the right the point lies.
# Examples stay in the discs around their centers, and each disc reaches $\varepsilon$ to both sides. Between the discs
# $\delta - 2\varepsilon$ is left.
#
# Whenever $\delta > 2\varepsilon$, the triplet of *images* holds, although none was ever looked at. That is this chapter's answer: it *suffices* that the own center wins by a margin **and** that classes are tight around their
# centers. ($x_i$ itself may be far from its center, and $\lVert x_i \rVert \le 1$ is needed.) Can the 2 be improved? See [§2b.5](02b_softmax_deeper.ipynb) and
# [§2b.6](02b_softmax_deeper.ipynb).
#
# Does training deliver both parts? A small loss of an image is a margin: in (2.3) the own term is 1, so every other
# $e^{\lambda v_{ic}}$ is at most $e^{\ell(x_i)} - 1$ (more in [§2b.7](02b_softmax_deeper.ipynb)). And the radius? The net of
# §2.6 once more, now normalized, in 16 dimensions, at two scales, until the loss is small. Of many triplets of training images: does it hold? And is it *guaranteed* to, that is, is
# its own $\delta$ larger than $2 \varepsilon$, where $\varepsilon$ is the larger distance of its $x_j$ and $x_k$ from
# their centers?
#
# **Predict.** For $\lambda = 20$ the share of triplets that are guaranteed is (a) nearly all; (b) about half; (c) nearly
# none.

# %%
predict("2.5", "?")

# %%
steps = settings.by_mode(smoke=60, class_=300, full=300)
for scale in (5.0, 20.0):
    learned = experiments.fit_digits(16, scale, steps=steps)
    found = experiments.promised(learned.points, learned.centers, scale=scale)
    print(f"lambda {scale:2.0f}: loss {found.loss:.4f} (mean, each class counted once)")
    print(f"    triplets: {found.holds:.1%} hold, {found.sure:.1%} are guaranteed to")
    print(f"    mean margin {found.margin:.2f} over the best other center", end="")
    print(f", twice the mean radius {2 * found.radius:.2f}")
outcome("2.5", "a" if found.sure > 0.9 else "c" if found.sure < 0.1 else "b")

# %% [markdown]
# **The gap in the argument is the radius.** At $\lambda = 5$ training delivered it too, at 20 not: at a large scale hardly
# anything in the loss asks for it, for a modest margin already makes all other weights $p_c$ tiny, and by (2.8) almost
# nothing pulls any more. Nearly all triplets hold there all the same: the theorem speaks of the worst directions of $x_j$
# and $x_k$, and most lie better. §2b.7 repeats this over seeds and scales, and looks at classes never seen: the guarantee
# is a means and not the goal.
#
# A class with several looks (a bird that perches and flies) cannot be close to one point without being forced. It could
# be close to *one of several*. That is the idea of the next chapter.

# %% [markdown]
# ## Exercises
#
# **Exercise 2.1 · the loss of a batch** · difficulty 3 of 5 · 20 minutes. Build normalized SoftMax (2.1) from an empty
# function: bring embeddings and centers to length 1, multiply the cosines by the scale, and return the mean loss of the
# batch. The check compares the value *and* its slope in every coordinate, also at a scale of a thousand, and for an image
# opposite its own center.


# %%
def batch_loss(
    embeddings: torch.Tensor, centers: torch.Tensor, labels: torch.Tensor, scale: float
) -> torch.Tensor:
    """embeddings (B, D) and centers (C, D) of any length, labels (B,); one number."""
    ...


check("2.1", batch_loss)

# %% [markdown]
# <details><summary>Hint 1</summary>Rows have lengths: <code>F.normalize(embeddings, dim=1)</code>. All similarities at once, (B, C), are one product of matrices.</details>
# <details><summary>Hint 2</summary>The mean of (2.3) over the batch; <code>torch.logsumexp(..., dim=1)</code> never overflows. The own similarities are <code>s[torch.arange(len(labels)), labels]</code>, (B,).</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def batch_loss(embeddings, centers, labels, scale):
#     logits = scale * F.normalize(embeddings, dim=1) @ F.normalize(centers, dim=1).T  # (B, C)
#     own = logits[torch.arange(len(labels)), labels]  # (B,)
#     return (torch.logsumexp(logits, dim=1) - own).mean()  # or F.cross_entropy(logits, labels)
# ```
#
# People normalize the embeddings and forget the centers; normalize columns; divide by the scale, or put it on both sides
# of the product; sum over the batch (dim=0) instead of the classes; subtract the own similarities (B,) from (B, C)
# without a second axis, which broadcasts along the wrong one; take SoftMax before F.cross_entropy, which takes it again;
# compute lengths under no_grad, so that the value is right and the slope is not; write exponentials as in (2.1) or
# (2.3), which overflow, or take the logarithm of a probability, which may be 0; forget to add the largest back; leave the
# entropy out; or take one maximum of the whole batch out of them, which leaves a distant image only zeros; and take the mean
# class by class instead of image by image.
# </details>

# %% [markdown]
# When the check passes, this trains with *yours*: the digits 0 to 4 in 16 dimensions, at $\lambda = 20$.


# %%
def by_torch(embeddings, centers, labels, scale):
    x, w = F.normalize(embeddings, dim=1), F.normalize(centers, dim=1)
    return F.cross_entropy(scale * x @ w.T, labels)


loss_function = yours("2.1", batch_loss, ours=by_torch)
pixels, digits = experiments.digits()  # (N, 64), (N,)
net = nets.make_head(64, 64, 16)
w = torch.randn(5, 16, generator=generator(SEED, "exercise")).requires_grad_()
adam = torch.optim.Adam([*net.parameters(), w], lr=3e-3)
for step in range(101):
    loss = loss_function(net(pixels), w, digits, 20.0)
    if step % 25 == 0:
        own = geometry.cosines(net(pixels), w).argmax(1) == digits
        closest = own.float().mean()
        print(f"step {step:3}: loss {loss:6.3f}, own center closest {closest:.1%}")
    adam.zero_grad()
    loss.backward()
    adam.step()

# %% [markdown]
# **Exercise 2.2 · the planted bug** · difficulty 2 of 5 · 10 minutes. This loss runs, has a gradient, and trains. A user
# reports: "The loss falls, and then it sticks. A larger scale changes nothing."


# %%
def with_a_bug(embeddings, centers, labels, scale):
    points = torch.cat([scale * embeddings, centers])
    x, w = F.normalize(points, dim=1).split([len(embeddings), len(centers)])
    return F.cross_entropy(x @ w.T, labels)


corners, own = geometry.simplex(10, 9), torch.arange(10)
for scale in (1.0, 20.0):
    stuck = with_a_bug(corners, corners, own, scale)
    floor = theory.smallest_softmax_loss(10, scale=scale)
    print(
        f"scale {scale:2.0f}: perfect embedding {stuck:.4f}, floor (2.13) {floor:.4f}"
    )

# %% [markdown]
# Say in one sentence which line is wrong and why, and write it without the bug.


# %%
def mended(
    embeddings: torch.Tensor, centers: torch.Tensor, labels: torch.Tensor, scale: float
) -> torch.Tensor:
    """embeddings (B, D) and centers (C, D) of any length, labels (B,); one number."""
    ...


check("2.2", mended)

# %% [markdown]
# <details><summary>Hint 1</summary>At which scale is the printed value a floor?</details>
# <details><summary>Hint 2</summary>What is the direction of <code>20 * x</code>?</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def mended(embeddings, centers, labels, scale):
#     points = torch.cat([embeddings, centers])
#     x, w = F.normalize(points, dim=1).split([len(embeddings), len(centers)])
#     return F.cross_entropy(scale * x @ w.T, labels)
# ```
#
# Normalizing divides the scale out again: whatever is asked for, $\lambda$ is 1, and the loss sticks near the floor that
# (2.13) has there. The scale belongs on the *cosines*. Multiplying the loss makes its slopes larger, and leaves weights
# and floor those of $\lambda = 1$; subtracting the floor only looks better. Whoever stops normalizing the embeddings gets
# rid of the symptom too, and lets lengths count (§2.6). On both factors after normalizing, the scale is squared; its root
# on one of them is the root of what was asked.
# </details>

# %% [markdown]
# **Exercise 2.3 · a limit, checked numerically** · difficulty 3 of 5 · 15 minutes. Compute $\ell(x_i) - \lambda v_i^{\max}$,
# what (2.10) says tends to the logarithm of the number of ties. It is asked for at scales up to a million, so the
# formula as written will not do. Then try it on similarities of your own with two, three, four ties.


# %%
def rest(similarities: torch.Tensor, label: int, scale: float) -> torch.Tensor:
    """similarities of one image to all centers (C,); its class; lambda."""
    ...


check("2.3", rest)

# %% [markdown]
# <details><summary>Hint 1</summary>The exponents of (2.10) are $\lambda (v_{ic} - v_i^{\max})$: none is positive.</details>
# <details><summary>Hint 2</summary>The own class takes part, in the sum and in the maximum, with violation 0.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def rest(similarities, label, scale):
#     v = similarities - similarities[label]
#     return torch.log(torch.exp(scale * (v - v.max())).sum())
# ```
#
# Written as (2.3), it overflows. Taking the maximum over the *other* classes only gives a negative "hardest violation"
# for easy images and a rest that grows without bound. Dividing by the scale gives the gap itself, which tends to 0
# whatever the ties. (The own similarity drops out of the difference: `torch.logsumexp(scale * (s - s.max()), 0)` is right too.) Others subtract
# the largest similarity *from the loss*, where it is no violation yet, or forget $\lambda$ before it; cut exponents off, which
# makes ties of what is none; cut
# violations off at 0, like a hinge; or take the mean of the terms instead of their sum.
# </details>

# %% [markdown]
# **Exercise 2.4 · how large must the scale be?** · difficulty 3 of 5 · 15 minutes. With $C$ classes in at least
# $C - 1$ dimensions, a perfect embedding (a regular simplex, (2.13)) should be able to reach the loss `target`. Return
# the smallest scale that allows it.


# %%
def smallest_scale(num_classes: int, target: float) -> float:
    """Lambda whose smallest loss is target, 0 < target < log(num_classes)."""
    ...


check("2.4", smallest_scale)

# %% [markdown]
# <details><summary>Hint 1</summary>A larger scale has a smaller floor. So ask at which scale the floor is the target.</details>
# <details><summary>Hint 2</summary>Solve (2.13) for lambda: first take the exponential of both sides.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def smallest_scale(num_classes, target):
#     others = num_classes - 1
#     return others / num_classes * math.log(others / math.expm1(target))  # e^target - 1
# ```
#
# People take the centers at right angles, where the margin is 1 instead of $C / (C - 1)$, or opposite, where it is 2,
# which only two classes can have, or take $1 / (C - 1)$ from 1 instead of adding it; turn that fraction around; forget
# that there are $C - 1$ other classes, or the 1; or try whole numbers only.
# </details>

# %% [markdown]
# **Investigation 2.5 · a scale that learns** · difficulty 4 of 5 · 30 minutes. Many codes let the optimizer choose
# $\lambda$. Where does it go? By the envelope theorem $d\ell / d\lambda = \sum_c p_c v_{ic}$: write down first what you
# expect from a small and from a large start, early and late. Then run it, vary what you like (the start, `scale_rate`,
# `size`, `steps`), look at retrieval of the digits 5 to 9 too, and count your trials. No check: your sentence is the result.

# %%
run = experiments.fit_digits(16, 10.0, steps=60, scale_rate=0.01)
print("lambda before steps 1, 30, 60:", [round(run.scales[t], 2) for t in (0, 29, 59)])

# %% [markdown]
# Your finding: ...
#
# <details><summary>What we found</summary>
#
# The table of [§2b.3](02b_softmax_deeper.ipynb). From small starts $\lambda$ ended higher in every run: once all images are
# on the right side, every violation but the own 0 is negative, and so is the slope. It goes on growing, ever more slowly,
# and never stops, for more scale always lowers the loss of easy images: the argument of §2.6, with one length for all. From
# large starts it *fell* first, while images on the wrong side had the say, and then crept up. Within our budget the runs did
# not meet: where $\lambda$ began decided where it ended, and so, from three of the four starts, did its learning rate.
# So "learned" was not "chosen well"
# here: margin and radius at the end went with the scale that a run had happened to reach, and so, roughly, did retrieval
# (one seed, and one learning rate for the net: §2b.7 says how little that proves). At the end the slope in $\lambda$ was
# small because the *loss* was, which is no sign of a best scale.
# </details>

# %% [markdown]
# ## What to take away
#
# - SoftMax is a triplet loss whose triplets are (image, own center, other center). The classifier's probabilities are
#   the weights that maximize the weighted violation plus an entropy, and they are the only ones.
# - Those weights make the gradient. Nothing is sampled and nothing is left out.
# - The scale decides how hard the maximum is: loss / scale exceeds the hardest violation by at most log(C) / scale. A
#   large one nearly stops pulling as soon as a margin is reached.
# - With free lengths every image brings its own scale, and the loss can fall while no angle improves.
# - A margin $\delta$ over centers and a radius $\varepsilon$ around them give $\delta - 2 \varepsilon$ between images. A
#   small loss gives the margin. At a large scale it does not give the radius.
#
# ## Five questions
#
# 1. In (2.4) the own class is one of the $C$ candidates. What would $\ell$ be if it were left out of the sum, and why
#    could that loss be negative?
# 2. Two images have the same hardest violation. Can their losses differ, and by how much at most?
# 3. Somebody doubles all embeddings and all centers of a trained unnormalized classifier. What changes in $p$, what in
#    retrieval by cosine?
# 4. Why does the theorem not ask that $x_i$ be near its own center?
# 5. Every training triplet of images holds. What does that say about the margins over centers, and about new classes?
#
# <details><summary>Short answers</summary>
#
# 1. $\log \sum_{c \ne y} e^{\lambda v_{ic}}$: the smoothed maximum over the wrong classes. It is negative for easy
#    images, because nothing holds it at 0: the term of the own class is the smoothed form of the hinge.
# 2. Yes: by (2.9) both lie in an interval of length $\log C$, so by less than $\log C$ (for a given scale).
# 3. All logits become four times as large, so $p$ sharpens as if $\lambda$ were four times as large. Cosines do not
#    change, so retrieval by cosine does not.
# 4. Only its similarities to the two centers enter. It may lie anywhere, as long as its own center wins.
# 5. About the margins nothing follows: (2.15) goes from centers to images, not back. About new classes nothing is
#    proved at all; it is measured, in §2b.7 and in chapter 07.
# </details>
#
# ## References
#
# - Q. Qian, L. Shang, B. Sun, J. Hu, H. Li, R. Jin. *SoftTriple Loss: Deep Metric Learning Without Triplet Sampling*.
#   ICCV 2019, arXiv 1909.05235. The maximum over weights (2.4), and the theorem from centers back to examples (2.15).
# - F. Wang, X. Xiang, J. Cheng, A. L. Yuille. *NormFace: L2 Hypersphere Embedding for Face Verification*. ACM
#   Multimedia 2017. Why one normalizes, and why one then needs a scale.
#
# The other formulas are derived in this chapter and its companion, and tested with the package.
#
# **Deeper**: [02b · SoftMax, deeper](02b_softmax_deeper.ipynb). **Next**: [03 · SoftTriple](03_softtriple.ipynb), where a
# class may have several centers.
