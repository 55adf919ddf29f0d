"""The job folder: what the parent writes for one worker, readable by hand and replayable with one
command.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nncompare.config.dump import as_given
from nncompare.spec.data import Signature
from nncompare.spec.experiment import Experiment
from nncompare.spec.job import Job
from nncompare.spec.layers import TensorSpec

JOB_FILE = "job.json"
WEIGHTS_FILE = "weights.safetensors"


def write(folder: Path, job: Job, *, data: Path, save_weights: bool = False) -> Path:
    """Writes ``job.json``; ``data`` is the folder of the prepared arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    text: dict[str, Any] = {
        "runtime": job.runtime,
        # a default that is written out would be no default in the worker
        "experiment": as_given(job.experiment),
        "signature": {
            "shape": job.signature.input.shape,
            "vocabulary": job.signature.input.vocabulary,
            "outputs": job.signature.outputs,
            "per_step": job.signature.per_step,
        },
        "device": job.device,
        "threads": job.threads,
        "seed": job.seed,
        "dropout": job.dropout,
        "deterministic": job.deterministic,
        "data": str(data),
        "save_weights": save_weights,
    }
    path = folder / JOB_FILE
    path.write_text(json.dumps(text, indent=2))
    return path


def read(folder: Path) -> tuple[Job, Path, bool]:
    """The job, the folder of its data, and whether weights are to be saved."""
    text = json.loads((folder / JOB_FILE).read_text())
    signature = text["signature"]
    job = Job(
        runtime=text["runtime"],
        experiment=Experiment.model_validate_json(json.dumps(text["experiment"])),
        signature=Signature(
            input=TensorSpec(tuple(signature["shape"]), signature["vocabulary"]),
            outputs=signature["outputs"],
            per_step=signature["per_step"],
        ),
        device=text["device"],
        threads=text["threads"],
        seed=text["seed"],
        dropout=text["dropout"],
        deterministic=text["deterministic"],
    )
    return job, Path(text["data"]), text["save_weights"]
