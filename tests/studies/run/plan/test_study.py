"""``run --dry-run``: what the plan says of the experiment."""

from __future__ import annotations

from pathlib import Path

import nncompare
from nncompare.config.load import load_mapping
from nncompare.studies.run.plan.study import plan


def test_its_experiment_is_a_valid_file_that_leaves_open_what_was_open(tiny: Path) -> None:
    experiment = nncompare.load("tiny.yaml", "train.convention=native")
    again = load_mapping(plan(experiment, output=None).experiment)
    assert again == experiment
    # a default that is written out would win over the framework's own
    assert again.train.optimizer.leaves_open("epsilon")
    assert not again.train.optimizer.leaves_open("lr")
