"""What the papers report, what our records hold, and in what a number of theirs differs from one of ours."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from dmlbook._checks import bad_input, check_lengths, check_number, checked, finite, one_of
from dmlbook._types import Bool, Float, Tensor
from dmlbook.records import Record, interval, load, percent

SETS = {"cub": "CUB-200-2011", "cars": "Cars196", "sop": "Stanford Online Products"}
UNKNOWN = "?"
"""What stands where a paper does not say, or could not be read."""
READ = {"table": "", "quoted": "as others print it", "logs": "read in its code's logs and plots"}
"""Where a number was read: in the paper's own table, in another's, or in what its code left."""
TITLES = {
    "softtriple": "SoftTriple", "softmax": "normalized SoftMax", "centroid_bound": "centroid bound",
    "semihard": "semi-hard triplets",
}  # fmt: skip
"""What the chapter calls the losses that it trains."""


@dataclass(frozen=True)
class Reported:
    """A row of a published table, in percent.

    Attributes:
        paper: Whose table.
        by: One of ``READ``.
        data: One of ``SETS``.
        method: As the paper calls it.
        loss: As ``losses.NAMES`` has it.
        recall: Recall@K for each K in ``ks``, percent.
        ks: Numbers of neighbors.
        nmi: Percent; None: not reported.
        dimensions: Of an embedding; None: not known.
        network: The backbone; None: not known.
        side: Of the square that the network sees, in pixels; None: not known.
        epochs: Of training; None: not known.
        runs: Whose mean it is; None: not known.
        note: What else a reader has to know.
    """

    paper: str
    by: str
    data: str
    method: str
    loss: str
    recall: tuple[float, ...]
    ks: tuple[int, ...]
    nmi: float | None = None
    dimensions: int | None = None
    network: str | None = None
    side: int | None = None
    epochs: int | None = None
    runs: int | None = None
    note: str = ""


@cache
def _all() -> tuple[Reported, ...]:
    text = resources.files(__package__).joinpath("papers.toml").read_text(encoding="utf-8")
    found = []
    for table in tomllib.loads(text)["reported"]:
        shared = {key: tuple(value) if key == "ks" else value for key, value in table.items() if key != "rows"}
        found += [Reported(**shared, **{**row, "recall": tuple(row["recall"])}) for row in table["rows"]]
    return tuple(found)


@checked(data=one_of(*SETS))
def reported(data: str, *, dimensions: int | None = None) -> tuple[Reported, ...]:
    """The published rows of one image set, paper by paper.

    Args:
        data: One of ``SETS``.
        dimensions: Only rows of so many; None: all of them.

    Example:
        >>> [(row.method, row.recall[0]) for row in reported("cub", dimensions=512)]
        [('SoftTriple', 65.4)]
    """
    if dimensions is not None:
        check_number(low=1, integer=True, dimensions=dimensions)
    return tuple(row for row in _all() if row.data == data and dimensions in (None, row.dimensions))


@checked
def published_table(rows: Sequence[Reported]) -> str:
    """Published rows as Markdown, percent, ``?`` where nothing is known; below, what else a reader has to know.

    Recall@K has a column for each K that a row has, which is empty where another has none.

    Raises:
        ValueError: There are none, or they are not of one image set.
    """
    if len({row.data for row in rows}) != 1:
        got = f"{len(rows)} of {len({row.data for row in rows})} sets"
        raise bad_input("rows", "be of one image set", got, "Make a table of each.")
    ks = sorted({k for row in rows for k in row.ks})
    head = ["paper", "method", "network", "D", *(f"R@{k}" for k in ks), "NMI"]
    lines = [f"| {' | '.join(head)} |", "|---|---|---|" + "---:|" * (len(head) - 3)]
    for row in rows:
        recall = {k: f"{value:.1f}" for k, value in zip(row.ks, row.recall, strict=True)}
        cells = [f"{row.paper}{f', {row.by}' if READ[row.by] else ''}", row.method, row.network or UNKNOWN]
        cells += [str(row.dimensions or UNKNOWN), *(recall.get(k, "") for k in ks)]
        lines.append(f"| {' | '.join([*cells, UNKNOWN if row.nmi is None else f'{row.nmi:.1f}'])} |")
    words = dict.fromkeys(row.by for row in rows if READ[row.by])
    notes = [f"*{word}: {READ[word]}.*" for word in words]
    notes += dict.fromkeys(f"*{row.paper}, D = {row.dimensions or UNKNOWN}: {row.note}.*" for row in rows if row.note)
    return "\n\n".join(["\n".join(lines), "<br>".join(notes)]) if notes else "\n".join(lines)


@checked
def unlike(row: Reported, record: Record) -> dict[str, tuple[str, str]]:
    """In what a published row and a record of ours differ, beside the score: by word, theirs and ours.

    Args:
        row: Of a paper.
        record: A trained run's.

    Returns:
        Of image set, loss, network, dimensions, side of what the network sees, epochs and runs those that are not the
        same, or not known.
    """
    ours = record.configuration
    pairs = {
        "images": (SETS[row.data], SETS.get(ours["data"], ours["data"])),
        "loss": (row.loss, ours["loss"]),
        "network": (row.network, _network(ours["network"])),
        "dimensions": (row.dimensions, ours["network"]["embedding_size"]),
        "side in pixels": (row.side, ours["training"].get("image_size") or ours["size"]),
        "epochs": (row.epochs, ours["training"]["epochs"]),
        "runs": (row.runs, len(record.runs)),
    }
    pairs = {word: (str(UNKNOWN if theirs is None else theirs), str(mine)) for word, (theirs, mine) in pairs.items()}
    return {word: pair for word, pair in pairs.items() if pair[0] != pair[1]}


@checked
def beside(rows: Sequence[Reported], ours: Mapping[str, Record]) -> str:
    """Each loss once: what is published of it, by paper and dimensions, and what our record holds. Markdown, Recall@1.

    Args:
        rows: Published ones of one image set.
        ours: A record of each loss, by the loss's name.
    """
    papers = list(dict.fromkeys((row.paper, row.dimensions) for row in rows))
    known = list(dict.fromkeys([*ours, *(row.loss for row in rows)]))
    heads = [f"{paper}, D = {size or UNKNOWN}" for paper, size in papers]
    lines = [f"| loss | {' | '.join(heads)} | ours, R@1 | ours, MAP@R |", "|---|" + "---:|" * (len(papers) + 2)]
    for loss in known:
        of_loss = {(row.paper, row.dimensions): f"{row.recall[0]:.1f}" for row in rows if row.loss == loss}
        cells = [of_loss.get(paper, "") for paper in papers]
        record = ours.get(loss)
        cells += ["", ""] if record is None else [percent(record.values(k)) for k in ("recall_at_1", "map_at_r")]
        lines.append(f"| {TITLES.get(loss, loss)} | {' | '.join(cells)} |")
    return "\n".join(lines)


@checked(threshold=finite)
def answers(
    distances: Float[Tensor, " Q"], right: Bool[Tensor, " Q"], known: Bool[Tensor, " Q"], *, threshold: float
) -> dict[str, float]:
    """What a search is worth that answers only where the nearest image is near enough.

    Args:
        distances: Of each query to its nearest image.
        right: Whether that image is of the query's class.
        known: Whether the gallery holds the query's class at all; where not, every answer is wrong.
        threshold: A query is answered whose distance is at most that.

    Returns:
        ``answered``: share of the known queries that get an answer (NaN: none is known), ``correct``: share of their
        answers that are right (NaN: there are none), ``fooled``: share of the unknown queries that get an answer (NaN:
        there are none).

    Raises:
        ValueError: The three are not of one length, a distance is NaN, or a query is right whose class the gallery
            lacks.

    Example:
        >>> distances, right = torch.tensor([0.1, 0.4, 0.3]), torch.tensor([True, False, False])
        >>> answers(distances, right, torch.tensor([True, True, False]), threshold=0.35)
        {'answered': 0.5, 'correct': 1.0, 'fooled': 1.0}
    """
    check_lengths(distances=distances, right=right, known=known)
    if lost := int(distances.isnan().sum()):
        got = f"{lost} of {len(distances)} that are NaN"
        raise bad_input("distances", "be numbers", got, "Look where they come from: a diverged network.")
    if bool((right & ~known).any()):
        raise bad_input("right", "be False where known is", "True", "What the gallery lacks cannot be found.")
    given = distances <= threshold
    return {
        "answered": float(given[known].double().mean()),
        "correct": float(right[known & given].double().mean()),
        "fooled": float(given[~known].double().mean()),
    }


@checked
def cost_table(rows: Mapping[str, Record | str]) -> str:
    """What runs took, as Markdown: epochs, minutes a run, images of training a second, memory, network and machine.

    Images a second are those of all epochs over the whole of a run, so that measuring it counts as time, too. Memory is
    the most that a run held, of the process, and of the GPU where there is one; ``?`` in records that do not say.

    Args:
        rows: What each is called, and its record, or the name of a stored one, of trained runs.

    Raises:
        ValueError: A record is of no trained run, or holds none.
    """
    head = "| | epochs | minutes a run | images a second | memory, GB | pictures | network | machine |"
    lines = [head, "|---|---:|---:|---:|---:|---:|---|---|"]
    for title, given in rows.items():
        record = load(given) if isinstance(given, str) else given
        ours = record.configuration
        if "training" not in ours:
            raise bad_input("rows", "be records of trained runs", record.name, "Leave it out.")
        if not record.runs:
            raise bad_input("rows", "hold a run each", f"{record.name} without one", "Train it, or leave it out.")
        seconds = sum(run["seconds"] for run in record.runs) / len(record.runs)
        seen = ours["training_images"] * ours["training"]["epochs"]
        made = record.provenance
        machine = (
            f"{made.get('device', UNKNOWN)}, {made.get('machine', UNKNOWN)}, threads: {made.get('threads', UNKNOWN)}"
        )
        numbers = [f"{ours['training']['epochs']}", f"{seconds / 60:.1f}", f"{seen / seconds:.0f}", _memory(record)]
        cells = [*numbers, f"{ours['size']} px", _network(ours["network"]), machine]
        lines.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(lines)


@checked
def tools_table(sides: Record | str) -> str:
    """What came of several tools side by side, as Markdown: lines, CPU minutes, memory and scores, and seed by seed.

    Args:
        sides: A record of ``data/side_by_side/measure.py``, or the name of a stored one.

    Raises:
        ValueError: The record holds no runs, or other figures.
    """
    sides = load(sides) if isinstance(sides, str) else sides
    if not sides.runs or not all(": " in key for key in sides.runs[0]["figures"]):
        raise bad_input("sides", "be a record of tools side by side", sides.name, "Run data/side_by_side/measure.py.")
    tools = dict.fromkeys(key.partition(": ")[0] for key in sides.runs[0]["figures"])
    lines = ["| | lines | CPU minutes | peak, GB | R@1 | MAP@R | CPU minutes and R@1, seed by seed |"]
    lines.append("|---|" + "---:|" * 5 + "---|")
    for tool in tools:
        minutes, peaks, first, second = (
            sides.values(f"{tool}: {key}") for key in ("cpu_minutes", "peak_gb", "recall_at_1", "map_at_r")
        )
        (mean, half), (peak, more) = interval(minutes), interval(peaks)
        seeds = ", ".join(f"{m:.1f} and {100 * s:.1f}" for m, s in zip(minutes, first, strict=True))
        cells = [f"{sides.values(f'{tool}: lines')[0]:.0f}", f"{mean:.1f} ± {half:.1f}", f"{peak:.2f} ± {more:.2f}"]
        lines.append(f"| {tool} | {' | '.join([*cells, percent(first), percent(second), seeds])} |")
    return "\n".join(lines)


def _memory(record: Record) -> str:
    most = {key: max(run.get(key, 0) for run in record.runs) for key in ("peak_gb", "gpu_peak_gb")}
    words = [f"{most['peak_gb']:.1f}" if most["peak_gb"] else UNKNOWN]
    return ", GPU ".join(words + [f"{most['gpu_peak_gb']:.1f}"] * bool(most["gpu_peak_gb"]))


def _network(network: Mapping[str, object]) -> str:
    width = "" if network["width_mult"] == 1 else f", width {network['width_mult']:g}"
    return f"{network['name']}{width}"
