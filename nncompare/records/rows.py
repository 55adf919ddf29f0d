"""From what a worker said to one row of the result."""

from __future__ import annotations

from collections.abc import Sequence

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
    steady = [sample for sample in outcome.slices if sample.phase == "steady"]
    # a training may end before it has warmed up
    step_s = step_time((sample.steps, sample.seconds) for sample in steady) if steady else None
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
        timing=_timing(outcome, step_s, _samples_per_s(steady, job, examples)),
        memory=result.memory if result else Memory(),
        work=_work(job, examples, step_s),
        settings=outcome.settings,
    )


def not_started(runtime: str) -> TrainedRuntime:
    """The row of a runtime whose turn never came."""
    return TrainedRuntime(
        runtime=runtime, status="interrupted", reason="not started: the run was stopped"
    )


def _timing(outcome: Outcome, step_s: StepTime | None, samples_per_s: float | None) -> Timing:
    """What is known of the times; what a worker that did not finish has not said is None."""
    result = outcome.result
    train_s = sum(sample.seconds for sample in outcome.slices)
    return Timing(
        import_s=outcome.imported.import_s if outcome.imported else None,
        build_s=outcome.built.build_s if outcome.built else None,
        first_step_s=outcome.slices[0].seconds if outcome.slices else None,
        step_s=step_s,
        samples_per_s=samples_per_s,
        # of a training that has ended: a part of one is no training time
        train_s=train_s if result else None,
        evaluate_s=result.evaluate_s if result else None,
        total_s=result.total_s if result else None,
    )


def _samples_per_s(steady: Sequence[Slice], job: Job, examples: int) -> float | None:
    """Examples over seconds of the steady slices."""
    batch = job.experiment.train.batch_size
    steps_per_epoch = -(-examples // batch)
    trained = 0
    for sample in steady:
        trained += sample.steps * batch
        # the last batch of an epoch holds what is left
        if sample.end % steps_per_epoch == 0:
            trained -= steps_per_epoch * batch - examples
    spent_s = sum(sample.seconds for sample in steady)
    return trained / spent_s if spent_s else None


def _work(job: Job, examples: int, step_s: StepTime | None) -> Work:
    flops = job.model.training_flops(min(job.experiment.train.batch_size, examples))
    # faster than the clock can tell
    rate = flops / step_s.median / 1e9 if step_s and step_s.median > 0 else None
    return Work(flops_per_step=flops, gflops_per_s=rate)
