"""Two-dimensional convolution and pooling on images ``(height, width, channels)``."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from nncompare.spec.frozen import LIMIT
from nncompare.spec.initializers import XAVIER_UNIFORM, InitializerField
from nncompare.spec.layers.base import Layer, Parameter, TensorSpec


def _pair(value: Any) -> Any:
    # True is a whole number for Python; it stays as it is, to be refused
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, value)
    return value


Size = Annotated[int, Field(gt=0, le=LIMIT)]
Amount = Annotated[int, Field(ge=0, le=LIMIT)]
Pair = Annotated[
    tuple[Size, Size], BeforeValidator(_pair, json_schema_input_type=Size | tuple[Size, Size])
]
"""Two sizes, vertical and horizontal; in YAML one number means both."""
Padding = (
    Literal["valid", "same"]
    | Annotated[
        tuple[Amount, Amount],
        BeforeValidator(_pair, json_schema_input_type=Amount | tuple[Amount, Amount]),
    ]
)
"""``valid`` (none), ``same`` (see ``pad_amounts``), or explicit: the zeros on each side, vertical
and horizontal.
"""


def pad_amounts(size: int, window: int, stride: int, padding: str | int) -> tuple[int, int]:
    """Zeros before and after one axis.

    ``same`` gives ``ceil(size / stride)`` outputs; an odd total puts the extra zero *after*, the
    definition of Abadi et al. (TensorFlow) that Keras shares. Every backend takes the amounts from
    here.
    """
    if padding == "valid":
        return (0, 0)
    if padding == "same":
        outputs = -(-size // stride)
        total = max((outputs - 1) * stride + window - size, 0)
        return (total // 2, total - total // 2)
    return (int(padding), int(padding))


class _Window(Layer):
    """A window that slides over an image."""

    # each subclass has its own kinds of padding, and its place for them among its fields
    if TYPE_CHECKING:
        padding: Padding

    def window(self) -> tuple[int, int]:
        raise NotImplementedError

    def strides(self) -> tuple[int, int]:
        raise NotImplementedError

    def pads(self, x: TensorSpec) -> tuple[tuple[int, int], tuple[int, int]]:
        """Zeros (top, bottom), (left, right) for this input."""
        height, width, _channels = x.shape
        high, wide = self.window()
        down, across = self.strides()
        padding = self.padding
        # a word stands for both axes
        vertical, horizontal = (padding, padding) if isinstance(padding, str) else padding
        return (
            pad_amounts(height, high, down, vertical),
            pad_amounts(width, wide, across, horizontal),
        )

    def output_size(self, x: TensorSpec, field: str) -> tuple[int, int]:
        self.need_rank(x, 3, "an image (height, width, channels)")
        sizes = []
        axes = zip(x.shape[:2], self.window(), self.strides(), self.pads(x), strict=True)
        for axis, (size, window, stride, zeros) in zip(("high", "wide"), axes, strict=True):
            padded = size + sum(zeros)
            if window > padded:
                self.refuse(
                    f"{field} of {window} is larger than its padded input, {padded} {axis}", field
                )
            sizes.append((padded - window) // stride + 1)
        return sizes[0], sizes[1]


class Conv2d(_Window):
    """Cross-correlation with ``filters`` kernels and a bias (LeCun et al. 1998).

    ``(H, W, C) -> (H', W', filters)``.
    """

    title = "two-dimensional convolution"
    type: Literal["conv2d"] = "conv2d"
    filters: int = Field(gt=0, le=LIMIT)
    """Number of filters."""
    kernel: Pair = (3, 3)
    """Height and width of the kernel; one number means both."""
    stride: Pair = (1, 1)
    """Steps of the window; one number means both directions."""
    padding: Padding = "valid"
    """``valid`` (none), ``same`` (as many outputs as inputs at stride 1), or explicit zeros on each
    side.
    """
    bias: bool = True
    """Whether it has a bias."""
    initializer: InitializerField = XAVIER_UNIFORM
    """How the kernels start; a name or ``{name: …, scale: …}``, see [initializers](#initializers).
    """

    def window(self) -> tuple[int, int]:
        return self.kernel

    def strides(self) -> tuple[int, int]:
        return self.stride

    def output(self, x: TensorSpec) -> TensorSpec:
        return TensorSpec((*self.output_size(x, "kernel"), self.filters))

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        kernel = Parameter(
            name="kernel",
            shape=(*self.kernel, x.shape[-1], self.filters),
            role="kernel",
            initializer=self.initializer,
            row_axes=3,
            window=prod(self.kernel),
        )
        bias = Parameter(name="bias", shape=(self.filters,), role="bias")
        return (kernel, bias) if self.bias else (kernel,)

    def flops(self, x: TensorSpec) -> int:
        # a multiplication and an addition for each input, and one more addition of the bias
        per_output = 2 * prod(self.kernel) * x.shape[-1] + self.bias
        return self.output(x).size * per_output


class _Pool(_Window):
    pool: Pair = (2, 2)
    """Height and width of the window; one number means both."""
    stride: Pair | None = None
    """Default: the window's own size."""
    padding: Literal["valid", "same"] = "valid"
    """``valid`` (none) or ``same`` (as many outputs as inputs at stride 1)."""

    def window(self) -> tuple[int, int]:
        return self.pool

    def strides(self) -> tuple[int, int]:
        return self.stride or self.pool

    def output(self, x: TensorSpec) -> TensorSpec:
        return TensorSpec((*self.output_size(x, "pool"), x.shape[-1]))

    def flops(self, x: TensorSpec) -> int:
        return self.output(x).size * prod(self.pool)


class MaxPool2d(_Pool):
    """Largest value of each window; padding never wins. ``(H, W, C) -> (H', W', C)``."""

    title = "largest value of each window"
    kinked = True
    type: Literal["max_pool2d"] = "max_pool2d"


class AvgPool2d(_Pool):
    """Mean of each window over the real values only; padding is not counted. ``(H, W, C) -> (H',
    W', C)``.
    """

    title = "mean of each window"
    type: Literal["avg_pool2d"] = "avg_pool2d"

    def averages_padding(self, x: TensorSpec) -> bool:
        # an odd zero stands after: where none stands after, none stands before
        (_top, bottom), (_left, right) = self.pads(x)
        return bottom > 0 or right > 0
