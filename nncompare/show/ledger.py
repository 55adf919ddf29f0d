"""The ledger as a sheet: settings that differ between runtimes."""

from __future__ import annotations

from collections.abc import Sequence

from nncompare.records.ledger import LedgerEntry
from nncompare.show.sheet import Column, Sheet
from nncompare.show.words import printable


def ledger_sheet(
    entries: Sequence[LedgerEntry], *, title: str = "Settings that differ"
) -> Sheet | None:
    """Settings that differ, a row each; None if there are none."""
    if not entries:
        return None
    runtimes = tuple(dict.fromkeys(runtime for entry in entries for runtime in entry.values))
    columns = tuple(
        Column(
            head=entry.setting,
            texts=tuple(
                printable(entry.values.get(runtime) or "not applicable") for runtime in runtimes
            ),
            number=False,
        )
        for entry in entries
    )
    return Sheet(title=title, labels=runtimes, columns=columns, prose=True)
