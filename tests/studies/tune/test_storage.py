"""Where a search is kept: the journal after a crash, and trials that are taken and given back."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from nncompare.studies.tune import storage
from nncompare.studies.tune.storage import open_journal, redact_password
from nncompare.studies.tune.stored_study import StoredStudy

FIVE = [{}] * 5


def open_study(path: Path) -> StoredStudy:
    return StoredStudy.open_or_create(open_journal(path), "s", ["minimize"], {})


def take(study: StoredStudy, points: list[dict[str, float]]) -> int | None:
    taken = study.take_next(points)
    return None if taken is None else taken.number


def test_as_many_trials_are_taken_as_were_asked_for(tmp_path: Path) -> None:
    study = open_study(tmp_path / "study.journal")
    assert [take(study, FIVE) for _ in range(6)] == [0, 1, 2, 3, 4, None]
    # a resume that asks for more
    assert [take(study, FIVE * 2) for _ in range(2)] == [5, 6]


def test_a_resume_may_ask_for_less_than_was_made_ahead(tmp_path: Path) -> None:
    study = open_study(tmp_path / "study.journal")
    assert take(study, FIVE * 20) == 0
    assert take(study, FIVE[:1]) is None


def test_a_trial_that_is_released_or_lost_is_taken_again_under_its_number(tmp_path: Path) -> None:
    study = open_study(tmp_path / "study.journal")
    assert [take(study, FIVE) for _ in range(3)] == [0, 1, 2]
    study.release(1)
    study.optuna_study().tell(2, 0.5)
    study.release(2)  # ended in the meantime: it stays ended
    again = open_study(tmp_path / "study.journal")
    assert again.reclaim_lost() == [0]
    states = [trial.state for trial in again.trials()]
    assert states[:3] == [TrialState.WAITING, TrialState.WAITING, TrialState.COMPLETE]
    assert [take(again, FIVE) for _ in range(4)] == [0, 1, 3, 4]


def test_a_point_of_a_grid_is_what_plain_optuna_proposes(tmp_path: Path) -> None:
    study = open_study(tmp_path / "study.journal")
    assert take(study, [{"x": 0.25}]) == 0
    trial = optuna.trial.Trial(study.optuna_study(), study.trial_id(0))
    assert trial.suggest_float("x", 0, 1) == 0.25


def test_a_line_that_a_crash_has_torn_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "study.journal"
    study = open_study(path)
    assert take(study, FIVE) == 0
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"op_code":6,"torn"')
    again = open_study(path)
    assert path.read_bytes().startswith(whole)
    assert b"torn" not in path.read_bytes()
    assert again.trial(0).state == TrialState.RUNNING


def test_a_lock_that_a_killed_process_has_left_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_LOCK_GRACE_S", 3)
    path = tmp_path / "study.journal"
    open_study(path)
    lock = path.with_name("study.journal.lock")
    lock.touch()
    assert take(open_study(path), FIVE) == 0
    assert not lock.exists()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:…@host/db"),
        ("postgresql://me:se@cret@host/db", "postgresql://me:…@host/db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("postgresql://host/db", "postgresql://host/db"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert redact_password(url) == shown
