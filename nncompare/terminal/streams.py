"""The standard streams of the command, whatever they are connected to: a reader that has gone, a
full disk, a terminal that was closed, or nothing at all.

A write never raises here: a command does its work to the end, stores it and ends with its own exit
code, and only then ``lost_output`` says that nobody could read it.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from select import select
from typing import Any, TextIO

from nncompare.errors import ExitCode


class _Lenient(io.FileIO):
    """Writes to a descriptor until that fails, and drops everything from then on."""

    def __init__(self, descriptor: int):
        # the descriptor is the process's, and is not closed with this object
        super().__init__(descriptor, "wb", closefd=False)
        self.problem: OSError | None = None
        """Why what was written is lost."""

    def write(self, data: Any) -> int:
        while self.problem is None:
            try:
                written = super().write(data)
            except OSError as error:
                self.problem = error
                break
            if written is not None:
                return written
            # a pipe that does not block, and whose reader is slow
            select([], [self], [])
        return len(data)


def guard() -> None:
    """Makes the standard streams safe to use, once, at the start of the process."""
    # What is opened next would get the number of a closed stream: a result's file, or the wire to a
    # worker, and whoever prints would print into it.
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  (the process's own)
    sys.stdout = _guarded(sys.stdout, sys.__stdout__, 1)
    sys.stderr = _guarded(sys.stderr, sys.__stderr__, 2)
    for name in ("COLUMNS", "LINES", "TERMINAL_WIDTH"):
        size = os.environ.get(name, "1")
        # a terminal of no columns shows nothing, and what is no number would be an error in rich
        if not size.isdecimal() or int(size) == 0:
            del os.environ[name]


def _guarded(stream: TextIO | None, original: TextIO | None, descriptor: int) -> TextIO:
    # a program that embeds the command has put its own stream there
    if stream is not None and (stream is not original or not isinstance(stream, io.TextIOWrapper)):
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_Lenient(descriptor)),
        encoding="utf-8" if stream is None else stream.encoding,
        # an ASCII terminal gets a question mark for a character it lacks, not a traceback
        errors="replace",
        line_buffering=stream is None or stream.line_buffering or stream.write_through,
    )


def lost_output(code: int) -> int:
    """The exit code of a command that has ended, once everything it said has been written; says on
    stderr why that could not be done.

    Args:
        code: what the command itself leaves with; one that is not 0 stays.
    """
    # a stream of an embedding program may be closed by now
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if not isinstance(raw, _Lenient) or raw.problem is None:
        return code
    # ``nncompare list | head`` has read what it wanted
    if isinstance(raw.problem, BrokenPipeError):
        return code or ExitCode.BROKEN_PIPE
    sys.stderr.write(f"error: the output could not be written: {raw.problem.strerror}\n")
    return code or ExitCode.NOT_FINISHED
