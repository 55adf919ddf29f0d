"""The report of ``run --dry-run``: what would be trained, on what, and what is missing."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from nncompare.show import numbers
from nncompare.show.experiment_line import describe
from nncompare.show.sheet import grid_of_texts, section
from nncompare.show.words import printable
from nncompare.studies.run.plan.record import PlanRecord


def plan_report(plan: PlanRecord) -> RenderableType:
    """Experiment, runtimes and work; what is missing with the command that mends it."""
    name = Text(plan.name, style="bold")
    name.append(f"  {describe(plan.experiment, parameters=plan.parameters)}", style="not bold")
    name.overflow = "fold"
    grid = grid_of_texts()
    for title, text in _facts(plan):
        grid.add_row(Text(f"  {title}", style="dim"), Text(printable(text)))
    runtimes = grid_of_texts()
    for row in plan.runtimes:
        state = f"PROBLEM {row.missing}" if row.missing else f"installed: {row.title}"
        runtimes.add_row(Text(f"  {row.runtime}"), Text(state, style="bold" if row.missing else ""))
    return Group(
        name,
        Text(),
        section("Runtimes"),
        runtimes,
        Text(),
        section("Plan"),
        grid,
        Text(),
        _verdict(plan),
    )


def _facts(plan: PlanRecord) -> list[tuple[str, str]]:
    first = plan.runtimes[0]
    threads = f"{first.threads} thread{'' if first.threads == 1 else 's'}"
    facts = [
        ("device", f"{first.device}, {threads} per runtime"),
        *(("data", note) for note in plan.notes),
    ]
    if plan.examples is not None:
        facts.append(
            ("examples", ", ".join(f"{part} {number:,}" for part, number in plan.examples.items()))
        )
    epochs = plan.experiment["train"]["epochs"]
    if plan.steps_per_epoch is None:
        facts.append(("steps", "n/a: the number of examples is known after the download"))
    else:
        steps = plan.steps_per_epoch
        facts.append(("steps", f"{steps * epochs:,} per runtime: {epochs:,} epochs of {steps:,}"))
    facts.append(("a step", f"about {numbers.short(plan.flops_per_step / 1e6)} MFLOPs (estimate)"))
    if plan.output is not None:
        facts.append(("stored in", f"a new folder in {plan.output}"))
    return facts


def _verdict(plan: PlanRecord) -> Text:
    missing = [row.runtime for row in plan.runtimes if row.missing]
    if not missing:
        return Text("Everything is in order; nothing was trained or written.", style="bold")
    others = "" if len(missing) == len(plan.runtimes) else "; the others would run"
    return Text(
        f"Cannot be started: {', '.join(missing)}{others}. Nothing was trained or written.",
        style="bold",
    )
