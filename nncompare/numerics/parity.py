"""What a parity check puts into every runtime: which examples, which weights, which steps. The same
for all.

Everything here is decided by the experiment, the number of examples and the seed, so that parent
and workers agree without talking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from nncompare.numerics.arrays import Array, Params
from nncompare.numerics.batches import BatchPlan
from nncompare.numerics.initializers import initial_params
from nncompare.numerics.keys import generator
from nncompare.numerics.schedules import make_plan
from nncompare.spec.model import Model, Node
from nncompare.spec.training import Train

FORWARD_EXAMPLES = 64
GRADIENT_EXAMPLES = 16
EVALUATION_EXAMPLES = 256
DROPOUT_EXAMPLES = 256
UPDATE_FACTORS = (1.0, 0.5, 2.0, 1.0)
"""Learning rates of the checked updates, as multiples of the optimizer's: a rule that keeps an old
rate shows.
"""
EPOCH_STEPS = 20
"""Steps an epoch of the trajectory, so that it crosses epochs and their smaller last batches."""
_DEVIATION = 0.1


@dataclass(frozen=True, kw_only=True)
class ParityPlan:
    """The steps of a parity check.

    Args:
        trajectory: batches and rates of the training whose every step is compared.
        updates: a few steps with learning rates that vary on purpose, across the end of a short
            epoch.
        steps: of the trajectory that are run (its last epoch may be left unfinished).
    """

    trajectory: BatchPlan
    updates: BatchPlan
    steps: int

    @property
    def forward_rows(self) -> Array:
        """Training examples whose every layer is compared, ``(≤ FORWARD_EXAMPLES,)``."""
        return self.trajectory.rows(0)[:FORWARD_EXAMPLES]

    @property
    def dropout_rows(self) -> Array:
        """Training examples of the pass whose masks the framework draws, ``(≤ DROPOUT_EXAMPLES,)``:
        enough values to tell the share that is kept.
        """
        return np.arange(min(self.trajectory.examples, DROPOUT_EXAMPLES))

    @property
    def gradient_rows(self) -> Array:
        """Training examples of the gradient that is judged by differences, ``(≤
        GRADIENT_EXAMPLES,)``.
        """
        return self.trajectory.rows(0)[:GRADIENT_EXAMPLES]

    @property
    def update_steps(self) -> int:
        return min(len(UPDATE_FACTORS), self.updates.steps)

    @property
    def checkpoints(self) -> tuple[int, ...]:
        """Numbers of steps after which all weights are kept: where a difference begins can be told
        from them. Those around the end of the first epoch are among them: before its smaller last
        batch, and before the second order.
        """
        epoch = self.trajectory.steps_per_epoch
        marks = {1, 2, 5, 10, *range(50, self.steps, 50), self.steps}
        marks |= {epoch - 1, epoch, self.whole_steps}
        return tuple(sorted(mark for mark in marks if 0 < mark <= self.steps))

    @property
    def whole_epochs(self) -> int:
        """Epochs that are trained a second time, in pieces as long as they come: at most two."""
        return min(2, self.steps // self.trajectory.steps_per_epoch)

    @property
    def whole_steps(self) -> int:
        return self.whole_epochs * self.trajectory.steps_per_epoch

    @property
    def whole_pieces(self) -> tuple[tuple[int, int], ...]:
        """First step and end of every piece of these epochs: the first epoch is one, the second is
        cut unevenly, as the slices of a run are; so one begins in the midst of an epoch and has
        another length than the one before it.
        """
        epoch = self.trajectory.steps_per_epoch
        cuts = {0, epoch, self.whole_steps}
        if self.whole_epochs == 2 and epoch > 1:
            cuts.add(epoch + max(1, epoch // 3))
        marks = sorted(mark for mark in cuts if mark <= self.whole_steps)
        return tuple(pairwise(marks))


def checked_examples(examples: int, batch_size: int, steps: int) -> int:
    """How many training examples a check uses: ``EPOCH_STEPS`` batches (fewer for few steps) of
    which the last is as small as the experiment's own last batch, or a third of a batch where the
    experiment has none.
    """
    batches = max(2, min(EPOCH_STEPS, steps))
    return min(examples, (batches - 1) * batch_size + _last_batch(examples, batch_size))


def _last_batch(examples: int, batch_size: int) -> int:
    # never one example alone where the experiment has none: BatchNorm cannot estimate a variance
    # from it
    # a third, so that a mean over batches and one over examples differ
    return examples % batch_size or min(max(batch_size // 3, 2), batch_size)


def parity_plan(train: Train, examples: int, seed: int, steps: int) -> ParityPlan:
    """The plan of a check.

    Args:
        train: batch size, optimizer, schedule.
        examples: that the check uses, from ``checked_examples``.
        seed: keys the batch order.
        steps: of the trajectory.
    """
    per_epoch = -(-examples // train.batch_size)
    long_enough = train.model_copy(update={"epochs": -(-steps // per_epoch)})
    trajectory = make_plan(long_enough, examples, seed)
    updates = _update_plan(train, examples, seed)
    return ParityPlan(trajectory=trajectory, updates=updates, steps=steps)


def _update_plan(train: Train, examples: int, seed: int) -> BatchPlan:
    """Two batches and a smaller last one an epoch, so that the few checked updates cross the end of
    an epoch.
    """
    few = min(examples, 2 * train.batch_size + _last_batch(examples, train.batch_size))
    per_epoch = -(-few // train.batch_size)
    epochs = -(-len(UPDATE_FACTORS) // per_epoch)
    rates = train.optimizer.lr * np.resize(np.array(UPDATE_FACTORS), epochs * per_epoch)
    return BatchPlan(
        examples=few, batch_size=train.batch_size, epochs=epochs, seed=seed, learning_rate=rates
    )


def probe_params(model: Model, seed: int) -> Params:
    """The initial weights with every number moved, so that no bias is zero, no scale one and no
    running variance one.

    Zeros hide errors: a bias that is never added, a gate order in a bias, a running statistic that
    is never read. All values are float32 numbers, so that a float32 and a float64 session start
    from the very same ones.

    Returns:
        Canonical parameters, float64 arrays of float32 values. Running variances are positive.
    """
    params = initial_params(model, seed)
    found: Params = {}
    for name, value in params.items():
        noise = _DEVIATION * generator(seed, f"probe/{name}").standard_normal(value.shape)
        # a spread of scales: running variances between about 0.7 and 1.4, never negative
        moved = value * np.exp(noise) if name.endswith("running_variance") else value + noise
        found[name] = moved.astype(np.float32).astype(np.float64)
    return found


def directions(model: Model, seed: int, count: int = 3) -> dict[str, Params]:
    """Directions along which the gradient is judged: ``count`` through all trained parameters,
    named ``all 1`` …, and one through each of them alone, under its name. Each has length one.
    """
    trained = {name: item.shape for name, item in model.parameters.items() if item.trainable}
    groups = {f"all {k + 1}": list(trained) for k in range(count)}
    groups |= {name: [name] for name in trained}
    found: dict[str, Params] = {}
    for label, members in groups.items():
        stream = generator(seed, f"direction/{label}")
        drawn = {name: stream.standard_normal(trained[name]) for name in members}
        length = np.sqrt(sum(float((value**2).sum()) for value in drawn.values()))
        found[label] = {name: value / length for name, value in drawn.items()}
    return found


def inputs_of(nodes: Sequence[Node], before: str | None = None) -> dict[str, str | None]:
    """Node name -> the node whose output it takes; None: the model's input."""
    found: dict[str, str | None] = {}
    for node in nodes:
        found[node.name] = before
        found |= inputs_of(node.children, before)
        found |= inputs_of(node.shortcut, before)
        before = node.name
    return found
