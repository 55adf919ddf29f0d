"""Trains one runtime of a run."""

from __future__ import annotations

from pathlib import Path

from nncompare.launch.run_worker import Listener, run_worker
from nncompare.wire.outcome import Outcome
from nncompare.wire.requests import TrainRequest


def train(request: TrainRequest, folder: Path, *, listener: Listener) -> Outcome:
    """Trains in a fresh process and always returns, whatever happens to it.

    Ctrl-C ends the worker and gives an outcome ``interrupted`` with what it said until then.

    Args:
        request: what is trained; its experiment says how long that may take.
        folder: of the job; takes the log, the observation and the weights.
        listener: told of every message.
    """
    return run_worker(
        request,
        folder,
        timeout_s=request.job.experiment.measure.timeout_s,
        timeout_setting="measure.timeout_s",
        listener=listener,
        keep_interrupted=True,
    )
