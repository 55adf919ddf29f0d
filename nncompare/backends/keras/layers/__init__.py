"""Every layer as a Keras layer. One file mirrors each file of ``spec.layers``; importing this
package registers them all.
"""

from nncompare.backends.keras.layers import (
    activation,
    attention,
    convolution,
    linear,
    normalization,
    recurrent,
    structure,
)

__all__ = [
    "activation",
    "attention",
    "convolution",
    "linear",
    "normalization",
    "recurrent",
    "structure",
]
