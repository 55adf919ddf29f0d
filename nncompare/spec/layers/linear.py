"""Dense, embedding and learned positions: layers that are one table of numbers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nncompare.spec.frozen import LIMIT
from nncompare.spec.initializers import (
    EMBEDDING_NORMAL,
    XAVIER_UNIFORM,
    Initializer,
    InitializerField,
)
from nncompare.spec.layers.base import Layer, Parameter, TensorSpec


class Dense(Layer):
    """``y = x W + b`` over the last axis. ``(…, in) -> (…, units)``."""

    title = "fully connected layer over the last axis"
    type: Literal["dense"] = "dense"
    units: int = Field(gt=0, le=LIMIT)
    """Size of the output."""
    bias: bool = True
    """Whether it has a bias."""
    initializer: InitializerField = XAVIER_UNIFORM
    """How the kernels start; a name or ``{name: …, scale: …}``, see [initializers](#initializers).
    """

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_floats(x)
        if not x.shape:
            self.refuse("needs at least one axis")
        return TensorSpec((*x.shape[:-1], self.units))

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        shape = (x.shape[-1], self.units)
        kernel = Parameter(name="kernel", shape=shape, role="kernel", initializer=self.initializer)
        bias = Parameter(name="bias", shape=(self.units,), role="bias")
        return (kernel, bias) if self.bias else (kernel,)

    def flops(self, x: TensorSpec) -> int:
        # a multiplication and an addition for each input, and one more addition of the bias
        per_output = 2 * x.shape[-1] + self.bias
        return self.output(x).size * per_output


def _table(shape: tuple[int, ...], initializer: Initializer) -> Parameter:
    """One row of features for each token or step."""
    return Parameter(name="table", shape=shape, role="embedding", initializer=initializer)


class Embedding(Layer):
    """Row ``token`` of a table. ``(T,) tokens -> (T, units)``."""

    title = "table lookup of tokens"
    takes_tokens = True
    type: Literal["embedding"] = "embedding"
    units: int = Field(gt=0, le=LIMIT)
    """Size of the output."""
    initializer: InitializerField = EMBEDDING_NORMAL
    """How the kernels start; a name or ``{name: …, scale: …}``, see [initializers](#initializers).
    """

    def output(self, x: TensorSpec) -> TensorSpec:
        if not x.is_tokens:
            self.refuse(f"needs integer tokens, but its input has shape {x} of numbers")
        return TensorSpec((*x.shape, self.units))

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        return (_table((x.vocabulary or 0, self.units), self.initializer),)


class Position(Layer):
    """Adds a learned vector to every step (Gehring et al. 2017, section 3.1). ``(T, E) ->
    (T, E)``.
    """

    title = "learned positional embedding, added to the input"
    type: Literal["position"] = "position"
    initializer: InitializerField = EMBEDDING_NORMAL
    """How the kernels start; a name or ``{name: …, scale: …}``, see [initializers](#initializers).
    """

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_rank(x, 2, "a sequence (steps, features)")
        return x

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        return (_table(x.shape, self.initializer),)

    def flops(self, x: TensorSpec) -> int:
        return x.size
