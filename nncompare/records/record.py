"""What every document begins with: the one that ``--json`` prints and ``result.json`` stores.

Each study describes its own document in ``studies/<name>/record.py``, as a subclass of one of these
classes. A document is frozen, strict JSON: unknown figures are ``null``, never NaN, and a key that
its class does not know is an error.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal, Self, TypedDict

from pydantic import BaseModel, ConfigDict, model_validator

SCHEMA_VERSION: Literal[1] = 1


class RecordPart(BaseModel):
    """Base of everything inside a record: frozen; NaN and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Record(RecordPart):
    """A document of nncompare. ``kind`` says which class describes it."""

    schema_version: Literal[1] = SCHEMA_VERSION
    kind: str

    @property
    def complete(self) -> bool:
        """Everything that was asked for was done."""
        raise NotImplementedError

    @property
    def interrupted(self) -> bool:
        """The user stopped it."""
        return False


class StudyRecord(Record):
    """The document of a study that has ended."""

    id: str
    """The name of its result folder, if it is stored."""
    name: str
    created: str
    """ISO 8601 with offset."""

    @model_validator(mode="after")
    def _has_a_time(self) -> Self:
        try:
            # times without an offset cannot be put in order
            aware = datetime.fromisoformat(self.created).tzinfo is not None
        except ValueError:
            aware = False
        if not aware:
            raise ValueError(f"created: {self.created!r} is not an ISO 8601 time with an offset")
        return self


class ExperimentRecord(StudyRecord):
    """The document of a study of one experiment file."""

    experiment: dict[str, Any]
    """The resolved experiment, a valid file."""
    environment: dict[str, Any]
    """System, processor, cores, memory, Python, nncompare version, data digests and notes."""


class Head(TypedDict):
    """The fields that tell one study from another: ``RunRecord(**head(…), …)``."""

    id: str
    name: str
    created: str


def head(name: str, *, created: datetime, id: str | None = None) -> Head:
    """The head of a new record.

    Args:
        name: of the experiment.
        created: when the study began.
        id: of its result folder; None: it is not stored, and the name with the time serves.
    """
    return {
        "id": id or f"{name}-{created:%Y%m%d-%H%M%S}",
        "name": name,
        "created": created.isoformat(timespec="seconds"),
    }


def to_json(record: Record) -> str:
    """The text of ``result.json`` and of ``--json``, with a line end. A figure that is not finite
    becomes ``null``.
    """
    document = record.model_dump(mode="json")
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
