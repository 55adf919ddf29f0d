"""Writing that is whole or not there, and errors of the file system in words."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from nncompare.errors import StoreError

_DENIED = "no permission to write there; make the folder writable, or choose another one with"
_FULL = "the disk is full; free some space, or choose another disk with"
_IN_THE_WAY = "a file stands where a folder is needed; move it, or choose another folder with"
_FIXES = {
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EROFS: _DENIED,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.ENOTDIR: _IN_THE_WAY,
    errno.EEXIST: _IN_THE_WAY,
}


def explain(error: OSError, path: Path, *, option: str = "--output DIR") -> StoreError:
    """The error with the path and the fix; ``option``: how another place is chosen."""
    other = f"{error.strerror or error}; choose another folder with"
    fix = _FIXES.get(error.errno or 0, other)
    return StoreError(f"cannot write {path}: {fix} {option}")


@contextlib.contextmanager
def explained(path: Path, *, option: str = "--output DIR") -> Iterator[None]:
    """Turns an ``OSError`` inside into a ``StoreError`` that names ``path`` and the option."""
    try:
        yield
    except OSError as error:
        raise explain(error, path, option=option) from error


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file so that a reader sees the old one or the new one, never a part.

    Raises:
        StoreError: it cannot be written; the old file is intact.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with explained(path):
        try:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        # Ctrl-C between the two steps leaves no half of a file behind
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    sync_folder(path.parent)


def write_text(path: Path, text: str) -> None:
    """``write_bytes`` in UTF-8 with Unix line ends."""
    write_bytes(path, text.encode())


def sync_folder(folder: Path) -> None:
    """Makes a rename last through a power cut, where the system can do that."""
    # some file systems sync no folders: nothing is lost by it
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
