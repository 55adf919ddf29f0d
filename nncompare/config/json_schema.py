"""The JSON Schema of an experiment file, for editors (yaml-language-server) and other checkers."""

from __future__ import annotations

from typing import Any

from nncompare.spec.experiment import Experiment

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """The schema as a dict, in the dialect of draft 2020-12.

    Short forms (a name for an optimizer's mapping, one number for a pair) are told by the fields
    themselves, as the ``json_schema_input_type`` of the validator that reads them.
    """
    found = Experiment.model_json_schema()
    return {"$schema": DIALECT, **found, "title": "nncompare experiment"}
