"""The text of an experiment file, or words that say why it cannot be had."""

from __future__ import annotations

import difflib
import re
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
    source = str(path)

    def refuse(message: str) -> ConfigError:
        return ConfigError([Origin(source).problem((), message)])

    try:
        if path.is_dir():
            raise refuse("this is a folder; name an experiment file in it" + _files_in(path))
        with path.open("rb") as file:
            # One byte more than allowed tells a file of unknown size (a pipe) that is too large.
            data = file.read(LIMIT_BYTES + 1)
    except FileNotFoundError:
        raise refuse("there is no such file" + _near_names(path)) from None
    except (OSError, ValueError) as error:
        # A ValueError comes from a path that holds a null byte.
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise refuse(f"cannot be read: {reason}") from None
    if len(data) > LIMIT_BYTES:
        raise refuse("larger than 1 MiB, which no experiment needs; is it the right file?")
    return _decode(data, source)


def _decode(data: bytes, source: str) -> str:
    """The bytes as text; a byte-order mark at the start is dropped.

    Raises:
        ConfigError: they are not UTF-8, or hold a control character; both with the position.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        begin_of_line = data.rfind(b"\n", 0, error.start) + 1
        # Columns count characters, not bytes.
        before = data[begin_of_line : error.start].decode("utf-8", "replace")
        message = f"not a text file in UTF-8: byte 0x{data[error.start]:02x}"
        origin = Origin(source, line, len(before) + 1)
        raise ConfigError([origin.problem((), message)]) from None
    strange = _NOT_TEXT.search(text)
    if strange is not None:
        line = text.count("\n", 0, strange.start()) + 1
        column = strange.start() - text.rfind("\n", 0, strange.start())
        message = f"not a text file: it holds the control character U+{ord(strange.group()):04X}"
        raise ConfigError([Origin(source, line, column).problem((), message)])
    return text


def _near_names(path: Path) -> str:
    """What else the user may have meant, as the end of a sentence."""
    try:
        names = sorted(item.name for item in path.parent.iterdir() if item.suffix in _SUFFIXES)
    except OSError:
        return f"; the folder {path.parent} does not exist either"
    if f"{path.name}.yaml" in names:
        # Only the ending is missing: no other name is nearer.
        near = [f"{path.name}.yaml"]
    else:
        near = difflib.get_close_matches(path.name, names[:_MOST_NAMES], n=3, cutoff=0.5)
    if not near:
        return ""
    return f"; did you mean {' or '.join(str(path.parent / name) for name in near)}?"


def _files_in(path: Path) -> str:
    """The experiment files of a folder, as the end of a sentence."""
    names = sorted(item.name for item in path.iterdir() if item.suffix in _SUFFIXES)
    if not names:
        return ", but it has no .yaml file"
    rest = ", …" if len(names) > _SHOWN_NAMES else ""
    return f": {', '.join(names[:_SHOWN_NAMES])}{rest}"
