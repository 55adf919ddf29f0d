"""Wrong running statistics: their formula in a checked update, with one thing changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from nncompare.backends.base import Array
from nncompare.numerics import reference
from nncompare.spec.layers import Layer
from nncompare.spec.model import Node
from nncompare.studies.verify.checks.distance import relative, scale
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.fields import numbers, other_values
from nncompare.studies.verify.explanation.matching import Change, Fit, Target
from nncompare.wire.observation import Observation


def statistic_looks_like(
    context: Context, observation: Observation, statistic: str, step: int
) -> str | None:
    """What the runtime did to a running statistic in a checked update, in words.

    Args:
        statistic: canonical name; ``step``: of the update, from 0.
    """
    before = np.asarray(observation.update_weights[step][statistic], np.float64)
    after = observation.update_weights[step + 1][statistic]
    right = context.new_running(observation.update_weights[step], step)[statistic]
    tolerance = 1e-9 if after.dtype == np.float64 else 3e-6
    limit = min(tolerance, 0.1 * relative(after, right))
    given = np.asarray(after, np.float64)
    target = Target(given=given, right=right, unit=scale(right), limit=limit)

    def other_layer(layer: Layer) -> Array:
        return _new_running(context, observation, step, statistic, layer)

    node = _owner(context, statistic)
    return (
        target.best(_described(context, observation, step, statistic))
        or target.best(other_values(node.layer, other_layer))
        or target.best([("held fixed: the batch does not move it", before)])
        or target.fitted(numbers(node.layer, other_layer))
        or target.fitted(_scaled(before, right))
    )


def _described(
    context: Context, observation: Observation, step: int, statistic: str
) -> Iterator[Change]:
    """Other meanings of what frameworks disagree on."""
    weights = observation.update_weights[step]
    for other in context.semantics.alternatives(context.job):
        changed = replace(context, semantics=other.semantics)
        made = changed.new_running(weights, step)[statistic]
        yield f"{other.setting}: {other.words}", made


def _scaled(before: Array, right: Array) -> Iterator[Fit]:
    yield "the batch moves it {0:.10g} times as far", 1.0, lambda c: before + c * (right - before)


def _new_running(
    context: Context, observation: Observation, step: int, statistic: str, layer: Layer
) -> Array:
    """The statistic with another description of its layer."""
    name = statistic.rpartition(".")[0]
    nodes = tuple(_replaced(node, name, layer) for node in context.model.nodes)
    x = context.data.train.x[context.plan.updates.rows(step)]
    made = reference.new_running(
        replace(context.model, nodes=nodes),
        observation.update_weights[step],
        x,
        context.masks(step),
        semantics=context.semantics,
    )
    return made[statistic]


def _replaced(node: Node, name: str, layer: Layer) -> Node:
    """The node, in which the one called ``name`` has another description."""
    if node.name == name:
        return replace(node, layer=layer)
    children = tuple(_replaced(child, name, layer) for child in node.children)
    shortcut = tuple(_replaced(child, name, layer) for child in node.shortcut)
    return replace(node, children=children, shortcut=shortcut)


def _owner(context: Context, statistic: str) -> Node:
    name = statistic.rpartition(".")[0]
    return next(node for node in context.model.walk() if node.name == name)
