"""How runs learned: training loss and Recall@1 by epoch, seeds faint, their mean strong."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from dmlbook._checks import bad_input
from dmlbook._files import whole
from dmlbook.commands.run_rows import block
from dmlbook.datasets import protocols
from dmlbook.use.run_list import ListedRun

PANELS = {"loss": "training loss", "recall_at_1": "R@1 on {held}, percent"}
FORMATS = (".png", ".svg")
MOST = 12
"""Runs in one figure: more lines are not told apart."""


def check_plot(path: Path) -> None:
    """Whether a figure can be drawn at all: asked before the work.

    Raises:
        ValueError: The name ends otherwise, or matplotlib is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        raise bad_input("--plot", f"end with {' or '.join(FORMATS)}", str(path), "Name it curves.png, for one.")
    try:
        import matplotlib.pyplot  # noqa: F401
    except ImportError as error:
        remedy = 'Install it: pip install -e ".[book]". --csv needs nothing.'
        raise bad_input("--plot", "be called where matplotlib is installed", error, remedy) from error


def draw(runs: Sequence[ListedRun], path: Path) -> str:
    """Draw all runs of which an epoch has ended, and write the figure; returns in words what it shows.

    Args:
        runs: Those of the table.
        path: Ends with ``.png`` or ``.svg``.

    Raises:
        ValueError: No epoch has ended, or there are more runs than ``MOST``.
    """
    import matplotlib.pyplot as plt

    from dmlbook.book import use_style

    begun = [run for run in runs if any(seed.history for seed in run.seeds)]
    if not begun or len(begun) > MOST:
        remedy = "Name some of their folders." if begun else "Train one for an epoch or more."
        raise bad_input("--plot", f"have 1 to {MOST} runs with a finished epoch to draw", len(begun), remedy)
    with plt.rc_context():  # whoever calls this keeps a style of their own
        use_style()
        figure, alt = curve_figure(begun)
        picture = io.BytesIO()
        kind = path.suffix.lower()[1:]
        metadata = {"Software": None} if kind == "png" else {"Date": None}
        figure.savefig(picture, format=kind, dpi=200, metadata=metadata)
        plt.close(figure)
    with whole(path) as unfinished:
        unfinished.write_bytes(picture.getvalue())
    return alt


def curve_figure(runs: Sequence[ListedRun]) -> tuple[object, str]:
    """The figure, and what it shows in words: a panel of the loss, and one of Recall@1 where it was watched.

    Args:
        runs: Each with an epoch that has ended, ``MOST`` at most.
    """
    import matplotlib.pyplot as plt

    drawn = {key: {run.name: found for run in runs if (found := _points(run, key))} for key in PANELS}
    drawn = {key: by_run for key, by_run in drawn.items() if by_run}
    figure, axes = plt.subplots(1, len(drawn), figsize=(4.8 * len(drawn), 3.6), squeeze=False)
    said, last = [], {}
    for ax, (key, by_run) in zip(axes[0], drawn.items(), strict=True):
        factor = 1 if key == "loss" else 100
        ends = curves(ax, by_run, places=[run.name for run in runs], factor=factor)
        label = PANELS[key].format(held=_held(runs))
        ax.set(xlabel="epoch", ylabel=label)
        told = ", ".join(f"{name} {value:.3g}" for name, value in ends.items())
        said.append(f"{label}, at the last epoch: {told}")
        last[key] = ends
    figure.suptitle(_title(runs, last.get("recall_at_1")), x=0.01, ha="left", fontsize=12)
    return figure, f"Lines by epoch, one a run: {'; '.join(said)}."


def curves(
    ax: object, by_run: Mapping[str, Sequence[Mapping[int, float]]], *, places: Sequence[str], factor: float = 1.0
) -> dict[str, float]:
    """Each seed faint, the mean of a run strong and named at its end; returns where the means end.

    Args:
        ax: Where to draw.
        by_run: For each run what each seed has by epoch. The mean is of the epochs that all its seeds have.
        places: All runs of the figure: a run looks the same in every panel.
        factor: By which the numbers are multiplied.
    """
    from matplotlib.ticker import MaxNLocator

    from dmlbook.book import line_style, name_ends
    from dmlbook.book.lines import WORDS

    ends, last = {}, 0
    for name, seeds in by_run.items():
        style = line_style(places.index(name))
        for seed in seeds if len(seeds) > 1 else []:
            values = [factor * value for value in seed.values()]
            ax.plot(list(seed), values, color=style["color"], alpha=0.25, linewidth=0.8)
        epochs = sorted(set.intersection(*(set(seed) for seed in seeds)))
        mean = [factor * sum(seed[epoch] for seed in seeds) / len(seeds) for epoch in epochs]
        marker = "o" if len(epochs) == 1 else None  # a line of one point is not seen
        ax.plot(epochs, mean, **style, linewidth=2, marker=marker)
        ends[name], last = mean[-1], max(last, epochs[-1])
    ax.set_xlim(right=last)
    ax.set_ylim(*ax.get_ylim())
    name_ends(ax, ends, colors=[WORDS[places.index(name) % len(WORDS)] for name in ends])
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ends


def _points(run: ListedRun, key: str) -> list[dict[int, float]]:
    """One dictionary a seed that has the number, by epoch; none where these seeds share no epoch."""
    seeds = [{int(epoch["epoch"]): epoch[key] for epoch in seed.history if key in epoch} for seed in run.seeds]
    seeds = [seed for seed in seeds if seed]
    return seeds if seeds and set.intersection(*(set(seed) for seed in seeds)) else []


def _held(runs: Sequence[ListedRun]) -> str:
    """What runs were watched on: a file of splits may name validation images of classes that train."""
    named = any((run.about.get("data") or {}).get("validation") == protocols.GIVEN for run in runs)
    return "validation images" if named else "held-out classes"


def _title(runs: Sequence[ListedRun], recall: Mapping[str, float] | None) -> str:
    """The finding, where numbers may be compared; ``recall`` in percent, at each run's last epoch."""
    if recall is None:
        unlike = len({run.about.get("loss") for run in runs}) > 1
        return f"Training loss by epoch{'; heights of different losses cannot be compared' * unlike}"
    if len({block(run) for run in runs if run.name in recall}) > 1:
        return "R@1 by epoch; heights of runs on different images cannot be compared"
    best = max(recall, key=lambda name: recall[name])
    return f"{best} ends with {'the highest, ' * (len(recall) > 1)}{recall[best]:.1f} R@1 on {_held(runs)}"
