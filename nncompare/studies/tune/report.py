"""The report of a search: a result in, something that rich can print out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from nncompare.show import numbers
from nncompare.show.sheet import Column, Sheet, best, remark, section, spaced
from nncompare.show.words import printable
from nncompare.studies.tune.record import TuneRecord, TuneSearch, TuneTransfer, TuneTrial

_TOP = 10
"""Trials of a search that the table shows."""


def tune_report(result: TuneRecord, *, folder: Path | None = None) -> RenderableType:
    """Best parameters, best trials, importance, failures, confirmation, and where it all is."""
    parts: list[RenderableType] = [_head(result)]
    if result.best is not None:
        parts.append(best_sheet(result))
    for search in result.searches:
        parts += _search(result, search)
    if result.confirmation:
        parts += [
            confirmation_sheet(result),
            Group(*(remark(line) for line in transfer_lines(result))),
        ]
    parts.append(_notes(result, folder))
    return spaced(parts)


def headline(result: TuneRecord) -> str:
    """The best value in one sentence."""
    if result.best is None:
        return "No trial ended well."
    named = []
    for goal, figure in zip(result.goals, result.best.values, strict=True):
        named.append(f"{goal.name} {numbers.short(figure)}")
    several = " (first goal)" if len(result.goals) > 1 else ""
    best_one = f"trial {result.best.trial} on {result.best.runtime}"
    return f"Best{several}: {best_one}: {', '.join(named)}."


def counts(search: TuneSearch) -> str:
    """``torch: 20 of 20 trials done: 14 complete, 6 pruned``."""
    done = search.complete + search.pruned + search.failed
    parts = []
    for state in ("complete", "pruned", "failed"):
        count = getattr(search, state)
        if count:
            parts.append(f"{count} {state}")
    said = ", ".join(parts) or "none"
    return f"{search.runtime}: {done} of {search.requested} trials done: {said}"


def _head(result: TuneRecord) -> Group:
    seconds = "" if result.seconds is None else f", {numbers.duration(result.seconds)}"
    runtimes = ", ".join(search.runtime for search in result.searches)
    lines = [Text.assemble((result.name, "bold"), f"  tuned on {runtimes}{seconds}")]
    lines += [Text(headline(result), style="bold")]
    for search in result.searches:
        lines.append(Text(counts(search)))
        if search.stopped:
            lines.append(Text(f"{search.runtime}: stopped early: {printable(search.stopped)}"))
    if result.outcome == "interrupted":
        lines.append(Text("Interrupted: the trials that were under way wait for --resume."))
    return Group(*lines)


def best_sheet(result: TuneRecord) -> Sheet:
    """The best parameters of every search, one row a runtime."""
    found = [search.best for search in result.searches if search.best is not None]
    columns = [Column(head="trial", texts=tuple(str(item.trial) for item in found))]
    for index, goal in enumerate(result.goals):
        values: list[float | None] = [item.values[index] for item in found]
        texts = numbers.plain(values)
        marked = best(texts, values, largest=goal.goal == "maximize")
        columns.append(Column(head=goal.name, texts=texts, best=marked))
    columns += _parameter_columns([item.params for item in found])
    labels = tuple(item.runtime for item in found)
    return Sheet(title="Best parameters", labels=labels, columns=tuple(columns))


def _parameter_columns(rows: Sequence[Mapping[str, Any]]) -> list[Column]:
    """One column a parameter, in the order in which the rows name them."""
    names: dict[str, None] = {}
    for params in rows:
        names |= dict.fromkeys(params)
    columns = []
    for name in names:
        texts = tuple(value(params.get(name)) for params in rows)
        columns.append(Column(head=name, texts=texts))
    return columns


def value(item: Any) -> str:
    """A parameter's value."""
    if isinstance(item, float):
        return numbers.short(item)
    if isinstance(item, dict):
        return "{" + ", ".join(f"{key}: {value(inner)}" for key, inner in item.items()) + "}"
    return printable(str(item))


def _search(result: TuneRecord, search: TuneSearch) -> Iterator[RenderableType]:
    trials = _top(result, search)
    if trials:
        yield trials
    if search.importance:
        names = tuple(search.importance)
        texts = numbers.percent(list(search.importance.values()))
        title = f"Importance on {search.runtime}"
        note = f"Share of the variance of {result.goals[0].name} over the complete trials (fANOVA)."
        column = Column(head="share", unit=texts.unit, texts=texts.texts)
        yield Sheet(title=title, labels=names, columns=(column,), corner="parameter", notes=(note,))
    elif search.importance_note:
        yield Text(f"Importance on {search.runtime}: n/a: {printable(search.importance_note)}")
    failed = [
        item for item in result.trials if item.runtime == search.runtime and item.state == "failed"
    ]
    if failed:
        reasons = (
            Text(f"  trial {item.number}: {item.status}: {printable(item.reason or '')}")
            for item in failed
        )
        yield Group(section(f"Failed on {search.runtime}"), *reasons)


def _top(result: TuneRecord, search: TuneSearch) -> Sheet | None:
    """The best trials, or those of the Pareto front."""
    sign = -1 if result.goals[0].goal == "maximize" else 1

    def rank(item: TuneTrial) -> float:
        return sign * item.values[0] if item.values else math.inf

    mine = []
    for item in result.trials:
        is_done = item.runtime == search.runtime and item.state == "complete" and item.values
        if is_done and (not search.pareto or item.number in search.pareto):
            mine.append(item)
    mine.sort(key=rank)
    shown = mine[:_TOP]
    # A table of one trial would repeat the best parameters above.
    if len(shown) < 2:
        return None
    columns = []
    for index, goal in enumerate(result.goals):
        texts = numbers.plain([item.values[index] if item.values else None for item in shown])
        columns.append(Column(head=goal.name, texts=texts))
    times = numbers.seconds([item.seconds for item in shown])
    columns.append(Column(head="time", unit=times.unit, texts=times.texts))
    columns += _parameter_columns([item.params for item in shown])
    title = f"{'Pareto front' if search.pareto else 'Best trials'} on {search.runtime}"
    left_out = len(mine) - len(shown)
    notes = (f"{left_out} more in trials.csv.",) if left_out else ()
    labels = tuple(str(item.number) for item in shown)
    return Sheet(title=title, labels=labels, columns=tuple(columns), corner="trial", notes=notes)


def confirmation_sheet(result: TuneRecord) -> Sheet:
    """Means over fresh seeds: one row a trial, one column a runtime."""
    trials = list(dict.fromkeys(str(row.trial) for row in result.confirmation))
    columns = []
    for item in result.transfer:
        texts = tuple(_mean_text(item, trial) for trial in trials)
        values = [item.means.get(trial) for trial in trials]
        marked = best(texts, values, largest=result.goals[0].goal == "maximize")
        columns.append(Column(head=item.runtime, texts=texts, best=marked))
    seeds = len({row.seed for row in result.confirmation})
    note = (
        f"Mean {result.goals[0].name} ± standard error over {seeds} fresh seeds; * best of its"
        " column."
    )
    return Sheet(
        title="Confirmation",
        labels=tuple(trials),
        columns=tuple(columns),
        corner="trial",
        notes=(note,),
    )


def _mean_text(item: TuneTransfer, trial: str) -> str | None:
    """``0.1234 ± 0.0012``; None: the trial gave no figure on this runtime."""
    if trial not in item.means:
        return None
    error = numbers.two(item.errors.get(trial, 0.0))
    return f"{numbers.short(item.means[trial])} ± {error}"


def transfer_lines(result: TuneRecord) -> Iterator[str]:
    """Does the optimum hold on each runtime?"""
    for item in result.transfer:
        if item.holds is None:
            rows = [row for row in result.confirmation if row.runtime == item.runtime]
            reason = next((row.reason for row in rows if row.reason), "nothing was measured")
            yield f"{item.runtime}: n/a: {printable(reason)}"
        elif item.holds:
            yield f"{item.runtime}: the optimum holds"
        else:
            better = f"trial {item.best_trial} is better here"
            yield f"{item.runtime}: the optimum does not transfer: {better}"


def _notes(result: TuneRecord, folder: Path | None) -> Group:
    lines = [
        f"storage: {result.storage}",
        f"threads: {result.threads} for each of {result.jobs} worker(s)",
    ]
    if result.goals and result.experiment.get("tune", {}).get("folds"):
        lines.append(f"values are means over {result.experiment['tune']['folds']} folds")
    if folder is not None:
        lines.append(f"stored in {folder}")
        if result.best is not None:
            lines.append(f"run the best one: nncompare run {folder / 'best.yaml'}")
        if not result.complete or result.outcome != "complete":
            lines.append(f"go on: nncompare tune --resume {folder}")
    return Group(*(Text(f"  {line}", overflow="fold") for line in lines))
