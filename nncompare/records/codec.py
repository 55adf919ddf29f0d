"""The document of a run as strict JSON, both ways."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, NoReturn

from pydantic import ValidationError

from nncompare.errors import StoreError
from nncompare.records.result import SCHEMA_VERSION, Document, RunResult

_SHOWN = 5
"""Problems of a damaged file that an error lists."""


def to_json(result: Document) -> str:
    """The text of ``result.json`` and of ``--json``, with a line end. A figure that is not finite
    becomes ``null``.
    """
    return (
        json.dumps(result.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
        + "\n"
    )


def from_json(text: str, *, source: str) -> RunResult:
    """The document in ``text``.

    Args:
        source: the file's name, for errors.

    Raises:
        StoreError: not JSON, another schema version, another kind, or damaged; the message names
            the place.
    """
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        detail = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise StoreError(f"{source}: damaged: not strict JSON: {detail}") from None
    _check_head(document, source)
    try:
        result = RunResult.model_validate_json(text)
    except ValidationError as error:
        raise StoreError(f"{source}: damaged: {_problems(error)}") from None
    try:
        aware = datetime.fromisoformat(result.created).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise StoreError(
            f"{source}: damaged: created: {result.created!r} is not an ISO 8601 time with an offset"
        )
    return result


def _check_head(document: Any, source: str) -> None:
    if not isinstance(document, dict):
        raise StoreError(
            f"{source}: damaged: a result is a JSON object, this is {type(document).__name__}"
        )
    version = document.get("schema_version")
    if version is None:
        raise StoreError(f"{source}: not a result of nncompare: it has no schema_version")
    if isinstance(version, int) and not isinstance(version, bool) and version > SCHEMA_VERSION:
        raise StoreError(
            f"{source}: written by a newer nncompare (schema version {version}, this one reads"
            f" {SCHEMA_VERSION}); update with: pip install --upgrade nncompare"
        )
    if version != SCHEMA_VERSION or isinstance(version, bool):
        raise StoreError(
            f"{source}: unknown schema_version {version!r}; this nncompare reads {SCHEMA_VERSION}"
        )
    if document.get("kind") != "run":
        raise StoreError(
            f"{source}: kind is {document.get('kind')!r}; a result of `nncompare run` has kind"
            " 'run'"
        )


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _problems(error: ValidationError) -> str:
    found = [
        f"{'.'.join(str(part) for part in item['loc']) or 'document'}: {item['msg']}"
        for item in error.errors()
    ]
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "; ".join(found[:_SHOWN]) + more
