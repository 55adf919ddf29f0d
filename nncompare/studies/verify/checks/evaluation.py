"""Evaluation: what ``predict`` gives for the evaluation examples.

By the formulas at the runtime's own weights, after the first epoch and after the last step; and
between runtimes at the end, in float32 by their floors (``floor``). The condition of the network
may widen the former (``rounding``), the growth of rounding in a chaotic training the latter
(``growth``).
"""

from __future__ import annotations

from collections.abc import Iterator

from nncompare.studies.verify.checks import dead as dead_tensors
from nncompare.studies.verify.checks import floor
from nncompare.studies.verify.checks.check import FORMULA, Check, Pairing
from nncompare.studies.verify.checks.distance import relative
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.wire.observation import Observation

TOLERANCE = {"float64": 1e-12, "float32": 3e-5}
"""By the formulas, relative to the largest logit."""
BETWEEN = 1e-9
"""Between runtimes in float64, relative to the largest logit. Wider than the weights', whose
differences the last forward pass amplifies (an LSTM over 28 steps: 1e-12 in the weights, 4e-11 in
the logits); what that pass itself does is judged by its formula at the runtime's own weights.
"""


def by_formula(context: Context, runtime: str, observation: Observation) -> Iterator[Check]:
    """The logits by the formulas at the weights that the runtime showed."""
    pairing = Pairing(runtime=runtime, against=FORMULA, dtype=context.dtype)
    last = context.model.nodes[-1].name
    for mark, given in context.evaluations(observation):
        worst = relative(given, context.evaluated(observation.checkpoints[mark]))
        yield pairing.check(Quantity.LOGITS, last, worst, TOLERANCE[context.dtype], mark)


def between(
    context: Context,
    runtime: str,
    against: str,
    a: Observation,
    b: Observation,
    dead: frozenset[str],
) -> Iterator[Check]:
    """Two float64 runtimes after the last step."""
    pairing = Pairing(runtime=runtime, against=against, dtype=context.dtype)
    # a dead bias that drifts on rounding leaks into the running means after it
    tolerance = dead_tensors.TOLERANCE if dead else BETWEEN
    worst = relative(a.logits[""], b.logits[""])
    last = context.model.nodes[-1].name
    yield pairing.check(Quantity.LOGITS, last, worst, tolerance, context.steps)


def between_float32(context: Context, pairing: Pairing, pair: floor.FloatPair) -> Iterator[Check]:
    """Two float32 runtimes within their floors, after the last step."""
    tensors = [{"logits": observation.logits[""]} for observation in pair.all]
    last = context.plan.checkpoints[-1]
    yield from floor.check_tensors(pairing, Quantity.LOGITS, tensors, last)
