"""From what a worker said to one row of the result."""

from __future__ import annotations

from nncompare.launch.train_one import Outcome
from nncompare.records.trained_runtime import (
    Epoch,
    Final,
    Memory,
    StepTime,
    Timing,
    TrainedRuntime,
    Work,
)
from nncompare.spec.job import Job
from nncompare.stats.summary import step_time


def runtime_row(job: Job, outcome: Outcome | None, examples: int) -> TrainedRuntime:
    """The row of one runtime.

    Args:
        job: what was asked.
        outcome: what came of it; None if it was never started.
        examples: training examples, for the size of a full batch.
    """
    if outcome is None:
        return TrainedRuntime(
            runtime=job.runtime, status="interrupted", reason="not started: the run was stopped"
        )
    batch = min(job.experiment.train.batch_size, examples)
    steady = _steady(outcome)
    timing = dict(outcome.result.get("timing", {}))
    timing |= {
        name: part[name]
        for part, name in ((outcome.imported, "import_s"), (outcome.built, "build_s"))
        if part
    }
    if outcome.slices and "first_step_s" not in timing:
        timing["first_step_s"] = outcome.slices[0][3]
    return TrainedRuntime(
        runtime=job.runtime,
        status=outcome.status,  # pydantic checks the word
        reason=outcome.reason,
        log=outcome.log,
        versions=outcome.imported.get("versions", {}),
        device=outcome.built.get("device"),
        device_name=outcome.built.get("device_name"),
        threads=job.threads if outcome.built else None,
        parameters=outcome.built.get("parameters"),
        history=tuple(Epoch(**row) for row in outcome.history),
        final=Final(**outcome.result.get("final", {})),
        timing=Timing(
            **timing, step_s=steady, samples_per_s=_samples_per_s(outcome, job, examples)
        ),
        memory=Memory(**outcome.result.get("memory", {})),
        work=_work(job, batch, steady),
        settings=outcome.built.get("settings", {}),
    )


def _steady(outcome: Outcome) -> StepTime | None:
    """Step time over the slices after warm-up; None if training was too short to have any."""
    rows = [
        (end - begin, seconds)
        for _, begin, end, seconds, _, phase in outcome.slices
        if phase == "steady"
    ]
    return StepTime(**step_time(rows)) if rows else None


def _samples_per_s(outcome: Outcome, job: Job, examples: int) -> float | None:
    """Examples over seconds of the steady slices."""
    batch, per_epoch = (
        job.experiment.train.batch_size,
        -(-examples // job.experiment.train.batch_size),
    )
    seen = spent = 0.0
    for _, begin, end, seconds, _, phase in outcome.slices:
        if phase == "steady":
            partial = (batch - (examples - (per_epoch - 1) * batch)) if end % per_epoch == 0 else 0
            seen += (end - begin) * batch - partial
            spent += seconds
    return seen / spent if spent else None


def _work(job: Job, batch: int, steady: StepTime | None) -> Work:
    flops = job.model.training_flops(batch)
    rate = flops / steady.median / 1e9 if steady and steady.median > 0 else None
    return Work(flops_per_step=flops, gflops_per_s=rate)
