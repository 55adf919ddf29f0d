"""Downloads one file from the first mirror that has it.

A file appears in the cache complete and with the right digest, or not at all: it is written into a
hidden staging folder beside its place, checked there, and renamed.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from threading import Event, Thread

from nncompare.errors import DataError

ANSWER_S = 4.5
"""Longest wait for a mirror's first bytes, name look-up included. Three mirrors make less than 15
s.
"""
STALL_S = 10.0
"""Longest wait between two pieces of a download that has begun."""


def download(
    urls: Sequence[str], target: Path, *, sha256: str, advice: str, report: Callable[[str], None]
) -> None:
    """Puts the file with digest ``sha256`` at ``target``, replacing what is there.

    Args:
        urls: the same file at each mirror, tried in turn.
        target: its place in the cache; the folder is made if need be.
        sha256: the published digest, demanded.
        advice: ends the error's message: what to do without a network.
        report: is told each step in one line.

    Raises:
        DataError: no mirror gave the file; names each mirror and its error. Or the cache cannot be
            written.
    """
    for module in ("pooch", "requests"):
        import_module(module)  # not on the first mirror's time
    failures: list[str] = []
    for url in urls:
        report(f"{target.name}: from {url}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            failure = _attempt(url, target, sha256)
        except OSError as error:
            raise DataError(
                f"the cache {target.parent} cannot be written: {error.strerror or error}"
            ) from None
        if failure is None:
            report(
                f"{target.name}: {target.stat().st_size:,} bytes, digest as published, in"
                f" {target.parent}"
            )
            return
        report(f"{target.name}: {failure}")
        failures.append(f"  {url}: {failure}")
    raise DataError("\n".join([f"{target.name} could not be downloaded:", *failures, advice]))


class _Progress:
    """What pooch calls a progress bar: it tells that bytes have come."""

    def __init__(self) -> None:
        self.total = 0
        self.begun = Event()

    def update(self, size: int) -> None:
        self.begun.set()

    def reset(self) -> None: ...

    def close(self) -> None: ...


def _attempt(url: str, target: Path, sha256: str) -> str | None:
    """One mirror: None if the file is now at ``target``, else what went wrong."""
    with TemporaryDirectory(
        prefix=".download-", dir=target.parent, ignore_cleanup_errors=True
    ) as staging:
        progress = _Progress()
        outcome: SimpleQueue[Exception | None] = SimpleQueue()

        def work() -> None:
            try:
                _retrieve(url, Path(staging) / target.name, sha256, progress)
                outcome.put(None)
            except Exception as error:
                outcome.put(error)
            finally:
                progress.begun.set()

        # A thread, because nothing else bounds the system's name look-up, which can hang for a
        # minute offline.
        Thread(target=work, daemon=True, name=f"download {target.name}").start()
        if not progress.begun.wait(ANSWER_S):
            return f"no answer within {ANSWER_S} s"
        error = outcome.get()
        if error is not None:
            return _brief(error)
        os.replace(Path(staging) / target.name, target)
        return None


def _retrieve(url: str, place: Path, sha256: str, progress: _Progress) -> None:
    """Downloads ``url`` to ``place`` and checks its digest."""
    import pooch

    pooch.get_logger().setLevel(logging.WARNING)
    downloader = pooch.HTTPDownloader(timeout=(ANSWER_S, STALL_S), progressbar=progress)
    pooch.retrieve(
        url,
        known_hash=f"sha256:{sha256}",
        fname=place.name,
        path=place.parent,
        downloader=downloader,
    )


def _brief(error: Exception) -> str:
    """An error in one line, without the layers that requests wraps around it."""
    text = " ".join(str(error).split())
    mismatch = re.search(r"expected (?:sha256:)?(\w{64}) but got (\w{64})", text)
    if mismatch:
        return f"wrong content: SHA-256 {mismatch[2]}, but {mismatch[1]} was published"
    inner = re.search(r"Caused by \w+\((.*)\)\)$", text)
    text = inner[1].strip("'\"") if inner else text
    return re.sub(r"^.*?(Failed to |\[Errno )", r"\1", text) or type(error).__name__
