"""The JSON Schema of an experiment file, for editors (yaml-language-server) and other checkers."""

from __future__ import annotations

import re
from typing import Any

from nncompare.spec.experiment import Experiment

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_LINK = re.compile(r"\[(\w+)\]\(#\w+\)")
"""``[data](#data)``: to a section of docs/configuration.md, which is not here."""


def json_schema() -> dict[str, Any]:
    """The schema as a dict, in the dialect of draft 2020-12.

    Short forms (a name for an optimizer's mapping, one number for a pair) are told by the fields
    themselves, as the ``json_schema_input_type`` of the validator that reads them.
    """
    found = _with_prose(Experiment.model_json_schema())
    return {"$schema": DIALECT, **found, "title": "nncompare experiment"}


def _with_prose(schema: Any) -> Any:
    """Descriptions as an editor shows them: each one line, without the marks of a docstring."""
    if isinstance(schema, list):
        return [_with_prose(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _with_prose(value) for key, value in schema.items()}
    text = found.get("description")
    # a key may be called ``description``, too
    if isinstance(text, str):
        plain = _LINK.sub(r"\1", text).replace("``", "`")
        found["description"] = " ".join(plain.split())
    return found
