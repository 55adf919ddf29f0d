"""A search in a real PostgreSQL server, worked on by several processes. Skipped where no server is
installed.
"""

from __future__ import annotations

import glob
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from nncompare.cli import call

ROOT = Path(__file__).resolve().parents[3]
CONFIG = """\
name: shared
data: {name: digits}
model: {family: mlp, hidden: [16]}
train: {epochs: 30, batch_size: 16}
backends: [torch]
measure: {threads: 1}
tune:
  trials: 15
  sampler: tpe
  startup_trials: 4
  parameters: {train.optimizer.lr: {min: 1e-4, max: 1e-1, log: true}, model.hidden.0: {min: 8, max: 32}}
"""
# a dead process is noticed after seconds instead of most of a minute
WORKER = """
import sys
from nncompare.studies.tune import storage
storage.HEARTBEAT_S = 1
storage.GRACE_S = 4
from nncompare.cli import call
sys.exit(call(sys.argv[1:]))
"""


def _program(name):
    places = [
        shutil.which(name),
        *sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True),
    ]
    return next((place for place in places if place), None)


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _user():
    """PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    pytest.skip("no user besides root to run PostgreSQL as")


@pytest.fixture(scope="module")
def database():
    """The URL of a fresh database on a server of our own."""
    pytest.importorskip(
        "psycopg", reason='psycopg is not installed; pip install "psycopg[binary]>=3.2"'
    )
    server, initdb = _program("postgres"), _program("initdb")
    if server is None or initdb is None:
        pytest.skip("no PostgreSQL server is installed (Debian: apt-get install postgresql)")
    user, port = _user(), _free_port()
    folder = Path(tempfile.mkdtemp(prefix="nncompare-pg-"))
    if user:
        os.chown(folder, user["user"], user["group"])
    data = folder / "data"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, **user}
    subprocess.run([initdb, "-D", data, "-A", "trust", "-U", "tuner", "-N"], check=True, **quiet)
    options = [
        "-p",
        str(port),
        "-c",
        "listen_addresses=127.0.0.1",
        "-c",
        "fsync=off",
        "-k",
        str(folder),
    ]
    process = subprocess.Popen([server, "-D", data, *options], **quiet)
    import psycopg

    url = f"postgresql://tuner@127.0.0.1:{port}/postgres"
    for _ in range(100):
        try:
            psycopg.connect(url, connect_timeout=1).close()
            break
        except psycopg.OperationalError:
            time.sleep(0.1)
    yield url
    process.send_signal(signal.SIGINT)
    process.wait(30)
    shutil.rmtree(folder, ignore_errors=True)


def _worker(folder, url):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [
        sys.executable,
        "-c",
        WORKER,
        "tune",
        "shared.yaml",
        "--storage",
        url,
        "-q",
        "--output",
        str(folder),
    ]
    return subprocess.Popen(
        command,
        cwd=folder.parent,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _states(url):
    import optuna

    storage = optuna.storages.RDBStorage(url.replace("postgresql", "postgresql+psycopg"))
    (name,) = optuna.get_all_study_names(storage)
    return [
        trial.state.name for trial in optuna.load_study(study_name=name, storage=storage).trials
    ]


def _states_or_none(url):
    try:
        return _states(url)
    except ValueError:
        return []


@pytest.mark.needs_torch
@pytest.mark.timeout(600)
def test_three_processes_share_a_study_and_one_is_killed(tmp_path, database):
    (tmp_path / "shared.yaml").write_text(CONFIG)
    workers = [_worker(tmp_path / f"w{k}", database) for k in range(3)]
    deadline = time.monotonic() + 120
    while _states_or_none(database).count("COMPLETE") < 3:
        assert time.monotonic() < deadline, [worker.poll() for worker in workers]
        time.sleep(0.3)
    workers[0].kill()
    workers[0].wait()
    for worker in workers[1:]:
        assert worker.wait(300) == 0, worker.stderr.read()
    assert _states(database) == ["COMPLETE"] * 15


def test_an_unreachable_database_is_an_error_within_ten_seconds(tmp_path, monkeypatch, capsys):
    pytest.importorskip("psycopg")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shared.yaml").write_text(CONFIG)
    # accepts the connection and then says nothing, the worst way to be unreachable
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"postgresql://me:secret@127.0.0.1:{silent.getsockname()[1]}/x"
        begun = time.monotonic()
        assert call(["tune", "shared.yaml", "--storage", url]) == 2
        assert time.monotonic() - begun < 10
    said = capsys.readouterr().err
    assert "--storage postgresql://me:…@127.0.0.1" in said
    assert "secret" not in said
    assert not (tmp_path / "results").exists()
