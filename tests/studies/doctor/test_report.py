"""The report of ``doctor``: each problem with its fix."""

from __future__ import annotations

from nncompare.backends.base import Device
from nncompare.show.page import plain
from nncompare.studies.doctor.record import (
    CachedData,
    DataCache,
    DoctorRecord,
    Framework,
    System,
    usable_runtimes,
)
from nncompare.studies.doctor.report import doctor_report


def findings(*frameworks: Framework) -> DoctorRecord:
    system = System(
        os="Linux 6.1",
        cpu="AMD EPYC",
        logical_cores=4,
        usable_threads=2,
        cpu_quota=2.5,
        memory_bytes=2**33,
        python="3.11.9",
        nncompare="0.1.0",
    )
    data = DataCache(
        path="/cache",
        contents=(
            CachedData(name="mnist", state="not downloaded", fix="nncompare data fetch mnist"),
        ),
    )
    return DoctorRecord(
        system=system, frameworks=frameworks, data=data, usable=usable_runtimes(frameworks)
    )


def printed(findings: DoctorRecord) -> str:
    return " ".join(plain(doctor_report(findings), 80).split())


def test_each_problem_with_its_fix():
    good = Framework(
        runtimes=("torch", "torch:compile"),
        versions={"torch": "2.13.0"},
        devices=(Device(kind="gpu", id="cuda:0", name="H100"),),
    )
    bad = Framework(
        runtimes=("keras",),
        problem="not installed: keras",
        fix='pip install "keras>=3.10"',
    )
    text = printed(findings(good, bad))
    assert "gpu: cuda:0 (H100)" in text
    assert 'PROBLEM not installed: keras fix pip install "keras>=3.10"' in text
    assert "quota of 2.5 processors; 2 usable as threads" in text
    assert "not downloaded; fix: nncompare data fetch mnist" in text
    assert "Ready: torch, torch:compile." in text


def test_nothing_usable():
    bad = Framework(runtimes=("keras",), problem="not installed: keras")
    assert "Not ready: no runtime can be used" in printed(findings(bad))


def test_a_single_runtime_is_no_comparison():
    assert "a comparison needs a second runtime" in printed(
        findings(Framework(runtimes=("keras",)))
    )
