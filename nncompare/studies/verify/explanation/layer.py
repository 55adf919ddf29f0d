"""A layer that gives a wrong output: its formula on the input that the runtime gave it, with one
thing changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import reference
from nncompare.numerics.parity import inputs_of
from nncompare.numerics.reference import FORWARD, Run
from nncompare.spec.layers import Layer
from nncompare.spec.model import Node
from nncompare.studies.verify.checks.distance import relative, scale
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.fields import numbers, other_values
from nncompare.studies.verify.explanation.matching import Change, Fit, Target


@dataclass(frozen=True, kw_only=True)
class LayerAtWork:
    """A layer with its input.

    Args:
        node: the layer at its place.
        own: its parameters by short name.
        x: the input that the runtime gave it.
        run: mode, masks and semantics.
    """

    node: Node
    own: Params
    x: Array
    run: Run

    def output(
        self,
        *,
        layer: Layer | None = None,
        own: Mapping[str, Array] | None = None,
        x: Array | None = None,
        run: Run | None = None,
    ) -> Array | None:
        """The formula with another description, other parameters, another input or another mode;
        None where these do not fit each other.
        """
        node = replace(self.node, layer=layer or self.node.layer)
        params = {**self.own, **(own or {})}
        given = self.x if x is None else x
        if given.dtype.kind not in "iu":
            given = np.asarray(given, np.float64)
        try:
            return np.asarray(FORWARD[node.layer.type](node, params, given, run or self.run))
        except (ValueError, IndexError, KeyError):
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
    """What the node ``name`` did with the input that the runtime gave it, in words.

    Args:
        outputs: of all nodes, as the runtime gave them.
        params: its weights; the probe weights if None.
    """
    params = context.probe if params is None else params
    node = next(node for node in context.model.walk() if node.name == name)
    if name not in outputs:
        return "the layer gave no output"
    given = outputs[name]
    if given.shape[1:] != node.output.shape:
        return f"the output has shape {given.shape[1:]} in place of {node.output.shape}"
    before = inputs_of(context.model.nodes)[name]
    x = context.x if before is None else outputs.get(before, context.x)
    if node.children:
        return _sum_looks_like(node, outputs, x)
    masks = context.masks(0) if training else None
    run = Run(params=params, forward=FORWARD, training=training, masks=masks)
    own = {item.name: params[f"{name}.{item.name}"] for item in node.parameters}
    return looks_like(context, LayerAtWork(node=node, own=own, x=x, run=run), given, tolerance)


def looks_like(context: Context, work: LayerAtWork, given: Array, tolerance: float) -> str | None:
    """What a layer did to give ``given``, in words; None: no single change of its formula does.

    Args:
        tolerance: relative to the largest value of the output.
    """
    with np.errstate(all="ignore"):
        right = work.output()
        if right is None:
            return None
        target = _target(given, right, tolerance)
        if target is None:
            return None
        # what the description says of itself comes before what can happen to any layer
        return (
            target.best(_described(context, work))
            or target.fitted(numbers(work.node.layer, lambda layer: work.output(layer=layer)))
            or target.best(_transformed(work, right))
            or target.fitted(_scaled(work, right))
            or _part(target, right)
        )


def _target(given: Array, right: Array, tolerance: float) -> Target | None:
    """None: what was given is right but for rounding."""
    rounding = 30 * float(np.finfo(given.dtype).eps) if given.dtype.kind == "f" else 0.0
    given = np.asarray(given, np.float64)
    unit = scale(right)
    if given.shape == right.shape:
        deviation = relative(given, right)
        if deviation <= rounding:
            return None
        # nearly all of a deviation must be explained, however small it is
        tolerance = min(tolerance, max(1e-2 * deviation, min(rounding, 0.2 * deviation)))
    return Target(given=given, right=right, unit=unit, limit=tolerance)


def _described(context: Context, work: LayerAtWork) -> Iterator[Change]:
    """Other meanings of what frameworks disagree on, and other values of the layer's fields."""
    for other in context.semantics.alternatives(context.job):
        changed = replace(work.run, semantics=other.semantics)
        yield f"{other.setting}: {other.words}", work.output(run=changed)
    yield from other_values(work.node.layer, lambda layer: work.output(layer=layer))


def _transformed(work: LayerAtWork, right: Array) -> Iterator[Change]:
    """What can happen to any layer."""
    yield "the layer is left out: it gives its input", work.x
    other_mode = replace(work.run, training=not work.run.training)
    yield "training and inference mode are exchanged", work.output(run=other_mode)
    masks = work.run.masks
    if masks is not None:
        turned = replace(work.run, masks=lambda name, shape: ~masks(name, shape))
        yield "the dropout mask is turned round: True drops", work.output(run=turned)
    yield from _reordered_parameters(work)
    yield from _reordered_input(work)
    if work.x.dtype.kind == "f":
        yield "its input is rounded to float32", work.output(x=_rounded(work.x))
    narrow = {name: _rounded(value) for name, value in work.own.items()}
    yield "its parameters are rounded to float32", work.output(own=narrow)
    yield "its output is rounded to float32", _rounded(right)
    for axis in range(1, right.ndim):
        yield f"its output is reversed along axis {axis}", np.flip(right, axis)


def _reordered_parameters(work: LayerAtWork) -> Iterator[Change]:
    """Gates, axes and whole parameters in another order."""
    gated = {item.name: item.gates for item in work.node.parameters if item.gates > 1}
    for names in _sets(list(gated)):
        for order in list(permutations(range(gated[names[0]])))[1:]:
            changed = {name: _gates(work.own[name], order) for name in names}
            told = ", ".join(str(gate + 1) for gate in order)
            yield f"the gates of {_list(names)} in the order {told}", work.output(own=changed)
    gates = {item.name: item.gates for item in work.node.parameters}
    for names in _groups(work.own):
        if all(work.own[name].ndim > 1 for name in names):
            for back in (False, True):
                changed = {
                    name: _transposed(work.own[name], gates[name], back=back) for name in names
                }
                yield f"the last two axes of {_list(names)} are exchanged", work.output(own=changed)
        for shift in (1, -1):
            changed = {name: np.roll(work.own[name], shift, axis=0) for name in names}
            yield f"{_list(names)} shifted by {shift}", work.output(own=changed)
    for a, b in combinations(_by_prefix(work.own).values(), 2):
        alike = [(x, y) for x, y in zip(a, b, strict=False) if _same_shape(work.own, x, y)]
        if alike:
            changed = {x: work.own[y] for x, y in alike} | {y: work.own[x] for x, y in alike}
            first, second = zip(*alike, strict=True)
            yield f"{_list(first)} and {_list(second)} are exchanged", work.output(own=changed)


def _reordered_input(work: LayerAtWork) -> Iterator[Change]:
    """The input's axes in another order, backwards, or mirrored together with kernel and output."""
    axes = tuple(range(1, work.x.ndim))
    for order in list(permutations(axes))[1:]:
        told = ", ".join(str(axis) for axis in order)
        yield f"its input's axes in the order {told}", work.output(x=work.x.transpose(0, *order))
    for axis in axes:
        yield f"its input is reversed along axis {axis}", work.output(x=np.flip(work.x, axis))
    spatial = axes[:-1]
    kernels = {
        name: np.flip(value, tuple(range(len(spatial))))
        for name, value in work.own.items()
        if value.ndim > len(spatial)
    }
    made = work.output(x=np.flip(work.x, spatial), own=kernels)
    if len(spatial) > 1 and made is not None and made.ndim == work.x.ndim:
        # an odd padding then stands on the other side
        yield (
            "its input, kernel and output are mirrored: padding before, not after",
            np.flip(made, spatial),
        )


def _scaled(work: LayerAtWork, right: Array) -> Iterator[Fit]:
    """One factor or one constant that does not belong there."""
    yield "the output is {0:.10g} times the right one", 1.0, lambda factor: factor * right
    for names in _groups(work.own):
        yield f"{_list(names)} times {{0:.10g}}", 1.0, _times(work, names)
    for name in work.own:
        yield f"a constant {{0:.6g}} is added to {name}", 0.0, _plus(work, name)


def _times(work: LayerAtWork, names: Sequence[str]) -> Callable[[float], Array | None]:
    return lambda factor: work.output(own={name: factor * work.own[name] for name in names})


def _plus(work: LayerAtWork, name: str) -> Callable[[float], Array | None]:
    return lambda constant: work.output(own={name: work.own[name] + constant})


def _part(target: Target, right: Array) -> str | None:
    """Which features, steps or examples are off, where it is not more than half of them."""
    if right.shape != target.given.shape:
        return None
    off = np.abs(target.given - right) > target.limit * target.unit
    for axis in reversed(range(right.ndim)):
        others = tuple(other for other in range(right.ndim) if other != axis)
        where = np.flatnonzero(off.any(axis=others))
        size = right.shape[axis]
        if 0 < len(where) <= size // 2:
            told = ", ".join(str(index + 1) for index in where[:6])
            return (
                f"only {told} of {size} along axis {axis} {'is' if len(where) == 1 else 'are'} off"
            )
    return None


def _sum_looks_like(node: Node, outputs: Mapping[str, Array], x: Array) -> str | None:
    """A node that adds what its layers give to its input, or to what its shortcut gives: how often
    each of them counts.
    """
    if any(inside.name not in outputs for inside in (*node.children, *node.shortcut)):
        return "a layer inside gave no output: it is left out"
    given = outputs[node.name]
    parts = {"what its layers give": outputs[node.children[-1].name]}
    if node.shortcut:
        parts["what its shortcut gives"] = outputs[node.shortcut[-1].name]
    parts["its input"] = x
    fitting = {name: part for name, part in parts.items() if part.shape == given.shape}
    columns = np.stack([np.asarray(part, np.float64).ravel() for part in fitting.values()], axis=1)
    shares = np.linalg.lstsq(columns, np.asarray(given, np.float64).ravel(), rcond=None)[0]
    if relative((columns @ shares).reshape(given.shape), np.asarray(given)) > 1e-6:
        return None
    told = [
        f"{name} {share:.10g} times"
        for name, share in zip(fitting, shares.round(9) + 0.0, strict=True)
    ]
    return f"the sum counts {' and '.join(told)}"


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


def _gates(values: Array, order: Sequence[int]) -> Array:
    blocks = np.split(values, len(order), axis=-1)
    return np.concatenate([blocks[gate] for gate in order], axis=-1)


def _transposed(values: Array, gates: int, *, back: bool) -> Array:
    """Every gate's block with its last two axes exchanged; where they are not equally long, the
    same numbers in memory read in the other order.
    """
    blocks = np.split(values, gates, axis=-1)
    shape = blocks[0].shape
    if shape[-1] == shape[-2] or not back:
        turned = [block.swapaxes(-1, -2).reshape(shape) for block in blocks]
    else:
        other = (*shape[:-2], shape[-1], shape[-2])
        turned = [block.reshape(other).swapaxes(-1, -2) for block in blocks]
    return np.concatenate(turned, axis=-1)


def _by_prefix(names: Mapping[str, Array]) -> dict[str, list[str]]:
    """``query`` -> ``query_kernel``, ``query_bias``: parameters that stand before the same word."""
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.rpartition("_")[0], []).append(name)
    return found


def _groups(own: Params) -> list[list[str]]:
    """Parameters that are wrong together: each alone, those with the same prefix, and those of all
    prefixes whose shapes are the same.
    """
    prefixes = list(_by_prefix(own).values())
    alike: dict[tuple[tuple[int, ...], ...], list[str]] = {}
    for names in prefixes:
        alike.setdefault(tuple(own[name].shape for name in names), []).extend(names)
    found = [[name] for name in own] + prefixes + list(alike.values())
    return [names for index, names in enumerate(found) if names not in found[:index]]


def _sets(names: list[str]) -> list[list[str]]:
    """All of them, then each alone."""
    return [names, *([name] for name in names if len(names) > 1)] if names else []


def _same_shape(own: Params, a: str, b: str) -> bool:
    return own[a].shape == own[b].shape


def _rounded(values: Array) -> Array:
    return values.astype(np.float32).astype(np.float64)


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
