"""What a wrong running statistic looks like."""

from __future__ import annotations

from functools import partial

import numpy as np

from nncompare.backends.base import Array
from nncompare.studies.verify.checks.distance import relative
from nncompare.studies.verify.suspects.fit import fit


def running_looks_like(
    before: Array, after: Array, right: Array, momentum: float, variance: bool, n: int
) -> str | None:
    """What explains a running statistic.

    Args:
        before, after: what the runtime had and has.
        right: what it should have: ``(1 - momentum) before + momentum batch``.
        momentum: weight of the newest batch.
        variance: True for the running variance, of ``n`` values a channel.
    """
    batch = (right - (1 - momentum) * before) / momentum
    biased = batch * (n - 1) / n
    suspects = [("it is stale: the batch does not move it", before)]
    if variance:
        suspects.append(("the biased batch variance", (1 - momentum) * before + momentum * biased))
        suspects.append(
            ("the square root of the variance", (1 - momentum) * before + momentum * np.sqrt(batch))
        )
        if n > 1:
            twice = (1 - momentum) * before + momentum * batch * n / (n - 1)
            suspects.append(("the batch variance is made unbiased twice", twice))
    suspects.append(
        (
            "momentum is turned round: it weighs the old value",
            momentum * before + (1 - momentum) * batch,
        )
    )
    suspects.append(("it is the batch's, not a running one", batch))
    narrow = float(np.float32(momentum))
    suspects.append(("momentum rounded to float32", (1 - narrow) * before + narrow * batch))
    narrow = 1 - float(np.float32(1 - momentum))
    suspects.append(
        ("one minus momentum rounded to float32", (1 - narrow) * before + narrow * batch)
    )
    suspects.append(("the batch moves it twice", (1 - momentum) * right + momentum * batch))
    deviation = relative(after, right)
    limit = min(1e-9 if after.dtype == np.float64 else 3e-6, 0.1 * deviation)
    for label, value in suspects:
        if relative(after, value) <= limit:
            return label
    for start, given in (("", batch), ("the biased batch variance and ", biased))[: 1 + variance]:
        blend = partial(_blend, before, given)
        found = fit(blend, after, momentum)
        if found is not None and relative(after, blend(found)) <= limit:
            return (
                f"{start}momentum {found:.10g} in place of {momentum:g} (weight of the newest"
                " batch)"
            )
    factor = fit(lambda c: _blend(before, c * batch, momentum), after, 1.0)
    if factor is not None and relative(after, _blend(before, factor * batch, momentum)) <= limit:
        return f"the batch's value counts {0.0 if abs(factor) < 1e-12 else factor:.10g} times"
    return None


def _blend(before: Array, batch: Array, momentum: float) -> Array:
    return (1 - momentum) * before + momentum * batch
