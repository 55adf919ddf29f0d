"""The PyTorch backend. Importing it imports PyTorch."""

from nncompare.backends.torch.backend import TorchBackend

BACKEND = TorchBackend()

__all__ = ["BACKEND"]
