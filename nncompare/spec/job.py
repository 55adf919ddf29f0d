"""What one worker is asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from nncompare.spec.data import Signature
from nncompare.spec.experiment import DeviceName, Experiment
from nncompare.spec.model import Model
from nncompare.spec.runtimes import mode_of


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one worker is asked to do: the same for every runtime of a round but for the first line.

    Args:
        runtime: ``torch``, ``keras:xla``: backend and execution mode.
        experiment: the resolved experiment.
        signature: what the data demand of the model.
        device: asked for.
        threads: CPU threads for the framework.
        seed: of this round; keys initial weights, batch order and masks.
        dropout: ``framework``: each framework draws its own masks (fast path). ``masks``: masks
            come from ``numerics.masks``, so that runtimes can be compared exactly; may be slow.
        deterministic: True: the framework's deterministic kernels (for parity); False: as shipped
            (for speed).
    """

    runtime: str
    experiment: Experiment
    signature: Signature
    device: DeviceName = "auto"
    threads: int = 1
    seed: int = 0
    dropout: Literal["framework", "masks"] = "framework"
    deterministic: bool = False

    @property
    def model(self) -> Model:
        return self.experiment.resolve(self.signature)

    @property
    def native(self) -> bool:
        """Every layer and optimizer as its framework ships it (``train.convention``)."""
        return self.experiment.train.convention == "native"

    @property
    def mode(self) -> str:
        """``torch:compile`` -> ``compile``; empty for the plain runtime."""
        return mode_of(self.runtime)

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.experiment.train.dtype)
