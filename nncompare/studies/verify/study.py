"""``verify``: every runtime through the same check, judged by formulas and against each other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from nncompare.config.load import dump
from nncompare.data.lookup import cache_folder
from nncompare.errors import UsageError
from nncompare.launch.scratch import scratch_folder
from nncompare.records.finished import Finished
from nncompare.records.folder import ResultFolder, create_if_stored
from nncompare.records.record import head
from nncompare.records.storing import store
from nncompare.spec.experiment import Experiment
from nncompare.spec.runtimes import file_name
from nncompare.studies.verify import certificates, document
from nncompare.studies.verify.aligned import DTYPES, STEPS, AlignedParity
from nncompare.studies.verify.native import NativeParity
from nncompare.studies.verify.record import VerifyRecord
from nncompare.studies.verify.watcher import Watcher
from nncompare.terminal.signals import held
from nncompare.wire.job_folder import LOG_FILE

MOST_STEPS = 100_000


def verify(
    experiment: Experiment,
    *,
    output: Path | None = Path("results"),
    watcher: Watcher | None = None,
    steps: int = STEPS,
    dtypes: Sequence[str] = DTYPES,
) -> Finished[VerifyRecord]:
    """Checks that the experiment's runtimes compute the same function, on its own model, data, loss
    and optimizer.

    Args:
        experiment: from ``config.load``; convention ``aligned``.
        output: where the result folder is made; None: nothing is stored.
        watcher: told of everything as it happens.
        steps: of the trajectory.
        dtypes: ``float64`` decides; ``float32`` is judged by its rounding floor and needs it.

    Raises:
        DataError, StoreError: nothing has been checked.
        UsageError: so many steps, or their trajectory does not fit into memory.
        KeyboardInterrupt: Ctrl-C; a check without its answer is stored nowhere.
    """
    # a trajectory is kept whole, step by step
    if steps > MOST_STEPS:
        raise UsageError(f"--steps {steps}: at most {MOST_STEPS:,}")
    watcher = watcher or Watcher()
    begun = time.monotonic()
    created = datetime.now().astimezone()
    native = experiment.train.convention == "native"
    path = None
    problem = None
    # nothing is published of a check that breaks or is stopped: its folders are taken away
    with (
        held() as signals,
        create_if_stored(output, experiment.name, created=created, say=watcher.prepares) as folder,
        scratch_folder() as work,
    ):
        with signals.obeyed():
            form = NativeParity if native else AlignedParity
            check = form(experiment, work, watcher, steps, ("float64",) if native else dtypes)
            try:
                check.run()
            except MemoryError as error:
                raise UsageError(
                    f"the check does not fit into memory ({error}); take fewer --steps, or a"
                    " smaller experiment"
                ) from None
            result = document.build(
                check,
                head=head(experiment.name, created=created, id=folder.id if folder else None),
                seconds=time.monotonic() - begun,
            )
        if folder is not None:
            path, problem = store(folder, lambda place: _write(place, check, result))
    # a run in the native convention asks for no certificate
    whole = not native and steps >= STEPS and set(dtypes) == set(DTYPES)
    if result.status == "certified" and whole:
        certificates.remember(
            cache_folder() / "certificates",
            experiment,
            versions={row.runtime: row.versions for row in result.runtimes},
            created=result.created,
            id=result.id,
            steps=steps,
        )
    return Finished(record=result, folder=path, problem=problem)


def _write(folder: ResultFolder, check: AlignedParity, result: VerifyRecord) -> None:
    folder.write_experiment(dump(check.experiment))
    for dtype, runtime in check.outcomes:
        log = check.work / dtype / file_name(runtime) / LOG_FILE
        # a runtime that is not installed has none
        if log.exists():
            folder.add_log(f"{runtime}-{dtype}", log)
    folder.write_result(result)
