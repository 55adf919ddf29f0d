"""Layer normalization, batch normalization and dropout."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from nncompare.spec.frozen import Open
from nncompare.spec.initializers import ONES
from nncompare.spec.layers.base import Layer, Parameter, TensorSpec


class _Normalization(Layer):
    """To mean 0 and variance 1, then times ``scale`` plus ``bias``."""

    epsilon: Annotated[float, Open] = Field(default=1e-5, gt=0)
    """Added to the variance under the root."""

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        shape = (x.shape[-1],)
        # it starts as the plain normalization
        return (
            Parameter(name="scale", shape=shape, role="scale", initializer=ONES),
            Parameter(name="bias", shape=shape, role="bias"),
        )

    def flops(self, x: TensorSpec) -> int:
        return 8 * x.size


class LayerNorm(_Normalization):
    """``(x - mean) / sqrt(var + epsilon) * scale + bias`` over the last axis, biased variance (Ba
    et al. 2016).
    """

    title = "normalization over the last axis of each example"
    type: Literal["layer_norm"] = "layer_norm"


class BatchNorm(_Normalization):
    """Normalization over the batch and all axes but the last (Ioffe and Szegedy 2015).

    Training uses the batch's mean and biased variance; evaluation uses running statistics,
    ``running = (1 - momentum) running + momentum batch``, with the *unbiased* batch variance (their
    Algorithm 2).
    """

    title = "normalization over the batch, per channel"
    type: Literal["batch_norm"] = "batch_norm"
    momentum: Annotated[float, Open] = Field(default=0.1, gt=0, le=1)
    """Weight of the newest batch in the running statistics (PyTorch's sense; Keras's is one minus
    this).
    """

    @property
    def running_momentum(self) -> float:
        return self.momentum

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        shape = (x.shape[-1],)
        return (
            *super().parameters(x),
            Parameter(name="running_mean", shape=shape, role="running"),
            Parameter(name="running_variance", shape=shape, role="running", initializer=ONES),
        )


class Dropout(Layer):
    """In training zeroes each value with probability ``rate`` and divides the rest by ``1 - rate``.

    (Srivastava et al. 2014, in the inverted form.) Evaluation passes the input through.
    """

    title = "inverted dropout"
    type: Literal["dropout"] = "dropout"
    rate: float = Field(ge=0, lt=1)
    """Share of the values that are zeroed."""

    @property
    def drop_rate(self) -> float:
        return self.rate

    def flops(self, x: TensorSpec) -> int:
        return 2 * x.size
