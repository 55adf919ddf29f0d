"""The JSON Schema of an experiment file, for editors (yaml-language-server) and other checkers."""

from __future__ import annotations

from typing import Any, get_args

from pydantic.json_schema import GenerateJsonSchema

from nncompare.spec.experiment import Experiment
from nncompare.spec.initializers import InitializerName
from nncompare.spec.tune import PRUNERS, MetricName

DIALECT = "https://json-schema.org/draft/2020-12/schema"


_METRIC = {"enum": list(get_args(MetricName)), "type": "string"}
_PRUNER = {"enum": list(PRUNERS), "type": "string"}


class _WithShorthands(GenerateJsonSchema):
    """Knows the short forms that pydantic's validators accept but its schema does not tell."""

    def function_before_schema(self, schema: Any) -> Any:
        found = super().function_before_schema(schema)
        if "prefixItems" in found:
            # one number for a pair
            return {"anyOf": [found["prefixItems"][0], found]}
        inner = schema["schema"]
        while "schema" in inner and inner["type"] != "model":
            inner = inner["schema"]
        validator = getattr(schema["function"]["function"], "__name__", "")
        is_outer = validator == "_from_name"
        if is_outer:
            # a name for an initializer without settings
            return {"anyOf": [{"enum": list(get_args(InitializerName)), "type": "string"}, found]}
        if validator == "_named":
            return {"anyOf": [_PRUNER, found]}
        if validator == "_choices":
            return {"anyOf": [{"type": "array", "minItems": 1}, found]}
        if validator == "_several":
            one = {"anyOf": [_METRIC, found["items"]]}
            return {"anyOf": [*one["anyOf"], {**found, "items": one}]}
        return found


def json_schema() -> dict[str, Any]:
    """The schema as a dict, in the dialect of draft 2020-12."""
    found = Experiment.model_json_schema(schema_generator=_WithShorthands)
    return {"$schema": DIALECT, **found, "title": "nncompare experiment"}
