"""What a wrong layer looks like: known mistakes, tried one after the other on the layer's own
input.

Every suspect is the layer's formula with one thing changed. The one that gives what the runtime
gave is named. Where a single constant decides (an epsilon, a slope, a rate), it is fitted, so that
any wrong value is found, not only the usual ones. A layer type without suspects is still located,
only not explained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np

from nncompare.backends.base import Array
from nncompare.studies.verify.checks.distance import relative
from nncompare.studies.verify.suspects import layers, sequences
from nncompare.studies.verify.suspects.fit import fit
from nncompare.studies.verify.suspects.scene import Scene, Suspect

Constant = tuple[str, float, Callable[[float], Array]]
"""Words for the value {0} and its distance {1} from the right one, the right one, the output for
another.
"""
BY_TYPE = {**layers.SUSPECTS, **sequences.SUSPECTS}
_FITTED = {
    "layer_norm": "epsilon",
    "batch_norm": "epsilon",
    "leaky_relu": "slope",
    "dropout": "rate",
}
"""Layer type -> its own constant that may have any wrong value."""


def looks_like(scene: Scene, tolerance: float) -> str | None:
    """The first suspect whose output is the given one within ``tolerance`` (relative), in words;
    None: none is.

    A suspect must also explain nearly all of what there is to explain, however small that is.
    """
    with np.errstate(all="ignore"):
        right = scene.formula()
        if right.shape == scene.given.shape:
            deviation = relative(scene.given, right)
            if deviation <= scene.rounding:
                return None
            tolerance = min(tolerance, max(1e-2 * deviation, min(scene.rounding, 0.2 * deviation)))
        return (
            _named(scene, _suspects(scene), right, tolerance)
            or _fitted(scene, _fields(scene), tolerance)
            or _named(scene, _anywhere(scene), right, tolerance)
            or _fitted(scene, _constants(scene), tolerance)
            or _partly(scene, right, tolerance)
        )


def _named(scene: Scene, suspects: Iterable[Suspect], right: Array, tolerance: float) -> str | None:
    for label, made in suspects:
        if made.shape != scene.given.shape or relative(scene.given, made) > tolerance:
            continue
        # else it explains nothing
        if right.shape != made.shape or relative(right, made) > tolerance:
            return label
    return None


def _fitted(scene: Scene, constants: Iterable[Constant], tolerance: float) -> str | None:
    """One constant that may have any wrong value."""
    for label, start, made in constants:
        found = fit(made, scene.given, start)
        if found is not None and relative(scene.given, made(found)) <= 10 * tolerance:
            return label.format(found, found - start)
    return None


def _fields(scene: Scene) -> Iterator[Constant]:
    """The constant of the layer itself."""
    field = _FITTED.get(scene.layer.type)
    if field is not None:
        start = float(getattr(scene.layer, field))
        yield (
            f"{field} {{0:.10g}} in place of {start:g}",
            start,
            lambda value: scene.formula(fields={field: value}),
        )
    if scene.layer.type == "gelu":
        yield from layers.gelu_constants(scene)


def _constants(scene: Scene) -> Iterator[Constant]:
    """Constants that should not be there."""
    if scene.layer.type == "attention":
        yield from sequences.mask_constants(scene)
        query = ("query_kernel", "query_bias")
        yield (
            "scores are multiplied by {0:.10g}",
            1.0,
            lambda c: scene.formula({n: c * scene.p[n] for n in query}),
        )
    for name, value in scene.p.items():
        yield f"{name} counts {{0:.10g}} times", 1.0, partial(_times, scene, name, value)
    for name in ("bias", "recurrent_bias"):
        if name in scene.p:
            yield f"a constant {{1:.6g}} is added to the {name}", 1.0, partial(_plus, scene, name)


def _times(scene: Scene, name: str, value: Array, factor: float) -> Array:
    return scene.formula({name: factor * value})


def _plus(scene: Scene, name: str, shift: float) -> Array:
    # shifted by one: the search takes its widths from the size of the constant
    return scene.formula({name: scene.p[name] + (shift - 1.0)})


def _partly(scene: Scene, right: Array, tolerance: float) -> str | None:
    """Only a part of the output is off: some features, steps or examples."""
    if right.shape != scene.given.shape:
        return None
    off = np.abs(scene.given - right) > max(tolerance, scene.rounding) * (
        np.abs(right).max() or 1.0
    )
    names = {
        2: ("example", "feature"),
        3: ("example", "step", "feature"),
        4: ("example", "row", "column", "channel"),
    }
    for axis, name in reversed(list(enumerate(names.get(right.ndim, ())))):
        size = right.shape[axis]
        where = np.flatnonzero(off.any(axis=tuple(k for k in range(right.ndim) if k != axis)))
        if 0 < len(where) <= size // 2:
            return f"only {name} {', '.join(str(k + 1) for k in where[:6])} of {size} is off"
    return None


def _suspects(scene: Scene) -> Iterator[Suspect]:
    if scene.layer.type in BY_TYPE:
        yield from BY_TYPE[scene.layer.type](scene)
    for name in ("bias", "recurrent_bias"):
        if name in scene.p:
            yield f"{name} is not added", scene.formula({name: np.zeros_like(scene.p[name])})
            yield (
                f"{name} is added twice (a second {name}?)",
                scene.formula({name: 2 * scene.p[name]}),
            )


def _anywhere(scene: Scene) -> Iterator[Suspect]:
    right = scene.formula()
    yield "the layer is left out: it gives its input", scene.x
    yield "training and inference mode are exchanged", scene.in_other_mode()
    if scene.x.dtype.kind == "f":
        yield (
            "its input is rounded to float32",
            scene.formula(x=scene.x.astype(np.float32).astype(np.float64)),
        )
    if scene.p:
        narrow = {
            name: value.astype(np.float32).astype(np.float64) for name, value in scene.p.items()
        }
        yield "its parameters are rounded to float32", scene.formula(narrow)
    yield "its output is rounded to float32", right.astype(np.float32).astype(np.float64)
    if scene.given.ndim > 2:
        yield "the time or height axis is reversed", right[:, ::-1]
        yield "the output's axes 1 and 2 are exchanged", right.swapaxes(1, 2)
    yield "the features are reversed", right[..., ::-1]
    with np.errstate(all="ignore"):
        ratio = (
            float((scene.given * right).sum() / (right**2).sum())
            if right.shape == scene.given.shape
            else np.nan
        )
    if np.isfinite(ratio):
        yield f"the output is {ratio:.6g} times the right one", ratio * right


__all__ = ["BY_TYPE", "Scene", "looks_like"]
