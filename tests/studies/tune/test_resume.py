"""``tune --resume`` on a folder that somebody or something has damaged: what is wrong is named with
its file and line or key, nothing is overwritten, and what is whole goes on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.storages.journal._storage import JournalOperation

from nncompare.cli import call
from nncompare.launch import trials
from tests import fake_worker

CONFIG = """\
name: whole
data: {name: digits}
model: {family: mlp, hidden: [8]}
train: {epochs: 2, batch_size: 128, optimizer: {name: adam, lr: 0.01}}
backends: [torch]
tune:
  trials: 4
  sampler: random
  parameters:
    train.optimizer.lr: {min: 0.0001, max: 0.1, log: true}
    model.activation: [relu, tanh]
"""
Damage = Callable[[Path], object]


def files(folder: Path) -> dict[str, bytes]:
    """Every file's content, but for the lock."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != ".held":
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search of four trials that has ended."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "whole.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trials, "worker_command", fake_worker.command)
        arguments = ["tune", str(folder / "whole.yaml"), "-q", "--output", str(folder / "results")]
        assert call(arguments) == 0
    (found,) = (folder / "results").iterdir()
    return found


@pytest.fixture
def copy(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search that may be damaged."""
    monkeypatch.setattr(trials, "worker_command", fake_worker.command)
    return Path(shutil.copytree(whole, tmp_path / whole.name))


def journal(folder: Path) -> Path:
    return folder / "study.journal"


def lines(folder: Path) -> list[bytes]:
    return journal(folder).read_bytes().splitlines(keepends=True)


def rewrite(folder: Path, change: Callable[[list[bytes]], object]) -> None:
    """Changes the list of the journal's lines."""
    found = lines(folder)
    change(found)
    journal(folder).write_bytes(b"".join(found))


def at(folder: Path, operation: JournalOperation) -> int:
    """The index of the last line with such an operation."""
    codes = [json.loads(line)["op_code"] for line in lines(folder)]
    return len(codes) - 1 - codes[::-1].index(operation)


def edit_line(operation: JournalOperation, **fields: Any) -> Damage:
    """Sets fields of the last line with such an operation."""

    def damage(folder: Path) -> None:
        index = at(folder, operation)
        found = lines(folder)
        found[index] = json.dumps(json.loads(found[index]) | fields).encode() + b"\n"
        journal(folder).write_bytes(b"".join(found))

    return damage


def drop_line(operation: JournalOperation) -> Damage:
    def damage(folder: Path) -> None:
        index = at(folder, operation)
        rewrite(folder, lambda found: found.pop(index))

    return damage


def replace_text(name: str, old: str, new: str) -> Damage:
    def damage(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return damage


def edit_result(**fields: Any) -> Damage:
    def damage(folder: Path) -> None:
        path = folder / "result.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return damage


def edit_stored_trial(folder: Path) -> None:
    path = folder / "result.json"
    record = json.loads(path.read_text())
    record["trials"][2]["values"] = [0.0]
    path.write_text(json.dumps(record))


def edit_both(folder: Path) -> None:
    replace_text("experiment.yaml", "epochs: 2", "epochs: 3")(folder)
    replace_text("result.json", '"epochs": 2', '"epochs": 3')(folder)


DAMAGES: dict[str, tuple[Damage, str]] = {
    # the experiment
    "epochs": (
        replace_text("experiment.yaml", "epochs: 2", "epochs: 3"),
        "experiment.yaml: not the experiment that this search was begun with, which stands in"
        " result.json: train.epochs was 2 and is 3",
    ),
    "range": (
        replace_text("experiment.yaml", "max: 0.1", "max: 0.5"),
        "tune.parameters.train.optimizer.lr.max was 0.1 and is 0.5",
    ),
    "sampler": (
        replace_text("experiment.yaml", "sampler: random", "sampler: tpe"),
        "tune.sampler was 'random' and is 'tpe'",
    ),
    "backends": (replace_text("experiment.yaml", "[torch]", "[keras]"), "backends was ['torch']"),
    "experiment and result alike": (edit_both, "study.journal: train.epochs was 2 and is 3"),
    "no experiment": (
        lambda folder: (folder / "experiment.yaml").unlink(),
        "experiment.yaml: there is no such file",
    ),
    "binary experiment": (
        lambda folder: (folder / "experiment.yaml").write_bytes(b"\x00\xff\x80"),
        "experiment.yaml:1:2: not a text file",
    ),
    # the record
    "no result": (lambda folder: (folder / "result.json").unlink(), "no result.json"),
    "half a result": (
        lambda folder: (folder / "result.json").write_text(
            (folder / "result.json").read_text()[:300]
        ),
        "result.json: damaged: not strict JSON",
    ),
    "a better value in the result": (edit_stored_trial, "[0.0] in"),
    "per_backend": (edit_result(per_backend=True), "result.json: per_backend was changed"),
    "the result's experiment": (
        edit_result(experiment={"name": "other"}),
        "result.json: damaged: data",
    ),
    # the journal
    "no journal": (lambda folder: journal(folder).unlink(), "study.journal: missing"),
    "empty journal": (
        lambda folder: journal(folder).write_bytes(b""),
        "study.journal: empty; nothing was changed",
    ),
    "half a journal": (
        lambda folder: rewrite(folder, lambda found: found.__delitem__(slice(20, None))),
        "study.journal: trial 0 on torch: state 'running', but 'complete' in",
    ),
    "half a journal, the mark removed": (
        lambda folder: (
            (folder / ".held").unlink(),
            rewrite(folder, lambda found: found.__delitem__(slice(20, None))),
        ),
        "study.journal: trial 0 on torch: state 'running', but 'complete' in",
    ),
    "binary journal": (
        lambda folder: journal(folder).write_bytes(bytes(range(1, 256)) * 99),
        "study.journal:1: damaged: not JSON: ",
    ),
    "binary journal without a line": (
        lambda folder: journal(folder).write_bytes(b"\xff\xfe" * 9999),
        "study.journal:1: damaged: not JSON",
    ),
    "a line in the middle": (
        lambda folder: rewrite(folder, lambda found: found.__setitem__(9, found[9][:20] + b"\n")),
        "study.journal:10: damaged: not JSON: ",
    ),
    "a nul byte in the middle": (
        lambda folder: rewrite(folder, lambda found: found.__setitem__(9, b"\x00" * 80 + b"\n")),
        "study.journal:10: damaged: not JSON: ",
    ),
    "an empty line": (
        lambda folder: rewrite(folder, lambda found: found.insert(5, b"\n")),
        "study.journal:6: damaged: not JSON: ",
    ),
    "a list": (
        lambda folder: rewrite(folder, lambda found: found.insert(5, b"[1, 2]\n")),
        "study.journal:6: damaged: an operation is a JSON object, this is list",
    ),
    "a deep list": (
        lambda folder: rewrite(folder, lambda found: found.insert(5, b"[" * 200_000 + b"\n")),
        "study.journal:6: damaged: not JSON: nested too deeply",
    ),
    "unknown operation": (
        edit_line(JournalOperation.SET_TRIAL_USER_ATTR, op_code=99),
        "damaged: unknown operation 99",
    ),
    "a word for an operation": (
        edit_line(JournalOperation.SET_TRIAL_USER_ATTR, op_code="drop"),
        "damaged: unknown operation 'drop'",
    ),
    "unknown state": (
        edit_line(JournalOperation.SET_TRIAL_STATE_VALUES, state=77),
        "damaged: cannot be applied: 77 is not a valid TrialState",
    ),
    "a field gone": (
        edit_line(JournalOperation.SET_TRIAL_PARAM, distribution=None),
        "damaged: cannot be applied",
    ),
    "an unknown trial": (
        edit_line(JournalOperation.SET_TRIAL_USER_ATTR, trial_id=50),
        "damaged: it is about trial 50, which no line before it has made",
    ),
    "the first line": (drop_line(JournalOperation.CREATE_STUDY), "study.journal:1: damaged: it is"),
    "a parameter's line": (
        drop_line(JournalOperation.SET_TRIAL_PARAM),
        "trial 3 of whole/torch is damaged: it is complete and has no model.activation",
    ),
    "a trial's line": (drop_line(JournalOperation.CREATE_TRIAL), "which no line before it has"),
    "the last end": (
        drop_line(JournalOperation.SET_TRIAL_STATE_VALUES),
        "trial 3 on torch: state 'running', but 'complete' in",
    ),
    "a better value": (
        edit_line(JournalOperation.SET_TRIAL_STATE_VALUES, values=[0.0]),
        "trial 3 on torch: values [0.0], but",
    ),
    "a text for a value": (
        edit_line(JournalOperation.SET_TRIAL_STATE_VALUES, values=["0.5"]),
        "trial 3 of whole/torch is damaged",
    ),
    "a text for a time": (
        edit_line(JournalOperation.SET_TRIAL_USER_ATTR, user_attr={"seconds": "long"}),
        "trial 3 of whole/torch is damaged: seconds",
    ),
    "another study": (
        edit_line(JournalOperation.CREATE_STUDY, study_name="other"),
        "the study whole/torch is missing",
    ),
    "the study's experiment": (
        edit_line(JournalOperation.SET_STUDY_USER_ATTR, user_attr={"experiment": "a: [b"}),
        "study.journal: whole/torch:1:",
    ),
    "a pickle": (
        edit_line(
            JournalOperation.SET_TRIAL_USER_ATTR,
            op_code=JournalOperation.SET_TRIAL_SYSTEM_ATTR.value,
            system_attr={"cma:optimizer:0": "80"},
        ),
        "the system attribute 'cma:optimizer:0' holds a pickle",
    ),
    # the folder
    "a folder for a journal": (
        lambda folder: (journal(folder).unlink(), journal(folder).mkdir()),
        "cannot read",
    ),
    "a folder for the lock": (
        lambda folder: ((folder / ".held").unlink(), (folder / ".held").mkdir()),
        ".held",
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_what_is_damaged_is_named_and_nothing_is_overwritten(
    copy: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    damage, words = DAMAGES[name]
    damage(copy)
    before = files(copy)
    # asked for more, so that nobody is content with what there is
    assert call(["tune", "--resume", str(copy), "-q", "--trials", "6"]) == 2
    said = capsys.readouterr().err
    assert words in said
    assert "Traceback" not in said
    assert files(copy) == before


def test_a_whole_search_goes_on(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = lines(copy)
    assert call(["tune", "--resume", str(copy), "-q", "--trials", "5"]) == 0
    assert lines(copy)[: len(before)] == before
    assert "5 of 5 trials done" in capsys.readouterr().out


@pytest.mark.slow
def test_totals_may_be_changed_in_the_file(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    replace_text("experiment.yaml", "trials: 4", "trials: 5")(copy)
    assert call(["tune", "--resume", str(copy), "-q"]) == 0
    assert "5 of 5 trials done" in capsys.readouterr().out


def test_a_line_that_a_crash_has_cut_is_named_and_the_whole_ones_are_kept(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = lines(copy)
    with journal(copy).open("ab") as file:
        file.write(b'{"op_code":4,"worker')
    assert call(["tune", "--resume", str(copy), "--trials", "5"]) == 0
    said = capsys.readouterr()
    assert f"study.journal:{len(before) + 1}: a crash has cut this line in two" in said.err
    assert lines(copy)[: len(before)] == before
    assert "5 of 5 trials done" in said.out


def test_a_killed_search_from_whose_journal_lines_were_removed_is_refused(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its record is still the empty one from before the first trial."""
    edit_result(trials=[], searches=[], best=None, outcome="running")(copy)
    rewrite(copy, lambda found: found.__delitem__(slice(30, None)))
    before = files(copy)
    assert call(["tune", "--resume", str(copy), "-q"]) == 2
    assert "study.journal: cut off: it has" in capsys.readouterr().err
    assert files(copy) == before
