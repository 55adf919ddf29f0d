"""Dense, embedding and learned positions: layers that are one table of numbers."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from nncompare.spec.initializers import EMBEDDING_NORMAL, XAVIER_UNIFORM, ZEROS, InitializerField
from nncompare.spec.layers.base import Layer, Parameter, TensorSpec


class Dense(Layer):
    """``y = x W + b`` over the last axis. ``(…, in) -> (…, units)``."""

    title: ClassVar[str] = "fully connected layer over the last axis"
    type: Literal["dense"] = "dense"
    units: int = Field(gt=0)
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
        fan_in = x.shape[-1]
        kernel = Parameter(
            name="kernel",
            shape=(fan_in, self.units),
            role="kernel",
            initializer=self.initializer,
            fan_in=fan_in,
            fan_out=self.units,
        )
        bias = Parameter(name="bias", shape=(self.units,), role="bias", initializer=ZEROS)
        return (kernel, bias) if self.bias else (kernel,)

    def flops(self, x: TensorSpec) -> int:
        outputs = self.output(x).size
        return outputs * (2 * x.shape[-1] + (1 if self.bias else 0))


class Embedding(Layer):
    """Row ``token`` of a table. ``(T,) tokens -> (T, units)``."""

    title: ClassVar[str] = "table lookup of tokens"
    takes_tokens: ClassVar[bool] = True
    type: Literal["embedding"] = "embedding"
    units: int = Field(gt=0)
    """Size of the output."""
    initializer: InitializerField = EMBEDDING_NORMAL
    """How the kernels start; a name or ``{name: …, scale: …}``, see [initializers](#initializers).
    """

    def output(self, x: TensorSpec) -> TensorSpec:
        if not x.is_tokens:
            self.refuse(f"needs integer tokens, but its input has shape {x} of numbers")
        return TensorSpec((*x.shape, self.units))

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        vocabulary = x.vocabulary or 0
        return (
            Parameter(
                name="table",
                shape=(vocabulary, self.units),
                role="embedding",
                initializer=self.initializer,
                fan_in=vocabulary,
                fan_out=self.units,
            ),
        )


class Position(Layer):
    """Adds a learned vector to every step (Gehring et al. 2017, section 3.1). ``(T, E) ->
    (T, E)``.
    """

    title: ClassVar[str] = "learned positional embedding, added to the input"
    type: Literal["position"] = "position"
    initializer: InitializerField = EMBEDDING_NORMAL
    """How the kernels start; a name or ``{name: …, scale: …}``, see [initializers](#initializers).
    """

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_rank(x, 2, "a sequence (steps, features)")
        return x

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        steps, features = x.shape
        return (
            Parameter(
                name="table",
                shape=(steps, features),
                role="embedding",
                initializer=self.initializer,
                fan_in=steps,
                fan_out=features,
            ),
        )

    def flops(self, x: TensorSpec) -> int:
        return x.size
