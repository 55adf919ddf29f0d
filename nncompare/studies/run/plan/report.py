"""The report of ``run --dry-run``: what would be trained, on what, and what is missing."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from nncompare.show.experiment_line import describe, threads_each
from nncompare.show.numbers import short
from nncompare.show.sheet import grid_of_texts, heading, section, spaced
from nncompare.show.words import printable
from nncompare.studies.run.plan.record import PlanRecord


def plan_report(plan: PlanRecord) -> RenderableType:
    """Experiment, runtimes and work; what is missing with the command that mends it."""
    runtimes = grid_of_texts()
    for row in plan.runtimes:
        state = Text(f"installed: {row.title}")
        # told by a word and not by a colour alone
        if row.missing:
            state = Text(f"PROBLEM {row.missing}", style="bold")
        runtimes.add_row(Text(f"  {row.runtime}"), state)
    return spaced(
        [
            heading(plan.name, describe(plan.experiment, parameters=plan.parameters)),
            Group(section("Runtimes"), runtimes),
            Group(section("Plan"), grid_of_texts(_facts(plan))),
            Text(_verdict(plan), style="bold"),
        ]
    )


def _facts(plan: PlanRecord) -> list[tuple[str, str]]:
    first = plan.runtimes[0]
    facts = [("device", first.device)]
    facts.append(("threads", threads_each(plan.experiment, [first.threads])))
    facts += [("data", printable(note)) for note in plan.notes]
    # data that would be downloaded first are not counted yet
    if plan.examples is not None:
        counts = ", ".join(f"{part} {number:,}" for part, number in plan.examples.items())
        facts.append(("examples", counts))
    steps = "n/a: the number of examples is known after the download"
    if plan.steps_per_epoch is not None:
        epochs = plan.experiment["train"]["epochs"]
        steps = f"{plan.steps_per_epoch * epochs:,} per runtime: {epochs:,} epochs of"
        steps += f" {plan.steps_per_epoch:,}"
    facts.append(("steps", steps))
    facts.append(("a step", f"about {short(plan.flops_per_step / 1e6)} MFLOPs (estimate)"))
    if plan.output is not None:
        facts.append(("stored in", printable(f"a new folder in {plan.output}")))
    return facts


def _verdict(plan: PlanRecord) -> str:
    missing = [row.runtime for row in plan.runtimes if row.missing]
    if not missing:
        return "Everything is in order; nothing was trained or written."
    # a missing framework is a row of the result and does not stop the others
    others = "" if len(missing) == len(plan.runtimes) else "; the others would run"
    return f"Cannot be started: {', '.join(missing)}{others}. Nothing was trained or written."
