# %% [markdown]
# # 08 · Benchmarks
#
# **Question.** Does it hold on CUB, Cars196 and SOP, and on my photographs?
#
# **After this chapter you can**
# - read a published table, and say which of its rows may be compared with which,
# - run a paper's recipe by one command, and see in what it is not the paper's,
# - put a run of your own beside recorded ones, and be told where it may not stand,
# - take a folder of photographs from training to a search,
# - say beforehand what a run will cost.
#
# **Before it** you need chapter [07](07_training.ipynb): splits by class, settings chosen on held-out classes, intervals.
#
# **Time** about 60 minutes to read and try; the cells run in under 3 minutes on a laptop with two cores.

# %%
import io
import shlex
import shutil
from contextlib import chdir, redirect_stderr

import matplotlib.pyplot as plt
import torch
from IPython.display import Markdown, display

import dmlbook
from dmlbook import book, datasets, recipes, records, settings, use
from dmlbook.__main__ import main
from dmlbook.chapters import check, outcome, predict
from dmlbook.chapters.ch08 import theory
from dmlbook.seeding import SEED
from dmlbook.use import run_folders

book.use_style()

# %% [markdown]
# ## 8.1 A protocol, to the letter
#
# A score on a benchmark belongs to a **protocol**: which images, which split, which network with which weights, what it
# sees of a picture, how it is trained, and when it is measured. Change one of them, and you have another experiment. Here
# is SoftTriple's on CUB-200-2011, as the package keeps it, with what we could not do as the paper did:

# %%
recipe = recipes.read("cub-softtriple-64")
print(recipe.summary)
for name, value in recipe.options.items():
    print(f"  {name:20} {value}")
for text in recipe.differs:
    print("differs:", text)

# %% [markdown]
# From a terminal, on a machine with a GPU, that is one line. What you want otherwise, you say after it, option by option;
# what came of it all is printed before the first step, and kept in the run's folder:
#
#     python -m dmlbook train --recipe cub-softtriple-64 --seeds 5 --record my-cub
#     python -m dmlbook train --recipe cub-softtriple-64 --net timm/resnet50 --epochs 20
#
# `python -m dmlbook train --recipe list` names them all.

# %% [markdown]
# ## 8.2 The papers' tables
#
# This is what SoftTriple's paper prints for CUB, in 64 dimensions; Recall@K and NMI in percent. A question mark is what
# we do not know.

# %%
rows = theory.reported("cub", dimensions=64)
qian = [row for row in rows if row.paper.startswith("Qian")]
display(Markdown(theory.published_table(qian)))

# %% [markdown]
# **Predict.** From SemiHard to SoftTriple Recall@1 grows by 17.5 points. How much of that does the table show to be due to
# having several centers a class? (a) nearly all; (b) about half; (c) two or three points.

# %%
predict("8.1", "?")

# %%
first = {row.loss: row.recall[0] for row in qian}
centers, network = first["softtriple"] - first["softmax"], first["softmax"] - first["proxy_nca"]
whole = first["softtriple"] - first["semihard"]
print(f"SoftTriple minus SemiHard {whole:.1f}; minus SoftMax norm, on the same network, {centers:.1f}")
print(f"SoftMax norm minus ProxyNCA, the nearest row on an older network, {network:.1f}")
outcome("8.1", "a" if centers > 0.8 * whole else "b" if centers > 0.3 * whole else "c")

# %% [markdown]
# **What to see.** Only the two last rows share a network. The upper five are their own authors' numbers, with older
# networks, other crops and other schedules; the large step stands between the two groups, and nobody can say from this
# table how much of it is the loss. One number more belongs beside it: Fehérvári and others trained seven of the losses on
# one network. There the same SoftMax and the same semi-hard triplets are this far apart:

# %%
fair = {row.loss: row.recall[0] for row in rows if row.paper.startswith("Fehérvári")}
print(f"SoftMax minus semi-hard: {first['softmax'] - first['semihard']:.1f} in the one table, ", end="")
print(f"{fair['softmax'] - fair['semihard']:.1f} on one network")

# %% [markdown]
# What else is published of the two methods, of Cars196 and of Stanford Online Products (SOP), as far as we could find it
# (chapter [06b](06b_the_field_deeper.ipynb) says what came after):

# %%
for data, title in theory.SETS.items():
    others = [row for row in theory.reported(data) if row not in qian]
    for ks in dict.fromkeys(row.ks for row in others):
        display(Markdown(f"**{title}**\n\n{theory.published_table([row for row in others if row.ks == ks])}"))

# %% [markdown]
# ## 8.3 Ours beside them
#
# The runs below were made on a processor, without a GPU: a smaller network (MobileNetV2, a third of its usual width),
# smaller pictures, at most four epochs. Each loss has settings of its own, found by a search of the same size on held-out
# training classes, as in chapter 07; test classes were measured once, with five seeds. `data/plans/` holds the plans.

# %%
METHODS = {"SoftTriple": "softtriple", "normalized SoftMax": "softmax", "centroid bound": "centroid_bound",
           "semi-hard triplets": "semihard"}  # fmt: skip
BOTH = {"recall_at_1": "R@1", "map_at_r": "MAP@R"}
PLANS = {"Cars196": "field/cars", "species": "benchmarks/species"}
tables = {
    title: records.compare({name: f"{plan}-{loss}" for name, loss in METHODS.items()}) for title, plan in PLANS.items()
}
FULL = {**BOTH, "recall_at_2": "R@2", "recall_at_4": "R@4", "recall_at_8": "R@8", "nmi": "NMI"}
display(Markdown(f"**Cars196, unseen classes**\n\n{tables['Cars196'].table(FULL)}"))

# %% [markdown]
# And what is published of the same losses:

# %%
ours = {loss: tables["Cars196"].rows[name] for name, loss in METHODS.items()}
display(Markdown(theory.beside([row for row in theory.reported("cars") if row.loss in ours], ours)))

# %% [markdown]
# Is ours better or worse than theirs? Neither: here is in what the two differ, for SoftTriple.

# %%
paper = next(row for row in theory.reported("cars") if row.loss == "softtriple")
for word, (theirs, mine) in theory.unlike(paper, ours["softtriple"]).items():
    print(f"{word:22} theirs: {theirs:14} ours: {mine}")

# %% [markdown]
# A replication would need a list of what the paper does not say, and no more. What *can* be compared are differences
# within one frame: their SoftTriple minus their SoftMax beside ours minus ours. If the claim is about the loss, it
# should not need their network.
#
# ## 8.4 Many classes of few pictures
#
# SOP has 22,634 products of about five photographs each. We cannot ship it, so we drew a set of its **form**: 11,318 bird
# species of 5 pictures, the second half of the species unseen. Nothing is pretrained here; every network starts from random
# weights, sees each of 28,295 pictures four times, and has three seeds. SoftTriple has two centers a class, as its paper
# takes on SOP.

# %%
display(Markdown(f"**Species, unseen half**\n\n{tables['species'].table(FULL)}"))

# %% [markdown]
# Papers give NMI beside Recall@K: cluster the embeddings into as many clusters as there are classes, and ask how much the
# clusters tell about the classes (chapter 01).
#
# **Predict.** Labels are handed out at random to the 28,295 test pictures, 5 of each class, and compared with a clustering
# that knows nothing. NMI is about (a) 0; (b) 20; (c) 80 percent.

# %%
predict("8.2", "?")

# %%
some = tables["species"].rows["SoftTriple"].values("chance_nmi")[0]
print(f"{'NMI of random labels':20} {100 * some:.1f}")
print(f"{'':20} {'NMI':>14} {'AMI':>14}")
for title in METHODS:
    record = tables["species"].rows[title]
    print(f"{title:20} {records.percent(record.values('nmi')):>14} {records.percent(record.values('ami')):>14}")
outcome("8.2", "a" if some < 0.1 else "b" if some < 0.5 else "c")

# %% [markdown]
# **What to see.** With many small clusters agreement by chance is most of NMI. AMI subtracts it. Read a published NMI on
# SOP from that floor up, not from zero.
#
# Now the question of this chapter's first half: does several centers a class help where the papers say it does?
#
# **Predict.** In our frame SoftTriple minus normalized SoftMax is, by Recall@1, (a) clearly above zero on both sets; (b) on
# one of them; (c) on none. Clearly: by the paired test of chapter 06, adjusted for all six comparisons of a table.

# %%
predict("8.3", "?")

# %%
tested = {title: table.tested("SoftTriple", BOTH) for title, table in tables.items()}
for title, table in tables.items():
    display(Markdown(f"**{title}**\n\n{table.differences('SoftTriple', BOTH)}"))
ahead = [title for title, found in tested.items() if (one := found["normalized SoftMax"]["recall_at_1"]).told_apart
         and one.mean < 0]  # fmt: skip
outcome("8.3", "a" if len(ahead) == len(tested) else "b" if ahead else "c")

# %%
RIVALS = [name for name in METHODS if name != "SoftTriple"]
figure, axes = plt.subplots(len(tables), 2, figsize=(9.6, 5.6), sharey=True)
for row, (title, table) in zip(axes, tables.items(), strict=True):
    for ax, (key, name) in zip(row, BOTH.items(), strict=True):
        book.dots(ax, {rival: table.gains("SoftTriple", rival, key) for rival in RIVALS})
        ax.axvline(0, color=book.SOFT, linestyle=":", zorder=1)
        ax.set(title=f"{title}: SoftTriple's lead by {name}", xlabel="points ahead of the rival")
        ax.label_outer()
book.show(figure, alt="ALT")

# %% [markdown]
# **What to see.** TO BE WRITTEN
#
# *Half of the lesson. A good place to stop, and to come back to your own photographs.*

# %% [markdown]
# ## 8.5 Your own run in the table
#
# A run that `train` leaves in a folder stands beside recorded ones by itself, if it was measured on the same images, in the
# same dimensions; in what else it differs is said below the table. Here is one on scikit-learn's handwritten digits,
# trained on 0 to 4 and measured on 5 to 9: change its line as you like.

# %%
HOME = settings.data_root() / "chapter08" / settings.mode()
shutil.rmtree(HOME, ignore_errors=True)
HOME.mkdir(parents=True)


def command(line):
    """A line of the terminal after `python -m dmlbook`, run in this chapter's own folder; bars are not shown."""
    with chdir(HOME), redirect_stderr(io.StringIO()):
        assert main(shlex.split(line)) == 0


SHORT = settings.by_mode(smoke=1, class_=4, full=4)
command(f"train --data digits --loss softmax --epochs {SHORT} --milestones 99 --lr 0.004 --no-baseline")

# %%
stored = records.compare({title: f"field/digits-{loss}" for title, loss in METHODS.items()})
mine, not_runs = use.own_records([HOME / "runs"])
beside, refused = records.beside(stored, {f"yours: {name}": record for name, record in mine.items()})
display(Markdown(beside.table(BOTH)))
print(refused, not_runs)

# %% [markdown]
# The same for CUB, once your run is there: `python -m dmlbook runs` lists your runs with their intervals, `--plot` draws
# them, and `--compare A B` says whether two of them differ.

# %% [markdown]
# ## 8.6 Your own folder, from training to a search
#
# A practitioner's photographs lie in folders, one a class. We make such a folder on the spot, of drawn birds:

# %%
from PIL import Image


def write_folder(images, folder, most):
    """Up to `most` pictures of each class as PNG files, in a folder of its own."""
    for label, name in enumerate(images.class_names):
        place = folder / name.replace(" ", "_")
        place.mkdir(parents=True)
        for number, index in enumerate((images.labels == label).nonzero().flatten()[:most].tolist()):
            Image.fromarray(images.images[index].permute(1, 2, 0).numpy()).save(place / f"{number:03}.png")


SPECIES = settings.by_mode(smoke=8, class_=40, full=80)
PICTURES = settings.by_mode(smoke=4, class_=20, full=50)
everything = datasets.load("birds", "all", num_species=SPECIES, images_per_species=PICTURES)
write_folder(everything, HOME / "photos", PICTURES)
print(f"{len(everything)} pictures in {everything.num_classes} folders, such as photos/{everything.class_names[0]}")

# %% [markdown]
# First a question that decides everything after it: **what will be asked later?** Photographs of classes that nobody has
# seen yet (next year's products)? Then whole classes are held out, as in the papers. Or new photographs of the classes that
# are there (the products that you sell)? Then that is a *closed set*: every class trains, some photographs of each are held
# out as **queries**, and they search a **gallery** of the others. `--split` says which, and the measure says it, too.
#
# **Predict.** The same network, the same photographs: Recall@1 in the closed set is, against unseen classes, (a) lower;
# (b) about the same; (c) higher, by five points or more.

# %%
predict("8.4", "?")

# %%
FROM_NOTHING = "--net small --weights none --size 48 --augment shift --no-flip --no-freeze-batch-norm --adam-eps 1e-8"
EPOCHS = settings.by_mode(smoke=1, class_=12, full=12)
RATES = f"--lr 0.004 --loss-lr 0.03 --milestones {max(1, EPOCHS - 2)}"  # the last epochs at a tenth of it
how = f"--data folder --root photos --loss softtriple --loss-option centers_per_class=2 {FROM_NOTHING} {RATES}"
command(f"train {how} --epochs {EPOCHS} --folder runs/unseen")

# %%
command(f"train {how} --epochs {EPOCHS} --folder runs/closed --split closed")

# %%
figures = {
    name: run_folders.read_about(HOME / "runs" / name / f"seed-{SEED}")["figures"] for name in ("unseen", "closed")
}
apart = figures["closed"]["recall_at_1"] - figures["unseen"]["recall_at_1"]
for name, found in figures.items():
    print(f"{name:8} R@1 {100 * found['recall_at_1']:.1f}   by chance {100 * found['chance_recall_at_1']:.1f}")
outcome("8.4", "c" if apart >= 0.05 else "b" if apart > -0.05 else "a")

# %% [markdown]
# **What to see.** Two numbers of one method on one folder, and neither is wrong: they answer different questions. (They
# also have galleries of different sizes: chance says how much that is.) A score without its split says nothing.
#
# Now the network is used. `embed` writes a vector for each photograph; `search` looks up new ones among them:
#
#     python -m dmlbook embed --run runs/closed --root photos --out vectors.npz
#     python -m dmlbook search --run runs/closed --vectors vectors.npz --query new.png
#     python -m dmlbook index --run runs/closed --gallery photos          (a gallery that grows: only what is new)
#     python -m dmlbook demo --run runs/closed --gallery photos           (a page that your colleagues can try)
#     python -m dmlbook export --run runs/closed --format onnx            (to run it elsewhere, preprocessing inside)
#
# A new photograph of a species in the folder, drawn now:

# %%
later = datasets.load("birds", "all", num_species=SPECIES, images_per_species=PICTURES + 1)
asked = [PICTURES + place * (PICTURES + 1) for place in (0, SPECIES // 2)]  # the last picture of two species
for number, index in enumerate(asked):
    Image.fromarray(later.images[index].permute(1, 2, 0).numpy()).save(HOME / f"new{number}.png")
command("embed --run runs/closed --root photos --out vectors.npz")
command("search --run runs/closed --vectors vectors.npz --query new0.png new1.png --most 5 --out found.html")

# %% [markdown]
# `found.html` is that answer as a page of pictures, which opens without a network. The same in Python, in a program of
# yours:

# %%
run = dmlbook.load_run(HOME / "runs" / "closed")
gallery = sorted((HOME / "photos").rglob("*.png"))
vectors, queries = run.embed_files(gallery), run.embed_files([HOME / "new0.png", HOME / "new1.png"])
distances, found = use.nearest_in(queries, vectors, most=5)
for number, (far, places) in enumerate(zip(distances.tolist(), found.tolist(), strict=True)):
    print(f"new{number}.png is a {later.class_names[int(later.labels[asked[number]])]}")
    for distance, place in zip(far, places, strict=True):
        print(f"   {distance:.3f}  {gallery[place].parent.name}")

# %% [markdown]
# ## 8.7 "I do not know"
#
# A search always answers: something is always nearest. In use, some queries have no answer in the gallery, and no
# benchmark of this chapter asks for them. The remedy is a limit: beyond some distance there is no answer. Where it should
# lie, your own photographs tell.
#
# The widget asks for scikit-learn's ten digits in a gallery that holds 0 to 7 alone, by their pixels. **Move the limit**
# until one query of ten that cannot be answered gets an answer. How many of the others are still answered?

# %%
from dmlbook.chapters.ch08.explorer import ThresholdExplorer

ThresholdExplorer().widget()

# %% [markdown]
# **What to see.** Of the answers nearly all are right, wherever the limit stands: Recall@1 does not know the trouble. The
# queries without an answer lie farther away, but the two humps overlap, so that every limit gives up some of the one to be
# spared some of the other. Set it on photographs that were not trained on, and with some of classes that the gallery lacks.
#
# ## 8.8 What it costs
#
# Every record keeps how long it took and on what. A run of 8.3 and 8.4, its measuring included:

# %%
runs = {f"{title}, {name}": table.rows[name] for title, table in tables.items() for name in METHODS}
display(Markdown(theory.cost_table(runs)))

# %% [markdown]
# On a GPU the same commands take bf16, keep the pictures there and draw all crops of a batch at once; `python -m dmlbook
# bench throughput` measures on your machine what share of the network's own speed is left. Several GPUs, or machines: one
# page, [several_devices.md](several_devices.md). If scores stay low: [bad_scores.md](bad_scores.md).
#
# ## 8.9 Three tools beside each other
#
# Cars196 once more, with the same network, batch, rates, epochs and loss (normalized SoftMax), by three tools as their own
# documentation has it: from the folder of photographs to a search. One core each; scores by one evaluator.

# %%
sides = records.load("side-by-side")
TOOLS = list(dict.fromkeys(key.split(": ")[0] for key in sides.runs[0]["figures"]))
print(f"{'':26} {'lines':>6} {'CPU minutes':>14} {'peak, GB':>12} {'R@1':>16} {'MAP@R':>16}")
for tool in TOOLS:
    (mean, half), (peak, more) = (
        records.interval(sides.values(f"{tool}: {key}")) for key in ("cpu_minutes", "peak_gb")
    )
    scores = "".join(f"{records.percent(sides.values(f'{tool}: {key}')):>17}" for key in BOTH)
    count = f"{sides.values(f'{tool}: lines')[0]:.0f}"
    print(f"{tool:26} {count:>6} {f'{mean:.1f} ± {half:.1f}':>14} {f'{peak:.2f} ± {more:.2f}':>12}{scores}")

# %% [markdown]
# **What to see.** TO BE WRITTEN
#
# ## 8.10 What became of the question
#
# TO BE WRITTEN

# %% [markdown]
# ## Exercises
#
# **Exercise 8.1 · queries in a gallery** · difficulty 2 of 5 · 15 minutes. Unit vectors of queries and of a gallery, with
# their labels. Return Recall@K: the share of the queries that have an image of their class among the `k` most similar
# images of the gallery. Queries whose class the gallery lacks cannot be answered: they are left out.


# %%
def gallery_recall(
    queries: torch.Tensor, query_labels: torch.Tensor, gallery: torch.Tensor, gallery_labels: torch.Tensor, k: int
) -> float:
    """Recall@K in [0, 1]; (Q, D), (Q,), (N, D), (N,)."""
    ...


check("8.1", gallery_recall)

# %% [markdown]
# <details><summary>Hint 1</summary>All similarities at once: <code>queries @ gallery.T</code>, (Q, N).</details>
# <details><summary>Hint 2</summary><code>topk(k, dim=1).indices</code>; <code>torch.isin(query_labels, gallery_labels)</code>
# says which queries have an answer.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def gallery_recall(queries, query_labels, gallery, gallery_labels, k):
#     nearest = (queries @ gallery.T).topk(k, dim=1).indices
#     right = (gallery_labels[nearest] == query_labels[:, None]).any(1)
#     return float(right[torch.isin(query_labels, gallery_labels)].double().mean())
# ```
#
# Who comes from leave-one-out drops the nearest image, which there is the query itself; here it is the best answer.
# </details>

# %% [markdown]
# **Exercise 8.2 · the planted bug** · difficulty 2 of 5 · 10 minutes. Recall@1 of a set whose images search one another.
# The first column of the sorted neighbors is the query itself, so the second is taken. It runs, and on most sets it is
# right. It was not made up: it stands in public code.


# %%
def recall_with_a_bug(embeddings: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of images whose nearest other image is of their class."""
    order = (embeddings @ embeddings.T).argsort(dim=1, descending=True, stable=True)
    return float((labels[order[:, 1]] == labels).double().mean())


twins = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
print(
    f"each image has a copy in another class: {recall_with_a_bug(twins, torch.tensor([0, 1, 0, 1])):.2f}, and 0 is right"
)


# %% [markdown]
# Write it without the bug.


# %%
def recall_at_1(embeddings: torch.Tensor, labels: torch.Tensor) -> float:
    """The share of images whose nearest other image is of their class; unit vectors (N, D), labels (N,)."""
    ...


check("8.2", recall_at_1)

# %% [markdown]
# <details><summary>Hint 1</summary>Where an image has a copy, which of the two comes first in the sorted row?</details>
# <details><summary>Hint 2</summary>Take the query out before you look: put something below every similarity on the
# diagonal.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def recall_at_1(embeddings, labels):
#     similar = (embeddings @ embeddings.T).fill_diagonal_(-torch.inf)
#     return float((labels[similar.argmax(1)] == labels).double().mean())
# ```
#
# Subtracting the identity leaves the query at similarity 0, ahead of everything that is farther than 90 degrees. Removing
# everything that is nearly identical removes the copies, which are real neighbors, and wrong ones.
# </details>

# %% [markdown]
# **Exercise 8.3 · a batch that does not fit** · difficulty 4 of 5 · 25 minutes. A loss on pairs needs the whole batch, and
# only `size` images at once fit through the network with their graph. Add to the network's gradient exactly what
# `loss(net(images), labels).backward()` would have added, and return the loss. (The network has no batch norm.)


# %%
def backward_in_parts(
    net: torch.nn.Module, loss: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor, size: int
) -> torch.Tensor:
    """The loss of the whole batch; the network's weights have their gradient afterwards."""
    ...


check("8.3", backward_in_parts)

# %% [markdown]
# <details><summary>Hint 1</summary>The chain rule has a place where it can be cut: the embeddings are small. Compute all of
# them without a graph, then the loss and its gradient by the embeddings.</details>
# <details><summary>Hint 2</summary>Run each part again, with a graph: <code>net(part).backward(slope)</code> goes back from
# its embeddings with their part of that gradient.</details>
# <details><summary>Solution, and what people get wrong</summary>
#
# ```python
# def backward_in_parts(net, loss, images, labels, size):
#     with torch.no_grad():
#         embeddings = torch.cat([net(part) for part in images.split(size)])
#     value = loss(embeddings.requires_grad_(), labels)
#     value.backward()
#     for part, slope in zip(images.split(size), embeddings.grad.split(size)):
#         net(part).backward(slope)
#     return value
# ```
#
# The usual way, a loss of each part and their mean, is another loss: no pair crosses the parts. (`fit` does what you wrote
# with `micro_batch=`; see L. Gao, Y. Zhang, J. Han, J. Callan, *Scaling Deep Contrastive Learning Batch Size under Memory
# Limited Setup*, RepL4NLP 2021.)
#
# </details>

# %% [markdown]
# **Exercise 8.4 · your own photographs** · open · an hour. Take a folder of yours, or make one: thirty objects at home, five
# photographs each. (1) What will be asked later, and so which split? (2) Measure the frozen features first. (3) Train the
# head alone, then all of it, each chosen with `--validation`. (4) Search with ten new photographs, three of them of things
# that are not in the folder. Where would you put the limit of 8.7? Write down what you expected before each step.

# %% [markdown]
# ## What to take away
#
# - A score belongs to a protocol. Rows that share none are not compared, they are listed.
# - A gain within one frame travels better than a score.
# - What will be asked later decides the split, and the split decides the number.
# - NMI with many small classes is mostly chance: read it from its floor.
# - In use, a search also has to say "I do not know"; no Recall@K asks for that.
#
# ## Five questions
#
# 1. Two papers report Recall@1 on CUB, 60.1 and 71.4. What do you look up before you say which method is better?
# 2. Why may a run on Cars196 in 128 pixels stand beside another one of ours, and not beside a paper's?
# 3. Your shop sells 500 products, and new photographs of them arrive daily. Which split do you measure with?
# 4. Recall@1 is 99 percent in 8.7, and the search is useless to a customer. How can both be true?
# 5. The machine has room for 32 images with their graph, and the loss wants 256. Which losses care?
#
# ## References
#
# - Q. Qian and others. *SoftTriple Loss: Deep Metric Learning Without Triplet Sampling*. ICCV 2019, arXiv 1909.05235.
# - T.-T. Do and others. *A Theoretically Sound Upper Bound on the Triplet Loss for Improving the Efficiency of Deep Distance
#   Metric Learning*. CVPR 2019, arXiv 1904.08720.
# - I. Fehérvári, A. Ravichandran, S. Appalaraju. *Unbiased Evaluation of Deep Metric Learning Algorithms*. 2019, arXiv
#   1911.12528.
#
# **Next**: [09 · Seeing clusters](09_seeing_clusters.ipynb).
