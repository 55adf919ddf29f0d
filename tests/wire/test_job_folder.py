"""Every request is written, read back and can be told apart; what is none is an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from nncompare.errors import MessageError
from nncompare.wire.job_folder import JOB_FILE, read, write
from nncompare.wire.requests import CheckRequest, DeriveRequest, Request, TrainRequest
from tests.wire.examples import REQUESTS, derivative, job


def test_every_kind_has_an_example_and_a_word_of_its_own() -> None:
    assert {type(request) for request in REQUESTS} == set(get_args(Request))
    kinds = [cls.model_fields["kind"].default for cls in get_args(Request)]
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.kind)
def test_a_request_comes_back(tmp_path: Path, request_: Request) -> None:
    path = write(tmp_path / "deeper", request_)
    assert path == tmp_path / "deeper" / JOB_FILE
    # what a person looks for first
    assert next(iter(json.loads(path.read_text()))) == "kind"
    back = read(tmp_path / "deeper")
    assert type(back) is type(request_)
    if not isinstance(request_, DeriveRequest):  # arrays have no single truth
        assert back == request_
    for name in ("kind", "runtime", "threads", "device", "deterministic"):
        assert getattr(back, name) == getattr(request_, name)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_numbers_of_a_formula_come_back_bit_by_bit(tmp_path: Path, dtype: str) -> None:
    asked = derivative(dtype)
    write(tmp_path, asked)
    back = read(tmp_path)
    assert isinstance(back, DeriveRequest)
    for name in ("points", "neighbours"):
        array, original = getattr(back, name), getattr(asked, name)
        assert (array.dtype, array.shape) == (original.dtype, original.shape)
        assert array.tobytes() == original.tobytes()
    assert (back.function, back.derivative) == (asked.function, asked.derivative)
    empty = asked.model_copy(update={"neighbours": np.zeros((0, 3), dtype)})
    write(tmp_path, empty)
    assert read(tmp_path).neighbours.shape == (0, 3)  # type: ignore[union-attr]


def test_a_job_names_the_processs_environment() -> None:
    request = CheckRequest(job=job(), data=Path("/data"), steps=5)
    assert (request.runtime, request.threads) == ("tensorflow:xla", 3)
    assert (request.device, request.deterministic) == ("cpu", True)


def test_what_the_file_leaves_open_stays_open(tmp_path: Path) -> None:
    write(tmp_path, TrainRequest(job=job(convention="native"), data=Path("/data")))
    optimizer = read(tmp_path).job.experiment.train.optimizer  # type: ignore[union-attr]
    assert optimizer.leaves_open("beta1")
    assert not optimizer.leaves_open("lr")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"kind": "dance"}', "'dance'.*'train'.*'serve_trials'"),
        ('{"runtime": "torch"}', "'kind'"),
        ('{"kind": "probe", "runtime": "torch", "speed": 9}', "probe.speed: Extra"),
        ('{"kind": "check"}', "check.job: Field required"),
        ("{", "JSON"),
    ],
)
def test_what_is_no_request_is_an_error_that_names_the_file(
    tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / JOB_FILE).write_text(text)
    with pytest.raises(MessageError, match=f"{JOB_FILE}: .*{says}"):
        read(tmp_path)


def test_a_folder_without_a_job_says_so(tmp_path: Path) -> None:
    with pytest.raises(MessageError, match=rf"cannot read .*{JOB_FILE}: No such file"):
        read(tmp_path)
