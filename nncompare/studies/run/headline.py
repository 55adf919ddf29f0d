"""The sentences at the top of a report: what was run, who was fastest, how equal the losses are."""

from __future__ import annotations

from nncompare.show import numbers
from nncompare.show.experiment_line import describe
from nncompare.studies.run.record import RunRecord
from nncompare.studies.verify.record import Parity

BUSY = 0.1
"""Share of the processors that other programs took, from which the times are called untrustworthy.
"""


def summary(result: RunRecord) -> str:
    """The experiment of a result in one line."""
    counts = {row.parameters for row in result.runtimes if row.parameters is not None}
    # runtimes that count differently stand in the ledger with their numbers
    return describe(result.experiment, parameters=counts.pop() if len(counts) == 1 else None)


def fastest(result: RunRecord) -> str:
    """Who took the shortest steps, and how much longer the others take."""
    if not result.finished:
        return "No runtime finished."
    # the time of another function says nothing about this one
    if result.parity.status == "failed":
        return (
            "NOT COMPARABLE: the runtimes do not compute the same function, so nothing is ranked."
        )
    medians = _medians(result)
    if not medians:
        return "No step times: training ended before the first slice after warm-up."
    first, *others = medians
    step = numbers.duration(medians[first])
    # a single time has nothing that it is faster than
    if not others:
        return f"{first}: {step} a step (median). No other runtime to compare it with."
    relative = result.comparison.relative
    second, *rest = others
    slower = f"{second} takes {relative[second]:.2f} times as long"
    for runtime in rest:
        slower += f", {runtime} {relative[runtime]:.2f} times"
    return f"Fastest: {first}, {step} a step (median); {slower}."


def details(result: RunRecord) -> list[str]:
    """The sentences under the first one: what the figures can bear, sameness, who did not
    finish.
    """
    lines = (
        _standing(result),
        _busy(result),
        _agreement(result),
        _parity(result.parity),
        _missing(result),
    )
    return [line for line in lines if line]


def _standing(result: RunRecord) -> str | None:
    """What the figures can bear; None if there is nothing to compare."""
    comparison = result.comparison
    # pairs come with intervals and verdicts of their own
    if len(_medians(result)) < 2 or comparison.pairs:
        return None
    if comparison.rounds > 1:
        return f"Descriptive: {comparison.rounds} rounds without intervals, so no verdict."
    return (
        "Descriptive: one round. Noise between launches can be larger than such differences, so no"
        " verdict."
    )


def _busy(result: RunRecord) -> str | None:
    """Whether other programs took the processors while this was measured."""
    share = result.environment.get("others_cpu_share")
    # records of short runs have no share: the clock ticks too coarsely for them
    if not isinstance(share, (int, float)) or share < BUSY:
        return None
    return (
        f"Busy machine: other programs took {100 * share:.0f} % of the processors meanwhile; do not"
        " trust the times."
    )


def _agreement(result: RunRecord) -> str | None:
    """How far the training losses lie apart, relative to the largest; None with fewer than two
    curves.
    """
    curves = []
    for row in result.finished:
        if row.history:
            curves.append([epoch.train_loss for epoch in row.history])
    if len(curves) < 2:
        return None
    # early stopping ends curves at different epochs: what all of them have is compared
    spreads = [_spread(losses) for losses in zip(*curves, strict=False)]
    # a loss that is not finite is no number to compare
    if spreads[0] is None:
        return None
    sentence = f"Training losses differ by at most {numbers.two(spreads[0])} (relative) in epoch 1"
    # rounding grows with every step, so the last epochs say more than the first
    if len(spreads) > 1:
        largest = max(spread for spread in spreads if spread is not None)
        lengths = {len(curve) for curve in curves}
        epochs = "epochs" if len(lengths) == 1 else "common epochs"
        sentence += f", {numbers.two(largest)} over {len(spreads)} {epochs}"
    return f"{sentence}."


def _parity(parity: Parity) -> str:
    """What is known about sameness."""
    reason = f" ({parity.reason})" if parity.reason else ""
    if parity.status == "not_run":
        return f"Parity: not checked{reason}."
    form = f", {parity.form} check" if parity.form else ""
    if parity.status == "failed":
        return f"Parity: FAILED{form}{reason}. {_first_finding(parity)}"
    sentence = f"Parity: certified, the runtimes compute the same function{form}{reason}."
    # a full check needs no other behind it
    if parity.form == "full":
        return sentence
    # the short check of this run agrees with a full one that was done before
    if parity.certificate:
        return f"{sentence} Full certificate of {parity.certificate[:10]}, same code and versions."
    return f"{sentence} `nncompare verify` gives the full certificate."


def _first_finding(parity: Parity) -> str:
    """Where the first runtime leaves the common function, in a sentence."""
    # a check whose formulas all hold has no layer to name
    if not parity.findings:
        return "`nncompare verify` says where."
    first = parity.findings[0]
    where = f" of {first.layer}" if first.layer else ""
    looks = f": looks like {first.looks_like}" if first.looks_like else ""
    return f"{first.runtime} parts in {first.quantity}{where}{looks}. `nncompare verify` says more."


def _missing(result: RunRecord) -> str | None:
    """Which runtimes did not finish."""
    # who finished stands in the tables
    if result.complete:
        return None
    names = ", ".join(f"{row.runtime} ({row.status})" for row in result.absent)
    return f"Did not finish, {len(result.absent)} of {len(result.runtimes)}: {names}."


def _medians(result: RunRecord) -> dict[str, float]:
    """Finished runtime -> its median step in seconds, the fastest first."""
    relative = result.comparison.relative
    medians = {}
    for row in result.finished:
        if row.timing.step_s is not None and row.runtime in relative:
            medians[row.runtime] = row.timing.step_s.median
    return dict(sorted(medians.items(), key=lambda item: relative[item[0]]))


def _spread(losses: tuple[float | None, ...]) -> float | None:
    """Largest minus smallest, over the largest size; None with fewer than two."""
    known = [loss for loss in losses if loss is not None]
    if len(known) < 2:
        return None
    largest = max(abs(loss) for loss in known)
    # losses that are all zero are equal
    if largest == 0:
        return 0.0
    return (max(known) - min(known)) / largest
