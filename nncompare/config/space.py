"""The search space of ``tune:`` against the rest of the file, and its points.

Every bound and every choice must give a valid experiment; what is wrong is said at the place in
``tune:`` where it was written.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import product
from typing import Any

from nncompare.config.located import Located, Path
from nncompare.config.overrides import Override, OverrideError, apply
from nncompare.errors import Problem
from nncompare.spec.experiment import Experiment
from nncompare.spec.tune import BY_EPOCH, Dimension, NoPruner, Tune

Check = Callable[[Located], list[Problem]]
"""All problems of a whole file."""

SEARCHABLE = ("data", "model", "train")
"""The top keys whose values a search may change."""
LARGEST_GRID = 100_000
_LONGEST_VALUE = 60
"""Characters of a value that a message repeats."""
_ROUNDING = 1e-9
"""What a number of steps may differ from a whole one by rounding alone, relative."""
_OF_TASK = {
    "val_accuracy": ("classification", "binary"),
    "train_accuracy": ("classification", "binary"),
    "val_mae": ("regression",),
    "train_mae": ("regression",),
    "val_r2": ("regression",),
    "train_r2": ("regression",),
}
"""Metric -> the tasks that have it; every task has the others."""


def stored_choice(choice: Any) -> str | int | float | bool | None:
    """A choice as Optuna stores it: plain values as they are, lists and mappings as JSON."""
    if choice is None or isinstance(choice, (str, int, float, bool)):
        return choice
    return json.dumps(choice, default=list)


def value_count(dimension: Dimension) -> int | None:
    """How many values it has; None if they cannot be counted."""
    if dimension.choices is not None:
        return len(dimension.choices)
    # Between two numbers there is always another one.
    if dimension.step is None and (dimension.log or not dimension.whole):
        return None
    low, high = dimension.bounds
    return math.floor((high - low) / (dimension.step or 1) + _ROUNDING) + 1


def all_values(dimension: Dimension) -> list[Any] | None:
    """Every value in order, lists and mappings as they are written; None if they cannot be
    counted.
    """
    if dimension.choices is not None:
        return list(dimension.choices)
    count = value_count(dimension)
    if count is None:
        return None
    low, high = dimension.bounds
    step = dimension.step or 1
    # The last one is the bound itself, free of rounding.
    return [*(low + k * step for k in range(count - 1)), high]


def file_values(tune: Tune, params: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted path -> value as the file would hold it, from Optuna's parameters; outer paths first,
    since an inner one changes what the outer one has put there.
    """
    found = {}
    for path in sorted(tune.parameters, key=lambda name: name.count(".")):
        # A study that plain Optuna has gone on with may have other parameters.
        if path not in params:
            continue
        value = params[path]
        choices = tune.parameters[path].choices
        # Optuna keeps lists and mappings as JSON.
        if choices is not None and isinstance(value, str):
            value = next(choice for choice in choices if stored_choice(choice) == value)
        found[path] = value
    return found


def grid_points(tune: Tune) -> Iterator[dict[str, Any]]:
    """Every point of the grid as Optuna's parameters, the last parameter running fastest."""
    axes = []
    for dimension in tune.parameters.values():
        axes.append([stored_choice(value) for value in all_values(dimension) or ()])
    for point in product(*axes):
        yield dict(zip(tune.parameters, point, strict=True))


def problems(root: Located, experiment: Experiment, check: Check) -> list[Problem]:
    """What is wrong with ``tune:`` in a file that is valid otherwise.

    Args:
        root: the file with its overrides.
        experiment: what it gives.
        check: finds the problems of a changed file, without its ``tune:``.
    """
    tune = experiment.tune
    section = root.child("tune")
    if tune is None or section is None:
        return []
    found = [*_goal_problems(experiment, tune, section), *_pruner_problems(tune, section)]
    well_formed = []
    for name in tune.parameters:
        malformed = list(_dimension_problems(tune, name, section))
        found += malformed
        if not malformed:
            well_formed.append(name)
    # A grid can be counted only where every dimension is well formed.
    if len(well_formed) == len(tune.parameters):
        found += _sampler_problems(tune, section)
    values = {key: node for key, node in root.value.items() if key not in ("tune", "sweep")}
    bare = replace(root, value=values)
    for name in well_formed:
        found += _candidate_problems(tune, name, section, bare, check)
    return found


def _problem(section: Located, path: Path, message: str) -> Problem:
    """A problem at a place below ``tune:``, or at the nearest place above it."""
    node, depth = section.find(path)
    is_dimension = len(path) == 2 and path[0] == "parameters"
    if depth == len(path) and not is_dimension:
        origin = node.place
    else:
        # Of a dimension its key, which is the path that is searched.
        origin = node.key or node.origin
    return origin.problem(("tune", *path), message)


def _goal_problems(experiment: Experiment, tune: Tune, section: Located) -> Iterator[Problem]:
    """Metrics that the task does not have, and metrics that stand twice."""
    listed = section.child("metric")
    names = [goal.name for goal in tune.metric]
    for index, goal in enumerate(tune.metric):
        # One goal may stand without a list around it, and a name without its mapping.
        path: Path = ("metric", index) if listed is not None and listed.is_list else ("metric",)
        _, depth = section.find((*path, "name"))
        if depth > len(path):
            path = (*path, "name")
        allowed = _OF_TASK.get(goal.name)
        # Losses and costs are known in every task.
        if allowed is not None and experiment.task not in allowed:
            own = [name for name, tasks in _OF_TASK.items() if experiment.task in tasks]
            have = ", ".join(["val_loss", *own])
            message = f"task {experiment.task} has no {goal.name}. It has: {have}"
            yield _problem(section, path, message)
        if names.index(goal.name) < index:
            message = f"{goal.name} stands twice; each metric can be a goal once"
            yield _problem(section, path, message)


def _pruner_problems(tune: Tune, section: Located) -> Iterator[Problem]:
    """A pruner that would have nothing to judge by."""
    # Who judges nothing needs nothing to judge by.
    if isinstance(tune.pruner, NoPruner):
        return
    # With several goals no trial is worse than another one after an epoch.
    if len(tune.metric) > 1:
        message = "pruning needs a single goal; with several write pruner: none"
        yield _problem(section, ("pruner",), message)
    elif tune.metric[0].name not in BY_EPOCH:
        message = (
            f"{tune.metric[0].name} is not known after every epoch, so no trial can be judged by"
            f" it; write none, or take {' or '.join(BY_EPOCH)} as the metric"
        )
        yield _problem(section, ("pruner",), message)


def _sampler_problems(tune: Tune, section: Located) -> Iterator[Problem]:
    """A sampler that cannot search this space; most take any."""
    if tune.sampler == "grid":
        yield from _grid_problems(tune, section)
    elif tune.sampler == "cmaes":
        yield from _cmaes_problems(tune, section)


def _grid_problems(tune: Tune, section: Located) -> Iterator[Problem]:
    """A grid without an end, or without one that anybody would see."""
    size = 1
    for name, dimension in tune.parameters.items():
        count = value_count(dimension)
        if count is None:
            message = "a grid cannot enumerate a continuous range; give it a step, or choices"
            yield _problem(section, ("parameters", name), message)
        else:
            size *= count
    # More than anybody trains; a step was forgotten, most likely.
    if size > LARGEST_GRID:
        message = (
            f"the grid has {size:,} points, more than {LARGEST_GRID:,}; use steps or another"
            " sampler"
        )
        yield _problem(section, ("sampler",), message)


def _cmaes_problems(tune: Tune, section: Located) -> Iterator[Problem]:
    """Goals and choices that a covariance matrix of numbers has no place for."""
    if len(tune.metric) > 1:
        message = "cmaes knows a single goal; with several take nsga2, tpe or gp"
        yield _problem(section, ("sampler",), message)
    ranges = [name for name, item in tune.parameters.items() if item.choices is None]
    # With one number a covariance has nothing to learn.
    if len(ranges) < 2:
        have = "is one" if ranges else "is none"
        message = f"cmaes needs two or more ranges of numbers, and there {have}; take tpe"
        yield _problem(section, ("sampler",), message)


def _dimension_problems(tune: Tune, name: str, section: Located) -> Iterator[Problem]:
    """Range or choices, bounds in order."""
    dimension = tune.parameters[name]
    place = ("parameters", name)
    if name in SEARCHABLE or name.split(".")[0] not in SEARCHABLE:
        what = "a whole section" if name in SEARCHABLE else f"{name!r}"
        message = f"{what} cannot be searched; only paths inside {', '.join(SEARCHABLE)} can"
        yield _problem(section, place, message)
    elif dimension.choices is not None:
        yield from _choices_problems(dimension, section, place)
    elif dimension.min is None or dimension.max is None:
        absent = [key for key in ("min", "max") if getattr(dimension, key) is None]
        message = f"needs min and max, or choices; {' and '.join(absent)} missing"
        yield _problem(section, place, message)
    elif dimension.min >= dimension.max:
        message = (
            f"the bounds are the wrong way round: min {dimension.min:g} must be below max"
            f" {dimension.max:g}"
        )
        yield _problem(section, (*place, "min"), message)
    else:
        yield from _range_problems(dimension, section, place)


def _choices_problems(dimension: Dimension, section: Located, place: Path) -> Iterator[Problem]:
    for key in ("min", "max", "log", "step"):
        if getattr(dimension, key) not in (None, False):
            message = f"choices are a list of their own; {key} is for ranges"
            yield _problem(section, (*place, key), message)
    seen: list[Any] = []
    for index, choice in enumerate(dimension.choices or ()):
        stored = stored_choice(choice)
        if stored in seen:
            message = f"{stored} stands twice among the choices"
            yield _problem(section, (*place, "choices", index), message)
        seen.append(stored)


def _range_problems(dimension: Dimension, section: Located, place: Path) -> Iterator[Problem]:
    low, high = dimension.bounds
    step = dimension.step
    if dimension.log and low <= 0:
        message = (
            f"a log range cannot start at {low:g}: it must lie above zero; raise min or leave"
            " log out"
        )
        yield _problem(section, (*place, "min"), message)
    # Without steps any bounds are met.
    if step is None:
        return
    if dimension.log:
        message = "a log range has no even steps; leave log or step out, or list choices"
        yield _problem(section, (*place, "step"), message)
        return
    steps = (high - low) / step
    is_whole = math.isclose(steps, round(steps), rel_tol=_ROUNDING, abs_tol=_ROUNDING)
    if not is_whole or steps < 1 - _ROUNDING:
        last = low + math.floor(steps + _ROUNDING) * step
        message = (
            f"steps of {step:g} from {low:g} do not meet max {high:g}; the last one is {last:g}"
        )
        yield _problem(section, (*place, "max"), message)


def _candidate_problems(
    tune: Tune, name: str, section: Located, bare: Located, check: Check
) -> list[Problem]:
    """Problems of the experiments at the bounds and choices of one dimension.

    Args:
        name: the dimension's path.
        section: the file's ``tune:``.
        bare: the file without it.
        check: finds the problems of a changed file.
    """
    dimension_place = ("parameters", name)
    found: list[Problem] = []
    for context, said in _contexts(tune, name, bare):
        for inside, value in _candidates(tune.parameters[name], name, section):
            try:
                changed = apply(context, Override.of(name, value, name))
            except OverrideError as error:
                # The path itself is wrong, whatever the value.
                return [_problem(section, dimension_place, error.problem.message + said)]
            wrong = check(changed)
            unknown = [item for item in wrong if item.message.startswith("unknown key")]
            # The path is wrong, whatever the value, so it is said once.
            if unknown:
                return [_problem(section, dimension_place, unknown[0].message + said)]
            for item in wrong:
                why = _why(item, name)
                message = f"{_shown(value)} gives no valid experiment{said}: {why}"
                found.append(_problem(section, (*dimension_place, *inside), message))
    return found


def _candidates(dimension: Dimension, name: str, section: Located) -> Iterator[tuple[Path, Any]]:
    """The values of one dimension that are tried, each with its path below the dimension."""
    # The bounds stand for all between them.
    if dimension.choices is None:
        yield ("min",), dimension.min
        yield ("max",), dimension.max
        return
    # A list is short for choices.
    _, depth = section.find(("parameters", name, "choices"))
    for index, choice in enumerate(dimension.choices):
        yield ("choices", index) if depth == 3 else (index,), choice


def _why(problem: Problem, name: str) -> str:
    """A problem of a changed file, as seen from the dimension that has changed it."""
    where = problem.path
    # The message stands at the dimension, whose path need not be repeated.
    if f"{where}.".startswith(f"{name}."):
        where = where.removeprefix(name).lstrip(".")
    return f"{where}: {problem.message}" if where else problem.message


def _shown(value: Any) -> str:
    text = str(stored_choice(value))
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _contexts(tune: Tune, name: str, bare: Located) -> Iterator[tuple[Located, str]]:
    """The file with each choice of every dimension that stands around ``name``; else the file as it
    is. Each comes with words for a message.
    """
    outer = [other for other in tune.parameters if name.startswith(f"{other}.")]
    # Most paths stand alone.
    if not outer:
        yield bare, ""
    for other in outer:
        for choice in tune.parameters[other].choices or ():
            try:
                context = apply(bare, Override.of(other, choice, other))
            except OverrideError:
                continue  # said where that dimension is checked
            yield context, f" (with {other} = {_shown(choice)})"
