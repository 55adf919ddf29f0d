"""The environment of a worker, complete before it starts: frameworks read it while they are
imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from nncompare.spec.runtimes import CATALOG
from nncompare.wire.requests import Request

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)


def environment_for(
    request: Request, home: Path, inherited: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Variables for the worker that does a request.

    Args:
        request: its device ``cpu`` hides every GPU, so that none is initialized for nothing;
            ``deterministic`` adds what makes the framework give the same numbers every time.
        home: a folder of this run, for what frameworks write to the user's home.
        inherited: what the parent's process has.
    """
    # libraries that share one process must not start a pool of threads each
    own: dict[str, str] = {name: str(request.threads) for name in _THREAD_VARIABLES}
    own |= {
        "TF_NUM_INTEROP_THREADS": "1",
        "OMP_DYNAMIC": "FALSE",
        "MKL_DYNAMIC": "FALSE",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONFAULTHANDLER": "1",
        "KERAS_HOME": str(home / "keras"),
        "TORCHINDUCTOR_CACHE_DIR": str(home / "inductor"),
    }
    runtime = CATALOG[request.runtime]
    # what the runtime needs overrides what all have
    own |= runtime.environment
    if request.device == "cpu":
        own |= {"CUDA_VISIBLE_DEVICES": "-1", "HIP_VISIBLE_DEVICES": "-1"}
    if request.deterministic:
        own |= runtime.deterministic
    # The worker must find the same packages as the parent, wherever the parent was started from.
    paths = [str(Path(__file__).resolve().parents[2]), inherited.get("PYTHONPATH", "")]
    own["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    # -P keeps a file named torch.py in the current folder from shadowing the framework; kept for
    # older shells too
    own["PYTHONSAFEPATH"] = "1"
    return {**inherited, **own}


def worker_command(*arguments: str) -> list[str]:
    """The command that runs a worker, without ``--wire``."""
    return [sys.executable, "-m", "nncompare.worker", *arguments]
