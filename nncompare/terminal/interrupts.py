"""Ctrl-C before a command has begun and after it has ended; in between it is ``KeyboardInterrupt``.

It imports next to nothing, since it comes before everything else.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress

_INTERRUPTED = 130
"""``ExitCode.INTERRUPTED``, whose module is imported later."""


def leave_at_once() -> None:
    """From now on Ctrl-C ends the process: there is nothing to keep yet, and a traceback through
    the imports would tell a user nothing.
    """
    # a background job of a shell ignores Ctrl-C, and goes on doing so
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def command_begins() -> None:
    """From now on Ctrl-C is the command's."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def command_has_ended() -> None:
    """From now on Ctrl-C and ``kill`` do nothing: all is said and stored, the way out is short, and
    a second signal must not change the exit code that tells of the first.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def _leave(*_: object) -> None:
    # standard error may be closed or full
    with suppress(OSError):
        os.write(2, b"interrupted\n")
    # no exception: one that is raised inside an import can be swallowed or changed there
    os._exit(_INTERRUPTED)
