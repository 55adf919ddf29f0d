"""Signals that end a command like Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ended_like_ctrl_c() -> Iterator[None]:
    """``kill``, a batch system's time limit and a closed terminal keep what is finished too."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    ours = []
    # only the main thread is told of signals
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            # not what nohup or an embedding program has set
            if signal.getsignal(number) is signal.SIG_DFL:
                ours.append(number)
    for number in ours:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
