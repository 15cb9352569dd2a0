"""Plans: what is compared, how settings are searched, and how long; read, completed and checked before any work."""

from __future__ import annotations

import tomllib
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module, resources
from pathlib import Path
from types import ModuleType

from dmlbook import losses
from dmlbook._checks import bad_input, check_choice, check_number
from dmlbook.commands import settled
from dmlbook.commands.points import check_effort, draw_points
from dmlbook.records import Range, Values, read_space
from dmlbook.seeding import SEED

COMMANDS = ("train", "kinds")
TABLES = ("options", "vary", "search", "trial", "final", "methods")
WORDS = ("command", "record", "by", "methods_of", "leave_out", "partial")
OF_A_METHOD = ("like", "vary")  # beside the options of its command


class _Parser(ArgumentParser):
    def error(self, message: str) -> None:
        raise bad_input("plan", "hold options of its command", message, "See the command's --help.")


@dataclass(frozen=True)
class Plan:
    """What is compared, and how it is searched.

    Attributes:
        name: Records are called ``name-method``, searches ``choosing/name-method``.
        module: The command that makes one run.
        by: The figure that decides in the search.
        options: Of all runs.
        vary: What is tried of each setting, by every method.
        trial: Further options while searching.
        final: Further options of the last measurement.
        methods: The rivals' own options; ``like`` names another one, whose settings a method takes, and ``vary`` is
            what this method alone tries.
        trials: How many points a halving search draws for each method; 0: the whole grid is tried.
        rungs: The epochs after which a halving search measures.
        partial: Whether its records are still being made.
    """

    name: str
    module: ModuleType
    by: str
    options: dict
    vary: dict[str, Values]
    trial: dict
    final: dict
    methods: dict[str, dict]
    trials: int = 0
    rungs: tuple[int, ...] = ()
    partial: bool = False

    def parsed(self, method: str, stage: Mapping[str, object], chosen: Mapping[str, object]) -> Namespace:
        """The options of one run; the later ones count, and what is chosen of the loss joins its fixed options.

        Raises:
            ValueError: The command has no such option, or the value is none for it.
        """
        given = {**self.options, **stage, **self.own(method)}
        for name, value in chosen.items():
            if name.startswith("loss_option."):
                given["loss_option"] = {**given.get("loss_option", {}), name.partition(".")[2]: value}
            else:
                given[name] = value
        parser = _Parser()
        self.module.add_arguments(parser)
        return settled.resolved(parser.parse_args(command_line(given)))

    def own(self, method: str) -> dict:
        """The options that a method fixes for itself."""
        return {key: value for key, value in self.methods[method].items() if key not in OF_A_METHOD}

    def searcher(self, method: str) -> str:
        """The method whose settings this one takes: itself, where it says nothing else."""
        return self.methods[method].get("like", method)

    def space(self, method: str) -> dict[str, Values]:
        """What is tried of each setting: what all methods try, but for what this one fixes, and what it alone tries."""
        method = self.searcher(method)
        shared = {name: values for name, values in self.vary.items() if name not in flat(self.own(method))}
        return {**shared, **self.methods[method].get("vary", {})}

    def points(self, method: str) -> list[dict]:
        """The settings to be tried: every combination, or as many points of the space for each method."""
        if self.rungs:
            return draw_points(self.space(method), self.trials, self.searcher(method))
        from sklearn.model_selection import ParameterGrid

        return list(ParameterGrid(self.space(method)))


def read_plan(path: Path, more: Mapping[str, object] = {}) -> Plan:
    """The plan that a TOML file holds, with ``more`` options of all runs.

    Raises:
        ValueError: The file cannot be read or is no TOML, or something in it is missing, unknown or contradicts the
            rest.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise bad_input("plan", "be a file that can be read", f"{path}: {error.strerror}", "Check its path.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise bad_input("plan", "be TOML", f"{path.name}: {error}", "See `choose --help`.") from error
    return make_plan(content, path.stem, more)


def make_plan(content: Mapping[str, object], name: str, more: Mapping[str, object] = {}) -> Plan:
    """The plan that a file's content says, completed by the field where it asks for that.

    Args:
        content: Tables and words, as ``choose --help`` explains them.
        name: What its records are called, unless it says ``record``.
        more: Further options of all runs.

    Raises:
        ValueError: Something in it is missing, unknown or contradicts the rest.
    """
    file = f"{name}.toml"
    check_choice(choices=[*TABLES, *WORDS], **{f"{file}, {key!r}": key for key in content})
    content = {**content, "options": {**content.get("options", {}), **more}}
    if "methods_of" in content:
        content = with_field(content)
    elif "leave_out" in content:
        raise bad_input("leave_out", "stand beside methods_of", file, 'Add methods_of = "field".')
    for key in ("command", "options", "methods", *([] if "search" in content else ["vary"])):
        if not content.get(key):
            raise bad_input("plan", f"hold {key!r}", file, "See `choose --help` for one that is whole.")
    check_choice(choices=COMMANDS, command=content["command"])
    trial, final, methods = content.get("trial", {}), content.get("final", {}), content["methods"]
    if trial.get("validation") is None or "validation" in {**content["options"], **final}:
        remedy = "[trial] validation = 0.2: a search looks at training data that the last measurement does not."
        raise bad_input("plan", "hold a share for validation in [trial] alone", file, remedy)
    methods = {m: own | ({"vary": read_space(own["vary"])} if "vary" in own else {}) for m, own in methods.items()}
    rivals = [other for other in methods if "like" not in methods[other]]
    for method, own in methods.items():
        check_choice(choices=rivals, **{f"methods.{method}.like": own.get("like", rivals[0] if rivals else None)})
    for stage in (trial, final):
        check_number(low=1, integer=True, seeds=stage.get("seeds", 1))
    module = import_module(f"dmlbook.commands.{content['command']}")
    plan = Plan(
        content.get("record", name), module, content.get("by", module.Study.BY), content["options"],
        read_space(content.get("vary", {})), trial, final, methods,
        content.get("search", {}).get("trials", 0), tuple(content.get("search", {}).get("rungs", ())),
        content.get("partial", False),
    )  # fmt: skip
    (_check_halving if "search" in content else _check_grid)(plan, content)
    return plan


def with_field(content: Mapping[str, object]) -> dict:
    """A plan's content with the rivals and ranges of ``field.toml``; what the plan itself says, wins.

    An option that the plan fixes for all or for a method is not searched there.

    Raises:
        ValueError: ``methods_of`` names another field, or ``leave_out`` no method of it.
    """
    check_choice(choices=["field"], methods_of=content["methods_of"])
    field, methods = read_field(), {}
    left_out, fixed = content.get("leave_out", []), flat(content["options"])
    check_choice(choices=list(field["methods"]), **{f"leave_out {name!r}": name for name in left_out})

    def searched(ranges: Mapping[str, object], *beside: Mapping[str, object]) -> dict:
        return {key: values for key, values in flat(ranges).items() if not any(key in names for names in beside)}

    for name, base in field["methods"].items():
        own = content.get("methods", {}).get(name, {})
        ranges = searched(base.get("vary", {}), fixed, flat(own)) | flat(own.get("vary", {}))
        options = {**base.get("loss_option", {}), **own.get("loss_option", {})}
        merged = {**base, **own, **({"loss_option": options} if options else {})}
        methods[name] = {**merged, "vary": ranges}
        if "like" in own:
            del methods[name]["vary"]
    methods = {name: own for name, own in methods.items() if name not in left_out}
    vary = searched(field["vary"], fixed) | flat(content.get("vary", {}))
    return {**content, "vary": vary, "methods": {**methods, **_others(content, methods, left_out)}}


def read_field() -> dict:
    """The rivals of the package, each with the ranges that are searched for it, as ``field.toml`` says them."""
    return tomllib.loads(resources.files("dmlbook.commands").joinpath("field.toml").read_text(encoding="utf-8"))


def flat(options: Mapping[str, object]) -> dict:
    """Options by name, those of the loss by names such as ``loss_option.scale``.

    Example:
        >>> flat({"lr": 0.1, "loss_option": {"scale": 20}})
        {'lr': 0.1, 'loss_option.scale': 20}
    """
    inner = options.get("loss_option", {})
    outer = {key: value for key, value in options.items() if key != "loss_option"}
    return {**outer, **{f"loss_option.{key}": value for key, value in inner.items()}}


def command_line(options: Mapping[str, object]) -> list[str]:
    """Options as they are typed: ``{"lr": 1e-3, "flip": False}`` is ``--lr 0.001 --no-flip``."""
    typed = []
    for key, value in options.items():
        flag = f"--{key.replace('_', '-')}"
        if isinstance(value, bool):
            if key in ("standardize", "relatives", "same_padding"):  # these are there or not
                typed += [flag] if value else []
            else:
                typed.append(flag if value else f"--no-{flag[2:]}")
        elif isinstance(value, Mapping):
            typed += [word for name, each in value.items() for word in (flag, f"{name}={each}")]
        elif isinstance(value, list):
            typed += [flag, *map(str, value)]
        else:
            typed += [flag, str(value)]
    return typed


def _others(content: Mapping[str, object], methods: Mapping[str, dict], left_out: list[str]) -> dict:
    """The plan's methods that the field does not have."""
    own = content.get("methods", {})
    for name in left_out:
        if name in own:
            raise bad_input("leave_out", "name methods that the plan says nothing of", repr(name), "Do one of them.")
    return {name: given for name, given in own.items() if name not in methods}


def _check_grid(plan: Plan, content: Mapping[str, object]) -> None:
    """One grid of lists, for all alike."""
    for method, own in plan.methods.items():
        if "vary" in own:
            remedy = "Add [search] with trials and rungs: a grid is the same for all."
            raise bad_input(f"methods.{method}.vary", "stand in a plan with [search]", "a grid", remedy)
    for name, values in plan.vary.items():
        if isinstance(values, Range):
            remedy = "Write [1e-4, 1e-3], or add [search] with trials and rungs."
            raise bad_input(f"vary.{name}", "be a list of values to try", repr(values.to_dict()), remedy)
        if clash := [where for where in plan.methods if name in flat(plan.own(where))]:
            remedy = "A setting is either searched or a method's own."
            raise bad_input(f"vary.{name}", "be nobody's own option", ", ".join(clash), remedy)


def _check_halving(plan: Plan, content: Mapping[str, object]) -> None:
    """Points and rungs that can be run, of settings that each method has."""
    given = content["search"]
    check_choice(choices=("trials", "rungs"), **{f"search, {key!r}": key for key in given})
    check_choice(choices=["train"], **{"command of a plan with [search]": content["command"]})
    check_effort("search.", plan.trials, plan.rungs, "Write rungs = [1, 2, 4].")
    for table in (
        plan.options,
        plan.trial,
        plan.final,
        plan.vary,
        *plan.methods.values(),
        *map(plan.space, plan.methods),
    ):
        if "epochs" in table:
            raise bad_input("epochs", "be left to the rungs of [search]", repr(table["epochs"]), "Leave it out.")
    for method, own in plan.methods.items():
        clash = [name for name in own.get("vary", {}) if name in flat(plan.own(method)) or "like" in own]
        if clash:
            remedy = "A setting is either searched, or a method's own, or its rival's."
            raise bad_input(f"methods.{method}.vary", "search what nothing else fixes", ", ".join(clash), remedy)
        for point in plan.points(method):
            _check_point(plan, method, point)


def _check_point(plan: Plan, method: str, point: Mapping[str, object]) -> None:
    """The loss and the configuration take it, and the rates are constant over the rungs."""
    for stage in (plan.trial, plan.final):
        options = plan.parsed(method, stage, point)
        config = settled.config(options, SEED)
        if config.schedule == "cosine":
            remedy = "A trial that goes on must not know how long it will be: try a grid, without [search]."
            raise bad_input("schedule", "be step in a plan with [search]", "'cosine'", remedy)
        if early := [epoch for epoch in config.milestones if epoch <= plan.rungs[-1]]:
            remedy = "A trial that goes on must not know how long it will be: milestones = [99], rates are constant."
            raise bad_input("milestones", f"lie beyond the last rung, {plan.rungs[-1]}", f"{early[0]}", remedy)
    losses.make(options.loss, num_classes=2, embedding_size=max(1, options.embedding_size), **dict(options.loss_option))
