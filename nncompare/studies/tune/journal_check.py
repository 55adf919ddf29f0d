"""A journal is looked through, line by line, before a search goes on with it.

Optuna reads a journal in good faith: what does not fit together is an error somewhere inside of it,
or is passed over, and trials are lost without a word. Here each line is held to what a journal may
say, and what is wrong is named with its line. Nothing is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import BaseJournalBackend
from optuna.storages.journal._storage import JournalOperation

from nncompare.errors import StoreError

PUT_BACK = (
    "nothing was changed; put a whole copy back, or begin a new search with the folder's"
    " experiment.yaml"
)
"""How a refusal ends."""
_PICKLE = re.compile(r"(\w+:)*optimizer(:\d+)?")
"""System attributes in which Optuna's CMA-ES keeps a pickle."""
_OF_A_STUDY = (
    JournalOperation.DELETE_STUDY,
    JournalOperation.SET_STUDY_USER_ATTR,
    JournalOperation.SET_STUDY_SYSTEM_ATTR,
    JournalOperation.CREATE_TRIAL,
)
_OF_A_TRIAL = (
    JournalOperation.SET_TRIAL_PARAM,
    JournalOperation.SET_TRIAL_STATE_VALUES,
    JournalOperation.SET_TRIAL_INTERMEDIATE_VALUE,
    JournalOperation.SET_TRIAL_USER_ATTR,
    JournalOperation.SET_TRIAL_SYSTEM_ATTR,
)


class CheckedJournal(BaseJournalBackend):
    """A journal that can be read and not written.

    Args:
        path: of the file.

    Raises:
        StoreError: it cannot be read.
    """

    def __init__(self, path: Path):
        self.path = path
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            raise StoreError(f"{path}: missing; {PUT_BACK}") from None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from None
        self.size = len(content)
        *self._lines, torn = content.split(b"\n")
        self.torn_line = len(self._lines) + 1 if torn else None
        """The last line, if it has no end: a crash came while it was written."""
        self._number = 0
        self._studies = 0
        self._trials = 0

    def storage(self) -> BaseStorage:
        """What the whole lines say.

        Raises:
            StoreError: one of them is damaged; the message names it.
        """
        # No crash leaves a file without one whole line that is not empty.
        if not self._lines and self.torn_line is not None:
            raise StoreError(f"{self.path}:1: damaged: {_not_json(b'')}; {PUT_BACK}")
        try:
            return JournalStorage(self)
        except StoreError:
            raise
        except Exception as error:
            # Optuna has taken the line for what it is not; its errors have few words.
            reason = str(error) or type(error).__name__
            raise self._damaged(f"cannot be applied: {reason}") from error

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Optuna asks for each line once."""
        for number, line in enumerate(self._lines[log_number_from:], start=log_number_from + 1):
            self._number = number
            yield self._checked(line)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        raise AssertionError(f"{self.path} is only read")

    def _checked(self, line: bytes) -> dict[str, Any]:
        """One line as Optuna may apply it."""
        try:
            log = json.loads(line)
        except (ValueError, RecursionError):
            raise self._damaged(_not_json(line)) from None
        if not isinstance(log, dict):
            raise self._damaged(f"an operation is a JSON object, this is {type(log).__name__}")
        code = log.get("op_code")
        known = [operation.value for operation in JournalOperation]
        # True == 1 in Python, but it is no operation.
        if type(code) is not int or code not in known:
            raise self._damaged(f"unknown operation {code!r}")
        if not isinstance(log.get("worker_id"), str):
            raise self._damaged("it does not say who wrote it (worker_id)")
        self._refuse_pickles(log)
        # Optuna passes over what belongs to nothing, and what was meant is lost.
        if code in _OF_A_STUDY:
            self._belongs(log, "study", self._studies)
        if code in _OF_A_TRIAL:
            self._belongs(log, "trial", self._trials)
        self._studies += code == JournalOperation.CREATE_STUDY
        self._trials += code == JournalOperation.CREATE_TRIAL
        return log

    def _belongs(self, log: dict[str, Any], what: str, count: int) -> None:
        """Whether a line is about something that a line before it has made."""
        found = log.get(f"{what}_id")
        if type(found) is not int or not 0 <= found < count:
            raise self._damaged(f"it is about {what} {found!r}, which no line before it has made")

    def _refuse_pickles(self, log: dict[str, Any]) -> None:
        for place in ("system_attr", "system_attrs"):
            attributes = log.get(place)
            for name in attributes if isinstance(attributes, dict) else ():
                if is_pickle(name):
                    raise StoreError(f"{self.path}:{self._number}: {pickle_refusal(name)}")

    def _damaged(self, reason: str) -> StoreError:
        return StoreError(f"{self.path}:{self._number}: damaged: {reason}; {PUT_BACK}")


def _not_json(line: bytes) -> str:
    """Why a line is none of a journal."""
    try:
        json.loads(line)
    except RecursionError:
        return "not JSON: nested too deeply"
    except UnicodeDecodeError as error:
        return f"not JSON: no text at byte {error.start}"
    except ValueError as error:
        return f"not JSON: {error}"
    raise AssertionError("it is JSON")


def is_pickle(attribute: str) -> bool:
    """Whether Optuna would unpickle a system attribute of this name."""
    return _PICKLE.fullmatch(attribute) is not None


def pickle_refusal(attribute: str) -> str:
    """Why a storage with such an attribute is refused."""
    return (
        f"the system attribute {attribute!r} holds a pickle, which could run code when it is read;"
        " nncompare neither writes nor reads any, so it comes from elsewhere: do not open this"
        " study with other programs, and begin a new search"
    )
