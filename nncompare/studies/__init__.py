"""One folder for each study, and the kinds of records that they write.

A new kind is one line here. Classes are named, not imported: a record of one study must not load
the others.
"""

from __future__ import annotations

KINDS = {
    "run": "nncompare.studies.run.record:RunRecord",
    "plan": "nncompare.studies.run.plan_record:PlanRecord",
    "verify": "nncompare.studies.verify.record:VerifyRecord",
    "conventions": "nncompare.studies.conventions.record:ConventionsRecord",
    "tune": "nncompare.studies.tune.record:TuneRecord",
    "gradcheck": "nncompare.studies.gradcheck.record:GradcheckRecord",
}
"""Kind of a record -> the class that describes it."""
