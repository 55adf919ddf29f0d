"""The parity of a run: what its workers saw, judged; or a full check; and the certificate that was
given before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from nncompare.data.base import Data
from nncompare.data.lookup import cache_folder
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.spec.experiment import Experiment
from nncompare.spec.job import Job
from nncompare.studies.run.record import STOPPED
from nncompare.studies.verify import certificates
from nncompare.studies.verify.growth import in_doubt
from nncompare.studies.verify.quick import judge_quick
from nncompare.studies.verify.record import Parity, VerifyRecord
from nncompare.studies.verify.study import verify
from nncompare.studies.verify.watcher import Watcher
from nncompare.wire.observation import read
from nncompare.wire.outcome import Outcome


def run_parity(
    experiment: Experiment,
    data: Data,
    jobs: Sequence[Job],
    outcomes: Mapping[str, Outcome],
    rows: Sequence[TrainedRuntime],
    folders: Mapping[str, Path],
    say: Callable[[str], None],
    *,
    stopped: bool = False,
) -> Parity:
    """What is known about sameness in a run.

    Args:
        experiment, data, jobs: of the run.
        outcomes: runtime -> how its worker ended.
        rows: of the result, for their versions.
        folders: runtime -> its job folder, where the observation lies.
        say: told what is done, if it is more than a second's work.
        stopped: the user has stopped the training; then no work of its own is begun.
    """
    # the short check knows the aligned formulas only
    if experiment.train.convention == "native":
        reason = "convention native, every framework with its own defaults; `nncompare verify` says"
        return Parity(reason=f"{reason} what they change")
    wanted = experiment.measure.parity
    if wanted == "off":
        return Parity(reason="measure.parity is off")
    finished = [row for row in rows if row.status == "ok"]
    # nothing was trained that could be the same
    if not finished:
        return Parity(reason="no runtime finished")
    checked = experiment.model_copy(update={"backends": tuple(row.runtime for row in finished)})
    # in float64, with every step: it needs workers of its own
    if wanted == "full":
        return Parity(reason=STOPPED) if stopped else _full(checked, say)
    seen = {}
    for row in finished:
        said = outcomes[row.runtime].parity
        # its training had ended, and its check had not
        if said is None and stopped:
            return Parity(reason=STOPPED)
        # a worker says how its check went, after the training and outside of its times
        error = "its worker said nothing" if said is None else said.error
        if error is not None:
            reason = f"the check itself broke: {row.runtime}: {error}"
            return Parity(form="quick", reason=reason)
        seen[row.runtime] = read(folders[row.runtime])
    found = judge_quick(jobs[0], data, seen)
    # every formula holds, and the first steps part: only float64 can tell a mistake from rounding
    # that grows fast
    if in_doubt(found.checks):
        if stopped:
            return Parity(reason=STOPPED)
        say("parity: the first steps part, though every formula holds; the full check decides")
        return _full(checked, say)
    versions = {row.runtime: row.versions for row in finished}
    known = certificates.recall(cache_folder() / "certificates", experiment, versions)
    return found.model_copy(update={"certificate": known})


class _Teller(Watcher):
    """Says what a full check does, a line for each worker that has ended and each phase."""

    def __init__(self, say: Callable[[str], None]):
        self._say = say

    def phase(self, text: str) -> None:
        self._say(f"parity: {text}")

    def ended(self, label: str, outcome: Outcome) -> None:
        self._say(f"parity: {label} {'observed' if outcome.status == 'ok' else outcome.status}")


def _full(experiment: Experiment, say: Callable[[str], None]) -> Parity:
    """A full check as the parity of a run."""
    result = verify(experiment, output=None, watcher=_Teller(say)).record
    return Parity(
        status="not_run" if result.status == "not_comparable" else result.status,
        form="full",
        reason=result.reason or _extent(result),
        certificate=result.created if result.status == "certified" else None,
        checks=result.checks,
        findings=result.findings,
    )


def _extent(result: VerifyRecord) -> str:
    """What a full check has compared."""
    steps = str(result.steps)
    # beyond it rounding has grown so far that any two trainings differ
    if result.limit is not None and result.limit.steps < result.steps:
        steps = f"the first {result.limit.steps} of {result.steps}"
    return f"forward pass, gradients, updates and {steps} steps in float64 and float32"
