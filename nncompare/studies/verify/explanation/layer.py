"""A layer that gives a wrong output: its formula on the input that the runtime gave it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations, permutations

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics.parity import inputs_of
from nncompare.numerics.reference import FORWARD, Run
from nncompare.spec.model import Node
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.explanation.changed import (
    Change,
    Fit,
    Inputs,
    counts,
    times,
    to_float32,
)
from nncompare.studies.verify.explanation.matching import Target, counted


@dataclass(frozen=True, kw_only=True)
class LayerAtWork:
    """A layer with its input.

    Args:
        node: the layer at its place.
        own: its parameters by short name.
        x: the input that the runtime gave it.
        masks: what dropout keeps in training.
    """

    node: Node
    own: Params
    x: Array
    masks: Callable[[str, tuple[int, ...]], Array]

    @classmethod
    def at(
        cls,
        context: Context,
        name: str,
        outputs: Mapping[str, Array],
        params: Params,
        step: int = 0,
        examples: Array | None = None,
    ) -> LayerAtWork:
        """The layer ``name`` on the output of the layer before it.

        Args:
            outputs: of all nodes; ``params``: all weights; ``step``: whose masks it takes.
            examples: the model's input; None: those whose layers are compared.
        """
        given = context.x if examples is None else examples
        before = inputs_of(context.model.nodes)[name]
        x = given if before is None else outputs.get(before, given)
        own = {}
        for full in (*context.model.parameters, *context.added):
            owner, _, short = full.rpartition(".")
            if owner == name:
                own[short] = np.asarray(params[full], np.float64)
        return cls(node=context.node(name), own=own, x=x, masks=context.masks(step))

    def target(
        self, context: Context, given: Array, *, training: bool, tolerance: float = 1e-6
    ) -> Target:
        """What the runtime gave in place of the layer's output."""
        inputs = Inputs(context=context, part=self.node.layer, training=training)
        return Target(formula=self.output, inputs=inputs, given=given, tolerance=tolerance)

    def output(self, inputs: Inputs) -> Array:
        """By the formula."""
        return self.run(inputs).outputs[self.node.name]

    def run(self, inputs: Inputs) -> Run:
        """The pass through this layer alone. What can be changed: its parameters by name,
        ``input`` and ``mask``.
        """
        node = replace(self.node, layer=inputs.part)
        own = {name: inputs.touch(name, value) for name, value in self.own.items()}
        x = inputs.touch("input", self.x)
        run = Run(
            params={},
            forward=FORWARD,
            training=inputs.training,
            masks=lambda name, shape: inputs.touch("mask", self.masks(name, shape)),
            semantics=inputs.context.semantics,
        )
        tokens = x.dtype.kind in "iu"
        made = FORWARD[node.layer.type](node, own, x if tokens else x.astype(np.float64), run)
        run.outputs[node.name] = np.asarray(made)
        return run


def layer_looks_like(
    context: Context,
    outputs: Mapping[str, Array],
    name: str,
    params: Params,
    *,
    training: bool,
    tolerance: float,
) -> str | None:
    """What the node ``name`` did with the input that the runtime gave it, in words.

    Args:
        outputs: of all nodes, as the runtime gave them; ``params``: its weights.
    """
    node = context.node(name)
    if name not in outputs:
        return "the layer gave no output"
    given = outputs[name]
    if given.shape[1:] != node.output.shape:
        return f"the output has shape {given.shape[1:]} in place of {node.output.shape}"
    work = LayerAtWork.at(context, name, outputs, params)
    target = work.target(context, given, training=training, tolerance=tolerance)
    if node.children:
        return _sum_looks_like(node, outputs, work.x, target)
    return target.best(hidden(context, work, target.inputs)) or looks_like(work, target)


def looks_like(work: LayerAtWork, target: Target) -> str | None:
    """What a layer did, in words; None: no single change of its formula does so."""
    inputs = target.inputs
    words = target.looks_like(changes(work, inputs), _fits(work, target))
    return words or (target.part() if target.deviation > target.noise else None)


def changes(work: LayerAtWork, inputs: Inputs) -> Iterator[Change]:
    """What can happen to any layer."""
    yield "the layer is left out: it gives its input", inputs.result(lambda _: work.x)
    other_mode = replace(inputs, training=not inputs.training)
    yield "training and inference mode are exchanged", other_mode
    yield "the dropout mask is turned round: True drops", inputs.on(["mask"], np.logical_not)
    yield from _reordered_parameters(work, inputs)
    yield from _reordered_input(work, inputs)
    yield "its input is rounded to float32", inputs.on(["input"], to_float32)
    yield "its parameters are rounded to float32", inputs.on([*work.own], to_float32)
    yield "its output is rounded to float32", inputs.result(to_float32)
    for axis in range(1, len(work.node.output.shape) + 1):
        flipped = inputs.result(partial(np.flip, axis=axis))
        yield f"its output is reversed along axis {axis}", flipped


def _reordered_parameters(work: LayerAtWork, inputs: Inputs) -> Iterator[Change]:
    """Gates, axes and whole parameters in another order."""
    gates = {item.name: item.gates for item in work.node.parameters}
    groups = _groups(work.own)
    for names in groups:
        told = ", ".join(names)
        count = gates.get(names[0], 1)
        for order in permutations(range(count)):
            words = f"the gates of {told} in the order {counted(order)}"
            yield words, inputs.on(names, partial(in_order, order=order))
        for back in (False, True):
            turned = partial(_transposed, gates=count, back=back)
            yield f"the last two axes of {told} are exchanged", inputs.on(names, turned)
        for shift in (1, -1):
            rolled = partial(np.roll, shift=shift, axis=0)
            yield f"{told} shifted by {shift}", inputs.on(names, rolled)
    for a, b in combinations(groups, 2):
        if [work.own[name].shape for name in a] == [work.own[name].shape for name in b]:
            values = {name: work.own[other] for name, other in zip(a + b, b + a, strict=True)}
            words = f"{', '.join(a)} and {', '.join(b)} are exchanged"
            yield words, inputs.with_values(values)


def _reordered_input(work: LayerAtWork, inputs: Inputs) -> Iterator[Change]:
    """The input's axes in another order, backwards, or mirrored together with kernel and output."""
    axes = range(1, work.x.ndim)
    for order in permutations(axes):
        told = ", ".join(str(axis) for axis in order)
        turned = inputs.on(["input"], partial(np.transpose, axes=(0, *order)))
        yield f"its input's axes in the order {told}", turned
    for axis in axes:
        flipped = inputs.on(["input"], partial(np.flip, axis=axis))
        yield f"its input is reversed along axis {axis}", flipped
    spatial = tuple(axes[:-1])

    def mirrored(name: str, value: Array) -> Array:
        if name == "input":
            return np.flip(value, spatial)
        # a kernel begins with its spatial axes; a bias has none
        return np.flip(value, tuple(range(len(spatial)))) if value.ndim > len(spatial) else value

    if len(spatial) > 1:
        # an odd padding then stands on the other side
        words = "its input, kernel and output are mirrored: padding before, not after"
        yield words, replace(inputs, touch=mirrored, after=partial(np.flip, axis=spatial))


def _fits(work: LayerAtWork, target: Target) -> Iterator[Fit]:
    """One factor or one constant that does not belong there."""
    inputs = target.inputs
    yield counts(inputs, "the output is {0:.10g} times the right one", target.right)
    for names in _groups(work.own):
        yield times(inputs, names, f"{', '.join(names)} times {{0:.10g}}")

    def more(constant: float, name: str) -> Inputs:
        return inputs.on([name], lambda value: value + constant)

    for name in work.own:
        yield f"a constant {{0:.6g}} is added to {name}", 0.0, partial(more, name=name)


def hidden(context: Context, work: LayerAtWork, inputs: Inputs) -> Iterator[Change]:
    """A number that is trained although it is no parameter: it moves as the parameter beside it
    does.
    """
    for name, value in work.own.items():
        moved = value - context.probe[f"{work.node.name}.{name}"]
        words = f"a second {name} is trained, too, which is not among the parameters"
        if moved.any():
            yield words, inputs.with_values({name: value + moved})


def _sum_looks_like(
    node: Node, outputs: Mapping[str, Array], x: Array, target: Target
) -> str | None:
    """A node that adds what its layers give to its input, or to what its shortcut gives: how often
    one of them counts.
    """
    outer_name = node.shortcut[-1].name if node.shortcut else None
    inner = outputs.get(node.children[-1].name)
    outer = x if outer_name is None else outputs.get(outer_name)
    if inner is None or outer is None:
        return "a layer inside gave no output: it is left out"
    added = replace(target, formula=lambda _: inner + outer)
    told = "what its shortcut gives" if outer_name else "its input"
    parts = {"what its layers give": inner, told: outer}
    return added.fitted(
        counts(target.inputs, f"the sum counts {words} {{0:.10g}} times", part)
        for words, part in parts.items()
    )


def in_order(values: Array, order: Sequence[int]) -> Array:
    """Gates, side by side along the last axis, in another order."""
    blocks = np.split(values, len(order), axis=-1)
    return np.concatenate([blocks[gate] for gate in order], axis=-1)


def _transposed(values: Array, gates: int, *, back: bool) -> Array:
    """Every gate's block with its last two axes exchanged; where they are not equally long, the
    same numbers in memory read in the other order.
    """
    turned = []
    for block in np.split(values, gates, axis=-1):
        *outer, rows, columns = block.shape
        if back:
            turned.append(block.reshape(*outer, columns, rows).swapaxes(-1, -2))
        else:
            turned.append(block.swapaxes(-1, -2).reshape(block.shape))
    return np.concatenate(turned, axis=-1)


def _groups(own: Params) -> list[list[str]]:
    """Parameters that are wrong together: each alone, ``query_kernel`` with ``query_bias``, those
    of all such prefixes whose shapes are the same, and all.
    """

    def prefix(name: str) -> str:
        return name.rpartition("_")[0]

    def shapes(name: str) -> str:
        return str([own[other].shape for other in own if prefix(other) == prefix(name)])

    found: list[list[str]] = []
    for key in (str, prefix, shapes, lambda _: ""):
        together: dict[str, list[str]] = {}
        for name in own:
            together.setdefault(key(name), []).append(name)
        found += [names for names in together.values() if names not in found]
    return found
