"""``nncompare doctor``: what works on this machine, and how to mend what does not."""

from __future__ import annotations

import typer

from nncompare.errors import ExitCode
from nncompare.terminal import options


def doctor(as_json: options.Json = False, quiet: options.Quiet = False) -> None:
    """Frameworks, devices, threads, data: what works, what to mend.

    Each installed framework is imported in a process of its own, which takes some seconds. Exit
    code 1 if none of them can be used.
    """
    from nncompare.records.finished import Finished
    from nncompare.studies.doctor import study
    from nncompare.studies.doctor.report import doctor_report
    from nncompare.terminal.console import err
    from nncompare.terminal.ending import print_finished
    from nncompare.terminal.progress import say_asking
    from nncompare.terminal.signals import ended_like_ctrl_c

    console = err()

    def asking(runtime: str) -> None:
        if not quiet:
            say_asking(console, runtime)

    # a framework that is not installed is no failure of the command: it was asked what there is
    with ended_like_ctrl_c():
        finished = Finished(record=study.doctor(asking))
    print_finished(finished, doctor_report(finished.record), as_json=as_json)
    # with nothing to run, no other command works
    if not finished.record.usable:
        raise typer.Exit(ExitCode.NEGATIVE)
