"""Layers that move values without computing much: shapes, selections, residuals."""

from __future__ import annotations

import keras
from keras import KerasTensor

from nncompare.backends.keras.lowering import Build, lower_chain, lowering
from nncompare.spec.layers.structure import Flatten, LastStep, MeanTime, Reshape, Residual
from nncompare.spec.model import Node


@lowering(Flatten)
def flatten(node: Node[Flatten], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.Flatten``: height, width, channel."""
    return keras.layers.Flatten(name=node.name)(x)


@lowering(Reshape)
def reshape(node: Node[Reshape], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.Reshape``."""
    return keras.layers.Reshape(node.output.shape, name=node.name)(x)


@lowering(LastStep)
def last_step(node: Node[LastStep], x: KerasTensor, build: Build) -> KerasTensor:
    """``(N, T, F) -> (N, F)``."""
    return x[:, -1]


@lowering(MeanTime)
def mean_time(node: Node[MeanTime], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.GlobalAveragePooling1D``. ``(N, T, F) -> (N, F)``."""
    return keras.layers.GlobalAveragePooling1D(name=node.name)(x)


@lowering(Residual)
def residual(node: Node[Residual], x: KerasTensor, build: Build) -> KerasTensor:
    """``keras.layers.Add`` of two chains."""
    inner = lower_chain(node.children, x, build)
    outer = lower_chain(node.shortcut, x, build)
    return keras.layers.Add(name=node.name)([outer, inner])
