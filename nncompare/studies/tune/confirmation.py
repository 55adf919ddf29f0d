"""The best trials once more, on every runtime and with fresh seeds: does the optimum transfer?"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial

from nncompare.errors import ConfigError, RuntimeFailure
from nncompare.launch.trials import TrialWorker, ready
from nncompare.records.rows import runtime_row
from nncompare.spec.experiment import Experiment
from nncompare.spec.runtimes import CATALOG, file_name
from nncompare.spec.tune import Tune
from nncompare.studies.tune.data_store import DataStore
from nncompare.studies.tune.record import TuneConfirmed, TuneTransfer
from nncompare.studies.tune.trial import (
    TrialJob,
    evaluated_parts,
    experiment_of,
    goal_values,
    measures_peak_memory,
    trial_jobs,
)
from nncompare.wire.messages import End, TrialEnd
from nncompare.wire.outcome import Outcome
from nncompare.wire.requests import TrialRequest


@dataclass(kw_only=True)
class ConfirmationWorkers:
    """One worker a runtime, started when it is first needed.

    Args:
        threads: of each.
        timeout_s: of one training.
        work: a folder of this process alone.
        logs: where the workers' logs go.
    """

    threads: int
    timeout_s: float
    work: Path
    logs: Path
    _workers: dict[str, TrialWorker] = field(default_factory=dict)

    def train(self, job: TrialJob, tune: Tune) -> Outcome:
        """Trains one job and returns what came of it, whatever happens."""
        runtime = job.job.runtime
        outcome = Outcome(runtime=runtime)
        missing = CATALOG[runtime].missing()
        if missing is not None:
            outcome.status = "refused"
            outcome.reason = missing
            return outcome
        request = TrialRequest(
            job=job.job, data=job.data, judged=False, parts=evaluated_parts(tune)
        )
        worker = self._worker(job)
        worker.begin(self.work / f"confirm-{file_name(runtime)}", request)
        ended = self._listen(worker, outcome)
        # Who has not said that the training ended may be in any state.
        if not ended or measures_peak_memory(tune):
            worker.close()
            del self._workers[runtime]
        return outcome

    def _listen(self, worker: TrialWorker, outcome: Outcome) -> bool:
        """Gathers what a worker says; False if its training did not come to an end."""
        try:
            while ready([worker], self.timeout_s):
                message = worker.receive()
                outcome.take(message)
                if isinstance(message, TrialEnd):
                    return True
                if isinstance(message, End):
                    return False
        except RuntimeFailure as failure:
            outcome.status = failure.status
            outcome.reason = str(failure)
            return False
        outcome.status = "timed out"
        outcome.reason = f"silent for {self.timeout_s:g} s"
        return False

    def _worker(self, job: TrialJob) -> TrialWorker:
        runtime = job.job.runtime
        if runtime not in self._workers:
            self._workers[runtime] = TrialWorker(
                runtime,
                threads=self.threads,
                device=job.job.device,
                home=self.work,
                log=self.logs / f"{file_name(runtime)}-confirm.log",
            )
        return self._workers[runtime]

    def close(self) -> None:
        """Ends all processes."""
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()


def confirm_best(
    experiment: Experiment,
    best: Sequence[FrozenTrial],
    workers: ConfirmationWorkers,
    data: DataStore,
    told: Callable[[TuneConfirmed, int, int], None],
) -> list[TuneConfirmed]:
    """Trains the best trials on every runtime of the experiment with the seeds that follow
    ``train.seed``.

    Args:
        best: from the best on; the first ``tune.confirm.top`` that differ in a parameter are taken.
        told: of each training: its row, its place and the number of all.
    """
    tune = experiment.tune
    assert tune is not None, "a search has a tune section"
    chosen = _distinct(best)[: tune.confirm.top]
    seeds = [experiment.train.seed + 1 + k for k in range(tune.confirm.seeds)]
    total = len(chosen) * len(seeds) * len(experiment.backends)
    found: list[TuneConfirmed] = []
    with ExitStack() as stack:
        stack.callback(workers.close)
        # Seeds outside, so that a search that is interrupted has compared all trials equally often.
        for seed in seeds:
            for rank, trial in enumerate(chosen, start=1):
                for runtime in experiment.backends:
                    row = _confirm(experiment, trial, rank, runtime, seed, workers, data)
                    found.append(row)
                    told(row, len(found), total)
    return found


def _distinct(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials without those whose parameters stand before them already."""
    found: dict[str, FrozenTrial] = {}
    for trial in trials:
        found.setdefault(json.dumps(trial.params, sort_keys=True), trial)
    return list(found.values())


def _confirm(
    experiment: Experiment,
    trial: FrozenTrial,
    rank: int,
    runtime: str,
    seed: int,
    workers: ConfirmationWorkers,
    data: DataStore,
) -> TuneConfirmed:
    """One of the best trials, once more."""
    tune = experiment.tune
    assert tune is not None, "a search has a tune section"
    head: dict[str, Any] = {"rank": rank, "trial": trial.number, "runtime": runtime, "seed": seed}
    try:
        changed = experiment_of(experiment, trial.params)
    except ConfigError as error:
        return TuneConfirmed(**head, status="failed", reason=str(error))
    train = changed.train.model_copy(update={"seed": seed})
    changed = changed.model_copy(update={"train": train})
    (job,) = trial_jobs(changed, runtime, workers.threads, data)
    outcome = workers.train(job, tune)
    if outcome.status != "ok":
        return TuneConfirmed(**head, status=outcome.status, reason=outcome.reason)
    values = goal_values([runtime_row(job.job, outcome, job.examples)], tune)
    if isinstance(values, str):
        return TuneConfirmed(**head, status="failed", reason=values)
    return TuneConfirmed(**head, status="ok", values=tuple(values))


def transfer(rows: Sequence[TuneConfirmed], tune: Tune) -> list[TuneTransfer]:
    """For each runtime the means over the seeds, and whether the search's best trial is the best
    there too.

    It holds if no other trial's mean is better by more than the standard error of the paired
    differences (same seeds).
    """
    sign = -1 if tune.directions[0] == "maximize" else 1
    found = []
    for runtime in dict.fromkeys(row.runtime for row in rows):
        own = [row for row in rows if row.runtime == runtime and row.values]
        found.append(_transfer_to(runtime, own, sign))
    return found


def _transfer_to(runtime: str, rows: Sequence[TuneConfirmed], sign: int) -> TuneTransfer:
    """Whether the optimum holds on one runtime.

    Args:
        rows: of this runtime, with values.
        sign: -1 where more is better.
    """
    if not rows:
        return TuneTransfer(runtime=runtime)
    by_trial: dict[int, dict[int, float]] = {}
    for row in rows:
        assert row.values, "rows with values"
        by_trial.setdefault(row.trial, {})[row.seed] = row.values[0]
    means = {}
    errors = {}
    for trial, by_seed in by_trial.items():
        values = list(by_seed.values())
        means[trial] = float(np.mean(values))
        errors[trial] = _standard_error(values)
    first = min(rows, key=lambda row: row.rank).trial
    winner = min(means, key=lambda trial: (sign * means[trial], trial))
    # Paired by seed: the same initial weights and the same order of batches.
    shared = sorted(by_trial[first].keys() & by_trial[winner].keys())
    gaps = [sign * (by_trial[first][seed] - by_trial[winner][seed]) for seed in shared]
    holds = first == winner
    if not holds and gaps:
        holds = float(np.mean(gaps)) <= _standard_error(gaps)
    return TuneTransfer(
        runtime=runtime,
        best_trial=winner,
        holds=holds,
        means={str(trial): value for trial, value in means.items()},
        errors={str(trial): value for trial, value in errors.items()},
    )


def _standard_error(values: Sequence[float]) -> float:
    """The standard error of the values' mean; 0 of a single value, which has no spread."""
    if len(values) < 2:
        return 0.0
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))
