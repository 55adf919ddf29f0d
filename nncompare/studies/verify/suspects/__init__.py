"""What a wrong layer looks like: known mistakes, tried one after the other on the layer's own input.

Every suspect is the layer's formula with one thing changed. The one that gives what the runtime gave is named. Where a
single constant decides (an epsilon, a slope, a rate), it is fitted, so that any wrong value is found, not only the
usual ones. A layer type without suspects is still located, only not explained.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nncompare.backends.base import Array
from nncompare.studies.verify.gates import relative
from nncompare.studies.verify.suspects import layers, sequences
from nncompare.studies.verify.suspects.fit import fit
from nncompare.studies.verify.suspects.scene import Scene, Suspect

BY_TYPE = {**layers.SUSPECTS, **sequences.SUSPECTS}
_FITTED = {"layer_norm": "epsilon", "batch_norm": "epsilon", "leaky_relu": "slope", "dropout": "rate"}
"""Layer type -> the constant that may have any wrong value."""


def looks_like(scene: Scene, tolerance: float) -> str | None:
    """The first suspect whose output is the given one within ``tolerance`` (relative), in words; None: none is."""
    with np.errstate(all="ignore"):
        right = scene.formula()
        for label, made in _suspects(scene):
            if made.shape != scene.given.shape or relative(scene.given, made) > tolerance:
                continue
            if right.shape != made.shape or relative(right, made) > tolerance:  # else it explains nothing
                return label
        return _fitted(scene, tolerance)


def _fitted(scene: Scene, tolerance: float) -> str | None:
    field = _FITTED.get(scene.layer.type)
    if field is None:
        return None
    start = float(getattr(scene.layer, field))

    def made(value: float) -> Array:
        return scene.formula(fields={field: value})

    found = fit(made, scene.given, start)
    if found is None or relative(scene.given, made(found)) > 100 * tolerance:
        return None
    return f"{field} {found:.6g} in place of {start:g}"


def _suspects(scene: Scene) -> Iterator[Suspect]:
    if scene.layer.type in BY_TYPE:
        yield from BY_TYPE[scene.layer.type](scene)
    for name in ("bias", "recurrent_bias"):
        if name in scene.p:
            yield f"{name} is not added", scene.formula({name: np.zeros_like(scene.p[name])})
            yield f"{name} is added twice (a second {name}?)", scene.formula({name: 2 * scene.p[name]})
    yield from _anywhere(scene)


def _anywhere(scene: Scene) -> Iterator[Suspect]:
    right = scene.formula()
    yield "the layer is left out: it gives its input", scene.x
    yield "training and inference mode are exchanged", scene.in_other_mode()
    if scene.given.ndim > 2:
        yield "the time or height axis is reversed", right[:, ::-1]
        yield "the output's axes 1 and 2 are exchanged", right.swapaxes(1, 2)
    yield "the features are reversed", right[..., ::-1]
    with np.errstate(all="ignore"):
        ratio = float((scene.given * right).sum() / (right**2).sum()) if right.shape == scene.given.shape else np.nan
    if np.isfinite(ratio):
        yield f"the output is {ratio:.6g} times the right one", ratio * right


__all__ = ["BY_TYPE", "Scene", "looks_like"]
