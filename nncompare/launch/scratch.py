"""The temporary folder of one command: prepared data, job folders, what frameworks write."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nncompare.records.atomic import explained
from nncompare.records.ownership import Ownership, remove, taken_over

PREFIX = "nncompare-"
"""What the folder's name begins with."""
TEMPORARY = "TMPDIR=DIR"
"""How a user chooses another place for it."""


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder, removed at the end. Those that killed processes have left are removed first.

    Raises:
        StoreError: it cannot be made.
    """
    with explained(Path("a temporary file"), option=TEMPORARY):
        place = Path(tempfile.gettempdir())
    for left in place.glob(f"{PREFIX}*"):
        with taken_over(left) as is_abandoned:
            if is_abandoned:
                remove(left)
    with explained(place, option=TEMPORARY):
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    ownership: Ownership | None = None
    try:
        with explained(folder, option=TEMPORARY):
            ownership = Ownership(folder)
        yield folder
    finally:
        remove(folder)
        # after that: no other process meets a half of it
        if ownership is not None:
            ownership.release()
