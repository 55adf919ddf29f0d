"""The tables of a run as sheets: learning, time, ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.show import numbers
from nncompare.show.sheet import Column, Sheet, best
from nncompare.studies.run.record import RunRecord

Get = Callable[[TrainedRuntime], float | None]

LOSS = {
    "classification": "softmax cross-entropy in nats",
    "binary": "sigmoid cross-entropy in nats",
    "regression": "mean squared error",
}


_NOISY = 3.0
"""95th percentile over median from which a note says so; a quiet machine stays below 2."""


def task_of(result: RunRecord) -> str:
    return str(result.experiment.get("task", "classification"))


def learning_sheet(result: RunRecord) -> Sheet:
    """Losses and accuracies (regression: MAE and R²) with the final weights.

    None is marked as the best: runtimes that compute the same differ by rounding, which is no
        merit.
    """
    rows, regression = result.runtimes, task_of(result) == "regression"
    columns = [*_status(result), _words("device", rows, lambda row: row.device)]
    columns.append(Column(head="parameters", texts=numbers.count([row.parameters for row in rows])))
    if any(row.final.best_epoch is not None for row in rows):
        columns.append(
            Column(head="best epoch", texts=numbers.count([row.final.best_epoch for row in rows]))
        )
    for part, head in (("train", "train"), ("val", "validation"), ("test", "test")):
        columns.append(_loss(f"{head} loss", rows, f"{part}_loss"))
        if not regression:
            columns.append(_accuracy(f"{head} accuracy", rows, f"{part}_accuracy"))
    if regression:
        columns.append(_loss("test MAE", rows, "test_mae"))
        columns.append(_loss("test R²", rows, "test_r2"))
    sheet = Sheet(title="Learning", labels=_labels(rows), columns=tuple(columns))
    notes = [
        f"Loss: {LOSS.get(task_of(result), 'as trained')}; all with the final weights, in inference"
        " mode."
    ]
    if any(row.final.best_epoch is not None for row in rows):
        notes[0] = notes[0].replace(
            "final weights", "weights of the best epoch, restored by early stopping"
        )
    return _with_notes(sheet, result, notes)


def time_sheet(result: RunRecord) -> Sheet:
    """Where the time went, one unit a column; nothing is ranked between runtimes that do not
    compute the same.
    """
    rows, relative = result.runtimes, result.comparison.relative
    steps = [row.timing.step_s for row in rows]
    ratios = [relative.get(row.runtime) if row.status == "ok" else None for row in rows]
    columns = (
        *_status(result),
        _seconds("import", rows, lambda row: row.timing.import_s),
        _seconds("build", rows, lambda row: row.timing.build_s),
        _seconds("first step", rows, lambda row: row.timing.first_step_s),
        *_step_columns(rows),
        Column(
            head="relative",
            texts=tuple(None if ratio is None else f"{ratio:.2f}" for ratio in ratios),
        ),
        _formatted("samples", numbers.rate([row.timing.samples_per_s for row in rows])),
        _seconds("train", rows, lambda row: row.timing.train_s),
        _seconds("evaluate", rows, lambda row: row.timing.evaluate_s),
        _seconds("total", rows, lambda row: row.timing.total_s, mark=True),
        Column(
            head="GFLOP/s",
            unit="est.",
            texts=numbers.plain([row.work.gflops_per_s for row in rows]),
        ),
        _peak(rows),
    )
    comparable = result.parity.status != "failed"
    if not comparable:
        columns = tuple(
            replace(column, best=frozenset()) for column in columns if column.head != "relative"
        )
    sheet = Sheet(title="Time", labels=_labels(rows), columns=columns)
    counts = [f"{row.runtime} {step.n}" for row, step in zip(rows, steps, strict=True) if step]
    notes = ["Train: all steps, the first one included."]
    if comparable:
        notes = [f"Relative: median step over the fastest's, 1.00 = fastest. {notes[0]}"]
    else:
        notes.insert(0, "Nothing is ranked: the runtimes do not compute the same function.")
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
    return _with_notes(sheet, result, notes)


def _step_columns(rows: Sequence[TrainedRuntime]) -> list[Column]:
    """Median and 95th percentile in one unit, so that they can be read against each other."""
    medians = [row.timing.step_s.median if row.timing.step_s else None for row in rows]
    tails = [row.timing.step_s.p95 if row.timing.step_s else None for row in rows]
    both = numbers.seconds([*medians, *tails])
    texts, tail_texts = both.texts[: len(rows)], both.texts[len(rows) :]
    marked = best(texts, _of_finished(rows, medians))
    return [
        Column(head="step median", unit=both.unit, texts=texts, best=marked),
        Column(head="step p95", unit=both.unit, texts=tail_texts),
    ]


def _peak(rows: Sequence[TrainedRuntime]) -> Column:
    column = _formatted("peak memory", numbers.memory([row.memory.peak_bytes for row in rows]))
    sources = {
        row.memory.source
        for row in rows
        if row.status == "ok" and row.memory.peak_bytes is not None
    }
    if len(sources) != 1:  # resident sets and device counts cannot be ranked together
        return column
    peaks = _of_finished(rows, [row.memory.peak_bytes for row in rows])
    return Column(
        head=column.head, unit=column.unit, texts=column.texts, best=best(column.texts, peaks)
    )


def _noise_note(rows: Sequence[TrainedRuntime]) -> list[str]:
    """Whose slow steps are far from its median: something else used the machine."""
    ratios = {
        row.runtime: row.timing.step_s.p95 / row.timing.step_s.median
        for row in rows
        if row.timing.step_s
    }
    noisy = [f"{runtime} {ratio:.1f} times" for runtime, ratio in ratios.items() if ratio >= _NOISY]
    return (
        [f"Noisy: p95 over median is {', '.join(noisy)}; repeat this on a quiet machine."]
        if noisy
        else []
    )


def _memory_note(rows: Sequence[TrainedRuntime]) -> list[str]:
    words = {
        "process": "largest resident set of the process, framework included",
        "device": "the framework's count",
    }
    measured = [row for row in rows if row.memory.peak_bytes is not None]
    sources = dict.fromkeys(row.memory.source or "process" for row in measured)
    if not sources:
        return []
    if len(sources) == 1:
        source = next(iter(sources))
        return [f"Peak memory: {words.get(source, source)}."]
    parts = (
        f"{row.runtime}: {words.get(row.memory.source or 'process', row.memory.source)}"
        for row in measured
    )
    return [f"Peak memory: {'; '.join(parts)}."]


def _with_notes(sheet: Sheet, result: RunRecord, notes: list[str]) -> Sheet:
    """Adds what the mark means and why figures are missing."""
    marked = ["* best; equal figures share it."] if sheet.marked else []
    absent = [row for row in result.runtimes if row.status != "ok"]
    silent: dict[str, list[str]] = {}
    for column in sheet.columns:
        for row, text in zip(result.runtimes, column.texts, strict=True):
            if text is None and row.status == "ok" and not _follows_from_step(column, row):
                silent.setdefault(column.head, []).append(row.runtime)
    notes = [
        *notes,
        *(f"n/a {head}: not reported by {', '.join(names)}." for head, names in silent.items()),
    ]
    if absent:
        names = ", ".join(f"{row.runtime} ({row.status})" for row in absent)
        notes.append(f'n/a: {names}; the reason stands under "Did not finish".')
    return Sheet(
        title=sheet.title, labels=sheet.labels, columns=sheet.columns, notes=(*marked, *notes)
    )


def _follows_from_step(column: Column, row: TrainedRuntime) -> bool:
    """Figures that a row without a step time cannot have; one note tells of all."""
    return row.timing.step_s is None and column.head in (
        "step median",
        "step p95",
        "relative",
        "samples",
        "GFLOP/s",
    )


def _labels(rows: Sequence[TrainedRuntime]) -> tuple[str, ...]:
    return tuple(row.runtime for row in rows)


def _status(result: RunRecord) -> list[Column]:
    """The status, unless all is well."""
    return [] if result.complete else [_words("status", result.runtimes, lambda row: row.status)]


def _words(
    head: str, rows: Sequence[TrainedRuntime], get: Callable[[TrainedRuntime], str | None]
) -> Column:
    return Column(head=head, texts=tuple(get(row) for row in rows), number=False)


def _formatted(head: str, formatted: numbers.Formatted) -> Column:
    return Column(head=head, unit=formatted.unit, texts=formatted.texts)


def _seconds(head: str, rows: Sequence[TrainedRuntime], get: Get, *, mark: bool = False) -> Column:
    values = [get(row) for row in rows]
    formatted = numbers.seconds(values)
    marked = best(formatted.texts, _of_finished(rows, values)) if mark else frozenset[int]()
    return Column(head=head, unit=formatted.unit, texts=formatted.texts, best=marked)


def _loss(head: str, rows: Sequence[TrainedRuntime], name: str) -> Column:
    return Column(head=head, texts=numbers.plain([getattr(row.final, name) for row in rows]))


def _accuracy(head: str, rows: Sequence[TrainedRuntime], name: str) -> Column:
    return _formatted(head, numbers.percent([getattr(row.final, name) for row in rows]))


def _of_finished(
    rows: Sequence[TrainedRuntime], values: Sequence[float | None]
) -> list[float | None]:
    """Only a runtime that finished can be the best."""
    return [value if row.status == "ok" else None for row, value in zip(rows, values, strict=True)]
