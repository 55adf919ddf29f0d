"""The ledger as a sheet: settings that differ between runtimes."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from nncompare.records.ledger import LedgerEntry
from nncompare.show.sheet import Column, Sheet
from nncompare.show.words import printable


def ledger_part(
    entries: Sequence[LedgerEntry], title: str = "Settings that differ"
) -> Sheet | Text:
    """Settings that differ, a row each, or the sentence that there are none."""
    # that nothing differs is an answer too
    if not entries:
        return Text(f"{title}: none of those recorded.")
    runtimes = tuple(dict.fromkeys(runtime for entry in entries for runtime in entry.values))
    columns = []
    for entry in entries:
        values = [entry.values.get(runtime) or "not applicable" for runtime in runtimes]
        texts = tuple(map(printable, values))
        columns.append(Column(head=entry.setting, texts=texts, number=False))
    return Sheet(title=title, labels=runtimes, columns=tuple(columns), prose=True)
