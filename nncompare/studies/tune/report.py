"""The report of a search: a result in, something that rich can print out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from nncompare.show import numbers
from nncompare.show.sheet import Column, Sheet, best, remark, section, spaced
from nncompare.show.words import printable
from nncompare.studies.tune.record import TuneRecord, TuneSearch

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
    named = ", ".join(
        f"{goal.name} {numbers.short(value)}"
        for goal, value in zip(result.goals, result.best.values, strict=True)
    )
    several = " (first goal)" if len(result.goals) > 1 else ""
    return f"Best{several}: trial {result.best.trial} on {result.best.runtime}: {named}."


def counts(search: TuneSearch) -> str:
    """``torch: 20 of 20 trials done: 14 complete, 6 pruned``."""
    done = search.complete + search.pruned + search.failed
    parts = [f"{search.complete} complete", f"{search.pruned} pruned", f"{search.failed} failed"]
    said = ", ".join(part for part in parts if not part.startswith("0 ")) or "none"
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
        columns.append(
            Column(
                head=goal.name,
                texts=texts,
                best=best(texts, values, largest=goal.goal == "maximize"),
            )
        )
    names = list(dict.fromkeys(name for item in found for name in item.params))
    columns += [
        Column(head=name, texts=tuple(value(item.params.get(name)) for item in found))
        for name in names
    ]
    return Sheet(
        title="Best parameters",
        labels=tuple(item.runtime for item in found),
        columns=tuple(columns),
    )


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
    mine = [
        item
        for item in result.trials
        if item.runtime == search.runtime and item.state == "complete"
    ]
    if search.pareto:
        mine = [item for item in mine if item.number in search.pareto]
    mine = sorted(
        (item for item in mine if item.values), key=lambda item: sign * (item.values or (0.0,))[0]
    )
    shown = mine[:_TOP]
    if len(shown) < 2:
        return None
    columns = []
    for index, goal in enumerate(result.goals):
        texts = numbers.plain([item.values[index] if item.values else None for item in shown])
        columns.append(Column(head=goal.name, texts=texts))
    times = numbers.seconds([item.seconds for item in shown])
    columns.append(Column(head="time", unit=times.unit, texts=times.texts))
    for name in dict.fromkeys(name for item in shown for name in item.params):
        columns.append(
            Column(head=name, texts=tuple(value(item.params.get(name)) for item in shown))
        )
    title = (
        f"Pareto front on {search.runtime}" if search.pareto else f"Best trials on {search.runtime}"
    )
    notes = (f"{len(mine) - len(shown)} more in trials.csv.",) if len(mine) > len(shown) else ()
    labels = tuple(str(item.number) for item in shown)
    return Sheet(title=title, labels=labels, columns=tuple(columns), corner="trial", notes=notes)


def confirmation_sheet(result: TuneRecord) -> Sheet:
    """Means over fresh seeds: one row a trial, one column a runtime."""
    trials = list(dict.fromkeys(str(row.trial) for row in result.confirmation))
    columns = []
    for item in result.transfer:
        texts = tuple(
            (
                f"{numbers.short(item.means[trial])} ± {numbers.two(item.errors.get(trial, 0.0))}"
                if trial in item.means
                else None
            )
            for trial in trials
        )
        values = [item.means.get(trial) for trial in trials]
        largest = result.goals[0].goal == "maximize"
        columns.append(
            Column(head=item.runtime, texts=texts, best=best(texts, values, largest=largest))
        )
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


def transfer_lines(result: TuneRecord) -> Iterator[str]:
    """Does the optimum hold on each runtime?"""
    for item in result.transfer:
        if item.holds is None:
            reasons = [
                row.reason
                for row in result.confirmation
                if row.runtime == item.runtime and row.reason
            ]
            yield (
                f"{item.runtime}: n/a:"
                f" {printable(reasons[0] if reasons else 'nothing was measured')}"
            )
        elif item.holds:
            yield f"{item.runtime}: the optimum holds"
        else:
            yield (
                f"{item.runtime}: the optimum does not transfer: trial {item.best_trial} is better"
                " here"
            )


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
