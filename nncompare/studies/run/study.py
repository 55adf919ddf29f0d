"""``run``: trains one experiment on every runtime and compares time and loss."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from nncompare.config.load import dump, to_mapping
from nncompare.data import prepare, signature
from nncompare.errors import StoreError
from nncompare.launch.background_load import BackgroundLoad
from nncompare.launch.machine import describe_environment
from nncompare.launch.resources import usable_threads
from nncompare.launch.run_worker import run_worker
from nncompare.records.finished import Finished
from nncompare.records.folder import ResultFolder, create_if_stored
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
from nncompare.studies.run.watcher import Watcher
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
    watcher = watcher or Watcher()
    jobs = plan_jobs(experiment)
    train = experiment.train
    data = prepare(
        experiment.data,
        experiment.task,
        seed=train.seed,
        dtype=train.dtype,
        report=watcher.prepares,
    )
    created = datetime.now().astimezone()
    # before the training, so that a folder that cannot be written shows at once
    with (
        create_if_stored(output, experiment.name, created=created) as folder,
        tempfile.TemporaryDirectory(prefix="nncompare-") as scratch,
    ):
        work = Path(scratch)
        job_folders = {job.runtime: work / file_name(job.runtime) for job in jobs}
        data.save(work / "data")
        background = BackgroundLoad()
        requests = [
            TrainRequest(job=job, data=work / "data", save_weights=save_weights) for job in jobs
        ]
        outcomes = _train_all(requests, job_folders, len(data.train), watcher)
        environment = describe_environment(data) | {"others_cpu_share": background.share()}
        rows = tuple(runtime_row(job, outcomes.get(job.runtime), len(data.train)) for job in jobs)
        watcher.prepares("compares what the runtimes computed")
        try:
            parity = run_parity(
                experiment, data, jobs, outcomes, rows, job_folders, watcher.prepares
            )
        except KeyboardInterrupt:
            parity = Parity(reason=STOPPED)
        except Exception as error:
            # a training of hours is not lost to a mistake in the check; what broke is told where
            # parity is
            parity = Parity(reason=f"the check itself broke: {type(error).__name__}: {error}")
        # other functions have no common clock: nothing is ranked
        steps = {} if parity.status == "failed" else _medians(rows)
        result = RunRecord(
            **head(experiment.name, created=created, id=folder.id if folder else None),
            experiment=to_mapping(experiment),
            environment=environment,
            runtimes=rows,
            parity=parity,
            ledger=ledger(rows),
            comparison=Comparison(rounds=experiment.measure.rounds, relative=relative(steps)),
        )
        # asked for from Python, where the figures are at hand
        if folder is None:
            return Finished(record=result)
        try:
            _store(folder, experiment, result, outcomes, job_folders)
        except StoreError as problem:
            return Finished(record=result, problem=problem)
    return Finished(record=result, folder=folder.path)


def _train_all(
    requests: Sequence[TrainRequest],
    job_folders: Mapping[str, Path],
    examples: int,
    watcher: Watcher,
) -> dict[str, Outcome]:
    outcomes: dict[str, Outcome] = {}
    # Ctrl-C between two workers; during one, its outcome tells of it
    with suppress(KeyboardInterrupt):
        for request in requests:
            runtime = request.runtime
            watcher.started(runtime)
            outcome = run_worker(
                request,
                job_folders[runtime],
                timeout_s=request.job.experiment.measure.timeout_s,
                timeout_setting="measure.timeout_s",
                listener=watcher,
                keep_interrupted=True,
            )
            outcomes[runtime] = outcome
            watcher.finished(runtime, runtime_row(request.job, outcome, examples))
            # Ctrl-C is meant for the run and not for one of its runtimes
            if outcome.status == "interrupted":
                break
    return outcomes


def _medians(rows: Sequence[TrainedRuntime]) -> dict[str, float]:
    """Finished runtime -> its median step in seconds, if it was long enough to have one."""
    medians = {}
    for row in rows:
        if row.status == "ok" and row.timing.step_s is not None:
            medians[row.runtime] = row.timing.step_s.median
    return medians


def _store(
    folder: ResultFolder,
    experiment: Experiment,
    result: RunRecord,
    outcomes: Mapping[str, Outcome],
    job_folders: Mapping[str, Path],
) -> None:
    folder.write_experiment(dump(experiment))
    folder.write_slices({runtime: outcome.slices for runtime, outcome in outcomes.items()})
    for runtime in outcomes:
        folder.add_log(runtime, job_folders[runtime] / LOG_FILE)
        folder.add_weights(runtime, job_folders[runtime] / WEIGHTS_FILE)
    folder.write_history(result.runtimes)
    folder.write_result(result)
    folder.publish()
