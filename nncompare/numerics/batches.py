"""One batch order and one learning rate per step for all backends."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from nncompare.numerics.arrays import Array
from nncompare.numerics.keys import generator


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """What decides the mathematics of training, as data.

    Args:
        examples: training examples.
        batch_size: examples a step; the last step of an epoch takes what is left.
        epochs: passes over the data.
        seed: keys the order of every epoch.
        learning_rate: ``(steps,)`` float64, the rate of every step of the whole training.
    """

    examples: int
    batch_size: int
    epochs: int
    seed: int
    learning_rate: Array = field(repr=False)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.examples // self.batch_size)

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    def order(self, epoch_index: int) -> Array:
        """Row numbers of one epoch (from 0) in the order of training, ``(examples,)`` int32. Batch
        k of the epoch is ``order[k * batch_size : (k + 1) * batch_size]``.
        """
        return _order(self.seed, epoch_index, self.examples)

    def rows(self, step: int) -> Array:
        """Row numbers of one step, ``(batch,)`` int32."""
        epoch_index, k = divmod(step, self.steps_per_epoch)
        return self.order(epoch_index)[k * self.batch_size : (k + 1) * self.batch_size]

    def sizes(self, begin: int, end: int) -> Array:
        """Examples in each of the steps ``begin…end - 1``, ``(end - begin,)`` int64."""
        last = self.examples - (self.steps_per_epoch - 1) * self.batch_size
        k = np.arange(begin, end) % self.steps_per_epoch
        return np.where(k == self.steps_per_epoch - 1, last, self.batch_size)

    def mean_loss(self, begin: int, end: int, losses: Array) -> float:
        """Mean over examples from the mean losses of the steps ``begin…end - 1``."""
        return float(np.average(np.asarray(losses, np.float64), weights=self.sizes(begin, end)))


@lru_cache(maxsize=2)
def _order(seed: int, epoch_index: int, examples: int) -> Array:
    order = generator(seed, f"order/{epoch_index}").permutation(examples).astype(np.int32)
    order.flags.writeable = False
    return order
