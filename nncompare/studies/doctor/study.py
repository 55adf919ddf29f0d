"""``doctor``: what each framework sees on this machine, asked in processes of their own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nncompare.launch.probe import probe
from nncompare.spec.runtimes import by_backend, file_name
from nncompare.wire.outcome import Outcome


@dataclass(frozen=True, kw_only=True)
class Examined:
    """One framework.

    Args:
        runtimes: the names it serves, ``("torch", "torch:compile")``.
        outcome: ``versions`` and ``probed.devices``; ``status`` is ``ok``, ``refused``, ``failed``
            or ``timed out``.
    """

    runtimes: tuple[str, ...]
    outcome: Outcome


def examine(*, asking: Callable[[str], None] = lambda _: None) -> Sequence[Examined]:
    """Imports each installed framework in a fresh process and asks for versions and devices.

    Args:
        asking: told the name of each framework before it is asked.
    """
    found = []
    with tempfile.TemporaryDirectory(prefix="nncompare-") as scratch:
        for runtime, runtimes in by_backend().items():
            asking(runtime)
            outcome = probe(runtime, Path(scratch) / file_name(runtime))
            found.append(Examined(runtimes=runtimes, outcome=outcome))
    return found
