"""Every layer as PyTorch's best module for it. One file mirrors each file of ``spec.layers``;
importing this package registers them all.
"""

from nncompare.backends.torch.layers import (
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
