"""Simple RNN, LSTM and GRU over sequences ``(steps, features)``. Stack them by writing several."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from nncompare.spec.initializers import (
    ORTHOGONAL,
    XAVIER_UNIFORM,
    ZEROS,
    Initializer,
    InitializerField,
)
from nncompare.spec.layers.base import START_FIELDS, Layer, Parameter, Role, TensorSpec


class RecurrentLayer(Layer):
    """The base of all recurrent layers: a state that starts at zeros and goes along the steps."""

    recurrent: ClassVar[bool] = True
    gates: ClassVar[int]
    pointwise: ClassVar[int]
    """Elementwise operations per unit and step, apart from the two matrix products and their
    biases.
    """

    units: int = Field(gt=0)
    """Size of the output."""
    return_sequences: bool = False
    """True: every step's output ``(T, units)``; False: the last step's ``(units,)``."""
    initializer: InitializerField = XAVIER_UNIFORM
    """How the kernels start; a name or ``{name: …, scale: …}``, see [initializers](#initializers).
    """
    recurrent_initializer: InitializerField = ORTHOGONAL
    """How the recurrent kernel starts."""

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_rank(x, 2, "a sequence (steps, features)")
        return TensorSpec((x.shape[0], self.units) if self.return_sequences else (self.units,))

    def bias_initializer(self) -> Initializer:
        return ZEROS

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        features, width = x.shape[-1], self.gates * self.units
        kernel = Parameter(
            name="kernel",
            shape=(features, width),
            role="kernel",
            initializer=self.initializer,
            fan_in=features,
            fan_out=self.units,
            gates=self.gates,
        )
        recurrent = Parameter(
            name="recurrent_kernel",
            shape=(self.units, width),
            role="recurrent",
            initializer=self.recurrent_initializer,
            fan_in=self.units,
            fan_out=self.units,
            gates=self.gates,
        )
        bias = Parameter(
            name="bias",
            shape=(width,),
            role="bias",
            initializer=self.bias_initializer(),
            gates=self.gates,
        )
        return (kernel, recurrent, bias)

    def flops(self, x: TensorSpec) -> int:
        steps, features = x.shape
        width = self.gates * self.units
        return steps * (
            2 * width * (features + self.units) + 2 * width + self.pointwise * self.units
        )


class Rnn(RecurrentLayer):
    """``h_t = tanh(x_t W + h_{t-1} U + b)`` (Elman 1990)."""

    title: ClassVar[str] = "simple recurrent layer (tanh)"
    sums_biases: ClassVar[bool] = True
    gates: ClassVar[int] = 1
    pointwise: ClassVar[int] = 1
    type: Literal["rnn"] = "rnn"


class Lstm(RecurrentLayer):
    """Long short-term memory with forget gate (Gers, Schmidhuber and Cummins 2000), no peepholes.

    Gate order ``i, f, g, o``. ``c_t = f c_{t-1} + i g``, ``h_t = o tanh(c_t)``.
    """

    title: ClassVar[str] = "long short-term memory"
    sums_biases: ClassVar[bool] = True
    gates: ClassVar[int] = 4
    pointwise: ClassVar[int] = 9
    start_fields: ClassVar[dict[Role, str]] = {**START_FIELDS, "bias": "forget_bias"}
    type: Literal["lstm"] = "lstm"
    forget_bias: float = Field(default=1.0, ge=0)
    """Start of the forget gate's bias (Jozefowicz, Zaremba and Sutskever 2015)."""

    def bias_initializer(self) -> Initializer:
        return (
            Initializer(name="forget_gate", scale=self.forget_bias) if self.forget_bias else ZEROS
        )


class Gru(RecurrentLayer):
    """Gated recurrent unit (Cho et al. 2014) with the reset gate after the product, as cuDNN
    computes it.

    Gate order ``r, z, n``. ``n = tanh(x W_n + b_n + r (h U_n + c_n))``, ``h_t = (1 - z) n + z
    h_{t-1}``. It has two bias vectors, ``bias`` and ``recurrent_bias``.
    """

    title: ClassVar[str] = "gated recurrent unit"
    gates: ClassVar[int] = 3
    pointwise: ClassVar[int] = 8
    type: Literal["gru"] = "gru"

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        recurrent_bias = Parameter(
            name="recurrent_bias",
            shape=(self.gates * self.units,),
            role="bias",
            initializer=ZEROS,
            gates=self.gates,
        )
        return (*super().parameters(x), recurrent_bias)
