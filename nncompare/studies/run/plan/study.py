"""What ``run`` would do: every check and no training (``--dry-run``)."""

from __future__ import annotations

from pathlib import Path

from nncompare.config.load import to_mapping
from nncompare.data import is_at_hand, prepare
from nncompare.records.folder import check_place
from nncompare.spec.experiment import Experiment
from nncompare.spec.job import Job
from nncompare.spec.runtimes import CATALOG
from nncompare.studies.run.plan.record import PlannedRuntime, PlanRecord
from nncompare.studies.run.study import plan_jobs


def plan(experiment: Experiment, *, output: Path | None = Path("results")) -> PlanRecord:
    """Checks what a run needs, without a framework, a download or a written file.

    Args:
        experiment: from ``config.load``.
        output: where the result folder would be made; None: nothing would be stored.

    Raises:
        DataError: the data at hand cannot be used.
        StoreError: no folder could be made at ``output``.
    """
    # a place that cannot be written would end the run after hours of training
    if output is not None:
        check_place(output)
    jobs = plan_jobs(experiment)
    model = jobs[0].model
    batch = experiment.train.batch_size
    examples = None
    steps_per_epoch = None
    notes: tuple[str, ...] = (f"{experiment.data.name}: would be downloaded first",)
    # prepared, so that damaged files are found
    if is_at_hand(experiment.data):
        train = experiment.train
        data = prepare(experiment.data, experiment.task, seed=train.seed, dtype=train.dtype)
        examples = data.examples
        steps_per_epoch = -(-len(data.train) // batch)
        notes = data.notes
    return PlanRecord(
        name=experiment.name,
        experiment=to_mapping(experiment),
        runtimes=tuple(_row(job) for job in jobs),
        parameters=model.trainable_count,
        flops_per_step=model.training_flops(batch),
        examples=examples,
        steps_per_epoch=steps_per_epoch,
        notes=notes,
        output=None if output is None else str(output),
    )


def _row(job: Job) -> PlannedRuntime:
    entry = CATALOG[job.runtime]
    return PlannedRuntime(
        runtime=job.runtime,
        title=entry.title,
        missing=entry.missing(),
        device=job.device,
        threads=job.threads,
    )
