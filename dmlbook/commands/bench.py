"""Measures speed and memory of losses, retrieval, drawing and the whole of training on this machine."""

from __future__ import annotations

import statistics
import time
from argparse import ArgumentParser, Namespace

from dmlbook import nets, records
from dmlbook._checks import check_number
from dmlbook.commands import common, throughput
from dmlbook.commands.contests import CONTESTS, Contest
from dmlbook.seeding import SEED

ABOUT = """\
Every contest is run side by side in one process, its contestants taking turns, and printed as the median time and the
ratio to ours. Ratios travel between machines; times do not. DMLBOOK_MODE=smoke runs tiny sizes to see that it works.

throughput is the whole of training, from stored bytes to a moved weight, against the same network stepping on one batch
of random numbers that lies where it is wanted: images a second, and what share of it is left (85 % is the aim).

examples
  python -m dmlbook bench                all of it, about six minutes on two cores
  python -m dmlbook bench regularizer    one contest
  python -m dmlbook bench throughput --net resnet50 --size 224 --batch-size 128 --device cuda
"""
NAMES = (*CONTESTS, "throughput")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("contest", nargs="*", metavar="CONTEST", help=f"which: {', '.join(NAMES)} (default: all)")
    parser.add_argument("--repeat", type=int, default=5, help="how often each contestant runs (default: 5)")
    parser.add_argument("--record", metavar="NAME", help="write the times to data/results/NAME.json")
    group = parser.add_argument_group("throughput")
    group.add_argument("--net", type=common.word(*nets.NAMES), choices=nets.NAMES, default="small", help="backbone")
    group.add_argument("--size", type=common.integer, help="side in pixels that the network sees (default: 64)")
    group.add_argument("--batch-size", type=common.integer, help="images a step (default: 32)")
    group.add_argument("--steps", type=common.integer, help="steps that are timed at a time (default: 8)")
    group.add_argument("--device", help="cpu, cuda or mps (default: the best that is there)")
    group.add_argument("--compile", action="store_true", help="by torch.compile, all of them")


def run(options: Namespace) -> int:
    unknown = [name for name in options.contest if name not in NAMES]
    if unknown:
        raise ValueError(f"bench: CONTEST must be one of {', '.join(NAMES)}; got {unknown[0]}. Choose one of them.")
    check_number(low=1, integer=True, **{"--repeat": options.repeat})
    common.check_record(options.record)
    names, figures = options.contest or NAMES, {}
    sizes = throughput.sizes_of(options).described() if "throughput" in names else None
    for name in names:
        figures |= throughput.measure(options) if name == "throughput" else _contest(name, options.repeat)
    if options.record:
        configuration = {"repeat": options.repeat, "statistic": "median of wall-clock seconds"}
        configuration |= {} if sizes is None else {"throughput": sizes}
        record = records.Record(options.record, "times of python -m dmlbook bench", configuration)
        record.add(SEED, figures, seconds=sum(figures.values()))
        print(f"recorded in {record.save()}")
    return 0


def _contest(name: str, repeat: int) -> dict[str, float]:
    title, contest = CONTESTS[name]()
    print(f"{title}")
    if not contest:
        return {}
    times = race(contest, repeat)
    ours = next(iter(times.values()))
    for contestant, seconds in times.items():
        print(f"  {contestant:44} {1000 * seconds:10.2f} ms   {seconds / ours:7.2f} x")
    if name == "cost":
        from dmlbook.book.cost import growth_lines

        for line in growth_lines(times):
            print(f"  {line}")
    return {f"{name}: {contestant}": seconds for contestant, seconds in times.items()}


def race(contest: Contest, repeat: int) -> dict[str, float]:
    """Median seconds of each contestant; they take turns, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in contest}
    for turn in range(repeat + 1):
        for name, call in contest.items():
            start = time.perf_counter()
            call()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}
