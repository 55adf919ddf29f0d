"""The job folder: what the parent writes for one worker, readable by hand and replayable with one
command.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from nncompare.errors import MessageError
from nncompare.wire.messages import first_problem
from nncompare.wire.requests import REQUESTS, Request

JOB_FILE = "job.json"
LOG_FILE = "worker.log"
"""Takes what the worker and its framework print."""
WEIGHTS_FILE = "weights.safetensors"
TEMPORARY_FOLDER = "tmp"
"""Takes the temporary files of the worker and its framework."""


def write(folder: Path, request: Request) -> Path:
    """Writes ``job.json`` and gives its path."""
    (folder / TEMPORARY_FOLDER).mkdir(parents=True, exist_ok=True)
    path = folder / JOB_FILE
    path.write_text(request.model_dump_json(indent=2), encoding="utf-8")
    return path


def read(folder: Path) -> Request:
    """The request in a job folder.

    Raises:
        MessageError: there is none, of no known kind, or with a field that does not belong there.
    """
    path = folder / JOB_FILE
    try:
        return REQUESTS.validate_json(path.read_bytes())
    except OSError as error:
        raise MessageError(f"cannot read {path}: {error.strerror}") from None
    # a job that is replayed by hand may have been edited
    except ValidationError as error:
        raise MessageError(f"{path}: {first_problem(error)}") from None
