"""Every message crosses the wire as it is; what is none of them is an error that names it."""

from __future__ import annotations

import json
import math
from typing import Any, get_args

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from nncompare.errors import Failed, MessageError
from nncompare.wire.figures import Epoch, Final, Memory
from nncompare.wire.messages import (
    PARENT_WORDS,
    WORKER_WORDS,
    EpochEnd,
    Message,
    ParentWord,
    Result,
    Slices,
    WorkerWord,
    decode,
    encode,
)
from nncompare.wire.slice import Slice
from tests.wire.examples import DEVICE, PARENT, SLICE, WORKER

SPOKEN: list[tuple[Message, TypeAdapter[Any]]] = [
    *((message, PARENT_WORDS) for message in PARENT),
    *((message, WORKER_WORDS) for message in WORKER),
]


@pytest.mark.parametrize(("message", "words"), SPOKEN, ids=lambda item: getattr(item, "kind", ""))
def test_a_message_comes_back_equal(message: Message, words: TypeAdapter[Any]) -> None:
    line = encode(message)
    assert b"\n" not in line
    back = decode(line, words)
    assert type(back) is type(message)
    assert back == message


def test_every_kind_has_an_example_and_a_word_of_its_own() -> None:
    assert {type(message) for message in PARENT} == set(get_args(ParentWord))
    assert {type(message) for message in WORKER} == set(get_args(WorkerWord))
    classes = get_args(Message)
    assert set(classes) == {*get_args(ParentWord), *get_args(WorkerWord)}
    kinds = [cls.model_fields["kind"].default for cls in classes]
    assert len(set(kinds)) == len(kinds)


def test_a_message_is_frozen_and_takes_no_unknown_field() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        WORKER[0].kind = "other"  # type: ignore[assignment,misc]
    with pytest.raises(ValidationError, match="Extra"):
        Slices(slices=(SLICE,), steps_per_s=1.0)  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="at least 1"):
        Slices(slices=())


def strict(text: bytes) -> Any:
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} in a message"))


@pytest.mark.parametrize("unknown", [math.nan, math.inf, -math.inf, np.float32("nan")])
def test_numbers_that_json_lacks_become_null(unknown: float) -> None:
    sample = Slice(epoch=1, begin=0, end=1, seconds=0.5, loss=unknown, phase="first")
    assert strict(encode(Slices(slices=(sample,))))["slices"][0]["loss"] is None
    figures = Epoch(epoch=1, train_loss=unknown, val_loss=unknown)
    assert figures.train_loss is None
    assert strict(encode(EpochEnd(figures=figures)))["figures"]["val_loss"] is None
    final = Final(test_loss=unknown)
    result = Result(final=final, memory=Memory(), evaluate_s=0.0, total_s=1.0)
    assert strict(encode(result))["final"]["test_loss"] is None


def test_numbers_of_numpy_become_plain() -> None:
    sample = Slice(
        epoch=np.int64(1),  # type: ignore[arg-type]
        begin=np.int32(0),  # type: ignore[arg-type]
        end=np.int64(10),  # type: ignore[arg-type]
        seconds=np.float64(0.25),
        loss=np.float32(0.5),  # type: ignore[arg-type]
        phase="warmup",
    )
    back = decode(encode(Slices(slices=(sample,))), WORKER_WORDS)
    plain = Slice(epoch=1, begin=0, end=10, seconds=0.25, loss=0.5, phase="warmup")
    assert back == Slices(slices=(plain,))
    assert plain.steps == 10


@pytest.mark.parametrize(
    ("line", "words", "says"),
    [
        (b'{"kind": "hello", "x": 1}', WORKER_WORDS, r"'hello'.*'imported'.*\"x\": 1"),
        (b'{"kind": "go", "slices": 1}', WORKER_WORDS, "'go'"),
        (b'{"kind": "end", "status": "ok"}', PARENT_WORDS, "'end'"),
        (b'{"kind": "end", "status": "fine"}', WORKER_WORDS, "end.status: .*'refused'"),
        (b'{"kind": "end"}', WORKER_WORDS, "end.status: Field required"),
        (b'{"kind": "quit", "now": true}', PARENT_WORDS, "quit.now: Extra"),
        (b'{"kind": "slices", "slices": [{"epoch": 1}]}', WORKER_WORDS, "slices.0.begin"),
        (b"{}", WORKER_WORDS, "'kind'"),
        (b"[1]", WORKER_WORDS, "object"),
        (b"Segmentation fault", WORKER_WORDS, "JSON.*Segmentation fault"),
        (b"\xff\x00", WORKER_WORDS, "not understood"),
        (b'{"kind": "' + b"x" * 10_000, WORKER_WORDS, "x…$"),
    ],
)
def test_what_is_no_message_is_an_error_that_names_it(
    line: bytes, words: TypeAdapter[Any], says: str
) -> None:
    with pytest.raises(MessageError, match=f"(?s){says}") as caught:
        decode(line, words)
    assert isinstance(caught.value, Failed)
    assert len(str(caught.value)) < 1000


def test_a_device_has_one_name() -> None:
    (built,) = (message for message in WORKER if message.kind == "built")
    assert built.device == DEVICE
    assert built.device_name == "cuda:0 (some card)"
