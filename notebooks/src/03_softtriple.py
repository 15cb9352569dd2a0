# %% [markdown]
# # 03 · SoftTriple
#
# **Question.** What if a class has several clusters?
#
# **After this chapter you can**
# - say, with a proof, what one center a class can make of embeddings that come in opposite pairs,
# - build SoftTriple step by step: several centers, the closest one, its smoothing, the margin,
# - tell its similarity from the log-sum-exp value that it is easily taken for,
# - say what scale, gamma and margin each do,
# - compute which centers an example pulls and which it pushes away,
# - say what several centers gained in a learned embedding, where they did not, and what such tables leave open.
#
# **Before it** you need chapter [02](02_softmax_is_smoothed_triplet.ipynb): normalized SoftMax and its scale
# $\lambda$.
#
# **Time** about {reading} minutes to read, half as much again with a pencil, and {exercises} for the exercises; the cells
# run in about three minutes on a laptop with two cores. **Companion**: [03b](03b_softtriple_deeper.ipynb).

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

from dmlbook import book, losses, records, settings
from dmlbook.chapters import check, outcome, predict, show, yours
from dmlbook.chapters.ch03 import contest, experiments, figures, merged, panels, theory
from dmlbook.seeding import SEED, generator

book.use_style()
book.story("03")

# %% [markdown]
# ## 3.1 Two clusters, one center
#
# Four images lie on a circle. Class 0 looks **east or west**, class 1 **north or south**: two poses a class, as far
# apart as can be. We call these four points the **cross**.

# %%
x = torch.tensor(
    [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]
)  # (B=4, D=2): east, west, north, south
labels = torch.tensor([0, 0, 1, 1])

# %% [markdown]
# Chapter 02 gave each of the $C$ classes one unit vector $w_c$, its center, and asked the own class to win:
# $\ell(x_i) = -\log \frac{e^{\lambda x_i \cdot w_{y_i}}}{\sum_j e^{\lambda x_i \cdot w_j}}$, averaged over the images.
# For two classes only the **win** counts, the own cosine minus the other: $\ell = \log(1 + e^{-\lambda\, \text{win}})$.
#
# **Predict.** How low can this mean get on the cross, over *all* choices of $w_0$ and $w_1$? (a) to 0, if the scale
# $\lambda$ is large; (b) to some value between 0 and $\log 2$; (c) no lower than $\log 2$, which is what guessing between
# two classes costs.

# %%
predict("3.1", "?")  # "a", "b" or "c"

# %% [markdown]
# On a circle we can try every pair of directions, degree by degree.

# %%
degrees = torch.arange(0.0, 361, settings.by_mode(smoke=15, class_=1, full=1))
cosines = book.on_circle(degrees) @ x.T  # (361, 4): each direction and each image
side = torch.tensor([1.0, 1.0, -1.0, -1.0])  # w_0 is to win east and west
win = side * (cosines[:, None] - cosines[None])  # (361, 361, 4): w_0, w_1, image
table = F.softplus(-20 * win).mean(-1)  # log(1 + exp(-20 win))
print(f"best of {table.numel()} pairs: {table.min():.4f}    log 2 = {math.log(2):.4f}")
least = table.min() / math.log(2)
outcome("3.1", "a" if least < 0.01 else "b" if least < 0.999 else "c")

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(5.6, 4.5))
figures.loss_map(ax, degrees, table)
ax.set_title("One center a class never beats guessing")
show(figure, "3.1 loss map")

# %% [markdown]
# **What to see.** The dark valley is the dotted diagonal: the best that two centers can do is to point the *same* way
# and give up, so that every image is a coin toss. (The two dark corners belong to the diagonal: 360 degrees is 0
# again.)
#
# **Why.** All we need is that each image $x$ of a class comes with its opposite $-x$ in the same class.
#
# *Nobody wins.* If $x \cdot (w_y - w_j) > 0$, then $(-x) \cdot (w_y - w_j) < 0$: where $x$ is right, its partner is
# wrong. At most half of such images can be classified right.
#
# *The loss.* Write $a_j = \lambda\, x \cdot (w_j - w_y)$. Then
#
# $$\ell(x) = \log\Bigl(1 + \sum_{j \ne y} e^{a_j}\Bigr), \qquad
#   \ell(-x) = \log\Bigl(1 + \sum_{j \ne y} e^{-a_j}\Bigr).$$
#
# Their sum is the logarithm of the product, and each bracket is the squared length of a vector: of
# $u = (1, e^{a_j / 2}, \dots)$ and of $v = (1, e^{-a_j / 2}, \dots)$, with one entry for each other class. By the
# Cauchy-Schwarz inequality $\lVert u \rVert^2 \lVert v \rVert^2 \ge (u \cdot v)^2$, and in $u \cdot v$ the exponentials
# cancel: $u \cdot v = 1 + (C - 1) = C$. So
#
# $$\frac{\ell(x) + \ell(-x)}{2} \ge \log C,$$
#
# which is guessing, for every scale, every number of dimensions, and any vectors $w_c$ whatever. $\blacksquare$
#
# What can be done? A network could move the points, and put all poses of a class in one place: that is what one center
# a class asks for. Or the *model of a class* may change.
#
# ## 3.2 Let the closest center speak: HardTriple
#
# Give each class $K$ unit centers $w_c^1, \dots, w_c^K$. How similar is image $i$ to class $c$ now? As similar as to the
# **closest** center of that class, is the simplest answer; the paper calls the resulting loss *HardTriple*.
#
# $$S_{i,c} = \max_k\; x_i \cdot w_c^k \tag{3.2}$$
#
# Then normalized SoftMax goes on as before, with class similarities in place of cosines, and a **margin** $\delta$: the
# own class has to win by $\delta$ before it counts as winning.
#
# $$\ell(x_i) = -\log \frac{e^{\lambda (S_{i,y_i} - \delta)}}
#   {e^{\lambda (S_{i,y_i} - \delta)} + \sum_{j \ne y_i} e^{\lambda S_{i,j}}} \tag{3.3}$$
#
# (§3b.1: how the margin lifts the floor of §3.1.) A toy to follow by eye: one image in the east, two classes,
# two centers each. The image is $(1, 0)$, so each cosine is just the first coordinate of the center.

# %%
image, zero = torch.tensor([[1.0, 0.0]]), torch.tensor([0])
toy = torch.tensor(
    [[[0.8, 0.6], [0.6, 0.8]], [[0.6, -0.8], [0.28, -0.96]]]
)  # (C=2, K=2, D=2), all of length 1
s = torch.einsum("bd,ckd->bck", image, toy)  # (B, C, K): image and center


def short(values):
    """Numbers as they are printed in this chapter."""
    return [round(value, 4) for value in torch.as_tensor(values).tolist()]


print("class 0:", short(s[0, 0]), "   class 1:", short(s[0, 1]))


# %%
def cross_entropy_with_margin(own, others, scale=20, margin=0.01):
    """The loss of one image, written as in (3.3)."""
    top = math.exp(scale * (own - margin))
    return -math.log(top / (top + sum(math.exp(scale * other) for other in others)))


hard = [max(of_class) for of_class in s[0].tolist()]
by_hand = cross_entropy_with_margin(hard[0], hard[1:])
by_package = losses.margin_cross_entropy(
    losses.hardtriple_similarity(s), zero, scale=20, margin=0.01
)
print(f"class similarities {short(hard)}, loss if of class 0: {by_hand:.4f}")
assert math.isclose(by_hand, by_package, rel_tol=1e-4)

# %%
two = torch.stack([x[:2], x[2:]])  # (C=2, K=2, D=2): a center on each image
s_cross = torch.einsum("bd,ckd->bck", x.double(), two.double())
similar = losses.hardtriple_similarity(s_cross)
value = losses.margin_cross_entropy(similar, labels, scale=20)
print(f"the cross, one center a class: {table.min():.1e} at best, two: {value:.1e}")

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(9, 4))
figures.class_circle(axes[0], image, zero, toy, losses.hardtriple_similarity)
axes[0].set_title("The toy: one image, two centers a class")
figures.class_circle(axes[1], x, labels, two, losses.hardtriple_similarity)
axes[1].set_title("Two centers a class solve the cross")
show(figure, "3.2 toy and cross")

# %% [markdown]
# **What to see.** (Dots are images, crosses centers, drawn a little inside; the ring has the color and the number of the
# class that wins in that direction, paler where it wins by less. Its inner edge is in full color.) On the right each class owns
# two opposite sectors, which no pair of single centers can do.
#
# ### Two weaknesses of a maximum
#
# **Dead centers.** A maximum passes its gradient to the winner alone. A center that is the closest of its class for
# no image gets nothing, and cannot learn. How common is that at the start? We place forty images around the cross
# (their directions have a standard deviation of 8 degrees), draw random centers, and count those whose gradient is
# exactly zero.

# %%
noise = 8 * torch.randn(40, generator=generator(SEED, "noise"))
places = torch.tensor([0.0, 180.0, 90.0, 270.0]).repeat(10)
cloud, cloud_labels = book.on_circle(places + noise), labels.repeat(10)  # (B=40, D=2)
starts = settings.by_mode(smoke=2, class_=50, full=200)
for name in ("hardtriple", "softtriple"):
    dead = {
        K: experiments.share_without_gradient(
            name, cloud, cloud_labels, K, starts=starts
        )
        for K in (2, 4, 10, 20)
    }
    shown = (f"{100 * share:.0f} percent (K = {K})" for K, share in dead.items())
    print(f"{name}: no gradient for", "   ".join(shown))

# %% [markdown]
# **What to see.** With HardTriple the share of centers that learn nothing grows with $K$. With SoftTriple, which we are
# about to build, none is deaf (at its default gamma, 0.1). (Dead is not dead for ever: when the *other*
# centers move, a dead one may become the closest.)
#
# **Jumps.** Let an image travel from one center of its class to the other. Where both are equally close, the maximum
# changes hands, and the direction of the pull flips.

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.4))
panels.kink_and_jump(*axes, centers=(-40.0, 40.0))
axes[0].set_title("Similarity has a corner ...")
axes[1].set_title("... and its slope a jump")
show(figure, "3.2 kink and jump")

# %% [markdown]
# **What to see.** At 0 degrees, midway between the centers, HardTriple's line has a corner, and its slope jumps. The
# smoothed lines, which come next, turn through the same place without one: the more gently, the larger their *gamma*.
#
# ## 3.3 Soften the maximum
#
# A maximum can be written as a choice of weights. For one image and one class write $s_k = x_i \cdot w_c^k$. Put weight
# $q_k \ge 0$ on center $k$, with $\sum_k q_k = 1$, and take the mean similarity $\sum_k q_k s_k$: it is largest if all
# weight lies on the closest center. Chapter 02 softened such a choice by adding **entropy**,
# $H(q) = -\sum_k q_k \log q_k$, which is largest if all weights are alike. The same here, with $\gamma > 0$ for its
# weight:
#
# $$\max_q \; \sum_k q_k s_k + \gamma H(q).$$
#
# **Your step.** Which weights are best? It is chapter 02's problem, in other letters: divide the objective by
# $\gamma$, and compare it with (2.6) and its proof. What stands in the place of $\lambda v_{ic}$, what in that of the loss?
# Write it down before you open this.
#
# <details><summary>The step</summary>
#
# $s_k / \gamma$ stands for $\lambda v_{ic}$, $\log Z$ for the loss, and $q^*_k = e^{s_k / \gamma} / Z$ for its softmax.
# Multiply by $\gamma$ again.
# </details>
#
# With the sum of exponentials $Z = \sum_k e^{s_k / \gamma}$ and their softmax $q^*_k = e^{s_k / \gamma} / Z$ it comes to
#
# $$\sum_k q_k s_k + \gamma H(q) = \gamma \log Z - \gamma \sum_k q_k \log \frac{q_k}{q^*_k}, \tag{3.4}$$
#
# and the last sum, the divergence of $q$ from $q^*$, is never negative, and 0 for $q = q^*$ alone: chapter 02 proved it.
# So the best weights are unique, and they are the softmax:
#
# $$q_k = \frac{e^{s_k / \gamma}}{\sum_l e^{s_l / \gamma}} \tag{3.5}$$
#
# On the toy, where $\gamma = 0.1$ turns the cosines of class 0 into $8$ and $6$:

# %%
exponentials = [math.exp(value / 0.1) for value in s[0, 0].tolist()]
q = [value / sum(exponentials) for value in exponentials]
print("weights of the two centers of class 0:", short(q))
weights = theory.center_weights(s, gamma=0.1)[0, 0]
torch.testing.assert_close(weights, torch.tensor(q), rtol=1e-5, atol=1e-6)

# %% [markdown]
# ## 3.4 SoftTriple
#
# The similarity to a class becomes the *expected* one to its centers under those weights,
#
# $$S'_{i,c} = \sum_k q_k\; x_i \cdot w_c^k, \qquad q = \operatorname{softmax}_k\bigl(x_i \cdot w_c^k / \gamma\bigr), \tag{3.6}$$
#
# and **SoftTriple** is the loss of HardTriple with $S'$ in place of $S$:
#
# $$\ell(x_i) = -\log \frac{e^{\lambda (S'_{i,y_i} - \delta)}}
#   {e^{\lambda (S'_{i,y_i} - \delta)} + \sum_{j \ne y_i} e^{\lambda S'_{i,j}}} \tag{3.7}$$
#
# There are two softmaxes in it and they do different things. The inner one, with $1 / \gamma$, chooses among the
# *centers of one class*. The outer one, with $\lambda$, compares *classes*. For one image:


# %%
def class_similarity(cosines, gamma):
    """S' of one image and one class, whose K cosines are given."""
    e = [math.exp(cosine / gamma) for cosine in cosines]
    return sum(a * cosine for a, cosine in zip(e, cosines, strict=True)) / sum(e)


own, other = (class_similarity(of_class, 0.1) for of_class in s[0].tolist())
by_hand = cross_entropy_with_margin(own, [other])
similar = losses.softtriple_similarity(s, gamma=0.1)
by_package = losses.margin_cross_entropy(similar, zero, scale=20, margin=0.01)
assert math.isclose(by_hand, by_package, rel_tol=1e-4)
print(f"toy: S' = {short([own, other])}    loss {by_hand:.4f}")

# %% [markdown]
# A whole batch at once is **exercise 3.1**. (In the package: `losses.SoftTriple`.)
#
# **With one center** there is nothing to choose: $q_1 = 1$, so $S'_{i,c} = x_i \cdot w_c$, and with $\delta = 0$ the
# loss is
#
# $$\ell(x_i) = -\log \frac{e^{\lambda\, x_i \cdot w_{y_i}}}{\sum_j e^{\lambda\, x_i \cdot w_j}} \qquad (K = 1), \tag{3.8}$$
#
# normalized SoftMax: chapter 02 is a special case, for every $\gamma$. **With several**, $S'$ is a mean with positive
# weights, so it is at most the largest cosine; nor does it fall below the plain mean (proof: §3b.2):
#
# $$\frac1K \sum_k s_k \;\le\; S' \;\le\; \max_k s_k. \tag{3.10}$$
#
# As $\gamma$ falls, $S'$ climbs from the mean of all centers to the closest center alone.
#
# **On the cross.** With a center on each image, an image sees the cosines $1, -1$ in its own class, with weights in
# the ratio $e^{1/\gamma} : e^{-1/\gamma}$, so $S'_{y} = \tanh(1/\gamma)$; in the other class it sees $0, 0$. The loss is
#
# $$\ell = \log\bigl(1 + e^{-\lambda (\tanh(1/\gamma) - \delta)}\bigr). \tag{3.11}$$
#
# **Predict.** These centers stand where they should; $\lambda = 20$, $\delta = 0$, and an image is *right* if its own $S'$
# is the larger. We raise $\gamma$ from 0.1 to 20. What happens? (a) hardly anything; (b) the loss rises, and some image
# ends wrong; (c) the loss rises, and all four stay right.

# %%
predict("3.2", "?")

# %%
for gamma in (0.1, 1.0, 10.0, 20.0, 100.0):
    similar = losses.softtriple_similarity(s_cross, gamma=gamma)
    value = losses.margin_cross_entropy(similar, labels, scale=20)
    formula = math.log1p(math.exp(-20 * math.tanh(1 / gamma)))
    assert math.isclose(value, formula, rel_tol=1e-6)
    right = int((similar.argmax(1) == labels).sum())
    print(f"gamma {gamma:5}: S' {similar[0, 0]:.4f}  loss {value:.2e}  right {right}/4")
    if gamma == 20:
        outcome("3.2", "a" if value < 0.01 else "c" if right == 4 else "b")
        again = losses.margin_cross_entropy(similar, labels, scale=20 * 20)
        print(f"   with twenty times the scale: loss {again:.2e}")

# %% [markdown]
# **What to see.** A small gamma solves the cross. A large one shrinks the win to about $1/\gamma$, and the loss climbs
# towards $\log 2$, the floor of a single center. Yet all images stay right, and a larger scale buys the low loss back: where
# gamma is large, two centers are heard on the cross *as if the scale were* $\lambda / \gamma$. (For any centers: what
# several add to their mean is divided by a large gamma, §3b.2.)
#
# ## 3.5 A trap: the expectation is not the value
#
# The problem that gave us $q$ has a *value* too. By (3.4) it is $\gamma \log Z$, and by its definition it is the
# objective at the best $q$. So
#
# $$V := \gamma \log \sum_k e^{s_k / \gamma} = S' + \gamma H(q), \tag{3.12}$$
#
# exactly. In chapter 02 the value of the softened problem *was* the loss, so it is tempting to type
# `gamma * torch.logsumexp(s / gamma, dim=-1)` for $S'$. It looks right, it trains, and it is another loss.

# %%
both = (losses.softtriple_similarity, losses.logsumexp_similarity)
S, V = (similarity(s, gamma=0.1) for similarity in both)
entropy = torch.special.entr(theory.center_weights(s, gamma=0.1)).sum(-1)
torch.testing.assert_close(V, S + 0.1 * entropy)
print(f"toy, class 0: largest {s[0, 0].max():.4f}   S' {S[0, 0]:.4f}   V {V[0, 0]:.4f}")
gathered = torch.ones(1, 1, 10)  # ten centers, all exactly on the image
rivals = torch.tensor([[[0.90] + [-1.0] * 9, [0.75] * 10]])
print("ten centers on the image:", *(short(f(gathered)[0]) for f in both))
print("one close center and nine opposite, against ten farther ones:")
print("   S'", short(both[0](rivals)[0]), "   V", short(both[1](rivals)[0]))

# %% [markdown]
# **What to see.** $V$ is not a cosine: it can exceed 1. It pays a bonus of $\gamma H(q)$, up to $\gamma \log K$, to a
# class with *many* centers near the image, which in the last line decides who wins. How far apart can they be? With (3.10), in one line,
#
# $$\frac1K \sum_k s_k \le S' \le \max_k s_k \le V \le \max_k s_k + \gamma \log K. \tag{3.13}$$
#
# <details><summary>Why the bounds of V?</summary>
#
# Of the terms of $Z$ one is $e^{\max_k s_k / \gamma}$ and none is larger, so
# $e^{\max_k s_k / \gamma} \le Z \le K e^{\max_k s_k / \gamma}$; now take $\gamma \log$.
# </details>
#
# All but the last for one image, whose cosines with a class's four centers are 0.8, 0.6, 0.1 and -0.3.

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7.4, 3.5))
panels.four_similarities(ax, torch.tensor([0.8, 0.6, 0.1, -0.3]))
ax.set_title("S' falls towards the mean; V leaves the cosines")
show(figure, "3.5 four similarities")

# %% [markdown]
# **What to see.** Both start at the closest center. From about $\gamma = 0.1$ on they part. ($V$
# has a meaning of its own, a mixture of hidden labels: §3b.3.)

# %% [markdown]
# **Stop.** With opposite poses, one center a class gets no lower a loss than guessing. With several, SoftTriple takes
# the mean of the cosines,
# $S'$, under weights that entropy led us to: not the value $V$ of the problem they solve.
#
# **Question.** In a class all $K$ centers stand on one spot. What are $q$, $S'$ and $V$, and which of them says how
# many there are?
#
# <details><summary>Answer</summary>
#
# All cosines are the same number $s$. So $q_k = 1 / K$, $S' = s$, and $V = s + \gamma \log K$. The weights and $V$ know
# how many there are; $S'$, and with it SoftTriple, does not: to the loss they are one center.
# </details>

# %% [markdown]
# ## 3.6 Scale, gamma, margin: one job each
#
# The **win** of an image is now its own class's similarity minus the best other one. For two classes the loss is
# $\log(1 + e^{-\lambda (\text{win} - \delta)})$.

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.8))
panels.three_jobs(*axes, margin=0.4, centers=(0.0, 120.0))
axes[0].set_title("Scale sharpens the corner, the margin moves it")
axes[1].set_title("Gamma says how softly to choose")
show(figure, "3.6 scale, margin, gamma")

# %% [markdown]
# **What to see.** *Scale*: as it grows, the curve tends to a hinge, as in chapter 02, and listens only to images on the wrong
# side (§3b.4).
# *Margin*: it moves the corner, and with it how far training goes on (§3b.6). *Gamma* changes the similarity itself: a
# large one rounds two peaks to one wave between them, and divides what several centers add (§3b.5).
#
# ## 3.7 Which centers does an example move?
#
# $q_k$ is positive for every center. So an image pulls *all* centers of its class, the closest most? Not so: $q$ itself
# changes when a center moves. With $[l = k]$ for 1 if $l = k$ and 0 otherwise, (3.5) gives
#
# $$\frac{\partial q_l}{\partial s_k} = \frac{q_l}{\gamma} \bigl( [l = k] - q_k \bigr),$$
#
# and by the product rule
#
# $$\frac{\partial S'}{\partial s_k} = q_k + \sum_l s_l \frac{\partial q_l}{\partial s_k}
#   = q_k + \frac{1}{\gamma} \Bigl( q_k s_k - q_k \sum_l q_l s_l \Bigr)
#   = q_k \Bigl( 1 + \frac{s_k - S'}{\gamma} \Bigr). \tag{3.15}$$
#
# The bracket is *negative* for each center whose cosine lies more than $\gamma$ below $S'$. If such a center comes
# closer to the image, $S'$ **falls**: it gains weight, at the expense of better ones. The slopes add up to 1, because
# $\sum_k q_k (s_k - S') = 0$. For $V$ the same computation is one
# line, and has no such term:
#
# $$\frac{\partial V}{\partial s_k} = \gamma \cdot \frac{1}{Z} \cdot \frac{e^{s_k/\gamma}}{\gamma} = q_k > 0. \tag{3.16}$$
#
# On the toy, by autograd and by the formula:

# %%
leaf = s.clone().requires_grad_()
(slope,) = torch.autograd.grad(losses.softtriple_similarity(leaf)[0, 0], leaf)
by_formula = theory.similarity_gradient(s, gamma=0.1)
torch.testing.assert_close(slope[0, 0], by_formula[0, 0], rtol=1e-4, atol=1e-6)
print("class 0: cosines", short(s[0, 0]), "  slopes", short(by_formula[0, 0]))

# %% [markdown]
# **Predict.** Ten centers a class, $\gamma = 0.1$; their cosines are random, uniform from $-1$ to $1$. Of the centers of its
# *own* class an image pulls closer (a) nearly all; (b) about half; (c) fewer than a quarter.

# %%
predict("3.3", "?")

# %%
many = 2 * torch.rand(20_000, 1, 10, generator=generator(SEED, "cosines")) - 1
slopes = theory.similarity_gradient(many, gamma=0.1)
pulled = (slopes > 0).float().mean().item()
print(f"{100 * pulled:.0f} percent are pulled, {100 - 100 * pulled:.0f} percent pushed")
outcome("3.3", "a" if pulled > 0.9 else "b" if pulled > 0.25 else "c")

# %% [markdown]
# At a random start in 512 dimensions nearly all centers are pulled, in 64 only half (§3b.7).
#
# The loss hands these slopes on, times how wrong it is: with $p$ the outer softmax (margin included),
#
# $$\frac{\partial \ell}{\partial s_{c,k}} = \lambda \bigl( p_c - [c = y] \bigr) \frac{\partial S'_c}{\partial s_{c,k}}. \tag{3.17}$$
#
# For the own class $p_c - 1 < 0$, so descent raises $S'_y$; for the others it lowers $S'_c$. So an image pushes the
# closest center of a *wrong* class away and pulls those more than $\gamma$ below $S'_c$ **in**: one more way to lower
# a mean is to give
# weight to its worst member. (All four cases in a picture: §3b.7.)
#
# ## 3.8 When the map learns too
#
# So far only centers moved. But an embedding is *learned*: could a map not bring the looks of a class together?
#
# Labels are often coarser than looks: "terrier" holds several dogs. We **merge** cartoon species at random, four to a
# class: a hard mixture (terriers look alike). The labels name the class alone.

# %%
count, each = settings.by_mode(smoke=(20, 10), class_=(80, 60), full=(80, 60))
together = settings.by_mode(smoke=2, class_=4, full=4)  # species in a class
tasks = contest.bird_tasks(count, each, settings.by_mode(smoke=8, class_=32, full=32))
class_of = merged.merge(tasks.pictures.num_classes, together, seed=SEED)
print(f"{len(class_of)} species in {int(class_of.max()) + 1} classes; images:", end=" ")
print({part: len(held.values) for part, held in tasks.final._asdict().items()})

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(7.2, 2.9))
panels.merged_birds(ax, class_of)
ax.set_title("A row is one class: species that do not belong together")
show(figure, "3.8 merged classes")

# %% [markdown]
# An image comes as 32 numbers, its places along the main directions of the pixels. The network is the smallest there
# is, a linear map $x \mapsto Wx + b$ to an embedding of 16, trained together with the centers; the most similar class wins.
#
# **Predict.** One center a class, four species in it. Of the images that it was *trained* on, it recognizes the class
# of (a) nearly all; (b) far from all, yet several times as many as guessing would; (c) hardly more than guessing.

# %%
predict("3.4", "?")

# %% [markdown]
# What can the map do with one center a class? Class $y$ wins at an image $x$ if for every other class $j$
#
# $$(w_y - w_j) \cdot (Wx + b) > 0.$$
#
# (Dividing the embedding by its length changes no sign.) These inequalities are *linear* in $x$: if they hold at $x$ and
# at $x'$, they hold at every mixture $t x + (1 - t)\, x'$ with $0 \le t \le 1$. Multiply the two by $t$ and $1 - t$,
# and add. So **whatever linear map is learned, one center gives a class one convex region.** $\blacksquare$
#
# Where another class's look lies between two looks of this class, one of the three must go wrong. With $K$ centers and
# HardTriple's maximum (not SoftTriple's mean), a class wins wherever *one* of its centers beats all the others': a union of
# up to $K$ such regions. But do looks of 32 numbers lie between one another?
#
# Six rivals share data, steps, scale, margin and first map; each has a learning rate of its own, by the same search:
# trained on four fifths of the *training* species, measured by Recall@1 on the other fifth (few species, so it is
# high). Recall@1 and MAP@R ask for the same **species**. No label told it in training; the search, for all rivals alike,
# did look at it. The test species have no part in either.

# %%
SEEDS = [SEED + n for n in range(settings.by_mode(smoke=2, class_=5, full=10))]
settled = {"seeds": SEEDS, "species_per_class": together}
settled["steps"] = settings.by_mode(smoke=5, class_=150, full=400)


def scores_of(title, **changed):
    """Choose a rate on species held out for it; then each measure, a score a seed."""
    found = contest.compete(tasks, merged.RIVALS[title], **settled | changed)
    tried = (f"{rate:g}: {100 * recall:.1f}" for rate, recall in found.tried.items())
    print(f"{title:20}", "   ".join(tried), f"  takes {found.rate:g}")
    return found.scores


print("Recall@1 on the held-out species, by learning rate")
linear = {title: scores_of(title) for title in merged.RIVALS}

# %%
one = linear["one center"]
MEASURES = [measure for measure in one if measure != "class, neighbor"]
print(contest.table(contest.floors(tasks.final, seeds=SEEDS) | linear, MEASURES))
ahead = {title: contest.minus(linear[title], one) for title in list(linear)[1:]}
print(f"\nahead of one center, seed by seed (seeds: {len(SEEDS)})")
print(contest.table(ahead, MEASURES))
found = (records.interval(v) for of in ahead.values() for v in of.values())
assert settings.mode() == "smoke" or all(mean > half for mean, half in found)
trained = sum(one["class, trained"]) / len(SEEDS)
outcome("3.4", "a" if trained > 0.9 else "b" if trained > 0.3 else "c")

# %% jupyter={"source_hidden": true}
columns = ("class, fresh", "unseen R@1", "unseen MAP@R")
shown = {m: {title: linear[title][m] for title in linear} for m in columns}
title = "Four species a class, a linear map: several centers are ahead of one"
figure, alt = book.score_figure(shown, title=title)
book.show(figure, alt=alt)

# %% [markdown]
# **What to see.** (A dot is a seed: its merging, first map, first centers and batches. All seeds share the species: the
# *±*, half of a 95 percent interval, does not cover others.) One center does not even learn the images that it trains
# on. Each rival with several is ahead of it by all six measures. *The numbers* are the 32 that the map starts from, *the
# first map* its untrained 16, which tell species apart less well. At this width training with one center makes good only
# a part of that; with several it retrieves species, seen and unseen, better than the numbers. Among the several, none
# of the three with four can be called the best; two come last in every column, and ten first in the class alone.
#
# **Is it the centers?** The proof is about the class, the first two columns. For the species there is a rival
# explanation: one center asks four species to *fall together*, and so to lose what tells them apart. §3b.10 tries others:
# a wide embedding, ten times the steps, a search for scale and margin, the class of the closest trained image. Four stay
# ahead; but the closest image more than halves their lead in the class, and a wide embedding takes two fifths off that
# on unseen species, where one center cannot be told from the numbers.
#
# ## 3.9 Where retrieval cannot tell several from one
#
# **When a class is one species**, no two species have to fall together. **When the map can fold:** the proof needed a
# linear map;
# one hidden layer with 64 units can bend the space and bring the looks together. Same search, same seeds:

# %%
rows, ahead, four = {}, {}, "SoftTriple, K = 4"
cases = {"1 a class": {"species_per_class": 1}, "bent": {"hidden_units": 64}}
for name, changed in cases.items():
    few, many = (scores_of(title, **changed) for title in ("one center", four))
    rows |= {f"one, {name}": few, f"K = 4, {name}": many}
    ahead[f"K = 4, {name}"] = contest.minus(many, few)
ahead["K = 4 linear, of one bent"] = contest.minus(linear[four], few)
print(contest.table(rows, MEASURES), "\nahead of one center")
print(contest.table(ahead, MEASURES))
found = [records.interval(ahead["K = 4 linear, of one bent"][m]) for m in MEASURES[-2:]]
assert settings.mode() == "smoke" or all(mean > half for mean, half in found)

# %% [markdown]
# **What to see.** *Bent*: one center learns what it trains on, and knows the class of fresh images nearly as well as four.
# So for the **class** it takes *many centers, or a map that bends*. For unseen species the bend does not do it: one center
# cannot be told from four, and retrieves them worse than the numbers, and than the linear map with four.
# *One species a class*: four are ahead in the class alone; on species, seen or unseen, no lead can be told. This
# agrees with the rival explanation; the bent map only if species fall together with four centers, too. Neither proves
# it. The lead of §3.8 in retrieval is that of its mixture and species.
#
# **When the looks are poses of one species.** On the book's usual drawn birds, one species a class, SoftTriple's ten
# centers retrieve unseen species worse than its four, at the default gamma and at 0.3 (§3b.9). **Nor are as many
# centers as clusters always enough:** some starts get stuck, and spare centers are insurance (§3b.8).
#
# ## 3.10 Move them yourself
#
# Drag images and centers around the circle; the **step** buttons follow the gradient. Try this:
# - Press *20 steps* until nothing moves. Then lower gamma to 0.01 and raise it to 3: what do ring, wins and loss do?
# - Put both centers of class 0 on the same spot, and step. Can they part again?
# - Find a start from which the steps get stuck. (§3b.8 shows one.)

# %%
from dmlbook.chapters.ch03.explorer import CircleExplorer

CircleExplorer().browser()

# %% [markdown]
# ## Exercises
#
# **Exercise 3.1 · SoftTriple from an empty function** · difficulty 3 of 5 · 25 minutes. Build the loss of a batch: (3.6)
# and (3.7), averaged over the images. Neither embeddings nor centers have length 1 when they arrive. The check compares
# the value, and its slopes in the embeddings *and* in the centers.


# %%
def softtriple_loss(
    embeddings: torch.Tensor,
    centers: torch.Tensor,
    labels: torch.Tensor,
    scale: float,
    gamma: float,
    margin: float,
) -> torch.Tensor:
    """embeddings (B, D), centers (C, K, D), labels (B,): one number, as a tensor."""
    ...


check("3.1", softtriple_loss)

# %% [markdown]
# <details><summary>Hint 1</summary>Write the shapes down first: cosines (B, C, K), weights (B, C, K), class similarities
# (B, C). <code>torch.einsum("bd,ckd->bck", ...)</code> makes the first of unit vectors
# (<code>F.normalize(..., dim=-1)</code>).</details>
# <details><summary>Hint 2</summary>The inner softmax runs over the last axis. The margin is subtracted from one column of each row,
# before the scale; <code>F.one_hot(labels, C)</code> says which. The outer softmax, its logarithm and the mean are
# <code>F.cross_entropy</code>.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def softtriple_loss(embeddings, centers, labels, scale, gamma, margin):
#     x, w = F.normalize(embeddings, dim=-1), F.normalize(centers, dim=-1)
#     s = torch.einsum("bd,ckd->bck", x, w)  # (B, C, K)
#     q = torch.softmax(s / gamma, dim=-1)  # on which center each image leans, class by class
#     similar = (q * s).sum(-1)  # (B, C)
#     own = F.one_hot(labels, len(centers))
#     return F.cross_entropy(scale * (similar - margin * own), labels)
# ```
#
# People let the inner softmax run over classes, or over all centers at once; multiply by gamma; take log-sum-exp, the
# closest center, the plain mean or the sum; cut the weights off from the gradient; leave lengths in; subtract the margin
# from every class, where it cancels, or after scaling, or with the wrong sign; forget the scale; or add the batch up.
# </details>

# %% [markdown]
# When the check passes, let yours train: three centers a class from a random start, the forty images around the cross.
# (Until then, this cell takes the book's.)

# %%
mine = yours("3.1", softtriple_loss, ours=theory.softtriple_batch_loss)
start = torch.randn(2, 3, 2, generator=generator(SEED, "yours"))
learned = start.clone().requires_grad_()
adam = torch.optim.Adam([learned], lr=0.05)
for step in range(101):
    value = mine(cloud, learned, cloud_labels, 20.0, 0.1, 0.01)
    if step % 25 == 0:
        s_now = torch.einsum(
            "bd,ckd->bck", cloud, F.normalize(learned.detach(), dim=-1)
        )
        best = losses.softtriple_similarity(s_now).argmax(1)
        right = int((best == cloud_labels).sum())
        print(f"step {step:3}: loss {value.detach():.4f}, {right} of 40 images right")
    adam.zero_grad()
    value.backward()
    adam.step()

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(9, 4))
ends = (start, learned.detach())
for ax, w, title in zip(axes, ends, ("Before", "After 100 steps"), strict=True):
    w = F.normalize(w, dim=-1)
    figures.class_circle(ax, cloud, cloud_labels, w, losses.softtriple_similarity)
    ax.set_title(title)
show(figure, "3.1 trained by you")

# %% [markdown]
# **Exercise 3.2 · the planted bugs** · difficulty 3 of 5 · 15 minutes. A colleague wrote SoftTriple (scale 20, gamma
# 0.1). It runs, its loss falls, images come out right. There are **two** bugs in it.


# %%
def loss_of_a_colleague(embeddings, centers, labels, margin):
    x, w = F.normalize(embeddings, dim=-1), F.normalize(centers, dim=-1)
    s = torch.einsum("bd,ckd->bck", x, w)
    with torch.no_grad():  # who leans on whom is looked up, not learned
        q = torch.softmax(s / 0.1, dim=-1)
    similar = (q * s).sum(-1) - margin
    return F.cross_entropy(20 * similar, labels)


for margin in (0.0, 0.3):
    value = loss_of_a_colleague(image, toy, zero, margin)
    book_says = theory.softtriple_batch_loss(image, toy, zero, margin=margin)
    print(f"toy, margin {margin}: theirs {value:.4f}, the book's {book_says:.4f}")
w = toy.clone().requires_grad_()
loss_of_a_colleague(image, w, zero, 0.0).backward()
print("their slopes in the image's own two centers:", *map(short, w.grad[0]))

# %% [markdown]
# Write it without the bugs. The check looks at value and slopes.


# %%
def mended_loss(
    embeddings: torch.Tensor,
    centers: torch.Tensor,
    labels: torch.Tensor,
    margin: float,
) -> torch.Tensor:
    """embeddings (B, D), centers (C, K, D): SoftTriple with scale 20 and gamma 0.1."""
    ...


check("3.2", mended_loss)

# %% [markdown]
# <details><summary>Hint 1</summary>One of them shows in the value, as soon as there is a margin. What happens to a softmax if the
# same number is subtracted from all its logits?</details>
# <details><summary>Hint 2</summary>The other does not show in any value. By §3.7 the image pulls one of its two centers and pushes
# the other away. Do these slopes agree?</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def mended_loss(embeddings, centers, labels, margin):
#     x, w = F.normalize(embeddings, dim=-1), F.normalize(centers, dim=-1)
#     s = torch.einsum("bd,ckd->bck", x, w)
#     q = torch.softmax(s / 0.1, dim=-1)
#     similar = (q * s).sum(-1) - margin * F.one_hot(labels, len(centers))
#     return F.cross_entropy(20 * similar, labels)
# ```
#
# A margin on every class cancels. Weights without a gradient leave every value as it is, and take the pushes of (3.15)
# away: what is left are the slopes of $V$, (3.16). People mend one and not the other; put log-sum-exp, the closest center
# or the plain mean in the place of the weights, for which the gradient is right, of another loss; cut the cosines off
# instead; or subtract the margin after scaling, or with the wrong sign.
# </details>

# %% [markdown]
# **Exercise 3.3 · where pull turns into push** · difficulty 4 of 5 · 20 minutes. A class has two centers, at cosines
# $s_1 > s_2$ from an image. For small gaps $s_1 - s_2$ the image pulls both; beyond a certain gap it pushes the
# second one away. Return that gap. There is no formula in elementary functions: find it numerically, to a
# thousandth of its value. On paper first: why must it be a constant times gamma?


# %%
def turning_gap(gamma: float) -> float:
    """The gap of the two cosines at which dS'/ds_2 = 0."""
    ...


check("3.3", turning_gap)

# %% [markdown]
# <details><summary>Hint 1</summary>Write the gap as u times gamma. Then the weight of the first center is 1 / (1 + exp(-u)), and
# S' lies below s_1 by (1 - that weight) times the gap. Set s_2 = S' - gamma.</details>
# <details><summary>Hint 2</summary>The slope is 0 where u / (1 + exp(-u)) = 1. The left side grows with u: halve an interval until it is
# small.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def turning_gap(gamma):
#     low, high = 0.0, 10.0
#     for _ in range(60):
#         u = (low + high) / 2
#         low, high = (u, high) if u / (1 + math.exp(-u)) < 1 else (low, u)
#     return low * gamma
# ```
#
# Only the cosines in units of gamma enter $q$ and the bracket of (3.15), so the gap is a constant times gamma. People
# answer gamma itself. That is the distance from $S'$, and $S'$ lies below $s_1$.
# </details>

# %% [markdown]
# **Investigation 3.4 · does it help to choose softly at first?** · difficulty 4 of 5 · 30 minutes. With exactly as many
# centers as clusters some starts get stuck (§3b.8). Somebody proposes to begin with a large gamma and let it fall: all
# centers are heard first, and choose later. Does that solve more starts of the cross with $K = 2$? And of six clusters
# in turns with $K = 3$? `gamma` takes a list of values, through which it goes evenly. Name your schedules *before* you
# run them, keep the number of steps, compare start by start (the same starts begin alike), and count what you tried.

# %%
RUNS, STEPS = settings.by_mode(smoke=(10, 30), class_=(200, 300), full=(2000, 300))
options = {"runs": RUNS, "steps": STEPS}
found = experiments.train_centers("SoftTriple", x, labels, 2, gamma=[0.1], **options)
print(f"cross, K = 2, gamma 0.1: {int((found.win > 0).sum())} of {RUNS} starts solved")
six = book.on_circle(torch.arange(6) * 60.0)  # three clusters a class, in turns
six_labels = torch.arange(6) % 2

# %% [markdown]
# *Your finding:* ...
#
# <details><summary>What others found</summary>
#
# Gamma falling from 1, or from 10, to 0.1 solved *fewer* starts of the cross than 0.1 throughout, and so did gamma rising
# to it from a fifth of it. On the six clusters none of the three could be told apart from 0.1 throughout. (Numbers and
# $p$-values: §3b.8.) A finding like this is about the schedules that were tried: say how many, and which one you
# would have believed had it come first.
# </details>

# %% [markdown]
# ## What to take away
#
# - While embeddings come in opposite pairs, one center a class (without a bias) gets no lower a mean loss than
# guessing: a theorem.
# - HardTriple takes the closest center; SoftTriple the expected similarity under a softmax over the centers, which entropy leads to.
# - The expected similarity stays a cosine and may push centers away; the log-sum-exp value pays for numbers and never pushes a center of the image's own class.
# - Scale says whom to listen to, gamma how softly to choose, the margin how far to go on.
# - With one center a linear map gives a class one convex region: on merged species one center stayed behind several. A hidden layer gave it the class, not the unseen species.
# - With one species a class no gain of four centers was told in retrieval; ten retrieved unseen birds worse than four at the default gamma (§3b.9).
#
# ## Five questions
#
# 1. The proof of 3.1 never uses that the centers have length 1. Why does that make it stronger?
# 2. In SoftTriple two centers of a class coincide exactly. Does any gradient part them?
# 3. Why does $V$ favor a class with more centers, and $S'$ not?
# 4. The scale is 20 and $\gamma$ is 0.1. By what factor does a difference of 0.1 in cosine change the odds in each of the two softmaxes?
# 5. A colleague trains SoftTriple with $\gamma = 20$ and reports that several centers do not help. What do you say?
#
# <details><summary>Answers</summary>
#
# 1. It holds for all vectors, so also for unit vectors; and an unnormalized softmax layer without bias is covered too.
# 2. No: they have the same cosine with every image, so the same pull. Only what is not in the loss can part them: different
#    lengths before normalization, another state of the optimizer, rounding. Chapter 04 looks closer.
# 3. $V = S' + \gamma H(q)$, and the entropy grows with the number of centers that share the weight. $S'$ is a weighted mean: it never
#    exceeds the closest cosine, however many centers there are, and doubling *all* centers leaves it as it is.
# 4. In the outer one by $e^{20 \cdot 0.1} = e^{2}$, in the inner one by $e^{0.1 / 0.1} = e^{1}$.
# 5. Ask what was measured. What several centers add is divided by 20 (§3.4) and heard as at a scale of about 1: the loss
#    stays high even where, as on the cross, every image is right. Count right images, and lower gamma, before you judge.
# </details>
#
# ## References
#
# - Q. Qian, L. Shang, B. Sun, J. Hu, H. Li, R. Jin. *SoftTriple Loss: Deep Metric Learning Without Triplet Sampling*.
#   ICCV 2019, arXiv 1909.05235. HardTriple, the entropy that softens it, SoftTriple and the default settings are theirs.
# - The floor of one center, the order of the similarities, the signs of the slopes and the experiments are this book's own.
#
# **Deeper**: [03b · SoftTriple, deeper](03b_softtriple_deeper.ipynb). **Next**:
# [04 · How many centers?](04_how_many_centers.ipynb): who chooses $K$, and how spare centers are merged away.
