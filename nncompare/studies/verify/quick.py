"""The short form of a check: what a run's own workers saw after their training, judged in the run's
own dtype.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nncompare.data.base import Data, Split
from nncompare.numerics.parity import checked_examples
from nncompare.spec.job import Job
from nncompare.studies.verify import judge
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.findings import explain
from nncompare.studies.verify.record import Parity
from nncompare.wire.observation import QUICK_STEPS, Observation


def judge_quick(job: Job, data: Data, observations: Mapping[str, Observation]) -> Parity:
    """The parity of a run.

    Args:
        job: of any of its runtimes.
        data: of the run.
        observations: what the runtimes that finished did; at least one.
    """
    # the examples that ``worker.observe.observe_quickly`` looked at
    count = checked_examples(len(data.train), job.experiment.train.batch_size, QUICK_STEPS)
    few = Split(x=data.train.x[:count], y=data.train.y[:count])
    context = Context(replace(job, dropout="masks"), replace(data, train=few), QUICK_STEPS)
    checks = list(judge.short_form(context, observations))
    failed = any(not check.passed for check in checks)
    reason = f"forward pass, gradients and {QUICK_STEPS} steps in {context.dtype}"
    if len(observations) == 1:
        reason += "; one runtime, nothing to compare it with but the formulas"
    return Parity(
        status="failed" if failed else "certified",
        form="quick",
        reason=reason,
        checks=tuple(judge.summarize(checks)),
        findings=tuple(explain(context, observations, checks) if failed else ()),
    )
