"""Every layer as PyTorch's best module for it. One file mirrors each file of ``spec.layers``;
importing this package registers them all.
"""

# ruff: noqa: F401 - imported for what each registers
from nncompare.backends.torch.layers import (
    activation,
    attention,
    convolution,
    linear,
    normalization,
    recurrent,
    structure,
)
