"""Wrong running statistics: their formula in a checked update."""

from __future__ import annotations

import numpy as np

from nncompare.backends.base import Array
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.changed import Inputs, counts
from nncompare.studies.verify.explanation.layer import LayerAtWork
from nncompare.studies.verify.explanation.matching import Target
from nncompare.wire.observation import Observation

_TOLERANCE = {"float64": 1e-9, "float32": 3e-6}
"""Relative."""


def statistic_looks_like(
    context: Context, observation: Observation, statistic: str, step: int
) -> str | None:
    """What the runtime did to a running statistic in a checked update, in words.

    Args:
        statistic: canonical name; ``step``: of the update, from 0.
    """
    weights = observation.update_weights[step]
    before = np.asarray(weights[statistic], np.float64)
    after = observation.update_weights[step + 1][statistic]
    name, _, kind = statistic.rpartition(".")
    x = context.data.train.x[context.plan.updates.rows(step)]
    outputs = context.run(weights, x, step).outputs
    work = LayerAtWork.at(context, name, outputs, weights, step, x)

    def formula(inputs: Inputs) -> Array:
        batch = work.run(inputs).statistics[name][kind]
        momentum = inputs.part.running_momentum
        return np.asarray((1 - momentum) * before + momentum * batch)

    inputs = Inputs(context=context, part=work.node.layer)
    tolerance = _TOLERANCE[str(after.dtype)]
    target = Target(formula=formula, inputs=inputs, given=after, tolerance=tolerance)
    held = "held fixed: the batch does not move it", inputs.result(lambda _: before)
    words = "the batch moves it {0:.10g} times as far"
    farther = counts(inputs, words, target.right - before)
    # a momentum of zero would say the same in other words
    return target.best([held]) or target.looks_like(fits=[farther])
