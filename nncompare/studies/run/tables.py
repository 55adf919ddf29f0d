"""The tables of a run as sheets: learning, time, ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from nncompare.records.trained_runtime import TrainedRuntime
from nncompare.show import numbers
from nncompare.show.sheet import Column, Sheet, best
from nncompare.studies.run.record import RunRecord

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


def learning_sheet(result: RunRecord) -> Sheet:
    """Losses and accuracies (regression: MAE and R²) with the final weights.

    None is marked as the best: runtimes that compute the same differ by rounding, which is no
    merit.
    """
    rows = result.runtimes
    task = str(result.experiment.get("task", "classification"))
    best_epochs = [row.final.best_epoch for row in rows]
    devices = tuple(row.device for row in rows)
    parameters = numbers.count([row.parameters for row in rows])
    columns = [
        *_status(result),
        Column(head="device", texts=devices, number=False),
        Column(head="parameters", texts=parameters),
    ]
    weights = "final weights"
    # without early stopping the weights are those of the last epoch
    if any(epoch is not None for epoch in best_epochs):
        columns.append(Column(head="best epoch", texts=numbers.count(best_epochs)))
        weights = "weights of the best epoch, restored by early stopping"
    for part, head in (("train", "train"), ("val", "validation"), ("test", "test")):
        losses = _final(rows, f"{part}_loss")
        columns.append(_plain(f"{head} loss", losses))
        # a regression has no accuracies
        if task != "regression":
            accuracies = _final(rows, f"{part}_accuracy")
            columns.append(_formatted(f"{head} accuracy", numbers.percent(accuracies)))
    # in their place, of the part that no training has seen
    if task == "regression":
        columns.append(_plain("test MAE", _final(rows, "test_mae")))
        columns.append(_plain("test R²", _final(rows, "test_r2")))
    note = f"Loss: {LOSS.get(task, 'as trained')}; all with the {weights}, in inference mode."
    return _sheet("Learning", result, columns, [note])


def time_sheet(result: RunRecord) -> Sheet:
    """Where the time went, one unit a column; nothing is ranked between runtimes that do not
    compute the same.
    """
    rows = result.runtimes
    totals = [row.timing.total_s for row in rows]
    columns = [
        *_status(result),
        _seconds("import", rows, "import_s"),
        _seconds("build", rows, "build_s"),
        _seconds("first step", rows, "first_step_s"),
        *_step_columns(rows),
        _relative(result),
        _formatted("samples", numbers.rate([row.timing.samples_per_s for row in rows])),
        _seconds("train", rows, "train_s"),
        _seconds("evaluate", rows, "evaluate_s"),
        _marked(_seconds("total", rows, "total_s"), rows, totals),
        _plain("GFLOP/s", [row.work.gflops_per_s for row in rows], unit="est."),
        _peak(rows),
    ]
    # other functions have no common clock
    if result.parity.status == "failed":
        columns = [
            replace(column, best=frozenset()) for column in columns if column.head != "relative"
        ]
    return _sheet("Time", result, columns, _time_notes(result))


def _time_notes(result: RunRecord) -> list[str]:
    """What the figures of the time sheet mean."""
    rows = result.runtimes
    train = "Train: all steps, the first one included."
    if result.parity.status == "failed":
        notes = ["Nothing is ranked: the runtimes do not compute the same function.", train]
    else:
        notes = [f"Relative: median step over the fastest's, 1.00 = fastest. {train}"]
    # a median of three slices bears less than one of forty
    counts = [f"{row.runtime} {row.timing.step_s.n}" for row in rows if row.timing.step_s]
    if counts:
        notes.append(f"Step: mean step of each slice after warm-up; slices: {', '.join(counts)}.")
        notes.append(
            "Samples: over all of these slices together, slow ones included, so not batch size over"
            " median."
        )
    notes += [*_noise_note(rows), *_memory_note(rows)]
    # a row that did not finish has a reason of its own
    if any(row.status == "ok" and row.timing.step_s is None for row in rows):
        notes.append(
            "n/a step times: training ended before the first slice after warm-up; more epochs give"
            " one."
        )
    return notes


def _step_columns(rows: Sequence[TrainedRuntime]) -> list[Column]:
    """Median and 95th percentile in one unit, so that they can be read against each other."""
    steps = [row.timing.step_s for row in rows]
    medians = [step.median if step else None for step in steps]
    tails = [step.p95 if step else None for step in steps]
    both = numbers.seconds([*medians, *tails])
    median_texts = both.texts[: len(rows)]
    tail_texts = both.texts[len(rows) :]
    median = Column(head="step median", unit=both.unit, texts=median_texts)
    tail = Column(head="step p95", unit=both.unit, texts=tail_texts)
    return [_marked(median, rows, medians), tail]


def _relative(result: RunRecord) -> Column:
    texts = []
    for row in result.runtimes:
        # the time of a training that broke off is no time of it
        ratio = result.comparison.relative.get(row.runtime) if row.status == "ok" else None
        texts.append(None if ratio is None else f"{ratio:.2f}")
    return Column(head="relative", texts=tuple(texts))


def _peak(rows: Sequence[TrainedRuntime]) -> Column:
    peaks = [row.memory.peak_bytes for row in rows]
    column = _formatted("peak memory", numbers.memory(peaks))
    # a runtime that failed is never the best, so its kind of memory does not matter
    sources = {
        row.memory.source
        for row in rows
        if row.status == "ok" and row.memory.peak_bytes is not None
    }
    # resident sets and device counts cannot be ranked together
    return _marked(column, rows, peaks) if len(sources) == 1 else column


def _noise_note(rows: Sequence[TrainedRuntime]) -> list[str]:
    """Whose slow steps are far from its median: something else used the machine."""
    noisy = []
    for row in rows:
        step = row.timing.step_s
        if step is None:
            continue
        spread = step.p95 / step.median
        if spread >= _NOISY:
            noisy.append(f"{row.runtime} {spread:.1f} times")
    # a quiet machine is what a reader expects
    if not noisy:
        return []
    return [f"Noisy: p95 over median is {', '.join(noisy)}; repeat this on a quiet machine."]


def _memory_note(rows: Sequence[TrainedRuntime]) -> list[str]:
    """What was measured as memory, and of whom if that differs."""
    words = {
        row.runtime: _PEAK_SOURCES[row.memory.source or "process"]
        for row in rows
        if row.memory.peak_bytes is not None
    }
    if not words:
        return []
    kinds = set(words.values())
    # a resident set holds the framework too, a device's count does not: each is named
    if len(kinds) > 1:
        kinds = {"; ".join(f"{name}: {text}" for name, text in words.items())}
    return [f"Peak memory: {kinds.pop()}."]


def _sheet(title: str, result: RunRecord, columns: Sequence[Column], notes: Sequence[str]) -> Sheet:
    """The sheet with notes on what the mark means and why figures are missing."""
    # a table without a mark needs no word about it
    marked = any(column.best for column in columns)
    texts = ["* best; equal figures share it."] if marked else []
    texts += notes
    for column in columns:
        # a finished runtime without a figure would look like a fault of the table
        silent = ", ".join(_silent(column, result))
        if silent:
            texts.append(f"n/a {column.head}: not reported by {silent}.")
    # one note for all gaps of these rows
    if result.absent:
        names = ", ".join(f"{row.runtime} ({row.status})" for row in result.absent)
        texts.append(f'n/a: {names}; the reason stands under "Did not finish".')
    return Sheet(
        title=title,
        labels=tuple(row.runtime for row in result.runtimes),
        columns=tuple(columns),
        notes=tuple(texts),
    )


def _silent(column: Column, result: RunRecord) -> Iterator[str]:
    """The finished runtimes that lack its figure. What follows from a missing step time is left
    out: one note tells of all that.
    """
    for row, text in zip(result.runtimes, column.texts, strict=True):
        follows = row.timing.step_s is None and column.head in _FOLLOWS_FROM_STEP
        if text is None and row.status == "ok" and not follows:
            yield row.runtime


def _status(result: RunRecord) -> list[Column]:
    """The status, unless all is well."""
    # a column that says "ok" in every row says nothing
    if result.complete:
        return []
    words = tuple(row.status for row in result.runtimes)
    return [Column(head="status", texts=words, number=False)]


def _final(rows: Sequence[TrainedRuntime], name: str) -> list[float | None]:
    """One of the final metrics."""
    return [getattr(row.final, name) for row in rows]


def _plain(head: str, values: numbers.Values, unit: str = "") -> Column:
    return Column(head=head, unit=unit, texts=numbers.plain(values))


def _seconds(head: str, rows: Sequence[TrainedRuntime], name: str) -> Column:
    """A column of one of the times."""
    values = [getattr(row.timing, name) for row in rows]
    return _formatted(head, numbers.seconds(values))


def _formatted(head: str, formatted: numbers.Formatted) -> Column:
    return Column(head=head, unit=formatted.unit, texts=formatted.texts)


def _marked(column: Column, rows: Sequence[TrainedRuntime], values: numbers.Values) -> Column:
    """The column with its smallest value marked; only a runtime that finished can have it."""
    finished = [
        value if row.status == "ok" else None for row, value in zip(rows, values, strict=True)
    ]
    return replace(column, best=best(column.texts, finished))
