"""``run``: trains one experiment on every runtime and compares time and loss."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from nncompare.config.load import dump, to_mapping
from nncompare.data import prepare, signature
from nncompare.data.base import Data
from nncompare.errors import StoreError
from nncompare.launch import train_one
from nncompare.launch.background_load import BackgroundLoad
from nncompare.launch.machine import describe_environment
from nncompare.launch.resources import usable_threads
from nncompare.records.finished import Finished
from nncompare.records.folder import ResultFolder, create
from nncompare.records.ledger import ledger
from nncompare.records.record import head
from nncompare.records.rows import runtime_row
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.spec.experiment import Experiment
from nncompare.spec.job import Job
from nncompare.spec.runtimes import file_name
from nncompare.stats.relative import relative
from nncompare.studies.run.parity import run_parity
from nncompare.studies.run.record import STOPPED, Comparison, RunRecord
from nncompare.studies.run.watcher import NullWatcher, Watcher
from nncompare.studies.verify.record import Parity
from nncompare.wire.job_folder import LOG_FILE, WEIGHTS_FILE
from nncompare.wire.outcome import Outcome
from nncompare.wire.requests import TrainRequest


def plan_jobs(experiment: Experiment) -> list[Job]:
    """One job a runtime: the same but for the runtime's name."""
    needs = signature(experiment.data, experiment.task)
    threads = usable_threads(experiment.measure.threads)
    return [
        Job(
            runtime=runtime,
            experiment=experiment,
            signature=needs,
            device=experiment.measure.device,
            threads=threads,
            seed=experiment.train.seed,
        )
        for runtime in experiment.backends
    ]


def run(
    experiment: Experiment,
    *,
    output: Path | None = Path("results"),
    watcher: Watcher | None = None,
    save_weights: bool = False,
) -> Finished[RunRecord]:
    """Trains the experiment on every runtime, one fresh process each, one after the other.

    Ctrl-C during the training or the check of parity ends it, and what is finished is stored and
    returned.

    Args:
        experiment: from ``config.load``.
        output: where the result folder is made; None: nothing is stored.
        watcher: told of everything as it happens.
        save_weights: keep each runtime's final weights as safetensors.

    Raises:
        DataError: the data cannot be had; nothing has been written.
        StoreError: no result folder can be made; nothing has been trained.
    """
    watcher = watcher or NullWatcher()
    jobs_ = plan_jobs(experiment)
    data = prepare(
        experiment.data,
        experiment.task,
        seed=experiment.train.seed,
        dtype=np.dtype(experiment.train.dtype),
        report=watcher.prepares,
    )
    created = datetime.now().astimezone()
    with ExitStack() as stack:
        # before the training, so that a folder that cannot be written shows at once
        folder = (
            stack.enter_context(create(output, experiment.name, created=created))
            if output is not None
            else None
        )
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nncompare-")))
        data.save(work / "data")
        background = BackgroundLoad()
        outcomes = _train_all(jobs_, len(data.train), work, watcher, save_weights)
        environment = describe_environment(data) | {"others_cpu_share": background.share()}
        rows = tuple(runtime_row(job, outcomes.get(job.runtime), len(data.train)) for job in jobs_)
        watcher.prepares("compares what the runtimes computed")
        parity = _parity(experiment, data, jobs_, outcomes, rows, work, watcher.prepares)
        result = _document(experiment, environment, rows, created, folder, parity)
        if folder is None:
            return Finished(record=result)
        try:
            _store(folder, experiment, result, list(outcomes.values()), work)
        except StoreError as problem:
            return Finished(record=result, problem=problem)
    return Finished(record=result, folder=folder.path)


def _train_all(
    jobs_: Sequence[Job], examples: int, work: Path, watcher: Watcher, save_weights: bool
) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    # between two workers; during one, ``train_one.train`` tells of it
    with suppress(KeyboardInterrupt):
        for job in jobs_:
            watcher.started(job.runtime)
            outcome = _train_one(job, work, watcher, save_weights)
            outcomes[job.runtime] = outcome
            watcher.finished(job.runtime, runtime_row(job, outcome, examples))
            if outcome.status == "interrupted":
                break
    return outcomes


def _train_one(job: Job, work: Path, watcher: Watcher, save_weights: bool) -> Outcome:
    request = TrainRequest(job=job, data=work / "data", save_weights=save_weights)
    return train_one.train(request, _job_folder(work, job.runtime), listener=watcher)


def _parity(
    experiment: Experiment,
    data: Data,
    jobs_: Sequence[Job],
    outcomes: Mapping[str, Outcome],
    rows: Sequence[TrainedRuntime],
    work: Path,
    say: Callable[[str], None],
) -> Parity:
    folders = {job.runtime: _job_folder(work, job.runtime) for job in jobs_}
    try:
        return run_parity(experiment, data, jobs_, outcomes, rows, folders, say)
    except KeyboardInterrupt:
        return Parity(reason=STOPPED)
    except Exception as error:
        # a training of hours is not lost to a mistake in the check; what broke is told where parity
        # is
        return Parity(reason=f"the check itself broke: {type(error).__name__}: {error}")


def _job_folder(work: Path, runtime: str) -> Path:
    return work / file_name(runtime)


def _document(
    experiment: Experiment,
    environment: dict[str, Any],
    rows: tuple[TrainedRuntime, ...],
    created: datetime,
    folder: ResultFolder | None,
    parity: Parity,
) -> RunRecord:
    # other functions have no common clock: nothing is ranked
    timed = () if parity.status == "failed" else rows
    steps = {
        row.runtime: row.timing.step_s.median
        for row in timed
        if row.status == "ok" and row.timing.step_s
    }
    return RunRecord(
        **head(experiment.name, created=created, id=folder.id if folder else None),
        experiment=to_mapping(experiment),
        environment=environment,
        runtimes=rows,
        parity=parity,
        ledger=ledger(rows),
        comparison=Comparison(rounds=experiment.measure.rounds, relative=relative(steps)),
    )


def _store(
    folder: ResultFolder,
    experiment: Experiment,
    result: RunRecord,
    outcomes: Sequence[Outcome],
    work: Path,
) -> None:
    folder.write_experiment(dump(experiment))
    for outcome in outcomes:
        folder.append_slices(outcome.runtime, outcome.slices)
        job_folder = _job_folder(work, outcome.runtime)
        log = job_folder / LOG_FILE
        weights = job_folder / WEIGHTS_FILE
        if log.exists():
            folder.add_log(outcome.runtime, log)
        if weights.exists():
            shutil.copyfile(weights, folder.weights_path(outcome.runtime))
    folder.write_history(result.runtimes)
    folder.write_result(result)
    folder.publish()
