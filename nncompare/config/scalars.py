"""Scalars of YAML 1.2's core schema (yaml.org/spec/1.2.2, section 10.3): ``no`` is text, ``1e-3`` a
number.
"""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

_PREFIX = "tag:yaml.org,2002:"
_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = (".nan", ".NaN", ".NAN")
_LONGEST_NUMBER = 400
"""Digits: Python takes quadratic time to read them, and no float has more than 309."""
_LONGEST_TEXT = 40
"""Characters of a text that a message repeats."""


class CannotConvert(Exception):
    """The text is not what its tag says."""


def convert(text: str, tag: str | None, *, plain: bool) -> Scalar:
    """The value of one scalar.

    Args:
        text: its characters, quotes removed.
        tag: an explicit tag, or None.
        plain: written without quotes, so that it may be a number.

    Raises:
        CannotConvert: ``!!int abc``, or a number of absurd length.
    """
    name = tag.removeprefix(_PREFIX) if tag else ""
    if name in ("str", "!"):
        return text
    # A tag that is refused elsewhere leaves text that stands in quotes as it is.
    if not name and not plain:
        return text
    value = _plain_value(text)
    if not _has_type(value, name):
        raise CannotConvert(f"{text[:_LONGEST_TEXT]!r} is not of the type !!{name}")
    # ``!!float 3`` is 3.0.
    if name == "float" and isinstance(value, int):
        return float(value)
    return value


def _has_type(value: Scalar, name: str) -> bool:
    """Whether a value is what a core tag says; any value satisfies another tag, or none."""
    match name:
        case "int":
            # True and False are whole numbers for Python, and are none in YAML.
            return isinstance(value, int) and not isinstance(value, bool)
        case "float":
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case "bool":
            return isinstance(value, bool)
        case "null":
            return value is None
        case _:
            return True


def _plain_value(text: str) -> Scalar:
    """What text without quotes is, tried in the order of the specification's table."""
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text):
        return _whole_number(text)
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    if _INFINITE.fullmatch(text):
        return float("-inf") if text[0] == "-" else float("inf")
    if text in _NAN:
        return float("nan")
    return text


def _whole_number(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise CannotConvert(f"a number of {len(text)} digits")
    if text.startswith("0x"):
        return int(text[2:], 16)
    if text.startswith("0o"):
        return int(text[2:], 8)
    return int(text.replace("_", ""))
