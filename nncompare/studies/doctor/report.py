"""The report of ``nncompare doctor``: what this machine and each framework offer, and how to mend
what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nncompare.backends.base import Device
from nncompare.show.sheet import section
from nncompare.show.words import printable


@dataclass(frozen=True, kw_only=True)
class System:
    """The machine, as this process sees it.

    Args:
        usable_threads: processors that a worker may use (affinity and quota).
        cpu_quota: processors that the control group grants; None: no limit.
        memory_bytes: of the machine; ``available_bytes``: free for new processes.
    """

    os: str
    cpu: str
    logical_cores: int | None
    usable_threads: int
    cpu_quota: float | None = None
    memory_bytes: int | None = None
    available_bytes: int | None = None
    python: str
    nncompare: str


@dataclass(frozen=True, kw_only=True)
class Framework:
    """One framework and the runtimes it serves.

    Args:
        problem: why it cannot be used; None if it can.
        fix: the command or the action that mends it.
        log: what it printed when it failed.
    """

    runtimes: tuple[str, ...]
    versions: dict[str, str] = field(default_factory=dict)
    devices: tuple[Device, ...] = ()
    problem: str | None = None
    fix: str | None = None
    log: str | None = None


@dataclass(frozen=True, kw_only=True)
class CachedData:
    """One data set of the cache. ``state``: ``ready``, or what is missing; ``fix``: the command
    that gets it.
    """

    name: str
    state: str
    fix: str | None = None


@dataclass(frozen=True, kw_only=True)
class DataCache:
    """Where downloads are kept, and what is there. ``problem``, ``fix``: of the folder itself."""

    path: Path
    contents: tuple[CachedData, ...] = ()
    problem: str | None = None
    fix: str | None = None


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Everything that ``doctor`` looked at."""

    system: System
    frameworks: tuple[Framework, ...]
    data: DataCache

    @property
    def usable(self) -> tuple[str, ...]:
        """Runtimes that can be run."""
        return tuple(
            name
            for framework in self.frameworks
            if not framework.problem
            for name in framework.runtimes
        )


def doctor_report(findings: Findings) -> RenderableType:
    """System, frameworks and data cache; each problem with its fix under it."""
    parts: list[RenderableType] = [
        section("System"),
        _rows(_system(findings.system)),
        Text(),
        section("Frameworks"),
    ]
    for framework in findings.frameworks:
        parts += [
            Text(f"  {framework.runtimes[0]}", style="bold"),
            _rows(_framework(framework), indent=4),
        ]
    parts += [Text(), section("Data cache"), _rows(_data(findings.data)), Text()]
    usable = findings.usable
    if len(usable) > 1:
        parts.append(Text(f"Ready: {', '.join(usable)}.", style="bold", overflow="fold"))
    elif usable:
        parts.append(
            Text(f"Ready: {usable[0]} alone; a comparison needs a second runtime.", style="bold")
        )
    else:
        parts.append(Text("Not ready: no runtime can be used; see the fixes above.", style="bold"))
    return Group(*parts)


def _system(system: System) -> list[tuple[str, str]]:
    cores = "unknown number of" if system.logical_cores is None else str(system.logical_cores)
    quota = "" if system.cpu_quota is None else f", quota of {system.cpu_quota:g} processors"
    memory = (
        "n/a: the system does not say" if system.memory_bytes is None else _gib(system.memory_bytes)
    )
    if system.available_bytes is not None:
        memory += f", {_gib(system.available_bytes)} available"
    return [
        ("system", system.os),
        ("processor", system.cpu),
        ("cores", f"{cores} logical{quota}; {system.usable_threads} usable as threads"),
        ("memory", memory),
        ("python", system.python),
        ("nncompare", system.nncompare),
    ]


def _framework(framework: Framework) -> list[tuple[str, str]]:
    rows = [("runtimes", ", ".join(framework.runtimes))]
    if framework.versions:
        rows.append(
            (
                "versions",
                ", ".join(f"{name} {version}" for name, version in framework.versions.items()),
            )
        )
    rows += [
        ("device", f"{device.kind}: {device.id} ({device.name})") for device in framework.devices
    ]
    if framework.problem is None and not framework.devices:
        rows.append(("device", "n/a: the framework reports none"))
    rows += _trouble(framework.problem, framework.fix)
    if framework.log and framework.log.strip():
        rows.append(("log", printable(framework.log).rstrip()))
    return rows


def _data(data: DataCache) -> list[tuple[str, str]]:
    rows = [("folder", str(data.path)), *_trouble(data.problem, data.fix)]
    for entry in data.contents:
        rows.append((entry.name, entry.state + (f"; fix: {entry.fix}" if entry.fix else "")))
    if not data.contents and data.problem is None:
        rows.append(("contents", "empty: downloads are kept here"))
    return rows


def _trouble(problem: str | None, fix: str | None) -> list[tuple[str, str]]:
    if problem is None:
        return []
    return [("PROBLEM", printable(problem)), *([("fix", fix)] if fix else [])]


def _rows(rows: Sequence[tuple[str, str]], *, indent: int = 2) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for title, text in rows:
        loud = "bold" if title == "PROBLEM" else ""
        grid.add_row(Text(" " * indent + title, style=loud or "dim"), Text(text, style=loud))
    return grid


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
