"""Opens what nncompare has written, whatever its kind.

A record says its ``kind`` and its ``schema_version``. The classes that describe the kinds live with
their studies, above this package; callers hand in a table of them (``nncompare.studies.RECORDS``),
and a class is imported when a record of its kind is opened.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import ValidationError

from nncompare.errors import StoreError, nearest
from nncompare.records.folder import PARTIAL, RESULT_FILE
from nncompare.records.record import Record

R = TypeVar("R", bound=Record)

_MOST_PROBLEMS = 5
"""Problems of a damaged file that an error lists."""


def read(path: Path, kinds: Mapping[str, str]) -> Record:
    """A record of any kind.

    Args:
        path: a result folder, or a file that holds what ``--json`` has printed.
        kinds: kind -> where its class is, ``"nncompare.studies.run.record:RunRecord"``.

    Raises:
        StoreError: missing, unfinished, damaged, of an unknown kind or of another version; the
            message names the file.
    """
    file = path / RESULT_FILE if path.is_dir() else path
    text = _text(path, file)
    try:
        document = json.loads(text, parse_constant=_no_constant)
    # Python's reader calls itself for every bracket
    except RecursionError:
        raise StoreError(f"{file}: damaged: not strict JSON: nested too deeply") from None
    except ValueError as error:
        raise StoreError(f"{file}: damaged: not strict JSON: {error}") from None
    record = _class_of(document, file, kinds)
    try:
        return record.model_validate_json(text)
    except ValidationError as error:
        raise StoreError(f"{file}: damaged: {_problems(error)}") from None


def read_as(path: Path, record: type[R]) -> R:
    """A record of the one kind that the caller can use; else as ``read``."""
    kind = str(record.model_fields["kind"].default)
    found = read(path, {kind: f"{record.__module__}:{record.__name__}"})
    assert isinstance(found, record)
    return found


def _text(path: Path, file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except FileNotFoundError:
        raise StoreError(_missing(path)) from None
    except UnicodeDecodeError as error:
        raise StoreError(f"{file}: damaged: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise StoreError(f"cannot read {file}: {error.strerror}") from None


def _missing(path: Path) -> str:
    """Why there is no document, and which one may have been meant."""
    if path.is_dir():
        # a crash or a power cut leaves it
        if path.name.endswith(PARTIAL):
            return (
                f"{path}: left behind by a run that did not end; it holds no result and may be"
                " removed"
            )
        # the folder above the results, named in place of one of them: the newest is meant
        inside = sorted(child.parent.name for child in path.glob(f"*/{RESULT_FILE}"))
        hint = f"; did you mean {path / inside[-1]}?" if inside else ""
        return f"{path}: no {RESULT_FILE} in this folder{hint}"
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    # what is not finished cannot be meant
    visible = [name for name in siblings if not name.startswith(".")]
    close = nearest(path.name, visible)
    hint = f"; did you mean {path.parent / close}?" if close else ""
    return f"{path}: no such result{hint}"


def _class_of(document: Any, source: Path, kinds: Mapping[str, str]) -> type[Record]:
    """The class that describes the document, once its head is known to be one of ours."""
    # any file can be named, of any content
    if not isinstance(document, dict):
        raise StoreError(
            f"{source}: damaged: a result is a JSON object, this is {type(document).__name__}"
        )
    version = document.get("schema_version")
    kind = document.get("kind")
    # JSON of another program
    if version is None:
        raise StoreError(f"{source}: not a result of nncompare: it has no schema_version")
    if not isinstance(kind, str) or kind not in kinds:
        readable = ", ".join(repr(known) for known in kinds)
        raise StoreError(f"{source}: kind is {kind!r}; what can be read here: {readable}")
    module, _, name = kinds[kind].partition(":")
    record: type[Record] = getattr(import_module(module), name)
    newest = record.model_fields["schema_version"].default
    # True == 1 in Python, but it is no version
    if version == newest and not isinstance(version, bool):
        return record
    # an update helps here, and only here
    if isinstance(version, int) and version > newest:
        raise StoreError(
            f"{source}: written by a newer nncompare (schema version {version}, this one reads"
            f" {newest}); update nncompare (in its clone: git pull)"
        )
    raise StoreError(f"{source}: unknown schema_version {version!r}; this nncompare reads {newest}")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _problems(error: ValidationError) -> str:
    """What is wrong with a document: the first places, and how many more there are."""
    lines = []
    for item in error.errors():
        place = ".".join(str(part) for part in item["loc"])
        # what a validator of ours has raised names its field itself
        message = item["msg"].removeprefix("Value error, ")
        lines.append(f"{place}: {message}" if place else message)
    # a file of another kind has as many problems as fields
    more = len(lines) - _MOST_PROBLEMS
    return "; ".join(lines[:_MOST_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
