"""The pictures of a search: history, importance, parallel coordinates, slices, Pareto front,
epochs.

Drawn with Vega-Lite (altair), which is imported when a picture is drawn, and not before. Every
picture holds its own figures, so that it can be looked at without a network.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from nncompare.show.numbers import short
from nncompare.studies.tune.record import TuneRecord, TuneSearch, TuneTrial

_WIDTH, _HEIGHT = 620, 260
_SLICE = 190
_STATES = ["complete", "pruned", "failed"]
_COLOURS = ["#0072B2", "#E69F00", "#D55E00"]  # Okabe and Ito: told apart by colour-blind people
_SHAPES = ["circle", "square", "cross"]
_MOST_LINES = 200
_MOST_TICKS = 12
_WIDE = 20
"""A factor between the smallest and the largest value from which an axis is logarithmic."""
_LONGEST = 24
"""Letters of a value beside an axis."""


def charts(result: TuneRecord, search: TuneSearch) -> dict[str, Any]:
    """Title -> altair chart, of one runtime's search; a picture that would be empty is left out."""
    trials = [item for item in result.trials if item.runtime == search.runtime]
    done = [item for item in trials if item.state == "complete" and item.values]
    if not done:
        return {}
    found = {"History": _history(result, trials)}
    if search.importance:
        found["Importance of the parameters"] = _importance(result, search)
    if len(done) > 1:
        names = _names(done)
        if len(names) > 1:
            found["Parallel coordinates"] = _parallel(result, done, names)
        found["Slices"] = _slices(result, trials, names)
    if len(result.goals) > 1:
        found["Pareto front"] = _pareto(result, done, search)
    if any(item.intermediate for item in trials):
        found["Values after every epoch"] = _epochs(result, trials)
    return found


def _base(rows: Sequence[dict[str, Any]]) -> Any:
    import altair as alt

    return alt.Chart(alt.InlineData(values=list(rows)))


def _field(name: str) -> str:
    """Vega reads dots and brackets in a field's name as a path."""
    return name.replace(".", "_").replace("[", "_").replace("]", "_")


def _names(trials: Sequence[TuneTrial]) -> list[str]:
    return list(dict.fromkeys(name for item in trials for name in item.params))


def _text(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, (dict, list)) else value


def _is_number(values: Sequence[Any]) -> bool:
    return all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)


def _scale(values: Sequence[Any]) -> Any:
    """Logarithmic where positive numbers span a wide range."""
    import altair as alt

    if _is_number(values) and values and _is_wide(values):
        return alt.Scale(type="log", nice=False)
    return alt.Scale(zero=False)


def _is_wide(values: Sequence[float]) -> bool:
    """Whether numbers want a logarithmic axis, and can have one."""
    return min(values) > 0 and max(values) / min(values) > _WIDE


def _counted(name: str, values: Sequence[int]) -> Any:
    """An axis with whole numbers alone."""
    import altair as alt

    low = min(values)
    high = max(values)
    # 1, 2, 5, 10, 20, …: the first step that leaves a dozen ticks at most.
    steps = (unit * 10**power for power in range(9) for unit in (1, 2, 5))
    step = next(step for step in steps if high - low <= _MOST_TICKS * step)
    ticks = list(range(-(-low // step) * step, high + 1, step))
    scale = alt.Scale(domain=[low, max(high, low + 1)], nice=False)
    return alt.X(f"{name}:Q", title=name, scale=scale, axis=alt.Axis(values=ticks, format="d"))


def _state_encodings() -> dict[str, Any]:
    import altair as alt

    colours = alt.Scale(domain=_STATES, range=_COLOURS)
    shapes = alt.Scale(domain=_STATES, range=_SHAPES)
    return {
        "color": alt.Color("state:N", scale=colours, title="state"),
        "shape": alt.Shape("state:N", scale=shapes, title="state"),
    }


def _history(result: TuneRecord, trials: Sequence[TuneTrial]) -> Any:
    """Each trial's value, and the best so far as a line."""
    import altair as alt

    goal = result.goals[0]
    better = max if goal.goal == "maximize" else min
    rows = []
    steps = []
    best: float | None = None
    for item in trials:
        if not item.values:
            continue
        value = item.values[0]
        rows.append({"trial": item.number, "value": value, "state": item.state})
        # A pruned trial's value is one of an early epoch, and never the best.
        if item.state == "complete":
            best = value if best is None else better(best, value)
        if best is not None:
            steps.append({"trial": item.number, "best": best})
    scale = _scale([row["value"] for row in rows])
    x = _counted("trial", [item.number for item in trials if item.values])
    tips = ["trial:Q", "value:Q", "state:N"]
    y = alt.Y("value:Q", title=goal.name, scale=scale)
    points = _base(rows).mark_point(filled=True, size=55)
    points = points.encode(x=x, y=y, tooltip=tips, **_state_encodings())
    y_of_best = alt.Y("best:Q", title=goal.name, scale=scale)
    line = _base(steps).mark_line(interpolate="step-after", color="#000000")
    line = line.encode(x=x, y=y_of_best)
    return (points + line).properties(width=_WIDTH, height=_HEIGHT)


def _importance(result: TuneRecord, search: TuneSearch) -> Any:
    import altair as alt

    rows = [{"parameter": name, "share": share} for name, share in search.importance.items()]
    title = f"share of the variance of {result.goals[0].name}"
    x = alt.X("share:Q", title=title, axis=alt.Axis(format="%"), scale=alt.Scale(domainMin=0))
    y = alt.Y("parameter:N", title=None, sort="-x", axis=alt.Axis(labelLimit=300))
    return (
        _base(rows)
        .mark_bar(color=_COLOURS[0])
        .encode(x=x, y=y, tooltip=["parameter:N", "share:Q"])
        .properties(width=_WIDTH, height=max(60, 28 * len(rows)))
    )


def _parallel(result: TuneRecord, done: Sequence[TuneTrial], names: Sequence[str]) -> Any:
    """One line a trial over axes that each run from the smallest to the largest value, logarithms
    where they span.
    """
    import altair as alt

    goal = result.goals[0]
    largest_first = goal.goal == "maximize"
    shown = sorted(done, key=_first_value, reverse=largest_first)[:_MOST_LINES]
    axes: dict[str, list[Any]] = {}
    for name in names:
        axes[name] = [_text(item.params.get(name)) for item in shown]
    axes[goal.name] = [_first_value(item) for item in shown]
    places = {name: _places(values) for name, values in axes.items()}
    rows: list[dict[str, Any]] = []
    for index, item in enumerate(shown):
        for name, values in axes.items():
            row = {
                "trial": item.number,
                "axis": name,
                "place": places[name][index],
                "shown": str(values[index]),
                "value": _first_value(item),
            }
            rows.append(row)
    scale = alt.Scale(scheme="viridis", reverse=largest_first)
    colour = alt.Color("value:Q", title=goal.name, scale=scale)
    x = alt.X("axis:N", sort=list(axes), title=None, axis=alt.Axis(labelAngle=-20, labelLimit=300))
    y = alt.Y(
        "place:Q",
        title="from the smallest to the largest value",
        axis=alt.Axis(labels=False, ticks=False),
    )
    tips = ["trial:N", "axis:N", "shown:N", "value:Q"]
    lines = _base(rows).mark_line(opacity=0.6, point=alt.OverlayMarkDef(size=25))
    lines = lines.encode(x=x, y=y, color=colour, detail="trial:N", tooltip=tips)
    ends: list[dict[str, Any]] = []
    for name, values in axes.items():
        ends += _ends(name, values, places[name])
    words = _base(ends).mark_text(align="left", dx=6, fontSize=10).encode(x=x, y=y, text="shown:N")
    return (lines + words).properties(width=_WIDTH, height=_HEIGHT)


def _ends(name: str, values: Sequence[Any], places: Sequence[float]) -> list[dict[str, Any]]:
    """What stands beside an axis: its smallest and largest number, or every word."""
    known = {}
    for place, value in zip(places, values, strict=True):
        if value is not None:
            known[place] = value
    wanted = set(known)
    if _is_number(list(known.values())):
        wanted = {min(known), max(known)}
    rows = []
    for place in sorted(wanted):
        value = known[place]
        text = short(value) if isinstance(value, float) else str(value)
        rows.append({"axis": name, "place": place, "shown": text[:_LONGEST]})
    return rows


def _first_value(item: TuneTrial) -> float:
    """The first goal of a trial that has its values."""
    assert item.values, "a complete trial has values"
    return item.values[0]


def _places(values: Sequence[Any]) -> list[float]:
    """0 to 1 on an axis; words in their order."""
    known = [value for value in values if value is not None]
    if not _is_number(known):
        order = sorted({str(value) for value in values})
        return [order.index(str(value)) / max(1, len(order) - 1) for value in values]
    scale = math.log if _is_wide(known) else float
    low = scale(min(known))
    spread = scale(max(known)) - low
    places = []
    for value in values:
        # An axis on which all trials agree is a point, and so is a parameter that a trial has not.
        is_placed = value is not None and spread > 0
        places.append((scale(value) - low) / spread if is_placed else 0.0)
    return places


def _slices(result: TuneRecord, trials: Sequence[TuneTrial], names: Sequence[str]) -> Any:
    """The value against each parameter alone."""
    import altair as alt

    goal = result.goals[0]
    rows = []
    for item in trials:
        if item.values:
            params = {_field(name): _text(value) for name, value in item.params.items()}
            rows.append(
                {"trial": item.number, "value": item.values[0], "state": item.state, **params}
            )
    y = alt.Y("value:Q", title=goal.name, scale=_scale([row["value"] for row in rows]))
    plots = []
    for name in names:
        values = [row[_field(name)] for row in rows if row.get(_field(name)) is not None]
        if _is_number(values):
            field = f"{_field(name)}:Q"
            axis = alt.Axis(tickCount=4, labelSeparation=8)
            x = alt.X(field, title=name, scale=_scale(values), axis=axis)
        else:
            field = f"{_field(name)}:N"
            axis = alt.Axis(labelLimit=160, labelAngle=-30)
            x = alt.X(field, title=name, axis=axis)
        tips = ["trial:Q", "value:Q", field]
        points = _base(rows).mark_point(filled=True, size=40)
        plot = points.encode(x=x, y=y, tooltip=tips, **_state_encodings())
        plots.append(plot.properties(width=_SLICE, height=_SLICE))
    return alt.concat(*plots, columns=3)


def _pareto(result: TuneRecord, done: Sequence[TuneTrial], search: TuneSearch) -> Any:
    """The first two goals against each other; the front is drawn as a line."""
    import altair as alt

    first, second = result.goals[:2]
    rows = []
    for item in done:
        if item.values:
            a, b = item.values[:2]
            on_front = item.number in search.pareto
            rows.append({"trial": item.number, "a": a, "b": b, "front": on_front})
    x = alt.X("a:Q", title=first.name, scale=_scale([row["a"] for row in rows]))
    y = alt.Y("b:Q", title=second.name, scale=_scale([row["b"] for row in rows]))
    colours = alt.Scale(domain=[True, False], range=_COLOURS[:2])
    shapes = alt.Scale(domain=[True, False], range=_SHAPES[:2])
    colour = alt.Color("front:N", title="on the front", scale=colours)
    shape = alt.Shape("front:N", title="on the front", scale=shapes)
    tips = ["trial:Q", "a:Q", "b:Q"]
    points = _base(rows).mark_point(filled=True, size=60)
    points = points.encode(x=x, y=y, color=colour, shape=shape, tooltip=tips)
    front = sorted((row for row in rows if row["front"]), key=lambda row: row["a"])
    line = _base(front).mark_line(color=_COLOURS[0], strokeDash=[4, 3]).encode(x=x, y=y)
    return (line + points).properties(width=_WIDTH, height=_HEIGHT)


def _epochs(result: TuneRecord, trials: Sequence[TuneTrial]) -> Any:
    import altair as alt

    rows: list[dict[str, Any]] = []
    for item in trials[-_MOST_LINES:]:
        for step, value in item.intermediate.items():
            row = {"trial": item.number, "epoch": int(step), "value": value, "state": item.state}
            rows.append(row)
    scale = _scale([row["value"] for row in rows])
    lines = _base(rows).mark_line(opacity=0.6, point=alt.OverlayMarkDef(size=20))
    chart = lines.encode(
        x=_counted("epoch", [row["epoch"] for row in rows]),
        y=alt.Y("value:Q", title=result.goals[0].name, scale=scale),
        detail="trial:N",
        color=_state_encodings()["color"],
        # A line has no shape: its dashes tell the states apart where colours cannot.
        strokeDash=alt.StrokeDash("state:N", scale=alt.Scale(domain=_STATES), title="state"),
        tooltip=["trial:N", "epoch:Q", "value:Q", "state:N"],
    )
    return chart.properties(width=_WIDTH, height=_HEIGHT)
