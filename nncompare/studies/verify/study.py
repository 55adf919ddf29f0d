"""``verify``: every runtime through the same check, judged by formulas and against each other."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from nncompare.config.load import dump
from nncompare.data.lookup import cache_folder
from nncompare.records.finished import Finished
from nncompare.records.folder import create
from nncompare.records.record import head
from nncompare.spec.experiment import Experiment
from nncompare.spec.runtimes import file_name
from nncompare.studies.verify import certificates, document
from nncompare.studies.verify.aligned import DTYPES, STEPS, AlignedParity
from nncompare.studies.verify.native import NativeParity
from nncompare.studies.verify.record import VerifyRecord
from nncompare.studies.verify.watcher import NullWatcher, Watcher
from nncompare.wire.job_folder import LOG_FILE


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
        UsageError: the check does not fit into memory.
    """
    watcher = watcher or NullWatcher()
    begun = time.monotonic()
    created = datetime.now().astimezone()
    native = experiment.train.convention == "native"
    # nothing is published of a check that breaks: the stack takes its folder away
    with ExitStack() as stack:
        folder = None
        if output is not None:
            folder = stack.enter_context(create(output, experiment.name, created=created))
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nncompare-")))
        form = NativeParity if native else AlignedParity
        check = form(experiment, work, watcher, steps, ("float64",) if native else dtypes)
        check.run()
        result = document.build(
            check,
            head=head(experiment.name, created=created, id=folder.id if folder else None),
            seconds=time.monotonic() - begun,
        )
        if folder is not None:
            folder.write_experiment(dump(experiment))
            for dtype, runtime in check.outcomes:
                log = work / dtype / file_name(runtime) / LOG_FILE
                # a runtime that is not installed has none
                if log.exists():
                    folder.add_log(f"{runtime}-{dtype}", log)
            folder.write_result(result)
            folder.publish()
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
    return Finished(record=result, folder=folder.path if folder else None)
