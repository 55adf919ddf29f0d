"""``pattern``: the next token of a repeating pattern."""

from __future__ import annotations

from typing import Any

import numpy as np

from nncompare.data.base import Data, Signature, Split, TensorSpec, digest
from nncompare.data.splits import cut, order
from nncompare.errors import DataError
from nncompare.spec.data import Pattern, Task

_MOST_TOKENS = 2**31 - 1


def signature(spec: Pattern, task: Task) -> Signature:
    """``(window,)`` tokens of ``max(pattern) + 1``; the next token.

    Raises:
        DataError: the pattern has one token only, or a token that int32 cannot hold.
    """
    vocabulary = max(spec.pattern) + 1
    if vocabulary == 1:
        raise DataError(
            "data.pattern: only token 0, nothing to tell apart; write at least two tokens, for"
            " example [0, 1]"
        )
    if vocabulary > _MOST_TOKENS:
        raise DataError(
            f"data.pattern: token {vocabulary - 1} is too large; tokens are numbered from 0 upwards"
        )
    return Signature(input=TensorSpec((spec.window,), vocabulary), outputs=vocabulary)


def prepare(spec: Pattern, task: Task, seed: int, dtype: np.dtype[Any]) -> Data:
    """Random parts of all windows of ``pattern * repeats``.

    Raises:
        DataError: the sequence is not longer than the window.
    """
    sequence = np.tile(np.array(spec.pattern, np.int32), spec.repeats)
    if len(sequence) <= spec.window:
        raise DataError(
            f"data.window: {spec.window} leaves nothing to predict in {len(spec.pattern)} x"
            f" {spec.repeats} tokens; lower it or raise data.repeats"
        )
    x = np.lib.stride_tricks.sliding_window_view(sequence[:-1], spec.window)
    y = sequence[spec.window :]
    rows = cut(order(len(x), seed, y), test=spec.test, validation=spec.validation, limit=spec.limit)
    return Data(
        **{part: Split(x=x[index], y=y[index]) for part, index in vars(rows).items()},
        signature=signature(spec, task),
        digests={"pattern": digest(sequence)},
        notes=(
            (
                f"pattern: {len(x)} windows of a sequence with period {len(spec.pattern)}; the"
                " parts share no window's position, but windows repeat, so the test part asks for"
                " memory and not for generalization"
            ),
        ),
    )
