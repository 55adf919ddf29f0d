"""Evaluation: what ``predict`` gives for the evaluation examples.

By the formulas at the runtime's own weights, after the first epoch and after the last step; and
between runtimes at the end, in float32 by their floors (``floor``). The condition of the network
may widen the former (``rounding``), the growth of rounding in a chaotic training the latter
(``growth``).
"""

from __future__ import annotations

from collections.abc import Iterator

from nncompare.studies.verify.checks import dead, floor
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.distance import relative
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.checks.subject import Pair, Subject

TOLERANCE = {"float64": 1e-12, "float32": 3e-5}
"""By the formulas, relative to the largest logit."""
BETWEEN = 1e-9
"""Between runtimes in float64, relative to the largest logit. Wider than the weights', whose
differences the last forward pass amplifies (an LSTM over 28 steps: 1e-12 in the weights, 4e-11 in
the logits); what that pass itself does is judged by its formula at the runtime's own weights.
"""


def by_formula(subject: Subject) -> Iterator[Check]:
    """The logits by the formulas at the weights that the runtime showed."""
    context = subject.context
    seen = subject.seen
    tolerance = TOLERANCE[context.dtype]
    for mark, given in context.evaluations(seen):
        worst = relative(given, context.evaluated(seen.checkpoints[mark]))
        yield subject.check(Quantity.LOGITS, context.last_node, worst, tolerance, mark)


def between(pair: Pair) -> Iterator[Check]:
    """Two float64 runtimes after the last step."""
    # a dead bias that drifts on rounding leaks into the running means after it
    tolerance = dead.TOLERANCE if pair.dead else BETWEEN
    worst = relative(pair.seen.logits[""], pair.other.logits[""])
    context = pair.context
    yield pair.check(Quantity.LOGITS, context.last_node, worst, tolerance, context.steps)


def between_float32(pair: Pair) -> Iterator[Check]:
    """Two float32 runtimes within their floors, after the last step."""
    # under a name of its own, as the floor of tensors wants them
    tensors = [{"logits": observation.logits[""]} for observation in pair.all]
    last = pair.context.plan.checkpoints[-1]
    yield from floor.check_tensors(pair, Quantity.LOGITS, tensors, last)
