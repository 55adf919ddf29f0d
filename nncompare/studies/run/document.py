"""From what the workers said to the document of a run, also while some are still to come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nncompare.config.load import dump, to_mapping
from nncompare.records.folder import ResultFolder
from nncompare.records.ledger import ledger
from nncompare.records.record import Head
from nncompare.records.rows import runtime_row
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.spec.experiment import Experiment
from nncompare.spec.job import Job
from nncompare.stats.relative import relative
from nncompare.studies.run.record import Comparison, RunRecord
from nncompare.studies.verify.record import Parity
from nncompare.wire.job_folder import LOG_FILE, WEIGHTS_FILE
from nncompare.wire.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class Document:
    """What a run's document is made of, but for what its workers say.

    Args:
        experiment: of the run.
        jobs: one a runtime.
        folders: runtime -> its job folder.
        head: of the document.
        environment: of the run.
        examples: number of training examples.
    """

    experiment: Experiment
    jobs: Sequence[Job]
    folders: Mapping[str, Path]
    head: Head
    environment: Mapping[str, Any]
    examples: int

    def rows(self, outcomes: Mapping[str, Outcome]) -> tuple[TrainedRuntime, ...]:
        """One row a runtime, also of one whose turn has not come."""
        return tuple(
            runtime_row(job, outcomes.get(job.runtime), self.examples) for job in self.jobs
        )

    def record(
        self,
        outcomes: Mapping[str, Outcome],
        parity: Parity,
        *,
        others_cpu_share: float | None = None,
    ) -> RunRecord:
        """The document.

        Args:
            outcomes: runtime -> how its worker ended.
            parity: of the runtimes that have finished.
            others_cpu_share: of the processors, taken by other programs in the meantime.
        """
        rows = self.rows(outcomes)
        # other functions have no common clock: nothing is ranked
        steps = {} if parity.status == "failed" else _medians(rows)
        return RunRecord(
            **self.head,
            experiment=to_mapping(self.experiment),
            environment={**self.environment, "others_cpu_share": others_cpu_share},
            runtimes=rows,
            parity=parity,
            ledger=ledger(rows),
            comparison=Comparison(rounds=self.experiment.measure.rounds, relative=relative(steps)),
        )

    def write(
        self, folder: ResultFolder, record: RunRecord, outcomes: Mapping[str, Outcome]
    ) -> None:
        """Writes all files of a result.

        Raises:
            StoreError: one cannot be written.
        """
        folder.write_experiment(dump(self.experiment))
        folder.write_slices({runtime: outcome.slices for runtime, outcome in outcomes.items()})
        for runtime in outcomes:
            folder.add_log(runtime, self.folders[runtime] / LOG_FILE)
            folder.add_weights(runtime, self.folders[runtime] / WEIGHTS_FILE)
        folder.write_history(record.runtimes)
        folder.write_result(record)


def _medians(rows: Sequence[TrainedRuntime]) -> dict[str, float]:
    """Finished runtime -> its median step in seconds, if it was long enough to have one."""
    medians = {}
    for row in rows:
        if row.status == "ok" and row.timing.step_s is not None:
            medians[row.runtime] = row.timing.step_s.median
    return medians
