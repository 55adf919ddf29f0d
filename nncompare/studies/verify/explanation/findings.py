"""From failed checks to findings: the first cause in each runtime, and what it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.evaluation import dropout_looks_like, logits_look_like
from nncompare.studies.verify.explanation.first_divergence import first_divergence
from nncompare.studies.verify.explanation.gradient import gradient_place
from nncompare.studies.verify.explanation.layer import hidden_number, layer_looks_like
from nncompare.studies.verify.explanation.loss import loss_looks_like
from nncompare.studies.verify.explanation.pieces import first_wrong_piece
from nncompare.studies.verify.explanation.root_causes import root_causes
from nncompare.studies.verify.explanation.running import statistic_looks_like
from nncompare.studies.verify.explanation.update import update_looks_like
from nncompare.studies.verify.record import ParityFinding
from nncompare.wire.observation import Observation

_MEANINGS = {
    Quantity.ROUND_TRIP: (
        "weights come back changed: they are not stored, or not where their layout says"
    ),
    Quantity.UPDATE_AFTER_LOAD: (
        "the optimizer's state: the weights are loaded, but it goes on from an earlier training"
    ),
}
"""Quantities of which a failed check alone says what is wrong."""
_UPDATE_TOLERANCE = {"float64": 1e-9, "float32": 1e-4}


def explain(
    context: Context, observations: Mapping[str, Observation], checks: Sequence[Check]
) -> list[ParityFinding]:
    """Findings of one dtype, in the order of runtimes.

    Args:
        context: experiment and examples.
        observations: runtime -> what it did.
        checks: all checks of this dtype, in their order.
    """
    failed = [check for check in checks if not check.passed]
    found: list[ParityFinding] = []
    explained: set[str] = set()
    for runtime in observations:
        own = [c for c in failed if c.runtime == runtime and not c.between_runtimes]
        findings = [_finding(context, observations, check) for check in root_causes(own)]
        if findings:
            explained.add(runtime)
        found += _without_echoes(findings)
    # that a wrong runtime parts from the others is no news
    between = [
        c
        for c in failed
        if c.between_runtimes and c.runtime not in explained and c.against not in explained
    ]
    odd = first_divergence(context, observations, between)
    if odd is not None:
        check, words = odd
        found.append(_as_finding(check, check.layer, words))
    return found


def _without_echoes(findings: list[ParityFinding]) -> list[ParityFinding]:
    """An explained loss of the training loop makes an update that nothing explains, in the same
    step or a later one.
    """
    losses = [
        finding
        for finding in findings
        if finding.quantity == Quantity.LOSS and finding.step is not None and finding.looks_like
    ]
    if not losses:
        return findings
    begin = losses[0].step or 0
    follows = (Quantity.UPDATE, Quantity.RUNNING_STATISTICS)
    return [
        finding
        for finding in findings
        if finding.looks_like is not None
        or finding.quantity not in follows
        or (finding.step or 0) < begin
    ]


def _finding(
    context: Context, observations: Mapping[str, Observation], check: Check
) -> ParityFinding:
    own = observations[check.runtime]
    if check.quantity == Quantity.GRADIENT:
        # the only quantity whose check does not name the place
        return _gradient(context, observations, check)
    return _as_finding(check, check.layer, _words(context, own, check))


def _words(context: Context, own: Observation, check: Check) -> str | None:
    """What a failed check looks like."""
    match check.quantity:
        case Quantity.FORWARD | Quantity.FORWARD_TRAINING:
            training = check.quantity == Quantity.FORWARD_TRAINING
            outputs = own.training_outputs if training else own.outputs
            return layer_looks_like(
                context,
                outputs,
                check.layer or "",
                training=training,
                tolerance=_layer_tolerance(check),
            )
        case Quantity.FORWARD_AFTER_UPDATES:
            return _after_updates(context, own, check)
        case Quantity.LOSS | Quantity.LOSS_EVERY_STEP:
            return loss_looks_like(context, own, check)
        case Quantity.UPDATE:
            tolerance = _UPDATE_TOLERANCE[context.dtype]
            return update_looks_like(context, own, check.layer or "", tolerance)
        case Quantity.RUNNING_STATISTICS:
            assert check.step is not None
            return statistic_looks_like(context, own, check.layer or "", check.step - 1)
        case Quantity.LOGITS:
            assert check.step is not None
            return logits_look_like(context, own, check.step)
        case Quantity.LONG_PIECES:
            return first_wrong_piece(context, own)
        case Quantity.DROPOUT_VALUES | Quantity.DROPOUT_SHARE_KEPT:
            return dropout_looks_like(context, own, check)
        case _:
            return _MEANINGS.get(check.quantity)


def _after_updates(context: Context, own: Observation, check: Check) -> str | None:
    """A layer at the weights after the checked updates: a number that ``params`` does not show."""
    name = check.layer or ""
    last = own.update_weights[context.plan.update_steps]
    tolerance = _layer_tolerance(check)
    hidden = hidden_number(context, own.update_outputs, name, last, tolerance)
    return hidden or layer_looks_like(
        context, own.update_outputs, name, training=False, tolerance=tolerance, params=last
    )


def _layer_tolerance(check: Check) -> float:
    return max(1e-9, 30 * check.tolerance)


def _gradient(
    context: Context, observations: Mapping[str, Observation], check: Check
) -> ParityFinding:
    """The tensor at fault is found next to a runtime whose gradient stands the test of
    differences.
    """
    own = observations[check.runtime].gradients
    missing = [name for name in context.trained if name not in own]
    if missing:
        return _as_finding(check, missing[0], "it has no gradient: it is not trained")
    for other, observation in observations.items():
        right = observation.gradients
        whole = all(name in right for name in context.trained)
        if other == check.runtime or not whole or not context.stands(right):
            continue
        layer, words = gradient_place(context, own, right)
        if layer or words:
            return _as_finding(check, layer, words)
    return _as_finding(check, check.layer, None)


def _as_finding(check: Check, layer: str | None, words: str | None) -> ParityFinding:
    return ParityFinding(
        runtime=check.runtime,
        quantity=check.quantity,
        layer=layer,
        step=check.step,
        dtype=check.dtype,
        worst=check.worst if np.isfinite(check.worst) else None,
        gate=check.tolerance,
        looks_like=words,
    )
