"""Every layer in TensorFlow operations, on canonical layouts: images NHWC, kernels HWIO and ``(in,
out)``. One file mirrors each file of ``spec.layers``; importing this package registers them all.
"""

# ruff: noqa: F401 - imported for what each registers
from nncompare.backends.tensorflow.layers import (
    activation,
    attention,
    convolution,
    linear,
    normalization,
    recurrent,
    structure,
)
