"""What a framework's own defaults change: one runtime natively, against itself in the aligned form.

Both forms start from the same weights and see the same batches, so that what differs comes from
layers and optimizer alone; what the frameworks' own initial weights change is told by
``compare-conventions``, which trains with them. Nothing here is right or wrong: whether a framework
does what its backend declares is for the certificate to say (``native``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import updates
from nncompare.numerics.parity import inputs_of
from nncompare.numerics.reference import FORWARD, Run
from nncompare.spec.model import Node
from nncompare.studies.verify.checks.dead import SHARE, dead_tensors
from nncompare.studies.verify.checks.distance import absolute, relative, scale
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.layer import hidden_number, layer_looks_like
from nncompare.studies.verify.explanation.running import statistic_looks_like
from nncompare.studies.verify.explanation.update import update_looks_like
from nncompare.studies.verify.record import Change
from nncompare.wire.observation import Observation

_WORTH_TELLING = 1e-9
"""Relative size from which a layer or an update counts as another one; rounding stays far below."""


def changes(
    context: Context, runtime: str, native: Observation, aligned: Observation
) -> Iterator[Change]:
    """What the defaults of one runtime change, in the order of cause and effect.

    Args:
        context: of the aligned form.
        native, aligned: what the runtime did in both.
    """
    yield from _layers(context, runtime, native)
    hidden = list(_hidden(context, runtime, native))
    yield from hidden
    yield from _running(context, runtime, native, known=not hidden)
    gradients = [seen.gradients for seen in (native, aligned)] + list(
        aligned.update_gradients.values()
    )
    live = [
        name
        for name in context.trained
        if name not in dead_tensors(context, gradients, SHARE["float64"])
    ]
    yield from _updates(context, runtime, native, live)
    last = context.plan.checkpoints[-1]
    first_weights, last_weights = (
        _apart(native.checkpoints[mark], aligned.checkpoints[mark], context.trained)
        for mark in (1, last)
    )
    losses, right = native.losses[""], aligned.losses[""]
    yield Change(
        runtime=runtime,
        quantity="training loss",
        layer=None,
        at_start=_finite(relative(losses[:1], right[:1])),
        at_end=_finite(abs(float(losses[-1] - right[-1])) / (abs(float(right[-1])) or 1.0)),
        unit="relative",
    )
    yield Change(
        runtime=runtime,
        quantity="weights",
        layer=None,
        at_start=_finite(first_weights),
        at_end=_finite(last_weights),
        unit="absolute",
    )
    yield Change(
        runtime=runtime,
        quantity="evaluation logits",
        layer=None,
        at_start=None,
        at_end=_finite(relative(native.logits[""], aligned.logits[""])),
        unit="relative",
    )


def _layers(context: Context, runtime: str, native: Observation) -> Iterator[Change]:
    """Every layer that does something else with the input that it is given."""
    before = inputs_of(context.model.nodes)
    for node in context.model.walk():
        if node.children:
            continue
        sizes = {
            training: _local(
                context, node, outputs, before[node.name], context.probe, training=training
            )
            for training, outputs in ((False, native.outputs), (True, native.training_outputs))
        }
        training = sizes[True] > sizes[False]
        if sizes[training] > _WORTH_TELLING:
            outputs = native.training_outputs if training else native.outputs
            yield Change(
                runtime=runtime,
                quantity="layer, training" if training else "layer",
                layer=node.name,
                at_start=_finite(sizes[training]),
                at_end=None,
                unit="relative",
                looks_like=layer_looks_like(
                    context, outputs, node.name, training=training, tolerance=1e-6
                )
                or ("a constant rounded to float32" if sizes[training] < 1e-6 else None),
            )


def _hidden(context: Context, runtime: str, native: Observation) -> Iterator[Change]:
    """Every layer that follows its formula at the weights that were loaded, and no longer after the
    checked updates at the weights of the aligned form: it trains a number that this form does not
    have.
    """
    before, last = inputs_of(context.model.nodes), native.update_weights[context.plan.update_steps]
    for node in context.model.walk():
        if node.children or not node.parameters:
            continue
        first = _local(
            context, node, native.outputs, before[node.name], context.probe, training=False
        )
        later = _local(
            context, node, native.update_outputs, before[node.name], last, training=False
        )
        if first <= _WORTH_TELLING < later:
            yield Change(
                runtime=runtime,
                quantity="layer, after updates",
                layer=node.name,
                at_start=_finite(first),
                at_end=_finite(later),
                unit="relative",
                looks_like=_added(context, node, last)
                or hidden_number(context, native.update_outputs, node.name, last, 1e-6)
                or "a number that the aligned form does not have is trained, too",
            )


def _added(context: Context, node: Node, params: Params) -> str | None:
    """The parameters of a layer that its aligned form does not have."""
    names = [
        name
        for name in params
        if name.startswith(f"{node.name}.") and name not in context.model.parameters
    ]
    short = " and ".join(name.partition(".")[2].replace("_", " ") for name in names)
    return f"its {short}, which the aligned form does not have, is trained, too" if names else None


def _local(
    context: Context,
    node: Node,
    outputs: Mapping[str, Array],
    before: str | None,
    params: Params,
    *,
    training: bool,
) -> float:
    """The layer's own difference: its formula on the input that the runtime gave it, against its
    output.
    """
    x = context.x if before is None else outputs[before]
    own = {item.name: params[f"{node.name}.{item.name}"] for item in node.parameters}
    masks: Callable[[str, tuple[int, ...]], Array] | None = context.masks(0) if training else None
    run = Run(params=params, forward=FORWARD, training=training, masks=masks)
    made = FORWARD[node.layer.type](
        node, own, x if x.dtype.kind in "iu" else np.asarray(x, np.float64), run
    )
    return relative(outputs[node.name], made)


def _running(
    context: Context, runtime: str, native: Observation, *, known: bool
) -> Iterator[Change]:
    """Running statistics: their formula on the runtime's own weights, in the first checked update
    and the last; in the first alone where the later weights are not ``known``.
    """
    for name in context.running:
        sizes = []
        for step in (0, context.plan.update_steps - 1) if known else (0,):
            right = context.new_running(native.update_weights[step], step)[name]
            sizes.append(relative(native.update_weights[step + 1][name], right))
        if max(sizes) > _WORTH_TELLING:
            yield Change(
                runtime=runtime,
                quantity="running statistics",
                layer=name,
                at_start=_finite(sizes[0]),
                at_end=_finite(sizes[1]) if known else None,
                unit="relative",
                looks_like=statistic_looks_like(context, native, name, 0),
            )


def _updates(
    context: Context, runtime: str, native: Observation, live: list[str]
) -> Iterator[Change]:
    """The optimizer, on tensors that have a gradient: its formula on the runtime's own gradients,
    against what the runtime made of its weights.
    """
    train, plan, state = context.job.experiment.train, context.plan, updates.State()
    sizes: list[tuple[float, str]] = []
    for step in range(plan.update_steps):
        before, slope = native.update_weights[step], native.update_gradients[step]
        known = {name: slope[name] for name in context.trained if name in slope}
        rate = float(plan.updates.learning_rate[step])
        expected, state = updates.step(train.optimizer, state, before, known, rate, train.clip_norm)
        after = native.update_weights[step + 1]
        sizes.append(
            max(
                (absolute(after[name], expected[name]) / scale(expected[name] - before[name]), name)
                for name in live
            )
        )
    if max(sizes)[0] <= _WORTH_TELLING:
        return
    name = max(sizes)[1]
    yield Change(
        runtime=runtime,
        quantity=f"update by {train.optimizer.name}",
        layer=name,
        at_start=_finite(sizes[0][0]),
        at_end=_finite(sizes[-1][0]),
        unit="relative",
        # several small differences add up here; the largest is worth naming
        looks_like=update_looks_like(context, native, name, tolerance=1e-3),
    )


def _apart(a: Params, b: Params, names: list[str]) -> float:
    return max((absolute(a.get(name), b[name]) for name in names), default=0.0)


def _finite(size: float) -> float | None:
    return float(size) if np.isfinite(size) else None
