"""What ``nncompare doctor --json`` has printed into a file, from Python."""

from __future__ import annotations

from rich.console import RenderableType

from nncompare.show.result import Result
from nncompare.studies.doctor.record import DoctorRecord
from nncompare.studies.doctor.report import doctor_report


class Doctor(Result[DoctorRecord]):
    """What a machine and its frameworks offered."""

    def report(self) -> RenderableType:
        return doctor_report(self.record)
