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

from nncompare.data.base import Part
from nncompare.errors import ConfigError, RuntimeFailure
from nncompare.launch.trials import TrialWorker, ready
from nncompare.spec.experiment import Experiment
from nncompare.spec.runtimes import CATALOG
from nncompare.spec.tune import Tune
from nncompare.studies.run.rows import runtime_row
from nncompare.studies.tune.record import TuneConfirmed, TuneTransfer
from nncompare.studies.tune.trial import (
    DataStore,
    TrialJob,
    evaluated_parts,
    experiment_of,
    tasks,
    values_of,
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
    """

    threads: int
    timeout_s: float
    work: Path
    logs: Path
    _workers: dict[str, TrialWorker] = field(default_factory=dict)

    def train(self, task: TrialJob, parts: tuple[Part, ...], *, fresh: bool) -> Outcome:
        """Trains one job and returns what came of it, whatever happens."""
        runtime = task.job.runtime
        outcome = Outcome(runtime=runtime)
        missing = CATALOG[runtime].missing()
        if missing is not None:
            outcome.status, outcome.reason = "refused", missing
            return outcome
        folder = self.work / f"confirm-{runtime.replace(':', '-')}"
        request = TrialRequest(job=task.job, data=task.data, judged=False, parts=parts)
        worker = self._worker(task)
        worker.begin(folder, request)
        ended = False
        try:
            while not ended:
                if not ready([worker], self.timeout_s):
                    outcome.status, outcome.reason = "timed out", f"silent for {self.timeout_s:g} s"
                    break
                message = worker.receive()
                outcome.take(message)
                ended = isinstance(message, TrialEnd)
                if isinstance(message, End):
                    break
        except RuntimeFailure as failure:
            outcome.status, outcome.reason = failure.status, str(failure)
        if not ended or fresh:
            worker.close()
            del self._workers[runtime]
        return outcome

    def _worker(self, task: TrialJob) -> TrialWorker:
        runtime = task.job.runtime
        if runtime not in self._workers:
            self._workers[runtime] = TrialWorker(
                runtime,
                threads=self.threads,
                device=task.job.device,
                home=self.work,
                log=self.logs / f"{runtime.replace(':', '-')}-confirm.log",
            )
        return self._workers[runtime]

    def close(self) -> None:
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()


def confirm(
    experiment: Experiment,
    best: Sequence[FrozenTrial],
    bench: ConfirmationWorkers,
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
    distinct: dict[str, FrozenTrial] = {}
    for trial in best:
        distinct.setdefault(json.dumps(trial.params, sort_keys=True), trial)
    chosen = list(enumerate(list(distinct.values())[: tune.confirm.top], start=1))
    seeds = [experiment.train.seed + 1 + k for k in range(tune.confirm.seeds)]
    total, found = len(chosen) * len(seeds) * len(experiment.backends), []
    with ExitStack() as stack:
        stack.callback(bench.close)
        for seed in seeds:
            for rank, trial in chosen:
                for runtime in experiment.backends:
                    row = _one(experiment, trial, rank, runtime, seed, bench, data)
                    found.append(row)
                    told(row, len(found), total)
    return found


def _one(
    experiment: Experiment,
    trial: FrozenTrial,
    rank: int,
    runtime: str,
    seed: int,
    bench: ConfirmationWorkers,
    data: DataStore,
) -> TuneConfirmed:
    tune = experiment.tune
    assert tune is not None, "a search has a tune section"
    head: dict[str, Any] = {"rank": rank, "trial": trial.number, "runtime": runtime, "seed": seed}
    try:
        changed = experiment_of(experiment, trial.params)
    except ConfigError as error:
        return TuneConfirmed(**head, status="failed", reason=str(error))
    changed = changed.model_copy(update={"train": changed.train.model_copy(update={"seed": seed})})
    (task,) = tasks(changed, runtime, bench.threads, data)
    parts = evaluated_parts(tune)
    outcome = bench.train(task, parts, fresh=any(goal.name == "peak_bytes" for goal in tune.metric))
    if outcome.status != "ok":
        return TuneConfirmed(**head, status=outcome.status, reason=outcome.reason)
    values = values_of([runtime_row(task.job, outcome, task.examples)], tune)
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
        own = [row for row in rows if row.runtime == runtime and row.values is not None]
        by_trial: dict[int, dict[int, float]] = {}
        for row in own:
            by_trial.setdefault(row.trial, {})[row.seed] = row.values[0] if row.values else 0.0
        if not by_trial:
            found.append(TuneTransfer(runtime=runtime))
            continue
        means = {trial: float(np.mean(list(values.values()))) for trial, values in by_trial.items()}
        errors = {trial: _error(list(values.values())) for trial, values in by_trial.items()}
        first = min(own, key=lambda row: row.rank).trial
        winner = min(means, key=lambda trial: (sign * means[trial], trial))
        shared = sorted(by_trial[first].keys() & by_trial[winner].keys())
        gaps = [sign * (by_trial[first][seed] - by_trial[winner][seed]) for seed in shared]
        holds = first == winner or (bool(gaps) and float(np.mean(gaps)) <= _error(gaps))
        found.append(
            TuneTransfer(
                runtime=runtime,
                best_trial=winner,
                holds=holds,
                means={str(trial): value for trial, value in means.items()},
                errors={str(trial): value for trial, value in errors.items()},
            )
        )
    return found


def _error(values: Sequence[float]) -> float:
    """Standard error of a mean; 0 of a single value."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
