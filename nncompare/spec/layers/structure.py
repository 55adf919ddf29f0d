"""Layers that move or combine values: flatten, reshape, last step, mean over time, residual."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from nncompare.spec.layers.base import Layer, TensorSpec

if TYPE_CHECKING:
    from nncompare.spec.layers import AnyLayer


class Flatten(Layer):
    """All axes in one, in canonical order (height, width, channel). ``(H, W, C) -> (H W C,)``."""

    title: ClassVar[str] = "all axes in one"
    computes: ClassVar[bool] = False
    type: Literal["flatten"] = "flatten"

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_floats(x)
        return TensorSpec((x.size,))


class Reshape(Layer):
    """Another shape for the same values in canonical order; one size may be -1. ``(H, W, C) -> (H
    W, C)``.
    """

    title: ClassVar[str] = "another shape for the same values"
    computes: ClassVar[bool] = False
    type: Literal["reshape"] = "reshape"
    shape: tuple[Annotated[int, Field(ge=-1)], ...] = Field(min_length=1)
    """The new shape of one example; one size may be -1."""

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_floats(x)
        known = prod(size for size in self.shape if size != -1)
        if 0 in self.shape or self.shape.count(-1) > 1:
            self.refuse("sizes are positive, and at most one is -1", "shape")
        if (-1 in self.shape and x.size % known) or (-1 not in self.shape and known != x.size):
            self.refuse(f"{x.size} values of {x} do not fit {list(self.shape)}", "shape")
        return TensorSpec(tuple(x.size // known if size == -1 else size for size in self.shape))


class LastStep(Layer):
    """The last step of a sequence. ``(T, F) -> (F,)``."""

    title: ClassVar[str] = "last step of a sequence"
    computes: ClassVar[bool] = False
    type: Literal["last_step"] = "last_step"

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_rank(x, 2, "a sequence (steps, features)")
        return TensorSpec(x.shape[1:])


class MeanTime(Layer):
    """The mean over the steps of a sequence. ``(T, F) -> (F,)``."""

    title: ClassVar[str] = "mean over the steps of a sequence"
    type: Literal["mean_time"] = "mean_time"

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_rank(x, 2, "a sequence (steps, features)")
        return TensorSpec(x.shape[1:])

    def flops(self, x: TensorSpec) -> int:
        return x.size


class Residual(Layer):
    """``y = shortcut(x) + layers(x)`` (He et al. 2016); without ``shortcut`` the input itself is
    added.

    Its shapes, parameters and work are those of the layers inside, found by ``spec.model.resolve``.
    """

    title: ClassVar[str] = "a list of layers around which the input is added"
    computes: ClassVar[bool] = False
    inside: ClassVar[tuple[str, ...]] = ("layers", "shortcut")
    type: Literal["residual"] = "residual"
    layers: tuple[AnyLayer, ...] = Field(min_length=1)
    """The layers inside, in order."""
    shortcut: tuple[AnyLayer, ...] = ()
    """Layers on the way around, for instance a strided 1x1 convolution; empty: the identity."""
