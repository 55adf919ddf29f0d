"""The values that a shell offers for an option or an argument: ``nncompare run -b <TAB>``.

What is offered is read from where it stands, when a shell asks and not before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping


def offering(known: Callable[[], Mapping[str, str]]) -> Callable[[str], list[tuple[str, str]]]:
    """What typer takes as ``autocompletion``.

    Args:
        known: gives word -> what it means, which some shells show beside it.
    """

    def complete(incomplete: str) -> list[tuple[str, str]]:
        return [item for item in known().items() if item[0].startswith(incomplete)]

    return complete


def words(*known: str) -> Callable[[str], list[tuple[str, str]]]:
    """As ``offering``, for a few words that need no explanation."""
    return offering(lambda: dict.fromkeys(known, ""))


def runtimes() -> dict[str, str]:
    """Every runtime with its title."""
    from nncompare.spec.runtimes import CATALOG

    return {name: runtime.title for name, runtime in CATALOG.items()}


def devices() -> dict[str, str]:
    """Every word that ``measure.device`` takes."""
    from typing import get_args

    from nncompare.spec.experiment import DeviceName

    return dict.fromkeys(get_args(DeviceName), "")


def data_sets() -> dict[str, str]:
    """Every data set with its title."""
    from nncompare.spec.data import DATA

    return {name: cls.title for name, cls in DATA.items()}
