"""Writes ``docs/configuration.md`` from the schema: every key of an experiment file, its default
and its meaning.

``python docs/generate_configuration.py`` writes the page, ``--check`` compares it (exit 1 if it is
out of date). A key's meaning is the docstring under its field, which also is its description in the
JSON Schema.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from nncompare.spec.catalog import OWN
from nncompare.spec.data import DATA
from nncompare.spec.experiment import Experiment, Measure
from nncompare.spec.families import FAMILIES
from nncompare.spec.initializers import Initializer
from nncompare.spec.layers import LAYERS
from nncompare.spec.training import OPTIMIZERS, SCHEDULES, EarlyStopping, Penalty, Train
from nncompare.spec.tune import PRUNERS, Confirm, Dimension, Goal, Tune

PAGE = Path(__file__).with_name("configuration.md")

_CHOOSERS = ("name", "family", "type")


def sections() -> list[tuple[int, str, str, Mapping[str, type[BaseModel]]]]:
    """Level, title, introduction, and classes by the word that chooses them (an empty word: no
    choice).
    """
    return [
        (2, "The file", "The keys at the top of the file.", {"": Experiment}),
        (2, "data", "`data: {name: …}` chooses the data set.", _shipped_data_sets()),
        (
            2,
            "model",
            "`model: {family: …}` chooses the family; a list of layers needs no `family`.",
            FAMILIES,
        ),
        (2, "layers", "What stands in `model: {layers: [{type: …}, …]}`.", LAYERS),
        (2, "initializers", "A name, or a mapping with these keys.", {"": Initializer}),
        (2, "train", "", {"": Train}),
        (3, "optimizers", "`train.optimizer: {name: …}`.", OPTIMIZERS),
        (
            3,
            "schedules",
            "`train.schedule: {name: …}`; `train.warmup_steps` comes before it.",
            SCHEDULES,
        ),
        (3, "penalty", inspect.cleandoc(Penalty.__doc__ or ""), {"": Penalty}),
        (3, "early_stopping", inspect.cleandoc(EarlyStopping.__doc__ or ""), {"": EarlyStopping}),
        (2, "measure", inspect.cleandoc(Measure.__doc__ or ""), {"": Measure}),
        (2, "tune", inspect.cleandoc(Tune.__doc__ or ""), {"": Tune}),
        (3, "metric", inspect.cleandoc(Goal.__doc__ or ""), {"": Goal}),
        (3, "pruners", "`tune.pruner`: a name, or `{name: …}` with these keys.", PRUNERS),
        (3, "parameters", inspect.cleandoc(Dimension.__doc__ or ""), {"": Dimension}),
        (3, "confirm", inspect.cleandoc(Confirm.__doc__ or ""), {"": Confirm}),
    ]


def _shipped_data_sets() -> dict[str, type[BaseModel]]:
    """Those of nncompare itself: a plug-in that happens to be installed is not on its page."""
    return {name: cls for name, cls in DATA.items() if DATA.origin(name) == OWN}


def page() -> str:
    """The whole page as Markdown."""
    parts = [
        "# Every key of an experiment file",
        (
            "<!-- Written by docs/generate_configuration.py from the schema; change the schema and"
            " run it again. -->"
        ),
        (
            "Keys without a default must be given. Unknown keys are refused, and a wrong value is"
            " reported with its line, its column and what is allowed. Any key can be changed on the"
            " command line by its dotted path: `train.optimizer.lr=3e-4`, `model.hidden=[64,64]`,"
            " `model.hidden.0=64`. `nncompare schema` prints the same as JSON Schema for editors,"
            " `nncompare list` the names."
        ),
    ]
    for level, title, introduction, classes in sections():
        parts.append(f"{'#' * level} {title}")
        parts += [_prose(introduction)] if introduction else []
        for word, cls in classes.items():
            parts += _one(level + 1, word, cls)
    return "\n\n".join(parts) + "\n"


def _one(level: int, word: str, cls: type[BaseModel]) -> list[str]:
    parts = [f"{'#' * level} {word}", _about(cls)] if word else []
    rows = _rows(cls)
    if rows:
        head = ["| key | allowed | default | meaning |", "| --- | --- | --- | --- |"]
        parts.append("\n".join([*head, *rows]))
    return parts


def _about(cls: type[BaseModel]) -> str:
    """The class's docstring, which has the formula and the paper, or its title."""
    text = cls.__dict__.get("__doc__") or f"{getattr(cls, 'title', '')}."
    first = text.split()[0]
    return _prose(text if not first.isalpha() else text[0].upper() + text[1:])


def _rows(cls: type[BaseModel]) -> list[str]:
    # what comes out of reading, so that short forms do not fill the column; the text tells them
    schema = cls.model_json_schema(mode="serialization")
    definitions = schema.get("$defs", {})
    # recursive classes stand there
    properties = schema.get("properties") or definitions[cls.__name__]["properties"]
    found = []
    for name, info in cls.model_fields.items():
        described = properties[name]
        if name in _CHOOSERS and "const" in described:
            continue
        cells = (f"`{name}`", allowed(described, definitions), _default(info), meaning(cls, name))
        found.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return found


def meaning(cls: type[BaseModel], name: str) -> str:
    """What a key means, in one line.

    Raises:
        KeyError: nobody has said.
    """
    own = cls.model_fields[name].description
    if own is None:
        raise KeyError(f"{cls.__name__}.{name} has no docstring under it in nncompare.spec")
    return _prose(own)


def _prose(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


def allowed(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    """A JSON Schema in words."""
    if "$ref" in schema:
        if schema["$ref"].endswith("/Initializer"):
            return "name or mapping"
        return allowed(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if (
        "discriminator" in schema
        or (alternatives := schema.get("anyOf", schema.get("oneOf"))) is None
    ):
        return _single(schema, definitions)
    words = [allowed(item, definitions) for item in alternatives]
    return " or ".join(dict.fromkeys(word for word in words if word))


def _single(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{word}`" for word in schema["enum"])
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return " ".join([kind, *_bounds(schema)])
    if kind == "array":
        return _array(schema, definitions)
    return {"boolean": "`true`, `false`", "string": "text", "null": "`null`"}.get(
        str(kind), "mapping"
    )


def _bounds(schema: Mapping[str, Any]) -> list[str]:
    if "minimum" in schema and schema["minimum"] == schema.get("maximum"):
        return [f"= {schema['minimum']}"]
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    found = [f"{sign} {_number(schema[key])}" for key, sign in signs.items() if key in schema]
    return [" and ".join(found)] if found else []


def _number(value: float) -> str:
    powers = {2**exponent: f"2^{exponent}" for exponent in (31, 32, 40, 63)}
    powers[2**31 - 1] = "2^31 - 1"
    return powers.get(value) or f"{value:.10g}"


def _array(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> str:
    if "prefixItems" in schema:
        first = allowed(schema["prefixItems"][0], definitions)
        return f"{first}, or a list of {len(schema['prefixItems'])} such"
    return f"list, each {allowed(schema['items'], definitions)}"


def _default(info: Any) -> str:
    if info.default is PydanticUndefined:
        return "required"
    return f"`{_yaml(info.default)}`"


def _yaml(value: Any) -> str:
    if isinstance(value, Initializer) and value.scale is None:
        return value.name
    if isinstance(value, BaseModel):
        given = {
            name: item
            for name, item in value
            if name in _CHOOSERS or item != type(value).model_fields[name].default
        }
        return "{" + ", ".join(f"{name}: {_yaml(item)}" for name, item in given.items()) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(_yaml(item) for item in value) + "]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def main(arguments: list[str]) -> int:
    if arguments == ["--check"]:
        return 0 if PAGE.exists() and PAGE.read_text(encoding="utf-8") == page() else 1
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
