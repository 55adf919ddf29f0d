"""One folder for each study, and the kinds of records that they write.

Every folder has the same files: ``command`` (the command line), ``api`` (the same from Python),
``study`` (the work), ``record`` (the document), ``report`` (its picture as text and tables) and
``progress`` (what is shown meanwhile).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """Where the classes of one kind of record are. They are named, not imported: to open a record
    of one study must not load the others.

    Args:
        study: its package, under this one.
        record: the class in its ``record`` that describes the document.
        result: the class in its ``api`` that a reader in Python gets.
    """

    study: str
    record: str
    result: str


KINDS = {
    "run": Kind("run", "RunRecord", "Run"),
    "plan": Kind("run.plan", "PlanRecord", "Plan"),
    "verify": Kind("verify", "VerifyRecord", "Certificate"),
    "conventions": Kind("conventions", "ConventionsRecord", "Conventions"),
    "tune": Kind("tune", "TuneRecord", "Tuned"),
    "gradcheck": Kind("gradcheck", "GradcheckRecord", "Gradcheck"),
    "doctor": Kind("doctor", "DoctorRecord", "Doctor"),
}
"""Every kind of document that nncompare writes and reads; a new one is one line here."""

RECORDS = {name: f"{__name__}.{kind.study}.record:{kind.record}" for name, kind in KINDS.items()}
"""Kind -> the class that describes its record, as ``records.reading`` wants it."""
