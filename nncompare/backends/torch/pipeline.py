"""Data on their way to the device: all examples once, the order of each epoch when it begins."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from nncompare.backends.base import Array
from nncompare.numerics.batches import BatchPlan


def stage(array: Array, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A tensor of ``dtype`` on the device."""
    # PyTorch shares memory with writable arrays only; a read-only one is copied
    return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device, dtype)


def batches(plan: BatchPlan, epoch_index: int, device: torch.device) -> tuple[Tensor, ...]:
    """The rows of every step of one epoch: its order goes to the device once and is cut into views.
    ``index_select`` wants int64.
    """
    order = torch.tensor(plan.order(epoch_index), dtype=torch.int64).to(device)
    steps: tuple[Tensor, ...] = order.split(plan.batch_size)
    return steps
