"""``nncompare run``: trains an experiment on every runtime and compares time and loss."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nncompare.terminal import options

if TYPE_CHECKING:
    from nncompare.records.finished import Finished
    from nncompare.spec.experiment import Experiment
    from nncompare.studies.run.record import RunRecord

SaveWeights = Annotated[
    bool, typer.Option("--save-weights", help="Keep the final weights as safetensors.")
]


def run(
    config: options.Config,
    overrides: options.Overrides = None,
    backend: options.Backends = None,
    device: options.Device = None,
    rounds: options.Rounds = None,
    seed: options.Seed = None,
    threads: options.Threads = None,
    output: options.Output = Path("results"),
    save_weights: SaveWeights = False,
    as_json: options.Json = False,
    dry_run: options.DryRun = False,
    verbose: options.Verbose = 0,
    quiet: options.Quiet = False,
) -> None:
    """Train an experiment on every runtime; compare time and loss.

    Prints tables of losses, times and settings that differ, and stores them with the raw times.
    Exit code 3 if some runtime did not finish; its row says why.
    """
    experiment = options.load_experiment(
        config,
        overrides,
        backends=backend,
        device=device,
        rounds=rounds,
        seed=seed,
        threads=threads,
    )
    from nncompare.studies.run.report import run_report
    from nncompare.terminal.ending import leave, print_finished

    if dry_run:
        _plan(experiment, output, as_json)
        return
    finished = _train(experiment, output, save_weights, verbose=verbose > 0, quiet=quiet)
    report = run_report(finished.record, folder=finished.folder)
    print_finished(finished, report, as_json=as_json, verbose=verbose > 0)
    leave(finished)


def _plan(experiment: Experiment, output: Path, as_json: bool) -> None:
    from nncompare.records.finished import Finished
    from nncompare.studies.run.plan.report import plan_report
    from nncompare.studies.run.plan.study import plan
    from nncompare.terminal.ending import leave, print_finished

    finished = Finished(record=plan(experiment, output=output))
    print_finished(finished, plan_report(finished.record), as_json=as_json)
    leave(finished)


def _train(
    experiment: Experiment, output: Path, save_weights: bool, *, verbose: bool, quiet: bool
) -> Finished[RunRecord]:
    from nncompare.studies.run.progress import RunProgress
    from nncompare.studies.run.study import run as train
    from nncompare.terminal.console import err
    from nncompare.terminal.signals import ended_like_ctrl_c

    epochs = experiment.train.epochs
    progress = RunProgress(err(), experiment.backends, epochs=epochs, quiet=quiet, verbose=verbose)
    with ended_like_ctrl_c(), progress:
        return train(experiment, output=output, watcher=progress, save_weights=save_weights)
