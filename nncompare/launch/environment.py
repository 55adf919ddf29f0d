"""The environment of a worker, complete before it starts: frameworks read it while they are
imported.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from nncompare.spec.experiment import DeviceName
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


def worker_environment(
    runtime: str,
    *,
    threads: int,
    device: DeviceName,
    deterministic: bool,
    home: Path,
    temporary: Path,
    inherited: Mapping[str, str] = os.environ,
) -> dict[str, str]:
    """Variables for one worker.

    Args:
        runtime: a name of the catalog.
        threads: CPU threads.
        device: ``cpu`` hides every GPU, so that none is initialized for nothing.
        deterministic: with what makes the framework give the same numbers every time.
        home: a folder of this run, for what frameworks write to the user's home.
        temporary: an empty folder of this worker, removed with the run: a framework's temporary
            files outlive a process that ends without its clean-up (TensorFlow's generated code).
        inherited: what the parent's process has.
    """
    own: dict[str, str] = {name: str(threads) for name in _THREAD_VARIABLES}
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
    own |= dict.fromkeys(("TMPDIR", "TMP", "TEMP"), str(temporary))
    own |= CATALOG[runtime].environment
    if device == "cpu":
        own |= {"CUDA_VISIBLE_DEVICES": "-1", "HIP_VISIBLE_DEVICES": "-1"}
    if deterministic:
        own |= CATALOG[runtime].deterministic
    # The worker must find the same packages as the parent, wherever the parent was started from.
    paths = [str(Path(__file__).resolve().parents[2]), inherited.get("PYTHONPATH", "")]
    own["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    # -P keeps a file named torch.py in the current folder from shadowing the framework; kept for
    # older shells too
    own["PYTHONSAFEPATH"] = "1"
    return {**inherited, **own}


def environment_for(request: Request, home: Path, temporary: Path) -> dict[str, str]:
    """The environment of the worker that does a request; the folders as in
    ``worker_environment``.
    """
    return worker_environment(
        request.runtime,
        threads=request.threads,
        device=request.device,
        deterministic=request.deterministic,
        home=home,
        temporary=temporary,
    )


def worker_command(*arguments: str) -> list[str]:
    """The command that runs a worker, without ``--wire``."""
    return [sys.executable, "-m", "nncompare.worker", *arguments]
