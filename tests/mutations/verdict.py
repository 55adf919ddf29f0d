"""Whether an error was found as it should be."""

from __future__ import annotations

import re

from nncompare.studies.verify.record import ParityFinding
from tests.mutations.laboratory import Verdict
from tests.mutations.mutation import Mutation


def problem(mutation: Mutation, verdict: Verdict) -> str | None:
    """What is wrong with the way in which the error was found; None: nothing."""
    if verdict.error is not None:
        if mutation.raises and re.search(mutation.raises, verdict.error):
            return None
        return f"the backend raised an error that is not expected:\n{verdict.error[-1500:]}"
    if not verdict.failed:
        return "not caught: every check passes"
    others = [finding for finding in verdict.findings if finding.runtime != mutation.backend]
    if others:
        return f"blames another runtime: {others[0]}"
    located = [finding for finding in verdict.findings if _is_place(mutation, finding)]
    if not located:
        return f"not located at {mutation.quantity} {mutation.layer}"
    if mutation.looks_like and not any(
        re.search(mutation.looks_like, f.looks_like or "") for f in located
    ):
        return f"not explained by {mutation.looks_like!r}"
    return None


def _is_place(mutation: Mutation, finding: ParityFinding) -> bool:
    layer = re.match(mutation.layer, finding.layer or "") if mutation.layer else True
    return finding.quantity == mutation.quantity and bool(layer)


def told(mutation: Mutation, verdict: Verdict) -> tuple[list[str], str | None]:
    """Rows of a Markdown table, and the problem."""
    start = f"| {mutation.backend} | {mutation.name} | {mutation.experiment}"
    if verdict.error is not None:
        last = verdict.error.strip().splitlines()[-1]
        rows = [f"{start} | (raises) | | | {last[:160]} |"]
    else:
        rows = [
            f"{start} | {f.runtime if f.runtime != mutation.backend else ''} {f.quantity} |"
            f" {f.layer or ''} | {f.step or ''} | {f.looks_like or ''} |"
            for f in verdict.findings
        ] or [f"{start} | NOTHING | | | |"]
    return rows, problem(mutation, verdict)
