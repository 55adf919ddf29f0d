"""What a wrong update looks like: known mistakes of optimizers, tried on the runtime's own gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import updates
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.gates import absolute, scale
from nncompare.studies.verify.suspects.fit import fit
from nncompare.worker.observation import Observation

Rule = Callable[[Array, Array, float], Array]
"""(weights, gradient, learning rate) -> new weights; remembers what it needs from step to step."""
TOLERANCE = 1e-9
"""Of an explained update, relative to its size: a suspect is named if it leaves nothing worth naming."""


@dataclass(frozen=True)
class Updates:
    """The checked updates of one parameter.

    Args:
        name: canonical name.
        weights: before each update and after the last; ``gradients``: before clipping, ``clipped``: as the rule is
            meant to see them; ``rates``: of every update.
    """

    name: str
    weights: list[Array]
    gradients: list[Array]
    clipped: list[Array]
    rates: list[float]

    def residual(self, rule: Rule, gradients: list[Array] | None = None) -> float:
        """How far the rule is from these updates, relative to their size; the worst of them."""
        worst = 0.0
        for step, gradient in enumerate(gradients or self.clipped):
            made = rule(self.weights[step], gradient, self.rates[step])
            moved = scale(self.weights[step + 1] - self.weights[step])
            apart = absolute(self.weights[step + 1], made)
            worst = max(worst, 0.0 if apart <= 1e-15 else apart / moved)
        return worst


def update_looks_like(context: Context, seen: Observation, name: str, tolerance: float = TOLERANCE) -> str | None:
    """What explains the updates of a parameter within ``tolerance`` (relative to their size), in words.

    Of several that do, the one that leaves least; and none that leaves more than a tenth of what there is to explain.
    """
    train = context.job.experiment.train
    count = context.plan.update_steps
    gradients = [seen.update_gradients[step] for step in range(count)]
    clipped = [updates.clip(gradient, train.clip_norm) for gradient in gradients]
    found = Updates(
        name=name,
        weights=[seen.update_weights[step][name] for step in range(count + 1)],
        gradients=[gradient[name] for gradient in gradients],
        clipped=[gradient[name] for gradient in clipped],
        rates=[float(rate) for rate in context.plan.updates.learning_rate[:count]],
    )
    with np.errstate(all="ignore"):
        limit = min(tolerance, 0.1 * found.residual(standard(train.optimizer)))
        left = {label: found.residual(rule) for label, rule in _rules(train.optimizer)}
        for label, changed in _clippings(gradients, train.clip_norm):
            left[label] = found.residual(standard(train.optimizer), [gradient[name] for gradient in changed])
        known = {label: size for label, size in left.items() if size <= limit}
        if known:
            return min(known, key=lambda label: known[label])
        return _fitted(found, train.optimizer, limit)


def standard(optimizer: Any) -> Rule:
    """The canonical rule of an optimizer."""
    state: dict[str, Any] = {"state": updates.State()}

    def rule(w: Array, g: Array, rate: float) -> Array:
        new, state["state"] = updates.step(optimizer, state["state"], {"w": w}, {"w": g}, rate)
        return new["w"]

    return rule


def _fitted(found: Updates, optimizer: Any, limit: float) -> str | None:
    """One constant of the optimizer, or a factor on the learning rate, that explains everything."""
    given = np.concatenate([array.ravel() for array in found.weights[1:]])

    def run(changed: Any, factor: float = 1.0) -> Array:
        rule = standard(changed)
        made = [
            rule(w, g, rate * factor) for w, g, rate in zip(found.weights, found.clipped, found.rates, strict=False)
        ]
        return np.concatenate([array.ravel() for array in made])

    candidates: list[tuple[str, float, Callable[[float], Array]]] = [
        ("learning rate times", 1.0, lambda factor: run(optimizer, factor))
    ]
    for field in ("epsilon", "beta1", "beta2", "momentum", "rho", "weight_decay"):
        if hasattr(optimizer, field):
            start = float(getattr(optimizer, field))
            candidates.append((field, start, partial(_with, run, optimizer, field)))
    moved = scale(given - np.concatenate([array.ravel() for array in found.weights[:-1]]))
    for label, start, made in candidates:
        value = fit(made, given, start)
        if value is not None and value != start and absolute(given, made(value)) <= max(limit * moved, 2e-15):
            if label == "learning rate times":
                return f"learning rate times {value:.10g}"
            rounded = "; the right value rounded to float32" if np.float32(start) == value else ""
            return f"{label} {value:.10g} in place of {start:g}{rounded}"
    return None


def _with(run: Callable[[Any], Array], optimizer: Any, field: str, value: float) -> Array:
    return run(optimizer.model_copy(update={field: value}))


def _rules(o: Any) -> Iterator[tuple[str, Rule]]:
    """Mistakes of each kind of optimizer."""
    yield "the weights are not updated at all", lambda w, _g, _r: w
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
        epsilon: float = o.epsilon,
    ) -> Rule:
        memory: dict[str, Any] = {"t": 0, "m": 0.0, "v": 0.0}

        def rule(w: Array, g: Array, rate: float) -> Array:
            memory["t"] += 1
            if coupled:
                g = g + decay * w
            elif decay:
                w = w * (1 - (decay if plain else rate * decay))
            memory["m"] = o.beta1 * memory["m"] + (1 - o.beta1) * g
            memory["v"] = o.beta2 * memory["v"] + (1 - o.beta2) * g**2
            c1 = 1 - o.beta1 ** memory["t"] if correct else 1.0
            c2 = 1 - o.beta2 ** memory["t"] if correct else 1.0
            if before:
                return np.asarray(w - rate * np.sqrt(c2) / c1 * memory["m"] / (np.sqrt(memory["v"]) + epsilon))
            if inside:
                return np.asarray(w - rate * memory["m"] / c1 / np.sqrt(memory["v"] / c2 + epsilon))
            return np.asarray(w - rate * memory["m"] / c1 / (np.sqrt(memory["v"] / c2) + epsilon))

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
    swapped = {"beta1": o.beta2, "beta2": o.beta1}
    yield "beta1 and beta2 are exchanged", standard(o.model_copy(update=swapped))


def _rmsprop(o: Any) -> Iterator[tuple[str, Rule]]:
    def inside(w: Array, g: Array, rate: float, m: dict[str, Any] = {}) -> Array:  # noqa: B006 - its memory
        m["v"] = o.rho * m.get("v", 0.0) + (1 - o.rho) * g**2
        m["m"] = o.momentum * m.get("m", 0.0) + g / np.sqrt(m["v"] + o.epsilon)
        return np.asarray(w - rate * m["m"])

    yield "epsilon stands under the root", _fresh(inside)
    for rho in (0.9, 0.99):
        if rho != o.rho:
            yield f"rho {rho:g} in place of {o.rho:g}", standard(o.model_copy(update={"rho": rho}))


def _clippings(gradients: list[Params], norm: float | None) -> Iterator[tuple[str, list[Params]]]:
    if norm is None:
        return
    yield "the gradient is not clipped", gradients
    yield (
        "the norm is clipped per tensor, not of all together",
        [{name: updates.clip({name: g}, norm)[name] for name, g in gradient.items()} for gradient in gradients],
    )
    totals = [float(np.sqrt(sum(float((g**2).sum()) for g in gradient.values()))) for gradient in gradients]
    for label, factors in (
        ("1e-6 is added to the norm in clipping", [min(1.0, norm / (total + 1e-6)) for total in totals]),
        ("the gradient is scaled to the norm even where it is smaller", [norm / total for total in totals]),
    ):
        yield label, [{n: g * f for n, g in gradient.items()} for gradient, f in zip(gradients, factors, strict=True)]
    yield (
        "the gradient's entries are clipped, not its norm",
        [{name: np.clip(g, -norm, norm) for name, g in gradient.items()} for gradient in gradients],
    )
