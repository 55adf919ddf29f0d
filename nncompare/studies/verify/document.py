"""From a check to its certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nncompare.config.load import to_mapping
from nncompare.data.base import digest
from nncompare.launch.machine import describe_environment
from nncompare.numerics.initializers import initial_params
from nncompare.records.ledger import ledger
from nncompare.records.record import Head
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.judge import summarize
from nncompare.studies.verify.record import Hashes, VerifiedRuntime, VerifyRecord
from nncompare.wire.outcome import Outcome

if TYPE_CHECKING:
    from nncompare.studies.verify.aligned import AlignedParity

Status = Literal["certified", "failed", "not_comparable"]


def build(parity: AlignedParity, *, head: Head, seconds: float) -> VerifyRecord:
    """The document of a check."""
    rows = tuple(_row(parity, runtime) for runtime in parity.experiment.backends)
    checks: list[Check] = []
    for dtype in parity.dtypes:
        # workers end in any order
        worst = summarize(parity.checks[dtype])
        for runtime in parity.experiment.backends:
            checks += [check for check in worst if check.runtime == runtime]
    status, reason = verdict(rows, checks)
    return VerifyRecord(
        **head,
        experiment=to_mapping(parity.experiment),
        environment=describe_environment(parity.data),
        status=status,
        reason=reason,
        steps=parity.steps,
        seconds=seconds,
        runtimes=rows,
        checks=tuple(checks),
        findings=tuple(parity.findings()),
        changes=tuple(parity.changes()),
        dead=tuple(sorted(parity.dead)),
        limit=parity.limit,
        hashes=_hashes(parity),
        # every framework calls the device by a name of its own: no setting that differs
        ledger=ledger([TrainedRuntime(**row.model_dump(exclude={"device"})) for row in rows]),
    )


def verdict(rows: tuple[VerifiedRuntime, ...], checks: list[Check]) -> tuple[Status, str | None]:
    """``failed`` if any check failed; ``not_comparable`` if a runtime is missing, since a
    certificate speaks of all.
    """
    if any(not check.passed for check in checks):
        return "failed", None
    absent = [row for row in rows if row.status != "ok"]
    if absent:
        names = ", ".join(f"{row.runtime} ({row.status})" for row in absent)
        return "not_comparable", f"not all runtimes could be checked: {names}"
    if not checks:
        return "not_comparable", "nothing was checked"
    return "certified", None


def _row(parity: AlignedParity, runtime: str) -> VerifiedRuntime:
    """Of both dtypes' workers, the one that ended worse."""
    outcomes = [parity.outcomes[dtype, runtime] for dtype in parity.dtypes]
    worse: Outcome = next((outcome for outcome in outcomes if outcome.status != "ok"), outcomes[0])
    first = outcomes[0]
    return VerifiedRuntime(
        runtime=runtime,
        status=worse.status,  # pydantic checks the word
        reason=worse.reason,
        log=worse.log,
        versions=first.versions,
        device=first.built.device_name if first.built is not None else None,
        settings=first.settings,
    )


def _hashes(parity: AlignedParity) -> Hashes:
    context = parity.contexts[parity.dtypes[0]]
    plan = context.plan.trajectory
    # in the order of the model, so that the digest does not depend on a mapping's
    weights = initial_params(context.model, parity.experiment.train.seed)
    return Hashes(
        weights=digest(*(weights[name] for name in context.model.parameters)),
        order=digest(*(plan.order(epoch) for epoch in range(plan.epochs))),
    )
