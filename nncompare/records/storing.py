"""The last step of a study: its result gets its folder, or another one where that has no room."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from nncompare.data.lookup import cache_folder
from nncompare.errors import StoreError
from nncompare.records.atomic import explained
from nncompare.records.folder import ResultFolder


def store(
    folder: ResultFolder, write: Callable[[ResultFolder], None]
) -> tuple[Path, None] | tuple[Path | None, StoreError]:
    """Writes a result and publishes it.

    Args:
        folder: where it belongs.
        write: writes all of it into the folder that it is given.

    Returns:
        The folder, and None. Where it cannot be written: another folder in which it is kept, in the
        user's cache or the temporary folder, or None if there is no room there either; and what is
        wrong, with the name of that folder. The work is done, so it is no exception.
    """
    try:
        write(folder)
        folder.publish()
        return folder.path, None
    except StoreError as error:
        problem = error
    for place in (cache_folder() / "results", Path(tempfile.gettempdir()) / "nncompare-results"):
        try:
            with explained(place):
                place.mkdir(parents=True, exist_ok=True)
            with ResultFolder(place, folder.id) as other:
                with explained(place):
                    other.make()
                write(other)
                other.publish()
        except StoreError:
            continue
        return other.path, StoreError(f"{problem}; the result is kept in {other.path}")
    return None, problem
