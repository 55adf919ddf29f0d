"""The picture of a gradcheck: the curves, the error of each method along them, and the error
against the step.

Described in Vega-Lite and rendered by vl-convert, which needs neither a browser nor a network, and
which is imported when a picture is drawn, and not before. Methods differ in colour, in shape and in
dashes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from nncompare.studies.gradcheck import plot_data as data
from nncompare.studies.gradcheck.record import GradcheckRecord, Method, RuntimeDerivatives
from nncompare.studies.gradcheck.report import DIFFERENCES, NAMES, prime

FORMATS = (".png", ".svg")
# Pixels a unit: sharp on dense screens and on paper.
_SCALE = 2.0
# Of a panel.
_WIDTH = 760
_HEIGHT = 240
_GAP = 60
_FEW_POINTS = 30
_MARKS = 30
# Most marks of a method, most points of a line; more are summed up by the largest error of each
# stretch.
_LINE = 240


class Look(NamedTuple):
    """How a method is drawn: finite differences are lines, the others marks.

    Args:
        shape: of the marks, and in the legend.
        size: of the marks.
    """

    colour: str
    shape: str
    dash: list[int]
    size: int = 0


# Okabe and Ito's palette, which colour-blind people can tell apart (jfly.uni-koeln.de/color). Marks
# lie within each other where methods agree to the last bit, which they often do.
_LOOKS: dict[Method, Look] = {
    "reverse": Look("#0072B2", "circle", [1, 0], 170),
    "forward": Look("#D55E00", "square", [1, 0], 60),
    "symbolic": Look("#009E73", "triangle", [1, 0], 8),
    "central": Look("#CC79A7", "stroke", [5, 3]),
    "five_point": Look("#000000", "stroke", [1, 0]),
}
# Characters in the picture's title.
_LONGEST_FORMULA = 90
_CURVES = ["#0072B2", "#D55E00"]
_GREY = "#555555"
_MARK = {"type": "point", "strokeWidth": 1.4, "filled": False, "opacity": 1}
_LEGEND = {"title": None, "orient": "bottom", "direction": "horizontal", "columnPadding": 24}
_X = {"field": "x", "type": "quantitative", "title": "x", "scale": {"zero": False, "nice": False}}

Part = dict[str, Any]
"""A part of a Vega-Lite document."""


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
    spec = chart(result)
    if suffix.lower() == ".svg":
        return str(vl_convert.vegalite_to_svg(spec)).encode()
    return bytes(vl_convert.vegalite_to_png(spec, scale=_SCALE))


def chart(result: GradcheckRecord) -> Part:
    """The whole picture, as a Vega-Lite document."""
    panels = [_curves(result), _errors(result), _steps(result)]
    derivative = _shortened(result.formula.derivative)
    return {
        "vconcat": [panel for panel in panels if panel is not None],
        "spacing": 28,
        "padding": 16,
        "background": "white",
        "resolve": _scales("independent"),
        "title": {
            "text": f"f(x) = {_shortened(result.formula.text)}",
            "subtitle": f"{prime(result)} = {derivative}, in {result.points.dtype}",
            "anchor": "start",
            "frame": "bounds",
            "fontSize": 18,
            "subtitleFontSize": 14,
            "subtitleColor": _GREY,
            "offset": 14,
        },
        "config": {
            "font": "DejaVu Sans, Helvetica, Arial, sans-serif",
            "axis": {
                "labelFontSize": 11,
                "titleFontSize": 12,
                "gridColor": "#e6e6e6",
                "titleFontWeight": "normal",
            },
            "view": {"stroke": "#bbbbbb"},
            "title": {
                "fontSize": 14,
                "anchor": "start",
                "frame": "group",
                "subtitleFontSize": 12,
                "subtitleColor": _GREY,
            },
            "legend": {"labelFontSize": 12, "symbolSize": 90, "symbolStrokeWidth": 2},
        },
    }


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_FORMULA else text[: _LONGEST_FORMULA - 1] + "…"


def _scales(kind: str) -> Part:
    """Whether panels share their scales, and so their legends."""
    return {"scale": {"color": kind, "shape": kind, "strokeDash": kind}}


def _told_apart(field: str, names: list[str], looks: list[Any]) -> Part:
    """A channel of curves or methods, each with its own look."""
    scale = {"domain": names, "range": looks}
    return {"field": field, "type": "nominal", "scale": scale, "legend": _LEGEND}


def _by_method(methods: Sequence[Method]) -> dict[str, Part]:
    """The channels of methods: name of the channel -> channel."""
    names = [NAMES[method] for method in methods]
    looks = [_LOOKS[method] for method in methods]
    return {
        "color": _told_apart("method", names, [look.colour for look in looks]),
        "shape": _told_apart("method", names, [look.shape for look in looks]),
        "strokeDash": _told_apart("method", names, [look.dash for look in looks]),
    }


def _layer(rows: list[Part], mark: Part, encoding: Part) -> Part:
    return {"data": {"values": rows}, "mark": mark, "encoding": encoding}


def _curves(result: GradcheckRecord) -> Part:
    """The function and its exact derivative."""
    points = result.points
    order = sorted(range(points.count), key=lambda index: points.x[index])
    names = ["f(x)", prime(result)]
    both = (*points.value, *points.derivative)
    limit = data.limit([value for value in both if value is not None])
    x = [points.x[index] for index in order]
    rows: list[Part] = []
    for name, values in zip(names, (points.value, points.derivative), strict=True):
        rows += data.line(name, x, [values[index] for index in order], limit)
    y: Part = {"field": "y", "type": "quantitative", "title": None}
    remarks = []
    missing = points.count - points.compared
    if missing:
        remarks.append(f"{missing} of {points.count} points have no derivative to compare with")
    # Near a pole the rest of the curve would be a flat line.
    if limit is not None:
        y["scale"] = {"domain": [-limit, limit], "nice": False}
        remarks.append(f"values beyond ±{limit:.3g} are cut off")
    # Of a few points the line alone would hide where they are.
    marks = {"size": 35} if points.count <= _FEW_POINTS else False
    # A subtitle keeps its place if it is empty, so that all panels begin at the same height.
    subtitle = "; ".join(remarks) or " "
    line = {"type": "line", "strokeWidth": 2.4, "clip": True, "point": marks}
    encoding = {
        "x": _X,
        "y": y,
        "detail": {"field": "part", "type": "nominal"},
        "color": _told_apart("curve", names, _CURVES),
        "strokeDash": _told_apart("curve", names, [[1, 0], [7, 4]]),
    }
    return {
        **_layer(rows, line, encoding),
        "width": _WIDTH,
        "height": _HEIGHT,
        "title": {"text": "The function and its exact derivative", "subtitle": subtitle},
    }


def _errors(result: GradcheckRecord) -> Part | None:
    """The error of each method along the points, a picture for each runtime that finished."""
    # A runtime that was refused has no values.
    shown = [row for row in result.runtimes if any(method.values for method in row.methods)]
    # Without a framework NumPy's symbolic derivative and differences are still worth a look.
    shown = shown or [result.reference]
    edges = data.edges(result, shown)
    # No point has a derivative to compare with.
    if edges is None:
        return None
    width = (_WIDTH - _GAP // 2 * (len(shown) - 1)) // len(shown)
    panels: list[Part] = []
    for row in shown:
        y = _error_axis("error", 8)
        y["scale"] |= {"domain": list(edges), "nice": False}
        # One axis is enough for all panels.
        if panels:
            y["title"] = None
            y["axis"]["labels"] = False
        layers = _error_layers(result, row, edges[0], y)
        panels.append({"layer": layers, "width": width, "height": _HEIGHT, "title": row.runtime})
    subtitle = (
        "size of computed - exact; at the bottom edge: no error, or one too small for the axis"
    )
    return {
        "hconcat": panels,
        "spacing": 14,
        # One legend for all panels.
        "resolve": _scales("shared"),
        "title": {"text": "Error of each method", "frame": "bounds", "subtitle": subtitle},
    }


def _error_axis(title: str, ticks: int) -> Part:
    return {
        "field": "error",
        "type": "quantitative",
        "title": title,
        "scale": {"type": "log"},
        "axis": {"format": ".0e", "tickCount": ticks},
    }


def _error_layers(
    result: GradcheckRecord, row: RuntimeDerivatives, floor: float, y: Part
) -> list[Part]:
    """Lines for finite differences, and over them marks for the methods that agree."""
    channels = _by_method(tuple(_LOOKS))
    place = {"x": _X, "y": y, "color": channels["color"]}
    lines = data.error_rows(result, row, DIFFERENCES, floor, _LINE)
    line = {"type": "line", "strokeWidth": 1.6, "clip": True}
    layers = [_layer(lines, line, {**place, "strokeDash": channels["strokeDash"]})]
    shaped = {**place, "shape": channels["shape"]}
    # The largest marks first, so that the smaller ones are seen within them.
    for name, look in _LOOKS.items():
        if name not in DIFFERENCES:
            marks = data.error_rows(result, row, [name], floor, _MARKS)
            layers.append(_layer(marks, {**_MARK, "size": look.size}, shaped))
    return layers


def _steps(result: GradcheckRecord) -> Part | None:
    """The largest error against the step: truncation on the right, rounding on the left."""
    rows: list[Part] = []
    for one in result.sweep:
        for step, error in zip(one.steps, one.largest_errors, strict=True):
            # A logarithmic axis has no place for 0, and None is no figure.
            if error:
                rows.append({"method": NAMES[one.method], "h": step, "error": error})
    # Every step leaves the domain somewhere, or the formula is linear.
    if not rows:
        return None
    channels = _by_method(DIFFERENCES)
    encoding = {
        "x": _error_axis("step h", 10) | {"field": "h"},
        "y": _error_axis("largest error", 8),
        "color": channels["color"],
        "strokeDash": channels["strokeDash"],
    }
    layers = [_layer(rows, {"type": "line", "strokeWidth": 2}, encoding)]
    level = result.reference.method("symbolic").largest_error
    # A logarithmic axis has no place for 0.
    if level:
        layers += _level(level)
    subtitle = (
        "NumPy, one step at all points; left: rounding divided by h, right: f bends within h"
        " (truncation)"
    )
    return {
        "layer": layers,
        "width": _WIDTH,
        "height": _HEIGHT,
        "title": {
            "text": "Why finite differences are worse: no step is right",
            "subtitle": subtitle,
        },
    }


def _level(error: float) -> list[Part]:
    """A line at the error of the symbolic derivative, and its name."""
    rows = [{"error": error, "text": "symbolic derivative: no step"}]
    y = {"field": "error", "type": "quantitative"}
    colour = _LOOKS["symbolic"].colour
    rule = {"type": "rule", "color": colour, "strokeDash": [2, 2], "strokeWidth": 1.6}
    text = {"type": "text", "align": "left", "dx": 6, "dy": -8, "color": colour, "fontSize": 12}
    name = {"field": "text", "type": "nominal"}
    named = {"y": y, "text": name, "x": {"value": 0}}
    return [_layer(rows, rule, {"y": y}), _layer(rows, text, named)]
