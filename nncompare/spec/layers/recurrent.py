"""Simple RNN, LSTM and GRU over sequences ``(steps, features)``. Stack them by writing several."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from nncompare.spec.frozen import LIMIT
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

    recurrent = True
    gates: ClassVar[int]
    pointwise: ClassVar[int]
    """Elementwise operations per unit and step, apart from the two matrix products and their
    biases.
    """

    units: int = Field(gt=0, le=LIMIT)
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
        steps = x.shape[:1] if self.return_sequences else ()
        return TensorSpec((*steps, self.units))

    def bias_initializer(self) -> Initializer:
        return ZEROS

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        width = self.gates * self.units
        kernel = Parameter(
            name="kernel",
            shape=(x.shape[-1], width),
            role="kernel",
            initializer=self.initializer,
            gates=self.gates,
        )
        recurrent = Parameter(
            name="recurrent_kernel",
            shape=(self.units, width),
            role="recurrent",
            initializer=self.recurrent_initializer,
            gates=self.gates,
        )
        return (kernel, recurrent, self._bias("bias", self.bias_initializer()))

    def _bias(self, name: str, initializer: Initializer) -> Parameter:
        shape = (self.gates * self.units,)
        return Parameter(
            name=name, shape=shape, role="bias", initializer=initializer, gates=self.gates
        )

    def flops(self, x: TensorSpec) -> int:
        steps, features = x.shape
        width = self.gates * self.units
        products = 2 * width * (features + self.units)
        # the input's and the state's product each have a bias to add, or the sum of both
        biases = 2 * width
        return steps * (products + biases + self.pointwise * self.units)


class Rnn(RecurrentLayer):
    """``h_t = tanh(x_t W + h_{t-1} U + b)`` (Elman 1990)."""

    title = "simple recurrent layer (tanh)"
    sums_biases = True
    gates = 1
    pointwise = 1
    type: Literal["rnn"] = "rnn"


class Lstm(RecurrentLayer):
    """Long short-term memory with forget gate (Gers, Schmidhuber and Cummins 2000), no peepholes.

    Gate order ``i, f, g, o``. ``c_t = f c_{t-1} + i g``, ``h_t = o tanh(c_t)``.
    """

    title = "long short-term memory"
    sums_biases = True
    gates = 4
    pointwise = 9
    start_fields: ClassVar[dict[Role, str]] = {**START_FIELDS, "bias": "forget_bias"}
    type: Literal["lstm"] = "lstm"
    forget_bias: float = Field(default=1.0, ge=0)
    """Start of the forget gate's bias (Jozefowicz, Zaremba and Sutskever 2015)."""

    def bias_initializer(self) -> Initializer:
        # an initializer's scale lies above zero, and zeros on one gate are zeros on all
        if self.forget_bias == 0:
            return ZEROS
        return Initializer(name="forget_gate", scale=self.forget_bias)


class Gru(RecurrentLayer):
    """Gated recurrent unit (Cho et al. 2014) with the reset gate after the product, as cuDNN
    computes it.

    Gate order ``r, z, n``. ``n = tanh(x W_n + b_n + r (h U_n + c_n))``, ``h_t = (1 - z) n + z
    h_{t-1}``. It has two bias vectors, ``bias`` and ``recurrent_bias``.
    """

    title = "gated recurrent unit"
    gates = 3
    pointwise = 8
    type: Literal["gru"] = "gru"

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        return (*super().parameters(x), self._bias("recurrent_bias", ZEROS))
