"""Keras 3 on the TensorFlow engine: real ``keras.layers``, ``keras.optimizers`` and
``Model.fit``.
"""

from __future__ import annotations

from nncompare.backends.keras.backend import KerasBackend

BACKEND = KerasBackend()

__all__ = ["BACKEND"]
