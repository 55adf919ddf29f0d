"""The tables of a run as sheets: learning, time, ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.show import numbers
from nncompare.show.sheet import Column, Sheet, best
from nncompare.studies.run.record import RunRecord

Figure = Callable[[TrainedRuntime], float | None]
"""A figure of a row."""

LOSS = {
    "classification": "softmax cross-entropy in nats",
    "binary": "sigmoid cross-entropy in nats",
    "regression": "mean squared error",
}
"""Task -> the loss that is trained."""

_NOISY = 3.0
"""95th percentile over median from which a note says so; a quiet machine stays below 2."""
_FOLLOWS_FROM_STEP = ("step median", "step p95", "relative", "samples", "GFLOP/s")
"""Columns that a row without a step time cannot have."""
_PEAK_SOURCES = {
    "process": "largest resident set of the process, framework included",
    "device": "the framework's count",
}


def task_of(result: RunRecord) -> str:
    """The task of the experiment."""
    return str(result.experiment.get("task", "classification"))


def learning_sheet(result: RunRecord) -> Sheet:
    """Losses and accuracies (regression: MAE and R²) with the final weights.

    None is marked as the best: runtimes that compute the same differ by rounding, which is no
    merit.
    """
    rows = result.runtimes
    regression = task_of(result) == "regression"
    early_stopping = any(row.final.best_epoch is not None for row in rows)
    columns = [*_status(result), _words("device", rows, lambda row: row.device)]
    columns.append(Column(head="parameters", texts=numbers.count([row.parameters for row in rows])))
    if early_stopping:
        best_epochs = [row.final.best_epoch for row in rows]
        columns.append(Column(head="best epoch", texts=numbers.count(best_epochs)))
    for part, head in (("train", "train"), ("val", "validation"), ("test", "test")):
        columns.append(_final(f"{head} loss", rows, f"{part}_loss"))
        if not regression:
            columns.append(_accuracy(f"{head} accuracy", rows, f"{part}_accuracy"))
    if regression:
        columns.append(_final("test MAE", rows, "test_mae"))
        columns.append(_final("test R²", rows, "test_r2"))
    loss = LOSS.get(task_of(result), "as trained")
    weights = "final weights"
    if early_stopping:
        weights = "weights of the best epoch, restored by early stopping"
    note = f"Loss: {loss}; all with the {weights}, in inference mode."
    sheet = Sheet(title="Learning", labels=_labels(rows), columns=tuple(columns))
    return _with_notes(sheet, result, [note])


def time_sheet(result: RunRecord) -> Sheet:
    """Where the time went, one unit a column; nothing is ranked between runtimes that do not
    compute the same.
    """
    rows = result.runtimes
    columns = (
        *_status(result),
        _seconds("import", rows, lambda row: row.timing.import_s),
        _seconds("build", rows, lambda row: row.timing.build_s),
        _seconds("first step", rows, lambda row: row.timing.first_step_s),
        *_step_columns(rows),
        _relative(result),
        _formatted("samples", numbers.rate([row.timing.samples_per_s for row in rows])),
        _seconds("train", rows, lambda row: row.timing.train_s),
        _seconds("evaluate", rows, lambda row: row.timing.evaluate_s),
        _seconds("total", rows, lambda row: row.timing.total_s, mark=True),
        _gflops(rows),
        _peak(rows),
    )
    if result.parity.status == "failed":
        # other functions have no common clock
        columns = tuple(
            replace(column, best=frozenset()) for column in columns if column.head != "relative"
        )
    sheet = Sheet(title="Time", labels=_labels(rows), columns=columns)
    return _with_notes(sheet, result, _time_notes(result))


def _time_notes(result: RunRecord) -> list[str]:
    """What the figures of the time sheet mean."""
    rows = result.runtimes
    train = "Train: all steps, the first one included."
    if result.parity.status == "failed":
        notes = ["Nothing is ranked: the runtimes do not compute the same function.", train]
    else:
        notes = [f"Relative: median step over the fastest's, 1.00 = fastest. {train}"]
    counts = [f"{row.runtime} {row.timing.step_s.n}" for row in rows if row.timing.step_s]
    if counts:
        notes.append(f"Step: mean step of each slice after warm-up; slices: {', '.join(counts)}.")
        notes.append(
            "Samples: over all of these slices together, slow ones included, so not batch size over"
            " median."
        )
    notes += [*_noise_note(rows), *_memory_note(rows)]
    if any(row.status == "ok" and row.timing.step_s is None for row in rows):
        notes.append(
            "n/a step times: training ended before the first slice after warm-up; more epochs give"
            " one."
        )
    return notes


def _step_columns(rows: Sequence[TrainedRuntime]) -> list[Column]:
    """Median and 95th percentile in one unit, so that they can be read against each other."""
    medians = [row.timing.step_s.median if row.timing.step_s else None for row in rows]
    tails = [row.timing.step_s.p95 if row.timing.step_s else None for row in rows]
    both = numbers.seconds([*medians, *tails])
    median_texts = both.texts[: len(rows)]
    tail_texts = both.texts[len(rows) :]
    marked = best(median_texts, _of_finished(rows, medians))
    return [
        Column(head="step median", unit=both.unit, texts=median_texts, best=marked),
        Column(head="step p95", unit=both.unit, texts=tail_texts),
    ]


def _relative(result: RunRecord) -> Column:
    texts: list[str | None] = []
    for row in result.runtimes:
        ratio = result.comparison.relative.get(row.runtime) if row.status == "ok" else None
        texts.append(None if ratio is None else f"{ratio:.2f}")
    return Column(head="relative", texts=tuple(texts))


def _gflops(rows: Sequence[TrainedRuntime]) -> Column:
    texts = numbers.plain([row.work.gflops_per_s for row in rows])
    return Column(head="GFLOP/s", unit="est.", texts=texts)


def _peak(rows: Sequence[TrainedRuntime]) -> Column:
    column = _formatted("peak memory", numbers.memory([row.memory.peak_bytes for row in rows]))
    sources = {
        row.memory.source
        for row in rows
        if row.status == "ok" and row.memory.peak_bytes is not None
    }
    # resident sets and device counts cannot be ranked together
    if len(sources) != 1:
        return column
    peaks = _of_finished(rows, [row.memory.peak_bytes for row in rows])
    return replace(column, best=best(column.texts, peaks))


def _noise_note(rows: Sequence[TrainedRuntime]) -> list[str]:
    """Whose slow steps are far from its median: something else used the machine."""
    noisy = []
    for row in rows:
        step = row.timing.step_s
        if step is not None and step.p95 / step.median >= _NOISY:
            noisy.append(f"{row.runtime} {step.p95 / step.median:.1f} times")
    if not noisy:
        return []
    return [f"Noisy: p95 over median is {', '.join(noisy)}; repeat this on a quiet machine."]


def _memory_note(rows: Sequence[TrainedRuntime]) -> list[str]:
    """What was measured as memory, and of whom if that differs."""
    source_of = {
        row.runtime: row.memory.source or "process"
        for row in rows
        if row.memory.peak_bytes is not None
    }
    if not source_of:
        return []
    words = {runtime: _PEAK_SOURCES.get(source, source) for runtime, source in source_of.items()}
    if len(set(source_of.values())) == 1:
        return [f"Peak memory: {next(iter(words.values()))}."]
    return [f"Peak memory: {'; '.join(f'{name}: {text}' for name, text in words.items())}."]


def _with_notes(sheet: Sheet, result: RunRecord, notes: Sequence[str]) -> Sheet:
    """Adds what the mark means and why figures are missing."""
    marked = ["* best; equal figures share it."] if sheet.marked else []
    silent = [
        f"n/a {head}: not reported by {', '.join(names)}."
        for head, names in _not_reported(sheet, result).items()
    ]
    absent = [f"{row.runtime} ({row.status})" for row in result.runtimes if row.status != "ok"]
    reason = (
        [f'n/a: {", ".join(absent)}; the reason stands under "Did not finish".'] if absent else []
    )
    return replace(sheet, notes=(*marked, *notes, *silent, *reason))


def _not_reported(sheet: Sheet, result: RunRecord) -> dict[str, list[str]]:
    """Column -> the finished runtimes that lack its figure. What follows from a missing step time
    is left out: one note tells of all that.
    """
    silent: dict[str, list[str]] = {}
    for column in sheet.columns:
        for row, text in zip(result.runtimes, column.texts, strict=True):
            follows = row.timing.step_s is None and column.head in _FOLLOWS_FROM_STEP
            if text is None and row.status == "ok" and not follows:
                silent.setdefault(column.head, []).append(row.runtime)
    return silent


def _labels(rows: Sequence[TrainedRuntime]) -> tuple[str, ...]:
    return tuple(row.runtime for row in rows)


def _status(result: RunRecord) -> list[Column]:
    """The status, unless all is well."""
    return [] if result.complete else [_words("status", result.runtimes, lambda row: row.status)]


def _words(
    head: str, rows: Sequence[TrainedRuntime], text: Callable[[TrainedRuntime], str | None]
) -> Column:
    return Column(head=head, texts=tuple(text(row) for row in rows), number=False)


def _formatted(head: str, formatted: numbers.Formatted) -> Column:
    return Column(head=head, unit=formatted.unit, texts=formatted.texts)


def _seconds(
    head: str, rows: Sequence[TrainedRuntime], figure: Figure, *, mark: bool = False
) -> Column:
    """A column of durations; ``mark``: the shortest is marked as the best."""
    values = [figure(row) for row in rows]
    formatted = numbers.seconds(values)
    marked = best(formatted.texts, _of_finished(rows, values)) if mark else frozenset[int]()
    return Column(head=head, unit=formatted.unit, texts=formatted.texts, best=marked)


def _final(head: str, rows: Sequence[TrainedRuntime], name: str) -> Column:
    """A column of one of the final metrics."""
    return Column(head=head, texts=numbers.plain([getattr(row.final, name) for row in rows]))


def _accuracy(head: str, rows: Sequence[TrainedRuntime], name: str) -> Column:
    return _formatted(head, numbers.percent([getattr(row.final, name) for row in rows]))


def _of_finished(
    rows: Sequence[TrainedRuntime], values: Sequence[float | None]
) -> list[float | None]:
    """Only a runtime that finished can be the best."""
    return [value if row.status == "ok" else None for row, value in zip(rows, values, strict=True)]
