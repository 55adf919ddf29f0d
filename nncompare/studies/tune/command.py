"""``nncompare tune``: searches hyperparameters with Optuna and writes the best experiment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nncompare.errors import ExitCode, UsageError
from nncompare.terminal import options

if TYPE_CHECKING:
    from nncompare.records.finished import Finished
    from nncompare.spec.experiment import Experiment
    from nncompare.studies.tune.options import SearchOptions
    from nncompare.studies.tune.record import TuneRecord

Config = Annotated[
    str | None,
    typer.Argument(
        metavar="[CONFIG]", help="Experiment file with a tune: section.", show_default=False
    ),
]
Trials = Annotated[
    str | None,
    typer.Option("--trials", metavar="N", help="Finished trials in all.", show_default=False),
]
Jobs = Annotated[
    int,
    typer.Option("--jobs", "-j", metavar="N", help="Workers at a time; they share the threads."),
]
PerBackend = Annotated[
    bool, typer.Option("--per-backend", help="One search for each backend, compared.")
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage", metavar="URL", help="postgresql://… for several machines.", show_default=False
    ),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        "--resume", metavar="RESULT", help="Go on with a stored search.", show_default=False
    ),
]


def tune(
    config: Config = None,
    overrides: options.Overrides = None,
    backend: options.Backends = None,
    device: options.Device = None,
    seed: options.Seed = None,
    threads: options.Threads = None,
    trials: Trials = None,
    jobs: Jobs = 1,
    per_backend: PerBackend = False,
    storage: Storage = None,
    resume: Resume = None,
    output: options.Output = Path("results"),
    as_json: options.Json = False,
    dry_run: options.DryRun = False,
    verbose: options.Verbose = 0,
    quiet: options.Quiet = False,
) -> None:
    """Search hyperparameters with Optuna; write the best experiment as a file that runs.

    With several backends the search runs on the first one and its best trials are repeated on all
    of them with fresh seeds. Ctrl-C keeps what is done: --resume RESULT goes on to the number of
    trials asked for. Exit code 3 if the search ended early or no trial ended well.
    """
    from nncompare.studies.tune import study
    from nncompare.studies.tune.options import SearchOptions

    changes = list(overrides or ())
    if resume is not None:
        fixed = {
            "-b": backend,
            "--device": device,
            "--seed": seed,
            "--threads": threads,
            "--dry-run": dry_run,
            "--jobs": jobs != 1,
            "--per-backend": per_backend,
        }
        _refuse_with_resume([name for name, value in fixed.items() if value])
        # Without a file the first argument is an override, too.
        if config is not None:
            changes.insert(0, config)
        search = partial(study.resume, resume, changes, trials=trials, storage=storage)
    else:
        if config is None:
            raise UsageError("name the experiment file, or --resume RESULT")
        # An option is an override like any other, and comes last.
        if trials is not None:
            changes.append(f"tune.trials={trials}")
        experiment = options.load_experiment(
            Path(config), changes, backends=backend, device=device, seed=seed, threads=threads
        )
        # a plan is there before anybody wonders
        options.say_begin(config, quiet=quiet or dry_run)
        how = SearchOptions(jobs=jobs, per_backend=per_backend, storage=storage)
        # After the checks, which a dry run is for.
        if dry_run:
            _plan(experiment, how, as_json=as_json)
            return
        search = partial(study.tune, experiment, how, output=output)
    _run(search, as_json=as_json, quiet=quiet, verbose=verbose > 0)


def _refuse_with_resume(given: list[str]) -> None:
    """Options that would make a search go on as another one.

    Raises:
        UsageError: there is one.
    """
    if given:
        raise UsageError(
            f"{', '.join(given)}: a search goes on as it was begun; leave it out with --resume"
        )


def _plan(experiment: Experiment, search_options: SearchOptions, *, as_json: bool) -> None:
    """What would be searched; nothing is trained or written.

    Raises:
        typer.Exit: something that it needs is not installed.
    """
    from nncompare.studies.tune.options import check_options, threads_of
    from nncompare.studies.tune.plan import points, searched_runtimes
    from nncompare.studies.tune.samplers import distributions
    from nncompare.terminal.console import human, print_json

    section = check_options(experiment, search_options)
    count = len(points(section))
    runtimes = searched_runtimes(experiment, search_options)
    jobs = search_options.jobs
    threads = threads_of(experiment, jobs)
    console = human(as_json)
    goals = ", ".join(f"{goal.direction} {goal.name}" for goal in section.metric)
    console.print(
        f"{goals}: {count} trials on {', '.join(runtimes)}, {section.sampler}, pruner"
        f" {section.pruner.name}"
    )
    console.print(f"{jobs} worker(s) with {threads} thread(s) each")
    for name, kind in distributions(section).items():
        console.print(f"  {name}: {kind}", markup=False, soft_wrap=True)
    missing = _missing(experiment)
    for reason in missing:
        console.print(f"PROBLEM {reason}", markup=False, soft_wrap=True)
    if as_json:
        document = {
            "schema_version": 1,
            "kind": "tune-plan",
            "trials": count,
            "runtimes": runtimes,
            "jobs": jobs,
            "threads": threads,
            "missing": missing,
        }
        print_json(document)
    if missing:
        raise typer.Exit(ExitCode.NOT_FINISHED)


def _missing(experiment: Experiment) -> list[str]:
    """What is not installed of that which the search and its confirmation need."""
    from nncompare.spec.runtimes import CATALOG
    from nncompare.studies.tune.proposer import missing_framework

    assert experiment.tune is not None, "checked before"
    found = []
    for runtime in experiment.backends:
        reason = CATALOG[runtime].missing()
        if reason is not None:
            found.append(f"{runtime}: {reason}")
    reason = missing_framework(experiment.tune)
    if reason is not None:
        found.append(reason)
    return found


def _run(
    search: Callable[..., Finished[TuneRecord]], *, as_json: bool, quiet: bool, verbose: bool
) -> None:
    """Searches, shows how it goes, and prints what came of it."""
    from nncompare.studies.tune.progress import TuneProgress
    from nncompare.terminal.console import err, is_live
    from nncompare.terminal.ending import leave
    from nncompare.terminal.signals import ended_like_ctrl_c, held

    console = err()
    progress = TuneProgress(console, quiet=quiet, verbose=verbose, live=is_live(console))
    with ended_like_ctrl_c(), held() as signals:
        with progress:
            finished = search(watcher=progress)
        _print(finished, as_json=as_json, verbose=verbose)
        # Whoever stops it in its last second has lost nothing.
        if signals.waiting is not None and finished.record.complete:
            console.print(
                "the search was complete and is stored; for more trials: nncompare tune --resume"
                f" {finished.folder} --trials N",
                markup=False,
                soft_wrap=True,
            )
    leave(finished)


def _print(finished: Finished[TuneRecord], *, as_json: bool, verbose: bool) -> None:
    # What draws the pictures is large, and the trials are over now.
    from nncompare.errors import StoreError
    from nncompare.studies.tune.page import write
    from nncompare.studies.tune.report import tune_report
    from nncompare.terminal.console import err, report_error
    from nncompare.terminal.ending import print_finished

    assert finished.folder is not None, "a command stores its search"
    pictures: Path | None = None
    try:
        pictures = write(finished.record, finished.folder)
    except StoreError as error:
        # The tables are not lost with the pictures of them.
        report_error(error)
    report = tune_report(finished.record, folder=finished.folder)
    print_finished(finished, report, as_json=as_json, verbose=verbose)
    if pictures is not None:
        err().print(f"pictures: {pictures}", markup=False, soft_wrap=True)
