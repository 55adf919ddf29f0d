"""From what a worker said to one row of the result."""

from __future__ import annotations

from nncompare.records.trained_runtime import (
    Final,
    Memory,
    StepTime,
    Timing,
    TrainedRuntime,
    Work,
)
from nncompare.spec.job import Job
from nncompare.stats.summary import step_time
from nncompare.wire.outcome import Outcome
from nncompare.wire.slice import Slice


def runtime_row(job: Job, outcome: Outcome | None, examples: int) -> TrainedRuntime:
    """The row of one runtime.

    Args:
        job: what was asked.
        outcome: what came of it; None if it was never started.
        examples: training examples, for the size of a full batch.
    """
    if outcome is None:
        return not_started(job.runtime)
    batch = min(job.experiment.train.batch_size, examples)
    steady = _steady(outcome)
    built = outcome.built
    result = outcome.result
    return TrainedRuntime(
        runtime=job.runtime,
        status=outcome.status,  # pydantic checks the word
        reason=outcome.reason,
        log=outcome.log,
        versions=outcome.versions,
        device=built.device.kind if built else None,
        device_name=built.device_name if built else None,
        threads=job.threads if built else None,
        parameters=built.parameters if built else None,
        history=tuple(outcome.history),
        final=result.final if result else Final(),
        timing=_timing(outcome, steady, _samples_per_s(outcome, job, examples)),
        memory=result.memory if result else Memory(),
        work=_work(job, batch, steady),
        settings=outcome.settings,
    )


def not_started(runtime: str) -> TrainedRuntime:
    """The row of a runtime whose turn never came."""
    return TrainedRuntime(
        runtime=runtime, status="interrupted", reason="not started: the run was stopped"
    )


def _timing(outcome: Outcome, steady: StepTime | None, samples_per_s: float | None) -> Timing:
    """What is known of the times; what a worker that did not finish has not said is None."""
    result = outcome.result
    train_s = sum(sample.seconds for sample in outcome.slices)
    return Timing(
        import_s=outcome.imported.import_s if outcome.imported else None,
        build_s=outcome.built.build_s if outcome.built else None,
        first_step_s=outcome.slices[0].seconds if outcome.slices else None,
        step_s=steady,
        samples_per_s=samples_per_s,
        # of a training that has ended: a part of one is no training time
        train_s=train_s if result else None,
        evaluate_s=result.evaluate_s if result else None,
        total_s=result.total_s if result else None,
    )


def _steady_slices(outcome: Outcome) -> list[Slice]:
    return [sample for sample in outcome.slices if sample.phase == "steady"]


def _steady(outcome: Outcome) -> StepTime | None:
    """Step time over the slices after warm-up; None if training was too short to have any."""
    steady = _steady_slices(outcome)
    if not steady:
        return None
    return step_time((sample.steps, sample.seconds) for sample in steady)


def _samples_per_s(outcome: Outcome, job: Job, examples: int) -> float | None:
    """Examples over seconds of the steady slices."""
    batch = job.experiment.train.batch_size
    steps_per_epoch = -(-examples // batch)
    missing_in_last_batch = steps_per_epoch * batch - examples
    trained = 0
    spent_s = 0.0
    for sample in _steady_slices(outcome):
        trained += sample.steps * batch
        if sample.end % steps_per_epoch == 0:
            trained -= missing_in_last_batch
        spent_s += sample.seconds
    return trained / spent_s if spent_s else None


def _work(job: Job, batch: int, steady: StepTime | None) -> Work:
    flops = job.model.training_flops(batch)
    rate = flops / steady.median / 1e9 if steady and steady.median > 0 else None
    return Work(flops_per_step=flops, gflops_per_s=rate)
