"""The pictures of a search: history, importance, parallel coordinates, slices, Pareto front,
epochs.

Drawn with Vega-Lite (altair). Every picture holds its own figures, so that it can be looked at
without a network.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from operator import itemgetter
from typing import Any

import altair as alt

from nncompare.show.numbers import short
from nncompare.studies.tune.record import TuneGoal, TuneRecord, TuneSearch, TuneTrial, all_keys

_WIDTH, _HEIGHT = 620, 260
_SLICE = 190
_STATES = ["complete", "pruned", "failed", "running"]
# Okabe and Ito: told apart by colour-blind people
_COLOURS = ["#0072B2", "#E69F00", "#D55E00", "#CC79A7"]
_SHAPES = ["circle", "square", "cross", "diamond"]
_DASHES = [[1, 0], [4, 2], [2, 2], [1, 3]]
_BEST = "#000000"
_MOST_LINES = 200
_MOST_TICKS = 12
_WIDE = 20
"""A factor between the smallest and the largest value from which an axis is logarithmic."""
_LONGEST = 24
"""Letters of a value beside an axis."""


def charts(result: TuneRecord, search: TuneSearch) -> dict[str, Any]:
    """Title -> altair chart, of one runtime's search; a picture that would be empty is left out."""
    trials = [item for item in result.trials if item.runtime == search.runtime]
    ranked = result.ranked(search.runtime)
    if not ranked:
        return {}
    goal = result.goals[0]
    best = ranked[0].number
    valued = [item for item in trials if item.values]
    found = {"History": _history(goal, valued, best)}
    if search.importance:
        found["Importance of the parameters"] = _importance(goal, search)
    # One trial shows no direction.
    if len(ranked) > 1:
        names = all_keys(item.params for item in valued if item.state == "complete")
        # Of one parameter the slice says it all.
        if len(names) > 1:
            found["Parallel coordinates"] = _parallel(goal, ranked[:_MOST_LINES], names)
        found["Slices"] = _slices(goal, valued, names, best)
    if len(result.goals) > 1:
        found["Pareto front"] = _pareto(result.goals, valued, search, best)
    if any(item.intermediate for item in trials):
        found["Values after every epoch"] = _epochs(goal, trials[-_MOST_LINES:], best)
    return found


def _base(rows: list[dict[str, Any]]) -> alt.Chart:
    return alt.Chart(alt.InlineData(values=rows), width=_WIDTH, height=_HEIGHT)


def _text(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def _field(name: str) -> str:
    """Vega reads dots and brackets in a field's name as a path."""
    return re.sub(r"[.\[\]]", "_", name)


def _are_numbers(values: Sequence[Any]) -> bool:
    """Whether there are values, and all are numbers."""
    # A bool is no number here, but one of two words.
    kinds = {type(value) for value in values}
    return bool(kinds) and kinds <= {int, float}


def _is_wide(values: Sequence[float]) -> bool:
    """Whether numbers want a logarithmic axis, and can have one."""
    return min(values) > 0 and max(values) / min(values) > _WIDE


def _number_axis(channel: Any, rows: list[dict[str, Any]], name: str, **settings: Any) -> Any:
    """An axis of numbers, logarithmic where they span a wide range.

    Args:
        channel: ``alt.X`` or ``alt.Y``.
        settings: what else it is told.
    """
    wide = _is_wide([row[name] for row in rows if row.get(name) is not None])
    scale = {"type": "log", "nice": False} if wide else {"zero": False}
    return channel(f"{name}:Q", scale=scale, **settings)


def _count_axis(rows: list[dict[str, Any]], name: str) -> alt.X:
    """An axis with whole numbers alone."""
    values = [row[name] for row in rows]
    low = min(values)
    high = max(values)
    # 1, 2, 5, 10, 20, …: the first step that leaves a dozen ticks at most.
    steps = (unit * 10**power for power in range(9) for unit in (1, 2, 5))
    step = next(step for step in steps if high - low <= _MOST_TICKS * step)
    ticks = list(range(-(-low // step) * step, high + 1, step))
    return alt.X(
        f"{name}:Q",
        title=name,
        # An axis wants a length, also of a search with one trial.
        scale={"domain": [low, max(high, low + 1)], "nice": False},
        axis={"values": ticks, "format": "d"},
    )


def _scale(rows: list[dict[str, Any]], field: str, words: list[Any], looks: list[Any]) -> Any:
    """How each word looks, the same in every picture. The legend has the words that occur alone."""
    occurring = {row[field] for row in rows}
    pairs = [pair for pair in zip(words, looks, strict=False) if pair[0] in occurring]
    return {"domain": [word for word, _ in pairs], "range": [look for _, look in pairs]}


def _marked(rows: list[dict[str, Any]], field: str, title: str, words: list[Any]) -> dict[str, Any]:
    """What tells points apart: a colour, and a shape for who sees no colours."""
    colours = _scale(rows, field, words, _COLOURS)
    shapes = _scale(rows, field, words, _SHAPES)
    return {
        "color": alt.Color(f"{field}:N", scale=colours, title=title),
        "shape": alt.Shape(f"{field}:N", scale=shapes, title=title),
    }


def _best_point(rows: list[dict[str, Any]], best: int, x: Any, y: Any) -> Any:
    """A ring and a word around the best trial."""
    chart = alt.Chart(alt.InlineData(values=[row for row in rows if row["trial"] == best]))
    ring = chart.mark_point(size=220, filled=False, color=_BEST, strokeWidth=2)
    word = chart.mark_text(text="best", dy=-15, color=_BEST, fontWeight="bold")
    return ring.encode(x=x, y=y) + word.encode(x=x, y=y)


def _best_line(rows: list[dict[str, Any]], best: int, x: Any, y: Any) -> Any:
    """The best trial's line, bold, and a word at its end."""
    chosen = [row for row in rows if row["trial"] == best]
    line = alt.Chart(alt.InlineData(values=chosen)).mark_line(color=_BEST, strokeWidth=3)
    end = alt.Chart(alt.InlineData(values=chosen[-1:]))
    word = end.mark_text(text="best", align="left", dx=8, dy=-9, color=_BEST, fontWeight="bold")
    return line.encode(x=x, y=y) + word.encode(x=x, y=y)


def _history(goal: TuneGoal, trials: Sequence[TuneTrial], number: int) -> Any:
    """Each trial's value, and the best so far as a line."""
    rows: list[dict[str, Any]] = []
    steps: list[dict[str, Any]] = []
    best: float | None = None
    for item in trials:
        rows.append({"trial": item.number, "value": item.value, "state": item.state})
        # A pruned trial's value is one of an early epoch, and never the best.
        if item.state == "complete" and (best is None or goal.sign * (item.value - best) < 0):
            best = item.value
        if best is not None:
            steps.append({"trial": item.number, "value": best})
    x = _count_axis(rows, "trial")
    y = _number_axis(alt.Y, rows, "value", title=goal.name)
    points = _base(rows).mark_point(filled=True, size=55)
    points = points.encode(
        x=x,
        y=y,
        tooltip=["trial:Q", "value:Q", "state:N"],
        **_marked(rows, "state", "state", _STATES),
    )
    line = _base(steps).mark_line(interpolate="step-after", color="#000000").encode(x=x, y=y)
    return points + line + _best_point(rows, number, x, y)


def _importance(goal: TuneGoal, search: TuneSearch) -> Any:
    rows = [{"parameter": name, "share": share} for name, share in search.importance.items()]
    title = f"share of the variance of {goal.name}"
    bars = _base(rows).mark_bar(color=_COLOURS[0])
    bars = bars.encode(
        x=alt.X("share:Q", title=title, axis={"format": "%"}, scale={"domainMin": 0}),
        y=alt.Y("parameter:N", title=None, sort="-x", axis={"labelLimit": 300}),
        tooltip=["parameter:N", "share:Q"],
    )
    return bars.properties(height=max(60, 28 * len(rows)))


def _parallel(goal: TuneGoal, ranked: Sequence[TuneTrial], names: Sequence[str]) -> Any:
    """One line a trial over axes that each run from the smallest to the largest value, logarithms
    where they span.
    """
    axes: dict[str, list[Any]] = {}
    for name in names:
        axes[name] = [_text(item.params.get(name)) for item in ranked]
    axes[goal.name] = [item.value for item in ranked]
    rows: list[dict[str, Any]] = []
    ends: list[dict[str, Any]] = []
    for name, values in axes.items():
        places, words = _placed(values)
        for item, place, value in zip(ranked, places, values, strict=True):
            row = {"axis": name, "place": place, "shown": str(value)}
            rows.append({"trial": item.number, "value": item.value, **row})
        for place, value in words.items():
            text = short(value) if isinstance(value, float) else str(value)
            ends.append({"axis": name, "place": place, "shown": text[:_LONGEST]})
    along = {"labelAngle": -20, "labelLimit": 300}
    x = alt.X("axis:N", sort=list(axes), title=None, axis=along)
    title = "from the smallest to the largest value"
    y = alt.Y("place:Q", title=title, axis={"labels": False, "ticks": False})
    scale = {"scheme": "viridis", "reverse": goal.goal == "maximize"}
    lines = _base(rows).mark_line(opacity=0.6, point={"size": 25})
    lines = lines.encode(
        x=x,
        y=y,
        color=alt.Color("value:Q", title=goal.name, scale=scale),
        detail="trial:N",
        tooltip=["trial:N", "axis:N", "shown:N", "value:Q"],
    )
    texts = _base(ends).mark_text(align="left", dx=6, fontSize=10)
    shown = lines + texts.encode(x=x, y=y, text="shown:N")
    return shown + _best_line(rows, ranked[0].number, x, y)


def _placed(values: Sequence[Any]) -> tuple[list[float], dict[float, Any]]:
    """0 to 1 on an axis for every value, words in their order; and what stands beside the axis: its
    smallest and largest number, or every word.
    """
    known = [value for value in values if value is not None]
    if not _are_numbers(known):
        order = sorted({str(value) for value in values})
        last = max(1, len(order) - 1)
        places = [order.index(str(value)) / last for value in values]
        pairs = zip(places, values, strict=True)
        return places, {place: value for place, value in pairs if value is not None}
    scale = math.log if _is_wide(known) else float
    low = min(known)
    high = max(known)
    spread = scale(high) - scale(low)
    # An axis on which all trials agree is a point.
    if spread == 0:
        return [0.0] * len(values), {0.0: low}
    # A trial that does not have the parameter is drawn at its smallest value.
    shown = [low if value is None else value for value in values]
    return [(scale(value) - scale(low)) / spread for value in shown], {0.0: low, 1.0: high}


def _slices(goal: TuneGoal, trials: Sequence[TuneTrial], names: Sequence[str], best: int) -> Any:
    """The value against each parameter alone."""
    rows = []
    for item in trials:
        row = {"trial": item.number, "value": item.value, "state": item.state}
        for name, value in item.params.items():
            row[_field(name)] = _text(value)
        rows.append(row)
    y = _number_axis(alt.Y, rows, "value", title=goal.name)
    points = _base(rows).mark_point(filled=True, size=40)
    points = points.properties(width=_SLICE, height=_SLICE).encode(
        y=y, **_marked(rows, "state", "state", _STATES)
    )
    plots = []
    for name in names:
        field = _field(name)
        if _are_numbers([row[field] for row in rows if row.get(field) is not None]):
            narrow = {"tickCount": 4, "labelSeparation": 8}
            x = _number_axis(alt.X, rows, field, title=name, axis=narrow)
        else:
            turned = {"labelLimit": 160, "labelAngle": -30}
            x = alt.X(f"{field}:N", title=name, axis=turned)
        plot = points.encode(x=x, tooltip=["trial:Q", "value:Q", x.shorthand])
        plots.append(plot + _best_point(rows, best, x, y))
    return alt.concat(*plots, columns=3)


def _pareto(
    goals: Sequence[TuneGoal], trials: Sequence[TuneTrial], search: TuneSearch, best: int
) -> Any:
    """The first two goals against each other; the front is drawn as a line."""
    rows = []
    for item in trials:
        if item.state == "complete" and item.values:
            a, b = item.values[:2]
            on_front = item.number in search.pareto
            rows.append({"trial": item.number, "a": a, "b": b, "front": on_front})
    front = sorted((row for row in rows if row["front"]), key=itemgetter("a"))
    x = _number_axis(alt.X, rows, "a", title=goals[0].name)
    y = _number_axis(alt.Y, rows, "b", title=goals[1].name)
    marks = _marked(rows, "front", "on the front", [True, False])
    points = _base(rows).mark_point(filled=True, size=60)
    points = points.encode(x=x, y=y, tooltip=["trial:Q", "a:Q", "b:Q"], **marks)
    line = _base(front).mark_line(color=_COLOURS[0], strokeDash=[4, 3]).encode(x=x, y=y)
    return line + points + _best_point(rows, best, x, y)


def _epochs(goal: TuneGoal, trials: Sequence[TuneTrial], best: int) -> Any:
    """The goal after every epoch, one line a trial."""
    rows: list[dict[str, Any]] = []
    for item in trials:
        for step, value in item.intermediate.items():
            row = {"trial": item.number, "epoch": int(step), "value": value, "state": item.state}
            rows.append(row)
    x = _count_axis(rows, "epoch")
    y = _number_axis(alt.Y, rows, "value", title=goal.name)
    dashes = _scale(rows, "state", _STATES, _DASHES)
    lines = _base(rows).mark_line(opacity=0.6, point={"size": 20})
    lines = lines.encode(
        x=x,
        y=y,
        detail="trial:N",
        color=_marked(rows, "state", "state", _STATES)["color"],
        # A line has no shape: its dashes tell the states apart where colours cannot.
        strokeDash=alt.StrokeDash("state:N", scale=dashes, title="state"),
        tooltip=["trial:N", "epoch:Q", "value:Q", "state:N"],
    )
    return lines + _best_line(rows, best, x, y)
