"""One runtime in float32, by the formulas and by what it did itself in float64.

The floor between runtimes (``floor``) cannot tell an error that a runtime makes in float32 alone:
such an error widens its own floor. These checks can; their gates are fixed, and as wide as rounding
asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import updates
from nncompare.studies.verify import gates
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.gates import Check, relative
from nncompare.studies.verify.judge import Judge
from nncompare.wire.observation import Observation

_EPSILON = float(np.finfo(np.float32).eps)
_LOG_ONE = 4.0
"""Roundings of a logarithm near zero, of the sum in it and of their mean."""


def by_formula(context: Context, runtime: str, seen: Observation) -> Iterator[Check]:
    """Loading, every layer, losses, updates, running statistics and evaluation of one float32
    runtime.
    """
    judge = Judge(context)
    yield from judge.at_probe(runtime, seen)
    for check in judge.running(runtime, seen):
        yield replace(check, gate=gates.RUNNING_FLOAT32)
    for check in judge.after_updates(runtime, seen):
        yield replace(check, gate=gates.LATER_FLOAT32)
    for check in judge.known_losses(runtime, seen):
        yield replace(check, gate=_loss_gate(seen, check))
    for check in judge.logits(runtime, seen):
        yield replace(check, gate=gates.LATER_FLOAT32)
    yield from judge.loaded(runtime, seen)
    yield from judge.dropout(runtime, seen)
    yield from _updates(context, runtime, seen)


def _loss_gate(seen: Observation, check: Check) -> float:
    """Of a training loss: relative, but no less than the rounding of ``log 1``, which is all that
    is left of the cross entropy of a net that has learned its examples by heart, and of the logits,
    where these are smaller.
    """
    assert check.step is not None
    losses = seen.losses[""]
    size = float(gates.loss_size(float(losses[check.step - 1]), float(losses[0])))
    return max(gates.LATER_FLOAT32, _EPSILON * min(_LOG_ONE, gates.scale(seen.logits[""])) / size)


def _updates(context: Context, runtime: str, seen: Observation) -> Iterator[Check]:
    """Every checked update, where its gradient is more than rounding."""
    train, plan, state = context.job.experiment.train, context.plan, updates.State()
    sure = {name: np.ones(seen.update_weights[0][name].shape, bool) for name in context.trained}
    for step in range(plan.update_steps):
        before, after, slope = (
            seen.update_weights[step],
            seen.update_weights[step + 1],
            seen.update_gradients[step],
        )
        rate = float(plan.updates.learning_rate[step])
        expected, state = updates.step(train.optimizer, state, before, slope, rate, train.clip_norm)
        largest = max(
            (gates.scale(slope[name]) for name in slope if slope[name].any()), default=1.0
        )
        for name in context.trained:
            g = np.abs(slope[name])
            sure[name] &= g > max(1e-3 * float(g.max(initial=0.0)), 1e-5 * largest)
            w, made = before[name].astype(np.float64), expected[name]
            # the weight itself is rounded, to one unit in its last place
            room = np.maximum(np.abs(w), np.abs(made)) * _EPSILON
            moved = _worst(np.abs(made - w), sure[name])
            apart = _worst(np.maximum(np.abs(after[name] - made) - room, 0.0), sure[name])
            yield Check(
                runtime=runtime,
                against="formula",
                quantity="update",
                layer=name,
                dtype="float32",
                worst=apart,
                gate=gates.UPDATE_FLOAT32 * moved,
                step=step + 1,
            )


def _worst(values: Array, where: Array) -> float:
    return float(values[where].max(initial=0.0))


def gradients(
    context: Context, single: Mapping[str, Observation], double: Mapping[str, Observation]
) -> Iterator[Check]:
    """How far a runtime's float32 gradient lies from its own in float64, next to the same of the
    others.

    A tensor counts with at least a thousandth of the whole gradient's size.
    """
    names = [runtime for runtime in single if runtime in double]
    floors = {
        runtime: _floors(context, single[runtime].gradients, double[runtime].gradients)
        for runtime in names
    }
    for runtime in names:
        for name in context.trained:
            others = max((floors[other][name] for other in names if other != runtime), default=0.0)
            yield Check(
                runtime=runtime,
                against="itself",
                quantity="gradient",
                layer=name,
                dtype="float32",
                worst=floors[runtime][name],
                gate=max(gates.GRADIENT_FLOAT32, gates.OUTLIER * others),
            )


def _floors(context: Context, narrow: Params, wide: Params) -> dict[str, float]:
    largest = max((gates.scale(value) for value in wide.values() if value.any()), default=1.0)
    found = {}
    for name in context.trained:
        size = max(gates.scale(wide[name]) if wide[name].any() else 0.0, 1e-3 * largest)
        apart = relative(narrow.get(name), wide[name])
        found[name] = apart * gates.scale(wide[name]) / size
    return found
