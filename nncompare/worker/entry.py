"""A worker from its arguments to its last word: reads the job folder, does what stands there.

With ``--wire N`` the messages go to descriptor N. Without it they are printed, so that a job can be
replayed by hand, and nothing is waited for.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import assert_never

from nncompare.errors import MessageError
from nncompare.wire import job_folder
from nncompare.wire.connection import Inbox, Send, die_with_parent, worker_end
from nncompare.wire.messages import End, Probed, WorkerWord
from nncompare.wire.requests import (
    CheckRequest,
    DeriveRequest,
    PerturbedRequest,
    ProbeRequest,
    Request,
    ServeTrialsRequest,
    TrainRequest,
    TrialRequest,
)
from nncompare.worker.failures import as_failure


def main(arguments: list[str] | None = None) -> int:
    """Runs the job in a folder.

    Returns:
        The exit code: 0, or that of the failure.
    """
    parser = argparse.ArgumentParser(
        prog="python -m nncompare.worker",
        description="Runs the job in a folder and prints what it says.",
    )
    parser.add_argument("folder", type=Path, help="holds job.json")
    parser.add_argument("--wire", type=int, metavar="N", help="descriptor for the messages")
    parser.add_argument("--parent", type=int, metavar="PID", help="ends with this process")
    options = parser.parse_args(arguments)
    # first of all: the parent may die while the framework is imported
    if options.parent is not None:
        die_with_parent(options.parent)
    if options.wire is None:
        return _guarded(options.folder, _print, None)
    wire = worker_end(options.wire)
    return _guarded(options.folder, wire.send, Inbox(wire))


def _print(message: WorkerWord) -> None:
    sys.stdout.write(message.model_dump_json() + "\n")


def _guarded(folder: Path, send: Send, inbox: Inbox | None) -> int:
    """Does what the folder asks for and says the last word, whatever happens."""
    try:
        _do(folder, send, inbox)
    # Ctrl-C and SystemExit too: a parent must hear a last word of everything
    except BaseException as error:
        failure = as_failure(error)
        send(End(status=failure.status, reason=str(failure)))
        return failure.exit_code
    send(End(status="ok"))
    return 0


def _do(folder: Path, send: Send, inbox: Inbox | None) -> None:
    """Does what the folder asks for. What a job needs is imported with it: a formula needs no data.

    Args:
        folder: of the job.
        send: to the parent, or to the terminal.
        inbox: from the parent; None by hand.
    """
    request: Request = job_folder.read(folder)
    # by hand nobody holds the worker back
    permit = inbox.permit if inbox is not None else lambda: True
    match request:
        case TrainRequest():
            from nncompare.worker.training import train

            train(request, folder, send, permit)
        case TrialRequest():
            from nncompare.worker.trials import train_trial

            train_trial(request, send)
        case ServeTrialsRequest():
            from nncompare.worker.trials import TrialServer

            # a server of trials without a parent would wait for ever
            if inbox is None:
                raise MessageError(
                    "the trials come from the parent; replay one of them by its own folder"
                )
            TrialServer(request.runtime, send, inbox).serve()
        case CheckRequest():
            from nncompare.worker.observe import check

            check(request, folder, send)
        case PerturbedRequest():
            from nncompare.worker.perturb import check_perturbed

            check_perturbed(request, folder, send)
        case DeriveRequest():
            from nncompare.worker.derivatives import answer

            answer(request, send)
        case ProbeRequest():
            _probe(request, send)
        case _:
            assert_never(request)


def _probe(request: ProbeRequest, send: Send) -> None:
    """Says which versions and devices the framework has."""
    from nncompare.worker.importing import import_framework

    backend = import_framework(request.runtime, send)
    send(Probed(devices=tuple(backend.devices())))
