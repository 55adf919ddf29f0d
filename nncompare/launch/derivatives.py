"""Asks one runtime about a formula, in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from nncompare.launch.process import tail
from nncompare.launch.run_worker import run_worker
from nncompare.spec.runtimes import CATALOG
from nncompare.wire.job_folder import LOG_FILE
from nncompare.wire.outcome import Outcome
from nncompare.wire.requests import DeriveRequest

TIMEOUT_S = 300.0
"""For the import and all methods; compiled modes trace each of them."""


def derive(
    request: DeriveRequest,
    folder: Path,
    *,
    timeout_s: float = TIMEOUT_S,
    interruptible: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Outcome:
    """Runs the request in a fresh process on the CPU and always returns, whatever happens to it.

    Args:
        request: what is asked.
        folder: where the job and its log are written.
        timeout_s: for the whole worker.
        interruptible: as in ``run_worker``.

    Returns:
        ``versions``, ``imported.notes`` and ``derivatives``.
    """
    # a plug-in may train and differentiate nothing
    if CATALOG[request.runtime].derivatives is None:
        reason = f"the backend of {request.runtime} differentiates no formulas"
        return Outcome(runtime=request.runtime, status="refused", reason=reason)
    outcome = run_worker(request, folder, timeout_s=timeout_s, interruptible=interruptible)
    if any(answer.status == "failed" for answer in outcome.derivatives.values()):
        # the worker went on after it, and printed what the method raised
        outcome.log = tail(folder / LOG_FILE)
    return outcome
