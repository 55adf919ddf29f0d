"""Arguments and options that commands share, and how they change the experiment."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nncompare.terminal.completion import devices, offering, runtimes

if TYPE_CHECKING:
    from nncompare.config.overrides import Override
    from nncompare.spec.experiment import Experiment

Config = Annotated[
    Path, typer.Argument(metavar="CONFIG", help="Experiment file (YAML).", show_default=False)
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PATH=VALUE",
        help="Changes to the file, e.g. train.optimizer.lr=3e-4 or model.hidden=[64,64].",
        show_default=False,
    ),
]
Backends = Annotated[
    list[str] | None,
    typer.Option(
        "--backend",
        "-b",
        metavar="RUNTIME",
        help="Only this runtime; may be repeated.",
        show_default=False,
        autocompletion=offering(runtimes),
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        metavar="NAME",
        help="auto, cpu, gpu or tpu.",
        show_default=False,
        autocompletion=offering(devices),
    ),
]
Rounds = Annotated[
    str | None,
    typer.Option("--rounds", metavar="N", help="Fresh processes per runtime.", show_default=False),
]
Seed = Annotated[
    str | None,
    typer.Option(
        "--seed", metavar="N", help="Keys weights, batch order, splits.", show_default=False
    ),
]
Threads = Annotated[
    str | None,
    typer.Option("--threads", metavar="N", help="CPU threads per runtime.", show_default=False),
]
Output = Annotated[
    Path, typer.Option("--output", metavar="DIR", help="Where result folders are made.")
]
Json = Annotated[
    bool, typer.Option("--json", help="One JSON document on stdout; text goes to stderr.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Check everything, print the plan, train nothing.")
]
Verbose = Annotated[
    int, typer.Option("--verbose", "-v", count=True, help="Say more.", show_default=False)
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]

_OPTION_PATHS = {
    "device": "measure.device",
    "rounds": "measure.rounds",
    "seed": "train.seed",
    "threads": "measure.threads",
}
_LOOKS_LIKE_OVERRIDE = re.compile(r"[A-Za-z_][\w.]*=.*", re.DOTALL)


def is_override(argument: str) -> bool:
    """``train.epochs=3`` is one, unless a file has that name."""
    return bool(_LOOKS_LIKE_OVERRIDE.fullmatch(argument)) and not Path(argument).exists()


def say_begin(config: Path | str, *, quiet: bool) -> None:
    """The first word of a command that takes its time, as soon as the file is found to be right:
    what comes before the first worker needs seconds, and an empty screen looks like a fault.

    A mistake in the file is one message, with nothing before it.
    """
    # no console: what is large is imported after this
    if not quiet:
        from nncompare.show.words import printable

        sys.stderr.write(f"prepares the data of {printable(str(config))}\n")


def load_experiment(
    config: Path,
    overrides: Sequence[str] | None = None,
    *,
    backends: Sequence[str] | None = None,
    **settings: str | None,
) -> Experiment:
    """The checked experiment of a command line; options are overrides like any other and come last.

    Args:
        settings: ``device``, ``rounds``, ``seed`` and ``threads``, as far as the command has them.

    Raises:
        ConfigError: every problem of the file, the overrides and the options.
        DataError: the data that decide the model's shapes cannot be had.
        UsageError: an override stands where the file belongs.
    """
    from nncompare.config.load import load
    from nncompare.config.overrides import Override, OverrideError
    from nncompare.data import signature
    from nncompare.errors import ConfigError, UsageError

    if is_override(str(config)):
        raise UsageError(f"{config} is an override; the experiment file comes before it")
    changes: list[str | Override] = list(overrides or ())
    problems = []
    for name, text in settings.items():
        # an option that is not given leaves the file as it is
        if text is not None:
            try:
                changes.append(Override.from_text(_OPTION_PATHS[name], text, f"--{name} {text}"))
            except OverrideError as error:
                problems.append(error.problem)
    # -b torch,keras says the same as -b torch -b keras
    names = [name for item in backends or () for name in item.split(",")]
    try:
        experiment = load(config, changes, backends=names, signature_of=signature)
    # all in one pass: those of the file and those of the options
    except ConfigError as error:
        raise ConfigError([*error.problems, *problems]) from None
    if problems:
        raise ConfigError(problems)
    return experiment
