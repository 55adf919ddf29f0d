"""The report of ``nncompare doctor``: what this machine and each framework offer, and how to mend
what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from nncompare.show.sheet import grid_of_texts, section, spaced
from nncompare.show.words import printable
from nncompare.studies.doctor.record import DataCache, DoctorRecord, Framework, System

_PROBLEM = "PROBLEM"


def doctor_report(findings: DoctorRecord) -> RenderableType:
    """System, frameworks and data cache; each problem with its fix under it."""
    frameworks: list[RenderableType] = []
    for framework in findings.frameworks:
        frameworks.append(Text(f"  {framework.runtimes[0]}", style="bold"))
        frameworks.append(_grid(_framework(framework), indent=4))
    return spaced(
        [
            Group(section("System"), _grid(_system(findings.system))),
            Group(section("Frameworks"), *frameworks),
            Group(section("Data cache"), _grid(_data(findings.data))),
            Text(_verdict(findings.usable), style="bold"),
        ]
    )


def _verdict(usable: Sequence[str]) -> str:
    if not usable:
        return "Not ready: no runtime can be used; see the fixes above."
    # one runtime can be timed, but not compared
    if len(usable) == 1:
        return f"Ready: {usable[0]} alone; a comparison needs a second runtime."
    return f"Ready: {', '.join(usable)}."


def _system(system: System) -> list[tuple[str, str]]:
    cores = "unknown number of"
    if system.logical_cores is not None:
        cores = str(system.logical_cores)
    quota = ""
    # a container may grant less than the machine has
    if system.cpu_quota is not None:
        quota = f", quota of {system.cpu_quota:g} processors"
    memory = "n/a: the system does not say"
    if system.memory_bytes is not None:
        memory = _gib(system.memory_bytes)
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
        versions = [f"{name} {version}" for name, version in framework.versions.items()]
        rows.append(("versions", ", ".join(versions)))
    for device in framework.devices:
        text = f"{device.kind}: {device.id} ({device.name})"
        rows.append(("device", text))
    # a framework that imports and sees nothing cannot train
    if framework.problem is None and not framework.devices:
        rows.append(("device", "n/a: the framework reports none"))
    rows += _trouble(framework.problem, framework.fix)
    # the reason alone rarely says which library is broken
    if framework.log and framework.log.strip():
        rows.append(("log", printable(framework.log).rstrip()))
    return rows


def _data(data: DataCache) -> list[tuple[str, str]]:
    rows = [("folder", data.path), *_trouble(data.problem, data.fix)]
    for entry in data.contents:
        fix = f"; fix: {entry.fix}" if entry.fix else ""
        rows.append((entry.name, entry.state + fix))
    if not data.contents and data.problem is None:
        rows.append(("contents", "empty: downloads are kept here"))
    return rows


def _trouble(problem: str | None, fix: str | None) -> list[tuple[str, str]]:
    """A problem in capitals, so that it is seen without colours, and what mends it."""
    rows = []
    if problem is not None:
        rows.append((_PROBLEM, printable(problem)))
    if fix:
        rows.append(("fix", fix))
    return rows


def _grid(rows: Sequence[tuple[str, str]], *, indent: int = 2) -> Table:
    grid = grid_of_texts()
    for title, text in rows:
        # bold, and in capitals: nothing is said by style alone
        is_problem = title == _PROBLEM
        name = " " * indent + title
        if is_problem:
            grid.add_row(Text(name, style="bold"), Text(text, style="bold"))
        else:
            grid.add_row(Text(name, style="dim"), Text(text))
    return grid


def _gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
