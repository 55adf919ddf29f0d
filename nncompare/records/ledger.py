"""The ledger: which settings differ between the runtimes that finished."""

from __future__ import annotations

from collections.abc import Sequence

from nncompare.records.record import RecordPart
from nncompare.records.trained_runtime import TrainedRuntime


class LedgerEntry(RecordPart):
    """One setting that differs: runtime -> value."""

    setting: str
    values: dict[str, str | None]


def ledger(rows: Sequence[TrainedRuntime]) -> tuple[LedgerEntry, ...]:
    """Settings whose values differ between the finished runtimes, versions and device first.

    Args:
        rows: all rows of a result; those that did not finish are left out.

    Returns:
        One entry a setting: runtime -> value, in the order of the rows; None where a runtime has no
            such setting.
        With fewer than two finished runtimes there is nothing to differ.
    """
    described = {row.runtime: _describe(row) for row in rows if row.status == "ok"}
    names = dict.fromkeys(name for settings in described.values() for name in settings)
    entries = []
    for name in names:
        values = {runtime: settings.get(name) for runtime, settings in described.items()}
        # a setting that one runtime lacks differs too: None is its value
        if len(set(values.values())) > 1:
            entries.append(LedgerEntry(setting=name, values=values))
    return tuple(entries)


def _describe(row: TrainedRuntime) -> dict[str, str]:
    """What stands in the row itself and can differ, before the settings that the backend
    reported.
    """
    own = {
        "versions": ", ".join(f"{name} {version}" for name, version in row.versions.items()),
        "device": row.device,
        "threads": None if row.threads is None else str(row.threads),
        "parameters": None if row.parameters is None else f"{row.parameters:,}",
    }
    # unknown is no setting
    known = {name: value for name, value in own.items() if value}
    return known | row.settings
