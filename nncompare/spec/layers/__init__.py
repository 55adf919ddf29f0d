"""Every layer, as a frozen description. ``AnyLayer`` is their union, told apart by ``type``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from nncompare.spec.layers.activation import Gelu, LeakyRelu, Relu, Sigmoid, Softmax, Tanh
from nncompare.spec.layers.attention import Attention
from nncompare.spec.layers.base import Layer, Parameter, Role, TensorSpec
from nncompare.spec.layers.convolution import AvgPool2d, Conv2d, MaxPool2d, pad_amounts
from nncompare.spec.layers.linear import Dense, Embedding, Position
from nncompare.spec.layers.normalization import BatchNorm, Dropout, LayerNorm
from nncompare.spec.layers.recurrent import Gru, Lstm, Rnn
from nncompare.spec.layers.structure import Flatten, LastStep, MeanTime, Reshape


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
    shortcut: tuple[AnyLayer, ...] = ()
    """Layers on the way around, for instance a strided 1x1 convolution; empty: the identity."""


AnyLayer = Annotated[
    Dense
    | Conv2d
    | MaxPool2d
    | AvgPool2d
    | Flatten
    | Reshape
    | Embedding
    | Position
    | Rnn
    | Lstm
    | Gru
    | Attention
    | LayerNorm
    | BatchNorm
    | Dropout
    | Relu
    | LeakyRelu
    | Gelu
    | Sigmoid
    | Tanh
    | Softmax
    | Residual
    | LastStep
    | MeanTime,
    Field(discriminator="type"),
]
Residual.model_rebuild()

LAYERS: dict[str, type[Layer]] = {
    cls.model_fields["type"].default: cls for cls in get_args(get_args(AnyLayer)[0])
}
"""Every layer class by its ``type``, in the order of ``nncompare list``."""

__all__ = [
    "LAYERS",
    "AnyLayer",
    "Attention",
    "AvgPool2d",
    "BatchNorm",
    "Conv2d",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "Gelu",
    "Gru",
    "LastStep",
    "Layer",
    "LayerNorm",
    "LeakyRelu",
    "Lstm",
    "MaxPool2d",
    "MeanTime",
    "Parameter",
    "Position",
    "Relu",
    "Reshape",
    "Residual",
    "Rnn",
    "Role",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "TensorSpec",
    "pad_amounts",
]
