"""Messages between the parent and one worker, over a descriptor of their own, never stdout.

Frameworks print to stdout and stderr; those go to a log.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any, Generic, TypeVar, assert_never

from pydantic import TypeAdapter

from nncompare.errors import MessageError
from nncompare.wire.messages import (
    PARENT_WORDS,
    WORKER_WORDS,
    Answer,
    BeginTrial,
    End,
    Go,
    Message,
    OpenStudy,
    ParentWord,
    Propose,
    Quit,
    Stop,
    WorkerWord,
    decode,
    encode,
)

_Heard = TypeVar("_Heard")

Send = Callable[[WorkerWord], None]
"""How a worker says something: on the wire, or printed where it is replayed by hand."""

PARENT_IS_GONE = 75
"""Exit code of a worker whose parent has died."""


class Wire(Generic[_Heard]):
    """One end of the connection.

    Args:
        connection: to the other end.
        words: what the other end says.
    """

    def __init__(self, connection: Connection[Any, Any], words: TypeAdapter[_Heard]):
        self.connection = connection
        self._words = words
        self._sending = threading.Lock()

    def send(self, message: Message) -> None:
        """Says something; several threads may.

        Raises:
            OSError: the other end is gone.
        """
        # parts of two messages must not mix on the wire
        with self._sending:
            self.connection.send_bytes(encode(message))

    def receive(self) -> _Heard:
        """The next message; blocks.

        Raises:
            EOFError, OSError: the other end is gone.
            MessageError: it is of no known kind or malformed.
        """
        return decode(self.connection.recv_bytes(), self._words)

    def close(self) -> None:
        """Frees the descriptor."""
        self.connection.close()


def worker_end(descriptor: int) -> Wire[ParentWord]:
    """A worker's end, from the descriptor that it has inherited."""
    return Wire(Connection(descriptor), PARENT_WORDS)


def pair() -> tuple[Wire[WorkerWord], socket.socket]:
    """The parent's end, and the socket whose descriptor the worker inherits."""
    ours, theirs = socket.socketpair()
    return Wire(Connection(ours.detach()), WORKER_WORDS), theirs


def die_with_parent(parent: int) -> None:
    """Asks Linux to kill this process when the parent dies, even while it is suspended; elsewhere
    a no-op (the wire notices there).

    Args:
        parent: the process id that started this one.
    """
    # elsewhere the reading thread ends the worker when the wire closes
    if sys.platform != "linux":
        return
    set_parent_death_signal = 1  # PR_SET_PDEATHSIG of linux/prctl.h
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    # the parent may have died before the call, which then waits for the death of another process
    if os.getppid() != parent:
        os._exit(PARENT_IS_GONE)


class Inbox:
    """What the parent says, read by a thread that sleeps until something comes.

    When the parent is gone the worker ends at once: a dead parent leaves no worker behind. A
    message that it does not understand ends the worker too, with a last word that names it.
    """

    def __init__(self, wire: Wire[ParentWord]):
        self._wire = wire
        self._credits: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._unlimited = False
        self.stopped = False
        """The parent has said ``stop``."""
        self.words: queue.SimpleQueue[BeginTrial | Answer | Quit] = queue.SimpleQueue()
        """What a search says to a worker that trains one trial after the other."""
        threading.Thread(target=self._read, daemon=True, name="wire").start()

    def _read(self) -> None:
        while True:
            try:
                self._take(self._wire.receive())
            except MessageError as error:
                with suppress(OSError):
                    self._wire.send(End(status=error.status, reason=str(error)))
                os._exit(error.exit_code)
            except (EOFError, OSError):
                # nobody is left to read a result; nothing of ours is open for writing
                os._exit(PARENT_IS_GONE)

    def _take(self, message: ParentWord) -> None:
        match message:
            case Go(slices=slices):
                self._credits.put(slices)
            case Stop():
                self.stopped = True
                # wakes ``permit``, which may be waiting
                self._credits.put(0)
            case BeginTrial() | Answer() | Quit():
                self.words.put(message)
            # words for another kind of process: the parent has mixed up its workers
            case OpenStudy() | Propose():
                raise MessageError(f"a worker that trains is not told {message.kind!r}")
            case _:
                assert_never(message)

    def permit(self) -> bool:
        """Waits for the parent's leave to run one slice; False: stop."""
        while not self._unlimited and not self.stopped:
            credits = self._credits.get()
            # None is leave for all that follows; what is left of a number is kept for later
            if credits is None:
                self._unlimited = True
            elif credits > 1:
                self._credits.put(credits - 1)
            if credits != 0:
                break
        return not self.stopped
