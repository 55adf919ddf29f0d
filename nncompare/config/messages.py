"""From pydantic's errors to problems in plain English, at the place where the user wrote
the value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import isfinite, isnan
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from nncompare.config import schema
from nncompare.config.located import Located, Path, dotted
from nncompare.config.scalars import CannotConvert, convert
from nncompare.errors import Problem
from nncompare.spec.experiment import Experiment

_SYNONYMS = {
    "learning_rate": "lr",
    "eps": "epsilon",
    "batch": "batch_size",
    "optimiser": "optimizer",
    "max_norm": "clip_norm",
    "kernel_size": "kernel",
    "strides": "stride",
    "channels": "filters",
    "out_features": "units",
    "num_heads": "heads",
    "hidden_size": "hidden",
    "num_layers": "depth",
    "frameworks": "backends",
    "dataset": "data",
    "training": "train",
}
_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_SIMPLE = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true or false each"),
    str: ("text", "texts"),
    dict: ("a mapping of keys", "mappings"),
    type(None): ("null", "null"),
}
_SWITCHES = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


@dataclass(frozen=True)
class _Finding:
    """One of pydantic's errors, at the user's path."""

    path: Path
    kind: str
    context: Mapping[str, Any]
    text: str
    place: schema.Place
    node: Located | None
    """The offending value; None if it is missing."""


def problems(errors: Sequence[Mapping[str, Any]], root: Located) -> list[Problem]:
    """Translates ``ValidationError.errors()``.

    Args:
        errors: pydantic's, each with ``type``, ``loc``, ``msg`` and perhaps ``ctx``.
        root: the tree that was checked.
    """
    groups: dict[Path, list[_Finding]] = {}
    for error in errors:
        finding = _finding(error, root)
        groups.setdefault(finding.path, []).append(finding)
    found = []
    for path, group in groups.items():
        deeper = any(len(other) > len(path) and other[: len(path)] == path for other in groups)
        if deeper and all(finding.kind in ("literal_error", "too_short") for finding in group):
            # the other member of the union came further, or items were not counted because they are
            # wrong
            continue
        found.append(_problem(path, group, root))
    return found


def _finding(error: Mapping[str, Any], root: Located) -> _Finding:
    kind, loc, context = error["type"], error["loc"], error.get("ctx", {})
    place = schema.follow(Experiment, loc)
    path = place.path
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        node, _ = root.find(path)
        if node.is_mapping:
            chosen = schema.tag(schema.models(place.annotation)[0])
            path = (*path, chosen[0] if chosen else "name")
        elif kind == "union_tag_not_found":
            kind = "model_type"
    node, depth = root.find(path)
    if depth < len(path) and node.is_mapping and path[depth] == 0:
        # one goal stands for a list of one
        path = (*path[:depth], *path[depth + 1 :])
        node, depth = root.find(path)
    if depth < len(path) and not node.is_mapping:
        # pydantic looked inside a value that the user wrote as a whole: a name for an initializer,
        # 3 for (3, 3)
        if isinstance(path[depth], int) and kind == "missing":
            kind, place = "too_short_pair", schema.follow(Experiment, loc[:-1])
        path = path[:depth]
    return _Finding(path, kind, context, error["msg"], place, node if depth >= len(path) else None)


def _problem(path: Path, group: Sequence[_Finding], root: Located) -> Problem:
    order = ["literal_error", "union_tag_invalid"]
    finding = min(group, key=lambda item: (item.kind not in _BOUNDS, item.kind in order))
    if finding.kind not in _BOUNDS and len(group) > 1:
        finding = next((item for item in group if item.kind == "literal_error"), finding)
    node, depth = root.find(path)
    if finding.kind == "extra_forbidden":
        origin = node.key or node.origin
    else:
        origin = node.place if depth == len(path) else (node.key or node.origin)
    return origin.problem(path, _explain(finding, root))


def _explain(finding: _Finding, root: Located) -> str:
    kind, node, annotation = finding.kind, finding.node, finding.place.annotation
    if kind == "extra_forbidden":
        return _unknown_key(finding, root)
    if kind == "union_tag_not_found":
        return f"is missing: one of {', '.join(_tag_words(annotation))}"
    if kind == "missing":
        return _missing(finding.path, annotation)
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        return f"must be {words} {_number(finding.context[name])}, not {show(node)}"
    if kind == "union_tag_invalid":
        return _not_allowed(node, _tag_words(annotation))
    if kind == "literal_error":
        return _not_allowed(node, schema.literals(annotation), annotation)
    if kind == "finite_number":
        return f"must be a finite number, not {show(node)}"
    if kind == "too_short":
        count = finding.context["min_length"]
        return f"needs at least {count} item{'s' if count != 1 else ''}"
    if kind == "string_pattern_mismatch":
        return f"{show(node)} does not fit: {_description(finding.place)}".rstrip(": ")
    if kind.endswith("_type") or kind in ("int_from_float", "too_short_pair", "too_long"):
        return _wrong_type(node, annotation)
    text = finding.text.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return text[:1].lower() + text[1:]


def _description(place: schema.Place) -> str:
    field = (
        place.owner.model_fields.get(str(place.path[-1])) if place.owner and place.path else None
    )
    text = (field.description or "" if field else "").strip()
    return text[:1].lower() + text[1:]


def _unknown_key(finding: _Finding, root: Located) -> str:
    key, owner = str(finding.path[-1]), finding.place.owner
    allowed = list(owner.model_fields) if owner else []
    chosen = schema.tag(owner) if owner else None
    if chosen:
        allowed.sort(key=lambda name: name != chosen[0])
    message = f"unknown key {key!r}" + (f" for {chosen[0]}: {chosen[1]}" if chosen else "")
    near = (
        [_SYNONYMS[key]]
        if _SYNONYMS.get(key) in allowed
        else get_close_matches(key.lower(), allowed, n=1)
    )
    elsewhere = schema.paths_named(Experiment, root, key)
    if "." in key:
        message += "; dots are for the command line, in the file write one key inside the other"
    elif near:
        message += f"; did you mean {near[0]!r}?"
    elif elsewhere:
        message += f"; did you mean {dotted(elsewhere[0])}?"
    return message + f"{'' if message.endswith('?') else '.'} Allowed here: {', '.join(allowed)}"


def _tag_words(annotation: Any) -> list[str]:
    return [found[1] for cls in schema.models(annotation) if (found := schema.tag(cls))]


def _missing(path: Path, annotation: Any) -> str:
    classes = schema.models(annotation)
    chosen = schema.tag(classes[0]) if len(classes) > 1 else None
    if chosen:
        words = _tag_words(annotation)
        return (
            f"is missing: write {path[-1]}: {{{chosen[0]}: {words[0]}}}, with one of"
            f" {', '.join(words)}"
        )
    return f"is missing: {wanted(annotation)}" if annotation is not None else "is missing"


def _not_allowed(node: Located | None, words: Sequence[str], annotation: Any = None) -> str:
    message = f"{show(node)} is not allowed"
    value = node.value if node is not None else None
    lower = {word.lower(): word for word in words}
    near = (
        get_close_matches(value.lower(), lower, n=1, cutoff=0.5) if isinstance(value, str) else []
    )
    message += f"; did you mean {lower[near[0]]!r}?" if near else "."
    rest = wanted(annotation, without_words=True) if annotation is not None else ""
    return f"{message} Allowed: {', '.join(words)}" + (f", or {rest}" if rest else "")


def _wrong_type(node: Located | None, annotation: Any) -> str:
    if node is not None and node.value is None:
        return f"is empty: {wanted(annotation)} belongs here, or leave the key out"
    shown = f"a list of {len(node.value)}" if node is not None and node.is_list else show(node)
    return (
        f"must be {wanted(annotation)}, not"
        f" {shown}{_remedy(node.value if node else None, annotation)}"
    )


def _remedy(value: Any, annotation: Any) -> str:
    kinds = [get_origin(item) or item for item in schema.alternatives(annotation)]
    if isinstance(value, str):
        tags = [
            found
            for cls in schema.models(annotation)
            if (found := schema.tag(cls)) and found[1] == value
        ]
        if tags:
            return f"; write {{{tags[0][0]}: {value}}}"
        if bool in kinds and value.lower() in _SWITCHES:
            return f"; write {_SWITCHES[value.lower()]}"
        if {int, float, bool, tuple} & set(kinds) and _is_number(value):
            return "; remove the quotes"
    if isinstance(value, float) and int in kinds and isfinite(value) and value == int(value):
        return f"; write {int(value)}"
    if kinds == [str] and not isinstance(value, (dict, list)):
        return "; put it in quotes"
    scalar = value is not None and not isinstance(value, (dict, list))
    return (
        f"; write [{_text(value)}]"
        if tuple in kinds and scalar and schema.element(annotation)
        else ""
    )


def _is_number(text: str) -> bool:
    try:
        return not isinstance(convert(text, None, plain=True), str | None)
    except CannotConvert:
        return False


def wanted(annotation: Any, *, without_words: bool = False, plural: bool = False) -> str:
    """What a value may be, in words: ``a whole number``, ``a list of numbers``, ``valid, same or
    …``.
    """
    words = [] if without_words else schema.literals(annotation)
    parts = [f"{'names among' if plural else 'one of'} {', '.join(words)}"] if words else []
    for item in schema.alternatives(annotation):
        if get_origin(item) is tuple:
            parts.append(_list_wanted(item))
        elif isinstance(item, type) and issubclass(item, BaseModel):
            parts.append("mappings" if plural else "a mapping of keys")
        else:
            parts += [_SIMPLE[kind][plural] for kind in (get_origin(item), item) if kind in _SIMPLE]
    return " or ".join(dict.fromkeys(parts))


def _list_wanted(annotation: Any) -> str:
    arguments = get_args(annotation)
    if arguments[-1] is Ellipsis:
        return f"a list of {wanted(arguments[0], plural=True)}"
    # every fixed tuple of an experiment is a pair for the two axes of an image, and one number
    # stands for both
    return f"{wanted(arguments[0])} or a list of {len(arguments)} (vertical, horizontal)"


def show(node: Located | None) -> str:
    """A value as it may stand in a message."""
    if node is None:
        return "nothing"
    if node.is_mapping or node.is_list:
        return "a mapping of keys" if node.is_mapping else "a list"
    if isinstance(node.value, str):
        return f"'{node.value if len(node.value) <= 40 else node.value[:39] + '…'}'"
    return _text(node.value)


def _text(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and not isfinite(value):
        return ".nan" if isnan(value) else "-.inf" if value < 0 else ".inf"
    text = str(value)
    return text if len(text) <= 40 else text[:39] + "…"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
