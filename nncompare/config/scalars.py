"""Scalars of YAML 1.2's core schema (yaml.org/spec/1.2.2, section 10.3): ``no`` is text, ``1e-3`` a
number.
"""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

_PREFIX = "tag:yaml.org,2002:"
KNOWN_TAGS = {
    "scalar": {"!", *(_PREFIX + name for name in ("str", "int", "float", "bool", "null"))},
    "map": {"!", _PREFIX + "map"},
    "seq": {"!", _PREFIX + "seq"},
}
"""The tags that may be written, by kind of node."""

_NULLS = ("", "~", "null", "Null", "NULL")
_BOOLS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9][0-9_]*|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9_]*)?)([eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN = (".nan", ".NaN", ".NAN")
_LONGEST_NUMBER = 400


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
    if name in ("str", "!") or (not name and not plain):
        return text
    value = _plain(text)
    if name in ("int", "float", "bool", "null") and not _is(value, name):
        raise CannotConvert(f"{text[:40]!r} is not of the type !!{name}")
    return float(value) if name == "float" and isinstance(value, int) else value


def _is(value: Scalar, name: str) -> bool:
    if name == "float":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if name == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, bool) if name == "bool" else value is None


def _plain(text: str) -> Scalar:
    if text in _NULLS:
        return None
    if text in _BOOLS:
        return _BOOLS[text]
    if _INT.fullmatch(text):
        return _whole(text)
    if _FLOAT.fullmatch(text):
        return float(text.replace("_", ""))
    if _INFINITE.fullmatch(text):
        return float("-inf") if text[0] == "-" else float("inf")
    return float("nan") if text in _NAN else text


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise CannotConvert(f"a number of {len(text)} digits")
    if text.startswith("0x"):
        return int(text[2:], 16)
    return int(text[2:], 8) if text.startswith("0o") else int(text.replace("_", ""))
