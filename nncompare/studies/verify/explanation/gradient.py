"""Where a gradient goes wrong although the loss is right.

The reference has no gradient of its own, only its slopes along directions, by differences.

A gradient that goes wrong on its way back is wrong in every layer before that place, and right in
every layer behind it: which parameters are wrong tells the place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import differences, losses
from nncompare.numerics.parity import inputs_of
from nncompare.numerics.reference import Run
from nncompare.numerics.reference.kinks import Table
from nncompare.spec.model import Node
from nncompare.spec.training import Penalty
from nncompare.studies.verify.checks.distance import scale, size
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.changed import (
    Fit,
    Inputs,
    another_penalty,
    counts,
)
from nncompare.studies.verify.explanation.matching import Target

_CLOSE = {"float64": 1e-6, "float32": 1e-3}
"""Relative difference up to which a change explains a gradient."""
_DEAD = 1e-10
"""Relative to the largest: a gradient that is nothing but rounding."""
_MANY = 3
"""A layer of so many trained parameters has many ways on which its own gradients come back."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """A way that gradients take back.

    Args:
        node: through whose output they come; with parameters: through it to its input.
        behind: the layers with parameters that get their gradient on this way.
        rank: the likelier, the lower: 0 within the layer, so that its own parameters are among
            those behind; 2 through a layer whose own gradients are right.
        shortcut: the way round of a residual, in place of its sum.
    """

    node: Node
    behind: frozenset[str]
    rank: int
    shortcut: bool = False

    @property
    def words(self) -> str:
        return f"the shortcut of {self.node.name}" if self.shortcut else self.node.name


def gradient_place(
    context: Context, given: Params, failed: Sequence[str | None]
) -> tuple[str | None, str | None]:
    """The layer or parameter at fault, and words.

    Args:
        given: the gradient of the runtime.
        failed: directions, or names of parameters, along which it is wrong.
    """
    missing = [name for name in context.trained if name not in given]
    if missing:
        return missing[0], "it has no gradient: it is not trained"
    wrong = [name for name in context.trained if name in failed]
    target = _target(context, given)
    whole = "the whole gradient is {0:.10g} times the right one"
    if words := target.fitted([counts(target.inputs, whole, target.right)]):
        return None, words
    if not wrong:
        return None, None
    if words := target.fitted(another_penalty(target.inputs, partial(_penalty, context))):
        return wrong[0], f"in the gradient, {words}"
    if words := _tensor_looks_like(context, target, given, wrong):
        return wrong[0], words
    return _place(context, given, wrong, target)


def _target(context: Context, given: Params) -> Target:
    """The slopes along all directions: what can be changed is the result alone."""
    right = np.array([slope.value for slope in context.slopes.values()])
    errors = [slope.error for slope in context.slopes.values()]
    return Target(
        formula=lambda _: right,
        inputs=Inputs(context=context),
        given=_along(context, given),
        tolerance=_CLOSE[context.dtype],
        relative_to=np.maximum(np.abs(right), 1e-3 * scale(right)),
        rounding=max(errors) / scale(right),
    )


def _along(context: Context, gradient: Params) -> Array:
    """A gradient along every direction."""
    return np.array([context.along(gradient, label) for label in context.directions])


def _penalty(context: Context, penalty: Penalty) -> Array:
    """What a penalty adds along every direction."""
    own = losses.penalty_gradients(
        context.probe, context.model, penalty.l1, penalty.l2, semantics=context.semantics
    )
    # a parameter that only the framework has is not penalized
    added = {name: np.zeros_like(context.probe[name]) for name in context.added}
    return _along(context, {**own, **added})


def _tensor_looks_like(
    context: Context, target: Target, given: Params, wrong: Sequence[str]
) -> str | None:
    """One tensor that is transposed, or has one factor; all others are right."""
    name = wrong[0]
    # a gradient of zeros is no gradient: that has words of its own
    if len(wrong) > 1 or not given[name].any():
        return None
    nothing = {other: np.zeros_like(value) for other, value in given.items()}
    own = _along(context, {**nothing, name: given[name]})
    turned = given[name].T.reshape(given[name].shape)
    back = _along(context, {**nothing, name: turned})
    # of the right slopes, what comes from this tensor
    right = own + target.right - target.given
    inputs, told = target.inputs, f"the gradient of {name} is"
    transposed = inputs.result(lambda slopes: slopes + own - back)
    factor = counts(inputs, f"{told} {{0:.10g}} times the right one", right)
    return target.best([(f"{told} transposed", transposed)]) or target.fitted([factor])


def _place(
    context: Context, given: Params, wrong: Sequence[str], target: Target
) -> tuple[str, str | None]:
    """The last layer that is wrong, if only some of its parameters are, since what comes back to it
    must be right then; or a place on the way back to it.
    """
    zero = [name for name in wrong if not given[name].any()]
    nothing = f"the gradient of {', '.join(wrong)} is zero: it is not trained"
    words = nothing if zero == wrong else None
    last = _owner(wrong[-1])
    mine = [name for name in wrong if _owner(name) == last]
    largest = max(size(value) for value in given.values())
    beside = [name for name in context.trained if _owner(name) == last and name not in wrong]
    if not any(size(given[name]) > _DEAD * largest for name in beside):
        return _on_a_way(context, target, wrong, words)
    zero_here = ", ".join(name for name in mine if name in zero)
    if words is None and zero_here:
        words = f"no gradient comes back to {zero_here}"
    before = ", and so does what comes back from it" if len(mine) < len(wrong) else ""
    words = words or f"the gradient of {', '.join(mine)} goes wrong within {last}{before}"
    return wrong[0] if len(wrong) == 1 else last, words


def _owner(parameter: str) -> str:
    return parameter.rpartition(".")[0]


def _on_a_way(
    context: Context, target: Target, wrong: Sequence[str], nothing: str | None
) -> tuple[str, str | None]:
    """The place where all gradients of the wrong layers pass, and none of the others'.

    Args:
        nothing: words for gradients that are all zero.
    """
    nodes = frozenset(_owner(name) for name in wrong)
    ways = [way for way in _ways(context.model.nodes) if way.behind == nodes]
    ways.sort(key=lambda way: way.rank)
    # one layer without a gradient, and nothing behind it that could have stopped it
    alone = nothing and len(nodes) == 1 and all(way.node.parameters for way in ways)
    if alone or not ways:
        return wrong[0], nothing
    for way in ways:
        words = target.fitted([_factor(context, target, way)]) if way.rank else None
        if words is not None:
            none = "the gradient is 0 times the right one"
            return way.node.name, words.replace(none, "no gradient comes back")
    told = " or ".join(dict.fromkeys(way.words for way in ways))
    return ways[0].node.name, f"the gradient goes wrong on its way back through {told}"


def _ways(nodes: Sequence[Node], before: frozenset[str] = frozenset()) -> Iterator[Way]:
    """Every way, in order of computation."""
    for node in nodes:
        inner, outer = before | _owners(node.children), before | _owners(node.shortcut)
        if node.children:
            yield from _ways(node.children, before)
            yield from _ways(node.shortcut, before)
            yield Way(node=node, behind=outer, rank=1, shortcut=True)
        own = _owners([node])
        yield Way(node=node, behind=inner | outer, rank=2 if node.parameters else 1)
        before = before | own
        trained = sum(item.trainable for item in node.parameters)
        # tokens have no gradient: what is wrong in their table went wrong within
        if trained >= _MANY or (trained and node.input.is_tokens):
            yield Way(node=node, behind=before, rank=0)


def _owners(nodes: Sequence[Node]) -> frozenset[str]:
    """Names of the nodes with trained parameters, those inside included."""
    inside = [inner for node in nodes for inner in node.walk()]
    return frozenset(
        node.name for node in inside if any(item.trainable for item in node.parameters)
    )


def _factor(context: Context, target: Target, way: Way) -> Fit:
    """One factor on what comes back on a way: holding a value fixed takes that away, so that the
    slopes of the reference loss without it tell what it is.
    """
    x = context.data.train.x[context.plan.gradient_rows]
    made = context.run(context.probe, x, 0)
    f = context.smooth_loss(lambda table: _holding(context, way, made.outputs, x, table))
    slopes = [
        differences.refined_derivative(f, context.probe, direction)[0]
        for direction in context.directions.values()
    ]
    words = f"the gradient is {{0:.8g}} times the right one through {way.words}"
    return counts(target.inputs, words, target.right - np.array(slopes))


def _holding(
    context: Context, way: Way, kept: Mapping[str, Array], x: Array, table: Table
) -> Table:
    """The formulas of a table, with one value as it was."""
    kind = way.node.layer.type
    before = inputs_of(context.model.nodes)

    def input_of(node: Node) -> Array:
        source = before[node.name]
        return x if source is None else kept[source]

    def held(node: Node, p: Params, value: Array, run: Run) -> Array:
        if node.name != way.node.name:
            return table[kind](node, p, value, run)
        if way.shortcut:
            outer = kept[node.shortcut[-1].name] if node.shortcut else input_of(node)
            return outer + run.chain(node.children, value)
        if node.parameters:
            # its own parameters do get their gradient: its input is what is held
            return table[kind](node, p, input_of(node), run)
        return kept[node.name]

    return {**table, kind: held}
