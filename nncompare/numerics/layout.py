"""The legend of canonical layouts.

=====================  ===========================================================================
images                 ``(N, height, width, channels)``, NHWC
sequences              ``(N, T)`` integer tokens or ``(N, T, F)`` features
dense kernel           ``(in, out)``
convolution kernel     ``(height, width, in, out)``, HWIO
recurrent kernels      ``(in, gates * hidden)`` and ``(hidden, gates * hidden)``, gates side by side
attention projections  ``(E, heads, head_dim)``; output ``(heads, head_dim, E)``
flatten                height, width, channel: the order of the NHWC array in memory
=====================  ===========================================================================

Gate order: LSTM ``i, f, g, o`` (input, forget, candidate, output); GRU ``r, z, n`` (reset, update,
    candidate).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

GRU_GATES = "rzn"


def reorder_gates(array: NDArray[Any], source: str, target: str) -> NDArray[Any]:
    """The blocks of the last axis, given in the order ``source``, in the order ``target``.

    >>> reorder_gates(np.array([1, 1, 2, 2, 3, 3]), "rzn", "zrn").tolist()
    [2, 2, 1, 1, 3, 3]
    """
    if source == target:
        return array
    blocks = np.split(array, len(source), axis=-1)
    return np.concatenate([blocks[source.index(gate)] for gate in target], axis=-1)
