"""Where files are looked for: the user's folder, then the cache."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from nncompare.errors import DataError

VARIABLE = "NNCOMPARE_DATA_DIR"


def data_folder() -> Path | None:
    """The folder that ``NNCOMPARE_DATA_DIR`` names, None if it is unset or empty.

    Raises:
        DataError: it names something that is not a folder.
    """
    value = os.environ.get(VARIABLE)
    if not value:
        return None
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise DataError(
            f"{VARIABLE}={value} is not a folder (looked for {folder.absolute()}); correct it or"
            " unset it"
        )
    return folder


def cache_folder() -> Path:
    """The user's cache folder for nncompare; it may not exist yet."""
    from platformdirs import user_cache_path

    return user_cache_path("nncompare", appauthor=False)


def read_bytes(path: Path) -> bytes:
    """The whole file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from None


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def check_cached(path: Path, found: str, published: str, name: str) -> None:
    """Refuses a file of the cache whose digest is not the published one.

    Raises:
        DataError: with the ways to mend it.
    """
    if found != published:
        raise DataError(
            f"{path} in the cache is damaged: SHA-256 {found}, but {published} was published; "
            f"delete it, or fetch it again with: nncompare data fetch {name}"
        )
