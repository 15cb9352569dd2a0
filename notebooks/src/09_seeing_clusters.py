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
# **Time** about {reading} minutes to read, half as much again with a pencil, and {exercises} for the exercises; the
# cells run in under three minutes on a laptop with two cores.
#
# So far we believed scores. Now we look.

# %%
import matplotlib.pyplot as plt
import torch

from dmlbook import book, datasets, geometry, maps, records, retrieval, settings
from dmlbook.chapters import check, outcome, predict, show
from dmlbook.chapters.ch09 import experiments, figures, theory
from dmlbook.datasets.kinds import merge_classes
from dmlbook.seeding import SEED, generator
from dmlbook.training import embed

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
birds, draw = datasets.load("birds", "train"), generator(SEED, "merge")
train = merge_classes(birds, 4, generator=draw)
if settings.mode() == "smoke":
    train = train.select(torch.arange(0, len(train), 5))
RIVALS = {
    "SoftMax": ("softmax", {"lr": 2e-3, "loss_lr": 1e-2}),
    "SoftTriple": ("softtriple", {"lr": 2e-3, "loss_lr": 1e-2}),
    "centroid bound": ("centroid_bound", {"lr": 1e-3}),
}
# epochs after which we look
STAGES = settings.by_mode(smoke=(0, 1), class_=(0, 1, 3, 15), full=(0, 1, 3, 15, 40))
trained = {
    title: experiments.learn(train, name, rates, stages=STAGES)
    for title, (name, rates) in RIVALS.items()
}

# %% [markdown]
# **Predict.** Take two images of one class and of different kinds. Under which of two losses is their cosine higher, in
# the mean? (a) SoftMax, by more than 0.02; (b) SoftTriple, by more than 0.02; (c) neither.

# %%
predict("9.1", "?")

# %%
embeddings = {title: seen[-1].embeddings for title, (*_, seen) in trained.items()}
print("mean cosine of two kinds of one class, of images of two classes;", end=" ")
print("their ratio as squared distances; nearest other image of the class:")
close = {}
for title, vectors in embeddings.items():
    nearest = 100 * retrieval.recall_at_k(vectors, train.labels, ks=(1,))[1]
    alike, unlike = experiments.cosines(vectors, train.labels, train.kinds)
    close[title], ratio = alike, (1 - alike) / (1 - unlike)
    print(f"{title:15} {alike:5.2f}   {unlike:5.2f}   {ratio:5.2f}", end="   ")
    print(f"{nearest:5.1f} percent")
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
first_of = experiments.some_of_each(train.kinds, PER_KIND)
shown = train.select(first_of)
places = maps.kind_places(shown.labels, shown.kinds)


def look_at(seen, **options):
    """A map of the shown images with the centers that serve any; what each serves."""
    vectors, centers = seen.embeddings[first_of], seen.centers
    served = maps.serving(vectors, shown.labels, centers)
    return maps.umap_map(vectors, centers, used=served.used, **options), served


views = {
    title: look_at(seen[-1], min_dist=0.3) for title, (*_, seen) in trained.items()
}
onto, _ = views["SoftTriple"]
for title, (drawn, served) in views.items():
    views[title] = (maps.align(drawn, onto), served)

# %% jupyter={"source_hidden": true}
_, of_triple = views["SoftTriple"]
ranked = of_triple.used.sum(1).argsort(descending=True, stable=True).tolist()
hues = [c for c in ranked if c not in (3, 8)]  # two are grays, as all others are here
figure, axes = plt.subplots(1, 2, figsize=(9.6, 4.4))
said = {"SoftMax": "one point a class", "SoftTriple": "several centers a class"}
for ax, (title, points) in zip(axes, said.items(), strict=True):
    drawn, served = views[title]
    told = {"only": hues[:3], "size": 20}
    figures.map_panel(ax, drawn, shown.labels, places, served.counts, **told)
    ax.set_title(f"{title}: {points}")
title = (
    "Three classes of four kinds: one X misses clumps, several stand at different ones"
)
show(figures.headed(figure, title), "9.2 three classes")

# %% [markdown]
# **What to see.** Follow one hue. A class lies in several clumps, which kinds may share. Under SoftMax it has one X,
# which cannot be in all of them; under SoftTriple it has several, and they stand at different clumps: *a class may have
# several places*. (Shown are three of the classes that keep most centers. All ten, with the centroid bound, come next.)
# Far on a map is no evidence, as we shall see; so ask the embedding how close an image is to the point that serves it:

# %%
print("cosine of an image with its own class's nearest point:", end=" ")
print("mean over images, and lowest mean of a kind")
alike = {}
for title, (_, served) in views.items():
    kinds = [shown.kinds == kind for kind in torch.unique(shown.kinds)]
    lowest = min(float(served.similarity[kind].mean()) for kind in kinds)
    alike[title] = float(served.similarity.mean())
    print(f"{title:15} {alike[title]:5.2f}   {lowest:5.2f}")
assert settings.mode() == "smoke" or alike["SoftTriple"] > alike["SoftMax"] + 0.1

# %% [markdown]
# **What to see.** Under SoftMax an image may lie far from the point of its class: the loss only asks that the points of
# others be further. That is not because the clumps are far apart, for kinds are at a high cosine there (§9.1); the point
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
show(figure, "9.2 all ten classes")

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
# image's $k$ neighbors that the map **kept**. To write (9.1) is exercise 9.1; here are the package's, for maps as in §9.2
# with the layout drawn from several seeds. (`beyond`: how many places beyond the 15th, of all images, a made-up neighbor
# stands, in the mean.)

# %%
K = 15 if settings.mode() != "smoke" else 5
SEEDS = range(settings.by_mode(smoke=2, class_=4, full=10))
last = trained["SoftTriple"][2][-1]
vectors, told = last.embeddings[first_of], {"n_neighbors": K, "min_dist": 0.3}
told["used"] = views["SoftTriple"][1].used
by_seed = [maps.umap_map(vectors, last.centers, **told, seed=seed) for seed in SEEDS]
at_random = torch.randn(len(vectors), 2, generator=generator(SEED, "places"))
drawn = {"UMAP": by_seed, "PCA": [maps.pca_map(vectors)]}
drawn["places at random"] = [maps.Map(at_random)]
for name, several in drawn.items():
    results = [experiments.judged(vectors, each, K) for each in several]
    print(f"{name:17}", end=" ")
    for key in ("trustworthiness", "continuity", "kept"):
        mean, half = records.interval([result[key] for result in results])
        spread = f" ± {half:.3f}" if len(results) > 1 else " " * 8
        print(f"{key} {mean:.3f}{spread}", end="  ")
    beyond, _ = records.interval([result["beyond"] for result in results])
    print(f"beyond {beyond:.0f}")

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
figure, axes = plt.subplots(2, len(KNOB), figsize=(9.6, 6.0), squeeze=False)
for row, seed in zip(axes, SEEDS[:2], strict=True):
    for ax, n in zip(row, KNOB, strict=True):
        each = maps.umap_map(vectors, n_neighbors=n, min_dist=0.3, seed=seed)
        figures.map_panel(ax, each, shown.labels, places, size=7)
        ax.set_title(f"{n} neighbors, seed {seed}", fontsize=10)
title = "The same embeddings: who lies beside whom mostly stays; "
title += "how many clumps, and where, does not"
show(figures.headed(figure, title), "9.4 knob and seed")

# %% [markdown]
# **Predict.** Two maps with the same settings and different seeds, laid onto each other as well as turning, mirroring
# and scaling allow. How much of the variance of one does the other leave unexplained, in the mean over pairs of seeds?
# (a) under 2 percent; (b) 2 to 50 percent; (c) more than 50 percent. (This share is the **Procrustes distance**: the sum of
# squared distances between the two places of each image that is left after the best turn and scale, in units of the
# spread of one map. 0 if they coincide, near 1 if they have nothing in common.)

# %%
predict("9.2", "?")

# %%
pairs = [(a, b) for n, a in enumerate(by_seed) for b in by_seed[:n]]
apart = sorted(maps.procrustes_distance(a, b) for a, b in pairs)
shown_as = ", ".join(f"{100 * value:.0f}%" for value in apart)
print("Procrustes distance of each two seeds:", shown_as)
middle = sum(apart) / len(apart)
outcome("9.2", "a" if middle < 0.02 else "b" if middle <= 0.5 else "c")
shared = 100 * experiments.shared_neighbors(by_seed, K)
print(f"of {K} neighbors on one map also on another: {shared:.0f}%")

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
pictures = {  # points, neighbors, least distance
    "64 dimensions, 5 neighbors": (cloud, 5, 0.0),
    "4 dimensions, 5 neighbors": (flat, 5, 0.0),
    "4 dimensions, 50 neighbors": (flat, min(50, len(flat) - 1), 0.0),
    "4 dimensions, settings of the maps above": (flat, K, 0.3),
}
clouds = {}
for title, (points, n, least) in pictures.items():
    clouds[title] = maps.umap_map(points, n_neighbors=n, min_dist=least)
    found = experiments.judged(points, clouds[title], K)
    trust = f"trustworthiness {found['trustworthiness']:.2f}"
    print(f"{title:41}: {trust}, kept {found['kept']:.2f}")

# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(2, 2, figsize=(9.6, 6.4))
for ax, (title, drawn) in zip(axes.flat, clouds.items(), strict=True):
    ax.scatter(*drawn.points.T.tolist(), s=7, color=book.DARK, linewidth=0)
    ax.set(xticks=[], yticks=[], title=title)
    ax.spines[:].set(visible=True, color=book.PALE)
show(figure, "9.4 clumps from nothing")


# %% [markdown]
# **What to see.** In four dimensions few neighbors tear a cloud into threads: each point holds on to its five, and
# nothing holds the pieces together; with more there still are holes. A cloud drawn at random has thin places, and the
# map widens them; with the settings of the maps above least of all. Its trustworthiness does not give it away, for the
# neighbors are true ones or nearly. In 64 dimensions the cloud looks even, and there the neighbors are mostly made up:
# two dimensions cannot hold them. What a clump is worth, its members' *similarities* say, beside those of other patches
# of its size: exercise 9.3.

# %% [markdown]
# **Stop.** A map shows which kinds lie where, and it makes things up: some neighbors, most distances, and even clumps
# where there are none. How far it may be believed numbers say, by the embedding, with the floor of places at random
# beside them. One map is one setting and one seed: what a second pair does not repeat is no finding.
#
# **Question.** A colleague shows a map on which one class falls into two clumps, far apart, and says that the class has
# two kinds. Which two things do you ask for?
#
# <details><summary>Answer</summary>
# Whether other seeds and another number of neighbors show the same two clumps. And, by the embedding itself, whether
# images within a clump are more similar than images across, beside what patches of that size in a cloud without groups
# would score. How far apart the clumps lie on the map says nothing.
# </details>

# %% [markdown]
# ## 9.5 What each center serves
#
# An image is **served** by the center of its class that it is closest to. Centers of a class at a distance below 0.1 (a
# cosine above 0.995) have merged and count as one (chapter 04). So each of the ten centers of a class serves some
# images, or has merged with another, or serves nobody. Here is the class with most centers in use: for each its six most
# similar images, and after the gap the four least similar that it still serves. The mark in an image's corner is that
# of its kind on the maps. (From here on all training images count, 50 a kind and not 15, so a center may serve here and
# have no X on the maps.)

# %%
net, loss, seen = trained["SoftTriple"]
vectors = seen[-1].embeddings  # of all training images now
served = maps.serving(vectors, train.labels, loss.centers)
chosen = int(served.used.sum(1).argmax())
print(f"class {chosen}: {train.class_names[chosen]}")
figure = figures.center_gallery(train, served, chosen)
title = "Each row is what one center serves: its most similar images, and its least"
show(figures.headed(figure, title), "9.5 served by each")

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
print(f"purity {purity:.2f}; the same centers and chance {chance:.2f};", end=" ")
print(f"adjusted Rand index {recovery:.2f} (chance 0)")
best = float(in_use.clamp(max=4).mean()) / 4
print(f"the best that so many centers of four equal kinds could score: {best:.2f}")
print(f"of ten centers a class keeps {distinct.mean():.1f} apart,", end=" ")
print(f"and {in_use.mean():.1f} serve somebody; true kinds: 4")
assert settings.mode() == "smoke" or purity > chance + 0.1

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(8.6, 3.9))
figures.center_counts(ax, served, train.kinds)
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3, frameon=False)
title = "How many centers serve is not how many kinds there are"
show(figures.headed(figure, title), "9.5 how many serve")

# %% jupyter={"source_hidden": true}
figure, ax = plt.subplots(figsize=(8.2, 6.6))
names = [f"class {c}" for c in range(train.num_classes)]
figures.center_heat(ax, loss.centers.detach(), served.used, names)
ax.set_title("Most centers of a class stand apart: few of the framed blocks are black")
show(figure, "9.5 centers beside centers")

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

# %%
query = experiments.on_the_fence(loss, vectors, train.labels)
label = int(train.labels[query])
seen_by_loss = theory.look(loss, vectors[query], label)


# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, 4, figsize=(9.6, 3.9), width_ratios=(1, 1, 0.8, 1))
figures.look_panels(list(axes), seen_by_loss, label)
title = "An image on the fence: a few centers do nearly all the work"
show(figures.headed(figure, title), "9.6 on the fence")


# %%
pulls, weights = seen_by_loss.pulls, seen_by_loss.weights
print(f"image {query}, class {label}, loss {seen_by_loss.value:.2f};", end=" ")
print(f"lambda {loss.scale:g}, gamma {loss.gamma:g}")
for cell in pulls.flatten().abs().argsort(descending=True)[:4].tolist():
    c, k = divmod(cell, loss.centers.shape[1])
    pull, near = float(pulls[c, k]), float(seen_by_loss.similar[c, k])
    does = f"{'pulls' if pull > 0 else 'pushes'} center {k + 1:2} of class {c}"
    print(f"  {does} with {abs(pull):5.2f}: cosine {near:.2f}", end=", ")
    print(f"q {float(weights[c, k]):.2f}")

# %% jupyter={"source_hidden": true}
found = book.nearest(vectors, 8)[query]
figure, axes = plt.subplots(1, 9, figsize=(9.2, 1.45), layout="none")
figure.subplots_adjust(0.01, 0.02, 0.99, 0.84, wspace=0.06)
book.query_row(axes, train, query, found)
show(figure, "9.6 its neighbors")


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

# %%
stages = trained["SoftTriple"][2]
final = views["SoftTriple"]
through = [*(look_at(each, min_dist=0.3) for each in stages[:-1]), final]
through = [(maps.align(drawn, final[0]), then) for drawn, then in through]


# %% jupyter={"source_hidden": true}
figure, axes = plt.subplots(1, len(stages), figsize=(9.6, 2.9), squeeze=False)
for ax, stage, (drawn, then) in zip(axes[0], stages, through, strict=True):
    figures.map_panel(ax, drawn, shown.labels, places, then.counts, size=5)
    ax.set_title(f"after {stage.epochs} epoch{'s' * (stage.epochs != 1)}", fontsize=10)
title = "The same map through training: few centers serve at first, more later"
show(figures.headed(figure, title), "9.7 through training")


# %%
for epochs, then, centers in stages:
    of_stage = maps.serving(then, train.labels, centers)
    pure, _ = maps.kind_purity(of_stage, train.kinds)
    draw = generator(SEED, "chance")
    by_chance = maps.purity_by_chance(of_stage, train.kinds, generator=draw)
    in_use = float(of_stage.used.sum(1).double().mean())
    # the mean cosine of all pairs
    alike = float(torch.nn.functional.normalize(then, dim=1).mean(0).square().sum())
    print(f"after {epochs:2} epochs: two images at a cosine of {alike:.2f},", end=" ")
    print(f"{in_use:.1f} centers in use, purity {pure:.2f}", end=", ")
    print(f"by chance {by_chance:.2f}")

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
    maps.Shown("SoftTriple", drawn, then[first_of], centers, epochs)
    for (drawn, _), (epochs, then, centers) in zip(through, stages, strict=True)
]
for title in ("SoftMax", "centroid bound"):
    _, then, centers = trained[title][2][-1]
    offered.append(maps.Shown(title, views[title][0], then[first_of], centers))
about = "Ten classes of four drawn species each; an X is a center."
data = maps.view_data(shown, offered, about=about)
figure, ax = plt.subplots(figsize=(6.4, 5.2))
figures.map_panel(ax, final[0], shown.labels, places, final[1].counts)
alt = "The map explorer as it starts: SoftTriple's embedding of ten classes "
alt += "of four drawn species, with centers as crosses."
BrowserView(maps.MODULE, data, picture=book.png(figure), alt=alt)

# %% [markdown]
# Find (1) the class that lies most nearly in one clump, and the species in it; (2) the center that mixes species most;
# (3) an image whose neighbors by the embedding lie far apart on the map: there the map had to choose. Look first; then
# let numbers look.

# %%
drawn, there = views["SoftTriple"]
unit = torch.nn.functional.normalize(last.embeddings[first_of], dim=1)
together = experiments.kinds_together(unit, shown.labels, shown.kinds)
tightest = max(together, key=together.get)
print(f"(1) class {tightest}, its kinds at a cosine of", end=" ")
print(f"{together[tightest]:.2f}: {train.class_names[tightest]}")
_, pure = maps.kind_purity(there, shown.kinds)
many = there.counts >= settings.by_mode(smoke=2, class_=10, full=10)
c, k = divmod(int(pure.where(many, torch.tensor(2.0)).argmin()), pure.shape[1])
print(f"(2) center {k + 1} of class {c}:", end=" ")
print(f"{100 * float(pure[c, k]):.0f}% of its {int(there.counts[c, k])} are one kind")
torn = experiments.torn(drawn, book.nearest(unit, 8))
image, times = int(torn.argmax()), float(torn.max() / torn.median())
print(f"(3) image {image}, class {int(shown.labels[image])}: its eight neighbors lie")
print(f"    {times:.0f} times as far away on the map as those of the median image")

# %% [markdown]
# ## 9.9 What becomes of classes that nobody has seen?
#
# Retrieval is for new classes. They have no centers. Does a network that was allowed to leave kinds apart also leave
# the kinds of *unseen* classes apart? Forty other species, dealt into ten classes of four:

# %%
birds, draw = datasets.load("birds", "test"), generator(SEED, "merge unseen")
unseen = merge_classes(birds, 4, generator=draw)
if settings.mode() == "smoke":
    unseen = unseen.select(torch.arange(0, len(unseen), 5))
print("unseen classes: cosine of two kinds of one class, of two classes;", end=" ")
print("nearest image of the same class, of the same kind")
new, answers = {}, (unseen.labels, unseen.kinds)
for title, (net, *_) in trained.items():
    new[title] = embed(net, unseen)
    found = [retrieval.recall_at_k(new[title], y, ks=(1,))[1] for y in answers]
    alike, unlike = experiments.cosines(new[title], unseen.labels, unseen.kinds)
    print(f"{title:15} {alike:5.2f}   {unlike:5.2f}", end="   ")
    print("   ".join(f"{100 * share:5.1f}" for share in found), "percent")

# %% jupyter={"source_hidden": true}
few = (unseen.labels < 4).nonzero().flatten()
some = few[experiments.some_of_each(unseen.kinds[few], PER_KIND)]
labels, kinds = unseen.labels[some], unseen.kinds[some]
figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.7))
drawn = {t: maps.umap_map(vectors[some], min_dist=0.3) for t, vectors in new.items()}
for ax, (title, each) in zip(axes, drawn.items(), strict=True):
    onto = maps.align(each, drawn["SoftTriple"])
    figures.map_panel(ax, onto, labels, maps.kind_places(labels, kinds))
    ax.set_title(title)
title = "Four classes that no loss has seen: without centers, in clumps all the same"
show(figures.headed(figure, title), "9.9 unseen species")

# %% [markdown]
# **What to see.** The three networks have never been told of these classes, nor of these kinds. Under SoftTriple the
# unseen kinds lie further apart than under SoftMax, and so do the unseen classes: as in §9.1 a single cosine says little.
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
# §9.3, so that nobody has to believe the picture.
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
found = kept_with_a_bug(*anything, 2)
print(f"two sets that have nothing to do with each other, k = 2: {found:.2f}")

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
# When it works, let it judge the kinds on the map of §9.2, and a clump of the last cloud of §9.4, cut out by eye; beside
# them patches of the same size, an image and those most similar to it.

# %%
*_, last_cloud = clouds.values()
far = torch.cdist(last_cloud.points, last_cloud.points[:1])[:, 0]
clump = far <= far.sort().values[min(19, len(far) // 3)]  # around one point of it
of_kinds = [shown.kinds == kind for kind in torch.unique(shown.kinds)]
JUDGED = {
    "kinds": (last.embeddings[first_of], of_kinds),
    "a clump from nothing": (flat, [clump]),
}

# %%
for title, (rows, groups) in JUDGED.items():
    similar, size = geometry.cosines(rows, rows), int(groups[0].sum())
    some_rows = similar[:: max(1, len(rows) // 40)]
    patches = [row >= row.topk(size).values[-1] for row in some_rows]
    table, k = similar.tolist(), min(10, size - 1)
    for name, each in ((title, groups), ("patches", patches)):
        values = [stays_together(table, group.tolist(), k) for group in each]
        if None in values:
            print(f"{name}: write stays_together first")
        else:
            values.sort()
            ends = f"from {values[0]:.2f} to {values[-1]:.2f}"
            middle = values[len(values) // 2]
            print(f"{name}: {len(values)}, {ends}, middle {middle:.2f}")

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
# **Investigation 9.5 · same data, different story** · difficulty 4 of 5 · open, 20 minutes. Make two maps of the embeddings
# of §9.2 from which two people would tell opposite stories ("the classes are well separated", "the classes are one
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
