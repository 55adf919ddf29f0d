"""Writes ``docs/configuration.md`` from the schema: every key of an experiment file, its default
and its meaning.

``python docs/generate_configuration.py`` writes the page, ``--check`` compares it (exit 1 if it is
out of date). A key's meaning is its docstring in ``nncompare.spec``; where the key says all there
is, it stands in ``MEANINGS``.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from nncompare.spec.data import DATA
from nncompare.spec.experiment import Experiment, Measure
from nncompare.spec.families import FAMILIES
from nncompare.spec.initializers import Initializer
from nncompare.spec.layers import LAYERS
from nncompare.spec.training import OPTIMIZERS, SCHEDULES, EarlyStopping, Penalty, Train
from nncompare.spec.tune import PRUNERS, Confirm, Dimension, Goal, Tune

PAGE = Path(__file__).with_name("configuration.md")

MEANINGS = {
    "Experiment.task": (
        "What is learned. It decides head and loss: softmax cross-entropy, sigmoid cross-entropy, "
        "or mean squared error."
    ),
    "Experiment.data": "The data set, chosen by `name`; see [data](#data).",
    "Experiment.model": "The network, chosen by `family`; see [model](#model).",
    "Experiment.train": "See [train](#train).",
    "Experiment.backends": "The runtimes to compare, in the order of the tables.",
    "Experiment.measure": "See [measure](#measure).",
    "Experiment.sweep": "Read by `nncompare sweep`, which does not exist yet.",
    "Experiment.tune": "Read by `nncompare tune`; see [tune](#tune).",
    "Adam.beta1": "Decay of the mean of the gradients.",
    "Adam.beta2": "Decay of the mean of their squares.",
    "Adam.epsilon": "Added to the root, after bias correction.",
    "Adam.lr": "Learning rate.",
    "AdamW.beta1": "As in `adam`.",
    "AdamW.beta2": "As in `adam`.",
    "AdamW.epsilon": "As in `adam`.",
    "AdamW.lr": "Learning rate.",
    "AdamW.weight_decay": (
        "Decoupled decay: each step first multiplies every parameter by `1 - lr * weight_decay`."
    ),
    "RmsProp.epsilon": "Added to the root.",
    "RmsProp.lr": "Learning rate.",
    "RmsProp.momentum": "Decay of the momentum buffer; 0: none.",
    "RmsProp.rho": "Decay of the mean of the squared gradients.",
    "Sgd.lr": "Learning rate.",
    "Sgd.momentum": "Decay of the momentum buffer; 0: none.",
    "Sgd.nesterov": "Nesterov's look-ahead form of the momentum.",
    "Cosine.minimum": "Learning rate at the end.",
    "Exponential.factor": "By which the learning rate is multiplied after every epoch.",
    "Step.factor": "By which the learning rate is multiplied.",
    "Train.batch_size": "Examples a step; the last step of an epoch takes what is left.",
    "Train.dtype": (
        "Arithmetic of the whole network. In `float64` the runtimes agree to about 1e-12."
    ),
    "Train.early_stopping": (
        "Stop when validation no longer improves; see [early_stopping](#early_stopping)."
    ),
    "Train.epochs": "Passes over the training part.",
    "Train.optimizer": "The update rule, chosen by `name`; see [optimizers](#optimizers).",
    "Train.penalty": "L1 and L2 penalties; see [penalty](#penalty).",
    "Train.schedule": (
        "How the learning rate changes, chosen by `name`; see [schedules](#schedules)."
    ),
    "Train.seed": "Keys the initial weights, the batch order, the splits and the masks of dropout.",
    "Penalty.l1": "Factor of the sum of absolute values.",
    "Penalty.l2": "Factor of the sum of squares (not halved).",
    "EarlyStopping.metric": "What must improve.",
    "EarlyStopping.min_delta": "Smallest change that counts as an improvement.",
    "EarlyStopping.patience": "Epochs without improvement before training stops.",
    "Initializer.name": "The distribution.",
    "*.activation": "Activation between layers.",
    "*.batch_norm": (
        "Batch normalization before each activation; the layer before it then has no bias."
    ),
    "*.bias": "Whether it has a bias.",
    "*.causal": "True: step t sees steps 0…t only.",
    "*.dropout": "Share of the values that dropout zeroes after each activation; 0: no dropout.",
    "*.epsilon": "Added to the variance under the root.",
    "*.filters": "Filters of each block.",
    "*.heads": "Number of heads; must divide the number of features.",
    "*.hidden": "Units of each hidden layer.",
    "*.initializer": (
        "How the kernels start; a name or `{name: …, scale: …}`, see [initializers](#initializers)."
    ),
    "*.kernel": "Height and width of the kernel; one number means both.",
    "*.layers": "The layers inside, in order.",
    "*.padding": (
        "`valid` (none), `same` (as many outputs as inputs at stride 1), or explicit zeros on each"
        " side."
    ),
    "*.pool": "Height and width of the window; one number means both.",
    "*.positions": "Whether a learned vector is added to every step.",
    "*.rate": "Share of the values that are zeroed.",
    "*.recurrent_initializer": "How the recurrent kernel starts.",
    "*.shape": "Shape of one example.",
    "*.slope": "Factor for negative values.",
    "*.stride": "Steps of the window; one number means both directions.",
    "*.units": "Size of the output.",
    "AttentionFamily.depth": "Number of blocks.",
    "AttentionFamily.embedding": "Features of every step inside the model.",
    "Attention.initializer": "How the four projections start.",
    "Conv2d.filters": "Number of filters.",
    "LayerList.layers": (
        "The layers in order, each `{type: …, …}`, the head included; see [layers](#layers)."
    ),
    "Mlp.embedding": "Features a token; needed for tokens.",
    "Recurrent.cell": "Kind of the recurrent layers.",
    "Recurrent.depth": "Number of recurrent layers.",
    "Recurrent.embedding": "Features a token; needed for tokens.",
    "Recurrent.hidden": "Units of each recurrent layer.",
    "Reshape.shape": "The new shape of one example; one size may be -1.",
}
"""``Class.key`` or ``*.key`` -> meaning, for keys that have no docstring."""

_CHOOSERS = ("name", "family", "type")


def sections() -> list[tuple[int, str, str, Mapping[str, type[BaseModel]]]]:
    """Level, title, introduction, and classes by the word that chooses them (an empty word: no
    choice).
    """
    return [
        (2, "The file", "The keys at the top of the file.", {"": Experiment}),
        (2, "data", "`data: {name: …}` chooses the data set.", DATA),
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
    for key in (f"{cls.__name__}.{name}", *([] if own else [f"*.{name}"])):
        if key in MEANINGS:
            return MEANINGS[key]
    if own is None:
        raise KeyError(
            f"{cls.__name__}.{name} has no docstring in nncompare.spec and no entry in MEANINGS"
        )
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
    return "2^63" if value == 2**63 else f"{value:g}"


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
