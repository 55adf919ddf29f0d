"""The report of a search: a result in, something that rich can print out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from nncompare.show import numbers
from nncompare.show.sheet import Column, Sheet, best, remark, section, spaced
from nncompare.show.words import printable
from nncompare.studies.tune.record import TuneGoal, TuneRecord, TuneSearch, TuneTransfer, all_keys

_TOP = 10
"""Trials of a search that the table shows."""


def tune_report(result: TuneRecord, *, folder: Path | None = None) -> RenderableType:
    """Best parameters, best trials, importance, failures, confirmation, and where it all is."""
    parts: list[RenderableType] = [_head(result)]
    # Without one the headline says it all.
    if result.best is not None:
        parts.append(_best_sheet(result))
    for search in result.searches:
        parts += _search(result, search)
    if result.confirmation:
        lines = [remark(_transfer_line(result, item)) for item in result.transfer]
        parts += [_confirmation_sheet(result), Group(*lines)]
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


def _counts(search: TuneSearch) -> str:
    """``torch: 20 of 20 trials done: 14 complete, 6 pruned``."""
    counts = {"complete": search.complete, "pruned": search.pruned, "failed": search.failed}
    said = [f"{count} {state}" for state, count in counts.items() if count]
    done = f"{sum(counts.values())} of {search.requested} trials done"
    return f"{search.runtime}: {done}: {', '.join(said) or 'none'}"


def _head(result: TuneRecord) -> Group:
    seconds = "" if result.seconds is None else f", {numbers.duration(result.seconds)}"
    runtimes = ", ".join(search.runtime for search in result.searches)
    lines = [
        Text.assemble((result.name, "bold"), f"  tuned on {runtimes}{seconds}"),
        Text(headline(result), style="bold"),
    ]
    for search in result.searches:
        lines.append(Text(_counts(search)))
        # A search that ended early is not to be taken for a whole one.
        if search.stopped:
            lines.append(Text(f"{search.runtime}: stopped early: {printable(search.stopped)}"))
    if result.outcome == "interrupted":
        lines.append(Text("Interrupted: the trials that were under way wait for --resume."))
    return Group(*lines)


def _best_sheet(result: TuneRecord) -> Sheet:
    """The best parameters of every search, one row a runtime."""
    found = [search.best for search in result.searches if search.best is not None]
    return Sheet(
        title="Best parameters",
        labels=tuple(item.runtime for item in found),
        columns=(
            Column(head="trial", texts=tuple(str(item.trial) for item in found)),
            *_goal_columns(result.goals, [item.values for item in found], marked=True),
            *_parameter_columns([item.params for item in found]),
        ),
    )


def _goal_columns(
    goals: Sequence[TuneGoal], rows: Sequence[Sequence[float]], *, marked: bool
) -> Iterator[Column]:
    """One column a goal.

    Args:
        rows: the values of the goals, one row a trial.
        marked: the best of each column has its mark.
    """
    for index, goal in enumerate(goals):
        values = [row[index] for row in rows]
        texts = numbers.plain(values)
        winners = best(texts, values, largest=goal.goal == "maximize")
        yield Column(head=goal.name, texts=texts, best=winners if marked else frozenset())


def _parameter_columns(rows: Sequence[Mapping[str, Any]]) -> Iterator[Column]:
    """One column a parameter."""
    for name in all_keys(rows):
        yield Column(head=name, texts=tuple(_value(params.get(name)) for params in rows))


def _value(item: Any) -> str:
    """A parameter's value."""
    # Whole numbers (sizes, layers) are said in full.
    if isinstance(item, float):
        return numbers.short(item)
    if isinstance(item, dict):
        pairs = [f"{key}: {_value(inner)}" for key, inner in item.items()]
        return "{" + ", ".join(pairs) + "}"
    return printable(str(item))


def _search(result: TuneRecord, search: TuneSearch) -> Iterator[RenderableType]:
    """The best trials of one search, what they owe to which parameter, and what failed."""
    yield from _top(result, search)
    if search.importance:
        shares = numbers.percent(list(search.importance.values()))
        note = f"Share of the variance of {result.goals[0].name} over the complete trials (fANOVA)."
        yield Sheet(
            title=f"Importance on {search.runtime}",
            corner="parameter",
            labels=tuple(search.importance),
            columns=(Column(head="share", unit=shares.unit, texts=shares.texts),),
            notes=(note,),
        )
    elif search.importance_note:
        yield Text(f"Importance on {search.runtime}: n/a: {printable(search.importance_note)}")
    failed = []
    for item in result.trials:
        if item.runtime == search.runtime and item.state == "failed":
            reason = printable(item.reason or "")
            failed.append(Text(f"  trial {item.number}: {item.status}: {reason}"))
    if failed:
        yield Group(section(f"Failed on {search.runtime}"), *failed)


def _top(result: TuneRecord, search: TuneSearch) -> Iterator[Sheet]:
    """The best trials, or those of the Pareto front."""
    ranked = result.ranked(search.runtime)
    kind = "Best trials"
    if search.pareto:
        ranked = [item for item in ranked if item.number in search.pareto]
        kind = "Pareto front"
    shown = ranked[:_TOP]
    # A table of one trial would repeat the best parameters above.
    if len(shown) < 2:
        return
    times = numbers.seconds([item.seconds for item in shown])
    left_out = len(ranked) - len(shown)
    yield Sheet(
        title=f"{kind} on {search.runtime}",
        corner="trial",
        labels=tuple(str(item.number) for item in shown),
        columns=(
            *_goal_columns(result.goals, [item.values or () for item in shown], marked=False),
            Column(head="time", unit=times.unit, texts=times.texts),
            *_parameter_columns([item.params for item in shown]),
        ),
        notes=(f"{left_out} more in trials.csv.",) if left_out else (),
    )


def _confirmation_sheet(result: TuneRecord) -> Sheet:
    """Means over fresh seeds: one row a trial, one column a runtime."""
    goal = result.goals[0]
    trials = list(dict.fromkeys(str(row.trial) for row in result.confirmation))
    columns = []
    for item in result.transfer:
        texts = [_mean_text(item, trial) for trial in trials]
        values = [item.means.get(trial) for trial in trials]
        marked = best(texts, values, largest=goal.goal == "maximize")
        columns.append(Column(head=item.runtime, texts=tuple(texts), best=marked))
    seeds = len({row.seed for row in result.confirmation})
    note = f"Mean {goal.name} ± standard error over {seeds} fresh seeds; * best of its column."
    return Sheet(
        title="Confirmation",
        corner="trial",
        labels=tuple(trials),
        columns=tuple(columns),
        notes=(note,),
    )


def _mean_text(item: TuneTransfer, trial: str) -> str | None:
    """``0.1234 ± 0.0012``; None: the trial gave no figure on this runtime."""
    if trial not in item.means:
        return None
    mean = numbers.short(item.means[trial])
    error = numbers.two(item.errors[trial])
    return f"{mean} ± {error}"


def _transfer_line(result: TuneRecord, item: TuneTransfer) -> str:
    """Does the optimum hold on one runtime?"""
    if item.holds:
        return f"{item.runtime}: the optimum holds"
    if item.holds is not None:
        better = f"trial {item.best_trial} is better here"
        return f"{item.runtime}: the optimum does not transfer: {better}"
    # All repetitions there have failed, most often for one reason.
    reasons = [row.reason for row in result.confirmation if row.runtime == item.runtime]
    reason = next(filter(None, reasons), "nothing was measured")
    return f"{item.runtime}: n/a: {printable(reason)}"


def _notes(result: TuneRecord, folder: Path | None) -> Group:
    """Where it all is, and the commands that go on from there."""
    lines = [
        f"storage: {result.storage}",
        f"threads: {result.threads} for each of {result.jobs} worker(s)",
    ]
    folds = result.experiment.get("tune", {}).get("folds")
    # Who compares them with one training would wonder.
    if folds:
        lines.append(f"values are means over {folds} folds")
    if folder is not None:
        lines.append(f"stored in {folder}")
        # A full disk may have left the folder without it.
        if result.best is not None and (result.complete or (folder / "best.yaml").is_file()):
            lines.append(f"run the best one: nncompare run {folder / 'best.yaml'}")
        # A whole search has nothing left to go on with.
        if not result.complete:
            lines.append(f"go on: nncompare tune --resume {folder}")
    return Group(*(Text(f"  {line}", overflow="fold") for line in lines))
