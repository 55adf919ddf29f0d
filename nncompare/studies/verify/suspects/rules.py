"""Wrong update rules: the known mistakes of each kind of optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
    for share in (1e-2, 5e-3, 1e-3, 5e-4, 1e-4):
        yield f"{share:g} times the weights are added to the gradient: a coupled decay", _decayed(o, share)
    yield "the gradient is rounded to float32", _of_gradient(o, lambda g: g.astype(np.float32).astype(np.float64))
    yield "the gradient's sign is turned round", _of_gradient(o, np.negative)
    yield "gradients of earlier steps are added: they are not set to zero", _summed(o)
    yield "the optimizer forgets what came before", lambda w, g, rate: standard(o)(w, g, rate)
    for field in ("momentum", "beta1", "beta2", "rho", "epsilon", "weight_decay"):
        if hasattr(o, field):
            narrow = float(np.float32(getattr(o, field)))
            yield f"{field} rounded to float32", standard(o.model_copy(update={field: narrow}))
    for field, others in {"epsilon": (1e-7, 1e-8, 1e-3, 1e-6), "weight_decay": (0.01, 0.004, 0.0)}.items():
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


def _decayed(optimizer: Any, share: float) -> Rule:
    rule = standard(optimizer)
    return lambda w, g, rate: rule(w, g + share * w, rate)


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
    yield "Nesterov's form is turned round", standard(o.model_copy(update={"nesterov": not o.nesterov}))

    def stored_rate(w: Array, g: Array, rate: float, m: dict[str, Array] = {}) -> Array:  # noqa: B006 - its memory
        m["v"] = o.momentum * m.get("v", np.zeros_like(w)) - rate * g
        return np.asarray(w + (o.momentum * m["v"] - rate * g if o.nesterov else m["v"]))

    yield "the learning rate is stored inside the velocity (it differs when the rate changes)", _fresh(stored_rate)

    def damped(w: Array, g: Array, rate: float, m: dict[str, Array] = {}) -> Array:  # noqa: B006
        m["v"] = o.momentum * m["v"] + (1 - o.momentum) * g if "v" in m else g
        return np.asarray(w - rate * m["v"])

    yield "the gradient is dampened by 1 - momentum", _fresh(damped)


def _fresh(rule: Callable[..., Array]) -> Rule:
    """The rule with a memory of its own."""
    memory: dict[str, Array] = {}
    return lambda w, g, rate: rule(w, g, rate, memory)


def _adam(o: Any) -> Iterator[tuple[str, Rule]]:
    decay = getattr(o, "weight_decay", 0.0)

    def make(
        *,
        before: bool = False,
        inside: bool = False,
        correct: bool = True,
        coupled: bool = False,
        plain: bool = False,
        after: bool = False,
        largest: bool = False,
        narrow: bool = False,
        late: int = 0,
        epsilon: float = o.epsilon,
    ) -> Rule:
        memory: dict[str, Any] = {"t": 0, "m": 0.0, "v": 0.0}

        def rule(w: Array, g: Array, rate: float) -> Array:
            memory["t"] += 1
            if coupled:
                g = g + decay * w
            elif decay and not after:
                w = w * (1 - (decay if plain else rate * decay))
            memory["m"] = o.beta1 * memory["m"] + (1 - o.beta1) * g
            memory["v"] = o.beta2 * memory["v"] + (1 - o.beta2) * g**2
            number = np.float32 if narrow else np.float64
            c1, c2 = (
                number(1) - number(b) ** number(memory["t"] + late) if correct else 1.0 for b in (o.beta1, o.beta2)
            )
            memory["top"] = np.maximum(memory.get("top", 0.0), memory["v"])
            v = memory["top"] if largest else memory["v"]
            if before:
                new = w - rate * np.sqrt(c2) / c1 * memory["m"] / (np.sqrt(v) + epsilon)
            elif inside:
                new = w - rate * memory["m"] / c1 / np.sqrt(v / c2 + epsilon)
            else:
                new = w - rate * memory["m"] / c1 / (np.sqrt(v / c2) + epsilon)
            return np.asarray(new * (1 - rate * decay) if decay and after else new)

        return rule

    yield "epsilon is added before the bias correction", make(before=True)
    yield "epsilon stands under the root", make(inside=True)
    for other in (1e-7, 1e-8):
        if other != o.epsilon:
            label = f"epsilon {other:g} in place of {o.epsilon:g}, added before the bias correction"
            yield label, make(before=True, epsilon=other)
    yield "the bias correction is missing", make(correct=False)
    if decay:
        yield "the weight decay is coupled: added to the gradient", make(coupled=True)
        yield "the weight decay is not multiplied by the learning rate", make(plain=True)
        yield "the weight decay comes after the step, not before it", make(after=True)
    yield "the largest second moment so far is used (AMSGrad)", make(largest=True)
    yield "the bias correction counts one step too many", make(late=1)
    yield "the bias correction counts one step too few", make(late=-1)
    yield "the bias correction is computed in float32", make(narrow=True)
    swapped = {"beta1": o.beta2, "beta2": o.beta1}
    yield "beta1 and beta2 are exchanged", standard(o.model_copy(update=swapped))


def _rmsprop(o: Any) -> Iterator[tuple[str, Rule]]:
    def inside(w: Array, g: Array, rate: float, m: dict[str, Any] = {}) -> Array:  # noqa: B006 - its memory
        m["v"] = o.rho * m.get("v", 0.0) + (1 - o.rho) * g**2
        m["m"] = o.momentum * m.get("m", 0.0) + g / np.sqrt(m["v"] + o.epsilon)
        return np.asarray(w - rate * m["m"])

    yield "epsilon stands under the root", _fresh(inside)

    def stored_rate(w: Array, g: Array, rate: float, m: dict[str, Any] = {}) -> Array:  # noqa: B006
        m["v"] = o.rho * m.get("v", 0.0) + (1 - o.rho) * g**2
        m["m"] = o.momentum * m.get("m", 0.0) + rate * g / (np.sqrt(m["v"]) + o.epsilon)
        return np.asarray(w - m["m"])

    def centred(w: Array, g: Array, rate: float, m: dict[str, Any] = {}) -> Array:  # noqa: B006
        m["v"] = o.rho * m.get("v", 0.0) + (1 - o.rho) * g**2
        m["g"] = o.rho * m.get("g", 0.0) + (1 - o.rho) * g
        m["m"] = o.momentum * m.get("m", 0.0) + g / (np.sqrt(m["v"] - m["g"] ** 2) + o.epsilon)
        return np.asarray(w - rate * m["m"])

    yield "the learning rate is stored inside the momentum buffer", _fresh(stored_rate)
    yield "the mean square is centred", _fresh(centred)
    for rho in (0.9, 0.99):
        if rho != o.rho:
            yield f"rho {rho:g} in place of {o.rho:g}", standard(o.model_copy(update={"rho": rho}))
