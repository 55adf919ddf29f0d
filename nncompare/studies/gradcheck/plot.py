"""The picture of a gradcheck: the curves, the error of each method along them, and the error
against the step.

Drawn with Vega-Lite (altair) and rendered by vl-convert, which needs neither a browser nor a
network. Both are imported when a picture is drawn, and not before. Methods differ in colour, in
shape and in dashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nncompare.studies.gradcheck import plot_data as data
from nncompare.studies.gradcheck.record import GradcheckRecord, Method
from nncompare.studies.gradcheck.report import DIFFERENCES, NAMES, prime

FORMATS = (".png", ".svg")
_SCALE = 2.0
"""Pixels a unit: sharp on dense screens and on paper."""
_WIDTH = 760
_HEIGHT = 240
"""Of a panel."""
_GAP = 60
_FEW_POINTS = 30
_MARKS = 30
_LINE = 240
"""Most marks of a method, most points of a line; more are summed up by the largest error of each
stretch.
"""

# Okabe and Ito's palette, which colour-blind people can tell apart (jfly.uni-koeln.de/color)
_COLOURS: dict[Method, str] = {
    "reverse": "#0072B2",
    "forward": "#D55E00",
    "symbolic": "#009E73",
    "central": "#CC79A7",
    "five_point": "#000000",
}
_SHAPES: dict[Method, str] = {
    "reverse": "circle",
    "forward": "square",
    "symbolic": "triangle",
    "central": "stroke",
    "five_point": "stroke",
}
"""Of the marks, and in the legend: the differences are lines."""
_SIZES: dict[Method, int] = {"reverse": 170, "forward": 60, "symbolic": 8}
"""Marks lie within each other where methods agree to the last bit, which they often do."""
_DASHES: dict[Method, list[int]] = {
    "reverse": [1, 0],
    "forward": [1, 0],
    "symbolic": [1, 0],
    "central": [5, 3],
    "five_point": [1, 0],
}
_LONGEST_FORMULA = 90
"""Characters in the picture's title."""
_CURVES = ("#0072B2", "#D55E00")
_GREY = "#555555"


def draw(result: GradcheckRecord, suffix: str = ".png") -> bytes:
    """The picture as a file's content.

    Args:
        suffix: one of ``FORMATS``.

    Raises:
        ValueError: another.
    """
    import vl_convert

    if suffix.lower() not in FORMATS:
        raise ValueError(f"a picture is one of {', '.join(FORMATS)}, not {suffix!r}")
    spec = chart(result).to_dict()
    if suffix.lower() == ".svg":
        return str(vl_convert.vegalite_to_svg(spec)).encode()
    return bytes(vl_convert.vegalite_to_png(spec, scale=_SCALE))


def chart(result: GradcheckRecord) -> Any:
    """The whole picture."""
    import altair as alt

    panels = [_curves(result), _errors(result), _steps(result)]
    whole = alt.vconcat(*(panel for panel in panels if panel is not None), spacing=28)
    derivative = _shortened(result.formula.derivative)
    title = alt.TitleParams(
        f"f(x) = {_shortened(result.formula.text)}",
        subtitle=f"{prime(result)} = {derivative}, in {result.points.dtype}",
        anchor="start",
        frame="bounds",
        fontSize=18,
        subtitleFontSize=14,
        subtitleColor=_GREY,
        offset=14,
    )
    styled = whole.properties(title=title, padding=16, background="white").resolve_scale(
        color="independent", shape="independent", strokeDash="independent"
    )
    return (
        styled.configure(font="DejaVu Sans, Helvetica, Arial, sans-serif")
        .configure_axis(
            labelFontSize=11, titleFontSize=12, gridColor="#e6e6e6", titleFontWeight="normal"
        )
        .configure_view(stroke="#bbbbbb")
        .configure_title(
            fontSize=14, anchor="start", frame="group", subtitleFontSize=12, subtitleColor=_GREY
        )
        .configure_legend(labelFontSize=12, symbolSize=90, symbolStrokeWidth=2)
    )


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_FORMULA else text[: _LONGEST_FORMULA - 1] + "…"


def _curves(result: GradcheckRecord) -> Any:
    """The function and its exact derivative."""
    import altair as alt

    points = result.points
    order = sorted(range(points.count), key=lambda index: points.x[index])
    names = ("f(x)", prime(result))
    both = (*points.value, *points.derivative)
    limit = data.limit([value for value in both if value is not None])
    x = [points.x[index] for index in order]
    rows: list[dict[str, Any]] = []
    for name, values in zip(names, (points.value, points.derivative), strict=True):
        rows += data.line(name, x, [values[index] for index in order], limit)
    scale = alt.Scale(domain=[-limit, limit], nice=False) if limit is not None else alt.Undefined
    encoding = {
        "x": alt.X("x:Q", title="x", scale=alt.Scale(zero=False, nice=False)),
        "y": alt.Y("y:Q", title=None, scale=scale),
        "detail": alt.Detail("part:N"),
        "color": alt.Color(
            "curve:N", scale=alt.Scale(domain=list(names), range=list(_CURVES)), legend=_legend()
        ),
        "strokeDash": alt.StrokeDash(
            "curve:N", scale=alt.Scale(domain=list(names), range=[[1, 0], [7, 4]]), legend=_legend()
        ),
    }
    # Of a few points the line alone would hide where they are.
    marks = {"size": 35} if points.count <= _FEW_POINTS else False
    line = alt.Chart(_data(rows)).mark_line(strokeWidth=2.4, clip=True, point=marks)
    remarks = [_left_out(result)]
    if limit is not None:
        remarks.append(f"values beyond ±{limit:.3g} are cut off")
    # A subtitle keeps its place if it is empty, so that all panels begin at the same height.
    subtitle = "; ".join(remark for remark in remarks if remark) or " "
    title = alt.TitleParams("The function and its exact derivative", subtitle=subtitle)
    return line.encode(**encoding).properties(width=_WIDTH, height=_HEIGHT, title=title)


def _left_out(result: GradcheckRecord) -> str:
    missing = result.points.count - result.points.compared
    if not missing:
        return ""
    return f"{missing} of {result.points.count} points have no derivative to compare with"


def _errors(result: GradcheckRecord) -> Any:
    """The error of each method along the points, a picture for each runtime that finished."""
    import altair as alt

    shown = [row for row in result.runtimes if any(method.values for method in row.methods)]
    # Without a framework NumPy's symbolic derivative and differences are still worth a look.
    shown = shown or [result.reference]
    floor = data.floor(result, shown)
    if floor is None:
        return None
    width = (_WIDTH - _GAP // 2 * (len(shown) - 1)) // len(shown)
    ceiling = data.ceiling(result, shown)
    charts = []
    for index, row in enumerate(shown):
        marks = data.error_rows(result, row, ("reverse", "forward", "symbolic"), floor, _MARKS)
        lines = data.error_rows(result, row, DIFFERENCES, floor, _LINE)
        y = alt.Y(
            "error:Q",
            title="error" if index == 0 else None,
            scale=alt.Scale(type="log", domain=[floor, ceiling], nice=False),
            axis=alt.Axis(format=".0e", tickCount=8, labels=index == 0),
        )
        x = alt.X("x:Q", title="x", scale=alt.Scale(zero=False, nice=False))
        panel = _error_chart(marks, lines, x, y)
        charts.append(panel.properties(width=width, height=_HEIGHT, title=row.runtime))
    # One legend for all panels.
    row_of_charts = alt.hconcat(*charts, spacing=14).resolve_scale(
        color="shared", shape="shared", strokeDash="shared"
    )
    subtitle = (
        "size of computed - exact; at the bottom edge: no error, or one too small for the axis"
    )
    title = alt.TitleParams("Error of each method", frame="bounds", subtitle=subtitle)
    return row_of_charts.properties(title=title)


def _error_chart(marks: list[dict[str, Any]], lines: list[dict[str, Any]], x: Any, y: Any) -> Any:
    import altair as alt

    methods = tuple(_COLOURS)
    colour = alt.Color("method:N", scale=_scale(methods, _COLOURS), legend=_legend())
    shape = alt.Shape("method:N", scale=_scale(methods, _SHAPES), legend=_legend())
    dash = alt.StrokeDash("method:N", scale=_scale(methods, _DASHES), legend=_legend())
    drawn = alt.Chart(_data(lines)).mark_line(strokeWidth=1.6, clip=True)
    layers: list[Any] = [drawn.encode(x=x, y=y, color=colour, strokeDash=dash)]
    for name, size in _SIZES.items():
        of_one = [mark for mark in marks if mark["method"] == NAMES[name]]
        stamped = alt.Chart(_data(of_one)).mark_point(
            size=size, strokeWidth=1.4, filled=False, opacity=1
        )
        layers.append(stamped.encode(x=x, y=y, color=colour, shape=shape))
    return alt.layer(*layers)


def _data(rows: list[dict[str, Any]]) -> Any:
    import altair as alt

    make: Any = alt.Data  # without types
    return make(values=rows)


def _scale(methods: Sequence[Method], by: dict[Method, Any]) -> Any:
    import altair as alt

    return alt.Scale(
        domain=[NAMES[method] for method in methods], range=[by[method] for method in methods]
    )


def _legend() -> Any:
    import altair as alt

    return alt.Legend(title=None, orient="bottom", direction="horizontal", columnPadding=24)


def _steps(result: GradcheckRecord) -> Any:
    """The largest error against the step: truncation on the right, rounding on the left."""
    import altair as alt

    rows = []
    for one in result.sweep:
        for step, error in zip(one.steps, one.largest_errors, strict=True):
            # A logarithmic axis has no place for 0, and None is no figure.
            if error:
                rows.append({"method": NAMES[one.method], "h": step, "error": error})
    if not rows:
        return None
    x = alt.X(
        "h:Q",
        title="step h",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(format=".0e", tickCount=10),
    )
    y = alt.Y(
        "error:Q",
        title="largest error",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(format=".0e", tickCount=8),
    )
    colour = alt.Color("method:N", scale=_scale(DIFFERENCES, _COLOURS), legend=_legend())
    dash = alt.StrokeDash("method:N", scale=_scale(DIFFERENCES, _DASHES), legend=_legend())
    lines = alt.Chart(_data(rows)).mark_line(strokeWidth=2)
    layers: list[Any] = [lines.encode(x=x, y=y, color=colour, strokeDash=dash)]
    symbolic = result.reference.method("symbolic")
    if symbolic is not None and symbolic.largest_error:
        layers.append(_level(symbolic.largest_error))
    title = alt.TitleParams(
        "Why finite differences are worse: no step is right",
        subtitle=(
            "NumPy, one step at all points; left: rounding divided by h, right: f bends within h"
            " (truncation)"
        ),
    )
    return alt.layer(*layers).properties(width=_WIDTH, height=_HEIGHT, title=title)


def _level(error: float) -> Any:
    """A line at the error of the symbolic derivative, with its name."""
    import altair as alt

    base = alt.Chart(_data([{"error": error, "text": "symbolic derivative: no step"}]))
    rule = base.mark_rule(color=_COLOURS["symbolic"], strokeDash=[2, 2], strokeWidth=1.6).encode(
        y="error:Q"
    )
    text = base.mark_text(align="left", dx=6, dy=-8, color=_COLOURS["symbolic"], fontSize=12)
    return rule + text.encode(y="error:Q", text="text:N", x=alt.value(0))
