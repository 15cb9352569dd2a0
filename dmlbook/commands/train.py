"""Trains an embedding, measures it on classes it never saw, and records the figures."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction, Namespace
from dataclasses import fields
from pathlib import Path

from dmlbook import losses, recipes
from dmlbook import settings as machine
from dmlbook._checks import bad_input
from dmlbook.commands import baseline, common, help_pages, mined, places, settled, shown, split_options
from dmlbook.commands.study import Begun, Study, write_about
from dmlbook.nets.own import is_own
from dmlbook.seeding import SEED
from dmlbook.training import Checkpoints, Place, TrainConfig, preflight
from dmlbook.training.cost import measured
from dmlbook.training.processes import first_process
from dmlbook.use import run_folders

ABOUT = """\
Training classes and test classes never share a class. Settings are chosen with --validation: a share of the *training*
classes is held out and measured instead of the test classes. First it is measured what the network is worth before any
training (frozen features, their PCA, the embedding as it starts); last, what training has added to that.

--split classes (default): unseen classes are measured. closed: all classes train, and a share of each one's images,
  held out, searches the others; folders train and test that share their classes are taken so. all: all images train and
  are measured, which says nothing about others. FILE.csv (path,split[,label]; splits train, validation, query, gallery,
  test) for --data folder: test images search one another; query images search gallery, or what trains without one;
  --validation file measures its validation images instead.

losses
  softtriple, softmax, proxy_nca, proxy_anchor, subcenter_arcface, hardtriple: learned centers; no images are paired, so
    batches are drawn as they come. softtriple has several centers a class (--loss-option centers_per_class=10).
  centroid_bound, triplet_center: distances to points of the classes, fixed or learned.
  triplet, semihard, lifted, npairs, clustering: pairs or triplets of a batch, which holds several images of a class.
  Start with softtriple or softmax. Which one suits your images: python -m dmlbook compare

a small folder of your own (a few hundred photographs, no GPU): train the last layer alone, which takes minutes
  python -m dmlbook train --data folder --root my_photos --loss softtriple --net mobilenet_v2 --weights imagenet \\
      --freeze-backbone --epochs 30 --milestones 20 --lr 0.003
  Then all of the network, if that is not enough: leave --freeze-backbone and --lr out, and add --size 128 for speed.

examples
  python -m dmlbook train --data birds --loss softtriple
  python -m dmlbook train --recipe cub-softtriple-64 --seeds 3 --record my-cub       (the paper's settings, all of them)
  python -m dmlbook train --recipe cub-modern-64 --data folder --root my_photos --epochs 20
  python -m dmlbook train --data cub --loss softtriple --weights imagenet --seeds 3 --record my-cub-softtriple
  python -m dmlbook train --data folder --root my_photos --loss semihard --net resnet18 --weights imagenet
  python -m dmlbook train --data cub --loss softtriple --loss-option tau=0.5 --validation 0.2   (choosing a setting)

Every run keeps a folder: runs/DATA-LOSS, or runs/RECORD, or --folder. There lie the settings (run.json), a line for
each epoch (history.csv) and the network (the last two checkpoints), one folder a seed. A run that was stopped goes on
where it was when the same command is given again. Seeds that the record already holds are not run again.
"""
LIST = "list"


FIRST = (
    "data", "root", "recipe", "loss", "net", "weights", "embedding_size", "epochs", "freeze_backbone", "validation",
    "record",
)  # fmt: skip
"""The options that ``--help`` shows; ``--help-all`` shows them all."""
ELSEWHERE = ("freeze_batch_norm", "freeze_backbone", "evaluate_every", "seed")
"""Settings of ``TrainConfig`` that stand beside what they belong to, and none."""


def add_arguments(parser: ArgumentParser) -> None:
    group = parser.add_argument_group("what to train")
    group.add_argument(
        "--recipe",
        type=common.word(*recipes.NAMES, LIST),
        metavar="NAME",
        help="everything below at once, such as cub-softtriple-64; further options change it one by one; "
        f"`--recipe {LIST}` lists them",
    )
    group.add_argument(
        "--loss", type=common.word(*losses.NAMES), metavar="NAME", help=f"{', '.join(losses.NAMES)}: see below"
    )
    group.add_argument(
        "--loss-option", type=common.pair, action="append", default=[], metavar="KEY=VALUE", help="such as scale=20"
    )
    mined.add_miner_arguments(group)
    group.add_argument(
        "--seeds", type=common.integer, default=1, help="how many runs, each with a seed of its own (default: 1)"
    )
    common.add_data_arguments(parser, required=False)
    of_net = common.add_net_arguments(parser)
    common.add_config_arguments(of_net, ["freeze_batch_norm", "freeze_backbone"])
    named = "the defaults named are those for photographs; birds and digits have their own"
    for title, names in shown.GROUPS.items():
        common.add_config_arguments(parser.add_argument_group(title, named), names)
    group = parser.add_argument_group("measuring")
    split_options.add_split_arguments(group)
    group.add_argument(
        "--validation",
        type=split_options.share,
        metavar="SHARE",
        help="measure this share of the training classes, after each epoch (closed: of images)",
    )
    common.add_config_arguments(group, ["evaluate_every"])
    group.add_argument(
        "--baseline", action=BooleanOptionalAction, default=True, help="measure the network before training, too"
    )
    group = parser.add_argument_group("where it runs")
    group.add_argument("--device", help="cpu, cuda or mps (default: the best that is there)")
    group.add_argument("--devices", type=common.integer, default=1, help="how many of them (default: 1)")
    group.add_argument(
        "--nodes", type=common.integer, default=1, help="how many machines, each with --devices of them (default: 1)"
    )
    grouped = {*ELSEWHERE, *(name for names in shown.GROUPS.values() for name in names)}
    common.add_config_arguments(group, [field.name for field in fields(TrainConfig) if field.name not in grouped])
    group = parser.add_argument_group("folder and record")
    group.add_argument("--folder", help="the runs' folder, one folder a seed in it (default: runs/DATA-LOSS)")
    common.add_record_arguments(group)
    parser.set_defaults(**dict.fromkeys(settled.UNSAID))  # so that what was said can be told from what was not
    help_pages.two_pages(parser, FIRST, "(--recipe NAME | --data DATA --loss LOSS) [--root FOLDER] [options]")


def run(options: Namespace) -> int:
    if options.recipe == LIST:
        print(shown.all_recipes())
        return 0
    options = settled.resolved(options)
    seeds = common.seeds(options.seeds)
    if options.evaluate_every is not None and options.validation is None:
        remedy = "Add --validation 0.2: test classes are measured once, after the last epoch."
        raise bad_input("--evaluate-every", "come with --validation", "it alone", remedy)
    common.check_record(options.record)
    settled.config(options, SEED)
    settled.check_loss(options)
    mined.check(options)
    place = Place(options.device, options.devices, options.nodes)
    preflight.check_device(options.device or machine.device(), place.devices)
    if first_process():
        print(shown.configuration(options), flush=True)
    study = Study(options)
    record, folder = study.record(options, options.record), None
    for seed in seeds:
        if seed in record.seeds:
            if first_process():
                print(f"seed {seed}: is in record {record.name} already; remove that file to run it again")
            continue
        begun = study.begun(options, seed)
        folder = folder or _place(options, study, begun)
        try:
            with measured(options.device or machine.device()) as cost:
                figures = study.figures(options, seed, folder / f"seed-{seed}", run=begun)
        except common.Stopped:
            if first_process():
                raise
            return 0  # the first one says it; a status would end what it has still to write
        if figures is None:
            continue
        record.add(seed, figures, **cost)
        print(f"seed {seed}: {common.percents(figures)}")
        if options.baseline:
            print(baseline.gain(run_folders.read_about(folder / f"seed-{seed}")["before"], figures))
        if options.record:
            print(f"recorded in {record.save()}")
    folder = folder or places.place(options, study.asked(options, SEED))
    if first_process() and run_folders.find(folder) != folder:
        print(f"the network is in {folder}. What next:")
        named = f"--run {folder}" + " --trust-code" * is_own(options.net or "")
        print(f"  python -m dmlbook map {named}         (a page of pictures, neighbors and centers)")
        print(f"  python -m dmlbook evaluate {named}    (measures it again)")
        print(f"  python -m dmlbook search {named} --gallery PHOTOS --query NEW.jpg    (finds the nearest)")
    return 0


def _place(options: Namespace, study: Study, begun: Begun) -> Path:
    """The runs' folder. What is asked for stands in it from now on, so that another command chooses another one."""
    asked = study.asked(options, begun.config.seed)
    while True:
        folder = places.place(options, asked)
        run = folder / f"seed-{begun.config.seed}"
        if not first_process():
            return folder
        preflight.check_folder(run)
        with Checkpoints(run).held():
            if places.place(options, asked) == folder:  # else another command came first
                write_about(run, study.said(options, begun.config, run))
                return folder
