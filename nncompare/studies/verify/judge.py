"""Judges what runtimes did: each by the formulas in NumPy, and all against each other.

The order of the checks is the order of cause and effect, so that the first one that fails says
where to look.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from nncompare.backends.base import Array, Params
from nncompare.numerics import updates
from nncompare.studies.verify import gates
from nncompare.studies.verify.context import Context
from nncompare.studies.verify.gates import Check, Distance, absolute, relative
from nncompare.wire.observation import Observation


class Judge:
    """All checks of one dtype.

    Args:
        context: experiment, examples, steps.
        dead: names of the tensors without a gradient.
    """

    def __init__(self, context: Context, dead: frozenset[str] = frozenset()):
        self.context, self.dead, self.dtype = context, dead, context.dtype

    def _check(
        self,
        runtime: str,
        against: str,
        quantity: str,
        layer: str | None,
        worst: float,
        gate: float,
    ) -> Check:
        return Check(
            runtime=runtime,
            against=against,
            quantity=quantity,
            layer=layer,
            dtype=self.dtype,
            worst=float(worst),
            gate=gate,
        )

    # -- against the formulas
    # ---------------------------------------------------------------------------------------

    def by_formula(self, runtime: str, seen: Observation) -> Iterator[Check]:
        """One float64 runtime against NumPy: everything that it did."""
        yield from self.at_probe(runtime, seen)
        yield from self.slopes(runtime, seen)
        yield from self.updates(runtime, seen)
        yield from self.after_updates(runtime, seen)
        yield from self.running(runtime, seen)
        yield from self.loaded(runtime, seen)
        yield from self.fresh(runtime, seen)
        yield from self.known_losses(runtime, seen)
        yield from self.logits(runtime, seen)
        yield from self.pieces(runtime, seen)
        yield from self.dropout(runtime, seen)

    def at_probe(self, runtime: str, seen: Observation) -> Iterator[Check]:
        """Loading, every layer and the loss at the probe weights."""
        probe = {
            name: value.astype(self.context.job.dtype) for name, value in self.context.probe.items()
        }
        yield from self._each(runtime, "itself", "round trip", seen.loaded, probe, absolute, 0.0)
        yield from self.layers(runtime, seen)
        worst = relative(np.asarray(seen.loss[""]), np.asarray(self.context.probe_loss))
        yield self._check(runtime, "formula", "loss", None, worst, gates.LOSS[self.dtype])

    def layers(self, runtime: str, seen: Observation) -> Iterator[Check]:
        """Every node's output, in the order of computation."""
        gate = gates.FORWARD[self.dtype]
        for quantity, training in (("forward", False), ("forward, training", True)):
            found = seen.training_outputs if training else seen.outputs
            expected = self.context.outputs(training=training)
            yield from self._each(runtime, "formula", quantity, found, expected, relative, gate)

    def slopes(self, runtime: str, seen: Observation) -> Iterator[Check]:
        """The gradient along directions, against differences of the reference loss."""
        whole = _typical(seen.gradients.values())
        for label, slope in self.context.slopes.items():
            direction = self.context.directions[label]
            missing = [name for name in direction if name not in seen.gradients]
            given = (
                np.inf
                if missing
                else sum(float((seen.gradients[n] * d).sum()) for n, d in direction.items())
            )
            # a random direction of length one sees about one typical entry of the gradient
            size = (
                max(
                    _typical(seen.gradients[n] for n in direction if n not in missing), 1e-3 * whole
                )
                or 1.0
            )
            gate = gates.SLOPE + 10 * slope.error / size
            yield self._check(
                runtime, "differences", "gradient", label, abs(given - slope.value) / size, gate
            )

    def updates(self, runtime: str, seen: Observation) -> Iterator[Check]:
        """Every checked update: the optimizer's formula on the runtime's own gradient, and the loss
        that it gave.
        """
        train, plan, state = self.context.job.experiment.train, self.context.plan, updates.State()
        for step in range(plan.update_steps):
            before, slope = seen.update_weights[step], seen.update_gradients[step]
            expected_loss = self.context.loss(before, plan.updates.rows(step), step)
            worst = relative(np.asarray(seen.update_losses[""][step]), np.asarray(expected_loss))
            yield self._at(
                step, self._check(runtime, "formula", "loss", None, worst, gates.LOSS[self.dtype])
            )
            rate = float(plan.updates.learning_rate[step])
            expected, state = updates.step(
                train.optimizer, state, before, slope, rate, train.clip_norm
            )
            after = seen.update_weights[step + 1]
            chosen = {name: expected[name] for name in self.context.trained}
            given = {name: value for name, value in after.items() if name in chosen}
            largest = _largest(slope.values())
            for check in self._each(
                runtime, "formula", "update", given, chosen, absolute, gates.UPDATE
            ):
                yield self._at(step, self._of_step(check, before, chosen, slope, largest))

    def after_updates(self, runtime: str, seen: Observation) -> Iterator[Check]:
        """Every layer once more: the weights that ``params`` shows must be all that has changed."""
        last = self.context.plan.update_steps
        expected = self.context.later_outputs(seen.update_weights[last])
        gate, given = gates.FORWARD[self.dtype], seen.update_outputs
        for check in self._each(
            runtime, "formula", "forward after updates", given, expected, relative, gate
        ):
            yield self._at(last - 1, check)

    def loaded(self, runtime: str, seen: Observation) -> Iterator[Check]:
        """The loads after the first give the weights, too."""
        for given, expected in (
            (seen.update_weights[0], self.context.probe),
            (seen.checkpoints[0], self.context.initial),
        ):
            narrow = {
                name: value.astype(self.context.job.dtype) for name, value in expected.items()
            }
            yield from self._each(runtime, "itself", "round trip", given, narrow, absolute, 0.0)

    def fresh(self, runtime: str, seen: Observation) -> Iterator[Check]:
        """The first step after a load: an optimizer that remembers nothing."""
        train = self.context.job.experiment.train
        before, slope = seen.checkpoints[0], seen.start_gradients
        rate = float(self.context.plan.trajectory.learning_rate[0])
        made, _ = updates.step(
            train.optimizer, updates.State(), before, slope, rate, train.clip_norm
        )
        largest = _largest(slope.values())
        for name in self.context.trained:
            worst = absolute(seen.checkpoints[1].get(name), made[name])
            check = self._check(runtime, "formula", "update after load", name, worst, gates.UPDATE)
            yield self._at(0, self._of_step(check, before, made, slope, largest))

    def known_losses(self, runtime: str, seen: Observation) -> Iterator[Check]:
        """The trajectory's loss by its formula, wherever the weights before the step were kept."""
        for step in sorted(seen.checkpoints):
            if step < self.context.steps:
                rows = self.context.plan.trajectory.rows(step)
                expected = np.asarray(self.context.loss(seen.checkpoints[step], rows, step))
                size = float(gates.loss_size(expected, float(seen.losses[""][0])))
                worst = absolute(seen.losses[""][step], expected) / size
                gate = gates.TRAJECTORY_LOSS
                yield self._at(
                    step, self._check(runtime, "formula", "loss, every step", None, worst, gate)
                )

    def running(self, runtime: str, seen: Observation) -> Iterator[Check]:
        """Running statistics after every checked update."""
        if not self.context.running:
            return
        for step in range(self.context.plan.update_steps):
            expected = self.context.new_running(seen.update_weights[step], step)
            given = {
                name: value
                for name, value in seen.update_weights[step + 1].items()
                if name in expected
            }
            gate = gates.RUNNING
            for check in self._each(
                runtime, "formula", "running statistics", given, expected, relative, gate
            ):
                yield self._at(step, check)

    def logits(self, runtime: str, seen: Observation) -> Iterator[Check]:
        """Evaluation after the first epoch and after the trajectory: the formulas at the runtime's
        own weights.
        """
        last = self.context.model.nodes[-1].name
        for mark, given in self.context.evaluations(seen):
            worst = relative(given, self.context.evaluated(seen.checkpoints[mark]))
            check = self._check(
                runtime, "formula", "logits", last, worst, gates.FORWARD[self.dtype]
            )
            yield self._at(mark - 1, check)

    def dropout(self, runtime: str, seen: Observation) -> Iterator[Check]:
        """The framework's own dropout: every value is dropped or scaled as it should, and about as
        many are kept.
        """
        for name, found in self.context.drawn(seen).items():
            if found is None:
                yield self._check(
                    runtime, "formula", "dropout, values", name, np.inf, gates.FORWARD[self.dtype]
                )
                continue
            x, y, rate = found
            kept = y != 0
            worst = relative(y, np.where(kept, x / (1 - rate), 0.0))
            yield self._check(
                runtime, "formula", "dropout, values", name, worst, gates.FORWARD[self.dtype]
            )
            if where := int((x != 0).sum()):
                share, sigma = float(kept[x != 0].mean()), float(np.sqrt(rate * (1 - rate) / where))
                gate = gates.SIGMAS * sigma
                yield self._check(
                    runtime, "formula", "dropout, share kept", name, abs(share - (1 - rate)), gate
                )

    def pieces(self, runtime: str, seen: Observation) -> Iterator[Check]:
        """Long pieces give what single steps gave."""
        steps = self.context.plan.whole_steps
        if not steps:
            return
        expected = seen.checkpoints[steps]
        for check in self._each(
            runtime, "itself", "long pieces", seen.whole, expected, absolute, gates.WEIGHTS
        ):
            yield self._at(steps - 1, check)
        plan = self.context.plan.trajectory
        for given, (begin, end) in zip(
            seen.whole_losses[""], self.context.plan.whole_pieces, strict=True
        ):
            mean = np.asarray(plan.mean_loss(begin, end, seen.losses[""][begin:end]))
            worst, gate = relative(given, mean), gates.TRAJECTORY_LOSS
            yield self._at(
                end - 1, self._check(runtime, "itself", "loss of long pieces", None, worst, gate)
            )

    # -- between runtimes
    # -------------------------------------------------------------------------------------------

    def between(
        self, runtime: str, against: str, a: Observation, b: Observation
    ) -> Iterator[Check]:
        """Two runtimes in float64: gradient, every loss, weights, running statistics, logits."""
        yield from self.gradients(runtime, against, a.gradients, b.gradients)
        first = gates.UPDATE
        yield from self.weights(runtime, against, "weights after step 1", 1, a, b, first)
        yield from self.losses(runtime, against, a, b)
        yield from self.weights(
            runtime, against, "weights", self.context.steps, a, b, gates.WEIGHTS
        )
        gate = gates.DEAD if self.dead else gates.LOGITS
        worst = relative(a.logits[""], b.logits[""])
        check = self._check(
            runtime, against, "logits", self.context.model.nodes[-1].name, worst, gate
        )
        yield self._at(self.context.steps - 1, check)

    def gradients(self, runtime: str, against: str, a: Params, b: Params) -> Iterator[Check]:
        """Every parameter's gradient; of dead tensors relative to the whole gradient."""
        largest = max((gates.scale(value) for value in b.values() if value.size), default=1.0)
        for name in self.context.trained:
            size = largest if name in self.dead else gates.scale(b.get(name, np.zeros(0)))
            worst = absolute(a.get(name), b[name]) / size if name in b else np.inf
            yield self._check(runtime, against, "gradient", name, worst, gates.GRADIENT)

    def losses(self, runtime: str, against: str, a: Observation, b: Observation) -> Iterator[Check]:
        """The loss of every step, each a check."""
        first, second = a.losses[""], b.losses[""]
        sizes = gates.loss_size(second, float(second[0])) if len(second) else second
        for step, (x, y, size) in enumerate(zip(first, second, sizes, strict=True)):
            if not (np.isfinite(x) and np.isfinite(y)):
                worst = 0.0 if np.isfinite(x) == np.isfinite(y) else np.inf
            else:
                worst = float(abs(x - y) / size)
            yield self._at(
                step,
                self._check(
                    runtime, against, "loss, every step", None, worst, gates.TRAJECTORY_LOSS
                ),
            )

    def weights(
        self,
        runtime: str,
        against: str,
        quantity: str,
        steps: int,
        a: Observation,
        b: Observation,
        gate: float,
    ) -> Iterator[Check]:
        """All parameters at the checkpoints up to ``steps`` that were kept: live ones, dead ones
        and running statistics apart.
        """
        for mark in [
            mark
            for mark in sorted(b.checkpoints)
            if (mark == 1) == (steps == 1) and 0 < mark <= steps
        ]:
            drift = max(
                (absolute(a.checkpoints[mark].get(n), b.checkpoints[mark][n]) for n in self.dead),
                default=0.0,
            )
            for name in self.context.model.parameters:
                x, y = a.checkpoints[mark].get(name), b.checkpoints[mark][name]
                if name in self.context.running:
                    # a mean goes with the dead bias before it, of which it may be a small part
                    room = gates.DEAD + 4 * min(drift, gates.DEAD) / gates.scale(y)
                    check = self._check(
                        runtime, against, "final running statistics", name, relative(x, y), room
                    )
                elif name in self.dead:
                    check = self._check(
                        runtime, against, "dead weights", name, absolute(x, y), gates.DEAD
                    )
                else:
                    check = self._check(runtime, against, quantity, name, absolute(x, y), gate)
                yield self._at(mark - 1, check)

    @staticmethod
    def _of_step(
        check: Check, before: Params, after: Params, slope: Params, largest: float
    ) -> Check:
        """The gate of an update: narrower where the step is small, unless its gradient is nothing
        but rounding.

        Args:
            largest: entry of all gradients.
        """
        name = check.layer
        if name not in after or name not in slope or name not in before:
            return check
        own = _largest([slope[name]])
        if own <= gates.DEAD_SHARE * largest:
            # nothing but rounding, which an optimizer that divides by the gradient's size blows up
            return replace(check, gate=gates.DEAD)
        if own <= gates.SMALL_GRADIENT * largest:
            return check
        moved = _largest([after[name] - before[name]])
        rounding = 8 * float(np.finfo(np.float64).eps) * gates.scale(after[name])
        return replace(check, gate=min(check.gate, max(gates.UPDATE_SHARE * moved, rounding)))

    # -- helpers
    # --------------------------------------------------------------------------------------------

    @staticmethod
    def _at(step: int, check: Check) -> Check:
        return Check(**{**vars(check), "step": step + 1})

    def _each(
        self,
        runtime: str,
        against: str,
        quantity: str,
        given: Mapping[str, Array],
        expected: Mapping[str, Array],
        distance: Distance,
        gate: float,
    ) -> Iterator[Check]:
        """One check a name, in the order of ``expected``; a name that only one side has cannot be
        compared.
        """
        for name, values in expected.items():
            yield self._check(
                runtime, against, quantity, name, distance(given.get(name), values), gate
            )
        for name in given:
            if name not in expected:
                yield self._check(runtime, against, quantity, name, np.inf, gate)


def _typical(arrays: Iterable[Array]) -> float:
    """Root mean square over all entries."""
    squares = entries = 0.0
    for array in arrays:
        squares, entries = squares + float((array**2).sum()), entries + array.size
    return float(np.sqrt(squares / entries)) if entries else 0.0


def summarize(checks: Sequence[Check]) -> list[Check]:
    """One check for every (runtime, against, quantity, dtype): the first that failed, else the
    closest to its gate.
    """
    groups: dict[tuple[str, str, str, str], Check] = {}
    for check in checks:
        key = (check.runtime, check.against, check.quantity, check.dtype)
        best = groups.get(key)
        if best is None or (best.passed and (not check.passed or check.severity > best.severity)):
            groups[key] = check
    return list(groups.values())


def _largest(values: Iterable[Array]) -> float:
    """Magnitude of an entry; NaN where there is one."""
    return max((float(np.abs(value).max(initial=0.0)) for value in values), default=0.0)
