"""Elementwise activations, and softmax over the last axis."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nncompare.spec.frozen import Open
from nncompare.spec.layers.base import Layer, TensorSpec


class _Activation(Layer):
    is_activation = True
    per_value: ClassVar[int] = 1
    """Operations a value."""

    def flops(self, x: TensorSpec) -> int:
        return self.per_value * x.size


class Relu(_Activation):
    """``max(x, 0)`` (Nair and Hinton 2010)."""

    title = "max(x, 0)"
    kinked = True
    type: Literal["relu"] = "relu"


class LeakyRelu(_Activation):
    """``x`` where positive, else ``slope x`` (Maas et al. 2013)."""

    title = "x, or slope times x where negative"
    rounded = ("slope",)
    kinked = True
    per_value = 2
    type: Literal["leaky_relu"] = "leaky_relu"
    slope: Annotated[float, Open] = Field(default=0.01, ge=0)
    """Factor for negative values."""


class Gelu(_Activation):
    """``x Phi(x)`` with the exact normal distribution function, or its tanh form (Hendrycks and
    Gimpel 2016).
    """

    title = "x times the normal distribution function of x"
    # 1/sqrt(2), or 0.044715 of the tanh form
    rounded = ("constants",)
    per_value = 5
    type: Literal["gelu"] = "gelu"
    approximate: Annotated[bool, Open] = False
    """True: ``x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))``."""


class Sigmoid(_Activation):
    """``1 / (1 + exp(-x))``."""

    title = "1 / (1 + exp(-x))"
    probabilities_of = "binary"
    per_value = 3
    type: Literal["sigmoid"] = "sigmoid"


class Tanh(_Activation):
    """``tanh(x)``."""

    title = "hyperbolic tangent"
    type: Literal["tanh"] = "tanh"


class Softmax(_Activation):
    """``exp(x_i) / sum_j exp(x_j)`` over the last axis. Losses start from logits: do not end a
    model with it.
    """

    title = "softmax over the last axis"
    probabilities_of = "classification"
    is_activation = False
    per_value = 4
    type: Literal["softmax"] = "softmax"
