"""Which of a runtime's failed checks are causes, and which only follow from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nncompare.studies.verify.checks.check import Check
from nncompare.studies.verify.checks.quantity import Quantity

_CHAIN = (
    Quantity.ROUND_TRIP,
    Quantity.FORWARD,
    Quantity.FORWARD_TRAINING,
    Quantity.LOSS,
    Quantity.GRADIENT,
)
"""Judged at the probe weights. Each follows from the one before: only the first of them is a cause.
"""


_EXPLAIN_PIECES = (
    Quantity.UPDATE_AFTER_LOAD,
    Quantity.LOSS,
    Quantity.LOSS_EVERY_STEP,
    Quantity.LOGITS,
)
_First = Mapping[Quantity, Check]
"""The first failed check of every quantity."""


def root_causes(failed: Sequence[Check]) -> Iterator[Check]:
    """The first failed check of every quantity that is a cause of its own.

    Args:
        failed: checks of one runtime against formulas, differences and itself, in their order.
    """
    first: dict[Quantity, Check] = {}
    training_loss: Check | None = None
    for check in failed:
        # a loss that the training loop gave counts apart from the one at the probe weights
        if check.quantity == Quantity.LOSS and check.step is not None:
            training_loss = training_loss or check
        else:
            first.setdefault(check.quantity, check)
    # the framework's own dropout is looked at apart from everything else
    yield from _of(first, Quantity.DROPOUT_VALUES, Quantity.DROPOUT_SHARE_KEPT)
    roots = _of(first, *_CHAIN)
    yield from roots
    match roots and roots[0].quantity:
        case Quantity.ROUND_TRIP:
            # where the parameters are is not known, and everything else is judged by them
            return
        case Quantity.FORWARD | Quantity.FORWARD_TRAINING:
            # an update is judged from the gradient that the runtime itself gave, so that a wrong
            # forward pass does not matter; all else follows from it
            yield from _of(first, Quantity.UPDATE, Quantity.UPDATE_AFTER_LOAD)
        case Quantity.LOSS:
            # a loss that is wrong at the probe weights is wrong in training, too
            yield from _in_training(first, roots, [])
        case _:
            yield from _in_training(first, roots, [training_loss] if training_loss else [])


def _of(first: _First, *quantities: Quantity) -> list[Check]:
    """The check of the first of these quantities that failed; empty if none did."""
    return [first[one] for one in quantities if one in first][:1]


def _in_training(first: _First, roots: list[Check], losses: list[Check]) -> list[Check]:
    """Causes in a training whose layers are right."""
    hidden = _of(first, Quantity.FORWARD_AFTER_UPDATES)
    if hidden:
        # some number has moved that is not among the parameters: losses and weights follow from it
        return hidden
    # a wrong update is wrong after a load, too
    found = losses + _of(first, Quantity.UPDATE, Quantity.UPDATE_AFTER_LOAD)
    found += _of(first, Quantity.RUNNING_STATISTICS)
    if not roots and not found:
        found += _of(first, Quantity.LOSS_EVERY_STEP)
    # wrong running statistics make wrong logits
    if Quantity.RUNNING_STATISTICS not in first:
        found += _of(first, Quantity.LOGITS)
    # some causes make long pieces go wrong in another way than single steps
    if not any(check.quantity in _EXPLAIN_PIECES for check in found):
        found += _of(first, Quantity.LONG_PIECES, Quantity.LOSS_OF_LONG_PIECES)
    return found
