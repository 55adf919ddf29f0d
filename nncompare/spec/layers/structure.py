"""Layers that move or combine values: flatten, reshape, last step, mean over time, residual."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from nncompare.spec.frozen import LIMIT
from nncompare.spec.layers.base import Layer, TensorSpec

if TYPE_CHECKING:
    from nncompare.spec.layers import AnyLayer


class Flatten(Layer):
    """All axes in one, in canonical order (height, width, channel). ``(H, W, C) -> (H W C,)``."""

    title = "all axes in one"
    computes = False
    type: Literal["flatten"] = "flatten"

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_floats(x)
        return TensorSpec((x.size,))


class Reshape(Layer):
    """Another shape for the same values in canonical order; one size may be -1. ``(H, W, C) -> (H
    W, C)``.
    """

    title = "another shape for the same values"
    computes = False
    type: Literal["reshape"] = "reshape"
    shape: tuple[Annotated[int, Field(ge=-1, le=LIMIT)], ...] = Field(min_length=1)
    """The new shape of one example; one size may be -1."""

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_floats(x)
        if 0 in self.shape or self.shape.count(-1) > 1:
            self.refuse("sizes are positive, and at most one is -1", "shape")
        known = prod(size for size in self.shape if size != -1)
        # what is left for a size of -1; rounded down, so that a rest is seen below
        rest = x.size // known
        found = TensorSpec(tuple(rest if size == -1 else size for size in self.shape))
        if found.size != x.size:
            self.refuse(f"{x.size} values of {x} do not fit {list(self.shape)}", "shape")
        return found


class _OverSteps(Layer):
    """One row of features for all steps of a sequence."""

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_rank(x, 2, "a sequence (steps, features)")
        return TensorSpec(x.shape[1:])


class LastStep(_OverSteps):
    """The last step of a sequence. ``(T, F) -> (F,)``."""

    title = "last step of a sequence"
    computes = False
    type: Literal["last_step"] = "last_step"


class MeanTime(_OverSteps):
    """The mean over the steps of a sequence. ``(T, F) -> (F,)``."""

    title = "mean over the steps of a sequence"
    type: Literal["mean_time"] = "mean_time"

    def flops(self, x: TensorSpec) -> int:
        return x.size


class Residual(Layer):
    """``y = shortcut(x) + layers(x)`` (He et al. 2016); without ``shortcut`` the input itself is
    added.

    Its shapes, parameters and work are those of the layers inside, found by ``spec.model.resolve``.
    """

    title = "a list of layers around which the input is added"
    computes = False
    inside = ("layers", "shortcut")
    type: Literal["residual"] = "residual"
    layers: tuple[AnyLayer, ...] = Field(min_length=1)
    """The layers inside, in order."""
    shortcut: tuple[AnyLayer, ...] = ()
    """Layers on the way around, for instance a strided 1x1 convolution; empty: the identity."""
