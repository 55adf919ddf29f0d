"""Random numbers that decide the mathematics: NumPy's Philox with a key of seed and purpose.

Philox is a counter-based generator (Salmon et al. 2011): the stream depends on the key alone, so
adding a parameter to a model or an epoch to a run changes no other stream.
"""

from __future__ import annotations

import hashlib

import numpy as np


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A generator for one purpose, for example ``"dense_1.kernel"``, ``"order/3"``, ``"split"``."""
    return np.random.Generator(philox(seed, purpose))


def philox(seed: int, purpose: str, counter: int = 0) -> np.random.Philox:
    """The bits of a purpose, from a place of the counter on."""
    digest = hashlib.blake2b(f"{seed}/{purpose}".encode(), digest_size=16).digest()
    return np.random.Philox(key=int.from_bytes(digest, "little"), counter=counter)
