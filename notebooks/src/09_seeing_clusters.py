# %% [markdown]
# # 09 · Seeing clusters
#
# **Question.** What did the centers learn?
#
# **After this lesson you can**
# - draw images and learned centers on one map, and read it,
# - say by numbers how far such a map may be believed, and recognize what it made up,
# - find out what each center serves, which have merged, and which serve nobody,
# - see for a single image which centers the loss looks at, and which it moves,
# - make a map of your own images that a colleague opens in a browser.
#
# **Before it** you need chapters [03](03_softtriple.ipynb) (SoftTriple) and [04](04_how_many_centers.ipynb) (merging
# centers); [05](05_centroid_bound.ipynb) (fixed centroids) helps.
#
# **Time** about {reading} minutes to read and try, and {exercises} for the exercises; the cells run in under three
# minutes on a laptop with two cores.
#
# > **The story so far.** A class may hold several clusters: a species has poses, a product has views. SoftTriple gives
# > each class several centers, so that no cluster has to move onto another (03); spare centers can be merged (04). Losses
# > with one point a class ask all its images to meet (02, 05). So far we believed scores. Now we look.

# %%
from itertools import pairwise

import matplotlib.pyplot as plt
import torch

from dmlbook import (
    book,
    datasets,
    geometry,
    losses,
    maps,
    nets,
    records,
    retrieval,
    settings,
)
from dmlbook.chapters import check, outcome, predict, show
from dmlbook.chapters.ch09 import figures, theory
from dmlbook.datasets.kinds import merge_classes
from dmlbook.seeding import SEED, generator
from dmlbook.training import TrainConfig, embed, fit

book.use_style()
book.story("09")

# %% [markdown]
# ## 9.1 Ten classes with a secret
#
# To judge what centers found we need classes whose clusters we know, and the loss does not. So we make some: 40 drawn
# species are dealt at random into ten classes of four. A class is then a word that means four birds, usually quite
# different ones, as "apple" means red ones and green ones. The four are its **kinds**.
#
# Three small networks learn the ten classes, from the same first weights and the same images: with normalized SoftMax
# (one learned point a class), with SoftTriple (ten centers a class), and with the centroid bound (one fixed point a class).

# %%
train = merge_classes(
    datasets.load("birds", "train"), 4, generator=generator(SEED, "merge")
)
if settings.mode() == "smoke":
    train = train.select(torch.arange(0, len(train), 5))
plain = {
    "augment": "shift",
    "flip": False,
    "freeze_batch_norm": False,
    "adam_eps": 1e-8,
    "milestones": (),
}
RIVALS = {
    "SoftMax": ("softmax", {"lr": 2e-3, "loss_lr": 1e-2}),
    "SoftTriple": ("softtriple", {"lr": 2e-3, "loss_lr": 1e-2}),
    "centroid bound": ("centroid_bound", {"lr": 1e-3}),
}
STAGES = settings.by_mode(
    smoke=(0, 1), class_=(0, 1, 3, 15), full=(0, 1, 3, 15, 40)
)  # epochs after which we look


def points_of(loss):
    """The points that stand for the classes, (C, K, D)."""
    return (
        (
            loss.centers
            if isinstance(loss, losses.CenterLoss)
            else loss.centroids[:, None]
        )
        .detach()
        .clone()
    )


# %%
def learn(name, rates, seed=SEED, stages=STAGES):
    """A network and its loss, and what both looked like after each stage: (epochs, embeddings, centers)."""
    options = (
        {"generator": generator(seed, "centers")}
        if "generator" in losses.options(name)
        else {}
    )
    net = nets.build("small", embedding_size=64, seed=seed)
    loss = losses.make(
        name, num_classes=train.num_classes, embedding_size=64, **options
    )
    seen = [(0, embed(net, train), points_of(loss))]
    for before, epochs in pairwise(stages):
        config = TrainConfig(
            epochs=epochs - before, batch_size=32, seed=seed + before, **plain, **rates
        )
        fit(net, loss, train, config, progress=False)
        seen.append((epochs, embed(net, train), points_of(loss)))
    return net, loss, seen


trained = {title: learn(*rival) for title, rival in RIVALS.items()}

# %% [markdown]
# **Predict.** Take two images of one class and of different kinds. Under which of two losses is their cosine higher, in
# the mean? (a) SoftMax, by more than 0.02; (b) SoftTriple, by more than 0.02; (c) neither.

# %%
predict("9.1", "?")

# %%
embeddings = {title: seen[-1][1] for title, (_, _, seen) in trained.items()}
print(
    "mean cosine of two kinds of one class, of images of two classes; their ratio as squared distances; nearest other image of the class:"
)
for title, vectors in embeddings.items():
    nearest = retrieval.recall_at_k(vectors, train.labels, ks=(1,))[1]
    unit = torch.nn.functional.normalize(vectors, dim=1)
    unlike = float((unit @ unit.T)[train.labels[:, None] != train.labels].mean())
    kinds_alike = retrieval.kind_cosine(vectors, train.labels, train.kinds)
    ratio = (1 - kinds_alike) / (1 - unlike)
    print(
        f"{title:15} {kinds_alike:5.2f}   {unlike:5.2f}   {ratio:5.2f}   {100 * nearest:5.1f} percent"
    )
close = {
    title: retrieval.kind_cosine(vectors, train.labels, train.kinds)
    for title, vectors in embeddings.items()
}
gap = close["SoftMax"] - close["SoftTriple"]
outcome("9.1", "c" if abs(gap) < 0.02 else "a" if gap > 0 else "b")

# %% [markdown]
# **What to see.** Then read the first three columns together. SoftTriple's kinds are further apart than SoftMax's, but so
# are its classes. The *difference* of the two cosines is about the same under both; the *ratio* of squared distances is
# twice as large under SoftTriple. Both are fair questions, and they answer differently: say which you ask. Under the
# bound, whose classes stand at right angles, the ratio is smallest. And on these training images the nearest image is
# nearly as often of the right class under all three, a few points less often under the bound. (One seed each, with
# rates set by hand and not searched: these three runs show what maps are for, and compare no losses.)
#
# ## 9.2 The first look
#
# A cosine is one number. A picture shows which kinds, and where. **UMAP** (McInnes and others, 2018) draws a set of
# vectors in the plane: it links each to its nearest neighbors, and then moves points about until those that are linked
# lie near and others do not. We give it the embeddings of 15 training images a kind *together with the centers*, so
# that a center is drawn where its neighbors are. Only centers that serve one of these images are laid out: the others
# have hardly any neighbors but each other, and would make islands that look like classes. (`min_dist` says how close
# points may be drawn, in units of the map.)

# %%
PER_KIND = settings.by_mode(smoke=5, class_=15, full=50)
first_of = torch.cat(
    [
        (train.kinds == kind).nonzero().flatten()[:PER_KIND]
        for kind in torch.unique(train.kinds)
    ]
)
shown = train.select(first_of)
places = maps.kind_places(shown.labels, shown.kinds)


def look_at(seen, **options):
    """A map of the shown images with the centers that serve any, and what each center serves."""
    _, vectors, centers = seen
    served = maps.serving(vectors[first_of], shown.labels, centers)
    return maps.umap_map(
        vectors[first_of], centers, used=served.used, **options
    ), served


# %% jupyter={"source_hidden": true}
views = {
    title: look_at(seen[-1], min_dist=0.3) for title, (_, _, seen) in trained.items()
}
onto = views["SoftTriple"][0]
views = {
    title: (maps.align(shown_map, onto), served)
    for title, (shown_map, served) in views.items()
}
ranked = (
    views["SoftTriple"][1].used.sum(1).argsort(descending=True, stable=True).tolist()
)
three = [c for c in ranked if c not in (3, 8)][
    :3
]  # those two hues are grays, as the others will be here
figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.4))
for ax, (title, said) in zip(
    axes,
    {"SoftMax": "one point a class", "SoftTriple": "several centers a class"}.items(),
    strict=True,
):
    shown_map, served = views[title]
    figures.map_panel(
        ax, shown_map, shown.labels, places, served.counts, only=three, size=20
    )
    ax.set_title(f"{title}: {said}")
figure.suptitle(
    "Three classes of four kinds: one X misses clumps, several stand at different ones",
    x=0.01,
    ha="left",
    fontsize=12,
)
show(figure, "9.2 two maps same birds")

# %% [markdown]
# **What to see.** Follow one hue. A class lies in several clumps, which kinds may share. Under SoftMax it has one X,
# which cannot be in all of them; under SoftTriple it has several, and they stand at different clumps: *a class may have
# several places*. (Shown are three of the classes that keep most centers. All ten, with the centroid bound, come next.)
# Far on a map is no evidence, as we shall see; so ask the embedding how close an image is to the point that serves it:

# %%
print(
    "cosine of an image with its own class's nearest point: mean over images, and lowest mean of a kind"
)
for title, (_, served) in views.items():
    of_kind = [
        float(served.similarity[shown.kinds == kind].mean())
        for kind in torch.unique(shown.kinds)
    ]
    print(f"{title:15} {float(served.similarity.mean()):5.2f}   {min(of_kind):5.2f}")
alike = {title: float(served.similarity.mean()) for title, (_, served) in views.items()}
assert settings.mode() == "smoke" or alike["SoftTriple"] > alike["SoftMax"] + 0.1

# %% [markdown]
# **What to see.** Under SoftMax an image may lie far from the point of its class: the loss only asks that the points of
# others be further. That is not because the clumps are far apart, for kinds are at a high cosine there (9.1); the point
# is off all of them. Under SoftTriple an image has a center nearby, and so has even the worst served kind. (The nearest of
# ten is nearer than one would be in any case; SoftTriple with one center, the fair test, was not run here.)

# %% jupyter={"source_hidden": true}
figure = plt.figure(figsize=(9.6, 4.3))
grid = figure.add_gridspec(2, 3, height_ratios=(1, 0.16))
for number, (title, (shown_map, served)) in enumerate(views.items()):
    ax = figure.add_subplot(grid[0, number])
    figures.map_panel(ax, shown_map, shown.labels, places, served.counts)
    ax.set_title(title)
figures.map_key(figure.add_subplot(grid[1, :]))
show(figure, "9.2 three maps all ten")

# %% [markdown]
# **What to see.** Where a class has one X, some of its clumps are drawn away from it. With SoftTriple most clumps have an
# X of their hue nearby, and not all: mostly two or three a class are in use, and not four.
#
# **What not to conclude.** The axes have no meaning, nor has the size of a clump, nor how far apart two clumps lie. Whether
# there *are* clumps is what the next two sections ask.
#
# ## 9.3 May it be believed?
#
# A map has kept the truth if who is near on it is near by cosine. Two lies are possible. It may draw together what is
# apart (then it is not to be **trusted**), and it may tear apart what is together (then it is not **continuous**). With
# $r(i, j)$ for the place that image $j$ has in the list of $i$'s neighbors by cosine, 1 for the nearest, and $U_k(i)$
# for the images that are among $i$'s $k$ nearest on the map and not by cosine,
#
# $$\text{trustworthiness} = 1 - \frac{2}{N k (2N - 3k - 1)} \sum_{i=1}^{N} \sum_{j \in U_k(i)} \big( r(i, j) - k \big) \tag{9.1}$$
#
# (Venna and Kaski, 2001). Each made-up neighbor costs as much as it is far down the true list; the factor in front
# makes the worst case 0. Continuity is the same with map and truth exchanged. And the plainest: the share of each
# image's $k$ neighbors that the map **kept**. To write (9.1) is exercise 9.1; here are the package's, for maps as in 9.2
# with the layout drawn from several seeds. (`beyond`: how many places beyond the 15th, of all images, a made-up neighbor
# stands, in the mean.)

# %%
K = 15 if settings.mode() != "smoke" else 5
JUDGES = {"trustworthiness": maps.trustworthiness, "continuity": maps.continuity}
SEEDS = range(settings.by_mode(smoke=2, class_=4, full=10))


def judged(vectors, shown_map):
    """Four numbers for a map."""
    found = {
        name: judge(vectors, shown_map, n_neighbors=K) for name, judge in JUDGES.items()
    }
    kept, count = (
        float(maps.kept_neighbors(vectors, shown_map, n_neighbors=K).mean()),
        len(vectors),
    )
    beyond = (
        (1 - found["trustworthiness"]) * (2 * count - 3 * K - 1) / 2 / (1 - kept)
    )  # (9.1), solved for it
    return found | {"kept": kept, "beyond": beyond}


# %%
vectors, centers = (
    trained["SoftTriple"][2][-1][1][first_of],
    trained["SoftTriple"][2][-1][2],
)
used = views["SoftTriple"][1].used
by_seed = [
    maps.umap_map(vectors, centers, used=used, n_neighbors=K, min_dist=0.3, seed=seed)
    for seed in SEEDS
]
places_at_random = maps.Map(
    torch.randn(len(vectors), 2, generator=generator(SEED, "places"))
)
rows = {
    "UMAP": [judged(vectors, each) for each in by_seed],
    "PCA": [judged(vectors, maps.pca_map(vectors))],
    "places at random": [judged(vectors, places_at_random)],
}
for name, results in rows.items():
    cells = []
    for key in ("trustworthiness", "continuity", "kept"):
        mean, half = records.interval([result[key] for result in results])
        cells.append(
            f"{key} {mean:.3f}" + (f" ± {half:.3f}" if len(results) > 1 else "        ")
        )
    beyond = sum(result["beyond"] for result in results) / len(results)
    print(f"{name:17} {'  '.join(cells)}  beyond {beyond:.0f}")

# %% [markdown]
# **What to see.** About a third of UMAP's neighbors are not among the true fifteen, but these stand not far beyond
# them in the list of 600, and so they cost little. PCA is the flat shadow along the two directions in which the
# embeddings vary most; of its neighbors seven in ten are not true, and they come from much further down: it lays apart
# things onto each other. Places at random score 0.5, so read both scales from there. (± is a 95 percent interval over
# seeds of the *layout*: the network is one.)
#
# ## 9.4 Same data, another picture
#
# UMAP's layout is drawn at random in part, and it has a knob, the number of neighbors that count as near. Nothing in
# the data says which setting is right. So never conclude from one map:

# %% jupyter={"source_hidden": true}
KNOB = settings.by_mode(smoke=(5, 15), class_=(5, 15, 50), full=(5, 15, 50, 150))
grid_maps = {
    (n, s): maps.umap_map(vectors, n_neighbors=n, min_dist=0.3, seed=s)
    for n in KNOB
    for s in list(SEEDS)[:2]
}
figure, axes = plt.subplots(2, len(KNOB), figsize=(9.6, 6.0), squeeze=False)
for row, seed in enumerate(list(SEEDS)[:2]):
    for column, n in enumerate(KNOB):
        figures.map_panel(
            axes[row, column], grid_maps[n, seed], shown.labels, places, size=7
        )
        axes[row, column].set_title(f"{n} neighbors, seed {seed}", fontsize=10)
figure.suptitle(
    "The same embeddings: who lies beside whom mostly stays; how many clumps, and where, does not",
    x=0.01,
    ha="left",
    fontsize=12,
)
show(figure, "9.4 six maps same softtriple")

# %% [markdown]
# **Predict.** Two maps with the same settings and different seeds, laid onto each other as well as turning, mirroring
# and scaling allow. How much of the variance of one does the other leave unexplained, in the mean over pairs of seeds?
# (a) under 2 percent; (b) 2 to 50 percent; (c) more than 50 percent. (This share is the **Procrustes distance**: the sum of
# squared distances between the two places of each image that is left after the best turn and scale, in units of the
# spread of one map. 0 if they coincide, near 1 if they have nothing in common.)

# %%
predict("9.2", "?")

# %%
apart = [
    maps.procrustes_distance(a, b) for n, a in enumerate(by_seed) for b in by_seed[:n]
]
print(
    "Procrustes distance of each two seeds:",
    ", ".join(f"{100 * value:.0f}%" for value in sorted(apart)),
)
middle = sum(apart) / len(apart)
outcome("9.2", "a" if middle < 0.02 else "b" if middle <= 0.5 else "c")
near = [
    torch.cdist(each.points, each.points).fill_diagonal_(torch.inf).argsort(1)[:, :K]
    for each in by_seed
]
pairs = [(a, b) for n, a in enumerate(near) for b in near[:n]]
shared = [
    float((a[:, :, None] == b[:, None, :]).any(2).double().mean()) for a, b in pairs
]
print(
    f"of {K} neighbors on one map also on another: {100 * sum(shared) / len(shared):.0f}%"
)

# %% [markdown]
# **What to see.** That is what *where* is worth on such a map: turned as well as can be, two seeds still disagree about
# a part of the layout, and what comes back need not be true either. Who lies beside whom comes back for the most part
# (the second number); how many clumps there are depends on the knob. A statement about a map needs at least two seeds
# and two settings, and a number by the embedding itself.
#
# ### A trap: clumps from nothing
#
# Here are as many points as before, drawn at random on the sphere, everywhere equally likely: in 64 dimensions and in 4.
# There is no group in them. Three maps let points lie as close as they like (`min_dist=0`); the last has the settings
# of the maps above.

# %%
cloud = theory.structureless(len(vectors), 64, generator=generator(SEED, "cloud"))
flat = theory.structureless(len(vectors), 4, generator=generator(SEED, "cloud"))
figure, axes = plt.subplots(2, 2, figsize=(9.6, 6.4))
pictures = {
    "64 dimensions, 5 neighbors": (cloud, 5, 0.0),
    "4 dimensions, 5 neighbors": (flat, 5, 0.0),
}
pictures["4 dimensions, 50 neighbors"] = (flat, min(50, len(flat) - 1), 0.0)
pictures["4 dimensions, settings of the maps above"] = (flat, K, 0.3)
for ax, (title, (points, n, least)) in zip(axes.flat, pictures.items(), strict=True):
    drawn = maps.umap_map(points, n_neighbors=n, min_dist=least)
    ax.scatter(*drawn.points.T.tolist(), s=7, color=book.DARK, linewidth=0)
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set(visible=True, color=book.PALE)
    found = judged(points, drawn)
    print(
        f"{title:41}: trustworthiness {found['trustworthiness']:.2f}, kept {found['kept']:.2f}"
    )
show(figure, "9.4 four maps points drawn")

# %% [markdown]
# **What to see.** In four dimensions few neighbors tear a cloud into threads: each point holds on to its five, and
# nothing holds the pieces together; with more there still are holes. A cloud drawn at random has thin places, and the
# map widens them; with the settings of the maps above least of all. Its trustworthiness does not give it away, for the
# neighbors are true ones or nearly. In 64 dimensions the cloud looks even, and there the neighbors are mostly made up:
# two dimensions cannot hold them. What a clump is worth, its members' *similarities* say, beside those of other patches
# of its size: exercise 9.3.
#
# You have now seen what a map can and cannot say. **Stop here for a break**: what follows asks the centers themselves.
#
# ## 9.5 What each center serves
#
# An image is **served** by the center of its class that it is closest to. Centers of a class at a distance below 0.1 (a
# cosine above 0.995) have merged and count as one (chapter 04). So each of the ten centers of a class serves some
# images, or has merged with another, or serves nobody. Here is the class with most centers in use: for each its six most
# similar images, and after the gap the four least similar that it still serves. The mark in an image's corner is that
# of its kind on the maps. (From here on all training images count, 50 a kind and not 15, so a center may serve here and
# have no X on the maps.)

# %%
title, (net, loss, seen) = "SoftTriple", trained["SoftTriple"]
vectors = seen[-1][1]  # of all training images now
served = maps.serving(vectors, train.labels, loss.centers)
chosen = int(served.used.sum(1).argmax())
print(f"class {chosen}: {train.class_names[chosen]}")
figure = figures.center_gallery(train, served, chosen)
figure.suptitle(
    "Each row is what one center serves: its most similar images, and its least",
    x=0.01,
    ha="left",
    fontsize=12,
)
show(figure, "9.5 one class four species")

# %% [markdown]
# **What to see.** Go along a row and ask what its birds have in common: the species, or a pose, or a background? The
# least similar say how far a center reaches. This is the class with most centers in use; others have two or three.
#
# **Purity** is the share of images whose kind is the most frequent one at their center. (Two centers that serve one
# species may still differ: look at its poses, which nobody counted here.) A center that serves a single image is pure,
# so purity has to be compared with what the same centers would score if the kinds were dealt to them by chance. The
# **adjusted Rand index** asks the same of pairs: how often two images of a class share a kind *and* a center, or
# neither; scaled so that chance gives 0 and a perfect match 1.

# %%
purity, _ = maps.kind_purity(served, train.kinds)
chance = maps.purity_by_chance(served, train.kinds, generator=generator(SEED, "chance"))
distinct, in_use = (~served.merged).sum(1).double(), served.used.sum(1).double()
recovery = retrieval.kind_recovery(served.assigned, train.labels, train.kinds)
print(
    f"purity {purity:.2f}; the same centers and chance {chance:.2f}; adjusted Rand index {recovery:.2f} (chance 0)"
)
best = float(served.used.sum(1).clamp(max=4).double().mean()) / 4
print(f"the best that so many centers of four equal kinds could score: {best:.2f}")
print(
    f"of ten centers a class keeps {distinct.mean():.1f} apart, and {in_use.mean():.1f} serve somebody; true kinds: 4"
)
assert settings.mode() == "smoke" or purity > chance + 0.1

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(8.6, 3.9))
figures.center_counts(ax, served, train.kinds)
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3, frameon=False)
figure.suptitle(
    "How many centers serve is not how many kinds there are",
    x=0.01,
    ha="left",
    fontsize=12,
)
show(figure, "9.5 ten classes tick its")

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(8.2, 6.6))
names = [f"class {c}" for c in range(train.num_classes)]
figures.center_heat(ax, loss.centers.detach(), served.used, names)
ax.set_title("Most centers of a class stand apart: few of the framed blocks are black")
show(figure, "9.5 cosines between all centers")

# %% [markdown]
# **What to see.** First figure: a class that keeps more distinct centers than serve somebody keeps a heap of merged
# ones that serves nobody. Second: if the centers of a class were copies, its frame on the diagonal would be a black
# square. A few pairs are close to that; most stand apart, some as far from each other as from other classes' centers. A
# dark cell *outside* the frames is a place where two classes meet.
#
# **What not to conclude.** That the number of centers is the number of kinds. Purity is well above chance. It is below
# 1 mostly because there are too few centers: three cannot separate four equal kinds, and the best that the centers in
# use could score is printed above. Chapter 04 measured the same: the centers know the clusters in part, and their
# number is not to be read from how many survive.
#
# ## 9.6 Where the loss looks
#
# One image, one step. SoftTriple compares it with all $C K$ centers: the cosines $s_{ck}$. From them come (chapter 03)
#
# $$q_{ck} = \frac{e^{s_{ck}/\gamma}}{\sum_j e^{s_{cj}/\gamma}}, \qquad S_c = \sum_k q_{ck}\, s_{ck}, \qquad
# p_c = \frac{e^{\lambda (S_c - \delta [c = y])}}{\sum_d e^{\lambda (S_d - \delta [d = y])}} :$$
#
# $q$ says which centers speak for class $c$, $S_c$ is what they say, and $p$ what the softmax makes of it; the own class
# $y$ pays the margin $\delta$. Minus the derivative of the loss by each cosine says which centers and image pull at each
# other ($+$, blue) and which push each other away ($-$, red). We take the image whose own class and best other class are
# most nearly tied.

# %% jupyter={"source_hidden": true}
with torch.no_grad():
    unit = torch.nn.functional.normalize(vectors, dim=1)
    similar = losses.softtriple_similarity(
        torch.einsum("nd,ckd->nck", unit, loss.centers), gamma=loss.gamma
    )
    own = similar.gather(1, train.labels[:, None])[:, 0]
    best_other = similar.scatter(1, train.labels[:, None], -2).amax(1)
query = int((own - best_other).abs().argmin())  # on the fence between two classes
label = int(train.labels[query])
seen_by_loss = theory.look(loss, vectors[query], label)
figure, axes = plt.subplots(1, 4, figsize=(9.6, 3.9), width_ratios=(1, 1, 0.8, 1))
figures.look_panels(list(axes), seen_by_loss, label)
figure.suptitle(
    "An image on the fence: a few centers do nearly all the work",
    x=0.01,
    ha="left",
    fontsize=12,
)
show(figure, "9.6 one image four panels")

# %%
strongest = seen_by_loss.pulls.flatten().abs().argsort(descending=True)[:4].tolist()
K_CENTERS = loss.centers.shape[1]
print(
    f"image {query}, class {label}, loss {seen_by_loss.value:.2f}; lambda {loss.scale:g}, gamma {loss.gamma:g}"
)
for cell in strongest:
    c, k = divmod(cell, K_CENTERS)
    pull = float(seen_by_loss.pulls[c, k])
    said = f"cosine {float(seen_by_loss.similar[c, k]):.2f}, q {float(seen_by_loss.weights[c, k]):.2f}"
    print(
        f"  {'pulls' if pull > 0 else 'pushes'} center {k + 1:2} of class {c} with {abs(pull):5.2f}: {said}"
    )
found = book.nearest(vectors, 8)[query]
figure, axes = plt.subplots(1, 9, figsize=(9.2, 1.45), layout="none")
figure.subplots_adjust(0.01, 0.02, 0.99, 0.84, wspace=0.06)
book.query_row(axes, train, query, found)
show(figure, "9.6 image fence its eight")

# %% [markdown]
# **What to see.** Of a hundred centers a handful carries nearly all: the one of the own class that speaks for the image
# is pulled to it, and the one that speaks for its rival is pushed away. A center of the *own* class may be pushed away,
# too: its class's similarity is a mean weighed by $q$, and a far center that came a little nearer would take weight from
# the near one and lower that mean (the slope has the factor $q\,(1 + (s - S)/\gamma)$, below 0 where $s < S - \gamma$,
# chapter 03). Spare
# centers get almost no pull from this image; what moves them is the regularizer, which has drawn most of them onto one
# another: the cells of one gray in a row. The neighbors show whom it is confused with: those in dashed frames.
#
# ## 9.7 How it came about
#
# The same map after each stage of training, each turned onto the final one:

# %% jupyter={"source_hidden": true}
stages = trained["SoftTriple"][2]
through = [*(look_at(each, min_dist=0.3) for each in stages[:-1]), views["SoftTriple"]]
through = [
    (maps.align(shown_map, through[-1][0]), served_then)
    for shown_map, served_then in through
]
figure, axes = plt.subplots(1, len(stages), figsize=(9.6, 2.9), squeeze=False)
for ax, (epochs, _, _), (shown_map, served_then) in zip(
    axes[0], stages, through, strict=True
):
    figures.map_panel(ax, shown_map, shown.labels, places, served_then.counts, size=5)
    ax.set_title(f"after {epochs} epoch{'s' * (epochs != 1)}", fontsize=10)
figure.suptitle(
    "The same map through training: few centers serve at first, more later",
    x=0.01,
    ha="left",
    fontsize=12,
)
show(figure, "9.7 softtriple map before training")

# %%
for epochs, then, centers_then in stages:
    served_then = maps.serving(then, train.labels, centers_then)
    pure, _ = maps.kind_purity(served_then, train.kinds)
    by_chance = maps.purity_by_chance(
        served_then, train.kinds, generator=generator(SEED, "chance")
    )
    in_use = float(served_then.used.sum(1).double().mean())
    alike = float(
        torch.nn.functional.normalize(then, dim=1).mean(0).square().sum()
    )  # the mean cosine of all pairs
    print(
        f"after {epochs:2} epochs: two images at a cosine of {alike:.2f}, {in_use:.1f} centers in use, "
        f"purity {pure:.2f}, by chance {by_chance:.2f}"
    )

# %% [markdown]
# **What to see.** At first all images look much alike to the network, so that one center is the nearest for nearly all
# of a class. As images come apart, more centers find something to serve, and purity rises above chance.
#
# ## 9.8 Look for yourself
#
# The explorer holds all three losses and SoftTriple's stages. Point at a dot (or press an arrow key in the map): its
# image, its nearest center, its neighbors by the *embedding*, framed where right and dashed where wrong. Point at a
# cross: what it serves. Choose a class, then a center. "play" runs through training.

# %%
from dmlbook.book.web import BrowserView

offered = [
    maps.Shown("SoftTriple", shown_map, then[first_of], centers_then, epochs)
    for (shown_map, _), (epochs, then, centers_then) in zip(
        through, stages, strict=True
    )
]
for title in ("SoftMax", "centroid bound"):
    _, then, centers_then = trained[title][2][-1]
    offered.append(maps.Shown(title, views[title][0], then[first_of], centers_then))
data = maps.view_data(
    shown, offered, about="Ten classes of four drawn species each; an X is a center."
)
figure, ax = plt.subplots(figsize=(6.4, 5.2))
figures.map_panel(
    ax, views["SoftTriple"][0], shown.labels, places, views["SoftTriple"][1].counts
)
BrowserView(
    maps.MODULE,
    data,
    picture=book.png(figure),
    alt="The map explorer as it starts: SoftTriple's embedding of ten classes of four drawn species, with centers as crosses.",
)

# %% [markdown]
# Find (1) the class that lies most nearly in one clump, and the species in it; (2) the center that mixes species most;
# (3) an image whose neighbors by the embedding lie far apart on the map: there the map had to choose. Look first; then
# let numbers look.

# %%
shown_map, there = views["SoftTriple"]
unit = torch.nn.functional.normalize(trained["SoftTriple"][2][-1][1][first_of], dim=1)
together = {}
for c in range(train.num_classes):
    own = shown.labels == c
    together[c] = retrieval.kind_cosine(
        unit[own], torch.zeros_like(shown.labels[own]), shown.kinds[own]
    )
tightest = max(together, key=together.get)
print(
    f"(1) class {tightest}, its kinds at a cosine of {together[tightest]:.2f}: {train.class_names[tightest]}"
)

# %%
_, pure = maps.kind_purity(there, shown.kinds)
many = there.counts >= settings.by_mode(smoke=2, class_=10, full=10)
c, k = divmod(int(pure.where(many, torch.tensor(2.0)).argmin()), pure.shape[1])
print(
    f"(2) center {k + 1} of class {c}: {100 * float(pure[c, k]):.0f}% of its {int(there.counts[c, k])} are one kind"
)
near = book.nearest(unit, 8)
torn = torch.linalg.vector_norm(
    shown_map.points[:, None] - shown_map.points[near], dim=2
).mean(1)
said = f"its eight neighbors lie {float(torn.max() / torn.median()):.0f} times as far away on the map as those of the median image"
print(
    f"(3) image {int(torn.argmax())}, class {int(shown.labels[torn.argmax()])}: {said}"
)

# %% [markdown]
# ## 9.9 What becomes of classes that nobody has seen?
#
# Retrieval is for new classes. They have no centers. Does a network that was allowed to leave kinds apart also leave
# the kinds of *unseen* classes apart? Forty other species, dealt into ten classes of four:

# %%
unseen = merge_classes(
    datasets.load("birds", "test"), 4, generator=generator(SEED, "merge unseen")
)
if settings.mode() == "smoke":
    unseen = unseen.select(torch.arange(0, len(unseen), 5))
print(
    "unseen classes: cosine of two kinds of one class, of two classes; nearest image of the same class, of the same kind"
)
results = {}
for title, (net, _, _) in trained.items():
    new = embed(net, unseen)
    by_class, by_kind = (
        retrieval.recall_at_k(new, answer, ks=(1,))[1]
        for answer in (unseen.labels, unseen.kinds)
    )
    results[title] = (new, by_class, by_kind)
    cosine = retrieval.kind_cosine(new, unseen.labels, unseen.kinds)
    unit = torch.nn.functional.normalize(new, dim=1)
    unlike = float((unit @ unit.T)[unseen.labels[:, None] != unseen.labels].mean())
    print(
        f"{title:15} {cosine:5.2f}   {unlike:5.2f}   {100 * by_class:5.1f}   {100 * by_kind:5.1f} percent"
    )

# %% jupyter={"source_hidden": true}
some = torch.cat(
    [
        (unseen.kinds == kind).nonzero().flatten()[:PER_KIND]
        for kind in torch.unique(unseen.kinds[unseen.labels < 4])
    ]
)
names_of = maps.kind_places(unseen.labels[some], unseen.kinds[some])
figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.7))
of_unseen = {
    title: maps.umap_map(new[some], min_dist=0.3)
    for title, (new, _, _) in results.items()
}
for ax, (title, drawn_map) in zip(axes, of_unseen.items(), strict=True):
    figures.map_panel(
        ax,
        maps.align(drawn_map, of_unseen["SoftTriple"]),
        unseen.labels[some],
        names_of,
    )
    ax.set_title(title)
figure.suptitle(
    "Four classes that no loss has seen: without centers, and in clumps all the same",
    x=0.01,
    ha="left",
    fontsize=12,
)
show(figure, "9.9 maps unseen species under")

# %% [markdown]
# **What to see.** The three networks have never been told of these classes, nor of these kinds. Under SoftTriple the
# unseen kinds lie further apart than under SoftMax, and so do the unseen classes: as in 9.1 a single cosine says little.
# And apart is not good in itself: the bound leaves kinds furthest apart and finds fewest. An image that is found of the
# right class is nearly always of the right kind. One network each, one seed: it is a look, and no verdict. How often
# and by how much several centers help *unseen* classes is measured with searched settings and ten seeds in chapter
# [06](06_the_field.ipynb).
#
# ## 9.10 Your own images
#
# A run that was trained by `python -m dmlbook train` becomes a page that opens anywhere, offline and without a kernel:
#
#     python -m dmlbook map --run runs/my_photos-softtriple
#
# It holds map, images, neighbors and centers in one file: what a practitioner sends to a colleague. Below it the numbers of
# section 9.3, so that nobody has to believe the picture.
#
# What centers find on photographs whose kinds are known (CUB-200-2011, Cars196, a grocery store) is measured in the
# companion, [09b](09b_seeing_clusters_deeper.ipynb).

# %% [markdown]
# ## Exercises
#
# **Exercise 9.1 · may it be trusted?** · difficulty 3 of 5 · 20 minutes. Write trustworthiness (9.1) from an empty
# function. `true` and `seen` are square tables of distances, by the embedding and on the map; entry `[i][j]` is how far
# $j$ is from $i$. With $r(i, j)$ for the place of $j$ among $i$'s neighbors by `true` (1 is the nearest; $i$ itself is
# none), and $U_k(i)$ for those among $i$'s $k$ nearest by `seen` that are not among its $k$ nearest by `true`,
#
# $$1 - \frac{2}{N k (2N - 3k - 1)} \sum_i \sum_{j \in U_k(i)} \big( r(i, j) - k \big) .$$


# %%
def trustworthiness(true: list[list[float]], seen: list[list[float]], k: int) -> float:
    """true, seen: N rows of N distances, no two in a row equal; k < N / 2."""
    ...


check("9.1", trustworthiness)

# %% [markdown]
# <details><summary>Hint 1</summary>For one <code>i</code>, sort the others by <code>true[i][j]</code>; the place of j in that
# list is <code>list.index(j) + 1</code>.</details>
# <details><summary>Hint 2</summary>Walk through the first k by <code>seen</code>. Who is not among the first k by
# <code>true</code> costs its place less k.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def trustworthiness(true, seen, k):
#     n, cost = len(true), 0
#     for i in range(n):
#         others = [j for j in range(n) if j != i]
#         order = sorted(others, key=lambda j: true[i][j])
#         for j in sorted(others, key=lambda j: seen[i][j])[:k]:
#             if j not in order[:k]:
#                 cost += order.index(j) + 1 - k
#     return 1 - 2 * cost / (n * k * (2 * n - 3 * k - 1))
# ```
#
# People exchange the two tables, which gives continuity; count each point as its own nearest neighbor, so that only
# k - 1 are looked at; charge the whole place instead of what lies beyond k, so that the first one outside costs as much
# as the last inside; or only count the false neighbors, where a far one is a greater lie than a near one.
# </details>

# %% [markdown]
# When the check passes, let yours judge a map that the chapter has drawn. (Until it returns something, this cell says
# so.)

# %%
few = torch.arange(0, len(shown), 4)
rows, on_map = vectors[first_of][few], views["SoftTriple"][0].points[few]
value = trustworthiness(
    (1 - geometry.cosines(rows, rows)).tolist(), torch.cdist(on_map, on_map).tolist(), 5
)
package = maps.trustworthiness(rows, maps.Map(on_map), n_neighbors=5)
print(
    f"the package says {package:.3f},",
    "yours nothing yet" if value is None else f"yours {value:.3f}",
)

# %% [markdown]
# **Exercise 9.2 · the planted bug** · difficulty 2 of 5 · 10 minutes. The share of neighbors that a map kept, with one
# bug. On a map that keeps little it is flattering.


# %%
def kept_with_a_bug(true: list[list[float]], seen: list[list[float]], k: int) -> float:
    total = 0
    for by_embedding, by_map in zip(true, seen, strict=True):
        near = [
            set(sorted(range(len(far)), key=far.__getitem__)[:k])
            for far in (by_embedding, by_map)
        ]
        total += len(near[0] & near[1])
    return total / (k * len(true))


numbers = torch.randn(40, 3, generator=generator(SEED, "nothing in common"))
anything = [torch.cdist(part, part).tolist() for part in (numbers[:20], numbers[20:])]
print(
    f"two sets that have nothing to do with each other, k = 2: {kept_with_a_bug(*anything, 2):.2f}"
)

# %% [markdown]
# Write it without the bug.


# %%
def kept(true: list[list[float]], seen: list[list[float]], k: int) -> float:
    """true, seen: N rows of N distances; returns the mean share, in [0, 1]."""
    ...


check("9.2", kept)

# %% [markdown]
# <details><summary>Hint 1</summary>The number printed above should be near 2 / 19, or 0.11.</details>
# <details><summary>Hint 2</summary>What stands on the diagonal of both tables?</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def kept(true, seen, k):
#     total, n = 0, len(true)
#     for i in range(n):
#         others = [j for j in range(n) if j != i]
#         near = [set(sorted(others, key=table[i].__getitem__)[:k]) for table in (true, seen)]
#         total += len(near[0] & near[1])
#     return total / (k * n)
# ```
#
# Each point is at distance 0 from itself, in both tables: one of the k is always right. People take it off afterwards,
# and then compare k - 1 neighbors; or ask for the same neighbor at the same place, which is far too strict.
# </details>

# %% [markdown]
# **Exercise 9.3 · the false cluster** · difficulty 2 of 5 · 15 minutes. Any patch of a cloud keeps many of its
# neighbors. A group that stands apart keeps nearly all of them, *by the embedding*. For a group of images
# (`True` where an image belongs to it) return the mean, over its members, of the share of each member's `k` most
# similar others that are in the group too.


# %%
def stays_together(similar: list[list[float]], group: list[bool], k: int) -> float:
    """similar: N rows of N cosines; group: N booleans, more than k of them True."""
    ...


check("9.3", stays_together)

# %% [markdown]
# <details><summary>Hint 1</summary>Only rows of members count; in each, leave the member itself out before you take the k
# largest.</details>
# <details><summary>Hint 2</summary>By chance the answer is about the share of the group among all others.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def stays_together(similar, group, k):
#     shares = []
#     for i, row in enumerate(similar):
#         if group[i]:
#             near = sorted((j for j in range(len(row)) if j != i), key=lambda j: -row[j])[:k]
#             shares.append(sum(group[j] for j in near) / k)
#     return sum(shares) / len(shares)
# ```
#
# People count a member as its own neighbor, average over all images, take the smallest similarities as if they were
# distances, or ask that *all* k be in the group.
#
# What comes out below: the clump from nothing lies within the range of the patches, so nothing sets it apart. A few kinds
# keep as much as the best patches do: these stand apart. The middle kind keeps no more than a patch does: a kind that we
# know of need not be a group in the embedding, and a clump on a map need not be one either.
# </details>

# %% [markdown]
# When it works, let it judge the kinds on the map of 9.2, and a clump of the last cloud of 9.4, cut out by eye; beside
# them patches of the same size, an image and those most similar to it.

# %%
clump = torch.cdist(drawn.points, drawn.points[:1])[:, 0]
clump = (
    clump <= clump.sort().values[min(19, len(clump) // 3)]
)  # those that lie closest to one point of that map
of_kinds = [shown.kinds == kind for kind in torch.unique(shown.kinds)]
for title, rows, groups in (
    ("kinds", vectors[first_of], of_kinds),
    ("a clump from nothing", flat, [clump]),
):
    similar, size = geometry.cosines(rows, rows), int(groups[0].sum())
    patches = [
        row >= row.topk(size).values[-1] for row in similar[:: max(1, len(rows) // 40)]
    ]
    for name, judged_groups in ((title, groups), ("patches", patches)):
        values = [
            stays_together(similar.tolist(), each.tolist(), min(10, size - 1))
            for each in judged_groups
        ]
        if None in values:
            print(f"{name}: write stays_together first")
        else:
            middle = sorted(values)[len(values) // 2]
            print(
                f"{name}: {len(values)}, from {min(values):.2f} to {max(values):.2f}, middle {middle:.2f}"
            )

# %% [markdown]
# **Exercise 9.4 · how pure are the centers?** · difficulty 2 of 5 · 10 minutes. Each image is given as (class, number
# of its center within the class, kind). Return the share of images whose kind is the most frequent one at their center
# (of several such kinds one counts).


# %%
def purity(served: list[tuple[int, int, int]]) -> float:
    """served: one (class, center, kind) an image."""
    ...


check("9.4", purity)

# %% [markdown]
# <details><summary>Hint 1</summary>A dictionary from (class, center) to the list of kinds there.</details>
# <details><summary>Hint 2</summary><code>collections.Counter(kinds).most_common(1)</code> knows the largest count.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def purity(served):
#     kinds = {}
#     for label, center, kind in served:
#         kinds.setdefault((label, center), []).append(kind)
#     return sum(max(map(found.count, found)) for found in kinds.values()) / len(served)
# ```
#
# People forget that centers are numbered within their class, so that center 0 of all classes becomes one; average over
# centers, where one that serves a single image counts like one of fifty; or turn it around and ask how much of each
# *kind* is at one center, which a single center a class wins with 1.
# </details>

# %% [markdown]
# **Exercise 9.5 · same data, different story** · difficulty 4 of 5 · open, 20 minutes. Make two maps of the embeddings
# of 9.2 from which two people would tell opposite stories ("the classes are well separated", "the classes are one
# mass"): you may choose seed, neighbors, `min_dist`, colors and which images are shown, and may not touch the data.
# Then write for each the sentence that a reviewer should ask for, and compute the number that decides.
#
# <details><summary>How to judge your answer</summary>
#
# It is good if both maps are honest output of the same embeddings; if each story needs only what its map shows; and if
# the number is of the embedding (share of neighbors of the same class, Recall@1) and not of a map. It fails if the number
# was computed from coordinates, or if one of the maps shows other images without saying so.
# </details>

# %% [markdown]
# ## What to take away
#
# - A map keeps neighbors, and only some. Axes, gaps and sizes mean nothing; another seed moves part of the places.
# - Trust a map by numbers (trustworthiness, continuity, neighbors kept) over several seeds, and a clump by the cosines of
#   its members.
# - A map can make threads, clumps and holes out of nothing, and look trustworthy all the same.
# - In the runs of this lesson kinds are further apart under SoftTriple than under SoftMax, and so are classes: whether
#   kinds were drawn together depends on how one measures. Centers of a class stand at several of its clumps.
# - Centers know the clusters in part: purity is above chance, far above it where classes were thrown together, and the
#   number of centers is not that of the clusters.
# - For one image SoftTriple moves a handful of centers; spare ones are hardly moved by images, and merged by the
#   regularizer.
#
# ## Five questions
#
# 1. Two clumps lie far apart on a UMAP. What may you conclude about their cosine?
# 2. A map has trustworthiness 0.99 and continuity 0.7. What has it done?
# 3. Why are centers that serve nobody left out of the map?
# 4. A center serves one image. What is its purity, and what does that teach about the mean over centers?
# 5. Why may purity not be compared between ten centers a class and two?
#
# <details><summary>Short answers</summary>
#
# 1. Nothing. Even neighbors may have been torn apart: compute the cosine.
# 2. Those that lie together on it do belong together, and many that belong together were torn apart.
# 3. They have only each other for neighbors, copies of one another most of all, and make islands that look like classes.
# 4. It is 1; a mean over centers rewards many small ones.
# 5. More centers are purer by chance alone. Compare each with its own chance.
# </details>
#
# ## References
#
# - L. McInnes, J. Healy, J. Melville. *UMAP: Uniform Manifold Approximation and Projection for Dimension Reduction*.
#   2018, arXiv 1802.03426.
# - J. Venna, S. Kaski. *Neighborhood Preservation in Nonlinear Projection Methods: An Experimental Study*. ICANN 2001.
# - J. C. Gower. *Generalized Procrustes Analysis*. Psychometrika, 1975.
# - Q. Qian, L. Shang, B. Sun, J. Hu, H. Li, R. Jin. *SoftTriple Loss: Deep Metric Learning Without Triplet Sampling*.
#   ICCV 2019.
#
# **Deeper**: [09b · Seeing clusters, deeper](09b_seeing_clusters_deeper.ipynb). **Back**:
# [07 · Training](07_training.ipynb). **The map**: [00 · Start here](00_start_here.ipynb).
