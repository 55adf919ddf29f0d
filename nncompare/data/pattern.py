"""``pattern``: the next token of a repeating pattern."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from nncompare.data.base import Data, Signature, TensorSpec, digest
from nncompare.data.splits import split_pool
from nncompare.errors import DataError
from nncompare.spec.data import PooledDataSet, Starter, Task
from nncompare.spec.frozen import LIMIT


class Pattern(PooledDataSet):
    """The next token of a repeating pattern. The windows of the parts repeat, so the test part asks
    for memory and not for generalization.
    """

    tasks = ("classification",)
    title = "the next token of a repeating pattern"
    generated = True
    starter = Starter(model="tokens", epochs=20, batch_size=32, learning_rate=1e-2)

    name: Literal["pattern"]
    pattern: tuple[Annotated[int, Field(ge=0, lt=2**31 - 1)], ...] = Field(
        default=(0, 1, 2), min_length=1
    )
    """The tokens that repeat."""
    repeats: int = Field(default=50, gt=1, le=LIMIT)
    """How often the pattern is repeated."""
    window: int = Field(default=5, gt=0, le=LIMIT)
    """Tokens the model sees before it names the next."""

    def signature(self, task: Task) -> Signature:
        """``(window,)`` tokens of ``max(pattern) + 1``; the next token.

        Raises:
            DataError: the pattern has one token only.
        """
        vocabulary = max(self.pattern) + 1
        if vocabulary == 1:
            raise DataError(
                "data.pattern: only token 0, nothing to tell apart; write at least two tokens, for"
                " example [0, 1]"
            )
        return Signature(input=TensorSpec((self.window,), vocabulary), outputs=vocabulary)

    def prepare(self, task: Task, *, seed: int, dtype: np.dtype[Any]) -> Data:
        """Random parts of all windows of ``pattern * repeats``.

        Raises:
            DataError: the sequence is not longer than the window.
        """
        sequence = np.tile(np.array(self.pattern, np.int32), self.repeats)
        if len(sequence) <= self.window:
            raise DataError(
                f"data.window: {self.window} leaves nothing to predict in {len(self.pattern)} x"
                f" {self.repeats} tokens; lower it or raise data.repeats"
            )
        x = np.lib.stride_tricks.sliding_window_view(sequence[:-1], self.window)
        y = sequence[self.window :]
        return Data(
            **split_pool(self, len(x), seed, labels=y).take(x, y),
            signature=self.signature(task),
            digests={"pattern": digest(sequence)},
            notes=(
                (
                    f"pattern: {len(x)} windows of a sequence with period {len(self.pattern)}; the"
                    " parts share no window's position, but windows repeat, so the test part asks"
                    " for memory and not for generalization"
                ),
            ),
        )
