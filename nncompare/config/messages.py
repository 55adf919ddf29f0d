"""From pydantic's errors to problems in plain English, at the place where the user wrote
the value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, get_args, get_origin

from nncompare.config import schema
from nncompare.config.located import Located, Path, dotted
from nncompare.config.scalars import CannotConvert, convert
from nncompare.errors import Problem, did_you_mean, nearest
from nncompare.spec.catalog import BrokenPlugin
from nncompare.spec.data import DATA
from nncompare.spec.experiment import Experiment
from nncompare.spec.runtimes import CATALOG
from nncompare.spec.unions import alternatives, discriminator, members, model_classes, tag_of

_LONGEST_TEXT = 40
"""Characters of a value that a message repeats."""
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
"""What other libraries call a key -> its name here."""
_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
"""pydantic's kind of error -> words, and where the bound stands in its context."""
_SIMPLE = {
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true or false each"),
    str: ("text", "texts"),
    dict: ("a mapping of keys", "mappings"),
    type(None): ("null", "null"),
}
"""Python type -> one of it, several of it."""
_SWITCHES = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


@dataclass(frozen=True, kw_only=True)
class _Finding:
    """One of pydantic's errors, at the user's path.

    Args:
        path: as the user writes it.
        kind: pydantic's ``type`` of the error.
        context: pydantic's ``ctx``.
        text: pydantic's ``msg``.
        place: what the schema says about the place.
        node: the offending value; what should hold it, if it is missing.
    """

    path: Path
    kind: str
    context: Mapping[str, Any]
    text: str
    place: schema.Place
    node: Located


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
        # The other member of the union came further, or items were not counted because they are
        # wrong: what is said about the items says enough.
        is_echo = all(finding.kind in ("literal_error", "too_short") for finding in group)
        if is_echo and any(_is_inside(other, path) for other in groups):
            continue
        found.append(_problem(path, group, root))
    return found


def _is_inside(path: Path, outer: Path) -> bool:
    return len(path) > len(outer) and path[: len(outer)] == outer


def _finding(error: Mapping[str, Any], root: Located) -> _Finding:
    """One error of pydantic's with its place in the file."""
    kind = error["type"]
    place = schema.place_of_error(Experiment, error["loc"])
    path = place.path
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        node, _ = root.find(path)
        if node.is_mapping:
            # The error is about the key that chooses, ``family`` or ``type``.
            path = (*path, tag_of(place.annotation))
        elif kind == "union_tag_not_found":
            # No mapping at all, so that there is no key to ask for.
            kind = "model_type"
    node, depth = root.find(path)
    if depth < len(path) and node.is_mapping and path[depth] == 0:
        # One goal stands for a list of one.
        path = (*path[:depth], *path[depth + 1 :])
        node, depth = root.find(path)
    if depth < len(path) and not node.is_mapping:
        # pydantic looked inside a value that the user wrote as a whole: a name for an initializer,
        # 3 for (3, 3).
        if isinstance(path[depth], int) and kind == "missing":
            kind = "too_short_pair"
            place = schema.place_of_error(Experiment, error["loc"][:-1])
        path = path[:depth]
    return _Finding(
        path=path,
        kind=kind,
        context=error.get("ctx", {}),
        text=error["msg"],
        place=place,
        node=node,
    )


def _problem(path: Path, group: Sequence[_Finding], root: Located) -> Problem:
    """One problem for all that was found at one path."""
    finding = min(group, key=_rank)
    origin = root.place_of(path)
    if finding.kind == "extra_forbidden":
        # The key is wrong, whatever its value.
        origin = finding.node.key or finding.node.origin
    return origin.problem(path, _explain(finding, root))


def _rank(finding: _Finding) -> int:
    """Which error of a union's members to tell: that with the lowest rank, of equals the first."""
    if finding.kind in _BOUNDS:
        # the type was right
        return 0
    # the message about the allowed words adds what else may stand there
    return {"literal_error": 1, "union_tag_invalid": 3}.get(finding.kind, 2)


def _explain(finding: _Finding, root: Located) -> str:
    """What is wrong, in plain English."""
    kind = finding.kind
    node = finding.node
    annotation = finding.place.annotation
    if kind in _BOUNDS:
        words, name = _BOUNDS[kind]
        return f"must be {words} {_number(finding.context[name])}, not {show(node)}"
    match kind:
        case "extra_forbidden":
            return _unknown_key(finding, root)
        case "union_tag_not_found":
            return f"is missing: one of {', '.join(list(members(annotation)))}"
        case "missing":
            return _missing(finding.path, annotation)
        case "union_tag_invalid":
            return _not_allowed(node, list(members(annotation)))
        case "literal_error":
            return _not_allowed(node, schema.allowed_words(annotation), annotation)
        case "finite_number":
            return f"must be a finite number, not {show(node)}"
        case "too_short":
            count = finding.context["min_length"]
            return f"needs at least {count} item{'s' if count != 1 else ''}"
        case "string_pattern_mismatch":
            return f"{show(node)} does not fit: {_description(finding.place)}".rstrip(": ")
        case "int_from_float" | "too_short_pair" | "too_long":
            return _wrong_type(node, annotation)
        case _ if kind.endswith("_type"):
            return _wrong_type(node, annotation)
        case _:
            # What our own validators raise is written for users already.
            return _uncapitalized(finding.text.removeprefix("Value error, "))


def _description(place: schema.Place) -> str:
    """A field's docstring, as the end of a sentence."""
    text = place.owner.model_fields[str(place.path[-1])].description or ""
    return _uncapitalized(text.strip())


def _uncapitalized(text: str) -> str:
    return text[:1].lower() + text[1:]


def _unknown_key(finding: _Finding, root: Located) -> str:
    key = str(finding.path[-1])
    owner = finding.place.owner
    allowed = list(owner.model_fields)
    message = f"unknown key {key!r}"
    chosen = discriminator(owner)
    if chosen is not None:
        name, word = chosen
        message += f" for {name}: {word}"
        # What the mapping is stands first among its keys.
        allowed.sort(key=lambda item: item != name)
    hint = _key_hint(key, allowed, root) or "."
    return f"{message}{hint} Allowed here: {', '.join(allowed)}"


def _key_hint(key: str, allowed: Sequence[str], root: Located) -> str:
    """What was meant by an unknown key, up to the end of the sentence; empty if nobody knows."""
    if "." in key:
        return "; dots are for the command line, in the file write one key inside the other."
    if _SYNONYMS.get(key) in allowed:
        return f"; did you mean {_SYNONYMS[key]!r}?"
    near = nearest(key, allowed)
    if near:
        return f"; did you mean {near!r}?"
    elsewhere = next(schema.paths_named(Experiment, root, key), None)
    return f"; did you mean {dotted(elsewhere)}?" if elsewhere else ""


def _missing(path: Path, annotation: Any) -> str:
    classes = model_classes(annotation)
    if len(classes) <= 1:
        return f"is missing: {wanted(annotation)}"
    words = list(members(annotation))
    example = f"{path[-1]}: {{{tag_of(annotation)}: {words[0]}}}"
    return f"is missing: write {example}, with one of {', '.join(words)}"


def _not_allowed(node: Located, words: Sequence[str], annotation: Any = None) -> str:
    """A word that is none of those that may stand here.

    Args:
        annotation: if given, what else may stand here is told too.
    """
    value = node.value
    hint = did_you_mean(value, words, cutoff=0.5) if isinstance(value, str) else "."
    broken = _broken_plugin(value, words)
    if broken is not None:
        hint = f"; the plug-in {broken.origin} cannot be used: {broken.reason}."
    message = f"{show(node)} is not allowed{hint} Allowed: {', '.join(words)}"
    others = wanted(annotation, without_words=True)
    return f"{message}, or {others}" if others else message


def _broken_plugin(value: Any, words: Sequence[str]) -> BrokenPlugin | None:
    """The plug-in that would have brought the name, if ``words`` are all runtimes or data sets."""
    for catalog in (CATALOG, DATA):
        if set(words) == set(catalog):
            return next((plugin for plugin in catalog.broken if plugin.name == value), None)
    return None


def _wrong_type(node: Located, annotation: Any) -> str:
    if node.value is None:
        return f"is empty: {wanted(annotation)} belongs here, or leave the key out"
    shown = f"a list of {len(node.value)}" if node.is_list else show(node)
    return f"must be {wanted(annotation)}, not {shown}{_remedy(node.value, annotation)}"


def _remedy(value: Any, annotation: Any) -> str:
    """How to write what was meant, as the end of a sentence; empty if nobody knows."""
    kinds = [get_origin(item) or item for item in alternatives(annotation)]
    remedy = _text_remedy(value, annotation, kinds) if isinstance(value, str) else ""
    if remedy:
        return remedy
    if isinstance(value, float) and int in kinds and isfinite(value) and value == int(value):
        return f"; write {int(value)}"
    if isinstance(value, (dict, list)):
        return ""
    if kinds == [str]:
        return "; put it in quotes"
    # One value where a list is wanted.
    if tuple in kinds:
        return f"; write [{_text(value)}]"
    return ""


def _text_remedy(value: str, annotation: Any, kinds: Sequence[Any]) -> str:
    """How to write what was meant by a text, as the end of a sentence; empty if nobody knows."""
    # A word that chooses among classes needs its key.
    for cls in model_classes(annotation):
        name, word = discriminator(cls) or (None, None)
        if word == value:
            return f"; write {{{name}: {value}}}"
    if bool in kinds and value.lower() in _SWITCHES:
        return f"; write {_SWITCHES[value.lower()]}"
    if {int, float, bool, tuple} & set(kinds) and _is_number(value):
        return "; remove the quotes"
    return ""


def _is_number(text: str) -> bool:
    """Whether a text would be a number, or true or false, without its quotes."""
    try:
        return isinstance(convert(text, None, plain=True), (int, float))
    except CannotConvert:
        return False


def wanted(annotation: Any, *, without_words: bool = False, plural: bool = False) -> str:
    """What a value may be, in words: ``a whole number``, ``a list of numbers``, ``one of valid,
    same or …``.

    Args:
        without_words: leave out the words that are allowed.
        plural: several such values.
    """
    words = [] if without_words else schema.allowed_words(annotation)
    parts = []
    if words:
        parts.append(f"{'names among' if plural else 'one of'} {', '.join(words)}")
    for item in alternatives(annotation):
        kind = get_origin(item) or item
        if kind is tuple:
            parts.append(_list_wanted(item))
        elif model_classes(item):
            parts.append("mappings" if plural else "a mapping of keys")
        elif kind in _SIMPLE:
            parts.append(_SIMPLE[kind][plural])
    return " or ".join(dict.fromkeys(parts))


def _list_wanted(annotation: Any) -> str:
    arguments = get_args(annotation)
    if arguments[-1] is Ellipsis:
        return f"a list of {wanted(arguments[0], plural=True)}"
    # Every fixed tuple of an experiment is a pair for the two axes of an image, and one number
    # stands for both.
    return f"{wanted(arguments[0])} or a list of {len(arguments)} (vertical, horizontal)"


def show(node: Located) -> str:
    """A value as it may stand in a message."""
    if node.is_mapping:
        return "a mapping of keys"
    if node.is_list:
        return "a list"
    if isinstance(node.value, str):
        return f"'{_shortened(node.value)}'"
    return _text(node.value)


def _text(value: Any) -> str:
    """A plain value as YAML writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    # Python writes nan, inf and -inf, and YAML 1.2 a dot before the word.
    if isinstance(value, float) and not isfinite(value):
        return text.replace("nan", ".nan").replace("inf", ".inf")
    return _shortened(text)


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else text[: _LONGEST_TEXT - 1] + "…"


def _number(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
