"""Elementwise activations, and softmax over the last axis."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nncompare.spec.frozen import Open
from nncompare.spec.layers.base import Layer, TensorSpec


class _Activation(Layer):
    is_activation: ClassVar[bool] = True
    per_value: ClassVar[int] = 1

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_floats(x)
        return x

    def flops(self, x: TensorSpec) -> int:
        return self.per_value * x.size


class Relu(_Activation):
    """``max(x, 0)`` (Nair and Hinton 2010)."""

    title: ClassVar[str] = "max(x, 0)"
    kinked: ClassVar[bool] = True
    type: Literal["relu"] = "relu"


class LeakyRelu(_Activation):
    """``x`` where positive, else ``slope x`` (Maas et al. 2013)."""

    title: ClassVar[str] = "x, or slope times x where negative"
    rounded: ClassVar[tuple[str, ...]] = ("slope",)
    kinked: ClassVar[bool] = True
    per_value: ClassVar[int] = 2
    type: Literal["leaky_relu"] = "leaky_relu"
    slope: Annotated[float, Open] = Field(default=0.01, ge=0)
    """Factor for negative values."""


class Gelu(_Activation):
    """``x Phi(x)`` with the exact normal distribution function, or its tanh form (Hendrycks and
    Gimpel 2016).
    """

    title: ClassVar[str] = "x times the normal distribution function of x"
    # 1/sqrt(2), or 0.044715 of the tanh form
    rounded: ClassVar[tuple[str, ...]] = ("constants",)
    per_value: ClassVar[int] = 5
    type: Literal["gelu"] = "gelu"
    approximate: Annotated[bool, Open] = False
    """True: ``x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))``."""


class Sigmoid(_Activation):
    """``1 / (1 + exp(-x))``."""

    title: ClassVar[str] = "1 / (1 + exp(-x))"
    probabilities_of: ClassVar[str | None] = "binary"
    per_value: ClassVar[int] = 3
    type: Literal["sigmoid"] = "sigmoid"


class Tanh(_Activation):
    """``tanh(x)``."""

    title: ClassVar[str] = "hyperbolic tangent"
    type: Literal["tanh"] = "tanh"


class Softmax(_Activation):
    """``exp(x_i) / sum_j exp(x_j)`` over the last axis. Losses start from logits: do not end a
    model with it.
    """

    title: ClassVar[str] = "softmax over the last axis"
    probabilities_of: ClassVar[str | None] = "classification"
    is_activation: ClassVar[bool] = False
    per_value: ClassVar[int] = 4
    type: Literal["softmax"] = "softmax"
