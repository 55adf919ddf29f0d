"""The only metrics: computed in NumPy from ``predict``, so that no framework computes its own
accuracy.
"""

from __future__ import annotations

import numpy as np

from nncompare.numerics.arrays import Array
from nncompare.numerics.losses import data_loss
from nncompare.spec.data import Task


def evaluate(task: Task, outputs: Array, targets: Array) -> dict[str, float | None]:
    """Metrics of one part.

    Args:
        task: decides loss and metrics.
        outputs: logits or values from ``predict``: ``(N, classes)`` or ``(N, T, classes)``, ``(N,
            1)``, ``(N, outputs)``.
        targets: as in ``data.base.Split``.

    Returns:
        ``loss`` (without penalties) and ``accuracy`` (a fraction; the largest logit, or the sign of
        the logit with 0 as class 0) for classification and binary; ``loss``, ``mae`` and ``r2`` for
        regression. What is not defined (no examples, outputs that are not finite, r2 of constant
        targets) is None, never NaN.
    """
    if targets.size == 0:
        return dict.fromkeys(
            ("loss", "mae", "r2") if task == "regression" else ("loss", "accuracy")
        )
    with np.errstate(all="ignore"):
        loss = _finite(data_loss(task, outputs, targets))
        if task == "regression":
            error = np.asarray(outputs, np.float64) - targets
            return {
                "loss": loss,
                "mae": _finite(np.abs(error).mean()),
                "r2": _r2(error, targets),
            }
    predicted = outputs.argmax(axis=-1) if task == "classification" else outputs > 0
    correct = float((predicted == targets).mean())
    return {"loss": loss, "accuracy": correct if np.isfinite(outputs).all() else None}


def _r2(error: Array, targets: Array) -> float | None:
    """``1 - sum error^2 / sum (y - mean y)^2`` (Draper and Smith 1998, equation 1.3.13), averaged
    over outputs.
    """
    y = np.asarray(targets, np.float64)
    # exact, since a rounded mean leaves a tiny sum of squares for targets that are all the same
    if (np.ptp(y, axis=0) == 0).any():
        return None
    ratio = (error**2).sum(axis=0) / ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    return _finite(np.mean(1 - ratio))


def _finite(value: float) -> float | None:
    """As a Python float, for documents; None stands for what they have no number for."""
    return float(value) if np.isfinite(value) else None
