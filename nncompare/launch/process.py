"""One worker process: start, talk, pause, end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import psutil

from nncompare.errors import Failed, OutOfMemory, TimedOut
from nncompare.launch.resources import killed_for_memory
from nncompare.wire.connection import pair
from nncompare.wire.messages import End, Go, ParentWord, WorkerWord

TERMINATE_S = 5.0
"""Between the polite signal and the other one."""
LOG_TAIL_LINES = 25
LOG_TAIL_BYTES = 20_000


class WorkerProcess:
    """A worker in its own process group, its output in a log, its messages on a wire.

    Args:
        command: from ``environment.worker_command``, without ``--wire``.
        environment: complete.
        log: the file that takes stdout and stderr.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], log: Path):
        self.log = log
        self._oom_kills = killed_for_memory()
        self._wire, theirs = pair()
        log.parent.mkdir(parents=True, exist_ok=True)
        # the child has its copy of both: an end that we kept open would hide its death
        with theirs, log.open("ab") as output:
            self.process = subprocess.Popen(
                [*command, "--wire", str(theirs.fileno()), "--parent", str(os.getpid())],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                # Its own group: Ctrl-C in the terminal reaches the parent alone, and one signal
                # reaches all of it.
                start_new_session=True,
            )

    def go(self, slices: int | None = None) -> None:
        """Leave to run so many slices; None: all."""
        self.send(Go(slices=slices))

    @property
    def connection(self) -> Connection[Any, Any]:
        """For ``multiprocessing.connection.wait`` over several workers."""
        return self._wire.connection

    def send(self, message: ParentWord) -> None:
        """Says something to the worker; that it has died is found when it is next heard."""
        with suppress(OSError):
            self._wire.send(message)

    def receive(self) -> WorkerWord:
        """The next message; blocks.

        Raises:
            Failed, OutOfMemory: the process died, or said what nobody understands.
        """
        try:
            return self._wire.receive()
        except (EOFError, OSError):
            raise self._death() from None

    def messages(self, timeout_s: float, *, setting: str | None = None) -> Iterator[WorkerWord]:
        """Everything the worker says, until its last word ``end``.

        Args:
            timeout_s: for the whole worker.
            setting: the key of the experiment that sets it, for the message.

        Raises:
            TimedOut: nothing final came within ``timeout_s``.
            Failed, OutOfMemory: the process died without a last word.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            left = deadline - time.monotonic()
            # blocks, since a parent that polls takes time from what it measures
            if left <= 0 or not wait([self._wire.connection], left):
                where = f" ({setting})" if setting is not None else ""
                raise TimedOut(f"no result within {timeout_s:g} s{where}")
            message = self.receive()
            yield message
            if isinstance(message, End):
                return

    def _death(self) -> Failed | OutOfMemory:
        """Why the wire has gone silent before the last word."""
        try:
            code = self.process.wait(TERMINATE_S)
        except subprocess.TimeoutExpired:
            # it lives, and will never be heard again
            self.kill()
            return Failed("the process closed its wire before its result")
        killed = code == -signal.SIGKILL
        # the control group counts such kills; they may have hit another process, but not likely
        if killed and killed_for_memory() > self._oom_kills:
            return OutOfMemory("the kernel killed the process for memory")
        # a negative code is the signal that ended the process
        if code < 0:
            names = {number.value: number.name for number in signal.Signals}
            name = names.get(-code, "unknown")
            # a machine without control groups counts nothing
            hint = "; the kernel does this when memory runs out" if killed else ""
            return Failed(f"crashed (signal {-code}, {name}){hint}")
        return Failed(f"the process ended with code {code} before its result")

    def suspend(self) -> None:
        """Stops the process group's threads until ``resume``."""
        with suppress(psutil.NoSuchProcess):
            psutil.Process(self.process.pid).suspend()

    def resume(self) -> None:
        """Lets it go on."""
        with suppress(psutil.NoSuchProcess):
            psutil.Process(self.process.pid).resume()

    def close(self) -> None:
        """Ends the process if it still runs: TERM, ``TERMINATE_S``, KILL of the whole group. Frees
        the wire.
        """
        if self.process.poll() is None:
            # a suspended process hears no signal but KILL
            self.resume()
            try:
                self._signal(signal.SIGTERM)
                self.process.wait(TERMINATE_S)
            except subprocess.TimeoutExpired:
                pass
        self._signal(signal.SIGKILL)  # also what the worker itself started
        self.process.wait()
        self._wire.close()

    def kill(self) -> None:
        """Ends the process group at once; ``close`` is still owed."""
        if self.process.poll() is None:
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def tail(self) -> str:
        """The last lines of the log."""
        return tail(self.log)


def tail(log: Path) -> str:
    """The last lines of a log; empty if there is none."""
    # a worker that was refused before its start
    if not log.exists():
        return ""
    # a log can be as long as a training
    text = log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
    return "\n".join(text.splitlines()[-LOG_TAIL_LINES:])
