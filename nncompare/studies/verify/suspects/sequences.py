"""Suspects of layers on sequences: embedding, positions, recurrent layers, attention,
reading out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics.layout import GRU_GATES, LSTM_GATES, reorder_gates
from nncompare.numerics.losses import sigmoid
from nncompare.studies.verify.suspects.scene import Scene, Suspect


def _recurrent(s: Scene) -> Iterator[Suspect]:
    order = {"lstm": LSTM_GATES, "gru": GRU_GATES}.get(s.layer.type, "h")
    for other in ("".join(p) for p in permutations(order) if "".join(p) != order):
        label = f"gate order {', '.join(other)} in place of {', '.join(order)}"
        yield (
            label,
            s.formula({name: reorder_gates(value, other, order) for name, value in s.p.items()}),
        )
        for name in s.p:
            yield f"{label} in {name}", s.formula({name: reorder_gates(s.p[name], other, order)})
    yield from _other_gates(s)
    yield "the sequence is read backwards", s.formula(x=s.x[:, ::-1])
    yield (
        "the recurrent kernel is transposed",
        s.formula({"recurrent_kernel": _transposed_gates(s)}),
    )
    if s.layer.type == "gru":
        yield "the reset gate stands before the product (reset_after=False)", _reset_before(s)
        yield "z and 1 - z are exchanged", _flipped_update(s)
        swapped = {"bias": s.p["recurrent_bias"], "recurrent_bias": s.p["bias"]}
        yield "bias and recurrent_bias are exchanged", s.formula(swapped)
    if s.layer.type == "lstm":
        forget = np.zeros_like(s.p["bias"])
        forget[s.layer.units : 2 * s.layer.units] = 1.0
        yield "1 is added to the forget gate's bias", s.formula({"bias": s.p["bias"] + forget})
    if not s.layer.return_sequences:
        whole = {"return_sequences": True}
        every = s.formula(fields=whole)
        yield "the first step in place of the last", every[:, 0]
        yield "the mean of all steps in place of the last", every.mean(axis=1)
        yield "the largest of all steps in place of the last", every.max(axis=1)
        if every.shape[1] > 1:
            yield "the step before the last", every[:, -2]


def _other_gates(s: Scene) -> Iterator[Suspect]:
    """The gates with another function in place of the sigmoid; a simple layer with another in place
    of tanh.
    """
    if s.layer.type == "rnn":
        for words, function in _FUNCTIONS.items():
            yield f"{words} in place of tanh", _rnn_with(s, function)
        return
    made = _lstm_with if s.layer.type == "lstm" else _gru_with
    for words, gate in _GATES.items():
        yield words, made(s, gate)
    for words, function in _FUNCTIONS.items():
        yield f"{words} in place of tanh", made(s, inner=function)
    if s.layer.type == "lstm":
        yield (
            "tanh is not applied to the cell's state before the output gate",
            _lstm_with(s, outer=lambda c: c),
        )
        for words, function in _FUNCTIONS.items():
            yield f"{words} in place of both tanh", _lstm_with(s, inner=function, outer=function)
    else:
        yield "the reset gate is not applied", _gru_with(s, reset=False)


Function = Callable[[Array], Array]

_GATES: dict[str, Function] = {
    "hard sigmoid gates, x / 6 + 1 / 2": lambda a: np.clip(a / 6 + 0.5, 0, 1),
    "hard sigmoid gates, x / 5 + 1 / 2": lambda a: np.clip(a / 5 + 0.5, 0, 1),
    "tanh gates": np.tanh,
    "gates with their sign turned round": lambda a: sigmoid(-a),
}

_FUNCTIONS: dict[str, Function] = {
    "relu": lambda a: np.maximum(a, 0),
    "sigmoid": sigmoid,
    "nothing": lambda a: a,
}


def _rnn_with(s: Scene, function: Function) -> Array:
    h, states = np.zeros((len(s.x), s.layer.units)), []
    for step in range(s.x.shape[1]):
        h = function(s.x[:, step] @ s.p["kernel"] + h @ s.p["recurrent_kernel"] + s.p["bias"])
        states.append(h)
    return np.stack(states, axis=1) if s.layer.return_sequences else h


def _lstm_with(
    s: Scene, gate: Function = sigmoid, inner: Function = np.tanh, outer: Function = np.tanh
) -> Array:
    p, units = s.p, s.layer.units
    h = c = np.zeros((len(s.x), units))
    states = []
    for step in range(s.x.shape[1]):
        i, f, g, o = np.split(
            s.x[:, step] @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"], 4, axis=-1
        )
        c = gate(f) * c + gate(i) * inner(g)
        h = gate(o) * outer(c)
        states.append(h)
    return np.stack(states, axis=1) if s.layer.return_sequences else h


def _gru_with(
    s: Scene, gate: Function = sigmoid, inner: Function = np.tanh, *, reset: bool = True
) -> Array:
    p, units = s.p, s.layer.units
    h, states = np.zeros((len(s.x), units)), []
    for step in range(s.x.shape[1]):
        x = s.x[:, step] @ p["kernel"] + p["bias"]
        u = h @ p["recurrent_kernel"] + p["recurrent_bias"]
        (xr, xz, xn), (ur, uz, un) = np.split(x, 3, axis=-1), np.split(u, 3, axis=-1)
        r, z = gate(xr + ur), gate(xz + uz)
        h = (1 - z) * inner(xn + (r if reset else 1.0) * un) + z * h
        states.append(h)
    return np.stack(states, axis=1) if s.layer.return_sequences else h


def _transposed_gates(s: Scene) -> Array:
    blocks = np.split(s.p["recurrent_kernel"], s.layer.gates, axis=-1)
    return np.concatenate([block.T for block in blocks], axis=-1)


def _reset_before(s: Scene) -> Array:
    p, units = s.p, s.layer.units
    h, states = np.zeros((len(s.x), units)), []
    for step in range(s.x.shape[1]):
        x = s.x[:, step] @ p["kernel"] + p["bias"]
        u = h @ p["recurrent_kernel"] + p["recurrent_bias"]
        r, z = (
            sigmoid(x[:, :units] + u[:, :units]),
            sigmoid(x[:, units : 2 * units] + u[:, units : 2 * units]),
        )
        inner = (r * h) @ p["recurrent_kernel"][:, 2 * units :] + p["recurrent_bias"][2 * units :]
        h = (1 - z) * np.tanh(x[:, 2 * units :] + inner) + z * h
        states.append(h)
    return np.stack(states, axis=1) if s.layer.return_sequences else h


def _flipped_update(s: Scene) -> Array:
    """``sigmoid(-a) = 1 - sigmoid(a)``: the update gate with the other sign."""
    units = s.layer.units
    sign = np.ones(3 * units)
    sign[units : 2 * units] = -1.0
    return s.formula({name: value * sign for name, value in s.p.items()})


def _attention(s: Scene) -> Iterator[Suspect]:
    p, heads = s.p, s.layer.heads
    depth = p["query_kernel"].shape[-1]
    scaled = {name: p[name] * np.sqrt(depth) for name in ("query_kernel", "query_bias")}
    yield "scores are not divided by sqrt(head_dim)", s.formula(scaled)
    whole = {name: p[name] / np.sqrt(heads) for name in ("query_kernel", "query_bias")}
    yield "scores are divided by the root of all features, not of one head's", s.formula(whole)
    again = {name: p[name] / np.sqrt(depth) for name in ("query_kernel", "query_bias")}
    yield "scores are divided by head_dim, not by its root", s.formula(again)
    causal = s.layer.causal
    yield (
        f"the causal mask is {'missing' if causal else 'added'}",
        s.formula(fields={"causal": not causal}),
    )
    yield "the mask's sense is turned round: True means the other", _turned_mask(s)
    if causal:
        steps = np.arange(s.x.shape[1])
        apart = steps[None, :] - steps[:, None]  # of the step that is seen from the one that looks
        yield (
            "the causal mask is off by one: the next step is seen, too",
            _attend(s, np.where(apart > 1, -np.inf, 0.0)),
        )
        hidden = _attend(s, np.where((apart > 0) | ((apart == 0) & (steps > 0)), -np.inf, 0.0))
        # what a first step that sees nothing gives differs from framework to framework
        hidden[:, 0] = s.given[:, 0]
        yield "the causal mask is off by one: a step does not see itself", hidden
        yield (
            "the causal mask multiplies scores by zero",
            _attend(s, np.where(apart > 0, np.nan, 0.0)),
        )
    yield (
        "softmax over the steps that look, not over those that are seen",
        _attend(s, _mask(s), axis=-2),
    )
    yield "the weights are not normalized by softmax", _attend(s, _mask(s), axis=None)
    for a, b in (("query", "key"), ("query", "value"), ("key", "value")):
        swapped = {
            f"{x}_{kind}": p[f"{y}_{kind}"]
            for x, y in ((a, b), (b, a))
            for kind in ("kernel", "bias")
        }
        yield f"{a} and {b} are exchanged", s.formula(swapped)
    for name in ("query", "key", "value", "output"):
        bias = f"{name}_bias"
        yield f"{bias} is not added", s.formula({bias: np.zeros_like(p[bias])})
        for back in (False, True):
            yield (
                f"the heads of {name}_kernel are transposed",
                s.formula(_transposed_heads(p, name, back=back)),
            )
    for group in (("query", "key", "value"), ("value",), ("query", "key", "value", "output")):
        for back in (False, True):
            changed = {
                k: v for name in group for k, v in _transposed_heads(p, name, back=back).items()
            }
            yield f"the heads of {', '.join(group)} are transposed", s.formula(changed)
    yield from _one_head(s)


def _mask(s: Scene) -> Array:
    steps = s.x.shape[1]
    return (
        np.triu(np.full((steps, steps), -np.inf), 1) if s.layer.causal else np.zeros((steps, steps))
    )


def _attend(s: Scene, mask: Array, axis: int | None = -1) -> Array:
    """Attention with another mask ``(looking, seen)`` that is added to the scores (NaN: they become
    zero), or with softmax over another axis (None: over none).
    """
    p = s.p
    q, k, v = (
        np.einsum("nte,ehd->nthd", s.x, p[f"{n}_kernel"]) + p[f"{n}_bias"]
        for n in ("query", "key", "value")
    )
    scores = np.einsum("nthd,nshd->nhts", q, k) / np.sqrt(q.shape[-1])
    scores = np.where(np.isnan(mask), 0.0, scores + np.nan_to_num(mask, nan=0.0, neginf=-np.inf))
    weights = scores
    if axis is not None:
        top = scores.max(axis=axis, keepdims=True)
        weights = np.exp(scores - np.where(np.isfinite(top), top, 0.0))
        weights = weights / weights.sum(axis=axis, keepdims=True)
    mixed = np.einsum("nhts,nshd->nthd", weights, v)
    return np.asarray(np.einsum("nthd,hde->nte", mixed, p["output_kernel"]) + p["output_bias"])


def mask_constants(s: Scene) -> Iterator[tuple[str, float, Callable[[float], Array]]]:
    """A number that is added to masked scores where minus infinity belongs."""
    if s.layer.causal:
        ahead = np.triu(np.ones(2 * (s.x.shape[1],)), 1)
        label = "the causal mask adds {0:.6g} in place of minus infinity"
        yield label, -2.0, lambda value: _attend(s, value * ahead)


def _one_head(s: Scene) -> Iterator[Suspect]:
    """Whatever one head gives goes through its rows of the output kernel: a difference that lies in
    their span.
    """
    right = s.formula()
    if right.shape != s.given.shape or s.layer.heads == 1:
        return
    apart = (s.given - right).reshape(-1, right.shape[-1])
    for head, rows in enumerate(s.p["output_kernel"]):
        inside = apart @ np.linalg.pinv(rows) @ rows
        yield f"head {head + 1} alone is off", right + inside.reshape(right.shape)


def _transposed_heads(p: Params, name: str, *, back: bool = False) -> Params:
    """The projection as if its memory held (head_dim, heads) where it holds (heads, head_dim);
    ``back``: the other way round.
    """
    kernel = p[f"{name}_kernel"]
    if name == "output":
        return {"output_kernel": _turned(kernel, 0, back)}
    return {
        f"{name}_kernel": _turned(kernel, 1, back),
        f"{name}_bias": _turned(p[f"{name}_bias"], 0, back),
    }


def _turned(values: Array, axis: int, back: bool) -> Array:
    """The numbers of the axes ``axis`` and ``axis + 1``, read as if these were exchanged in
    memory.
    """
    shape = list(values.shape)
    if not back:
        return values.swapaxes(axis, axis + 1).reshape(shape)
    shape[axis], shape[axis + 1] = shape[axis + 1], shape[axis]
    return values.reshape(shape).swapaxes(axis, axis + 1)


def _turned_mask(s: Scene) -> Array:
    p = s.p
    q, k, v = (
        np.einsum("nte,ehd->nthd", s.x, p[f"{n}_kernel"]) + p[f"{n}_bias"]
        for n in ("query", "key", "value")
    )
    scores = np.einsum("nthd,nshd->nhts", q, k) / np.sqrt(q.shape[-1])
    steps = s.x.shape[1]
    scores = np.where(np.tril(np.ones((steps, steps), bool)), -np.inf, scores)
    weights = np.exp(scores - np.where(np.isfinite(m := scores.max(-1, keepdims=True)), m, 0.0))
    weights = np.nan_to_num(weights / weights.sum(-1, keepdims=True))
    mixed = np.einsum("nhts,nshd->nthd", weights, v)
    # rows that see nothing differ from framework to framework: only the others can be compared
    made = np.asarray(np.einsum("nthd,hde->nte", mixed, p["output_kernel"]) + p["output_bias"])
    made[:, -1] = s.given[:, -1]
    return made


def _over_time(s: Scene) -> Iterator[Suspect]:
    yield "the first step in place of the last", s.x[:, 0]
    yield "the last step in place of the mean", s.x[:, -1]
    yield "the sum in place of the mean", s.x.sum(axis=1)
    yield "the mean in place of the last step", s.x.mean(axis=1)
    yield "the largest value over time", s.x.max(axis=1)
    if s.x.shape[1] > 1:
        yield "the step before the last", s.x[:, -2]
        yield "the first step is left out of the mean", s.x[:, 1:].mean(axis=1)
        yield "the last step is left out of the mean", s.x[:, :-1].mean(axis=1)


def _embedding(s: Scene) -> Iterator[Suspect]:
    table = s.p["table"]
    yield "tokens are off by one", table[(s.x + 1) % len(table)]
    yield "tokens are off by minus one", table[s.x - 1]
    yield (
        "the vectors are multiplied by the root of their length",
        table[s.x] * np.sqrt(table.shape[-1]),
    )


def _position(s: Scene) -> Iterator[Suspect]:
    table = s.p["table"]
    yield "positions are off by one", s.x + np.roll(table, 1, axis=0)
    yield "positions are reversed", s.x + table[::-1]


SUSPECTS: dict[str, Callable[[Scene], Iterator[Suspect]]] = {
    "embedding": _embedding,
    "position": _position,
    "rnn": _recurrent,
    "lstm": _recurrent,
    "gru": _recurrent,
    "attention": _attention,
    "last_step": _over_time,
    "mean_time": _over_time,
}
"""Layer type -> its suspects, the likeliest first."""
