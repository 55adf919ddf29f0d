"""What the progress displays share: bars on a terminal, one plain line at a time on a pipe, nothing
with ``quiet``.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Self

from rich.console import Console
from rich.progress import Progress, ProgressColumn, TaskID
from rich.text import Text

from nncompare.show.words import printable
from nncompare.terminal.console import err, is_live

EVERY_S = 2.0
"""Shortest time between two lines about one topic on a pipe."""


def is_shown(wanted: bool) -> bool:
    """Whether a function of the Python API shows how it goes: only where someone sees it, in a
    terminal or a notebook.
    """
    console = err()
    return wanted and (console.file.isatty() or console.is_jupyter)


def say_asking(console: Console, runtime: str) -> None:
    """That a process of a runtime is asked something, which takes some seconds."""
    console.print(f"asking {runtime} …", style="dim", markup=False, soft_wrap=True)


class Display(ABC):
    """One bar a worker, and lines. Several threads may use it, each with labels of its own.

    Args:
        console: on standard error.
        quiet: say nothing.
        live: draw bars; None: where the console can redraw them.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        console: Console,
        *,
        quiet: bool = False,
        live: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._console = console
        self._quiet = quiet
        self._clock = clock
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, float] = {}
        self._live: Progress | None = None
        wanted = is_live(console) if live is None else live
        if wanted and not quiet:
            # transient: what stays when the command has ended is the lines
            self._live = Progress(
                *self._columns(console.width),
                console=console,
                get_time=clock,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )

    @abstractmethod
    def _columns(self, width: int) -> Sequence[ProgressColumn]:
        """What stands beside each other in a bar on a console of this width."""

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def prepares(self, text: str) -> None:
        """What the parent does, in one line."""
        self._line(text)

    def _bar(
        self,
        label: str,
        text: str,
        *,
        head: str | None = None,
        completed: float | None = None,
        total: float | None = None,
    ) -> bool:
        """Shows the label's bar, made when it is first named; False where lines are said instead.

        Args:
            text: beside the bar.
            head: before it, in place of the label; None: as it was.
            completed, total: None: as they were.
        """
        if self._live is None:
            return False
        # who never says anything has no bar
        if label not in self._tasks:
            self._tasks[label] = self._live.add_task(head or label, total=None, text=text)
        self._live.update(
            self._tasks[label], description=head, text=text, completed=completed, total=total
        )
        return True

    def _remove_bar(self, label: str) -> None:
        if self._live is not None and label in self._tasks:
            self._live.remove_task(self._tasks.pop(label))

    def _is_due(self, topic: str) -> bool:
        """Whether a line about this may be said now; if so, the next one is not due for
        ``EVERY_S``.
        """
        now = self._clock()
        if now - self._said.get(topic, -math.inf) < EVERY_S:
            return False
        self._said[topic] = now
        return True

    def _line(self, text: str) -> None:
        """One line; on a pipe it is one whatever its length."""
        if not self._quiet:
            self._console.print(Text(printable(text).replace("\n", " ")), soft_wrap=True)
