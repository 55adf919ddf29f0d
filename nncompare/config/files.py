"""The text of an experiment file, or words that say why it cannot be had."""

from __future__ import annotations

import difflib
import re
from codecs import BOM_UTF8
from dataclasses import replace
from pathlib import Path

from nncompare.config.located import Origin
from nncompare.errors import ConfigError

LIMIT_BYTES = 1 << 20
"""No experiment needs more; a larger file is another one, named by mistake."""

_NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that YAML does not allow (yaml.org/spec/1.2.2, section 5.1)."""
_MOST_NAMES = 1000
"""Names of a folder that are compared with a misspelt one."""
_SHOWN_NAMES = 8
_SUFFIXES = (".yaml", ".yml")


def read_file(path: Path) -> str:
    """The text of an experiment file.

    Raises:
        ConfigError: missing (with near names), a folder, unreadable, over ``LIMIT_BYTES``, or not
            UTF-8 text.
    """
    origin = Origin(str(path))
    try:
        if path.is_dir():
            raise _refusal(
                origin, "this is a folder; name an experiment file in it" + _files_in(path)
            )
        with path.open("rb") as file:
            # One byte more than allowed tells a file of unknown size (a pipe) that is too large.
            data = file.read(LIMIT_BYTES + 1)
    except FileNotFoundError:
        raise _refusal(origin, "there is no such file" + _near_names(path)) from None
    except (OSError, ValueError) as error:
        # A ValueError comes from a path that holds a null byte.
        reason = getattr(error, "strerror", None) or error
        raise _refusal(origin, f"cannot be read: {reason}") from None
    if len(data) > LIMIT_BYTES:
        message = "larger than 1 MiB, which no experiment needs; is it the right file?"
        raise _refusal(origin, message)
    return _decode(data.removeprefix(BOM_UTF8), origin)


def _refusal(origin: Origin, message: str) -> ConfigError:
    return ConfigError([origin.problem((), message)])


def _decode(data: bytes, origin: Origin) -> str:
    """The bytes as text.

    Raises:
        ConfigError: they are not UTF-8, or hold a control character; both with the position.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        # Columns count characters, not bytes; all before the first bad byte are characters.
        place = _after(origin, data[: error.start].decode())
        message = f"not a text file in UTF-8: byte 0x{data[error.start]:02x}"
        raise _refusal(place, message) from None
    strange = _NOT_TEXT.search(text)
    if strange is not None:
        place = _after(origin, text[: strange.start()])
        message = f"not a text file: it holds the control character U+{ord(strange.group()):04X}"
        raise _refusal(place, message)
    return text


def _after(origin: Origin, before: str) -> Origin:
    """The place in a file at which ``before`` ends."""
    return replace(origin, line=before.count("\n") + 1, column=len(before) - before.rfind("\n"))


def _near_names(path: Path) -> str:
    """What else the user may have meant, as the end of a sentence."""
    try:
        names = sorted(item.name for item in path.parent.iterdir() if item.suffix in _SUFFIXES)
    except OSError:
        return f"; the folder {path.parent} does not exist either"
    near = difflib.get_close_matches(path.name, names[:_MOST_NAMES], n=3, cutoff=0.5)
    # Where only the ending is missing, no other name is nearer.
    if f"{path.name}.yaml" in names:
        near = [f"{path.name}.yaml"]
    meant = " or ".join(str(path.parent / name) for name in near)
    return f"; did you mean {meant}?" if near else ""


def _files_in(path: Path) -> str:
    """The experiment files of a folder, as the end of a sentence."""
    names = sorted(item.name for item in path.iterdir() if item.suffix in _SUFFIXES)
    if not names:
        return ", but it has no .yaml file"
    rest = ", …" if len(names) > _SHOWN_NAMES else ""
    return f": {', '.join(names[:_SHOWN_NAMES])}{rest}"
