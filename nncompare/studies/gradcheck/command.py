"""``nncompare gradcheck``: derivatives of a formula in every framework, by every method."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from nncompare.terminal import options
from nncompare.terminal.completion import words

if TYPE_CHECKING:
    from nncompare.errors import StoreError
    from nncompare.studies.gradcheck.record import GradcheckRecord

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# -x**2, -5:5:100: not an option.
_STARTS_WITH_MINUS = re.compile(r"-\s*(?:[\d.(]|x(?!\w)|[A-Za-z]\w*\s*[-+*/(]|(?:pi|e)$)")
_NO_PLOT = "none"

Output = Annotated[Path, typer.Option("--output", metavar="DIR", help="Where the picture is put.")]
Plot = Annotated[
    str | None,
    typer.Option(
        "--plot",
        metavar="FILE",
        help="The picture, .png or .svg; none: no picture. [default: DIR/gradcheck-….png]",
        show_default=False,
    ),
]


class _Command(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """A formula may begin with a minus; a blank before it keeps it from being taken for an
        option.
        """
        return super().parse_args(
            ctx, [f" {arg}" if _STARTS_WITH_MINUS.match(arg) else arg for arg in args]
        )


@app.command("gradcheck", cls=_Command)
def gradcheck(
    formula: Annotated[
        str,
        typer.Argument(metavar="FORMULA", help='Of x, e.g. "x**3 + 2*x**2".', show_default=False),
    ],
    at: Annotated[
        str, typer.Option("--at", metavar="POINTS", help="START:STOP:COUNT, or points with commas.")
    ] = "-5:5:100",
    order: Annotated[
        int,
        typer.Option(
            "--order",
            metavar="N",
            help="First or second derivative.",
            autocompletion=words("1", "2"),
        ),
    ] = 1,
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype",
            metavar="NAME",
            help="float64 or float32.",
            autocompletion=words("float64", "float32"),
        ),
    ] = "float64",
    backend: options.Backends = None,
    output: Output = Path("results"),
    plot: Plot = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Differentiate a formula in every framework, by every method.

    Reverse mode, forward mode, symbolic and finite differences, each against the exact derivative:
    a table of the largest errors and a picture. Exit code 1 if one differs by more than rounding, 3
    if some runtime did not finish.
    """
    from nncompare.records.finished import Finished
    from nncompare.studies.gradcheck.report import gradcheck_report
    from nncompare.studies.gradcheck.study import check_runtimes
    from nncompare.studies.gradcheck.study import gradcheck as study
    from nncompare.terminal.console import err
    from nncompare.terminal.ending import leave, print_finished
    from nncompare.terminal.progress import say_asking
    from nncompare.terminal.signals import ended_like_ctrl_c, held

    runtimes = check_runtimes([name for item in backend or () for name in item.split(",")])
    # the same question has the same file
    question = repr((formula.strip(), at.strip(), order, dtype, runtimes))
    picture = _picture(question, output, plot)
    console = err()

    def asking(runtime: str) -> None:
        if not quiet:
            say_asking(console, runtime)

    # up to the last line: derivatives that have been found are shown whatever comes
    with ended_like_ctrl_c(), held():
        result = study(
            formula, at=at.strip(), order=order, dtype=dtype, runtimes=runtimes, asking=asking
        )
        # before the tables, which say where it is
        result, problem = _draw(result, picture) if picture is not None else (result, None)
        finished = Finished(record=result, problem=problem)
        print_finished(finished, gradcheck_report(result), as_json=as_json)
    # a method that could not be judged is worse news than one that was judged and found wanting
    leave(finished, negative=result.complete and not result.passed)


def _picture(question: str, output: Path, plot: str | None) -> Path | None:
    """The picture's file; None: none is wanted.

    Raises:
        UsageError: the ending is of another format, or it is a folder.
    """
    import hashlib

    from nncompare.errors import UsageError
    from nncompare.studies.gradcheck.plot import FORMATS

    if plot == _NO_PLOT:
        return None
    digest = hashlib.sha256(question.encode()).hexdigest()
    path = Path(plot) if plot else output / f"gradcheck-{digest[:8]}.png"
    # Said before any framework is asked, not after minutes.
    if path.suffix.lower() not in FORMATS:
        raise UsageError(
            f"--plot {plot}: the name must end with {' or '.join(FORMATS)}, or be {_NO_PLOT!r}"
        )
    if path.is_dir():
        raise UsageError(f"--plot {plot}: this is a folder; name a file")
    return path


def _draw(result: GradcheckRecord, path: Path) -> tuple[GradcheckRecord, StoreError | None]:
    """The result with its picture; or without it and the reason, since the figures are worth
    printing all the same.
    """
    from nncompare.errors import StoreError
    from nncompare.records.atomic import explained, write_bytes
    from nncompare.studies.gradcheck.plot import draw

    content = draw(result, path.suffix.lower())
    try:
        with explained(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, content)
    except StoreError as error:
        return result, error
    return result.model_copy(update={"plot": str(path)}), None
