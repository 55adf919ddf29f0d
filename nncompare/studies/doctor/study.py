"""``doctor``: what works on this machine. Each framework is asked in a process of its own."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from nncompare.data.lookup import cache_folder
from nncompare.errors import DataError
from nncompare.launch.machine import describe_system
from nncompare.launch.run_worker import run_worker
from nncompare.launch.scratch import scratch_folder
from nncompare.spec.data import DATA
from nncompare.spec.runtimes import CATALOG, by_backend, file_name
from nncompare.studies.doctor.record import (
    CachedData,
    DataCache,
    DoctorRecord,
    Framework,
    System,
    usable_runtimes,
)
from nncompare.terminal.signals import held
from nncompare.wire.outcome import Outcome
from nncompare.wire.requests import ProbeRequest

TIMEOUT_S = 120.0
"""An import takes some seconds, on a cold disk more than a minute."""


def doctor(asking: Callable[[str], None]) -> DoctorRecord:
    """Looks at the machine, at every framework and at the downloaded data.

    Args:
        asking: told the name of each framework before it is asked, which takes some seconds.
    """
    frameworks = _frameworks(asking)
    return DoctorRecord(
        system=_system(),
        frameworks=frameworks,
        data=_data(),
        usable=usable_runtimes(frameworks),
    )


def _frameworks(asking: Callable[[str], None]) -> tuple[Framework, ...]:
    frameworks = []
    # signals are held, so that neither a process nor the folder is left
    with held() as signals, scratch_folder() as work:
        for runtime, runtimes in by_backend().items():
            asking(runtime)
            outcome = run_worker(
                ProbeRequest(runtime=runtime),
                work / file_name(runtime),
                timeout_s=TIMEOUT_S,
                interruptible=signals.obeyed,
            )
            frameworks.append(framework(runtimes, outcome))
    return (*frameworks, *_broken_plugins())


def framework(runtimes: tuple[str, ...], outcome: Outcome) -> Framework:
    """One framework, its problem with the command that mends it.

    Args:
        runtimes: the names it serves, ``("torch", "torch:compile")``.
        outcome: of its probe.
    """
    # a worker that could import it has told what it sees
    if outcome.status == "ok":
        devices = outcome.probed.devices if outcome.probed is not None else ()
        return Framework(runtimes=runtimes, versions=outcome.versions, devices=devices)
    problem = outcome.reason or f"{outcome.status}: no reason was given"
    if outcome.status == "refused":
        # "not installed: keras; pip install …"
        problem, _, fix = problem.partition("; ")
    else:
        # it is there and broken
        fix = f"pip install --force-reinstall {CATALOG[runtimes[0]].requirements}"
    return Framework(runtimes=runtimes, problem=problem, fix=fix or None, log=outcome.log)


def _broken_plugins() -> tuple[Framework, ...]:
    """The plug-ins that would have brought a runtime, by the names of their entry points."""
    broken = []
    for plugin in CATALOG.broken:
        distribution = plugin.origin.rpartition(" ")[0]
        problem = f"the plug-in {plugin.origin} cannot be used: {plugin.reason}"
        fix = f"pip install -U {distribution}, or pip uninstall {distribution}"
        broken.append(Framework(runtimes=(plugin.name,), problem=problem, fix=fix))
    return tuple(broken)


def _system() -> System:
    described = describe_system()
    return System(
        os=f"{described['system']}, {described['machine']}",
        cpu=described["processor"],
        logical_cores=described["logical_cores"],
        usable_threads=described["usable_threads"],
        cpu_quota=described["cpu_quota"],
        memory_bytes=described["memory_bytes"],
        available_bytes=psutil.virtual_memory().available,
        python=described["python"],
        nncompare=described["nncompare"],
    )


def _data() -> DataCache:
    """The data sets that are files, and where they are."""
    path = str(cache_folder())
    # data sets that are made of the same files share one line
    names = dict.fromkeys(cls.download for cls in DATA.values() if cls.download in DATA)
    try:
        return DataCache(path=path, contents=tuple(_data_set(name) for name in names if name))
    except DataError as error:
        problem, separator, fix = str(error).rpartition("; ")
        # a message without a fix behind its last semicolon
        if not separator:
            return DataCache(path=path, problem=str(error))
        return DataCache(path=path, problem=problem, fix=fix)


def _data_set(name: str) -> CachedData:
    place = DATA[name](name=name).place()
    # offered, since a run would download it when it needs it
    if place is None:
        return CachedData(name=name, state="not downloaded", fix=f"nncompare data fetch {name}")
    return CachedData(name=name, state=f"ready, in {place}")
