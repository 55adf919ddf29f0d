"""Every error that nncompare raises on purpose.

::

    NncompareError
    ├── UsageError              the user's input: exit code 2
    │   ├── ConfigError         a list of problems with positions in a file or argument
    │   ├── ShapeError          a layer cannot take its input (becomes a ConfigError)
    │   ├── DataError           a data set is missing, damaged or unknown
    │   └── StoreError          a stored result is missing, damaged or of another version
    └── RuntimeFailure          one runtime did not finish: exit code 3, the others go on
        ├── Refused             it cannot run faithfully here
        ├── Failed              it raised an error or its process died
        │   └── MessageError    parent and worker do not understand each other
        ├── OutOfMemory
        ├── TimedOut
        ├── Diverged            loss not finite
        └── Interrupted

Errors name the key, the value, what is allowed and the fix. Only ``cli`` prints or exits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Literal

Status = Literal["ok", "refused", "failed", "out of memory", "timed out", "diverged", "interrupted"]
"""How a worker ends: ``ok``, or the word of a ``RuntimeFailure``."""


class ExitCode(IntEnum):
    """What a command leaves with."""

    OK = 0
    NEGATIVE = 1
    """What was checked is not so."""
    USAGE = 2
    """The user's input is wrong."""
    NOT_FINISHED = 3
    """Some runtime did not finish, the others did; or the result could not be stored where it was
    to be, or what the command says could not be written.
    """
    INTERRUPTED = 130
    """Ctrl-C, as a shell reports it."""
    BROKEN_PIPE = 141
    """The reader of the output has gone, as a shell reports it."""


class NncompareError(Exception):
    """Base of every deliberate error."""

    exit_code: ClassVar[ExitCode] = ExitCode.NEGATIVE


class UsageError(NncompareError):
    """The user's input is wrong; the message says what to change."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing wrong with a configuration.

    Args:
        path: dotted path of the key, for example ``train.optimizer.lr``; empty for the whole file.
        message: what is wrong, what is allowed, how to mend it.
        source: the file's name, or the command-line argument the problem comes from.
        line, column: 1-based position in the file; None for an argument.
        text: the source line, for the caret.
    """

    path: str
    message: str
    source: str = ""
    line: int | None = None
    column: int | None = None
    text: str | None = None

    def __str__(self) -> str:
        place = ":".join(
            str(part) for part in (self.source, self.line, self.column) if part not in ("", None)
        )
        head = ": ".join(part for part in (place, self.path, self.message) if part)
        # an argument of the command line has no line to show
        if self.text is None or self.column is None:
            return head
        # A tab is drawn as one space so that the caret stands under its character.
        return f"{head}\n    {self.text.replace(chr(9), ' ')}\n    {' ' * (self.column - 1)}^"


class ConfigError(UsageError):
    """One or more problems in an experiment file or its overrides, all found in one pass."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class ShapeError(UsageError):
    """A layer cannot be applied to its input.

    Args:
        message: what does not fit, with the sizes.
        field: the layer's field at fault (``kernel``, ``heads``), if there is one.
        path: dotted path of the layer in the file, filled in while the model is resolved.
    """

    def __init__(self, message: str, *, field: str | None = None, path: str = ""):
        self.message, self.field, self.path = message, field, path
        super().__init__(f"{path}: {message}" if path else message)


class DataError(UsageError):
    """A data set is missing, damaged, of the wrong kind, or unknown."""


class StoreError(UsageError):
    """A stored result is missing, damaged, locked, or of an unknown version."""


class RuntimeFailure(NncompareError):
    """One runtime did not finish. ``status`` is the word in its row."""

    exit_code = ExitCode.NOT_FINISHED
    status: ClassVar[Status] = "failed"


class Refused(RuntimeFailure):
    """The runtime says that it cannot run this job faithfully here, and why."""

    status = "refused"


class Failed(RuntimeFailure):
    """The runtime raised an error, or its process died."""


class MessageError(Failed):
    """A message or a job folder that the other side does not understand; the text says where."""


class OutOfMemory(RuntimeFailure):
    status = "out of memory"


class TimedOut(RuntimeFailure):
    status = "timed out"


class Diverged(RuntimeFailure):
    """The training loss is NaN or infinite."""

    status = "diverged"


class Interrupted(RuntimeFailure):
    status = "interrupted"


def nearest(word: str, allowed: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The allowed word that is nearest to a misspelt one, whatever its case; None: none is near.

    Args:
        cutoff: how much of both words must agree, from 0 to 1.
    """
    # imported here: a command line without mistakes needs no difflib
    from difflib import get_close_matches

    by_lower_case = {name.lower(): name for name in allowed}
    near = get_close_matches(word.lower(), by_lower_case, n=1, cutoff=cutoff)
    return by_lower_case[near[0]] if near else None


def did_you_mean(word: str, allowed: Iterable[str], *, cutoff: float = 0.6) -> str:
    """How a message about a misspelt word goes on: ``; did you mean 'torch'?``, or with a full
    stop if no allowed word is near.
    """
    near = nearest(word, allowed, cutoff=cutoff)
    return "." if near is None else f"; did you mean {near!r}?"


def unknown_name(what: str, name: str, allowed: Iterable[str]) -> str:
    """The message about a name that is not there: ``there is no runtime 'torhc'; did you mean
    'torch'? Allowed: torch, tensorflow, …``.

    Args:
        what: ``no runtime``.
    """
    names = list(allowed)
    return f"there is {what} {name!r}{did_you_mean(name, names)} Allowed: {', '.join(names)}"
