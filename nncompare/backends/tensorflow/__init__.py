"""Raw TensorFlow: ``tf.Module`` layers and optimizers in TensorFlow operations. Importing this
imports TensorFlow.

No Keras is used. TensorFlow itself imports parts of an installed Keras while it starts; nothing
here touches them.
"""

from __future__ import annotations

from nncompare.backends.tensorflow.backend import TensorflowBackend

BACKEND = TensorflowBackend()

__all__ = ["BACKEND", "TensorflowBackend"]
