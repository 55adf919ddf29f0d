"""``nncompare compare-conventions``: what the frameworks' own defaults cost, against the aligned
convention.
"""

from __future__ import annotations

from pathlib import Path

from nncompare.terminal import options


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
    from nncompare.studies.conventions.study import compare_conventions as compare
    from nncompare.studies.run.progress import RunProgress
    from nncompare.terminal.console import err
    from nncompare.terminal.ending import leave, print_finished
    from nncompare.terminal.signals import ended_like_ctrl_c, held

    experiment = options.load_experiment(
        config, overrides, backends=backend, device=device, seed=seed, threads=threads
    )
    options.say_begin(config, quiet=quiet)
    epochs = experiment.train.epochs
    # one display for both runs: every runtime starts anew in the second
    progress = RunProgress(
        err(), experiment.backends, epochs=epochs, quiet=quiet, verbose=verbose > 0
    )
    # from the first runtime to the last line: what is finished is shown whatever comes
    with ended_like_ctrl_c(), held():
        with progress:
            finished = compare(experiment, output=output, watcher=progress)
        report = conventions_report(finished.record, folder=finished.folder)
        print_finished(finished, report, as_json=as_json, verbose=verbose > 0)
    leave(finished)
