"""Optimizer formulas in float64, as ``spec.training`` states them, and clipping of gradients.

Every formula obeys the knobs of ``semantics``; the defaults are the canonical meanings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from nncompare.numerics.arrays import Array, Params
from nncompare.numerics.semantics import (
    ALIGNED,
    L2,
    BiasCorrection,
    Clipping,
    Epsilon,
    MeanSquareStart,
    MomentumRate,
    Semantics,
    TableGradient,
)
from nncompare.spec.model import Model
from nncompare.spec.training import Adam, AdamW, AnyOptimizer, Penalty, RmsProp, Sgd

Slot = tuple[Array, Array, Array]
"""A parameter ``w`` and what the optimizer remembers of it, ``m`` and ``v``."""


@dataclass(frozen=True, kw_only=True)
class State:
    """What an optimizer remembers.

    Args:
        steps: steps taken.
        first: momentum buffer (SGD, RMSprop) or first moment (Adam); zeros at the start.
        second: mean square (RMSprop) or second moment (Adam); zeros at the start, or RMSprop's as
            ``Semantics.mean_square_start`` says.
    """

    steps: int = 0
    first: Params = field(default_factory=dict)
    second: Params = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TableUse:
    """What a batch asked of an embedding's table, beyond the gradient of the table.

    Args:
        tokens: every token that occurs in the batch, once.
        squares: ``(vocabulary, units)``, for each token the sum over its occurrences of the squared
            gradient; None: as if every token occurred once.
    """

    tokens: Array
    squares: Array | None = None


def table_uses(
    model: Model, x: Array, squares: Mapping[str, Array] | None = None
) -> dict[str, TableUse]:
    """How a batch uses the table of every embedding of a model.

    Args:
        x: the batch's tokens, ``(N, T)``.
        squares: name of a table -> see ``TableUse``.
    """
    known = squares or {}
    found = {}
    for node in model.walk():
        if node.layer.takes_tokens:
            name = f"{node.name}.table"
            found[name] = TableUse(tokens=np.unique(x), squares=known.get(name))
    return found


def clip(
    gradients: Params,
    norm: float | None,
    semantics: Semantics = ALIGNED,
    tables: Mapping[str, TableUse] | None = None,
) -> Params:
    """Gradients of which none is larger than ``clip_norm`` allows.

    Canonical: all of them times ``norm / total`` if ``total``, the norm of them all together, is
    larger than ``norm`` (Pascanu et al. 2013, Algorithm 1; no epsilon). None: as they are. The
    other meanings stand at ``semantics.Clipping``; ``tables`` as in ``step``.
    """
    if norm is None:
        return gradients
    match semantics.clipping:
        case Clipping.PER_VALUE:
            return {name: np.clip(g, -norm, norm) for name, g in gradients.items()}
        case Clipping.PER_TENSOR:
            found: Params = {}
            for name, g in gradients.items():
                # the norm of one tensor is that of a model with no other
                alone = {name: g}
                found |= _scaled(alone, norm, _norm(alone))
            return found
        case Clipping.GLOBAL_PLUS:
            return _scaled(gradients, norm, _norm(gradients) + 1e-6)
        case Clipping.GLOBAL_BY_TOKEN:
            return _scaled(gradients, norm, _norm(gradients, tables))
        case Clipping.GLOBAL:
            return _scaled(gradients, norm, _norm(gradients))
        case _:
            raise NotImplementedError(semantics.clipping)


def _norm(gradients: Params, tables: Mapping[str, TableUse] | None = None) -> float:
    """The root of the sum of all squares; of a table token by token, where that is known."""
    known = tables or {}
    total = 0.0
    for name, g in gradients.items():
        squares = _squares(g, known.get(name))
        total += float(np.asarray(squares, np.float64).sum())
    return float(np.sqrt(total))


def _squares(g: Array, use: TableUse | None) -> Array:
    """``g^2``; of a table the sum over the occurrences of each token, where it is known."""
    if use is None or use.squares is None:
        return g**2
    return use.squares


def _scaled(gradients: Params, norm: float, total: float) -> Params:
    """All of them times ``norm / total``, where that is less than 1."""
    if total <= norm:
        return gradients
    return {name: g * (norm / total) for name, g in gradients.items()}


def step(
    optimizer: AnyOptimizer,
    state: State,
    params: Params,
    gradients: Params,
    learning_rate: float,
    clip_norm: float | None = None,
    *,
    penalty: Penalty | None = None,
    semantics: Semantics = ALIGNED,
    tables: Mapping[str, TableUse] | None = None,
) -> tuple[Params, State]:
    """One update.

    Args:
        optimizer: which rule; its ``lr`` is not read.
        state: ``State()`` at the first step.
        params: canonical parameters; those without a gradient (running statistics) come back
            unchanged.
        gradients: of the whole loss, with the penalties that stand in it, before clipping.
        learning_rate: of this step.
        clip_norm: largest norm, or None.
        penalty: read only where ``semantics.l2`` is a matter of the optimizer.
        semantics: what all of this means.
        tables: name of an embedding's table -> how the batch used it; read only where
            ``semantics.table_gradient`` is not the canonical one.

    Returns:
        New parameters (float64 where updated) and the new state; the arguments stay as they are.
    """
    clipped = clip(gradients, clip_norm, semantics, tables)
    decay = semantics.constant("penalty.l2", penalty.l2) if penalty else 0.0
    known = tables or {}
    updated = dict(params)
    first = dict(state.first)
    second = dict(state.second)
    for name, gradient in clipped.items():
        w = np.asarray(params[name], np.float64)
        g = np.asarray(gradient, np.float64)
        # what stands in the loss is in the gradient already
        if semantics.l2 is L2.AS_DECAY:
            g = g + decay * w
        elif semantics.l2 is L2.DECOUPLED:
            w = w * (1 - learning_rate * decay)
        # None: no embedding's table, or nothing is known of the batch
        use = known.get(name)
        rule = _Rule(
            optimizer=optimizer,
            semantics=semantics,
            rate=learning_rate,
            t=state.steps + 1,
            square=_square(g, gradients[name], use, semantics),
        )
        m = state.first.get(name, np.zeros_like(w))
        v = state.second.get(name, rule.start(w))
        new = rule.apply(w, g, m, v)
        # a sparse kernel leaves alone what the batch does not name, momentum and all
        if use is not None and semantics.table_gradient is TableGradient.LAZY:
            new = _rows_of(use.tokens, new, (w, m, v))
        updated[name], first[name], second[name] = new
    return updated, State(steps=state.steps + 1, first=first, second=second)


def _square(g: Array, unclipped: Array, use: TableUse | None, semantics: Semantics) -> Array:
    """The squared gradient that goes into a running mean of squares."""
    if semantics.table_gradient is not TableGradient.SQUARED_FIRST:
        return g**2
    # clipping scales every occurrence as it scales their sum
    whole = float(np.abs(unclipped).max(initial=0.0))
    factor = float(np.abs(g).max(initial=0.0)) / whole if whole else 1.0
    return _squares(unclipped, use) * factor**2


def _rows_of(tokens: Array, new: Slot, old: Slot) -> Slot:
    """The new rows where a token occurred, the old rows elsewhere."""
    w, m, v = (before.copy() for before in old)
    for kept, after in zip((w, m, v), new, strict=True):
        kept[tokens] = after[tokens]
    return w, m, v


@dataclass(frozen=True, kw_only=True)
class _Rule:
    """One step's rule for one parameter ``w`` with gradient ``g``, and what the optimizer remembers
    of it, ``m`` and ``v``; see ``State``.

    Args:
        rate: this step's learning rate.
        t: this step's number, from 1.
        square: ``g^2``, see ``_square``.
    """

    optimizer: AnyOptimizer
    semantics: Semantics
    rate: float
    t: int
    square: Array

    def constant(self, name: str) -> float:
        """A number of the optimizer as it is computed with."""
        value = getattr(self.optimizer, name)
        return self.semantics.constant(f"{self.optimizer.name}.{name}", value)

    def start(self, w: Array) -> Array:
        """``v`` before the first step."""
        starts_at_one = self.semantics.mean_square_start is MeanSquareStart.ONE
        # a knob of RMSprop alone: Adam's moments start at 0 everywhere, and are corrected for it
        if starts_at_one and isinstance(self.optimizer, RmsProp):
            return np.ones_like(w)
        return np.zeros_like(w)

    def apply(self, w: Array, g: Array, m: Array, v: Array) -> Slot:
        """New ``w``, ``m`` and ``v``."""
        match self.optimizer:
            case Sgd():
                return self._sgd(w, g, m, v, self.optimizer.nesterov)
            case RmsProp():
                return self._rmsprop(w, g, m, v)
            case AdamW():
                # decay first, decoupled from the gradient (Loshchilov and Hutter 2019, Algorithm 2,
                # with the current rate)
                decayed = w * (1 - self.rate * self.constant("weight_decay"))
                return self._adam(decayed, g, m, v)
            case Adam():
                return self._adam(w, g, m, v)
            case _:
                raise NotImplementedError(f"no formula for {self.optimizer.name!r}")

    def _sgd(self, w: Array, g: Array, m: Array, v: Array, nesterov: bool) -> Slot:
        """``m = mu m + g``; ``w -= rate m``, or with Nesterov ``w -= rate (g + mu m)`` (Sutskever
        et al. 2013).
        """
        momentum = self.constant("momentum")
        inside, outside = self._rates()
        m = momentum * m + inside * g
        direction = inside * g + momentum * m if nesterov else m
        return w - outside * direction, m, v

    def _rates(self) -> tuple[float, float]:
        """What scales a gradient on its way into the momentum buffer, and the buffer on its way
        out.
        """
        # the same while the rate is constant
        if self.semantics.momentum_rate is MomentumRate.OLD:
            return self.rate, 1.0
        return 1.0, self.rate

    def _adam(self, w: Array, g: Array, m: Array, v: Array) -> Slot:
        """Kingma and Ba 2015, Algorithm 1: ``w -= rate m_hat / (sqrt(v_hat) + epsilon)``."""
        beta1 = self.constant("beta1")
        beta2 = self.constant("beta2")
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * self.square
        m_hat = m / self._correction(beta1)
        root = self._root(v, self._correction(beta2))
        return w - self.rate * m_hat / root, m, v

    def _correction(self, beta: float) -> float:
        """``1 - beta^t``."""
        match self.semantics.bias_correction:
            case BiasCorrection.FLOAT64:
                return 1 - float(beta**self.t)
            case BiasCorrection.ROUNDED:
                return 1 - float(np.float32(beta)) ** self.t
            case BiasCorrection.FLOAT32:
                # one factor a step, each product rounded
                factors = np.full(self.t, beta, np.float32)
                return 1 - float(np.multiply.accumulate(factors)[-1])
            case _:
                raise NotImplementedError(self.semantics.bias_correction)

    def _root(self, v: Array, correction: float) -> Array:
        """The denominator: the root of ``v / correction``, kept from zero by epsilon."""
        epsilon = self.constant("epsilon")
        match self.semantics.epsilon:
            case Epsilon.AFTER_CORRECTION:
                root = np.sqrt(v / correction) + epsilon
            case Epsilon.BEFORE_CORRECTION:
                root = (np.sqrt(v) + epsilon) / np.sqrt(correction)
            case Epsilon.UNDER_ROOT:
                root = np.sqrt(v / correction + epsilon)
            case _:
                raise NotImplementedError(self.semantics.epsilon)
        return np.asarray(root)

    def _rmsprop(self, w: Array, g: Array, m: Array, v: Array) -> Slot:
        """``v = rho v + (1 - rho) g^2``; ``m = mu m + g / (sqrt(v) + epsilon)``; ``w -= rate m``
        (Tieleman and Hinton 2012, lecture 6e; ``mu`` = 0 is the rule without momentum).
        """
        rho = self.constant("rho")
        inside, outside = self._rates()
        v = rho * v + (1 - rho) * self.square
        m = self.constant("momentum") * m + inside * g / self._root(v, 1.0)
        return w - outside * m, m, v
