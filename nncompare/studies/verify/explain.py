"""From failed checks to findings: the first cause in each runtime, and the known mistake that it looks like."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from nncompare.backends.base import Array
from nncompare.numerics.reference import FORWARD, Run
from nncompare.spec.layers import BatchNorm
from nncompare.spec.model import Node
from nncompare.store.result import ParityFinding
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.gates import Check
from nncompare.studies.verify.suspects import Scene, looks_like
from nncompare.studies.verify.suspects.losses import gradient_looks_like, loss_looks_like, running_looks_like
from nncompare.studies.verify.suspects.updates import update_looks_like
from nncompare.worker.observation import Observation

_CHAIN = ("round trip", "forward", "forward, training", "loss", "gradient")
"""Each follows from the one before: only the first of them is a cause."""
_OWN = ("update", "running statistics", "logits", "long pieces")
"""Judged from what the runtime itself gave, so that each is a cause of its own, unless the forward pass is wrong."""


def explain(context: Context, seen: Mapping[str, Observation], checks: Sequence[Check]) -> list[ParityFinding]:
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
        causes = list(_causes(own))
        if causes:
            explained.add(runtime)
        found += [_finding(context, seen, check) for check in causes]
    between = [c for c in failed if c.against in seen and c.runtime not in explained and c.against not in explained]
    return found + _parted(context, seen, between)


def _causes(failed: Sequence[Check]) -> Iterator[Check]:
    first = {check.quantity: check for check in reversed(failed)}
    chain = next((first[quantity] for quantity in _CHAIN if quantity in first), None)
    if chain is not None:
        yield chain
    if chain is None or chain.quantity in ("loss", "gradient"):
        running = first.get("running statistics")
        for quantity in _OWN:
            if quantity in first and not (quantity == "logits" and running):
                yield first[quantity]
    elif "update" in first:
        yield first["update"]


def _finding(context: Context, seen: Mapping[str, Observation], check: Check) -> ParityFinding:
    own = seen[check.runtime]
    match check.quantity:
        case "forward" | "forward, training":
            words = _layer(context, own, check)
        case "loss":
            words = _loss(context, own, check)
        case "gradient":
            return _gradient(context, seen, check)
        case "update":
            assert check.layer is not None
            words = update_looks_like(context, own, check.layer)
        case "running statistics":
            words = _running(context, own, check)
        case "long pieces":
            words = "pieces of several steps do not do what single steps do: a batch left out, repeated or out of order"
        case "logits":
            words = "inference mode after training does not use the weights and statistics that the runtime says it has"
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
        gate=check.gate,
        looks_like=words,
    )


def inputs_of(nodes: Sequence[Node], before: str | None = None) -> dict[str, str | None]:
    """Node name -> the node whose output it takes; None: the model's input."""
    found: dict[str, str | None] = {}
    for node in nodes:
        found[node.name] = before
        found |= inputs_of(node.children, before)
        found |= inputs_of(node.shortcut, before)
        before = node.name
    return found


def _layer(context: Context, seen: Observation, check: Check) -> str | None:
    assert check.layer is not None
    training = check.quantity == "forward, training"
    outputs = seen.training_outputs if training else seen.outputs
    return layer_looks_like(context, outputs, check.layer, training=training, tolerance=max(1e-9, 30 * check.gate))


def layer_looks_like(
    context: Context, outputs: Mapping[str, Array], name: str, *, training: bool, tolerance: float
) -> str | None:
    """What the node ``name`` did with the input that the runtime gave it, in words."""
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
    own = {item.name: context.probe[f"{name}.{item.name}"] for item in node.parameters}
    masks = context.masks(0) if training else None
    run = Run(params=context.probe, forward=FORWARD, training=training, masks=masks)
    return looks_like(Scene(node, own, x, given, run), tolerance)


def _residual(node: Node, outputs: Mapping[str, Array], x: Array) -> str | None:
    inner = outputs[node.children[-1].name]
    outer = outputs[node.shortcut[-1].name] if node.shortcut else x
    given = outputs[node.name]
    for words, made in (
        ("the input is not added to what the layers give", inner),
        ("the layers' output is not added", outer),
        ("the layers' output is subtracted", outer - inner),
        ("the sum is halved", (outer + inner) / 2),
        ("the input is added although there is a shortcut", x + inner if x.shape == inner.shape else inner),
    ):
        if made.shape == given.shape and np.allclose(made, given, rtol=1e-6, atol=1e-9):
            return words
    return None


def _loss(context: Context, seen: Observation, check: Check) -> str | None:
    if check.step is None:
        return loss_looks_like(context, float(seen.loss[""]), context.probe, context.plan.gradient_rows, 0)
    step = check.step - 1
    rows = context.plan.updates.rows(step)
    return loss_looks_like(context, float(seen.update_losses[""][step]), seen.update_weights[step], rows, step)


def _gradient(context: Context, seen: Mapping[str, Observation], check: Check) -> ParityFinding:
    """The tensor at fault is found next to a runtime whose gradient stands the test of differences."""
    own = seen[check.runtime].gradients
    for other, observation in seen.items():
        right = observation.gradients
        if other == check.runtime or not all(name in right and name in own for name in context.trained):
            continue
        words = gradient_looks_like(context, own, right)
        apart = {name: float(np.abs(own[name] - right[name]).max()) for name in context.trained}
        worst = max(apart, key=lambda name: apart[name])
        if apart[worst] > 0:
            layer = check.layer if check.layer in apart and words else worst
            return _as_finding(check, layer, words)
    return _as_finding(check, check.layer, None)


def _running(context: Context, seen: Observation, check: Check) -> str | None:
    assert check.layer is not None
    assert check.step is not None
    return statistic_looks_like(context, seen, check.layer, check.step - 1)


def statistic_looks_like(context: Context, seen: Observation, statistic: str, step: int) -> str | None:
    """What the runtime did to a running statistic in a checked update, in words."""
    name, _, kind = statistic.rpartition(".")
    node = next(node for node in context.model.walk() if node.name == name)
    assert isinstance(node.layer, BatchNorm)
    before, after = seen.update_weights[step], seen.update_weights[step + 1]
    right = context.new_running(before, step)[statistic]
    values = len(context.plan.updates.rows(step)) * (node.input.size // node.input.shape[-1])
    return running_looks_like(
        before[statistic], after[statistic], right, node.layer.momentum, kind == "running_variance", values
    )


def _parted(context: Context, seen: Mapping[str, Observation], failed: Sequence[Check]) -> list[ParityFinding]:
    """Runtimes that part from each other although each stands before the formulas: the odd one out of three or more,
    else the later of the pair, at the first step and tensor where it happens."""
    if not failed:
        return []
    counts = {runtime: sum(runtime in (c.runtime, c.against) for c in failed) for runtime in seen}
    odd = max(counts, key=lambda runtime: counts[runtime])
    first = min((c for c in failed if odd in (c.runtime, c.against)), key=lambda c: (c.step or 0, -c.severity))
    other = first.against if first.runtime == odd else first.runtime
    words = f"parts from {other}" if len(seen) > 2 else f"{odd} and {other} part; which of them is wrong is not known"
    if first.step is not None:
        words += f" at step {first.step}"
        plan = context.plan.trajectory
        if first.step % plan.steps_per_epoch == 0 and plan.examples % plan.batch_size:
            words += ", the smaller last batch of an epoch: left out, or weighed as a full one?"
        elif first.step % plan.steps_per_epoch == 1 and first.step > 1:
            words += ", the first of an epoch: another order of the examples, or a state that starts anew?"
    blamed = Check(**{**vars(first), "runtime": odd})
    return [_as_finding(blamed, first.layer, words)]
