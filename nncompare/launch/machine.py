"""Where a result came from: machine, Python, data."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from typing import Any

import psutil

from nncompare.data.base import Data
from nncompare.launch.resources import cpu_quota, usable_threads
from nncompare.version import __version__


def processor() -> str:
    """The processor's name, as archspec knows it, else what the system says."""
    found = None
    # a name for the record is not worth a failed run, whatever a new processor does to the library
    with suppress(Exception):
        import archspec.cpu

        found = archspec.cpu.brand_string()
    return str(found or platform.processor() or platform.machine())


def describe_system() -> dict[str, Any]:
    """System, processor, cores, memory, Python, nncompare."""
    return {
        "nncompare": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": processor(),
        "logical_cores": os.cpu_count(),
        "cpu_quota": cpu_quota(),
        "usable_threads": usable_threads(),
        "memory_bytes": psutil.virtual_memory().total,
    }


def describe_environment(data: Data) -> dict[str, Any]:
    """``describe_system`` with the data's digests, sizes and notes."""
    return {
        **describe_system(),
        "data": {
            "digests": data.digests,
            "notes": list(data.notes),
            "examples": data.examples,
        },
    }
