"""One worker, many trials: the framework is imported once and data that stay the same are read
once.

The parent sends ``trial`` (with a job folder as ``worker.jobs`` writes it), waits for its
``trial_end`` and sends the next one; ``quit`` ends the process. While a trial trains the worker
says what it says in a run (``worker.wire``); where the trial is ``judged`` it waits after every
epoch for ``answer`` with ``stop``, so that a hopeless trial ends there, whichever loop trains it.

=============  ===============================================================================
``trial``      ``folder``, ``judged``, ``parts``: what is evaluated at the end
``answer``     ``stop``: true ends the trial
``trial_end``  ``status``, ``reason``, ``overhead_s``: seconds in the worker outside of the run,
               ``resident_bytes``: what it holds when the trial has been freed
=============  ===============================================================================
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from nncompare.backends.base import Backend
from nncompare.backends.loading import load_backend
from nncompare.data.base import Data
from nncompare.data.base import read as read_data
from nncompare.errors import Failed, OutOfMemory, RuntimeFailure
from nncompare.spec.job import Job
from nncompare.wire import job_folder as jobs
from nncompare.wire.connection import Inbox
from nncompare.worker.probes import is_out_of_memory
from nncompare.worker.training import TrainingRun

PRUNED = "pruned"
Send = Callable[..., None]


class TrialServer:
    """Trains one trial after the other in this process.

    Args:
        runtime: a name of the catalog; the process knows no other.
        send: to the parent.
        inbox: from the parent.
    """

    def __init__(self, runtime: str, send: Send, inbox: Inbox):
        self.runtime, self.send, self.inbox = runtime, send, inbox
        self._kept: tuple[str, Data] | None = None

    def serve(self) -> None:
        """Until ``quit``."""
        begun = time.perf_counter()
        backend = load_backend(self.runtime)
        self.send("imported", versions=backend.versions(), import_s=time.perf_counter() - begun)
        self._settle()
        first = True
        while (word := self.inbox.words.get())["kind"] != "quit":
            if word["kind"] != "trial":
                raise Failed(f"a trial was expected, not {word['kind']!r}")
            status, reason = self._one(backend, word)
            begun = time.perf_counter()
            if first:
                self._settle()  # with what the first session has imported
            else:
                _free()
            first = False
            held = psutil.Process().memory_info().rss
            spent = time.perf_counter() - begun
            self.send(
                "trial_end", status=status, reason=reason, overhead_s=spent, resident_bytes=held
            )

    @staticmethod
    def _settle() -> None:
        """Takes what stays for good out of the collector's sight: a framework's modules are half a
        million objects, and to look through them after every trial takes a tenth of a second.
        """
        _free()
        gc.freeze()

    def _one(self, backend: Backend, word: dict[str, Any]) -> tuple[str, str | None]:
        """Trains one trial; a failure is an answer and not the end of the process."""
        folder = Path(word["folder"])
        run: TrainingRun | None = None
        try:
            job, data, _ = jobs.read(folder)
            run = TrainingRun(job, data, self.send, self.inbox.permit, folder, save=False)
            run.freezes = False
            run.parts = tuple(word["parts"])
            if word["judged"]:
                run.judge = self._judged
            run.train_on(backend, lambda: self._data(data, job), import_s=0.0, begun=run.clock())
        except Exception as error:
            return _said(error)
        finally:
            with contextlib.suppress(Exception):
                if run is not None:
                    run.session.close()
        return (PRUNED, None) if run.stopped else ("ok", None)

    def _data(self, folder: Path, job: Job) -> Data:
        """The arrays of a folder; kept until another folder is asked for."""
        if self._kept is None or self._kept[0] != str(folder):
            self._kept = None
            self._kept = str(folder), read_data(folder, job.signature)
        return self._kept[1]

    def _judged(self, row: dict[str, Any]) -> bool:
        return bool(self.inbox.words.get()["stop"])


def _said(error: Exception) -> tuple[str, str]:
    """Status and reason; the traceback of a failure goes to the log."""
    if isinstance(error, RuntimeFailure):
        return error.status, str(error)
    traceback.print_exc()
    lines = str(error).strip().splitlines()
    text = f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
    return (OutOfMemory.status if is_out_of_memory(error) else Failed.status), text


def _free() -> None:
    """Gives back what the last trial held: models and traces are full of reference cycles."""
    gc.collect()
    if sys.platform == "linux":
        # a C library without it keeps the pages for later
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
