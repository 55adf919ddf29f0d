"""Signals that end a command like Ctrl-C, and work that they must not cut in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


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


class Held:
    """Signals that wait. Made by ``held``."""

    def __init__(self) -> None:
        self.raised = False
        """``obeyed`` has raised ``KeyboardInterrupt`` for one."""
        self._obeys = False
        self._waiting: int | None = None

    @property
    def came(self) -> bool:
        """A signal came, whether it has been obeyed or waits."""
        return self.raised or self._waiting is not None

    @property
    def waiting(self) -> int | None:
        """A signal that came and that nobody has been told of yet."""
        return None if self.raised else self._waiting

    @contextmanager
    def obeyed(self) -> Iterator[None]:
        """Inside, the first signal raises ``KeyboardInterrupt`` at once, also one that has waited.
        Those that follow wait again, so that ``finally`` and ``except`` are done to their end. One
        may stand in another.
        """
        obeyed_outside = self._obeys
        self._obeys = True
        try:
            if self._waiting is not None:
                self._raise()
            yield
        except KeyboardInterrupt:
            obeyed_outside = False
            raise
        finally:
            self._obeys = obeyed_outside

    def take(self, number: int, _: object) -> None:
        """The handler of the signals."""
        if self._obeys:
            self._raise()
        self._waiting = number

    def _raise(self) -> None:
        # Once: who presses Ctrl-C five times must not interrupt what the first one has begun.
        self._obeys = False
        self._waiting = None
        self.raised = True
        raise KeyboardInterrupt


_active: Held | None = None
"""The outermost ``held`` of this process."""


@contextmanager
def held() -> Iterator[Held]:
    """What is inside is done to its end: signals that end a command wait, but for those that come
    inside ``obeyed``. A signal that has waited for nobody is sent again at the end::

        with held() as signals:
            try:
                with signals.obeyed():
                    train()
            except KeyboardInterrupt:
                outcome = "interrupted"
            store()

    An inner one is the outer one, so that a command may hold the signals around a study that does
    so itself. Only what raises ``KeyboardInterrupt`` is held: Ctrl-C, and inside
    ``ended_like_ctrl_c`` the others.
    """
    global _active
    # another thread is told of no signals
    if threading.current_thread() is not threading.main_thread():
        yield Held()
        return
    if _active is not None:
        yield _active
        return
    known = [getattr(signal, name) for name in _ENDING if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in known}
    # neither what is ignored (nohup) nor what ends the process without a word
    ours = {number: handler for number, handler in before.items() if callable(handler)}
    signals = Held()
    _active = signals
    try:
        for number in ours:
            signal.signal(number, signals.take)
        yield signals
    finally:
        _active = None
        for number, handler in ours.items():
            signal.signal(number, handler)
    # not after an exception, which says already that the work inside has ended
    if signals.waiting is not None:
        signal.raise_signal(signals.waiting)
