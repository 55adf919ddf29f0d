"""``run``: trains one experiment on every runtime and compares time and loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from nncompare.data import prepare, signature
from nncompare.data.base import Data
from nncompare.errors import StoreError
from nncompare.launch.background_load import BackgroundLoad
from nncompare.launch.machine import describe_environment
from nncompare.launch.resources import too_many_threads, usable_threads
from nncompare.launch.run_worker import run_worker
from nncompare.launch.scratch import scratch_folder
from nncompare.records.finished import Finished
from nncompare.records.folder import ResultFolder, create_if_stored
from nncompare.records.record import head
from nncompare.records.rows import runtime_row
from nncompare.records.storing import store
from nncompare.spec.experiment import Experiment
from nncompare.spec.job import Job
from nncompare.spec.runtimes import file_name
from nncompare.studies.run.document import Document
from nncompare.studies.run.parity import run_parity
from nncompare.studies.run.record import STOPPED, RunRecord
from nncompare.studies.run.watcher import Watcher
from nncompare.studies.verify.record import Parity
from nncompare.terminal.signals import Held, held
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

    What a runtime has done is stored as soon as it ends. Ctrl-C ends the training or the check of
    parity, whatever it meets, and what is finished is stored and returned.

    Args:
        experiment: from ``config.load``.
        output: where the result folder is made; None: nothing is stored.
        watcher: told of everything as it happens.
        save_weights: keep each runtime's final weights as safetensors.

    Raises:
        DataError: the data cannot be had; nothing has been written.
        StoreError: no result folder can be made; nothing has been trained.
        KeyboardInterrupt: Ctrl-C before the first runtime was started.
    """
    watcher = watcher or Watcher()
    with held() as signals:
        with signals.obeyed():
            jobs = plan_jobs(experiment)
            if fewer := too_many_threads(experiment.measure.threads):
                watcher.prepares(fewer)
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
            create_if_stored(
                output, experiment.name, created=created, say=watcher.prepares
            ) as folder,
            scratch_folder() as work,
        ):
            document = Document(
                experiment=experiment,
                jobs=jobs,
                folders={job.runtime: work / file_name(job.runtime) for job in jobs},
                head=head(experiment.name, created=created, id=folder.id if folder else None),
                environment=describe_environment(data),
                examples=len(data.train),
            )
            with signals.obeyed():
                data.save(work / "data")
            requests = [
                TrainRequest(job=job, data=work / "data", save_weights=save_weights) for job in jobs
            ]
            background = BackgroundLoad()
            outcomes = _train_all(requests, document, folder, watcher, signals)
            share = background.share()
            parity = _parity(document, data, outcomes, watcher, signals)
            result = document.record(outcomes, parity, others_cpu_share=share)
            # asked for from Python, where the figures are at hand
            if folder is None:
                return Finished(record=result)
            path, problem = store(folder, lambda place: document.write(place, result, outcomes))
            return Finished(record=result, folder=path, problem=problem)


def _train_all(
    requests: Sequence[TrainRequest],
    document: Document,
    folder: ResultFolder | None,
    watcher: Watcher,
    signals: Held,
) -> dict[str, Outcome]:
    """Runtime -> how its worker ended, up to the one that Ctrl-C has ended."""
    outcomes: dict[str, Outcome] = {}
    for request in requests:
        runtime = request.runtime
        watcher.started(runtime)
        outcome = run_worker(
            request,
            document.folders[runtime],
            timeout_s=request.job.experiment.measure.timeout_s,
            timeout_setting="measure.timeout_s",
            listener=watcher,
            keep_interrupted=True,
            interruptible=signals.obeyed,
        )
        outcomes[runtime] = outcome
        watcher.finished(runtime, runtime_row(request.job, outcome, document.examples))
        if folder is not None:
            # where there is no room for it the end says so, and the others are trained all the same
            with suppress(StoreError):
                unchecked = document.record(outcomes, Parity(reason=STOPPED))
                document.write(folder, unchecked, outcomes)
        # Ctrl-C is meant for the run and not for one of its runtimes
        if outcome.status == "interrupted" or signals.came:
            break
    return outcomes


def _parity(
    document: Document,
    data: Data,
    outcomes: Mapping[str, Outcome],
    watcher: Watcher,
    signals: Held,
) -> Parity:
    """The check after the training, whatever happens to it."""
    watcher.prepares("compares what the runtimes computed")
    stopped = any(outcome.status == "interrupted" for outcome in outcomes.values())
    try:
        with signals.obeyed():
            return run_parity(
                document.experiment,
                data,
                document.jobs,
                outcomes,
                document.rows(outcomes),
                document.folders,
                watcher.prepares,
                stopped=stopped or signals.came,
            )
    except KeyboardInterrupt:
        return Parity(reason=STOPPED)
    except Exception as error:
        # a training of hours is not lost to a mistake in the check; what broke is told where parity
        # is
        return Parity(reason=f"the check itself broke: {type(error).__name__}: {error}")
