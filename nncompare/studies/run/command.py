"""``nncompare run``: trains an experiment on every runtime and compares time and loss."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nncompare.terminal import options

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nncompare.records.finished import Finished
    from nncompare.spec.experiment import Experiment
    from nncompare.studies.run.plan.record import PlanRecord
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
    settings = {"device": device, "rounds": rounds, "seed": seed, "threads": threads}
    experiment = options.load_experiment(config, overrides, backends=backend, **settings)
    # a plan is there before anybody wonders
    options.say_begin(config, quiet=quiet or dry_run)
    from nncompare.terminal.ending import leave, print_finished
    from nncompare.terminal.signals import ended_like_ctrl_c, held

    finished: Finished[Any]
    if dry_run:
        finished, report = _plan(experiment, output)
        print_finished(finished, report, as_json=as_json)
    else:
        # from the first runtime to the last line: what is finished is shown whatever comes
        with ended_like_ctrl_c(), held():
            finished, report = _train(experiment, output, save_weights, verbose > 0, quiet)
            print_finished(finished, report, as_json=as_json, verbose=verbose > 0)
    leave(finished)


def _plan(experiment: Experiment, output: Path) -> tuple[Finished[PlanRecord], RenderableType]:
    from nncompare.records.finished import Finished
    from nncompare.studies.run.plan.report import plan_report
    from nncompare.studies.run.plan.study import plan

    record = plan(experiment, output=output)
    return Finished(record=record), plan_report(record)


def _train(
    experiment: Experiment, output: Path, save_weights: bool, verbose: bool, quiet: bool
) -> tuple[Finished[RunRecord], RenderableType]:
    from nncompare.studies.run.progress import RunProgress
    from nncompare.studies.run.report import run_report
    from nncompare.studies.run.study import run as train
    from nncompare.terminal.console import err

    epochs = experiment.train.epochs
    progress = RunProgress(err(), experiment.backends, epochs=epochs, quiet=quiet, verbose=verbose)
    with progress:
        finished = train(experiment, output=output, watcher=progress, save_weights=save_weights)
    return finished, run_report(finished.record, folder=finished.folder)
