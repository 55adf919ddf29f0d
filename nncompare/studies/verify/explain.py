"""From failed checks to findings: the first cause in each runtime, and the known mistake that it
looks like.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import reference
from nncompare.numerics.parity import inputs_of
from nncompare.numerics.reference import FORWARD, Run
from nncompare.spec.layers.normalization import BatchNorm
from nncompare.spec.model import Node
from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.distance import relative
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.first_divergence import first_divergence
from nncompare.studies.verify.record import ParityFinding
from nncompare.studies.verify.root_causes import root_causes
from nncompare.studies.verify.suspects import Scene, looks_like
from nncompare.studies.verify.suspects.constants import Point
from nncompare.studies.verify.suspects.gradients import gradient_place
from nncompare.studies.verify.suspects.losses import loss_looks_like
from nncompare.studies.verify.suspects.pieces import (
    dropout_looks_like,
    logits_look_like,
    long_pieces_look_like,
    piece_loss_looks_like,
)
from nncompare.studies.verify.suspects.running import running_looks_like
from nncompare.studies.verify.suspects.updates import update_looks_like
from nncompare.wire.observation import Observation


def explain(
    context: Context, seen: Mapping[str, Observation], checks: Sequence[Check]
) -> list[ParityFinding]:
    """Findings of one dtype, in the order of runtimes.

    Args:
        context: experiment and examples.
        seen: what every runtime did.
        checks: all checks of this dtype, in their order.
    """
    failed = [check for check in checks if not check.passed]
    found: list[ParityFinding] = []
    explained: set[str] = set()
    for runtime in seen:
        own = [check for check in failed if check.runtime == runtime and check.against not in seen]
        findings = [_finding(context, seen, check) for check in root_causes(own)]
        if findings:
            explained.add(runtime)
        found += _without_echoes(findings)
    between = [
        c
        for c in failed
        if c.against in seen and c.runtime not in explained and c.against not in explained
    ]
    odd = first_divergence(context, seen, between)
    return found if odd is None else [*found, _as_finding(odd[0], odd[0].layer, odd[1])]


def _without_echoes(findings: list[ParityFinding]) -> list[ParityFinding]:
    """An explained loss of the training loop makes an update that nothing explains, in the same
    step or a later one.
    """
    losses = [f for f in findings if f.quantity == "loss" and f.step is not None and f.looks_like]
    if not losses:
        return findings
    begin = losses[0].step or 0
    return [
        f
        for f in findings
        if f in losses
        or f.looks_like is not None
        or f.quantity not in ("update", "running statistics")
        or (f.step or 0) < begin
    ]


def _finding(context: Context, seen: Mapping[str, Observation], check: Check) -> ParityFinding:
    own = seen[check.runtime]
    match check.quantity:
        case "forward" | "forward, training" | "forward after updates":
            words = _layer(context, own, check)
        case "loss" | "loss, every step":
            words = _loss(context, own, check)
        case "gradient":
            return _gradient(context, seen, check)
        case "update":
            assert check.layer is not None
            words = update_looks_like(
                context, own, check.layer, tolerance=1e-9 if context.dtype == "float64" else 1e-4
            )
        case "running statistics":
            words = _running(context, own, check)
        case "update after load":
            words = (
                "the optimizer's state: the weights are loaded, but it goes on from an earlier"
                " training"
            )
        case "long pieces":
            words = long_pieces_look_like(context, own)
        case "loss of long pieces":
            words = piece_loss_looks_like(context, own, check)
        case "logits":
            assert check.step is not None
            words = logits_look_like(context, own, check.step)
        case "dropout, values" | "dropout, share kept":
            words = dropout_looks_like(context, own, check)
        case "round trip":
            words = "weights come back changed: they are not stored, or not where their layout says"
        case _:
            words = None
    return _as_finding(check, check.layer, words)


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


def _layer(context: Context, seen: Observation, check: Check) -> str | None:
    assert check.layer is not None
    training, tolerance = check.quantity == "forward, training", max(1e-9, 30 * check.tolerance)
    if check.quantity == "forward after updates":
        last = seen.update_weights[context.plan.update_steps]
        hidden = hidden_number(context, seen.update_outputs, check.layer, last, tolerance)
        return hidden or layer_looks_like(
            context,
            seen.update_outputs,
            check.layer,
            training=False,
            tolerance=tolerance,
            params=last,
        )
    outputs = seen.training_outputs if training else seen.outputs
    words = layer_looks_like(context, outputs, check.layer, training=training, tolerance=tolerance)
    kind = next(node.layer.type for node in context.model.walk() if node.name == check.layer)
    if training and words is None and kind not in ("dropout", "batch_norm"):
        return "it is right in inference mode, and should not differ in training mode"
    return words


def hidden_number(
    context: Context, outputs: Params, name: str, params: Params, tolerance: float
) -> str | None:
    """A number that is trained although it is no parameter: it moves as the parameter beside it
    does.
    """
    node = next(node for node in context.model.walk() if node.name == name)
    for item in node.parameters:
        full = f"{name}.{item.name}"
        moved = {**params, full: 2 * params[full] - context.probe[full]}
        made = reference.outputs(context.model, moved, context.x)[name]
        if name in outputs and relative(outputs[name], made) <= tolerance:
            return f"a second {item.name} is trained, too, which is not among the parameters"
    return None


def layer_looks_like(
    context: Context,
    outputs: Mapping[str, Array],
    name: str,
    *,
    training: bool,
    tolerance: float,
    params: Params | None = None,
) -> str | None:
    """What the node ``name`` did with the input that the runtime gave it, in words; at ``params``,
    or else at the probe weights.
    """
    params = context.probe if params is None else params
    node = next(node for node in context.model.walk() if node.name == name)
    if name not in outputs:
        return "the layer gave no output"
    before = inputs_of(context.model.nodes)[name]
    x = context.x if before is None else outputs.get(before, context.x)
    given = outputs[name]
    if given.shape[1:] != node.output.shape:
        return f"the output has shape {given.shape[1:]} in place of {node.output.shape}"
    if node.children:
        return _residual(node, outputs, x)
    own = {item.name: params[f"{name}.{item.name}"] for item in node.parameters}
    masks = context.masks(0) if training else None
    run = Run(params=params, forward=FORWARD, training=training, masks=masks)
    return looks_like(Scene(node, own, x, given, run), tolerance)


def _residual(node: Node, outputs: Mapping[str, Array], x: Array) -> str | None:
    if any(inside.name not in outputs for inside in (*node.children, *node.shortcut)):
        return "a layer inside gave no output: it is left out"
    inner = outputs[node.children[-1].name]
    outer = outputs[node.shortcut[-1].name] if node.shortcut else x
    given = outputs[node.name]
    parts = [("input" if not node.shortcut else "shortcut", outer), ("layers", inner)]
    if node.shortcut and x.shape == inner.shape:
        parts.append(("input itself", x))
    if any(part.shape != given.shape for _, part in parts):
        return None
    columns = np.stack([np.asarray(part, np.float64).ravel() for _, part in parts], axis=1)
    shares = np.linalg.lstsq(columns, np.asarray(given, np.float64).ravel(), rcond=None)[0].round(
        12
    )
    if relative((columns @ shares).reshape(given.shape), np.asarray(given)) > 1e-6:
        return None
    if np.allclose(shares[:2], [0, 1], atol=1e-6) and not shares[2:].any():
        return "the input is not added to what the layers give"
    if np.allclose(shares[:2], [1, 0], atol=1e-6):
        return "the layers' output is not added"
    told = [
        f"the {name} {share:.10g} times" for (name, _), share in zip(parts, shares, strict=True)
    ]
    return f"the sum counts {' and '.join(told)}"


def _loss(context: Context, seen: Observation, check: Check) -> str | None:
    if check.step is None:
        probe, rows = context.probe, context.plan.gradient_rows
        return loss_looks_like(
            context, float(seen.loss[""]), probe, rows, 0, points=_points(context, seen)
        )
    step, plan = check.step - 1, context.plan.updates
    given, params, points = seen.update_losses[""], seen.update_weights, _points(context, seen)
    if check.quantity == "loss, every step":
        plan, given, params, points = context.plan.trajectory, seen.losses[""], seen.checkpoints, []
    return loss_looks_like(
        context, float(given[step]), params[step], plan.rows(step), step, plan, points
    )


def _points(context: Context, seen: Observation) -> list[Point]:
    """The losses of the checked updates, and the one at the probe weights."""
    plan, found = context.plan, []
    if "" in seen.loss:
        found.append(Point(float(seen.loss[""]), context.probe, plan.gradient_rows, 0))
    for step, given in enumerate(seen.update_losses.get("", ())):
        found.append(Point(float(given), seen.update_weights[step], plan.updates.rows(step), step))
    return found


def _gradient(context: Context, seen: Mapping[str, Observation], check: Check) -> ParityFinding:
    """The tensor at fault is found next to a runtime whose gradient stands the test of
    differences.
    """
    own = seen[check.runtime].gradients
    if missing := [name for name in context.trained if name not in own]:
        return _as_finding(check, missing[0], "it has no gradient: it is not trained")
    for other, observation in seen.items():
        right = observation.gradients
        if other == check.runtime or any(name not in right for name in context.trained):
            continue
        if not context.stands(right):
            continue
        layer, words = gradient_place(context, own, right)
        if layer or words:
            return _as_finding(check, layer, words)
    return _as_finding(check, check.layer, None)


def _running(context: Context, seen: Observation, check: Check) -> str | None:
    assert check.layer is not None
    assert check.step is not None
    return statistic_looks_like(context, seen, check.layer, check.step - 1)


def statistic_looks_like(
    context: Context, seen: Observation, statistic: str, step: int
) -> str | None:
    """What the runtime did to a running statistic in a checked update, in words."""
    name, _, kind = statistic.rpartition(".")
    node = next(node for node in context.model.walk() if node.name == name)
    assert isinstance(node.layer, BatchNorm)
    before, after = seen.update_weights[step], seen.update_weights[step + 1]
    right = context.new_running(before, step)[statistic]
    values = len(context.plan.updates.rows(step)) * (node.input.size // node.input.shape[-1])
    return running_looks_like(
        before[statistic],
        after[statistic],
        right,
        node.layer.momentum,
        kind == "running_variance",
        values,
    )
