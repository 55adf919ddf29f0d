"""Dropout masks from a counter, so that every backend drops the same values and any step can be
made alone.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from numpy.typing import NDArray

from nncompare.numerics.keys import philox
from nncompare.spec.model import Model


def keep_mask(
    seed: int, node: str, step: int, shape: tuple[int, ...], rate: float
) -> NDArray[np.bool_]:
    """Which values dropout keeps: True with probability ``1 - rate`` (Srivastava et al. 2014).

    The output of dropout in training is ``x * mask / (1 - rate)``. The bits come from Philox
    (Salmon et al. 2011) with a key made of ``seed`` and ``node`` and a counter whose upper half is
    ``step``, so that no two steps share a block and none needs those before it. A value is dropped
    if its 32 bits, as a fraction of 2**32, are below ``rate``; the probability is exact to 2**-33.

    Args:
        seed: of the job.
        node: name of the dropout's node, ``dropout_1``.
        step: of the whole training, from 0.
        shape: of the value, batch included, in canonical layout.
        rate: probability of dropping, 0 <= rate < 1.

    Returns:
        Booleans of ``shape``.
    """
    values = prod(shape)
    # two masks' bits in each number of 64
    numbers = philox(seed, f"mask/{node}", step << 128).random_raw(-(-values // 2))
    bits = numbers.view(np.uint32)[:values]
    # a rate near 1 would round to 2**32, which has no place in 32 bits
    threshold = min(round(rate * 2**32), 2**32 - 1)
    return (bits >= np.uint32(threshold)).reshape(shape)


def masks_of_step(
    model: Model, seed: int, step: int
) -> Callable[[str, tuple[int, ...]], NDArray[np.bool_]]:
    """``(node, shape)`` -> the values that this dropout keeps at a step, see ``keep_mask``."""
    rates = model.drop_rates
    return lambda node, shape: keep_mask(seed, node, step, shape, rates[node])
