"""Initial weights, drawn once in NumPy so that every backend starts from the same numbers.

The stream of a parameter depends on the seed and its canonical name alone.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nncompare.numerics.keys import generator
from nncompare.spec.initializers import InitializerName
from nncompare.spec.layers import Parameter
from nncompare.spec.model import Model

Array = NDArray[Any]
Params = dict[str, Array]
_Draw = Callable[[np.random.Generator, Parameter, tuple[int, ...], float], Array]


def _uniform(
    stream: np.random.Generator, parameter: Parameter, shape: tuple[int, ...], half_width: float
) -> Array:
    """Uniform on ``[-scale, scale)``."""
    return stream.uniform(-half_width, half_width, shape)


def _normal(
    stream: np.random.Generator, parameter: Parameter, shape: tuple[int, ...], deviation: float
) -> Array:
    """Normal with mean 0 and standard deviation ``scale``, not truncated."""
    return stream.normal(0.0, deviation, shape)


def _xavier_uniform(
    stream: np.random.Generator, parameter: Parameter, shape: tuple[int, ...], gain: float
) -> Array:
    """Uniform within ``gain sqrt(6 / (fan_in + fan_out))`` (Glorot and Bengio 2010,
    equation 16).
    """
    return _uniform(
        stream, parameter, shape, gain * sqrt(6 / (parameter.fan_in + parameter.fan_out))
    )


def _xavier_normal(
    stream: np.random.Generator, parameter: Parameter, shape: tuple[int, ...], gain: float
) -> Array:
    """Normal with deviation ``gain sqrt(2 / (fan_in + fan_out))`` (Glorot and Bengio 2010, equation
    12).
    """
    return _normal(
        stream, parameter, shape, gain * sqrt(2 / (parameter.fan_in + parameter.fan_out))
    )


def _kaiming_uniform(
    stream: np.random.Generator, parameter: Parameter, shape: tuple[int, ...], gain: float
) -> Array:
    """Uniform with deviation ``gain / sqrt(fan_in)``, so within ``gain sqrt(3 / fan_in)`` (He et
    al. 2015).
    """
    return _uniform(stream, parameter, shape, gain * sqrt(3 / parameter.fan_in))


def _kaiming_normal(
    stream: np.random.Generator, parameter: Parameter, shape: tuple[int, ...], gain: float
) -> Array:
    """Normal with deviation ``gain / sqrt(fan_in)`` (He et al. 2015, equation 10, where gain is
    sqrt(2)).
    """
    return _normal(stream, parameter, shape, gain / sqrt(parameter.fan_in))


def _orthogonal(
    stream: np.random.Generator, parameter: Parameter, shape: tuple[int, ...], gain: float
) -> Array:
    """``gain`` times a matrix with orthonormal rows or columns, whichever are fewer (Saxe et al.
    2014).

    The Q of a normal matrix is uniformly distributed only if R's diagonal is made positive
    (Mezzadri 2007).
    """
    rows, columns = prod(shape[: parameter.row_axes]), prod(shape[parameter.row_axes :])
    q, r = np.linalg.qr(stream.normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    return gain * (q if rows >= columns else q.T).reshape(shape)


def _zeros(
    stream: np.random.Generator, parameter: Parameter, shape: tuple[int, ...], gain: float
) -> Array:
    return np.zeros(shape)


def _ones(
    stream: np.random.Generator, parameter: Parameter, shape: tuple[int, ...], gain: float
) -> Array:
    return np.full(shape, gain)


_DRAW: dict[InitializerName, tuple[_Draw, float]] = {
    "uniform": (_uniform, 0.05),
    "normal": (_normal, 0.05),
    "xavier_uniform": (_xavier_uniform, 1.0),
    "xavier_normal": (_xavier_normal, 1.0),
    "kaiming_uniform": (_kaiming_uniform, sqrt(2)),
    "kaiming_normal": (_kaiming_normal, sqrt(2)),
    "orthogonal": (_orthogonal, 1.0),
    "zeros": (_zeros, 1.0),
    "ones": (_ones, 1.0),
    "forget_gate": (_zeros, 1.0),
}
"""How each draws one block, and its scale if the file gives none."""


def draw(parameter: Parameter, name: str, seed: int) -> NDArray[np.float64]:
    """Initial values of one parameter.

    ``Initializer.scale`` is the half-width of ``uniform``, the standard deviation of ``normal``,
    the value of ``ones`` and of ``forget_gate``'s forget block, and the gain of all others
    (``zeros`` has none); the defaults are 0.05, 0.05, 1 and 1, and a gain of sqrt(2) for Kaiming, 1
    for Xavier and orthogonal. With ``gates`` > 1 each block of the last axis is drawn by itself,
    one after the other from the same stream, with the fans of one gate.

    Args:
        parameter: shape, initializer, fans.
        name: canonical name, ``dense_1.kernel``.
        seed: of the round.

    Returns:
        ``parameter.shape`` float64.
    """
    initializer = parameter.initializer
    block, default = _DRAW[initializer.name]
    scale = default if initializer.scale is None else initializer.scale
    stream = generator(seed, name)
    shape = (*parameter.shape[:-1], parameter.shape[-1] // parameter.gates)
    blocks = [block(stream, parameter, shape, scale) for _ in range(parameter.gates)]
    if initializer.name == "forget_gate":
        blocks[1] = np.full(shape, scale)  # gate order i, f, g, o
    return np.asarray(np.concatenate(blocks, axis=-1), np.float64)


def initial_params(model: Model, seed: int) -> Params:
    """Canonical name -> initial values in float64, for every parameter and running statistic of
    ``model``.
    """
    return {name: draw(parameter, name, seed) for name, parameter in model.parameters.items()}
