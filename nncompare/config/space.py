"""The search space of ``tune:`` against the rest of the file, and the experiment of one point in
it.

Every bound and every choice must give a valid experiment; what is wrong is said at the place in
``tune:`` where it was written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nncompare.config.located import Located, Origin, Part, from_python
from nncompare.config.overrides import Override, OverrideError, apply
from nncompare.errors import ConfigError, Problem
from nncompare.spec.experiment import Experiment
from nncompare.spec.tune import BY_EPOCH, Dimension, NoPruner, Tune

Check = Callable[[Located], list[Problem]]
"""All problems of a whole file."""

SEARCHABLE = ("data", "model", "train")
"""The top keys whose values a search may change."""
LARGEST_GRID = 100_000
_OF_TASK = {
    "val_accuracy": ("classification", "binary"),
    "train_accuracy": ("classification", "binary"),
    "val_mae": ("regression",),
    "train_mae": ("regression",),
    "val_r2": ("regression",),
    "train_r2": ("regression",),
}


def label(choice: Any) -> str | int | float | bool | None:
    """A choice as Optuna stores it: plain values as they are, lists and mappings as JSON."""
    if choice is None or isinstance(choice, (str, int, float, bool)):
        return choice
    return json.dumps(choice, default=list)


def values(parameter: Dimension) -> list[Any] | None:
    """Every value in order, lists and mappings as they are written; None if they cannot be
    counted.
    """
    if parameter.choices is not None:
        return list(parameter.choices)
    (low, high), step = parameter.bounds, parameter.step
    if step is None and (parameter.log or not parameter.whole):
        return None
    count = math.floor((high - low) / (step or 1) + 1e-9) + 1
    # the last one is the bound itself, free of rounding
    return [high if k == count - 1 else low + k * (step or 1) for k in range(count)]


def settings(tune: Tune, params: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted path -> value as the file would hold it, from Optuna's parameters; outer paths
    first.
    """
    found = {}
    for path in sorted(
        params, key=lambda name: (name.count("."), list(tune.parameters).index(name))
    ):
        value, choices = params[path], tune.parameters[path].choices
        if choices is not None and isinstance(value, str):
            value = next(choice for choice in choices if label(choice) == value)
        found[path] = value
    return found


def problems(root: Located, experiment: Experiment, check: Check) -> list[Problem]:
    """What is wrong with ``tune:`` in a file that is valid otherwise.

    Args:
        root: the file with its overrides.
        experiment: what it gives.
        check: finds the problems of a changed file, without its ``tune:``.
    """
    tune, section = experiment.tune, root.child("tune")
    if tune is None or section is None:
        return []
    found = [*_goals(experiment, tune, section), *_pruner(tune, section)]
    shapes = [problem for name in tune.parameters for problem in _form(tune, name, section)]
    found += shapes
    if not shapes:
        found += _sampler(tune, section)
    bare = replace(
        root, value={key: node for key, node in root.value.items() if key not in ("tune", "sweep")}
    )
    wrong = {problem.path for problem in shapes}
    for name in tune.parameters:
        if not any(path.startswith(f"tune.parameters.{name}") for path in wrong):
            found += _candidates(tune, name, section, bare, check)
    return found


def _at(section: Located, *path: Part) -> tuple[Origin, tuple[Part, ...]]:
    """Where to point for a place below ``tune:``, or for the nearest place above it."""
    node, depth = section.find(path)
    # of a parameter its path
    whole = depth == len(path) and not (len(path) == 2 and path[0] == "parameters")
    return node.place if whole else (node.key or node.origin), ("tune", *path)


def _problem(section: Located, path: Sequence[Part], message: str) -> Problem:
    origin, full = _at(section, *path)
    return origin.problem(full, message)


def _goals(experiment: Experiment, tune: Tune, section: Located) -> Iterator[Problem]:
    listed = section.child("metric")
    names = [goal.name for goal in tune.metric]
    for index, goal in enumerate(tune.metric):
        path: list[Part] = (
            ["metric", index] if listed is not None and listed.is_list else ["metric"]
        )
        _, depth = section.find([*path, "name"])
        path += ["name"] if depth == len(path) + 1 else []
        allowed = _OF_TASK.get(goal.name)
        if allowed is not None and experiment.task not in allowed:
            have = [
                "val_loss",
                *(name for name, tasks in _OF_TASK.items() if experiment.task in tasks),
            ]
            message = f"task {experiment.task} has no {goal.name}. It has: {', '.join(have)}"
            yield _problem(section, path, message)
        if names.index(goal.name) < index:
            yield _problem(
                section, path, f"{goal.name} stands twice; each metric can be a goal once"
            )


def _pruner(tune: Tune, section: Located) -> Iterator[Problem]:
    if isinstance(tune.pruner, NoPruner):
        return
    if len(tune.metric) > 1:
        yield _problem(
            section, ["pruner"], "pruning needs a single goal; with several write pruner: none"
        )
    elif tune.metric[0].name not in BY_EPOCH:
        message = (
            f"{tune.metric[0].name} is not known after every epoch, so no trial can be judged by"
            " it; write none"
        )
        yield _problem(
            section, ["pruner"], f"{message}, or take {' or '.join(BY_EPOCH)} as the metric"
        )


def _sampler(tune: Tune, section: Located) -> Iterator[Problem]:
    if tune.sampler == "grid":
        size = 1
        for name, parameter in tune.parameters.items():
            found = values(parameter)
            if found is None:
                message = "a grid cannot enumerate a continuous range; give it a step, or choices"
                yield _problem(section, ["parameters", name], message)
            else:
                size *= len(found)
        if size > LARGEST_GRID:
            message = (
                f"the grid has {size:,} points, more than {LARGEST_GRID:,}; use steps or another"
                " sampler"
            )
            yield _problem(section, ["sampler"], message)
    if tune.sampler == "cmaes":
        if len(tune.metric) > 1:
            yield _problem(
                section,
                ["sampler"],
                "cmaes knows a single goal; with several take nsga2, tpe or gp",
            )
        ranges = [name for name, parameter in tune.parameters.items() if parameter.choices is None]
        if len(ranges) < 2:
            message = (
                f"cmaes needs two or more ranges of numbers, and there {_are(len(ranges))};"
                " take tpe"
            )
            yield _problem(section, ["sampler"], message)


def _are(count: int) -> str:
    return "is none" if count == 0 else "is one"


def _form(tune: Tune, name: str, section: Located) -> Iterator[Problem]:
    """Range or choices, bounds in order."""
    parameter, place = tune.parameters[name], ["parameters", name]
    top = name.split(".")[0]
    if top not in SEARCHABLE or name in SEARCHABLE:
        what = "a whole section" if name in SEARCHABLE else f"{name!r}"
        yield _problem(
            section,
            place,
            f"{what} cannot be searched; only paths inside {', '.join(SEARCHABLE)} can",
        )
    elif parameter.choices is not None:
        yield from _choices_form(parameter, section, place)
    elif parameter.min is None or parameter.max is None:
        absent = [key for key in ("min", "max") if getattr(parameter, key) is None]
        yield _problem(
            section, place, f"needs min and max, or choices; {' and '.join(absent)} missing"
        )
    elif parameter.min >= parameter.max:
        message = (
            f"the bounds are the wrong way round: min {parameter.min:g} must be below max"
            f" {parameter.max:g}"
        )
        yield _problem(section, [*place, "min"], message)
    else:
        yield from _range_form(parameter, section, place)


def _choices_form(parameter: Dimension, section: Located, place: list[Any]) -> Iterator[Problem]:
    for key in ("min", "max", "log", "step"):
        if getattr(parameter, key) not in (None, False):
            yield _problem(
                section, [*place, key], f"choices are a list of their own; {key} is for ranges"
            )
    seen: list[Any] = []
    for index, choice in enumerate(parameter.choices or ()):
        if label(choice) in seen:
            yield _problem(
                section,
                [*place, "choices", index],
                f"{label(choice)} stands twice among the choices",
            )
        seen.append(label(choice))


def _range_form(parameter: Dimension, section: Located, place: list[Any]) -> Iterator[Problem]:
    (low, high), step = parameter.bounds, parameter.step
    if parameter.log and low <= 0:
        message = (
            f"a log range cannot start at {low:g}: it must lie above zero; raise min or leave"
            " log out"
        )
        yield _problem(section, [*place, "min"], message)
    if parameter.log and step is not None:
        message = "a log range has no even steps; leave log or step out, or list choices"
        yield _problem(section, [*place, "step"], message)
    elif step is not None:
        whole = (high - low) / step
        if abs(whole - round(whole)) > 1e-9 * max(1.0, whole) or whole < 1 - 1e-9:
            last = low + math.floor(whole + 1e-9) * step
            message = (
                f"steps of {step:g} from {low:g} do not meet max {high:g}; the last one is {last:g}"
            )
            yield _problem(section, [*place, "max"], message)


def _candidates(
    tune: Tune, name: str, section: Located, bare: Located, check: Check
) -> list[Problem]:
    """Problems of the experiments at the bounds and choices of one parameter."""
    parameter = tune.parameters[name]
    if parameter.choices is not None:
        # a list is short for choices
        _, depth = section.find(["parameters", name, "choices"])
        keys: list[Part] = ["choices"] if depth == 3 else []
        tried: list[tuple[list[Part], Any]] = [
            ([*keys, index], choice) for index, choice in enumerate(parameter.choices)
        ]
    else:
        tried = [(["min"], parameter.min), (["max"], parameter.max)]
    found: list[Problem] = []
    for context, said in _contexts(tune, name, bare):
        for inside, value in tried:
            place: list[Part] = ["parameters", name, *inside]
            try:
                changed = apply(context, Override.of(name, value, name))
            except OverrideError as error:
                return [_problem(section, ["parameters", name], error.problem.message + said)]
            wrong = check(changed)
            unknown = [item for item in wrong if item.message.startswith("unknown key")]
            if unknown:
                return [_problem(section, ["parameters", name], unknown[0].message + said)]
            for item in wrong:
                within = item.path == name or item.path.startswith(f"{name}.")
                where = item.path.removeprefix(name).lstrip(".") if within else item.path
                why = f"{where}: {item.message}" if where else item.message
                found.append(
                    _problem(
                        section, place, f"{_short(value)} gives no valid experiment{said}: {why}"
                    )
                )
    return list(dict.fromkeys(found))


def _short(value: Any) -> str:
    text = str(label(value))
    return text if len(text) <= 60 else f"{text[:59]}…"


def _contexts(tune: Tune, name: str, bare: Located) -> Iterator[tuple[Located, str]]:
    """The file with each choice of every parameter that stands around ``name``; else the file as it
    is.
    """
    outer = [other for other in tune.parameters if name.startswith(f"{other}.")]
    if not outer:
        yield bare, ""
    for other in outer:
        for choice in tune.parameters[other].choices or ():
            try:
                yield (
                    apply(bare, Override.of(other, choice, other)),
                    f" (with {other} = {_short(choice)})",
                )
            except OverrideError:
                continue  # said where that parameter is checked


def grid(tune: Tune) -> Iterator[dict[str, Any]]:
    """Every point of the grid as Optuna's parameters, the last parameter running fastest."""
    points: list[dict[str, Any]] = [{}]
    for name, parameter in tune.parameters.items():
        points = [
            {**point, name: label(value)} for point in points for value in values(parameter) or ()
        ]
    return iter(points)


def at(mapping: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of an experiment's mapping with the values of ``settings`` in it.

    Raises:
        ConfigError: from a path that another choice has taken away.
    """
    root = from_python(mapping, Origin())
    for name, value in changes.items():
        try:
            root = apply(root, Override.of(name, value, f"{name}={_short(value)}"))
        except OverrideError as error:
            raise ConfigError([error.problem]) from None
    plain: dict[str, Any] = root.plain()
    return plain


__all__ = ["at", "grid", "label", "problems", "settings", "values"]
