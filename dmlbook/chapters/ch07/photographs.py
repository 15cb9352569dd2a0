"""The stored runs of chapter 07 on photographs of cars and birds: what four losses tried, and what they scored."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from dmlbook import records
from dmlbook._checks import bad_input, check_choice, checked

LOSSES = MappingProxyType(
    {
        "semi-hard triplets": "semihard",
        "centroid bound": "centroid_bound",
        "normalized SoftMax": "softmax",
        "SoftTriple": "softtriple",
    }
)
"""What each loss is called, and its name in the records."""
BOTH = MappingProxyType({"recall_at_1": "R@1", "map_at_r": "MAP@R"})
FROZEN, PCA = "frozen features, 1,280 dimensions", "the same, 64 dimensions by PCA"
FLOORS = MappingProxyType({FROZEN: "frozen", PCA: "frozen-pca64"})
"""What has to be beaten, and its name in the records."""
DIMENSIONS = "the first row has 1,280, all others 64."
SETS = ("cars", "cub")


@checked
def beside_floors(plan: str, **more: str) -> records.Comparison:
    """The floors of a data set and what the four losses of a plan scored on its test classes.

    Args:
        plan: ``"cars"``, ``"cub"``, or one of these with a dash and more, such as ``"cars-head"``.
        more: In what else the rows are not alike, as ``records.compare`` takes it.
    """
    data = plan.partition("-")[0]
    check_choice(choices=SETS, plan=data)
    rows = {title: f"{data}-{name}" for title, name in FLOORS.items()}
    return records.compare(
        rows | {title: f"{plan}-{name}" for title, name in LOSSES.items()}, unequal={"dimensions": DIMENSIONS, **more}
    )


@checked
def searched(plan: str) -> str:
    """All that the four losses tried on held-out training classes, below the frozen features' own score there.

    Args:
        plan: ``"cars"`` or ``"cub"``.

    Returns:
        Markdown.
    """
    check_choice(choices=SETS, plan=plan)
    floor = records.compare({"frozen features": f"choosing/{plan}-frozen"})
    trials = records.tried({title: f"choosing/{plan}-{name}" for title, name in LOSSES.items()}, BOTH)
    return f"{floor.table(BOTH)}\n\n{trials}"


@checked
def best_settings(plan: str) -> dict[str, Mapping[str, object]]:
    """The settings of each loss's best trial in the search of a plan."""
    check_choice(choices=SETS, plan=plan)
    return {t: records.load_search(f"choosing/{plan}-{name}").best().configuration for t, name in LOSSES.items()}


@checked
def clearly_above(table: records.Comparison, floor: str, key: str) -> list[str]:
    """The losses whose lead over a floor, seed by seed, is larger than the half-width of its interval."""
    leads = {title: records.interval(table.gains(title, floor, key)) for title in LOSSES}
    return [title for title, (mean, half) in leads.items() if mean > half]


@checked
def head_trials(title: str, epochs: int) -> dict[float, dict[str, float]]:
    """Of one loss, what heads on frozen features of cars scored after ``epochs``, by learning rate.

    Args:
        title: One of ``LOSSES``.
        epochs: 1, 3, 10 or 30.

    Returns:
        For each rate the final training loss and both measures on held-out classes, of one seed.
    """
    check_choice(choices=LOSSES, title=title)
    trials = records.load_search(f"choosing/cars-head-{LOSSES[title]}").trials
    lengths = sorted({trial.configuration["epochs"] for trial in trials})
    if epochs not in lengths:
        rule = f"be one of {', '.join(map(str, lengths))}"
        raise bad_input("epochs", rule, epochs, "No other length was tried.")
    return {
        trial.configuration["lr"]: {key: trial.values(key)[0] for key in ("final_loss", *BOTH)}
        for trial in trials
        if trial.configuration["epochs"] == epochs
    }
