"""``nncompare verify``: proves that the runtimes compute the same function, or says where they
part.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nncompare.terminal import options
from nncompare.terminal.completion import words

Steps = Annotated[
    int, typer.Option("--steps", metavar="N", min=1, help="Training steps that are compared.")
]
_DTYPES = {"both": ("float64", "float32"), "float64": ("float64",)}
Dtype = Annotated[
    str,
    typer.Option(
        "--dtype",
        metavar="NAME",
        help="both, or float64 alone.",
        autocompletion=words(*_DTYPES),
    ),
]


def verify(
    config: options.Config,
    overrides: options.Overrides = None,
    backend: options.Backends = None,
    device: options.Device = None,
    seed: options.Seed = None,
    threads: options.Threads = None,
    steps: Steps = 200,
    dtype: Dtype = "both",
    output: options.Output = Path("results"),
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Prove that the runtimes compute the same function, layer by layer, or say where they part.

    Every layer, gradient and update is compared with formulas in NumPy, and a training in float64
    step by step between the runtimes. Exit code 1 if the check fails, 3 if a runtime could not be
    checked.
    """
    from nncompare.errors import UsageError

    if dtype not in _DTYPES:
        raise UsageError(f"--dtype {dtype}: allowed are {', '.join(_DTYPES)}")
    experiment = options.load_experiment(
        config, overrides, backends=backend, device=device, seed=seed, threads=threads
    )
    options.say_begin(config, quiet=quiet)
    from nncompare.studies.verify.progress import VerifyProgress
    from nncompare.studies.verify.report import verify_report
    from nncompare.studies.verify.study import verify as check
    from nncompare.terminal.console import err
    from nncompare.terminal.ending import leave, print_finished
    from nncompare.terminal.signals import ended_like_ctrl_c, held

    # up to the last line: a check that has ended is shown whatever comes
    with ended_like_ctrl_c(), held():
        with VerifyProgress(err(), quiet=quiet) as progress:
            finished = check(
                experiment, output=output, watcher=progress, steps=steps, dtypes=_DTYPES[dtype]
            )
        report = verify_report(finished.record, folder=finished.folder)
        print_finished(finished, report, as_json=as_json)
    leave(finished, negative=finished.record.status == "failed")
