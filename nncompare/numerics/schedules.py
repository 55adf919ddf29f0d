"""The learning rate of every step, computed once for all backends."""

from __future__ import annotations

from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from nncompare.numerics.batches import BatchPlan
from nncompare.spec.training import Constant, Cosine, Exponential, Step, Train


def learning_rates(train: Train, steps_per_epoch: int) -> NDArray[np.float64]:
    """The learning rate of every step of the whole training, ``(epochs * steps_per_epoch,)``
    float64.

    With ``k`` the step and ``e = k // steps_per_epoch`` the epoch, both counted from 0, ``S`` the
    number of steps and ``w = warmup_steps``:

    ===========  =================================================================================
    constant     ``lr``
    step         ``lr * factor ** (e // every)``
    exponential  ``lr * factor ** e``
    cosine       ``minimum + (lr - minimum) * (1 + cos(pi * k / S)) / 2`` (Loshchilov and
                 Hutter 2017, equation 5 without restarts): ``lr`` at step 0,
                 ``minimum`` just after the last step
    warm-up      in the steps ``k < w`` the value above is multiplied by ``(k + 1) / w``
                 (Goyal et al. 2017, section 2.2): the first step is not idle, and step
                 ``w - 1`` is the first with the full value
    ===========  =================================================================================

    The schedule runs on during warm-up and is not shifted by it.
    """
    lr = train.optimizer.lr
    steps = train.epochs * steps_per_epoch
    k = np.arange(steps)
    epoch = (k // steps_per_epoch).astype(np.float64)
    match train.schedule:
        case Constant():
            rates = np.full(steps, lr)
        case Step(every=every, factor=factor):
            rates = lr * factor ** (epoch // every)
        case Exponential(factor=factor):
            rates = lr * factor**epoch
        case Cosine(minimum=minimum):
            rates = minimum + (lr - minimum) * (1 + np.cos(np.pi * k / steps)) / 2
        case _ as unknown:
            assert_never(unknown)
    # the schedule runs on beneath: it is scaled, not shifted
    if train.warmup_steps:
        rates = rates * np.minimum(1.0, (k + 1) / train.warmup_steps)
    return np.asarray(rates, np.float64)


def make_plan(train: Train, examples: int, seed: int) -> BatchPlan:
    """The batch order and learning rates of a training.

    Args:
        train: epochs, batch size, optimizer, schedule.
        examples: in the training part.
        seed: keys the order of every epoch.
    """
    steps_per_epoch = -(-examples // train.batch_size)
    return BatchPlan(
        examples=examples,
        batch_size=train.batch_size,
        epochs=train.epochs,
        seed=seed,
        learning_rate=learning_rates(train, steps_per_epoch),
    )
