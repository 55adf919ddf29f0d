"""What a framework's own defaults change: one runtime natively, against itself in the aligned form.

Both forms start from the same weights and see the same batches, so that what differs comes from
layers and optimizer alone; what the frameworks' own initial weights change is told by
``compare-conventions``, which trains with them. Nothing here is right or wrong: whether a framework
does what its backend declares is for the certificate to say (``native``).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nncompare.backends.base import Params
from nncompare.spec.model import Node
from nncompare.studies.verify.checks.dead import SHARE, dead_tensors
from nncompare.studies.verify.checks.distance import absolute, relative, scale
from nncompare.studies.verify.checks.quantity import Unit
from nncompare.studies.verify.checks.update import checked_steps
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.layer import LayerAtWork, hidden, looks_like
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
    trained = list(_hidden(context, runtime, native))
    yield from trained
    yield from _running(context, runtime, native, known=not trained)
    yield from _updates(context, runtime, native, aligned)
    last = context.plan.checkpoints[-1]
    first_weights, last_weights = (
        _apart(native.checkpoints[mark], aligned.checkpoints[mark], context.trained)
        for mark in (1, last)
    )
    losses, right = native.losses[""], aligned.losses[""]
    first_loss, last_loss = (relative(losses[one], right[one]) for one in (np.s_[:1], np.s_[-1:]))
    logits = relative(native.logits[""], aligned.logits[""])
    yield _change(runtime, "training loss", None, first_loss, last_loss)
    yield _change(runtime, "weights", None, first_weights, last_weights, unit="absolute")
    yield _change(runtime, "evaluation logits", None, None, logits)


def _change(
    runtime: str,
    quantity: str,
    layer: str | None,
    at_start: float | None,
    at_end: float | None,
    looks_like: str | None = None,
    unit: Unit = "relative",
) -> Change:
    """One change; what is not finite has no figure."""
    start, end = (
        None if size is None or not np.isfinite(size) else float(size)
        for size in (at_start, at_end)
    )
    return Change(
        runtime=runtime,
        quantity=quantity,
        layer=layer,
        at_start=start,
        at_end=end,
        unit=unit,
        looks_like=looks_like,
    )


def _layers(context: Context, runtime: str, native: Observation) -> Iterator[Change]:
    """Every layer that does something else with the input that it is given."""
    for node in context.model.walk():
        if node.children:
            continue
        found = []
        for outputs, training in ((native.outputs, False), (native.training_outputs, True)):
            work = LayerAtWork.at(context, node.name, outputs, context.probe)
            found.append((work, work.target(context, outputs[node.name], training=training)))
        work, target = max(found, key=lambda one: one[1].deviation)
        if target.deviation > _WORTH_TELLING:
            words = looks_like(work, target)
            if words is None and target.deviation < 1e-6:
                words = "a constant rounded to float32"
            quantity = "layer, training" if target.inputs.training else "layer"
            yield _change(runtime, quantity, node.name, target.deviation, None, words)


def _hidden(context: Context, runtime: str, native: Observation) -> Iterator[Change]:
    """Every layer that follows its formula at the weights that were loaded, and no longer after the
    checked updates at the weights of the aligned form: it trains a number that this form does not
    have.
    """
    last = native.update_weights[context.plan.update_steps]
    for node in context.model.walk():
        if node.children or not node.parameters:
            continue
        found = []
        for outputs, params in ((native.outputs, context.probe), (native.update_outputs, last)):
            work = LayerAtWork.at(context, node.name, outputs, params)
            found.append(work.target(context, outputs[node.name], training=False))
        first, later = found
        if first.deviation <= _WORTH_TELLING < later.deviation:
            words = _added(context, node, last) or later.best(hidden(context, work, later.inputs))
            words = words or "a number that the aligned form does not have is trained, too"
            sizes = first.deviation, later.deviation
            yield _change(runtime, "layer, after updates", node.name, *sizes, words)


def _added(context: Context, node: Node, params: Params) -> str | None:
    """The parameters of a layer that its aligned form does not have."""
    names = [
        name
        for name in params
        if name.startswith(f"{node.name}.") and name not in context.model.parameters
    ]
    short = " and ".join(name.partition(".")[2].replace("_", " ") for name in names)
    return f"its {short}, which the aligned form does not have, is trained, too" if names else None


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
            words = statistic_looks_like(context, native, name, 0)
            end = sizes[1] if known else None
            yield _change(runtime, "running statistics", name, sizes[0], end, words)


def _updates(
    context: Context, runtime: str, native: Observation, aligned: Observation
) -> Iterator[Change]:
    """The optimizer, on tensors that have a gradient: its formula on the runtime's own gradients,
    against what the runtime made of its weights.
    """
    gradients = [native.gradients, aligned.gradients, *aligned.update_gradients.values()]
    dead = dead_tensors(context, gradients, SHARE["float64"])
    sizes: list[tuple[float, str]] = []
    for step in checked_steps(context, native):
        found = []
        for name in context.trained:
            if name not in dead:
                expected = step.expected[name]
                moved = scale(expected - step.before[name])
                found.append((absolute(step.after[name], expected) / moved, name))
        sizes.append(max(found))
    worst, name = max(sizes)
    if worst > _WORTH_TELLING:
        quantity = f"update by {context.job.experiment.train.optimizer.name}"
        # several small differences add up here; the largest is worth naming
        words = update_looks_like(context, native, name, tolerance=1e-3)
        yield _change(runtime, quantity, name, sizes[0][0], sizes[-1][0], words)


def _apart(a: Params, b: Params, names: list[str]) -> float:
    return max((absolute(a.get(name), b[name]) for name in names), default=0.0)
