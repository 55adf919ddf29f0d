"""One worker, many trials: the framework is imported once and data that stay the same are read
once.

The parent says ``begin_trial`` with a job folder, waits for its ``trial_end`` and says the next
one; ``quit`` ends the process. While a trial trains the worker says what it says in a run; where
the trial is judged it waits after every epoch but the last for ``answer``, so that a hopeless trial
ends there, whichever loop trains it.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections.abc import Callable
from pathlib import Path

import psutil

from nncompare.backends.base import Backend
from nncompare.data.base import Data
from nncompare.data.base import read as read_data
from nncompare.errors import MessageError
from nncompare.spec.data import Signature
from nncompare.wire import job_folder
from nncompare.wire.connection import Inbox, Send
from nncompare.wire.messages import PRUNED, Answer, BeginTrial, Quit, TrialEnd, TrialStatus
from nncompare.wire.requests import TrialRequest
from nncompare.worker.failures import as_failure
from nncompare.worker.importing import import_framework
from nncompare.worker.training import TrainingRun


def train_trial(request: TrialRequest, send: Send) -> None:
    """One trial by hand: nobody answers, so it trains to its end.

    Raises:
        Refused, Diverged: with the reason; anything else is a failure.
    """
    training = TrainingRun(request.job, send=send, permit=lambda: True, parts=request.parts)
    backend = import_framework(request.runtime, send)
    training.run(backend, lambda: read_data(request.data, request.job.signature))
    training.session.close()


class TrialServer:
    """Trains one trial after the other in this process.

    Args:
        runtime: a name of the catalog; the process knows no other.
        send: to the parent.
        inbox: from the parent.
    """

    def __init__(self, runtime: str, send: Send, inbox: Inbox):
        self.runtime = runtime
        self.send = send
        self.inbox = inbox
        self._kept: tuple[Path, Data] | None = None

    def serve(self) -> None:
        """Until ``quit``.

        Raises:
            MessageError: an answer that nobody has asked for.
        """
        backend = import_framework(self.runtime, self.send)
        _settle()
        first = True
        while True:
            word = self.inbox.words.get()
            if isinstance(word, Quit):
                return
            if not isinstance(word, BeginTrial):
                raise MessageError(f"a trial was expected, not {word.kind!r}")
            status, reason = self._train(backend, Path(word.folder))
            # what the first trial has imported stays; what the others leave is given back
            if first:
                _settle()
            else:
                _free()
            first = False
            end = TrialEnd(
                status=status,
                reason=reason,
                resident_bytes=psutil.Process().memory_info().rss,
            )
            self.send(end)

    def _train(self, backend: Backend, folder: Path) -> tuple[TrialStatus, str | None]:
        """Trains one trial; a failure is an answer and not the end of the process."""
        training: TrainingRun | None = None
        try:
            request = job_folder.read(folder)
            # A job folder can hold any request.
            if not isinstance(request, TrialRequest):
                raise MessageError(f"{folder} holds no trial, but {request.kind!r}")
            training = TrainingRun(
                request.job,
                send=self.send,
                permit=self.inbox.permit,
                parts=request.parts,
                is_hopeless=self._is_hopeless if request.judged else lambda: False,
                freezes=False,
            )
            training.run(backend, self._reader(request.data, request.job.signature))
        except Exception as error:
            failure = as_failure(error)
            return failure.status, str(failure)
        finally:
            # the session may not be there yet, and may break while it is closed
            with contextlib.suppress(Exception):
                if training is not None:
                    training.session.close()
        return (PRUNED if training.pruned else "ok"), None

    def _reader(self, folder: Path, signature: Signature) -> Callable[[], Data]:
        """Reads the arrays of a folder; they are kept until another folder is asked for."""

        def read() -> Data:
            if self._kept is None or self._kept[0] != folder:
                # the old ones are given back before the new ones are read
                self._kept = None
                self._kept = folder, read_data(folder, signature)
            return self._kept[1]

        return read

    def _is_hopeless(self) -> bool:
        """What the parent says of the epoch that it has just been told of.

        Raises:
            MessageError: it says something else.
        """
        word = self.inbox.words.get()
        if not isinstance(word, Answer):
            raise MessageError(f"an answer was expected, not {word.kind!r}")
        return word.stop


def _settle() -> None:
    """Takes what stays for good out of the collector's sight: a framework's modules are half a
    million objects, and to look through them after every trial takes a tenth of a second.
    """
    _free()
    gc.freeze()


def _free() -> None:
    """Gives back what the last trial held: models and traces are full of reference cycles."""
    gc.collect()
    if sys.platform == "linux":
        # a C library without it keeps the pages for later
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)
