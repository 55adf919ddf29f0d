"""Layer normalization, batch normalization and dropout."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nncompare.spec.frozen import Open
from nncompare.spec.initializers import ONES, ZEROS
from nncompare.spec.layers.base import Layer, Parameter, TensorSpec


class LayerNorm(Layer):
    """``(x - mean) / sqrt(var + epsilon) * scale + bias`` over the last axis, biased variance (Ba
    et al. 2016).
    """

    title: ClassVar[str] = "normalization over the last axis of each example"
    type: Literal["layer_norm"] = "layer_norm"
    epsilon: Annotated[float, Open] = Field(default=1e-5, gt=0)
    """Added to the variance under the root."""

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_floats(x)
        return x

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        shape = (x.shape[-1],)
        return (
            Parameter(name="scale", shape=shape, role="scale", initializer=ONES),
            Parameter(name="bias", shape=shape, role="bias", initializer=ZEROS),
        )

    def flops(self, x: TensorSpec) -> int:
        return 8 * x.size


class BatchNorm(Layer):
    """Normalization over the batch and all axes but the last (Ioffe and Szegedy 2015).

    Training uses the batch's mean and biased variance; evaluation uses running statistics,
    ``running = (1 - momentum) running + momentum batch``, with the *unbiased* batch variance (their
    Algorithm 2).
    """

    title: ClassVar[str] = "normalization over the batch, per channel"
    type: Literal["batch_norm"] = "batch_norm"
    epsilon: Annotated[float, Open] = Field(default=1e-5, gt=0)
    """Added to the variance under the root."""
    momentum: Annotated[float, Open] = Field(default=0.1, gt=0, le=1)
    """Weight of the newest batch in the running statistics (PyTorch's sense; Keras's is one minus
    this).
    """

    @property
    def running_momentum(self) -> float:
        return self.momentum

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_floats(x)
        return x

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        shape = (x.shape[-1],)
        return (
            Parameter(name="scale", shape=shape, role="scale", initializer=ONES),
            Parameter(name="bias", shape=shape, role="bias", initializer=ZEROS),
            Parameter(name="running_mean", shape=shape, role="running", initializer=ZEROS),
            Parameter(name="running_variance", shape=shape, role="running", initializer=ONES),
        )

    def flops(self, x: TensorSpec) -> int:
        return 8 * x.size


class Dropout(Layer):
    """In training zeroes each value with probability ``rate`` and divides the rest by ``1 - rate``.

    (Srivastava et al. 2014, in the inverted form.) Evaluation passes the input through.
    """

    title: ClassVar[str] = "inverted dropout"
    type: Literal["dropout"] = "dropout"
    rate: float = Field(ge=0, lt=1)
    """Share of the values that are zeroed."""

    @property
    def drop_rate(self) -> float:
        return self.rate

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_floats(x)
        return x

    def flops(self, x: TensorSpec) -> int:
        return 2 * x.size
