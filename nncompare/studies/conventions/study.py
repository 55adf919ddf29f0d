"""``compare-conventions``: what "just using the defaults" costs, one experiment trained in both
conventions.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from nncompare.config.load import dump, to_mapping
from nncompare.records.finished import Finished
from nncompare.records.folder import ResultFolder, create_if_stored
from nncompare.records.record import head
from nncompare.records.rows import not_started
from nncompare.records.storing import store
from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.spec.experiment import Experiment
from nncompare.studies.conventions.record import (
    QUANTITIES,
    ConventionRow,
    ConventionsRecord,
    Difference,
    Spread,
)
from nncompare.studies.run.record import RunRecord
from nncompare.studies.run.study import run
from nncompare.studies.run.watcher import Watcher
from nncompare.terminal.signals import held

CONVENTIONS = ("aligned", "native")
_LONGEST_NAME = 64


def compare_conventions(
    experiment: Experiment,
    *,
    output: Path | None = Path("results"),
    watcher: Watcher | None = None,
) -> Finished[ConventionsRecord]:
    """Trains the experiment in both conventions on every runtime: same seed, same batches.

    Each convention's run is stored as ``studies.run`` stores it, as ``<name>-aligned-…`` and
    ``<name>-native-…``; the comparison, which names both, stands beside them.

    Args:
        experiment: from ``config.load``; its own convention is not read.
        output: where the result folders are made; None: nothing is stored.
        watcher: told of both runs, and before each of its convention.

    Raises:
        DataError, StoreError: nothing has been trained.
        KeyboardInterrupt: Ctrl-C before the first runtime was started.
    """
    watcher = watcher or Watcher()
    created = datetime.now().astimezone()
    with (
        held() as signals,
        create_if_stored(output, experiment.name, created=created, say=watcher.prepares) as folder,
    ):
        runs: dict[str, Finished[RunRecord]] = {}
        for convention in CONVENTIONS:
            # a user who stops the first run gets no second one
            if signals.came or any(run.record.interrupted for run in runs.values()):
                break
            watcher.prepares(f"convention {convention}:")
            try:
                runs[convention] = run(
                    in_convention(experiment, convention), output=output, watcher=watcher
                )
            except KeyboardInterrupt:
                # nothing has been trained of it, and there may be another one
                if not runs:
                    raise
        # stopped before the first one
        if not runs:
            raise KeyboardInterrupt
        result = _document(experiment, runs, created, folder)
        problem = next((run.problem for run in runs.values() if run.problem is not None), None)
        # a comparison that names a run which is not there would be of no use
        if folder is None or problem is not None:
            return Finished(record=result, problem=problem)
        path, problem = store(folder, lambda place: _write(place, experiment, result))
        return Finished(record=result, folder=path, problem=problem)


def in_convention(experiment: Experiment, convention: str) -> Experiment:
    """The experiment with this convention, under a name that says so. What the file leaves open
    stays open.
    """
    train = experiment.train.model_copy(update={"convention": convention})
    # names become folders, whose length the file systems limit
    name = f"{experiment.name[: _LONGEST_NAME - len(convention) - 1]}-{convention}"
    return experiment.model_copy(update={"train": train, "name": name})


def _write(folder: ResultFolder, experiment: Experiment, result: ConventionsRecord) -> None:
    native = in_convention(experiment, "native").model_copy(update={"name": experiment.name})
    folder.write_experiment(dump(native))  # the aligned form would write out what is to stay open
    folder.write_result(result)


def _document(
    experiment: Experiment,
    runs: dict[str, Finished[RunRecord]],
    created: datetime,
    folder: ResultFolder | None,
) -> ConventionsRecord:
    aligned = runs["aligned"].record
    native = runs["native"].record if "native" in runs else None
    native_rows = {row.runtime: row for row in native.runtimes} if native else {}
    rows = tuple(_row(row, native_rows.get(row.runtime)) for row in aligned.runtimes)
    ids = {name: run.record.id if run.folder else None for name, run in runs.items()}
    return ConventionsRecord(
        **head(experiment.name, created=created, id=folder.id if folder else None),
        experiment=to_mapping(in_convention(experiment, "native")) | {"name": experiment.name},
        environment=aligned.environment,
        runtimes=rows,
        spread={name: _spread(rows, name) for name in QUANTITIES},
        parity=aligned.parity,
        ledger=native.ledger if native else (),
        runs=ids,
    )


def _row(aligned: TrainedRuntime, native: TrainedRuntime | None) -> ConventionRow:
    # a user who stops the first run gets no second one
    if native is None:
        native = not_started(aligned.runtime)
    differences: dict[str, float] = {}
    for name in QUANTITIES:
        before = getattr(aligned.final, name)
        after = getattr(native.final, name)
        # a runtime that did not finish in one of them has nothing to subtract
        if before is not None and after is not None:
            differences[name] = after - before
    difference = Difference(**differences)
    return ConventionRow(
        runtime=aligned.runtime, aligned=aligned, native=native, difference=difference
    )


def _spread(rows: Sequence[ConventionRow], name: str) -> Spread:
    """How far the runtimes lie apart in one quantity, in each convention."""
    aligned = [row.aligned for row in rows]
    native = [row.native for row in rows]
    return Spread(aligned=_range(aligned, name), native=_range(native, name))


def _range(rows: Sequence[TrainedRuntime], name: str) -> float | None:
    """Largest minus smallest over the runtimes that finished; None with fewer than two."""
    values = [getattr(row.final, name) for row in rows if row.status == "ok"]
    known = [value for value in values if value is not None]
    return max(known) - min(known) if len(known) > 1 else None
