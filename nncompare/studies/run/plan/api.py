"""A plan from Python: what ``nncompare run --dry-run --json`` has printed into a file."""

from __future__ import annotations

from rich.console import RenderableType

from nncompare.show.result import Result
from nncompare.studies.run.plan.record import PlanRecord
from nncompare.studies.run.plan.report import plan_report


class Plan(Result[PlanRecord]):
    """What a run would do."""

    def report(self) -> RenderableType:
        return plan_report(self.record)
