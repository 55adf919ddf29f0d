"""All planted errors."""

from __future__ import annotations

from collections.abc import Sequence

from tests.mutations.mutation import Mutation
from tests.mutations.planted_keras import KERAS
from tests.mutations.planted_native import NATIVE
from tests.mutations.planted_tensorflow import TENSORFLOW
from tests.mutations.planted_torch import TORCH

MUTATIONS: list[Mutation] = [*TORCH, *TENSORFLOW, *KERAS, *NATIVE]


def chosen(only: Sequence[str]) -> list[Mutation]:
    """Those whose id contains one of ``only``; all if it is empty."""
    return [
        mutation for mutation in MUTATIONS if not only or any(part in mutation.id for part in only)
    ]
