"""Messages between the parent and one worker: JSON over a descriptor of their own, never stdout.

Frameworks print to stdout and stderr; those go to a log. The parent says ``go`` (with a number of
slices, or null for all of them) and ``stop``; a worker says, in this order:

==============  ==================================================================================
``imported``    ``versions``, ``import_s``
``built``       ``build_s``, ``device``, ``device_name``, ``parameters``, ``settings``
``slices``      ``rows``: list of ``[epoch, begin, end, seconds, loss, phase]``; ``step``,
                ``steps_per_s``
``epoch``       one row of the history
``parity``      ``seconds``, ``error``: the short parity check after a training
``progress``    ``what``, ``done``, ``of``: of ``verify``
``result``      ``final``, ``timing``, ``memory``
``end``         ``status``, ``reason``: the last word
==============  ==================================================================================
"""

from __future__ import annotations

import json
import math
import os
import queue
import socket
import threading
from multiprocessing.connection import Connection
from typing import Any

Message = dict[str, Any]


def clean(value: Any) -> Any:
    """The value as strict JSON: NaN and infinity become None, NumPy numbers plain ones."""
    if isinstance(value, dict):
        return {str(key): clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


class Wire:
    """One end of the connection."""

    def __init__(self, connection: Connection[Any, Any]):
        self.connection = connection

    @classmethod
    def from_descriptor(cls, descriptor: int) -> Wire:
        return cls(Connection(descriptor))

    def send(self, kind: str, **fields: Any) -> None:
        text = json.dumps(clean({"kind": kind, **fields}), allow_nan=False)
        self.connection.send_bytes(text.encode())

    def receive(self) -> Message:
        """The next message; blocks.

        Raises:
            EOFError: the other side is gone.
        """
        message: Message = json.loads(self.connection.recv_bytes())
        return message

    def close(self) -> None:
        self.connection.close()


def pair() -> tuple[Wire, socket.socket]:
    """The parent's end, and the socket whose descriptor the worker inherits."""
    ours, theirs = socket.socketpair()
    return Wire.from_descriptor(ours.detach()), theirs


class Inbox:
    """What the parent says, read by a thread that sleeps until something comes.

    When the parent is gone the worker ends at once: a dead parent leaves no worker behind.
    """

    def __init__(self, wire: Wire):
        self._wire = wire
        self._credits: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._unlimited = False
        self.stopped = False
        self.words: queue.SimpleQueue[Message] = queue.SimpleQueue()
        """What is neither ``go`` nor ``stop``, for a worker that serves one request after the
        other.
        """
        threading.Thread(target=self._read, daemon=True, name="wire").start()

    def _read(self) -> None:
        while True:
            try:
                message = self._wire.receive()
            except (EOFError, OSError):
                os._exit(75)  # nobody is left to read a result; nothing of ours is open for writing
            if message["kind"] == "stop":
                self.stopped = True
                self._credits.put(0)
            elif message["kind"] == "go":
                self._credits.put(message.get("slices"))
            else:
                self.words.put(message)

    def permit(self) -> bool:
        """Waits for the parent's leave to run one slice; False: stop."""
        while not self._unlimited and not self.stopped:
            credits = self._credits.get()
            if credits is None:
                self._unlimited = True
            elif credits > 1:
                self._credits.put(credits - 1)
            if credits != 0:
                break
        return not self.stopped
