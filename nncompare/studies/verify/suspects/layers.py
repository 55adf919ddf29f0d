"""Suspects of layers on tables and images: dense, convolution, pooling, norms, dropout,
activations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations

import numpy as np

from nncompare.backends.base import Array
from nncompare.numerics.losses import sigmoid
from nncompare.numerics.reference import FORWARD
from nncompare.numerics.reference.convolution import windows
from nncompare.studies.verify.suspects.scene import Scene, Suspect


def _dense(s: Scene) -> Iterator[Suspect]:
    yield "the kernel is transposed", s.formula({"kernel": s.p["kernel"].T})
    yield "relu is applied to the output", np.maximum(s.formula(), 0)


def _flatten(s: Scene) -> Iterator[Suspect]:
    yield (
        "flatten order: channel, height, width (CHW) in place of HWC",
        np.moveaxis(s.x, -1, 1).reshape(len(s.x), -1),
    )


def _conv2d(s: Scene) -> Iterator[Suspect]:
    kernel = s.p["kernel"]
    yield "padding: the extra zero stands before, not after", _padded_before(s)
    yield "a true convolution: the kernel is flipped", s.formula({"kernel": kernel[::-1, ::-1]})
    yield "kernel height and width are exchanged", s.formula({"kernel": kernel.swapaxes(0, 1)})
    yield (
        "kernel input and output channels are exchanged",
        s.formula({"kernel": kernel.swapaxes(2, 3)}),
    )
    height, width = s.layer.pads(s.node.input)
    for mode in ("reflect", "edge", "wrap"):
        # more than the image has cannot be reflected
        if max(*height, *width) < min(s.x.shape[1:3]):
            padded = np.pad(s.x, ((0, 0), height, width, (0, 0)), mode=mode)
            yield (
                f"padding by {mode} in place of zeros",
                s.formula(fields={"padding": "valid"}, x=padded),
            )
    for amount in (0, 1, 2):
        yield f"padding of {amount} on each side", s.formula(fields={"padding": (amount, amount)})


def _padded_before(s: Scene) -> Array:
    """``same`` with its odd zero before: the mirror image of the formula on the mirror image."""
    mirrored = s.x[:, ::-1, ::-1]
    params = {"kernel": s.p["kernel"][::-1, ::-1]} if "kernel" in s.p else {}
    made = s.formula(params, x=mirrored)
    return made[:, ::-1, ::-1] if made.ndim == 4 else made


def _pool(s: Scene) -> Iterator[Suspect]:
    yield "padding: the extra value stands before, not after", _padded_before(s)
    other = "avg_pool2d" if s.layer.type == "max_pool2d" else "max_pool2d"
    yield f"{other} in its place", np.asarray(FORWARD[other](s.node, s.p, s.x, s.run))
    if s.layer.type == "max_pool2d":
        yield "padding of zeros takes part in the maximum", _zero_padded_max(s)
    else:
        yield "padding is counted in the mean", _padding_counted(s)


def _zero_padded_max(s: Scene) -> Array:
    low = s.x.min()
    return np.maximum(
        s.formula(), np.where(_real_values(s) < s.layer.window()[0] * s.layer.window()[1], 0.0, low)
    )


def _real_values(s: Scene) -> Array:
    """How many values of each window are no padding."""
    return np.asarray(windows(s.node, np.ones((1, *s.node.input.shape)), 0.0).sum(axis=(4, 5)))


def _padding_counted(s: Scene) -> Array:
    height, width = s.layer.window()
    return np.asarray(s.formula() * _real_values(s) / (height * width))


def _norm(s: Scene) -> Iterator[Suspect]:
    epsilon = s.layer.epsilon
    for other in (1e-3, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12, 0.0):
        if not np.isclose(other, epsilon, rtol=1e-9, atol=0):
            label = f"epsilon {other:g} in place of {epsilon:g}"
            yield label, s.formula(fields={"epsilon": other})
    yield "scale is not applied", s.formula({"scale": np.ones_like(s.p["scale"])})
    yield "scale is added to one", s.formula({"scale": 1 + s.p["scale"]})
    axes = (-1,) if s.layer.type == "layer_norm" else tuple(range(s.x.ndim - 1))
    if s.layer.type == "layer_norm" or s.run.training:
        yield "epsilon outside the root", _normalized(s, axes, 0, outside=True)
        yield "unbiased variance", _normalized(s, axes, 1)
        yield "the mean is not subtracted", _normalized(s, axes, 0, centred=False)
    if s.layer.type == "batch_norm" and not s.run.training:
        p = s.p
        root = np.sqrt(p["running_variance"]) + epsilon
        yield "epsilon outside the root", (s.x - p["running_mean"]) / root * p["scale"] + p["bias"]
        yield (
            "running variance used as a standard deviation",
            s.formula({"running_variance": p["running_variance"] ** 2}),
        )
        yield (
            "running mean is not subtracted",
            s.formula({"running_mean": np.zeros_like(p["running_mean"])}),
        )


def _normalized(
    s: Scene, axes: tuple[int, ...], ddof: int, *, outside: bool = False, centred: bool = True
) -> Array:
    mean, variance = (
        s.x.mean(axis=axes, keepdims=True),
        s.x.var(axis=axes, ddof=ddof, keepdims=True),
    )
    e = s.layer.epsilon
    root = np.sqrt(variance) + e if outside else np.sqrt(variance + e)
    return np.asarray((s.x - mean if centred else s.x) / root * s.p["scale"] + s.p["bias"])


def _dropout(s: Scene) -> Iterator[Suspect]:
    rate = s.layer.rate
    if not s.run.training or s.run.masks is None:
        return
    keep = s.run.masks(s.node.name, s.x.shape)
    yield "the mask's sense is turned round: True drops", s.x * ~keep / (1 - rate)
    yield "what is kept is not scaled by 1 / (1 - rate)", s.x * keep
    yield "what is kept is scaled by 1 / rate", s.x * keep / rate
    yield "what is kept is scaled by 1 - rate", s.x * keep * (1 - rate)
    yield "one mask value for all features", s.x * keep[..., :1] / (1 - rate)
    yield "one mask for all examples", s.x * keep[:1] / (1 - rate)
    yield (
        "what is kept is scaled by the share that is kept, not by 1 - rate",
        s.x * keep / keep.mean(),
    )
    chosen = s.given != 0
    share = float(chosen[s.x != 0].mean()) if s.x.any() else 0.0
    if 0 < share < 1:
        yield (
            f"another mask: {share:.3g} of the values are kept, other ones",
            s.x * chosen / (1 - rate),
        )


_CUBIC = 0.044715
_GELU = {False: float(np.sqrt(0.5)), True: float(np.sqrt(2 / np.pi))}
"""Approximate or not -> what the input is multiplied by."""


def _gelu(s: Scene, factor: float, cubic: float) -> Array:
    """GELU with other constants."""
    if s.layer.approximate:
        return np.asarray(s.x / 2 * (1 + np.tanh(factor * (s.x + cubic * s.x**3))))
    from scipy.special import erf  # as in the formula: slow to import, and only this needs it

    return np.asarray(s.x / 2 * (1 + erf(factor * s.x)))


def gelu_constants(s: Scene) -> Iterator[tuple[str, float, Callable[[float], Array]]]:
    """What may have any wrong value inside: words, the right one, the output for another."""
    right = _GELU[s.layer.approximate]
    yield (
        f"the factor {{0:.10g}} in place of {right:.10g}",
        right,
        lambda value: _gelu(s, value, _CUBIC),
    )
    if s.layer.approximate:
        yield (
            f"the factor {{0:.10g}} in place of {_CUBIC:g} of the cube",
            _CUBIC,
            lambda value: _gelu(s, right, value),
        )


def _reshape(s: Scene) -> Iterator[Suspect]:
    for axes in permutations(range(1, s.x.ndim)):
        if list(axes) != sorted(axes):
            words = ", ".join(str(axis) for axis in axes)
            yield (
                f"the input's axes are taken in the order {words}",
                s.x.transpose(0, *axes).reshape(s.given.shape),
            )


def _activation(s: Scene) -> Iterator[Suspect]:
    kind, x = s.layer.type, s.x
    if kind == "gelu":
        other = not s.layer.approximate
        yield (
            f"the {'tanh' if other else 'exact (erf)'} form of GELU",
            s.formula(fields={"approximate": other}),
        )
        yield "GELU as x sigmoid(1.702 x)", x * sigmoid(1.702 * x)
        factor, cubic = (float(np.float32(value)) for value in (_GELU[s.layer.approximate], _CUBIC))
        yield "its constants are rounded to float32", _gelu(s, factor, cubic)
        yield "its constant factor is rounded to float32", _gelu(s, factor, _CUBIC)
    if kind == "leaky_relu":
        for slope in (0.01, 0.1, 0.2, 0.3):
            if slope != s.layer.slope:
                label = f"slope {slope:g} in place of {s.layer.slope:g}"
                yield label, s.formula(fields={"slope": slope})
    if kind == "softmax":
        yield "softmax over another axis", np.moveaxis(s.formula(x=np.moveaxis(x, 1, -1)), -1, 1)
        yield "the logarithm of softmax", np.log(s.formula())
    if kind == "sigmoid":
        yield "the hard sigmoid", np.clip(x / 6 + 0.5, 0, 1)
    if kind == "relu":
        yield "relu is cut at 6", np.clip(x, 0, 6)
    others: dict[str, Array] = {
        "relu": np.maximum(x, 0),
        "tanh": np.tanh(x),
        "sigmoid": sigmoid(x),
        "swish": x * sigmoid(x),
        "softplus": np.logaddexp(x, 0),
        "elu": np.where(x > 0, x, np.expm1(x)),
    }
    for name, made in others.items():
        if name != kind:
            yield f"{name} in its place", made


SUSPECTS: dict[str, Callable[[Scene], Iterator[Suspect]]] = {
    "dense": _dense,
    "flatten": _flatten,
    "conv2d": _conv2d,
    "max_pool2d": _pool,
    "avg_pool2d": _pool,
    "layer_norm": _norm,
    "batch_norm": _norm,
    "dropout": _dropout,
    "reshape": _reshape,
    "relu": _activation,
    "leaky_relu": _activation,
    "gelu": _activation,
    "sigmoid": _activation,
    "tanh": _activation,
    "softmax": _activation,
}
"""Layer type -> its suspects, the likeliest first."""
