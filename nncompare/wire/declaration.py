"""What a worker declares of a native job, for the parent who judges it: the job with the
framework's own defaults filled in, and what its layers and optimizers mean.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from nncompare.config.dump import as_given
from nncompare.numerics.semantics import Semantics
from nncompare.spec.experiment import Experiment
from nncompare.spec.job import Job

DECLARATION_FILE = "declaration.json"


def write(folder: Path, job: Job, semantics: Semantics) -> None:
    """Writes ``declaration.json``.

    Args:
        job: as the backend resolves it.
        semantics: the backend's, for this job.
    """
    text = {"experiment": as_given(job.experiment), "semantics": semantics.to_json()}
    (folder / DECLARATION_FILE).write_text(json.dumps(text, indent=2))


def read(folder: Path, job: Job) -> tuple[Job, Semantics]:
    """The resolved job and its semantics.

    Args:
        job: as the parent asked for it.
    """
    text = json.loads((folder / DECLARATION_FILE).read_text())
    experiment = Experiment.model_validate_json(json.dumps(text["experiment"]))
    return replace(job, experiment=experiment), Semantics.from_json(text["semantics"])
