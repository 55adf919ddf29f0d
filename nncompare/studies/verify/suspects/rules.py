"""Wrong update rules: the known mistakes of each kind of optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from nncompare.backends.base import Array
from nncompare.numerics import updates

Rule = Callable[[Array, Array, float], Array]
"""(weights, gradient, learning rate) -> new weights; remembers what it needs from step to step."""


def standard(optimizer: Any) -> Rule:
    """The canonical rule of an optimizer."""
    state: dict[str, Any] = {"state": updates.State()}

    def rule(w: Array, g: Array, rate: float) -> Array:
        new, state["state"] = updates.step(optimizer, state["state"], {"w": w}, {"w": g}, rate)
        return new["w"]

    return rule


def rules(o: Any) -> Iterator[tuple[str, Rule]]:
    """Mistakes of each kind of optimizer."""
    yield "the weights are not updated at all", lambda w, _g, _r: w
    yield "the new weights are rounded to float32", _rounded(o)
    yield (
        "the gradient is rounded to float32",
        _of_gradient(o, lambda g: g.astype(np.float32).astype(np.float64)),
    )
    yield "the gradient's sign is turned round", _of_gradient(o, np.negative)
    yield "gradients of earlier steps are added: they are not set to zero", _summed(o)
    yield "the optimizer forgets what came before", lambda w, g, rate: standard(o)(w, g, rate)
    for field in ("momentum", "beta1", "beta2", "rho", "epsilon", "weight_decay"):
        if hasattr(o, field):
            narrow = float(np.float32(getattr(o, field)))
            yield f"{field} rounded to float32", standard(o.model_copy(update={field: narrow}))
    usual = {
        "epsilon": (1e-7, 1e-8, 1e-3, 1e-6),
        "weight_decay": (0.01, 0.004, 0.0),
        "momentum": (0.0,),
    }
    for field, others in usual.items():
        for value in others:
            if hasattr(o, field) and value != getattr(o, field):
                label = f"{field} {value:g} in place of {getattr(o, field):g}"
                yield label, standard(o.model_copy(update={field: value}))
    makers: dict[str, Callable[[Any], Iterator[tuple[str, Rule]]]] = {
        "sgd": _sgd,
        "adam": _adam,
        "adamw": _adam,
        "rmsprop": _rmsprop,
    }
    yield from makers.get(o.name, lambda _: iter(()))(o)


def shares(o: Any) -> Iterator[tuple[str, Callable[[float], Rule]]]:
    """What a share of the weights does that has no business there; words for {0}, and the rule of a
    share.
    """

    def rule(share: float, of: Callable[[Array], Array], *, decoupled: bool = False) -> Rule:
        made = standard(o)
        if decoupled:
            return lambda w, g, rate: made(w * (1 - rate * share), g, rate)
        return lambda w, g, rate: made(w, g + share * of(w), rate)

    words = "are added to the gradient: a coupled decay, or a penalty"
    yield f"{{0:.6g}} times the weights {words}", lambda share: rule(share, lambda w: w)
    yield f"{{0:.6g}} times the weights' signs {words}", lambda share: rule(share, np.sign)
    told = "the weights shrink by {0:.6g} times the learning rate: a decoupled decay"
    yield told, lambda share: rule(share, lambda w: w, decoupled=True)


def _rounded(optimizer: Any) -> Rule:
    rule = standard(optimizer)
    return lambda w, g, rate: rule(w, g, rate).astype(np.float32).astype(np.float64)


def _summed(optimizer: Any) -> Rule:
    rule, memory = standard(optimizer), dict[str, Any](g=0.0)

    def summed(w: Array, g: Array, rate: float) -> Array:
        memory["g"] = memory["g"] + g
        return rule(w, memory["g"], rate)

    return summed


def _of_gradient(optimizer: Any, change: Callable[[Array], Array]) -> Rule:
    rule = standard(optimizer)
    return lambda w, g, rate: rule(w, change(g), rate)


def _sgd(o: Any) -> Iterator[tuple[str, Rule]]:
    yield (
        "Nesterov's form is turned round",
        standard(o.model_copy(update={"nesterov": not o.nesterov})),
    )

    def stored_rate(momentum: float) -> Rule:
        def rule(w: Array, g: Array, rate: float, m: dict[str, Array]) -> Array:
            m["v"] = momentum * m.get("v", np.zeros_like(w)) - rate * g
            return np.asarray(w + (momentum * m["v"] - rate * g if o.nesterov else m["v"]))

        return _fresh(rule)

    stored = "the learning rate is stored inside the velocity (it differs when the rate changes)"
    yield stored, stored_rate(o.momentum)
    yield f"{stored}, and momentum rounded to float32", stored_rate(float(np.float32(o.momentum)))

    def damped(w: Array, g: Array, rate: float, m: dict[str, Array] = {}) -> Array:  # noqa: B006
        m["v"] = o.momentum * m["v"] + (1 - o.momentum) * g if "v" in m else g
        return np.asarray(w - rate * m["v"])

    yield "the gradient is dampened by 1 - momentum", _fresh(damped)


def _fresh(rule: Callable[..., Array]) -> Rule:
    """The rule with a memory of its own."""
    memory: dict[str, Array] = {}
    return lambda w, g, rate: rule(w, g, rate, memory)


def adam(
    o: Any,
    *,
    before: bool = False,
    inside: bool = False,
    corrects: tuple[bool, bool] = (True, True),
    coupled: bool = False,
    decay_by: str = "rate",
    after: bool = False,
    largest: bool = False,
    nesterov: bool = False,
    narrow: bool = False,
    late: int = 0,
    epsilon: float | None = None,
    betas: tuple[float, float] | None = None,
    rests: tuple[float, float] | None = None,
) -> Rule:
    """Adam and AdamW with one thing changed: where epsilon stands, which moments are corrected and
    from which step on, what the decay is multiplied by, the betas of the moments apart from those
    of their corrections, and what the newest gradient counts in them.
    """
    decay, memory = getattr(o, "weight_decay", 0.0), dict[str, Any](t=0, m=0.0, v=0.0, top=0.0)
    small, (beta1, beta2) = o.epsilon if epsilon is None else epsilon, betas or (o.beta1, o.beta2)
    number = np.float32 if narrow else np.float64
    rest1, rest2 = rests or (1 - beta1, 1 - beta2)

    def rule(w: Array, g: Array, rate: float) -> Array:
        memory["t"] += 1
        c1, c2 = (
            number(1) - number(beta) ** number(memory["t"] + late) if correct else 1.0
            for beta, correct in zip((o.beta1, o.beta2), corrects, strict=True)
        )
        by = {"rate": rate, "one": 1.0, "file": o.lr, "corrected": rate * np.sqrt(c2) / c1}[
            decay_by
        ]
        if coupled:
            g = g + decay * w
        elif decay and not after:
            w = w * (1 - by * decay)
        memory["m"] = beta1 * memory["m"] + rest1 * g
        memory["v"] = beta2 * memory["v"] + rest2 * g**2
        memory["top"] = np.maximum(memory["top"], memory["v"])
        m, v = memory["m"], memory["top"] if largest else memory["v"]
        if nesterov:
            m = beta1 * m + rest1 * g
        if before:
            new = w - rate * np.sqrt(c2) / c1 * m / (np.sqrt(v) + small)
        elif inside:
            new = w - rate * m / c1 / np.sqrt(v / c2 + small)
        else:
            new = w - rate * m / c1 / (np.sqrt(v / c2) + small)
        return np.asarray(new * (1 - rate * decay) if decay and after else new)

    return rule


def _adam(o: Any) -> Iterator[tuple[str, Rule]]:
    make = partial(adam, o)
    yield "epsilon is added before the bias correction", make(before=True)
    yield "epsilon stands under the root", make(inside=True)
    for other in (1e-7, 1e-8):
        if other != o.epsilon:
            label = f"epsilon {other:g} in place of {o.epsilon:g}, added before the bias correction"
            yield label, make(before=True, epsilon=other)
    yield "the bias correction is missing", make(corrects=(False, False))
    yield "the bias correction of the first moment is missing", make(corrects=(False, True))
    yield "the bias correction of the second moment is missing", make(corrects=(True, False))
    yield "Nesterov's form of Adam", make(nesterov=True)
    if getattr(o, "weight_decay", 0.0):
        yield "the weight decay is coupled: added to the gradient", make(coupled=True)
        yield "the weight decay is not multiplied by the learning rate", make(decay_by="one")
        yield (
            "the weight decay is multiplied by the file's learning rate, not by the step's",
            make(decay_by="file"),
        )
        yield (
            "the weight decay is multiplied by the bias-corrected learning rate",
            make(decay_by="corrected"),
        )
        yield "the weight decay comes after the step, not before it", make(after=True)
    yield "the largest second moment so far is used (AMSGrad)", make(largest=True)
    yield "the bias correction counts one step too many", make(late=1)
    yield "the bias correction counts one step too few", make(late=-1)
    yield "the bias correction is computed in float32", make(narrow=True)
    one, two = float(np.float32(1 - o.beta1)), float(np.float32(1 - o.beta2))
    yield "1 - beta1 rounded to float32", make(rests=(one, 1 - o.beta2))
    yield "1 - beta2 rounded to float32", make(rests=(1 - o.beta1, two))
    swapped = {"beta1": o.beta2, "beta2": o.beta1}
    yield "beta1 and beta2 are exchanged", standard(o.model_copy(update=swapped))


def _rms(
    o: Any,
    *,
    inside: bool = False,
    stored: bool = False,
    centred: bool = False,
    earlier: bool = False,
    rho: float | None = None,
    rest: float | None = None,
    start: float = 0.0,
) -> Rule:
    """RMSprop with one thing changed: epsilon under the root, the rate stored in the momentum
    buffer, the mean square centred, that of the step before, its two weights apart, or its start.
    """
    memory = dict[str, Any](v=start, g=0.0, m=0.0)
    old, new = o.rho if rho is None else rho, 1 - o.rho if rest is None else rest

    def rule(w: Array, g: Array, rate: float) -> Array:
        before, memory["v"] = memory["v"], old * memory["v"] + new * g**2
        memory["g"] = o.rho * memory["g"] + (1 - o.rho) * g
        square = before if earlier else memory["v"] - memory["g"] ** 2 if centred else memory["v"]
        root = np.sqrt(square + o.epsilon) if inside else np.sqrt(square) + o.epsilon
        memory["m"] = o.momentum * memory["m"] + (rate if stored else 1.0) * g / root
        return np.asarray(w - (1.0 if stored else rate) * memory["m"])

    return rule


def _rmsprop(o: Any) -> Iterator[tuple[str, Rule]]:
    make, narrow = partial(_rms, o), float(np.float32(o.rho))
    yield "epsilon stands under the root", make(inside=True)
    yield "rho rounded to float32, though not 1 - rho", make(rho=narrow, rest=1 - o.rho)
    yield "1 - rho rounded to float32", make(rest=float(np.float32(1 - o.rho)))
    yield "the learning rate is stored inside the momentum buffer", make(stored=True)
    yield "the mean square starts at one, not at zero", make(start=1.0)
    yield "the mean square of the step before divides", make(earlier=True)
    yield "the mean square is centred", make(centred=True)
    for rho in (0.9, 0.99):
        if rho != o.rho:
            yield f"rho {rho:g} in place of {o.rho:g}", standard(o.model_copy(update={"rho": rho}))
