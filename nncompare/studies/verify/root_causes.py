"""Which of a runtime's failed checks are causes, and which only follow from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nncompare.studies.verify.checks.check import Check

TRAINING_LOSS = "loss in training"
"""Key of a loss that the training loop gave, next to ``loss``, the one at the probe weights."""
_CHAIN = ("round trip", "forward", "forward, training", "loss", "gradient")
"""Judged at the probe weights. Each follows from the one before: only the first of them is a cause.
"""


def root_causes(failed: Sequence[Check]) -> Iterator[Check]:
    """The first failed check of every quantity that is a cause of its own.

    Args:
        failed: checks of one runtime against formulas, differences and itself, in their order.
    """
    first: dict[str, Check] = {}
    for check in failed:
        first.setdefault(
            (
                TRAINING_LOSS
                if check.quantity == "loss" and check.step is not None
                else check.quantity
            ),
            check,
        )
    yield from [
        first[quantity]
        for quantity in ("dropout, values", "dropout, share kept")
        if quantity in first
    ][:1]
    root = next((quantity for quantity in _CHAIN if quantity in first), None)
    if root is not None:
        yield first[root]
    if root == "round trip":
        return  # where the parameters are is not known, and everything else is judged by them
    if root in ("forward", "forward, training"):
        # judged from what the runtime itself gave, so that a wrong forward pass does not matter
        yield from [
            first[quantity] for quantity in ("update", "update after load") if quantity in first
        ][:1]
        return
    yield from _in_training(first, root)


def _in_training(first: dict[str, Check], root: str | None) -> Iterator[Check]:
    if "forward after updates" in first:
        # some number has moved that is not among the parameters: losses and weights follow from it
        yield first["forward after updates"]
        return
    found = [
        quantity
        for quantity in (TRAINING_LOSS, "update", "running statistics")
        if quantity in first
    ]
    if root == "loss" and TRAINING_LOSS in found:
        found.remove(TRAINING_LOSS)
    if "update after load" in first and "update" not in found:
        found.append("update after load")
    if not found and root is None and "loss, every step" in first:
        found.append("loss, every step")
    if "logits" in first and "running statistics" not in found:
        found.append("logits")
    if not {"update after load", "loss, every step", "logits", TRAINING_LOSS} & set(found):
        found += [
            quantity for quantity in ("long pieces", "loss of long pieces") if quantity in first
        ][:1]
    yield from (first[quantity] for quantity in found)
