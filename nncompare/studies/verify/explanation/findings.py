"""From failed checks to findings: the first cause in each runtime, and what it looks like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.quantity import Quantity
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.changed import Inputs, meanings
from nncompare.studies.verify.explanation.evaluation import dropout_looks_like, logits_look_like
from nncompare.studies.verify.explanation.first_divergence import first_divergence
from nncompare.studies.verify.explanation.gradient import gradient_place
from nncompare.studies.verify.explanation.layer import layer_looks_like
from nncompare.studies.verify.explanation.loss import loss_looks_like
from nncompare.studies.verify.explanation.pieces import first_wrong_piece
from nncompare.studies.verify.explanation.root_causes import root_causes
from nncompare.studies.verify.explanation.running import statistic_looks_like
from nncompare.studies.verify.explanation.update import update_looks_like
from nncompare.studies.verify.record import ParityFinding
from nncompare.wire.observation import Observation

_UPDATE_TOLERANCE = {"float64": 1e-9, "float32": 1e-4}


def explain(
    context: Context, observations: Mapping[str, Observation], checks: Sequence[Check]
) -> list[ParityFinding]:
    """Findings of one dtype, in the order of runtimes.

    Args:
        context: experiment and examples; in the native convention with what the one runtime's
            backend declares.
        observations: runtime -> what it did.
        checks: all checks of this dtype, in their order.
    """
    failed = [check for check in checks if not check.passed]
    found: list[ParityFinding] = []
    explained: set[str] = set()
    for runtime, observation in observations.items():
        own = [c for c in failed if c.runtime == runtime and not c.between_runtimes]
        findings = [_finding(context, observation, check, own) for check in root_causes(own)]
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
    begin = np.inf
    kept = []
    for finding in findings:
        follows = finding.quantity in (Quantity.UPDATE, Quantity.RUNNING_STATISTICS)
        step = finding.step or 0
        if finding.looks_like or not follows or step < begin:
            kept.append(finding)
        # causes come in their order: the loss of the training loop before what follows from it
        if finding.quantity == Quantity.LOSS and finding.step and finding.looks_like:
            begin = step
    return kept


def _finding(
    context: Context, own: Observation, check: Check, failed: list[Check]
) -> ParityFinding:
    if check.quantity != Quantity.GRADIENT:
        return _as_finding(check, check.layer, _words(context, own, check))
    # the only quantity whose check does not name the place
    along = [one.layer for one in failed if one.quantity == Quantity.GRADIENT]
    layer, words = gradient_place(context, own.gradients, along)
    return _as_finding(check, layer if words else check.layer, words)


def _words(context: Context, own: Observation, check: Check) -> str | None:
    """What a failed check looks like."""
    name = check.layer or ""
    # a layer's rounding adds up over the values that it sums
    tolerance = max(1e-9, 30 * check.tolerance)
    match check.quantity:
        case Quantity.ROUND_TRIP:
            return _round_trip(context, name)
        case Quantity.FORWARD:
            return layer_looks_like(
                context, own.outputs, name, context.probe, training=False, tolerance=tolerance
            )
        case Quantity.FORWARD_TRAINING:
            outputs = own.training_outputs
            return layer_looks_like(
                context, outputs, name, context.probe, training=True, tolerance=tolerance
            )
        case Quantity.FORWARD_AFTER_UPDATES:
            outputs, last = own.update_outputs, own.update_weights[context.plan.update_steps]
            return layer_looks_like(
                context, outputs, name, last, training=False, tolerance=tolerance
            )
        case Quantity.LOSS | Quantity.LOSS_EVERY_STEP:
            return loss_looks_like(context, own, check)
        case Quantity.UPDATE:
            return update_looks_like(context, own, name, _UPDATE_TOLERANCE[context.dtype])
        case Quantity.UPDATE_AFTER_LOAD:
            return (
                "the optimizer's state: the weights are loaded, but it goes on from an earlier"
                " training"
            )
        case Quantity.RUNNING_STATISTICS:
            return statistic_looks_like(context, own, name, (check.step or 1) - 1)
        case Quantity.LOGITS:
            return logits_look_like(context, own, check.step or 0)
        case Quantity.LONG_PIECES:
            return first_wrong_piece(context, own)
        case Quantity.DROPOUT_VALUES | Quantity.DROPOUT_SHARE_KEPT:
            return dropout_looks_like(context, own, check)
        case _:
            return None


def _round_trip(context: Context, name: str) -> str:
    """Another meaning may have a parameter more."""
    for words, other in meanings(Inputs(context=context)):
        if (name in other.context.added) != (name in context.added):
            return words
    return "weights come back changed: they are not stored, or not where their layout says"


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
