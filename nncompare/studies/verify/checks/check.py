"""One comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, PlainSerializer

from nncompare.studies.verify.checks.quantity import Quantity, Unit

FORMULA, DIFFERENCES, ITSELF = "formula", "differences", "itself"
JUDGES = (FORMULA, DIFFERENCES, ITSELF)
"""What a runtime is judged by when it is not judged by another runtime."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One comparison.

    Args:
        runtime: whose computation it is.
        against: one of ``JUDGES``, or another runtime.
        quantity: what is compared.
        layer: node, parameter or direction; None for a loss.
        dtype: ``float64`` or ``float32``.
        worst: the largest difference, infinite where the two cannot be compared.
        tolerance: the largest that passes.
        step: of the training, from 1; None where none is trained.
    """

    runtime: str
    against: str
    quantity: Quantity
    layer: str | None
    dtype: str
    worst: float
    tolerance: float
    step: int | None = None

    @property
    def passed(self) -> bool:
        # written so that NaN does not pass
        return self.worst <= self.tolerance

    @property
    def severity(self) -> float:
        """``worst / tolerance``; larger is worse."""
        if np.isnan(self.worst):
            return np.inf
        if self.tolerance == 0:
            # nothing but equality passes
            return np.inf if self.worst else 0.0
        return self.worst / self.tolerance

    @property
    def between_runtimes(self) -> bool:
        """Whether another runtime is the judge."""
        return self.against not in JUDGES

    @property
    def compares_trajectories(self) -> bool:
        """Whether it compares a training of one runtime with that of another."""
        return self.between_runtimes and self.quantity.of_trajectory

    def with_room(self, tolerance: float) -> Check:
        """The same check; if it failed, with a tolerance of at least this."""
        if self.passed:
            return self
        return replace(self, tolerance=max(self.tolerance, tolerance))

    @property
    def unit(self) -> Unit:
        """The sense of ``worst`` and ``tolerance``."""
        # two float32 runtimes are compared with their floor, which is an absolute figure
        if self.dtype == "float32" and self.between_runtimes:
            return "absolute"
        return self.quantity.unit

    def to_json(self) -> dict[str, Any]:
        """As it stands in documents, where a tolerance is called ``gate`` and what cannot be
        compared has no figure.
        """
        return {
            "runtime": self.runtime,
            "against": self.against,
            "quantity": str(self.quantity),
            "layer": self.layer,
            "dtype": self.dtype,
            "worst": self.worst if np.isfinite(self.worst) else None,
            "gate": self.tolerance,
            "passed": self.passed,
            "step": self.step,
            "unit": self.unit,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Check:
        """What ``to_json`` gave.

        Raises:
            ValueError: a key is missing, or the quantity is unknown.
        """
        missing = [key for key in ("worst", "gate", *_SAME_IN_JSON) if key not in values]
        if missing:
            raise ValueError(f"a check without {', '.join(missing)}")
        worst = values["worst"]
        return cls(
            **{key: values[key] for key in _SAME_IN_JSON if key != "quantity"},
            quantity=Quantity(values["quantity"]),
            worst=np.inf if worst is None else float(worst),
            tolerance=float(values["gate"]),
        )


_SAME_IN_JSON = ("runtime", "against", "quantity", "layer", "dtype", "step")
"""Keys that mean the same in code and in JSON; ``passed`` and ``unit`` follow from the others."""


def _from_document(value: Any) -> Any:
    return Check.from_json(value) if isinstance(value, Mapping) else value


StoredCheck = Annotated[
    Check, BeforeValidator(_from_document), PlainSerializer(Check.to_json, return_type=dict)
]
"""A check as a part of a document."""
