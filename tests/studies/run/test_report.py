"""The reports: what must stand in them, whatever the layout."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree
from pathlib import Path

import pytest
from rich.console import Console

from nncompare.records.rows import not_started
from nncompare.show.page import fragment, plain
from nncompare.show.sheet import best
from nncompare.show.words import printable
from nncompare.studies.run.record import Comparison, RunRecord
from nncompare.studies.run.report import run_report
from nncompare.studies.verify.record import Parity, ParityFinding
from tests.fixtures.results import examples


def to_text(record: RunRecord, width: int = 100) -> str:
    return plain(run_report(record), width)


def to_html(record: RunRecord) -> str:
    return fragment(run_report(record))


WIDTHS = (40, 60, 80, 100, 120, 160)


def flat(text: str) -> str:
    """Lines joined, so that a sentence may wrap anywhere."""
    return " ".join(text.split())


def cells(text: str, label: str) -> list[str]:
    """The cells of the first line that begins with a label."""
    line = next(line for line in text.splitlines() if line.startswith(label))
    return re.split(r"\s{2,}", line[len(label) :].replace(" *", "*").strip())


class TestEverywhere:
    @pytest.mark.parametrize("width", WIDTHS)
    @pytest.mark.parametrize("example", examples.ALL.values(), ids=examples.ALL)
    def test_fits_and_is_never_cut(self, example, width):
        text = to_text(example(), width)
        assert max(map(len, text.splitlines())) <= width
        assert "…" not in text
        assert "\x1b" not in text
        assert not re.search(r"\b(nan|inf|None)\b", text.replace("loss is nan", ""))

    @pytest.mark.parametrize("width", [80, 120])
    @pytest.mark.parametrize("name", ["all_ok", "long_names", "early_stopping"])
    def test_every_figure_is_there_in_full(self, name, width):
        result = examples.ALL[name]()
        text = to_text(result, width)
        for row in result.runtimes:
            assert row.runtime in text
        for figure in ("203,530", "0.06123", "0.412 *", "0.457", "1.021", "310.5", "2.48", "97.61"):
            assert figure in text, figure

    def test_a_terminal_gets_bold_and_a_mark(self):
        buffer = io.StringIO()
        Console(file=buffer, width=120, force_terminal=True, color_system="standard").print(
            run_report(examples.all_ok())
        )
        assert "\x1b[1m" in buffer.getvalue()
        assert re.search(r"0\.412 \*", buffer.getvalue())

    def test_other_encodings_get_plain_characters(self):
        stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", errors="strict")
        Console(file=stream, width=100).print(run_report(examples.one_epoch()))
        Console(file=stream, width=100).print(run_report(examples.all_ok()))
        stream.flush()
        assert "ooo" in stream.buffer.getvalue().decode("latin-1")


class TestHeadline:
    def test_says_who_was_fastest_and_by_how_much_and_that_it_is_no_verdict(self):
        text = flat(to_text(examples.all_ok(), 80))
        assert (
            "Fastest: torch, 0.4123 ms a step (median); tensorflow takes 1.11 times as long, keras"
            " 2.48 times." in text
        )
        assert "Descriptive: one round." in text
        assert "no verdict" in text

    def test_says_how_equal_the_losses_are(self):
        text = flat(to_text(examples.all_ok(), 80))
        assert (
            "Training losses differ by at most 6.2e-08 (relative) in epoch 1, 6.2e-08 over 5"
            " epochs." in text
        )
        assert "over 10 common epochs" in flat(to_text(examples.early_stopping(), 80))

    def test_parity_is_told_as_it_is(self):
        result = examples.all_ok()
        assert "Parity: not checked." in to_text(result)
        finding = ParityFinding(
            runtime="keras",
            quantity="forward",
            layer="batch_norm_1",
            step=None,
            dtype="float32",
            worst=0.28,
            gate=1e-5,
            looks_like="epsilon 0.001 in place of 1e-05",
        )
        failed = Parity(status="failed", form="quick", reason="forward pass", findings=(finding,))
        text = flat(to_text(result.model_copy(update={"parity": failed})))
        assert (
            "Parity: FAILED, quick check (forward pass). keras parts in forward of batch_norm_1"
            in text
        )
        assert "looks like epsilon 0.001 in place of 1e-05" in text

    def test_what_is_not_comparable_is_not_ranked(self):
        result = examples.all_ok()
        failed = Parity(status="failed", form="quick")
        text = to_text(result.model_copy(update={"parity": failed, "comparison": Comparison()}))
        assert (
            "NOT COMPARABLE: the runtimes do not compute the same function, so nothing is ranked."
            in flat(text)
        )
        assert "Fastest" not in text
        assert "*" in to_text(result)
        assert "*" not in text, "no best value is marked"
        assert "1.00" not in text
        assert "relative  " not in text

    def test_a_certificate_that_was_given_before_is_named(self):
        known = Parity(status="certified", form="quick", certificate="2026-05-04T10:00:00+00:00")
        text = flat(to_text(examples.all_ok().model_copy(update={"parity": known})))
        assert "Full certificate of 2026-05-04, same code and versions." in text

    def test_one_runtime_has_nothing_to_be_compared_with(self):
        text = to_text(examples.run(examples.row("torch")))
        assert "No other runtime to compare it with" in flat(text)
        assert "Descriptive" not in text

    def test_no_runtime_finished(self):
        failed = tuple(row for row in examples.failures().runtimes if row.status != "ok")
        text = to_text(examples.run(*failed))
        assert "No runtime finished." in text
        assert "Fastest" not in text

    def test_where_nothing_finished_the_reason_stands_first(self):
        failed = tuple(row for row in examples.failures().runtimes if row.status != "ok")
        bare = tuple(not_started(row.runtime) for row in failed)
        text = to_text(examples.run(*bare))
        assert text.index("Did not finish\n") < text.index("Notes")
        for title in ("Learning", "Time", "Loss by epoch"):
            assert f"\n{title}" not in text
        # what is known of a training that broke off is still there, behind the reason
        text = to_text(examples.run(*failed))
        assert text.index("Did not finish\n") < text.index("\nTime")
        assert "\nLearning" not in text

    def test_fewer_threads_than_asked_for_are_told(self):
        result = examples.all_ok()
        many = {**result.experiment, "measure": {"threads": 99}}
        text = flat(to_text(result.model_copy(update={"experiment": many}), 120))
        told = "per runtime: all that this process could use, though measure.threads asks for 99"
        assert told in text
        assert "asks for" not in flat(to_text(result, 120))

    def test_too_short_to_time(self):
        text = flat(to_text(examples.too_short(), 120))
        assert "No step times: training ended before the first slice after warm-up." in text
        assert "Descriptive" not in text

    def test_more_rounds_without_intervals_are_no_verdict_either(self):
        result = examples.all_ok()
        comparison = result.comparison.model_copy(update={"rounds": 3})
        text = flat(to_text(result.model_copy(update={"comparison": comparison})))
        assert "Descriptive: 3 rounds without intervals, so no verdict." in text

    def test_an_experiment_of_a_foreign_shape_is_no_crash(self):
        result = examples.all_ok().model_copy(
            update={"experiment": {"train": 3, "model": []}, "environment": {}}
        )
        assert "Fastest: torch" in to_text(result)


class TestTables:
    def test_learning(self):
        text = to_text(examples.all_ok(), 120)
        assert cells(text, "keras     ") == [
            "cpu",
            "203,530",
            "0.06123",
            "98.31",
            "0.08123",
            "97.58",
            "0.07452",
            "97.59",
        ]
        assert "softmax cross-entropy in nats" in text

    @pytest.mark.parametrize("result", [examples.all_ok(), examples.regression()])
    def test_no_runtime_is_the_best_learner(self, result):
        text = to_text(result, 120)
        assert "*" not in text[text.index("Learning") : text.index("Loss by epoch")]

    def test_what_looks_equal_shares_the_mark_and_all_equal_has_none(self):
        assert best(("1.0", "1.0", "2.0"), (1.01, 0.99, 2.0)) == {0, 1}
        assert best(("1.0", "1.0"), (1.01, 0.99)) == frozenset()
        assert best(("3", None, "4"), (3.0, None, 4.0), largest=True) == {2}
        assert best(("1",), (1.0,)) == frozenset()

    def test_regression_has_mae_and_r2_and_no_accuracy(self):
        text = to_text(examples.regression(), 80)
        assert "mean squared error" in text
        assert "43.21" in text
        assert "R²" in text
        assert "accuracy" not in text

    def test_early_stopping_names_the_best_epoch(self):
        assert cells(to_text(examples.early_stopping(), 80), "best epoch") == ["9", "8", "7"]
        assert "best epoch" not in flat(to_text(examples.all_ok(), 80))

    def test_time_in_one_unit_a_row_with_the_unit_in_its_head(self):
        text = to_text(examples.all_ok(), 80)
        assert cells(text, "step median, ms") == ["0.412*", "0.457", "1.021"]
        assert cells(text, "relative") == ["1.00", "1.11", "2.48"]
        assert cells(text, "samples, k/s") == ["310.5", "280.3", "125.3"]
        assert cells(text, "GFLOP/s, est.") == ["378.4", "341.6", "152.7"]
        assert cells(text, "peak memory, MiB") == ["393.2*", "697.4", "733.4"]

    @pytest.mark.parametrize(("share", "told"), [(None, False), (0.02, False), (0.42, True)])
    def test_a_busy_machine_is_told(self, share, told):
        result = examples.all_ok()
        result = result.model_copy(
            update={"environment": {**result.environment, "others_cpu_share": share}}
        )
        words = (
            "Busy machine: other programs took 42 % of the processors meanwhile; do not trust the"
            " times."
        )
        assert (words in flat(to_text(result, 80))) is told
        assert ("Busy" in to_text(result, 80)) is told

    def test_a_noisy_machine_is_told(self):
        calm, busy = examples.row("torch"), examples.row("keras")
        assert "Noisy" not in to_text(examples.run(calm, busy), 80)
        step = busy.timing.step_s.model_copy(update={"p95": 4.2 * busy.timing.step_s.median})
        busy = busy.model_copy(update={"timing": busy.timing.model_copy(update={"step_s": step})})
        text = flat(to_text(examples.run(calm, busy), 80))
        assert "Noisy: p95 over median is keras 4.2 times; repeat this on a quiet machine." in text

    def test_a_missing_figure_says_why(self):
        text = flat(to_text(examples.too_short(), 80))
        assert "n/a step times: training ended before the first slice after warm-up" in text
        silent = examples.row("torch").model_copy(update={"memory": examples.Memory()})
        text = flat(to_text(examples.run(silent, examples.row("keras")), 80))
        assert "n/a peak memory: not reported by torch." in text

    def test_memory_of_different_kinds_is_not_ranked(self):
        device = examples.row("keras").model_copy(
            update={"memory": examples.Memory(peak_bytes=10**9, source="device")}
        )
        text = to_text(examples.run(examples.row("torch"), device), 80)
        assert cells(text, "peak memory, MiB") == ["393.2", "953.7"]
        assert "keras: the framework's count" in flat(text)

    def test_ledger_lists_settings_and_versions(self):
        text = to_text(examples.all_ok(), 120)
        assert cells(text, "versions") == [
            "torch 2.13.0",
            "tensorflow 2.21.0",
            "keras 3.15.0, tensorflow 2.21.0",
        ]
        assert cells(text, "engine") == ["not applicable", "not applicable", "TensorFlow"]
        empty = examples.all_ok().model_copy(update={"ledger": ()})
        assert "Settings that differ: none of those recorded." in to_text(empty)

    def test_notes_say_where_the_data_came_from_and_where_the_result_is(self):
        buffer = io.StringIO()
        Console(file=buffer, width=100).print(
            run_report(examples.all_ok(), folder=Path("results/x"))
        )
        assert "SHA-256 as published" in buffer.getvalue()
        assert "train 48,000, validation 12,000, test 10,000" in buffer.getvalue()
        assert re.search(r"stored in +results/x", buffer.getvalue())


class TestFailures:
    def test_status_and_reason_of_each_row(self):
        text = to_text(examples.failures(), 100)
        assert cells(text, "status") == ["ok", "refused", "diverged", "failed"]
        assert cells(text, "test loss") == ["0.07432", "n/a", "n/a", "n/a"]
        assert 'refused: not installed: tensorflow; pip install "nncompare[tensorflow]"' in text
        assert "diverged: loss is nan in steps 41 to 50 (epoch 2)" in text
        assert (
            "Did not finish, 3 of 4: tensorflow (refused), keras (diverged), torch:compile"
            " (failed)." in text
        )

    def test_log_tail_is_printed_as_it_is(self):
        assert "| RuntimeError: [bold]no[/bold] kernel" in to_text(examples.failures(), 80)

    def test_what_a_failed_row_has_is_shown_but_never_best(self):
        rows = (
            examples.row("torch"),
            examples.row("keras"),
            examples.row(
                "tensorflow",
                status="interrupted",
                reason="stopped by the user",
                memory=examples.Memory(peak_bytes=1, source="process"),
            ),
        )
        text = to_text(examples.run(*rows), 80)
        assert cells(text, "peak memory, MiB")[0] == "393.2*"
        assert cells(text, "relative") == ["1.00", "2.48", "n/a"]

    def test_a_loss_that_ran_away_does_not_flatten_the_others(self):
        text = to_text(examples.failures(), 100)
        assert re.search(r"keras +train 32,000,000 +validation n/a +\(1 epoch, diverged\)", text)
        assert "32,000,000 ┤" not in text

    def test_escape_sequences_of_a_log_do_not_pass(self):
        row = examples.row(
            "keras",
            status="failed",
            reason="\x1b[31mred\x1b[0m",
            log="a\x1b]0;title\x07b\x9b2Jc\rd\te",
        )
        text = to_text(examples.run(examples.row("torch"), row))
        assert "failed: red" in text
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
        assert printable("a\x1b[2Kb\r\nc\rd") == "ab\nc\nd"


class TestCurves:
    def test_one_axis_for_all_and_first_and_last_values(self):
        text = to_text(examples.hundred_epochs(), 80)
        assert "logarithmic axis, the same for all plots" in flat(text)
        assert len(re.findall(r"^ +2\.300 ┤", text, flags=re.M)) == 2
        assert flat(text).count("2.300 → 0.07000") == 3
        assert flat(text).count("1.920 → 0.1855") == 3
        assert "⠑" in text

    def test_one_epoch_is_a_value_and_no_curve(self):
        text = to_text(examples.one_epoch(), 80)
        assert re.search(r"torch +train 2\.300 +validation 1\.920 +\(1 epoch\)", text)
        assert "┤" not in text

    def test_no_history_is_no_section(self):
        assert "Loss by epoch" not in to_text(examples.run(examples.row("torch", history=())))

    def test_plots_that_do_not_fit_beside_each_other_go_below(self):
        text = to_text(examples.long_names(), 80)
        assert len(re.findall(r"^ +2\.300 ┤", text, flags=re.M)) == 4


class TestHtml:
    @pytest.mark.parametrize("example", examples.ALL.values(), ids=examples.ALL)
    def test_is_well_formed(self, example):
        xml.etree.ElementTree.fromstring(to_html(example()).replace("<br>", "<br/>"))

    def test_everything_from_outside_is_escaped(self):
        evil = "<script>alert(1)</script>"
        row = examples.row("torch", status="failed", reason=evil, log=evil, device=evil)
        rows = (row, examples.row("keras", settings={"compiled": evil}), examples.row("tensorflow"))
        result = examples.run(*rows).model_copy(
            update={"name": evil, "id": evil, "environment": {"processor": evil}}
        )
        html = to_html(result)
        assert "<script" not in html
        assert html.count("&lt;script&gt;") >= 6

    def test_figures_and_curves(self):
        html = to_html(examples.all_ok())
        assert "<b>0.412 *</b>" in html
        assert html.count("<polyline") == 6
        assert html.count("stroke-dasharray") == 3
        assert "<svg" not in to_html(examples.one_epoch())

    def test_takes_its_colours_from_the_page(self):
        html = to_html(examples.all_ok())
        assert "currentColor" in html
        assert not re.search(r"(color|background|stroke|fill):? ?=?\"?#", html)


def test_pairs_of_later_versions_do_not_break_the_report():
    result = examples.all_ok()
    comparison = Comparison(
        rounds=12, relative=result.comparison.relative, pairs=({"a": "torch", "b": "keras"},)
    )
    assert "Descriptive" not in to_text(result.model_copy(update={"comparison": comparison}))
