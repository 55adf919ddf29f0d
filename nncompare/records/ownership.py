"""Which process works in a folder, so that what a killed one has left can be told from what is in
use.

The process holds a lock on a file in the folder. The system releases it with the process, however
that ends, and a process number that is used again misleads nobody. The file has the host's name:
some file systems know locks of their own host only.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import platform
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

OWNER_FILE = ".owner"
"""The file that is locked."""

_HAS_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
"""What a file system says that knows no locks."""


class Ownership:
    """A folder that belongs to this process, until ``release`` or its end.

    Args:
        folder: made by this process a moment ago, and empty.

    Raises:
        OSError: nothing can be written there.
    """

    def __init__(self, folder: Path):
        # under another name until it is locked, so that nobody takes it for a dead process's
        unlocked = folder / f"{OWNER_FILE}.new"
        self._descriptor = os.open(unlocked, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(self._descriptor, platform.node().encode())
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # without locks no folder can be told to be left behind: then none has an owner's file
        except OSError as error:
            os.close(self._descriptor)
            unlocked.unlink()
            self._descriptor = -1
            if error.errno not in _HAS_NO_LOCKS:
                raise
        else:
            os.rename(unlocked, folder / OWNER_FILE)

    def release(self) -> None:
        """Gives the folder up."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1


@contextlib.contextmanager
def taken_over(folder: Path) -> Iterator[bool]:
    """Whether a dead process of this user and this host has left the folder; if so, it is this
    process's inside the ``with`` block, and no other's.
    """
    descriptor = _lock_of_the_dead(folder)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def remove(folder: Path) -> None:
    """Removes a folder; the owner's file goes last, so that what a kill leaves of it is still
    known as left behind. What cannot be removed stays.
    """
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != OWNER_FILE:
                os.unlink(entry.path)
    shutil.rmtree(folder, ignore_errors=True)


def _lock_of_the_dead(folder: Path) -> int | None:
    """The descriptor of the owner's file, locked by this process; None: the folder is in use, or
    another user's or host's, or nothing is known of it.
    """
    try:
        found = os.lstat(folder)
        descriptor = os.open(folder / OWNER_FILE, os.O_RDWR | os.O_NOFOLLOW)
    # no owner's file, or not ours to read
    except OSError:
        return None
    try:
        mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
        here = os.read(descriptor, 1024) == platform.node().encode()
        # a living owner, or another process that takes it over
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        mine = here = False
    if not (mine and here):
        os.close(descriptor)
        return None
    return descriptor
