"""``nncompare compare-conventions``: what the frameworks' own defaults cost, against the aligned
convention.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nncompare.terminal import options

if TYPE_CHECKING:
    from nncompare.records.finished import Finished
    from nncompare.spec.experiment import Experiment
    from nncompare.studies.conventions.record import ConventionsRecord
    from nncompare.studies.run.watcher import Watcher


def compare_conventions(
    config: options.Config,
    overrides: options.Overrides = None,
    backend: options.Backends = None,
    device: options.Device = None,
    seed: options.Seed = None,
    threads: options.Threads = None,
    output: options.Output = Path("results"),
    as_json: options.Json = False,
    verbose: options.Verbose = 0,
    quiet: options.Quiet = False,
) -> None:
    """Train an experiment aligned and native; what do the frameworks' own defaults cost in loss?

    Both runs have the same seed and the same batches, and both are stored. Values that the file
    gives hold in both; in the native run each framework fills in the rest. Exit code 3 if some
    runtime did not finish.
    """
    from nncompare.studies.conventions.report import conventions_report
    from nncompare.terminal.ending import leave, print_finished

    experiment = options.load_experiment(
        config, overrides, backends=backend, device=device, seed=seed, threads=threads
    )
    finished = _train(experiment, output, verbose=verbose > 0, quiet=quiet)
    report = conventions_report(finished.record, folder=finished.folder)
    print_finished(finished, report, as_json=as_json, verbose=verbose > 0)
    leave(finished)


def _train(
    experiment: Experiment, output: Path, *, verbose: bool, quiet: bool
) -> Finished[ConventionsRecord]:
    from nncompare.studies.conventions.study import compare_conventions as compare
    from nncompare.studies.run.progress import RunProgress
    from nncompare.terminal.console import err
    from nncompare.terminal.signals import ended_like_ctrl_c

    console = err()

    @contextmanager
    def watching(convention: str) -> Iterator[Watcher]:
        if not quiet:
            console.print(f"convention {convention}:", markup=False)
        epochs = experiment.train.epochs
        with RunProgress(
            console, experiment.backends, epochs=epochs, quiet=quiet, verbose=verbose
        ) as progress:
            yield progress

    with ended_like_ctrl_c():
        return compare(experiment, output=output, watching=watching)
