"""A resolved experiment as YAML that ``load`` reads back to an equal experiment."""

from __future__ import annotations

import re
from collections.abc import Callable
from io import StringIO
from typing import Any

from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.representer import SafeRepresenter

from nncompare.spec.experiment import Experiment
from nncompare.spec.unions import discriminator

_WORD = re.compile(r"[A-Za-z0-9_./]([\w ./:+-]*[\w./+-])?", re.ASCII)

Keep = Callable[[BaseModel, str], bool]
"""Whether a model's field is written out."""


def to_mapping(experiment: Experiment) -> dict[str, Any]:
    """The experiment with every default written out, as JSON and YAML know it.

    A key is left out where it is null and null is its default, so that nothing is lost: ``pool:
    null`` stays. In the native convention model and optimizer keep open what the file leaves open:
    there a default that is written out would win over the framework's own.
    """
    found = _mapping(experiment, _says_something)
    if experiment.train.convention == "native":
        found["model"] = as_given(experiment.model)
        found["train"]["optimizer"] = as_given(experiment.train.optimizer)
    return found


def as_given(model: BaseModel) -> dict[str, Any]:
    """Only what was given, null included, and the words that choose between classes; reading it
    back gives an equal object that leaves the same open.
    """
    return _mapping(model, _was_given)


def _was_given(model: BaseModel, name: str) -> bool:
    return name in model.model_fields_set


def _says_something(model: BaseModel, name: str) -> bool:
    """Whether a field holds a value, or a null that is not its default."""
    field = type(model).model_fields[name]
    null_by_default = field.default is None and not field.is_required()
    return getattr(model, name) is not None or not null_by_default


def _mapping(model: BaseModel, keep: Keep) -> dict[str, Any]:
    chosen = discriminator(type(model))
    # What a mapping is stands first in it, given or not: name, family or type.
    first = [chosen[0]] if chosen else []
    others = []
    for name in type(model).model_fields:
        if name not in first and keep(model, name):
            others.append(name)
    return {name: _plain(getattr(model, name), keep) for name in (*first, *others)}


def _plain(value: Any, keep: Keep) -> Any:
    """A value in lists and dicts."""
    if isinstance(value, BaseModel):
        return _mapping(value, keep)
    if isinstance(value, dict):
        return {key: _plain(item, keep) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, keep) for item in value]
    return value


class _Representer(SafeRepresenter):
    """Puts quotes around text that is not a plain word."""

    def represent_text(self, value: str) -> Any:
        # In a flow mapping a key such as ?x is written bare by the emitter, and read as something
        # else.
        style = None if _WORD.fullmatch(value) else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Representer.add_representer(str, _Representer.represent_text)


def dump(experiment: Experiment) -> str:
    """YAML with every default written out. Collections of plain values stand on one line."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = None
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 110
    yaml.allow_unicode = True
    stream = StringIO()
    yaml.dump(to_mapping(experiment), stream)
    return stream.getvalue()
