# %% [markdown]
# # 03b · SoftTriple, deeper
#
# **Question.** What do scale, gamma and margin do when centers are trained, and how much of the outcome is luck?
#
# **After this companion you can**
# - prove the floor of one center a class with a margin, and say which centers reach it,
# - say how $S'$ moves with gamma, and what several centers add when gamma is large,
# - design for each of scale, gamma and margin an experiment that shows what it alone decides,
# - say how much of the outcome is the luck of the first centers, and what spare centers are good for,
# - doubt a tiny $p$-value, and a success, for the right reason.
#
# **Before it** you need the lesson [03](03_softtriple.ipynb).
#
# **Time** about {reading} minutes; the sections do not build on one another, but for §3b.5 and §3b.8, §3b.9 and §3b.10. The
# cells run in under four minutes.

# %%
import math

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

from dmlbook import book, losses, records, retrieval, settings
from dmlbook.chapters import outcome, predict, show
from dmlbook.chapters.ch03 import birds, contest, experiments, figures, merged, panels
from dmlbook.chapters.ch03 import theory
from dmlbook.seeding import SEED, generator

book.use_style()
book.story("03b")
x, labels = book.on_circle([0.0, 180.0, 90.0, 270.0]), torch.tensor([0, 0, 1, 1])
two = torch.stack([x[:2], x[2:]])  # the cross, and a center on each of its images

# %% [markdown]
# ## 3b.1 The floor with a margin
#
# Let class $j$ enter the loss with $e^{\lambda (x \cdot w_j - x \cdot w_y + \delta)} = e^{\lambda \delta} e^{a_j}$, where
# $a_j = \lambda\, x \cdot (w_j - w_y)$ as in §3.1. In its proof put $e^{\lambda \delta / 2}$ before every entry of $u$ and
# of $v$ but the first, and the same two lines give
#
# $$\frac{\ell(x) + \ell(-x)}{2} \ge \log\bigl(1 + (C - 1)\, e^{\lambda \delta}\bigr) \tag{3.1}$$
#
# for every scale, every number of dimensions, and any vectors $w_c$ whatever. Without a margin the right-hand side is
# $\log C$.
#
# *Who reaches it?* Cauchy-Schwarz is an equality if and only if $u$ and $v$ point the same way. Both begin with 1, so
# they must be equal, and every $a_j = 0$: $x \cdot w_j = x \cdot w_y$ for every image and every class. No image can tell
# the centers apart, as where all stand in one place.
#
# We attack it: a thousand random problems with up to 6 classes and 8 dimensions. None may fall below. Some come close:
# those whose vectors $w_c$ are nearly 0, for then all classes are nearly equal.

# %%
draw, slack = generator(SEED, "attack"), []
double = {"generator": draw, "dtype": torch.float64}
for _ in range(1000):
    C, D = (int(torch.randint(2, high, (), generator=draw)) for high in (7, 9))
    pair = F.normalize(torch.randn(1, D, **double), dim=1)
    pair = pair * torch.tensor([[1.0], [-1.0]])
    w = torch.randn(C, D, **double) * torch.rand((), generator=draw)
    of_class_0 = torch.zeros(2, dtype=torch.long)
    value = losses.margin_cross_entropy(pair @ w.T, of_class_0, scale=5.0, margin=0.1)
    slack.append(float(value) - theory.opposite_pairs_floor(C, scale=5.0, margin=0.1))
print(f"distance from the floor: {min(slack):.1e} at least, {max(slack):.1f} at most")
print(f"none below: {min(slack) >= 0}")
assert min(slack) >= 0

# %% [markdown]
# ## 3b.2 Gamma, between the mean and the maximum
#
# **The best weights, tried.** (3.4) says that no weights do better than the softmax. Ten thousand
# random weights are tried.

# %%
three = torch.tensor([[[0.8, 0.6, 0.5]]], dtype=torch.float64)
best = theory.center_weights(three, gamma=0.1)
value = theory.center_objective(best, three, gamma=0.1).item()
uniform = torch.rand(10_000, 1, 3, generator=generator(SEED, "tries")).double()
tries = uniform.log() / uniform.log().sum(-1, keepdim=True)  # uniform over all weights
others = theory.center_objective(tries, three.expand(10_000, 1, 3), gamma=0.1)
print(f"the softmax: {value:.5f}    best of 10,000 random weights: {others.max():.5f}")
assert others.max() <= value

# %% [markdown]
# **The slope.** How does $S'$ move with the sharpness $1 / \gamma$? Let it grow from 0, where all weights are $1/K$. From
# $q_k = e^{s_k / \gamma} / Z$ we get $\mathrm{d} q_k / \mathrm{d}(1 / \gamma) = q_k (s_k - S')$, and so
#
# $$\frac{\mathrm{d} S'}{\mathrm{d} (1 / \gamma)} = \sum_k s_k\, q_k\, (s_k - S') = \sum_k q_k\, (s_k - S')^2 \ge 0, \tag{3.9}$$
#
# where $\sum_k q_k (s_k - S') = 0$ let us subtract $S'$ once more. The slope is the *variance* of the similarities
# under $q$. So $S'$ climbs, as $\gamma$ falls, from the plain mean to the largest cosine, and stays between them: (3.10).
#
# **A large gamma.** At $1 / \gamma = 0$ the slope (3.9) is the plain variance. Its own slope is $\sum_k q_k (s_k - S')^3$,
# at most 2 in size, for cosines differ by at most 2 and their variance is at most 1. So by Taylor's formula, with the
# plain mean $\bar s$,
#
# $$\Bigl|\, S' - \Bigl( \bar s + \frac1\gamma \cdot \frac1K \sum_k (s_k - \bar s)^2 \Bigr) \Bigr| \le \frac{1}{\gamma^2}.$$
#
# One center, the mean of all, would give $\bar s$. What several add to it is divided by gamma.

# %%
cosines = 2 * torch.rand(1000, 1, 5, generator=generator(SEED, "cosines")).double() - 1
mean, variance = cosines.mean(-1), cosines.var(-1, correction=0)
for gamma in (0.1, 1.0, 10.0, 100.0):
    added = losses.softtriple_similarity(cosines, gamma=gamma) - mean
    off = (added - variance / gamma).abs().max()
    print(
        f"gamma {gamma:5}: several centers add {added.mean():.4f} on average;", end=""
    )
    print(f"   off by {off:.1e} at most, allowed {gamma**-2:.0e}")
    assert off <= gamma**-2

# %% [markdown]
# ## 3b.3 The value as a mixture
#
# $V$ of §3.5 has a meaning of its own. If $\lambda = 1 / \gamma$, then $e^{\lambda V_c} = \sum_k e^{\lambda s_{c,k}}$, and
# the loss (without margin) becomes
#
# $$-\log \frac{\sum_k e^{\lambda\, x_i \cdot w_{y_i}^k}}{\sum_j \sum_k e^{\lambda\, x_i \cdot w_j^k}} \tag{3.14}$$
#
# which is plain softmax over all $C K$ centers, with the probabilities of the own class's centers added up. So $V$ is
# the natural choice if you think of a class as a *mixture* of $K$ hidden labels. On the toy of §3.2:

# %%
s = torch.tensor([[[0.8, 0.6], [0.6, 0.28]]])  # (B=1, C=2, K=2)
mixture = F.softmax((s / 0.1).flatten(1), dim=1).unflatten(1, (2, 2)).sum(-1)  # (B, C)
V = losses.logsumexp_similarity(s, gamma=0.1)
value = losses.margin_cross_entropy(V, torch.tensor([0]), scale=1 / 0.1)
torch.testing.assert_close(value, -mixture[0, 0].log())
print(f"the mixture gives class 0 {mixture[0, 0]:.4f}; the loss of V is {value:.4f}")


# %% [markdown]
# ## 3b.4 Scale decides who is heard
#
# Forty images lie around the cross and have centers where they should be. Two of them carry the wrong label. The pull of
# an image on its class similarity is $\lambda (1 - p_{y})$, with $p$ the outer softmax; the factor $\lambda$ is the same
# for all.
#
# **Predict.** At scale 20, what share of all pull comes from the two wrong images? (a) about a twentieth; (b) about a
# half; (c) nearly all.

# %%
predict("3.5", "?")

# %%
noise = 8 * torch.randn(40, generator=generator(SEED, "noise"))
places = torch.tensor([0.0, 180.0, 90.0, 270.0]).repeat(10)
cloud, wrong = book.on_circle(places + noise), labels.repeat(10)
similar = losses.softtriple_similarity(torch.einsum("bd,ckd->bck", cloud, two))
gap = (similar[:, 0] - similar[:, 1]).abs()
pair = torch.stack([gap.argmax(), gap.argmin()])  # the most and the least typical image
wrong[pair] = 1 - wrong[pair]
for image in pair:
    print(f"one wins under its wrong label by {-gap[image]:.4f}")
share = {}
for scale in (0.1, 1, 5, 20, 100):
    p = torch.softmax(scale * similar, dim=1)
    pull = 1 - p[torch.arange(40), wrong]
    share[scale] = float(pull[pair].sum() / pull.sum())
    each = " and ".join(f"{100 * value:.2f}" for value in pull[pair] / pull.sum())
    print(f"scale {scale:5}: of all pull the two wrong images have {each} percent")
outcome("3.5", "a" if share[20] < 0.1 else "b" if share[20] < 0.8 else "c")

# %% [markdown]
# **What to see.** A small scale listens to everybody, mostly to images that are right already.
# As the scale grows, $1 - p_y$ tends to 1 for every image on the wrong side, however far, and to 0 for every image on
# the right side. So a large scale listens only to the images on the wrong side, and to each of them alike. If these are
# labeling errors, it listens to the errors.
#
# ## 3b.5 Gamma decides how much several centers count
#
# We train two and four centers a class from many random starts, all at once (`experiments.train_centers`: Adam on the
# centers, the images stay), for gammas from 0.01 to 100, compare the loss that is reached with formula (3.11), and count
# the starts after which every image is right.

# %%
RUNS, STEPS = settings.by_mode(smoke=(10, 30), class_=(200, 300), full=(2000, 1000))
right = {}
for gamma, steps in [
    *((g, STEPS) for g in (0.01, 0.1, 1, 10, 20, 100)),
    (20, 3 * STEPS),
]:
    formula = math.log1p(math.exp(-20 * (math.tanh(1 / gamma) - 0.01)))
    print(f"gamma {gamma:5}, {steps} steps: by (3.11) {formula:.4f}")
    for K in (2, 4):
        options = {"runs": RUNS, "steps": steps, "gamma": float(gamma)}
        found = experiments.train_centers("SoftTriple", x, labels, K, **options)
        right[gamma, K, steps] = int((found.win > 0).sum())
        print(f"   K = {K}: loss {found.loss.min():.4f} at best,", end="")
        print(f" {found.loss.median():.4f} in the median;", end="")
        print(f"   all images right: {right[gamma, K, steps]} of {RUNS} starts")

# %%
if settings.mode() == "smoke":
    print("not shown in smoke mode: too few starts and steps")
else:
    assert right[20, 4, STEPS] >= 0.95 * RUNS
    assert right[0.1, 2, STEPS] > right[20, 2, 3 * STEPS] > right[20, 2, STEPS]

# %% [markdown]
# **What to see.** Up to about 1 the loss goes to nothing. Beyond, it rises: the best start reaches the formula for two
# opposite centers and no less. But a high loss is not a wrong image. At a gamma of 20 four centers get every image right
# from every start, though most end above the formula and more steps do not free them. Two centers do so from fewer
# starts than at 0.1, some only slowly. By §3b.2, a large gamma divides what several centers add, as if its scale were
# $\lambda / \gamma$.
#
# ## 3b.6 Margin decides how far to go on
#
# Images now may move too, as a network would move them. We start from random positions and ask how far the own class
# wins after equally many steps.

# %%
steps = settings.by_mode(smoke=20, class_=200, full=400)
none = experiments.wins_with_margin(0.0, runs=100, steps=steps)
for margin in (0.0, 0.01, 0.2, 0.4, 0.6):
    win = experiments.wins_with_margin(margin, runs=100, steps=steps)
    mean, half = records.interval(win.mean(1).tolist())
    print(f"margin {margin:4}: mean win {mean:.2f} ± {half:.2f}")
    gains = {"mean win": win.mean(1) - none.mean(1)}
    gains["least win"] = win.amin(1) - none.amin(1)
    for name, gain in gains.items() if margin else ():
        mean, half = records.interval(gain.tolist())
        print(f"   start by start, {name} {mean:+.4f} ± {half:.4f},", end="")
        print(f" larger in {int((gain > 0).sum())} of 100 starts")
        assert settings.mode() == "smoke" or (gain > 0).sum() > 70

# %% [markdown]
# **What to see.** (Behind ± stands half the width of a 95 percent interval, here over the runs; indented lines compare
# each start with itself without a margin.) The larger the margin, the larger the win. The paper's default of 0.01 seems
# to do nothing, by the means of all starts. Start by start, nearly all win a little more with it; a few that end
# elsewhere widen the interval of the mean gain until it holds 0. Most of the win needs no margin: the scale of 20 alone
# asks for many times $1/20$.
#
# ## 3b.7 Who is pulled, who is pushed
#
# **Four cases.** By (3.17) descent raises the own class's $S'_y$ and lowers $S'_c$ of the others. Together with the sign
# of the slope (3.15) there are four cases. Here they are on the circle, for one image (gamma 0.3, scale 4, so that the
# pushes can be seen).

# %%
east = book.on_circle([0.0])
scene = torch.stack(
    [
        book.on_circle([25.0, 62.0, 110.0, 150.0]),  # the image's own class
        book.on_circle([-20.0, -80.0, -118.0, -155.0]),  # the other class
    ]
)
turn = experiments.center_turns(east, labels[:1], scene[None], gamma=0.3, scale=4.0)[
    0, 0
]
for c, whose in enumerate(("own class:  ", "other class:")):
    towards = turn[c] * book.degrees_of(scene[c]) < 0  # the image is at 0 degrees
    print(whose, ["closer" if yes else "away" for yes in towards])

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.2), width_ratios=(1, 1.25))
figures.class_circle(axes[0], east, labels[:1], scene)
figures.center_arrows(axes[0], scene, 22 * turn.sign())
axes[0].set_title("Which way one step turns each center")
sample = torch.tensor([0.95, 0.9, 0.8, 0.7, 0.6, 0.4, 0.1, -0.2, -0.5, -0.8])
panels.pushed_below(axes[1], sample, gamma=0.3)
axes[1].set_title("Left of S' - gamma the slope is negative")
show(figure, "3b.7 pulled and pushed")

# %% [markdown]
# **What to see.** (Left are the four centers of two classes, and arrows show direction only; right are ten other centers
# of one class, and the bars show the slope's size.) The image pulls its closest own center in and pushes the farther
# ones of its *own* class away. It pushes the closest center of the wrong class away and pulls the farther ones of the
# wrong class *in*. Each push is weak beside the largest pull, for a center that is far away has little weight.
#
# **At a random start.** In §3.7 the cosines of ten centers spread evenly from -1 to 1, and most centers were pushed
# away by an image of their own class. What of unit centers in random directions?

# %%
for D in (2, 8, 64, 512):
    drawn = torch.randn(2000, 10, D, generator=generator(SEED, "random centers", D))
    along = F.normalize(drawn, dim=-1)[:, None, :, 0]  # (2000, 1, 10): cosines
    slopes = theory.similarity_gradient(along, gamma=0.1)
    pushed = 100 * (slopes < 0).float().mean()
    print(f"{D:3} dimensions: spread {along.std():.2f},", end="")
    print(f" {pushed:3.0f} percent are pushed away at gamma 0.1")

# %% [markdown]
# **What to see.** In $D$ dimensions the cosines have a spread of $1 / \sqrt D$: in 64 that is still a little more than
# gamma, and half of the centers are pushed; only in 512 is it so much less that nearly all are pulled. There, more can be
# pushed only once training has spread the cosines.
#
# ## 3b.8 The luck of the start
#
# Is this pushing good or bad? One can argue either way. It keeps centers from crowding at one cluster, so that others
# remain for the next; or it drives away centers that will be needed. The log-sum-exp value $V$ never pushes a center of
# the image's own class. So we ask the experiment: from random starts, how often does each end with every image on its
# own class's side (a **solved** start)?
#
# **Predict.** Six clusters in turns, three a class, and $K = 3$: exactly as many centers as clusters. Compared with
# HardTriple and log-sum-exp, SoftTriple solves (a) fewer starts; (b) about as many; (c) more.

# %%
predict("3.6", "?")

# %%
six = book.on_circle(torch.arange(6) * 60.0)  # three clusters a class, in turns
tasks = {"cross": (x, labels, (1, 2, 3, 4, 10))}
tasks["six"] = (six, torch.arange(6) % 2, (2, 3, 4, 6, 10))
options = {"runs": RUNS, "steps": STEPS}
solved = {}
for task, (images, classes, Ks) in tasks.items():
    for method in experiments.SIMILARITIES:
        for K in Ks:
            found = experiments.train_centers(method, images, classes, K, **options)
            solved[task, method, K] = found.win > 0
        counts = (f"K = {K}: {int(solved[task, method, K].sum())}" for K in Ks)
        print(f"{task:6}{method:12}", "   ".join(counts), f"  of {RUNS}")
soft, hard, log = (
    solved["six", method, 3].float().mean()
    for method in ("SoftTriple", "HardTriple", "log-sum-exp")
)
outcome(
    "3.6", "c" if soft > max(hard, log) + 0.1 else "b" if soft > hard - 0.1 else "a"
)

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.8), sharey=True)
for ax, (task, (_, _, Ks)) in zip(axes, tasks.items(), strict=True):
    failed = {
        method: {K: (int((~solved[task, method, K]).sum()), RUNS) for K in Ks[1:]}
        for method in experiments.SIMILARITIES
    }
    figures.failed_starts(ax, failed)
axes[0].legend(loc="upper right")
axes[0].set(title="Cross: two clusters a class", ylabel="starts that fail")
axes[1].set_title("Six clusters in turns: three a class")
figure.suptitle("Spare centers are insurance", x=0.01, ha="left")
show(figure, "3b.8 failed starts")

# %% [markdown]
# **What to see.** (Numbers count the failed starts, bars are their share, with Wilson's 95 percent interval: the shares
# under which a count like this one is not surprising. The smallest K, with too few centers, fails always and is left
# out.) With exactly as many centers as clusters, some starts fail; the more spare centers, the fewer, for *every*
# method. That is a reason to start with a large $K$, as the paper does: **spare centers are insurance** against a bad
# start. With exactly enough, the three methods differ by a few starts in a hundred on the cross, and by many on the six
# clusters. All methods have the same starts, so we compare them start by start, and count where only one of two
# succeeds. Were the two equally good, each such start would be a toss of a coin. The **p-value** is the chance of a
# split at least as uneven as ours (McNemar's test).

# %%
for task, K in (("cross", 2), ("six", 3)):
    ours = solved[task, "SoftTriple", K]
    for rival in ("HardTriple", "log-sum-exp"):
        good, bad, chance = experiments.alone(ours, solved[task, rival, K])
        print(f"{task:5}: SoftTriple alone solves {good} starts,", end="")
        print(f" {rival} alone {bad}: p = {chance:.1e}")
if settings.mode() == "smoke":
    print("not shown in smoke mode: too few starts")
else:
    assert soft > log + 0.1

# %% [markdown]
# So where centers are scarce, pushing seems to *help*: it sends a spare center away from a cluster that is served. Before
# we believe it, we change what should not matter to it: eight images a cluster instead of one, spread by 2 or by 6
# degrees; and a smaller scale. A larger gamma, by contrast, *should* matter: a center is pushed only if it lies more than
# gamma below $S'$. To save time we take half of the starts.

# %%
apart, half = torch.randn(48, generator=generator(SEED, "spread")), RUNS // 2
places, classes = torch.arange(6).repeat(8) * 60.0, torch.arange(6).repeat(8) % 2
close, wide = (book.on_circle(places + spread * apart) for spread in (2, 6))
variations = {
    "eight images, 2 degrees": (close, classes, {}),
    "eight images, 6 degrees": (wide, classes, {}),
    "scale 5": (six, classes[:6], {"scale": 5.0}),
    "gamma 0.3": (six, classes[:6], {"gamma": 0.3}),
}
tally = {
    "as above, first half": {
        m: int(solved["six", m, 3][:half].sum()) for m in experiments.SIMILARITIES
    }
}
for name, (points, of_class, changed) in variations.items():
    tally[name] = {}
    for m in experiments.SIMILARITIES:
        settled = {"runs": half, "steps": STEPS} | changed
        found = experiments.train_centers(m, points, of_class, 3, **settled)
        tally[name][m] = int((found.win > 0).sum())

# %%
lead = {}
for name, good in tally.items():
    counts = "   ".join(f"{method} {count:3}" for method, count in good.items())
    print(f"{name:24}{counts}   of {half}")
    lead[name] = good["SoftTriple"] - max(good["HardTriple"], good["log-sum-exp"])
if settings.mode() != "smoke":
    gone = max(lead["eight images, 6 degrees"], lead["scale 5"])
    assert lead["eight images, 2 degrees"] > 0.1 * half > gone

# %% [markdown]
# **What to see.** The advantage that was so clear, with a tiny $p$, shrinks at the larger gamma, as it should. With eight
# images close together it stays. But with images spread more, or a smaller scale, it is gone, where it should have stayed.
# The $p$-value was right: in *that* setting the methods differ. It says nothing about the next setting. What held in both
# tasks and for all three methods is that spare centers help. (We did not vary it in the ways above.)
#
# **Does it help to choose softly at first?** This is the lesson's investigation: gamma falls, evenly on a logarithmic
# scale, from 1 or from 10 to 0.1, or rises to it from 0.02. The three schedules were named before they were run.

# %%
schedules = {"1 to 0.1": (1, 0.1), "10 to 0.1": (10, 0.1), "0.02 to 0.1": (0.02, 0.1)}
for task, K in (("cross", 2), ("six", 3)):
    images, classes, _ = tasks[task]
    constant = solved[task, "SoftTriple", K]
    print(
        f"{task}, K = {K}: gamma 0.1 throughout solves {int(constant.sum())} of {RUNS}"
    )
    for name, (first, last) in schedules.items():
        gammas = torch.logspace(math.log10(first), math.log10(last), 30).tolist()
        found = experiments.train_centers(
            "SoftTriple", images, classes, K, gamma=gammas, **options
        )
        good, bad, chance = experiments.alone(found.win > 0, constant)
        print(f"   gamma {name:11} solves {int((found.win > 0).sum())};", end="")
        print(f" alone {good}, the constant one alone {bad}: p = {chance:.1e}")

# %% [markdown]
# **What to see.** On the cross each of the three solves fewer starts than the constant gamma, the two that fall by a
# $p$-value that six comparisons do not explain away. On the six clusters none can be told from it. So choosing softly
# at first did not help here; that is said of three schedules, two tasks and one number of steps.
#
# What does a start look like that fails? We let the runs of the cross with $K = 2$ go on for three times as many steps,
# and ask of each run that is still not solved by how much each image would turn each center.

# %%
early, late = (
    experiments.train_centers("SoftTriple", x, labels, 2, runs=RUNS, steps=steps)
    for steps in (STEPS, 3 * STEPS)
)
turns = experiments.center_turns(x, labels, late.centers)  # (R, B, C, K)
rest = turns.sum(1).flatten(1).norm(dim=1)  # (R,): all images together, all centers
for n in (early.win <= 0).nonzero().flatten().tolist():
    print(f"start {n:3}: loss {early.loss[n]:.4f}, later {late.loss[n]:.4f};", end="")
    print(f" what still turns its centers: {rest[n]:.0e}")
print(f"not solved after {STEPS} steps: {int((early.win <= 0).sum())};", end="")
print(f" after {3 * STEPS}: {int((late.win <= 0).sum())}")

# %%
stuck, solved_one = int((late.win <= 0).int().argmax()), int(late.win.argmax())
where = book.degrees_of(late.centers[stuck]).round().flatten().int().tolist()
print("centers at", where, "degrees are turned")
for name, by_image in zip(
    ("east", "west", "north", "south"), turns[stuck], strict=True
):
    shown = "  ".join(f"{value:+6.2f}" for value in by_image.flatten().tolist())
    print(f"   by the {name:5}", shown)

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 2, figsize=(9, 4))
chosen = {"A start that is stuck": stuck, "One solved": solved_one}
for ax, (title, run) in zip(axes, chosen.items(), strict=True):
    of_run = late.centers[run]
    figures.class_circle(ax, x, labels, of_run, losses.softtriple_similarity)
    ax.set_title(title)
show(figure, "3b.8 stuck and solved")

# %% [markdown]
# **What to see.** A few of the failed starts were only slow: their loss is near 0 by now. The others rest: nothing turns
# their centers any more. In the picture on the left all four centers have gathered on one side of the circle (you see three
# crosses, because two centers of one class coincide, and nothing here parts them: question 2 of the lesson). The image
# opposite to them is on the wrong side. It does not turn its *own* class's centers, for it looks straight away from
# them, where a cosine is flat; and the two images beside push these equally from both sides. It does turn the other
# class's centers, but the three other images together turn them back just as much.
#
# ## 3b.9 The same question on birds
#
# Now the drawn birds of chapter 00: 40 species to train on, up to four poses each, and 40 others to test. In order to train
# often, the network is only a linear map: from 128 numbers an image (the main directions of its pixels, averaged over small
# squares, each divided by roughly its standard deviation) to an embedding of 16. We train with one center a class, with four
# and with ten, by each method, from several seeds, without chapter 04's regularizer; all share two learning rates, which were
# searched for none of them. Warned by §3b.8, we also show a second gamma. It was picked after a look at its result, because
# it shows that the first does not speak for all, so its intervals flatter it. The tables give *mean ± half of a
# 95 percent interval*; Recall@1 and MAP@R are chapter 01's.

# %%
features = birds.bird_features(128)
known, others = features.seen_labels.unique(), features.unseen_labels.unique()
print(f"{len(known)} species to train on, {len(others)} to test on")
SEEDS = [SEED + n for n in range(settings.by_mode(smoke=1, class_=5, full=10))]
steps = settings.by_mode(smoke=3, class_=120, full=300)
scores, MEASURES = {}, ("Recall@1", "MAP@R")
for title, (name, options) in birds.CHOICES.items():
    runs = [
        birds.linear_run(features, name, seed, steps=steps, options=options)
        for seed in SEEDS
    ]
    last = sum(value for value, _ in runs) / len(runs)
    print(f"{title:30} training loss {last:.3f}")
    scores[title] = {of: [found[of] for _, found in runs] for of in MEASURES}
print(f"seeds: {len(SEEDS)}")
print(contest.table(scores, MEASURES))


# %%
def recall(points):
    """Recall@1 of unseen birds, in percent."""
    return 100 * retrieval.recall_at_k(points, features.unseen_labels, ks=(1,))[1]


maps = [torch.randn(128, 16, generator=generator(n, "map")) for n in SEEDS]
by_chance = sum(recall(features.unseen @ random) for random in maps) / len(maps)
print(f"guessing {100 * retrieval.chance(features.unseen_labels)['recall_at_1']:.1f}")
print(f"a random map to 16 numbers {by_chance:.1f}", end="   ")
print(f"the first 16 {recall(features.unseen[:, :16]):.1f}", end="   ")
print(f"all 128 {recall(features.unseen):.1f}")


# %%
apart = {(a, b): contest.minus(scores[a], scores[b]) for a, b in birds.PAIRS}
rows = {" minus ".join(pair): of for pair, of in apart.items()}
print(contest.table(rows, MEASURES))
certain = birds.PAIRS[2:9]  # these the text relies on
least = min(sum(values) for pair in certain for values in apart[pair].values())
assert least > 0 or settings.mode() == "smoke"

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(8, 5))
book.dots(ax, {title: of["Recall@1"] for title, of in scores.items()})
ax.set_title("What more centers do to unseen species depends on gamma")
ax.set_xlabel("Recall@1 in percent")
show(figure, "3b.9 unseen species")

# %% [markdown]
# **What to see.** (A dot is a seed, a bar the 95 percent interval of the mean.) On the species it trains on, each method
# reaches a lower loss with ten centers than with four. (Compare within a method and a gamma only.) On species it has *not*
# seen, at the default gamma, it is the other way round by both measures, and one center has the highest means (in Recall@1
# log-sum-exp with four cannot be told from it). At a gamma of 0.3 SoftTriple still loses with ten, by both measures. For
# log-sum-exp four and ten cannot be told apart there, and ten beat one center in Recall@1, though not in MAP@R. At both
# gammas, by both measures, log-sum-exp is ahead of SoftTriple, seed by seed. By Recall@1 (the floors have no MAP@R here) one
# center beats a random map and the first 16 directions, SoftTriple with ten at the default gamma cannot be told from the
# latter, and no choice comes up to the 128 numbers that the map started from.
#
# So whether several centers retrieve better hangs on gamma, similarity and measure; nothing here supports "pushing helps". It
# does not refute the paper either: that trains a deep network on photographs, with the regularizer, for fifty epochs;
# chapter 08 looks there. A likely reason for the loss at the default, not tested: with centers to spare a species need not
# bring its poses together, so the map need not learn to look past the pose, which unseen species would have needed.
#
# ## 3b.10 The success of the lesson, doubted
#
# In §3.8 several centers were ahead of one on merged species. Is it the centers? A skeptic offers other reasons:
# *parameters* (an embedding of 128 gives one center more of them than four have); *time* (ten times the steps);
# *settings* (width, margin, scale and rate are searched anew for both, on the species held out for that); *reading off*
# (*neighbor* gives a fresh image the class of the closest trained one, without centers).

# %%
count, each = settings.by_mode(smoke=(20, 10), class_=(80, 60), full=(80, 60))
tasks = contest.bird_tasks(count, each, settings.by_mode(smoke=8, class_=32, full=32))
steps = settings.by_mode(smoke=5, class_=150, full=400)
settled = {"species_per_class": settings.by_mode(smoke=2, class_=4, full=4)}
grid = {"embedding_size": (16, 128), "margin": (0.01, 0.2, 0.4), "scale": (5.0, 20.0)}

# %%
rows = {}
for who, title, rate in (
    ("one", "one center", 0.01),
    ("four", "SoftTriple, K = 4", 0.1),
):
    options, chosen = merged.RIVALS[title], {"seeds": SEEDS, "steps": steps} | settled
    best, changed = contest.search(tasks, options, grid, rates=(0.01, 0.1), **chosen)
    print(f"{who}: the search takes rate {best}, {changed}")
    for name, more, of, times in (
        ("as in §3.8", {}, rate, 1),
        ("ten times the steps", {}, rate, 10),
        ("128 wide", {"embedding_size": 128}, rate, 1),
        ("all searched", changed, best, 1),
    ):
        chosen["steps"] = times * steps
        found = contest.scores(tasks.final, options | more, rate=of, **chosen)
        rows[f"{who}, {name}"] = found

# %%
MEASURES = ("class, trained", "class, fresh", "class, neighbor", "unseen R@1")
MEASURES += ("unseen MAP@R",)
print(contest.table(rows, MEASURES))
ahead = {
    name[6:]: contest.minus(rows[name], rows[f"one, {name[6:]}"])
    for name in rows
    if name.startswith("four")
}
plain, searched = rows["four, as in §3.8"], rows["one, all searched"]
ahead["plain, of one searched"] = contest.minus(plain, searched)
print(f"\nfour ahead of one (seeds: {len(SEEDS)})")
print(contest.table(ahead, MEASURES))
found = (records.interval(of[m]) for of in ahead.values() for m in MEASURES)
assert settings.mode() == "smoke" or all(mean > half for mean, half in found)

# %% [markdown]
# **What to see.** Four stay ahead in every line by every measure, even as they were against one with all searched. Neither
# width nor time nor settings let one center learn what it trains on, in line with the theorem of §3.8. But the skeptic is
# half right. The neighbor finds far more classes than the one center: a part of the distance lies in the reading. And in a
# wide embedding, with room for all that the 32 numbers hold, one center cannot be told from these on unseen species
# (§3.8's table); there the mean distance to four is smaller, too. *That* several centers gain here does not hang on width
# and settings; *how much* does.
#
# ## What to take away
#
# - The floor of one center a class on opposite pairs is $\log(1 + (C - 1)\, e^{\lambda \delta})$, and only centers that no image can tell apart reach it.
# - What several centers add to their mean is their variance divided by gamma, where gamma is large.
# - On the circle, with exactly as many centers as clusters the start decides, and spare centers are insurance, by each of the
#   three methods. That is about solving the training task: on birds, at the default gamma, ten centers retrieved unseen
#   species worse than four, by both measures.
# - A clear difference in one setting is a difference in that setting. Change what should not matter before you believe the story.
# - On merged species the advantage of four centers outlives more parameters, time, settings and another reading; its
# size hangs on width, settings and reading.
#
# ## References
#
# - Q. Qian, L. Shang, B. Sun, J. Hu, H. Li, R. Jin. *SoftTriple Loss: Deep Metric Learning Without Triplet Sampling*.
#   ICCV 2019, arXiv 1909.05235.
# - Q. McNemar. *Note on the Sampling Error of the Difference between Correlated Proportions or Percentages*.
#   Psychometrika, 1947.
# - E. B. Wilson. *Probable Inference, the Law of Succession, and Statistical Inference*. Journal of the American
#   Statistical Association, 1927.
#
# **Back** to the lesson: [03 · SoftTriple](03_softtriple.ipynb).
