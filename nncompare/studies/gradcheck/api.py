"""``nncompare.gradcheck``: derivatives from Python."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from pathlib import Path

from rich.console import RenderableType

from nncompare.show.result import Result
from nncompare.spec.runtimes import DEFAULT_RUNTIMES
from nncompare.studies.gradcheck import study
from nncompare.studies.gradcheck.record import GradcheckRecord
from nncompare.studies.gradcheck.report import gradcheck_report
from nncompare.studies.gradcheck.study import DEFAULT_AT
from nncompare.terminal.console import err
from nncompare.terminal.progress import is_shown, say_asking
from nncompare.terminal.signals import ended_like_ctrl_c


class Gradcheck(Result[GradcheckRecord]):
    """A finished gradcheck; in a notebook its picture stands under its tables."""

    def report(self) -> RenderableType:
        return gradcheck_report(self.record)

    def save_plot(self, path: str | Path) -> None:
        """Draws the picture, as ``.png`` or ``.svg``.

        Raises:
            StoreError: it cannot be written.
            ValueError: another ending.
        """
        from nncompare.records.atomic import write_bytes
        from nncompare.studies.gradcheck.plot import draw

        write_bytes(Path(path), draw(self.record, Path(path).suffix))

    def _repr_html_(self) -> str:
        picture = b64encode(self._repr_png_()).decode()
        return f'{super()._repr_html_()}<img alt="" src="data:image/png;base64,{picture}">'

    def _repr_png_(self) -> bytes:
        from nncompare.studies.gradcheck.plot import draw

        return draw(self.record)


def gradcheck(
    formula: str,
    at: str = DEFAULT_AT,
    *,
    order: int = 1,
    dtype: str = "float64",
    backends: Sequence[str] = DEFAULT_RUNTIMES,
    progress: bool = True,
) -> Gradcheck:
    """Differentiates a formula in every framework by every method, against the exact derivative.

    Args:
        formula: of ``x``, for example ``"x**3 + 2*x**2"``.
        at: ``"START:STOP:COUNT"``, or points with commas.
        order: of the derivative, 1 or 2.
        dtype: ``float64`` or ``float32``.
        backends: runtimes.
        progress: show on stderr how it goes, where that is a terminal or a notebook.

    Raises:
        UsageError: the formula or another argument is not allowed; the message shows the place.
    """
    shown = is_shown(progress)

    def asking(runtime: str) -> None:
        if shown:
            say_asking(err(), runtime)

    with ended_like_ctrl_c():
        record = study.gradcheck(
            formula, at=at, order=order, dtype=dtype, runtimes=backends, asking=asking
        )
    return Gradcheck(record)
