"""The best trials once more, on every runtime and with fresh seeds: does the optimum transfer?"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import closing
from itertools import product
from typing import Any

import numpy as np
from optuna.trial import FrozenTrial

from nncompare.errors import ConfigError, RuntimeFailure
from nncompare.launch.trials import TrialWorker, ready
from nncompare.records.rows import runtime_row
from nncompare.spec.runtimes import CATALOG, file_name
from nncompare.spec.tune import Tune
from nncompare.studies.tune.plan import SearchPlan, TrialJob
from nncompare.studies.tune.record import TuneConfirmed, TuneTransfer
from nncompare.studies.tune.trial import goal_values
from nncompare.studies.tune.watcher import Watcher
from nncompare.wire.messages import End, TrialEnd
from nncompare.wire.outcome import Outcome


class Confirmation:
    """Trains the best trials on every runtime of the experiment with the seeds that follow
    ``train.seed``.
    """

    def __init__(self, plan: SearchPlan, watcher: Watcher):
        self.plan = plan
        self.watcher = watcher
        self.rows: list[TuneConfirmed] = []
        """One for each training that has ended, so that an interruption keeps those."""
        self._workers: dict[str, TrialWorker] = {}
        """One a runtime, started when it is first needed."""

    def run(self, ranked: Sequence[FrozenTrial]) -> None:
        """Trains the first ``tune.confirm.top`` trials that differ in a parameter.

        Args:
            ranked: trials from the best on.
        """
        experiment = self.plan.experiment
        confirm = self.plan.tune.confirm
        chosen = enumerate(_distinct(ranked)[: confirm.top], start=1)
        first_seed = experiment.train.seed + 1
        # Seeds first, so that a search that is interrupted has compared all trials equally often.
        seeds = range(first_seed, first_seed + confirm.seeds)
        repetitions = list(product(seeds, chosen, experiment.backends))
        with closing(self):
            for seed, (rank, trial), runtime in repetitions:
                row = self._repeat(trial, rank, runtime, seed)
                self.rows.append(row)
                self.watcher.confirmed(row, len(self.rows), len(repetitions))

    def _repeat(self, trial: FrozenTrial, rank: int, runtime: str, seed: int) -> TuneConfirmed:
        """One of the best trials, once more."""
        head: dict[str, Any] = {
            "rank": rank,
            "trial": trial.number,
            "runtime": runtime,
            "seed": seed,
        }
        try:
            experiment = self.plan.experiment_of(trial.params)
            train = experiment.train.model_copy(update={"seed": seed})
            experiment = experiment.model_copy(update={"train": train})
            (job,) = self.plan.trial_jobs(experiment, runtime)
            outcome = self._train(job)
            if outcome.status != "ok":
                return TuneConfirmed(**head, status=outcome.status, reason=outcome.reason)
            row = runtime_row(job.job, outcome, job.examples)
            values = goal_values([row], self.plan.tune)
        except (ConfigError, RuntimeFailure) as error:
            return TuneConfirmed(**head, status="failed", reason=str(error))
        return TuneConfirmed(**head, status="ok", values=tuple(values))

    def _train(self, job: TrialJob) -> Outcome:
        """Trains one job and returns what came of it, whatever happens."""
        runtime = job.job.runtime
        outcome = Outcome(runtime=runtime)
        missing = CATALOG[runtime].missing()
        # A row with the reason, so that the table names every backend.
        if missing is not None:
            outcome.status = "refused"
            outcome.reason = missing
            return outcome
        # One worker trains all repetitions of its runtime, with its framework imported once.
        if runtime not in self._workers:
            self._workers[runtime] = self.plan.start_worker(runtime, "confirm")
        worker = self._workers[runtime]
        folder = self.plan.work / f"confirm-{file_name(runtime)}"
        worker.begin(folder, self.plan.request(job, judged=False))
        ended = self._listen(worker, outcome)
        # Who has not said that the training ended may be in any state.
        if not ended or self.plan.fresh_processes:
            worker.close()
            del self._workers[runtime]
        return outcome

    def _listen(self, worker: TrialWorker, outcome: Outcome) -> bool:
        """Gathers what a worker says; False if its training did not come to an end."""
        limit_s = self.plan.limit_s
        try:
            while ready([worker], limit_s):
                message = worker.receive()
                outcome.take(message)
                if isinstance(message, (TrialEnd, End)):
                    # The other one is the last word of the whole process.
                    return isinstance(message, TrialEnd)
        except RuntimeFailure as failure:
            outcome.status = failure.status
            outcome.reason = str(failure)
            return False
        outcome.status = "timed out"
        outcome.reason = f"silent for {limit_s:g} s"
        return False

    def close(self) -> None:
        """Ends all processes."""
        for worker in self._workers.values():
            worker.close()


def _distinct(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The trials without those whose parameters stand before them already."""
    found: dict[str, FrozenTrial] = {}
    for trial in trials:
        found.setdefault(json.dumps(trial.params, sort_keys=True), trial)
    return list(found.values())


def transfer(rows: Sequence[TuneConfirmed], tune: Tune) -> list[TuneTransfer]:
    """For each runtime the means over the seeds, and whether the search's best trial is the best
    there too.

    It holds if no other trial's mean is better by more than the standard error of the paired
    differences (same seeds).
    """
    sign = tune.metric[0].sign
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
    # Nothing trained well here, so nothing can be said of the optimum.
    if not rows:
        return TuneTransfer(runtime=runtime)
    by_trial: dict[str, dict[int, float]] = {}
    for row in rows:
        assert row.values, "rows with values"
        by_trial.setdefault(str(row.trial), {})[row.seed] = row.values[0]
    means = {}
    errors = {}
    for trial, by_seed in by_trial.items():
        values = list(by_seed.values())
        means[trial] = float(np.mean(values))
        errors[trial] = _standard_error(values)
    winner = min(means, key=lambda trial: (sign * means[trial], int(trial)))
    first = min(rows, key=lambda row: row.rank)
    # Paired by seed: the same initial weights and the same order of batches.
    gaps = []
    for seed, value in by_trial[str(first.trial)].items():
        if seed in by_trial[winner]:
            gaps.append(sign * (value - by_trial[winner][seed]))
    # Nothing shows that it holds where no seed has trained both.
    holds = bool(gaps) and float(np.mean(gaps)) <= _standard_error(gaps)
    return TuneTransfer(
        runtime=runtime, best_trial=int(winner), holds=holds, means=means, errors=errors
    )


def _standard_error(values: Sequence[float]) -> float:
    """The standard error of the values' mean; 0 of a single value, which has no spread."""
    if len(values) < 2:
        return 0.0
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))
