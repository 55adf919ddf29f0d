"""What every layer can say of itself: its output, its parameters and its work."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar, Literal, NoReturn

from nncompare.errors import ShapeError
from nncompare.spec.frozen import Frozen
from nncompare.spec.initializers import ZEROS, Initializer

Role = Literal["kernel", "recurrent", "bias", "embedding", "scale", "running"]
"""``running`` marks statistics that training updates without a gradient (BatchNorm's mean and
variance).
"""
START_FIELDS: dict[Role, str] = {
    "kernel": "initializer",
    "embedding": "initializer",
    "recurrent": "recurrent_initializer",
}
"""The layer's field that says how the parameters of a role start; the other roles have none."""


@dataclass(frozen=True)
class TensorSpec:
    """The shape of one example, without the batch axis.

    Args:
        shape: ``(features,)``, ``(height, width, channels)``, ``(steps,)`` for tokens, ``(steps,
            features)``.
        vocabulary: the number of distinct tokens if the values are integer tokens, else None
            (floats).
    """

    shape: tuple[int, ...]
    vocabulary: int | None = None

    @property
    def size(self) -> int:
        """Number of values in one example."""
        return prod(self.shape)

    @property
    def is_tokens(self) -> bool:
        return self.vocabulary is not None

    def __str__(self) -> str:
        kind = f" tokens of {self.vocabulary}" if self.is_tokens else ""
        return f"{self.shape}{kind}"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One array of a layer, in its canonical layout (see ``numerics.layout``).

    Args:
        name: the name inside its layer, ``kernel``; the canonical name is ``dense_1.kernel``.
        shape: canonical shape.
        role: what it is for. Only ``kernel`` and ``recurrent`` are penalized by L1 and L2.
        initializer: how it starts.
        gates: the last axis holds this many blocks side by side, each initialized by itself.
        row_axes: the leading axes that one output sums over, the rows of the matrix that
            ``orthogonal`` draws.
        window: places of a convolution's kernel: as many outputs see one input.
    """

    name: str
    shape: tuple[int, ...]
    role: Role
    initializer: Initializer = ZEROS
    gates: int = 1
    row_axes: int = 1
    window: int = 1

    @property
    def fan_in(self) -> int:
        """Inputs of one output, for the Xavier and Kaiming formulas."""
        return prod(self.shape[: self.row_axes])

    @property
    def fan_out(self) -> int:
        """Outputs of one input, of one gate."""
        return self.window * prod(self.shape[self.row_axes :]) // self.gates

    @property
    def trainable(self) -> bool:
        return self.role != "running"

    @property
    def penalized(self) -> bool:
        return self.role in ("kernel", "recurrent")

    @property
    def size(self) -> int:
        return prod(self.shape)


class Layer(Frozen):
    """One frozen, framework-free description of a layer.

    A subclass sets ``type`` (its name in YAML), its fields, its traits, and answers three questions
    about an input without the batch axis. To add a layer see ``docs/add-a-layer.md``.

    The traits are what the rest of the package asks of a layer, so that no other file has to know
    its name. Most layers keep the defaults.
    """

    title: ClassVar[str]
    """One line for ``nncompare list``."""

    recurrent: ClassVar[bool] = False
    """Goes through its input step by step, each from the state that the one before has left."""

    takes_tokens: ClassVar[bool] = False
    """Its input are integer tokens, which look up rows of a table."""

    attends: ClassVar[bool] = False
    """Every step looks at other steps of the sequence, by products of queries and keys."""

    sums_biases: ClassVar[bool] = False
    """Its bias stands where a framework may train the sum of two."""

    probabilities_of: ClassVar[str | None] = None
    """The task whose logits it turns into probabilities."""

    rounded: ClassVar[tuple[str, ...]] = ()
    """Numbers of its formula that a framework may round to float32 in a float64 run: fields, or
    words for what the formula has of its own.
    """

    kinked: ClassVar[bool] = False
    """Its function has kinks, at which there is no derivative."""

    computes: ClassVar[bool] = True
    """False: it hands values on as they are, or leaves all arithmetic to the layers inside it."""

    is_activation: ClassVar[bool] = False
    """A function of each value by itself that needs no field, so that families offer it as one."""

    inside: ClassVar[tuple[str, ...]] = ()
    """The fields that hold layers."""

    start_fields: ClassVar[dict[Role, str]] = START_FIELDS

    type: str

    def output(self, x: TensorSpec) -> TensorSpec:
        """Shape of the output for input ``x``; that of the input, if the subclass does not say.

        Raises:
            ShapeError: the layer cannot take this input.
        """
        self.need_floats(x)
        return x

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        """Parameters and running statistics, in the order in which they are reported."""
        return ()

    @property
    def drop_rate(self) -> float | None:
        """Probability with which training zeroes a value, at random; None: nothing is random."""
        return None

    @property
    def running_momentum(self) -> float | None:
        """Weight of the newest batch in the running statistics; None: there are none."""
        return None

    @property
    def differs_in_training(self) -> bool:
        """Whether training computes another function than inference."""
        return self.drop_rate is not None or self.running_momentum is not None

    def averages_padding(self, x: TensorSpec) -> bool:
        """Whether it takes means over places some of which are padding for this input, so that it
        matters whether they are counted.
        """
        return False

    def gives_start(self, parameter: Parameter) -> bool:
        """Whether the file says how this parameter starts; if not, a framework's own start is
        native.
        """
        field = self.start_fields.get(parameter.role)
        return field is not None and not self.leaves_open(field)

    def flops(self, x: TensorSpec) -> int:
        """Forward floating-point operations for one example.

        A multiplication and an addition count as two, every other elementary function as one.
        """
        return 0

    def label(self) -> str:
        """The fields that are not at their defaults, for ``nncompare show``."""
        fields = self.model_dump(exclude_defaults=True, exclude={"type", *self.inside})
        return ", ".join(f"{name}={_short(value)}" for name, value in fields.items())

    def refuse(self, message: str, field: str | None = None) -> NoReturn:
        raise ShapeError(f"{self.type}: {message}", field=field)

    def need_floats(self, x: TensorSpec) -> None:
        if x.is_tokens:
            self.refuse(f"needs numbers, but its input is {x}; put an embedding before it")

    def need_rank(self, x: TensorSpec, rank: int, what: str) -> None:
        self.need_floats(x)
        if len(x.shape) != rank:
            self.refuse(f"needs {what}, but its input has shape {x}")


def _short(value: object) -> str:
    # an initializer: its name, and its scale where it has one
    if isinstance(value, dict):
        return "/".join(str(item) for item in value.values() if item is not None)
    if isinstance(value, (tuple, list)):
        return "x".join(map(_short, value))
    return str(value)
