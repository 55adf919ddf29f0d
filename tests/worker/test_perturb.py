"""Initial weights that are moved by rounding."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nncompare.worker.perturb import perturbed_params
from tests.studies.verify.small import BATCH_NORM, context


def test_a_perturbation_moves_every_trained_number_a_little(tmp_path: Path) -> None:
    there = context(BATCH_NORM, "float64", tmp_path)
    moved = perturbed_params(there.model, there.job.seed)
    for name, value in there.initial.items():
        change = np.abs(moved[name] - value)
        if there.model.parameters[name].trainable:
            assert 0 < change.max() < 1e-13
        else:
            assert not change.any()
