"""What can be named in an experiment file: what nncompare ships, and what installed plug-ins add.

A plug-in is an entry point of an installed distribution, declared in its ``pyproject.toml`` under
``[project.entry-points."nncompare.data"]``. One that cannot be used costs its row in ``nncompare
list`` and no more.
"""

from __future__ import annotations

import contextlib
import sys
from collections import UserDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

OWN = "nncompare"
"""The origin of what nncompare itself ships."""

Entry = TypeVar("Entry")


class UnusableError(Exception):
    """What an entry point gives is not what its group asks for; the message says why."""


@dataclass(frozen=True, kw_only=True)
class BrokenPlugin:
    """A plug-in that cannot be used.

    Args:
        name: the name of its entry point.
        origin: the distribution that brings it and its version, ``nncompare-numpy 0.1``.
        reason: one line.
    """

    name: str
    origin: str
    reason: str


class Catalog(UserDict[str, Entry]):
    """A mapping from names to entries that is filled when it is first looked at.

    Nothing is searched for when the module that holds a catalog is imported: a plug-in can import
    that module for its base classes, and ``nncompare --help`` does not look for plug-ins.

    Args:
        group: the group of entry points that plug-ins use, ``nncompare.data``.
        shipped: finds nncompare's own entries, in the order in which they are listed.
        check: takes what an entry point gives and returns its name and the entry, or raises
            ``UnusableError``.
    """

    def __init__(
        self,
        group: str,
        *,
        shipped: Callable[[], Mapping[str, Entry]],
        check: Callable[[object], tuple[str, Entry]],
    ):
        self.group = group
        self._shipped = shipped
        self._check = check
        self._origins: dict[str, str] = {}
        self._broken: list[BrokenPlugin] = []
        self._is_filling = False

    def origin(self, name: str) -> str:
        """Who brings an entry: ``nncompare``, or a distribution and its version."""
        # being filled, it learns who brings what
        _ = self.data
        return self._origins.get(name, OWN)

    @property
    def broken(self) -> tuple[BrokenPlugin, ...]:
        """The plug-ins of this group that cannot be used."""
        _ = self.data
        return tuple(self._broken)

    @cached_property
    def data(self) -> dict[str, Entry]:  # type: ignore[override]
        """The entries, which ``UserDict`` reads and writes."""
        if self._is_filling:
            # A plug-in's module has imported something that needs the finished catalog, for
            # example the schema of an experiment.
            raise RuntimeError(
                f"the names of {self.group} are asked for while its plug-ins are being imported;"
                " the module that an entry point names must import less"
            )
        self._is_filling = True
        try:
            entries = dict(self._shipped())
            for point in _entry_points(self.group):
                self._add(point, entries)
        finally:
            self._is_filling = False
        return entries

    def _add(self, point: EntryPoint, entries: dict[str, Entry]) -> None:
        """Adds what one entry point gives, or notes why it cannot be used."""
        origin = _distribution(point)
        try:
            value = _load(point)
            given = value if isinstance(value, (list, tuple)) else [value]
            found = dict(self._check(item) for item in given)
        except (Exception, SystemExit) as error:
            self._note(point, origin, _reason(error))
            return
        for name, entry in found.items():
            # first come, first served: a plug-in can replace nothing
            if name in entries:
                taken = f"the name {name!r} is taken by {self._origins.get(name, OWN)}"
                self._note(point, origin, taken)
                continue
            entries[name] = entry
            self._origins[name] = origin

    def _note(self, point: EntryPoint, origin: str, reason: str) -> None:
        self._broken.append(BrokenPlugin(name=point.name, origin=origin, reason=reason))


def _entry_points(group: str) -> list[EntryPoint]:
    """The entry points of a group, in an order that is the same in every process."""
    from importlib.metadata import entry_points

    try:
        return sorted(
            entry_points(group=group), key=lambda point: (_distribution(point), point.name)
        )
    except Exception:
        # One damaged distribution anywhere in the environment, nncompare's or not, makes the whole
        # look-up fail; what nncompare ships works all the same.
        return []


def _load(point: EntryPoint) -> object:
    """Imports what an entry point names. What it prints goes to stderr, away from ``--json``."""
    with contextlib.redirect_stdout(sys.stderr):
        return point.load()


def _distribution(point: EntryPoint) -> str:
    """The distribution and its version, ``nncompare-numpy 0.1``."""
    if point.dist is None:
        return "unknown"
    return f"{point.dist.name} {point.dist.version}"


def _reason(error: BaseException) -> str:
    """Why a plug-in cannot be used, in one line."""
    text = " ".join(str(error).split())
    if isinstance(error, UnusableError):
        return text
    return f"{type(error).__name__}: {text or 'no message'}"
