"""Every layer as a Keras layer. One file mirrors each file of ``spec.layers``; importing this
package registers them all.
"""

# ruff: noqa: F401 - imported for what each registers
from nncompare.backends.keras.layers import (
    activation,
    attention,
    convolution,
    linear,
    normalization,
    recurrent,
    structure,
)
