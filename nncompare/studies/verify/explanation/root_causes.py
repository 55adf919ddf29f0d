"""Which of a runtime's failed checks are causes, and which only follow from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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


class _First:
    """The first failed check of every quantity; a loss that the training loop gave counts apart
    from the one at the probe weights.
    """

    def __init__(self, failed: Sequence[Check]):
        self.training_loss: Check | None = None
        self._known: dict[Quantity, Check] = {}
        for check in failed:
            if check.quantity == Quantity.LOSS and check.step is not None:
                self.training_loss = self.training_loss or check
            else:
                self._known.setdefault(check.quantity, check)

    def of(self, *quantities: Quantity) -> Check | None:
        """The check of the first of these quantities that failed."""
        return next((self._known[one] for one in quantities if one in self._known), None)


def root_causes(failed: Sequence[Check]) -> Iterator[Check]:
    """The first failed check of every quantity that is a cause of its own.

    Args:
        failed: checks of one runtime against formulas, differences and itself, in their order.
    """
    first = _First(failed)
    # the framework's own dropout is looked at apart from everything else
    dropout = first.of(Quantity.DROPOUT_VALUES, Quantity.DROPOUT_SHARE_KEPT)
    if dropout is not None:
        yield dropout
    root = first.of(*_CHAIN)
    if root is not None:
        yield root
    match root and root.quantity:
        case Quantity.ROUND_TRIP:
            # where the parameters are is not known, and everything else is judged by them
            return
        case Quantity.FORWARD | Quantity.FORWARD_TRAINING:
            # an update is judged from the gradient that the runtime itself gave, so that a wrong
            # forward pass does not matter; all else follows from it
            update = first.of(Quantity.UPDATE, Quantity.UPDATE_AFTER_LOAD)
            if update is not None:
                yield update
        case _:
            yield from _in_training(first, root)


def _in_training(first: _First, root: Check | None) -> Iterator[Check]:
    """Causes in a training whose layers are right."""
    hidden = first.of(Quantity.FORWARD_AFTER_UPDATES)
    if hidden is not None:
        # some number has moved that is not among the parameters: losses and weights follow from it
        yield hidden
        return
    found: list[Check | None] = []
    # a loss that is wrong at the probe weights is wrong in training, too
    wrong_loss = root is not None and root.quantity == Quantity.LOSS
    if first.training_loss is not None and not wrong_loss:
        found.append(first.training_loss)
    # a wrong update is wrong after a load, too
    found.append(first.of(Quantity.UPDATE, Quantity.UPDATE_AFTER_LOAD))
    running = first.of(Quantity.RUNNING_STATISTICS)
    found.append(running)
    if root is None and not any(found):
        found.append(first.of(Quantity.LOSS_EVERY_STEP))
    # wrong running statistics make wrong logits
    if running is None:
        found.append(first.of(Quantity.LOGITS))
    if not any(check is not None and _explains_pieces(check) for check in found):
        found.append(first.of(Quantity.LONG_PIECES, Quantity.LOSS_OF_LONG_PIECES))
    yield from (check for check in found if check is not None)


def _explains_pieces(check: Check) -> bool:
    """Whether a cause makes long pieces go wrong in another way than single steps."""
    return check.quantity in (
        Quantity.UPDATE_AFTER_LOAD,
        Quantity.LOSS,
        Quantity.LOSS_EVERY_STEP,
        Quantity.LOGITS,
    )
