"""``nncompare doctor``: what works on this machine, and how to mend what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nncompare.terminal import options

if TYPE_CHECKING:
    from nncompare.studies.doctor.report import CachedData, DataCache, Findings, Framework, System
    from nncompare.studies.doctor.study import Examined


def doctor(as_json: options.Json = False, quiet: options.Quiet = False) -> None:
    """Frameworks, devices, threads, data: what works, what to mend.

    Each installed framework is imported in a process of its own, which takes some seconds.
    """
    from nncompare.studies.doctor.report import Findings, doctor_report
    from nncompare.studies.doctor.study import examine
    from nncompare.terminal.console import err, human, print_json

    console = err()

    def asking(runtime: str) -> None:
        if not quiet:
            console.print(f"asking {runtime} …", style="dim", markup=False, soft_wrap=True)

    frameworks = tuple(framework(item) for item in examine(asking=asking))
    findings = Findings(system=_system(), frameworks=frameworks, data=_data())
    human(as_json).print(doctor_report(findings))
    if as_json:
        print_json(document(findings))


def document(findings: Findings) -> dict[str, Any]:
    """What ``--json`` prints: the findings field by field, null for what is not known."""
    from dataclasses import asdict

    found = asdict(findings)
    found["data"]["path"] = str(findings.data.path)
    return {"schema_version": 1, "kind": "doctor", **found, "usable": list(findings.usable)}


def framework(item: Examined) -> Framework:
    """A framework as the report wants it, each problem with the command that mends it."""
    from nncompare.studies.doctor.report import Framework

    outcome = item.outcome
    if outcome.status == "ok":
        devices = outcome.probed.devices if outcome.probed is not None else ()
        return Framework(runtimes=item.runtimes, versions=outcome.versions, devices=devices)
    problem = outcome.reason or f"{outcome.status}: no reason was given"
    if outcome.status == "refused":
        problem, _, fix = problem.partition("; ")
    else:
        from nncompare.spec.runtimes import CATALOG

        fix = f'pip install --force-reinstall "{CATALOG[item.runtimes[0]].install}"'
    return Framework(runtimes=item.runtimes, problem=problem, fix=fix or None, log=outcome.log)


def _system() -> System:
    import psutil

    from nncompare.launch.machine import describe_system
    from nncompare.studies.doctor.report import System

    found = describe_system()
    return System(
        os=f"{found['system']}, {found['machine']}",
        cpu=found["processor"],
        logical_cores=found["logical_cores"],
        usable_threads=found["usable_threads"],
        cpu_quota=found["cpu_quota"],
        memory_bytes=found["memory_bytes"],
        available_bytes=psutil.virtual_memory().available,
        python=found["python"],
        nncompare=found["nncompare"],
    )


def _data() -> DataCache:
    """The data sets that are files, and where they are."""
    from nncompare.data.lookup import cache_folder
    from nncompare.errors import DataError
    from nncompare.spec.data import DATA
    from nncompare.studies.doctor.report import DataCache

    try:
        # data sets that are made of the same files share one line
        names = dict.fromkeys(cls.download for cls in DATA.values() if cls.download is not None)
        contents = tuple(_data_set(name) for name in names)
    except DataError as error:
        problem, _, fix = str(error).rpartition("; ")
        return DataCache(path=cache_folder(), problem=problem or fix, fix=fix if problem else None)
    return DataCache(path=cache_folder(), contents=contents)


def _data_set(name: str) -> CachedData:
    from nncompare.spec.data import DATA
    from nncompare.studies.doctor.report import CachedData

    place = DATA[name](name=name).place()
    if place is None:
        return CachedData(name=name, state="not downloaded", fix=f"nncompare data fetch {name}")
    return CachedData(name=name, state=f"ready, in {place}")
