"""gradcheck: every framework's derivatives against mpmath, planted errors, failures, the document,
the picture.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mpmath
import numpy as np
import pytest

import nncompare
from nncompare.backends.derivatives import MODES
from nncompare.cli import call
from nncompare.errors import UsageError
from nncompare.formulas.chain import chain_rule
from nncompare.formulas.evaluation import compute
from nncompare.formulas.exact import exact_values
from nncompare.formulas.expression import FUNCTIONS
from nncompare.formulas.formula import parse
from nncompare.formulas.stencils import STENCILS
from nncompare.formulas.symbolic import differentiate
from nncompare.launch.derivatives import derive
from nncompare.launch.environment import worker_environment
from nncompare.show.page import plain
from nncompare.spec.runtimes import CATALOG
from nncompare.studies.gradcheck import study
from nncompare.studies.gradcheck.exact_answer import solve_exactly
from nncompare.studies.gradcheck.plot import chart, draw
from nncompare.studies.gradcheck.record import METHODS, GradcheckRecord
from nncompare.studies.gradcheck.report import gradcheck_report, verdict
from nncompare.studies.gradcheck.study import gradcheck
from nncompare.wire.job_folder import read, write
from nncompare.wire.messages import Derived, Imported, Method, WorkerWord
from nncompare.wire.outcome import Outcome
from nncompare.wire.requests import DeriveRequest
from nncompare.worker.derivatives import answer

ROOT = Path(__file__).resolve().parents[3]
RUNTIMES = [
    (
        pytest.param(name, marks=getattr(pytest.mark, f"needs_{name}"))
        if CATALOG[name].missing() is None
        else pytest.param(name, marks=pytest.mark.skip(reason=f"{name} is not installed"))
    )
    for name in ("torch", "tensorflow", "keras")
]
INSIDE = (-0.9, -0.31, 0.2, 0.77)
POSITIVE = (0.03, 0.5, 1.7, 30.0)
ANYWHERE = (-6.0, -1.3, -0.2, 0.4, 2.9, 25.0)

# Written down by hand and differentiated by mpmath's own rules: neither SymPy nor our tree takes
# part.
JUDGES: dict[str, tuple[Callable[[Any], Any], tuple[float, ...]]] = {
    "exp(x)": (mpmath.exp, ANYWHERE),
    "log(x)": (mpmath.log, POSITIVE),
    "sqrt(x)": (mpmath.sqrt, POSITIVE),
    "sin(x)": (mpmath.sin, ANYWHERE),
    "cos(x)": (mpmath.cos, ANYWHERE),
    "tan(x)": (mpmath.tan, ANYWHERE),
    "asin(x)": (mpmath.asin, INSIDE),
    "acos(x)": (mpmath.acos, INSIDE),
    "atan(x)": (mpmath.atan, ANYWHERE),
    "sinh(x)": (mpmath.sinh, ANYWHERE),
    "cosh(x)": (mpmath.cosh, ANYWHERE),
    "tanh(x)": (mpmath.tanh, INSIDE),
    "erf(x)": (mpmath.erf, INSIDE),
    "sigmoid(x)": (lambda x: 1 / (1 + mpmath.exp(-x)), ANYWHERE),
    "softplus(x)": (lambda x: mpmath.log(1 + mpmath.exp(x)), ANYWHERE),
    "silu(x)": (lambda x: x / (1 + mpmath.exp(-x)), ANYWHERE),
    "gelu(x)": (lambda x: x * (1 + mpmath.erf(x / mpmath.sqrt(2))) / 2, INSIDE),
    "relu(x)": (lambda x: max(x, mpmath.mpf(0)), ANYWHERE),
    "abs(x)": (abs, ANYWHERE),
    "x**3 + 2*x**2": (lambda x: x**3 + 2 * x**2, ANYWHERE),
    "0.1*x/(1 + x**2) - e**x": (lambda x: x / 10 / (1 + x**2) - mpmath.e**x, ANYWHERE),
    "x**1.5*cos(pi*x)": (
        lambda x: x ** mpmath.mpf("1.5") * mpmath.cos(mpmath.pi * x),
        (0.03, 0.5, 1.7),
    ),
    "x**x": (lambda x: x**x, (0.03, 0.5, 1.7)),
    "-x**-2": (lambda x: -(x**-2), ANYWHERE),
    "7": (lambda x: mpmath.mpf(7), ANYWHERE),
}
KNOWN = {
    ("torch", "softplus(x)"): 3e-9,
    ("tensorflow", "gelu(x)"): 2e-8,
    ("keras", "gelu(x)"): 2e-8,
}
"""Errors of the frameworks' own operations in float64, told by their backends in ``notes``."""

WORKER = """
import json, sys
from pathlib import Path
from nncompare.wire.job_folder import read
from nncompare.worker.derivatives import answer
import importlib
from nncompare.spec.runtimes import CATALOG

folder, out = Path(sys.argv[1]), []
def ask(job):
    said = []
    answer(read(job), lambda message: said.append(message.model_dump(mode="json")))
    return said
jobs = sorted(folder.iterdir())
answers = {job.name: ask(job) for job in jobs}
runtime = read(jobs[0]).runtime
module = importlib.import_module(CATALOG[runtime].module + ".derivatives")
sine = module.Tensors.functions["sin"]
module.Tensors.functions["sin"] = lambda u: sine(u) * (1 + 1e-6)
answers["planted"] = ask(folder / sys.argv[2])
(folder.parent / "answers.json").write_text(json.dumps(answers))
"""


def judged(text: str, order: int) -> np.ndarray[Any, Any]:
    function, points = JUDGES[text]
    with mpmath.workdps(60):
        return np.array([float(mpmath.diff(function, mpmath.mpf(x), order)) for x in points])


def name_of(text: str, order: int, dtype: str) -> str:
    return f"{list(JUDGES).index(text):02d}-{order}-{dtype}"


ASKED = [
    (text, order, dtype)
    for text in JUDGES
    for order, dtype in ((1, "float64"), (2, "float64"), (1, "float32"))
]


@pytest.fixture(scope="session")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], dict[str, Any]]:
    """What a runtime answers to all of ``ASKED``, by one worker a runtime."""
    found: dict[str, dict[str, Any]] = {}

    def of(runtime: str) -> dict[str, Any]:
        if runtime not in found:
            folder = tmp_path_factory.mktemp(runtime)
            for text, order, dtype in ASKED:
                expression = parse(text).expression
                request = DeriveRequest(
                    runtime=runtime,
                    function=expression,
                    derivative=differentiate(expression, order)[0],
                    order=order,
                    points=np.array(JUDGES[text][1], dtype),
                    neighbours=np.zeros((1, len(JUDGES[text][1])), dtype),
                )
                write(folder / "jobs" / name_of(text, order, dtype), request)
            environment = worker_environment(
                runtime,
                threads=1,
                device="cpu",
                deterministic=False,
                home=folder,
                temporary=folder,
            )
            command = [
                sys.executable,
                "-c",
                WORKER,
                str(folder / "jobs"),
                name_of("sin(x)", 1, "float64"),
            ]
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=280
            )
            assert done.returncode == 0, done.stderr[-3000:]
            found[runtime] = json.loads((folder / "answers.json").read_text())
        return found[runtime]

    return of


def values_of(said: list[dict[str, Any]]) -> dict[str, Any]:
    return {message["method"]: message for message in said if message["kind"] == "derived"}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("text", JUDGES)
def test_modes_against_mpmath(
    answers: Callable[[str], dict[str, Any]], runtime: str, text: str
) -> None:
    for order, dtype, tolerance in (
        (1, "float64", 2e-13),
        (2, "float64", 2e-12),
        (1, "float32", 2e-5),
    ):
        methods = values_of(answers(runtime)[name_of(text, order, dtype)])
        true = judged(text, order)
        tolerance = max(tolerance, KNOWN.get((runtime, text), 0.0))
        scale = np.maximum(
            np.abs(true), 1.0 if dtype == "float64" else np.abs(np.array(JUDGES[text][1])) + 1
        )
        for mode in (*MODES, "symbolic"):
            assert methods[mode]["status"] == "ok", methods[mode]
            got = np.array(methods[mode]["values"])
            assert methods[mode]["how"]
            assert np.all(np.abs(got - true) <= tolerance * scale), (mode, order, dtype, got - true)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_values_against_mpmath(answers: Callable[[str], dict[str, Any]], runtime: str) -> None:
    for text, (function, points) in JUDGES.items():
        true = np.array([float(function(mpmath.mpf(x))) for x in points])
        got = np.array(values_of(answers(runtime)[name_of(text, 1, "float64")])["value"]["values"])
        tolerance = max(1e-13, KNOWN.get((runtime, text), 0.0))
        assert np.all(np.abs(got - true) <= tolerance * np.maximum(1, np.abs(true))), (
            text,
            got - true,
        )


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_error_planted_in_a_backend_is_found(
    answers: Callable[[str], dict[str, Any]], runtime: str
) -> None:
    exact = solve_exactly("sin(x)", at=",".join(map(str, ANYWHERE)), order=1, dtype="float64")
    for name, beyond in ((name_of("sin(x)", 1, "float64"), False), ("planted", True)):
        methods = values_of(answers(runtime)[name])
        for mode in ("value", *MODES):
            found = exact.measure(mode, np.array(methods[mode]["values"]))
            assert (found.beyond > 0) is beyond, (name, mode, found)


def test_every_function_is_judged() -> None:
    assert {f"{name}(x)" for name in FUNCTIONS} <= set(JUDGES)


@pytest.mark.parametrize("text", JUDGES)
@pytest.mark.parametrize("order", [1, 2])
def test_the_exact_derivative_is_that_of_mpmath(text: str, order: int) -> None:
    tree, _ = differentiate(parse(text).expression, order)
    got, true = exact_values(tree, JUDGES[text][1]).values, judged(text, order)
    assert np.all(np.abs(got - true) <= 4e-16 * np.abs(true)), got - true


@pytest.mark.parametrize("text", JUDGES)
def test_numpy_values_are_those_of_mpmath(text: str) -> None:
    function, points = JUDGES[text]
    with mpmath.workdps(40):
        true = np.array([float(function(mpmath.mpf(x))) for x in points])
    for dtype, tolerance in (("float64", 2e-14), ("float32", 2e-5), ("longdouble", 2e-14)):
        got = compute(parse(text).expression, np.array(points, dtype))
        assert got.dtype == dtype
        size = np.maximum(np.abs(true), np.maximum(1, np.abs(points)))
        assert np.all(np.abs(got - true) <= tolerance * size), got - true


@pytest.mark.parametrize("text", JUDGES)
@pytest.mark.parametrize("order", [1, 2])
def test_the_chain_rule_is_that_of_mpmath(text: str, order: int) -> None:
    true = judged(text, order)
    got = chain_rule(parse(text).expression, np.array(JUDGES[text][1]), order)
    assert np.all(np.abs(got - true) <= 2e-14 * np.maximum(1, np.abs(true))), got - true


@pytest.mark.parametrize(
    ("text", "x", "true"),
    [
        ("x**1", 0.0, (1.0, 0.0)),
        ("x**2", 0.0, (0.0, 2.0)),
        ("(2.5 - x)**x", 0.0, (math.log(2.5), math.log(2.5) ** 2 - 0.8)),
    ],
)
def test_the_chain_rule_at_zero(text: str, x: float, true: tuple[float, float]) -> None:
    for order in (1, 2):
        assert chain_rule(parse(text).expression, np.array([x]), order)[0] == pytest.approx(
            true[order - 1], abs=1e-15
        )


@pytest.mark.parametrize(
    ("text", "point", "reason"),
    [
        ("log(x)", 0.0, "outside"),
        ("log(x)", -1.0, "outside"),
        ("sqrt(x)", -1e-300, "outside"),
        ("1/x", 0.0, "outside"),
        ("x**0.5", -1.0, "outside"),
        ("asin(x)", 1.0000000000000002, "outside"),
        ("exp(exp(x))", 7.0, "too large"),
        ("exp(exp(exp(exp(exp(x)))))", 5.0, "too large"),
        ("x**x**x**x**x", 9.0, "too large"),
        ("sin(exp(exp(x)))", 20.0, "too large"),
    ],
)
def test_points_without_a_value(text: str, point: float, reason: str) -> None:
    found = exact_values(parse(text).expression, [point])
    assert found.reasons == (reason,)
    assert np.isnan(found.values[0])


def test_cancellation_does_not_reach_the_exact_value() -> None:
    expression = parse("(1 - cos(x))/x**2").expression
    assert exact_values(expression, [1e-9]).values[0] == 0.5
    assert compute(expression, np.array([1e-9]))[0] == 0.0  # what float64 makes of it


def test_zero_is_zero_and_not_unknown() -> None:
    found = exact_values(parse("sin(x)**2 + cos(x)**2 - 1").expression, [0.7])
    assert found.values[0] == 0.0
    assert found.reasons == (None,)


@pytest.mark.parametrize(
    ("name", "order"), [(name, order) for order, row in STENCILS.items() for name in row]
)
def test_stencils_are_exact_for_polynomials_and_no_further(name: str, order: int) -> None:
    stencil = STENCILS[order][name]
    x, h = np.array([0.5]), np.array([0.25])
    for power in range(8):
        values = stencil.neighbours(x, h) ** power
        true = np.prod([power - k for k in range(order)]) * x ** max(power - order, 0)
        difference = abs(stencil.derivative(values, h) - true)[0]
        assert bool(difference < 1e-13) is (power < order + stencil.accuracy), power


def test_steps_are_powers_of_two_and_grow_with_x() -> None:
    for dtype in ("float32", "float64"):
        steps = STENCILS[1]["central"].step(np.array([0.0, 1.0, 1000.0], dtype))
        assert steps.dtype == dtype
        assert np.all(np.frexp(steps)[0] == 0.5)
        assert steps[2] == 1024 * steps[0]


# The study, with a framework that NumPy plays


def played(
    plant: Callable[[str, Any], Any] = lambda method, values: values, status: str = "ok"
) -> Callable[..., Outcome]:
    """A ``derive`` that answers from NumPy and may plant an error into a method's values."""

    def fake(request: DeriveRequest, folder: Path, **_: Any) -> Outcome:
        found = Outcome(runtime=request.runtime, status=status)
        found.imported = Imported(versions={"fake": "1"})
        slope = compute(request.derivative, request.points)
        values: dict[Method, Any] = {
            "value": compute(request.function, request.points),
            "reverse": slope,
            "forward": slope,
            "symbolic": slope,
            "neighbours": compute(request.function, request.neighbours).ravel(),
        }
        for method, numbers in values.items():
            got = tuple(
                float(value) if np.isfinite(value) else None
                for value in plant(method, numbers.copy())
            )
            found.take(Derived(method=method, status="ok", how="played", values=got))
        return found

    return fake


@pytest.fixture
def playing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    return lambda *arguments, **more: monkeypatch.setattr(
        study, "derive", played(*arguments, **more)
    )


def only(method: str, change: Callable[[Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, values: change(values) if name == method else values


def set_at(index: int, factor: float) -> Callable[[Any], Any]:
    def change(values: Any) -> Any:
        values[index] *= factor
        return values

    return change


def test_a_faithful_framework_passes(playing: Callable[..., None]) -> None:
    playing()
    result = gradcheck("x**3 + 2*x**2", runtimes=("torch",))
    assert result.passed
    assert result.complete
    assert "agree with the exact one at 100 points" in verdict(result)
    assert result.formula.derivative == "3*x**2 + 4*x"
    assert [method.method for method in result.runtimes[0].methods] == list(METHODS)


@pytest.mark.parametrize("method", ["value", "reverse", "forward", "symbolic"])
@pytest.mark.parametrize(
    "change",
    [
        set_at(7, 1 + 1e-6),
        set_at(99, -1),
        lambda values: values + 1e-4,
        lambda values: np.roll(values, 1),
    ],
    ids=["one of 100 by 1e-6", "a sign", "an offset", "shifted"],
)
def test_a_planted_error_is_found(
    playing: Callable[..., None],
    method: str,
    change: Callable[[Any], Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    playing(only(method, change))
    assert call(["gradcheck", "x**3 + 2*x**2", "-b", "torch", "--plot", "none", "-q"]) == 1
    assert re.search(rf"DIFFERS .*(f\(x\) itself|{method})", capsys.readouterr().out)


def test_a_missing_number_is_found_where_there_should_be_one(playing: Callable[..., None]) -> None:
    playing(only("reverse", set_at(3, np.nan)))
    result = gradcheck("x**2", runtimes=("torch",))
    assert not result.passed
    assert "not a finite number at 1 point" in verdict(result)


def test_finite_differences_are_measured_and_worse(playing: Callable[..., None]) -> None:
    playing(only("neighbours", lambda values: values * (1 + 1e-6)))
    result = gradcheck("sin(3*x)*exp(x/5)", runtimes=("torch",))
    errors = {method.method: method.largest_error for method in result.runtimes[0].methods}
    assert result.passed
    assert errors["symbolic"] < errors["five_point"]
    clean = {method.method: method.largest_error for method in result.reference.methods}
    assert 0 < clean["symbolic"] * 10 < clean["five_point"] < clean["central"] < 1e-7
    assert errors["five_point"] > 5 * clean["five_point"], (
        "what the framework answers is what is measured"
    )


def test_the_sweep_is_a_valley(playing: Callable[..., None]) -> None:
    playing()
    for one in gradcheck("sin(3*x)", runtimes=("torch",)).sweep:
        known = [error for error in one.largest_errors if error is not None]
        assert min(known) < known[0] / 1e5, "truncation at large steps"
        assert min(known) < known[-1] / 1e5, "rounding at small steps"


def test_points_outside_are_counted_named_and_null(
    playing: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    playing()
    arguments = [
        "gradcheck",
        "abs(x - 1) + log(x)",
        "--at=-1:2:31",
        "-b",
        "torch",
        "--plot",
        "none",
        "--json",
        "-q",
    ]
    assert call(arguments) == 0
    captured = capsys.readouterr()
    text = " ".join(captured.err.split())
    assert "11 of 31 points are outside the domain of f, and not compared: x = -1, -0.9" in text
    assert "1 of 31 points is without f'(x), though f has a value" in text
    assert "reverse mode of torch at 10" in text, "1/x of log(x) is finite left of 0"
    document = json.loads(captured.out, parse_constant=lambda name: pytest.fail(name))
    result = GradcheckRecord.model_validate_json(captured.out)
    assert result.points.outside == tuple(range(11))
    assert result.points.no_derivative == (20,)
    assert result.points.derivative[:11] == (None,) * 11
    assert result.points.compared == 19
    assert list(document)[:5] == ["schema_version", "kind", "id", "name", "created"]
    assert document["kind"] == "gradcheck"
    assert document["plot"] is None
    reverse = document["runtimes"][0]["methods"][1]
    assert reverse["method"] == "reverse"
    assert reverse["values"][0] is not None
    assert document["runtimes"][0]["methods"][0]["values"][0] is None


def test_nothing_to_compare(playing: Callable[..., None]) -> None:
    playing()
    result = gradcheck("log(x)", at="-3:-1:5", runtimes=("torch",))
    assert result.points.compared == 0
    assert "Nothing to compare" in verdict(result)
    assert draw(result)
    assert "n/a" in plain(gradcheck_report(result), 100)


def test_float32_uses_the_rounded_points(playing: Callable[..., None]) -> None:
    playing()
    result = gradcheck("x**2", at="0.1", dtype="float32", runtimes=("torch",))
    assert result.points.x == (float(np.float32(0.1)),)
    assert result.points.derivative == (2 * float(np.float32(0.1)),)
    assert gradcheck("exp(x)", at="90", dtype="float32", runtimes=("torch",)).points.too_large == (
        0,
    )
    with pytest.raises(UsageError, match="range of float32"):
        gradcheck("x", at="1e39", dtype="float32")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        # the chain rule meets an infinite slope at 0, where the derivative is 0
        ("sqrt(x)*x", "0,1"),
        ("exp(x)/exp(x)", "1000,1"),  # overflows on the way
        ("exp(-x**2)*exp(x**2)", "30,1"),
    ],
)
def test_no_number_is_owed_where_the_chain_rule_has_none(
    playing: Callable[..., None], text: str, at: str
) -> None:
    playing(only("reverse", set_at(0, np.nan)))
    result = gradcheck(text, at=at, runtimes=("torch",))
    assert result.points.compared == 2
    assert result.passed
    assert result.runtimes[0].methods[1].not_finite == 1
    playing(only("reverse", set_at(1, np.nan)))
    assert not gradcheck(text, at=at, runtimes=("torch",)).passed


def test_what_sympy_simplifies_away_may_still_be_rounded(playing: Callable[..., None]) -> None:
    """sin(x)**2 + cos(x)**2 has the slope 0; a framework subtracts two products and may be off by
    their rounding.
    """
    playing(only("reverse", lambda values: values + 1e-16))
    assert gradcheck("sin(x)**2 + cos(x)**2", runtimes=("torch",)).passed
    playing(only("reverse", lambda values: values + 1e-6))
    assert not gradcheck("sin(x)**2 + cos(x)**2", runtimes=("torch",)).passed


def test_rounding_is_no_error(playing: Callable[..., None]) -> None:
    """float32 knows 1e6*x to about 0.1: cos of it is worthless, and no fault of a framework's."""
    playing(only("reverse", lambda values: values * 1.1))
    assert gradcheck("sin(1000000*x)", at="1:2:40", dtype="float32", runtimes=("torch",)).passed
    assert not gradcheck("sin(1000000*x)", at="1:2:40", dtype="float64", runtimes=("torch",)).passed


# Real processes


@pytest.mark.needs_torch
@pytest.mark.skipif(CATALOG["torch"].missing() is not None, reason="torch is not installed")
def test_the_command_imports_no_framework_and_keeps_its_streams_apart(tmp_path: Path) -> None:
    probe = (
        "import sys\nfrom nncompare.cli import call\ncode = call(sys.argv[1:])\nprint(code,"
        " sorted({n.partition('.')[0] for n in sys.modules} & {'torch', 'tensorflow', 'keras',"
        " 'jax'}), file=sys.stderr)"
    )
    arguments = ["gradcheck", "-x**2", "--at", "-1:1:5", "-b", "torch", "--json", "--order", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    command = [sys.executable, "-c", probe, *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=200
    )
    assert done.stderr.splitlines()[-1] == "0 []", done.stderr
    result = GradcheckRecord.model_validate_json(done.stdout)
    assert result.runtimes[0].status == "ok"
    assert set(result.points.derivative) == {-2.0}
    assert result.runtimes[0].methods[1].values == (-2.0,) * 5
    assert "torch.func.jvp" in done.stderr
    assert "asking torch" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert result.plot is not None
    assert is_png((tmp_path / result.plot).read_bytes())


def test_a_missing_and_a_crashing_runtime_are_rows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(CATALOG, "keras", replace(CATALOG["keras"], needs=("no_such_module",)))
    monkeypatch.setitem(CATALOG, "tensorflow", replace(CATALOG["tensorflow"], needs=()))
    script = "import os; print('last words', flush=True); os.kill(os.getpid(), 11)"
    monkeypatch.setattr(
        "nncompare.launch.run_worker.worker_command", lambda *_: [sys.executable, "-c", script]
    )
    real = derive

    def some(request: DeriveRequest, folder: Path, **more: Any) -> Outcome:
        answers = played() if request.runtime == "torch" else real
        return answers(request, folder, **more)

    monkeypatch.setattr(study, "derive", some)
    assert call(["gradcheck", "x**2", "--plot", "none", "--json"]) == 3
    captured = capsys.readouterr()
    torch, tensorflow, keras = GradcheckRecord.model_validate_json(captured.out).runtimes
    assert (torch.status, tensorflow.status, keras.status) == ("ok", "failed", "refused")
    assert "SIGSEGV" in (tensorflow.reason or "")
    assert "no_such_module" in (keras.reason or "")
    assert "| last words" in captured.err
    assert 'pip install "keras>=3.10" "tensorflow>=2.19"' in " ".join(
        captured.err.split()
    )  # the table wraps


def test_a_worker_that_says_nothing_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(CATALOG, "torch", replace(CATALOG["torch"], needs=()))
    command = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr("nncompare.launch.run_worker.worker_command", lambda *_: command)
    exact = solve_exactly("x", at="1", order=1, dtype="float64")
    found = derive(study.request(exact, "torch"), tmp_path, timeout_s=0.5)
    assert (found.status, found.reason) == ("timed out", "no result within 0.5 s")


class Broken:
    """A backend whose forward mode raises, and whose reverse mode answers in float32."""

    how = {"value": "v", "reverse": "r", "forward": "f"}
    notes: dict[str, str] = {"sin": "sin: known"}

    def configure(self, mode: str, threads: int) -> None: ...

    def why_not(self, mode: str, order: int) -> str | None:
        return "lacks it" if order == 2 and mode == "forward" else None

    def value(self, expression: Any, x: Any) -> Any:
        return compute(expression, x)

    def reverse(self, expression: Any, x: Any, order: int) -> Any:
        return x.astype(np.float32)

    def forward(self, expression: Any, x: Any, order: int) -> Any:
        raise RuntimeError("no such\nthing")


def test_a_method_that_fails_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("nncompare.worker.derivatives.load_derivatives", lambda name: Broken())
    backend = SimpleNamespace(versions=dict)
    monkeypatch.setattr("nncompare.worker.derivatives.load_backend", lambda name: backend)
    exact = solve_exactly("sin(x)", at="1,2", order=1, dtype="float64")
    write(tmp_path, study.request(exact, "torch"))
    request = read(tmp_path)
    assert isinstance(request, DeriveRequest)
    found = Outcome(runtime="torch", status="ok")
    answer(request, found.take)
    assert found.imported is not None
    assert found.imported.notes == ("sin: known",)
    methods = found.derivatives
    assert methods["forward"].status == "failed"
    assert methods["forward"].reason == "RuntimeError: no such"
    assert "float32, not in float64" in (methods["reverse"].reason or "")
    assert methods["symbolic"].values == tuple(np.cos([1.0, 2.0]).tolist())
    second: list[WorkerWord] = []
    answer(request.model_copy(update={"order": 2}), second.append)
    assert ("forward", "n/a") in [
        (said.method, said.status) for said in second if isinstance(said, Derived)
    ]
    capsys.readouterr()
    monkeypatch.setattr(study, "derive", lambda request, folder, **_: found)
    assert call(["gradcheck", "sin(x)", "--at=1,2", "-b", "torch", "--plot", "none", "-q"]) == 3
    out = capsys.readouterr().out
    assert "forward mode: RuntimeError: no such" in out
    assert "failed" in out


def test_a_request_comes_back_bit_by_bit(tmp_path: Path) -> None:
    for dtype in ("float32", "float64"):
        exact = solve_exactly("gelu(x)/3 + 0.1", at="-1:1:7", order=2, dtype=dtype)
        request = study.request(exact, "keras:xla")
        write(tmp_path, request)
        got = read(tmp_path)
        assert got.points.dtype == got.neighbours.dtype == dtype
        assert got.points.tobytes() == request.points.tobytes()
        assert got.neighbours.tobytes() == request.neighbours.tobytes()
        assert (got.function, got.derivative, got.order, got.runtime) == (
            request.function,
            request.derivative,
            2,
            "keras:xla",
        )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["9**9**9"], "exponent"),
        (["__import__('os')"], "no function"),
        (["x", "-b", "torche"], "did you mean 'torch'"),
        (["x", "--at", "1:2"], "--at:1:"),
        (["x", "--order", "3"], "Allowed: 1 or 2"),
        (["x", "--dtype", "float16"], "did you mean 'float64'"),
        (["x", "--plot", "a.gif"], ".png or .svg"),
        (["x", "--plot", "."], "must end"),
        (["tan(x)*sin(2*x)*cos(3*x)*tan(4*x)*sin(5*x)*cos(6*x)*tan(7*x)*sin(8*x)*cos(9*x)*exp(x)*log(x)*erf(2*x)*"
          "sin(11*x)*tan(12*x)*cos(13*x)*sin(14*x)*tan(15*x)*cos(16*x)*erf(3*x)*erf(4*x)", "--order", "2"], "parts"),
    ],
)  # fmt: skip
def test_usage_errors(
    arguments: list[str],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(study, "derive", lambda *_: pytest.fail("a worker was started"))
    assert call(["gradcheck", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert list(tmp_path.iterdir()) == []


# The picture


def is_png(content: bytes) -> bool:
    """A whole PNG: signature, checksums, size, and pixels that are not all alike."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    place, pixels, width, height = 8, b"", 0, 0
    while place < len(content):
        (length,) = struct.unpack(">I", content[place : place + 4])
        kind, body = content[place + 4 : place + 8], content[place + 8 : place + 8 + length]
        assert (
            zlib.crc32(kind + body)
            == struct.unpack(">I", content[place + 8 + length : place + 12 + length])[0]
        )
        if kind == b"IHDR":
            width, height = struct.unpack(">II", body[:8])
        pixels += body if kind == b"IDAT" else b""
        place += 12 + length
    assert kind == b"IEND"
    return (
        width > 1000
        and height > 1000
        and len(content) > 30_000
        and len(set(zlib.decompress(pixels))) > 50
    )


def test_the_picture_is_a_png_where_it_was_asked_for(
    playing: Callable[..., None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    playing()
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "deep" / "a.png"
    assert call(["gradcheck", "tan(x)", "-q", "-b", "torch", "--plot", str(path)]) == 0
    assert is_png(path.read_bytes())
    # a narrow terminal folds long paths
    assert str(path) in "".join(capsys.readouterr().out.split())
    assert call(["gradcheck", "tan(x)", "-q", "-b", "torch", "--output", "here"]) == 0
    assert call(["gradcheck", "tan(x)", "-q", "-b", "torch", "--output", "here"]) == 0
    (found,) = (tmp_path / "here").iterdir()
    assert found.name.startswith("gradcheck-")
    assert is_png(found.read_bytes())
    assert call(["gradcheck", "tan(x)", "-q", "-b", "torch", "--plot", "none"]) == 0
    assert sorted(item.name for item in tmp_path.iterdir()) == ["deep", "here"]


def test_a_picture_that_cannot_be_written_costs_no_figures(
    playing: Callable[..., None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    playing()
    (tmp_path / "file").write_text("")
    picture = str(tmp_path / "file" / "a.png")
    # it has been computed and shown, but not stored
    assert call(["gradcheck", "x", "-q", "-b", "torch", "--plot", picture]) == 3
    captured = capsys.readouterr()
    assert "Largest error" in captured.out
    assert "cannot write" in captured.err


def test_the_picture_says_what_it_shows(playing: Callable[..., None]) -> None:
    playing()
    svg = draw(gradcheck("log(x)*x", at="-1:2:40", runtimes=("torch", "keras")), ".svg").decode()
    for words in (
        "log(x)*x",
        "reverse mode",
        "forward mode",
        "symbolic",
        "central difference",
        "five-point",
        "keras",
    ):
        assert words in svg
    assert "stroke-dasharray" in svg
    assert "NaN" not in svg
    with pytest.raises(ValueError, match="gif"):
        draw(gradcheck("x", runtimes=("torch",)), ".gif")


def test_the_picture_shows_the_figures(playing: Callable[..., None]) -> None:
    playing(only("reverse", set_at(4, 2.0)))
    result = gradcheck("x**2", at="1:9:9", runtimes=("torch",))
    rows = list(every_row(chart(result)))
    curve = {(row["x"], row["y"]) for row in rows if row.get("curve") == "f'(x)"}
    assert curve == {(float(x), 2.0 * x) for x in range(1, 10)}
    reverse = {row["x"]: row["error"] for row in rows if row.get("method") == "reverse mode"}
    assert reverse[5.0] == 10.0
    assert all(error < 1e-9 for x, error in reverse.items() if x != 5.0)


def test_a_curve_is_not_drawn_across_a_pole(playing: Callable[..., None]) -> None:
    playing()
    rows = every_row(chart(gradcheck("1/x", at="-5:5:200", runtimes=("torch",))))
    sides = {(row["part"], row["x"] > 0) for row in rows if row.get("curve") == "f(x)"}
    assert len(sides) == len({part for part, _ in sides}) == 2


def test_many_points_are_thinned_and_keep_their_largest_error(playing: Callable[..., None]) -> None:
    playing(only("reverse", set_at(777, 1.5)))
    result = gradcheck("x + 2", at="1:2:2000", runtimes=("torch",))
    errors = [
        row["error"] for row in every_row(chart(result)) if row.get("method") == "reverse mode"
    ]
    assert len(errors) <= 30
    assert max(errors) == 0.5


def every_row(spec: Any) -> Any:
    """Every data row of a Vega-Lite document."""
    if isinstance(spec, dict):
        if isinstance(spec.get("values"), list):
            yield from (row for row in spec["values"] if isinstance(row, dict))
        for value in spec.values():
            yield from every_row(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from every_row(value)


def test_from_python(playing: Callable[..., None], tmp_path: Path) -> None:
    playing()
    found = nncompare.gradcheck("x**2", "-1:1:5", backends=["torch"])
    assert "2*x" in repr(found)
    assert found.to_dict()["formula"]["derivative"] == "2*x"
    assert is_png(found._repr_png_())
    found.save_plot(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text().startswith("<svg")
