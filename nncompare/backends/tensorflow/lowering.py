"""How a layer becomes a module: its variables under their canonical names, and one formula."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import tensorflow as tf
from tensorflow import Tensor

from nncompare.backends.registry import Registry
from nncompare.spec.layers import Layer
from nncompare.spec.model import Node

_L = TypeVar("_L", bound=Layer)
Builder = Callable[["Lowered[Any]", Tensor, "Pass"], Tensor]
"""A lowering: the output ``(N, *node.output.shape)`` of a module for its input."""

UNSUPPORTED: dict[type[Layer], str] = {}
"""Layer -> why this backend lacks it. Nothing is missing."""
LOWERINGS: Registry[Layer, Builder] = Registry("tensorflow", UNSUPPORTED)


lowering = LOWERINGS.form
"""Registers the lowering of a layer, with what TensorFlow code usually has for its
open fields."""
native_lowering = LOWERINGS.native_form
"""Registers a layer as TensorFlow code usually has it, where that is another than its lowering."""


@dataclass(kw_only=True)
class Pass:
    """One forward pass.

    Args:
        training: batch statistics and dropout.
        step: of the whole training, integer scalar; keys the framework's own dropout.
        masks: node name -> what dropout keeps; none: TensorFlow draws.
        updates: filled with (running statistic, its new value); the training step assigns them.
        outputs: if given, filled with node name -> output.
    """

    training: bool = False
    step: Any = 0
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    updates: list[tuple[tf.Variable, Tensor]] = field(default_factory=list)
    outputs: dict[str, Tensor] | None = None


@dataclass(frozen=True, kw_only=True)
class Build:
    """What a lowering needs to know.

    Args:
        dtype: of every variable.
        seed: of the job.
        native: every layer as TensorFlow code usually has it.
        accelerator: True on GPU and TPU, where few large kernels matter more than the cache.
        compiled: True where XLA compiles the step.
    """

    dtype: tf.DType
    seed: int = 0
    native: bool = False
    accelerator: bool = False
    compiled: bool = False

    @property
    def fused_batch_norm(self) -> bool:
        """``FusedBatchNormV3`` has float32 only."""
        return bool(self.dtype == tf.float32)


class Lowered(tf.Module, Generic[_L]):  # type: ignore[misc]  # TensorFlow is untyped
    """One node as a module.

    Args:
        node: layer, shapes, parameters.
        build: of the whole model.

    Attributes:
        weights: the node's own variables by their names inside it, all zero.
        children, shortcut: the modules inside a residual, else none.
    """

    def __init__(self, node: Node[_L], build: Build):
        super().__init__()
        self.node = node
        self.layer = node.layer
        self.build = build
        self.formula = LOWERINGS.find(type(node.layer), native=build.native)
        self.weights: dict[str, tf.Variable] = {}
        for item in node.parameters:
            self.weights[item.name] = tf.Variable(
                tf.zeros(item.shape, build.dtype),
                trainable=item.trainable,
                name=f"{node.name}.{item.name}",
            )
        self.children = lower_chain(node.children, build)
        self.shortcut = lower_chain(node.shortcut, build)

    def __call__(self, x: Tensor, run: Pass) -> Tensor:
        """``(N, *node.input.shape) -> (N, *node.output.shape)``."""
        y = self.formula(self, x, run)
        if run.outputs is not None:
            run.outputs[self.node.name] = y
        return y

    def constant(self, value: float) -> Tensor:
        """``value`` in the model's dtype, never by way of float32."""
        return tf.constant(value, self.build.dtype)


def lower(node: Node[_L], build: Build) -> Lowered[_L]:
    """The module of a node, with those inside it; all weights zero.

    Raises:
        Unsupported: the backend lacks this layer, with the reason.
    """
    return Lowered(node, build)


def lower_chain(nodes: Sequence[Node], build: Build) -> list[Lowered[Any]]:
    """The modules of nodes in order."""
    return [lower(node, build) for node in nodes]


def walk(modules: Sequence[Lowered[Any]]) -> Iterator[Lowered[Any]]:
    """Every module with those inside it, in the order of ``Model.walk``."""
    for module in modules:
        yield module
        yield from walk(module.children)
        yield from walk(module.shortcut)


def forward(modules: Sequence[Lowered[Any]], x: Tensor, run: Pass) -> Tensor:
    """The modules one after the other; no module: ``x`` itself."""
    for module in modules:
        x = module(x, run)
    return x


def affine(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    """``x W + b`` over the last axis as one matrix product. ``(…, in) -> (…, out)``."""
    shape = x.shape
    # ``tf.matmul`` of more axes is a batch of small products
    rows = x if shape.rank == 2 else tf.reshape(x, (-1, shape[-1]))
    y = tf.matmul(rows, kernel)
    y = y if bias is None else tf.nn.bias_add(y, bias)
    return y if shape.rank == 2 else tf.reshape(y, _with_last(shape, kernel.shape[-1]))


def _with_last(shape: tf.TensorShape, last: int) -> tuple[int, ...]:
    """``shape`` with another last axis; an unknown batch size becomes -1."""
    return tuple(-1 if size is None else size for size in (*shape[:-1], last))
