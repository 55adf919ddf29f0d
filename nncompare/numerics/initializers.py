"""Initial weights, drawn once in NumPy so that every backend starts from the same numbers.

The stream of a parameter depends on the seed and its canonical name alone.
"""

from __future__ import annotations

from math import prod, sqrt
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from nncompare.numerics.arrays import Array, Params
from nncompare.numerics.keys import generator
from nncompare.spec.initializers import InitializerName
from nncompare.spec.layers import Parameter
from nncompare.spec.model import Model

# The scale if the file gives none; 1 for all others.
_SCALE: dict[InitializerName, float] = {
    "uniform": 0.05,
    "normal": 0.05,
    "kaiming_uniform": sqrt(2),
    "kaiming_normal": sqrt(2),
}


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
    scale = initializer.scale
    if scale is None:
        scale = _SCALE.get(initializer.name, 1.0)
    stream = generator(seed, name)
    blocks = [_block(parameter, scale, stream) for _ in range(parameter.gates)]
    if initializer.name == "forget_gate":
        # gate order i, f, g, o
        blocks[1] = np.full_like(blocks[1], scale)
    return np.concatenate(blocks, axis=-1)


def _block(parameter: Parameter, scale: float, stream: np.random.Generator) -> Array:
    """Initial values of one gate, or of the whole parameter where it has no gates."""
    fan_in = parameter.fan_in
    fans = fan_in + parameter.fan_out
    shape = (*parameter.shape[:-1], parameter.shape[-1] // parameter.gates)
    match parameter.initializer.name:
        case "uniform":
            half_width = scale
        case "xavier_uniform":
            # Glorot and Bengio 2010, equation 16
            half_width = scale * sqrt(6 / fans)
        case "kaiming_uniform":
            # He et al. 2015: the deviation is gain / sqrt(fan_in)
            half_width = scale * sqrt(3 / fan_in)
        case "normal":
            # not truncated
            return stream.normal(0.0, scale, shape)
        case "xavier_normal":
            # Glorot and Bengio 2010, equation 12
            return stream.normal(0.0, scale * sqrt(2 / fans), shape)
        case "kaiming_normal":
            # He et al. 2015, equation 10, where gain is sqrt(2)
            return stream.normal(0.0, scale / sqrt(fan_in), shape)
        case "orthogonal":
            return scale * _orthogonal(shape, parameter.row_axes, stream)
        case "ones":
            return np.full(shape, scale)
        case "zeros" | "forget_gate":
            return np.zeros(shape)
        case _ as unknown:
            assert_never(unknown)
    return stream.uniform(-half_width, half_width, shape)


def _orthogonal(shape: tuple[int, ...], row_axes: int, stream: np.random.Generator) -> Array:
    """A matrix with orthonormal rows or columns, whichever are fewer (Saxe et al. 2014), in this
    shape.

    The Q of a normal matrix is uniformly distributed only if R's diagonal is made positive
    (Mezzadri 2007).
    """
    rows = prod(shape[:row_axes])
    columns = prod(shape[row_axes:])
    q, r = np.linalg.qr(stream.normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diagonal(r) < 0, -1.0, 1.0)
    if rows < columns:
        q = q.T
    return q.reshape(shape)


def initial_params(model: Model, seed: int) -> Params:
    """Canonical name -> initial values in float64, for every parameter and running statistic of
    ``model``.
    """
    return {name: draw(parameter, name, seed) for name, parameter in model.parameters.items()}
