"""Every message between the parent and a worker: one frozen class a kind, one tagged union.

A parent says ``ParentWord``, a worker says ``WorkerWord``; ``kind`` tells which. A worker that
trains says, in this order: ``imported``, ``built``, then ``slices`` and ``epoch`` as they come,
``result``, ``parity`` if a short check was asked for, and always ``end`` as its last word.

A message travels as one line of strict JSON: NaN and infinity become null, NumPy's numbers plain
ones.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from nncompare.backends.base import Device
from nncompare.errors import MessageError, Status
from nncompare.wire.figures import Epoch, Final, Memory
from nncompare.wire.slice import Slice

_Word = TypeVar("_Word")
_SHOWN_BYTES = 200
"""So much of a message that is not understood is shown."""

TrialStatus = Status | Literal["pruned"]
PRUNED: Literal["pruned"] = "pruned"
"""How a trial ends that was stopped because it was hopeless."""

Method = Literal["value", "reverse", "forward", "symbolic", "neighbours"]
"""What a worker is asked of a formula; ``neighbours`` are the function's values that finite
differences need.
"""


class _Message(BaseModel):
    """Frozen, and no field that the class does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# What a parent says


class Go(_Message):
    """Leave to train so many slices more; None: all of them."""

    kind: Literal["go"] = "go"
    slices: int | None = None


class Stop(_Message):
    """Train no further slice."""

    kind: Literal["stop"] = "stop"


class BeginTrial(_Message):
    """Train the ``trial`` whose job folder this is; answered by ``trial_end``."""

    kind: Literal["begin_trial"] = "begin_trial"
    folder: str


class Answer(_Message):
    """After an ``epoch`` of a judged trial: whether it stops there."""

    kind: Literal["answer"] = "answer"
    stop: bool


class Quit(_Message):
    """There are no more trials: leave."""

    kind: Literal["quit"] = "quit"


class OpenStudy(_Message):
    """To a process that proposes trials: where they are stored and what is searched."""

    kind: Literal["open_study"] = "open_study"
    journal: str
    url: str | None
    """Of a database, in place of the journal."""
    tune: dict[str, Any]
    """The section of the experiment, as JSON."""


class Propose(_Message):
    """Fill a trial that the parent has taken; answered by ``proposed``."""

    kind: Literal["propose"] = "propose"
    study: str
    trial: int


# What a worker says


class Conclusion(_Message):
    """Base of what a worker says when something has ended: its outcome keeps it, and a display of
    progress has nothing to show for it.
    """


class Imported(_Message):
    """The framework is there.

    ``notes``: what is known of this framework's operations in the formula that was asked for.
    """

    kind: Literal["imported"] = "imported"
    versions: dict[str, str]
    import_s: float | None = None
    notes: tuple[str, ...] = ()


class Built(_Message):
    """The network stands on its device. A parity check times nothing and leaves the last three
    out.
    """

    kind: Literal["built"] = "built"
    device: Device
    settings: dict[str, str]
    build_s: float | None = None
    parameters: int | None = None
    """Numbers that are trained."""
    steps: int | None = None
    """Of the whole training."""

    @property
    def device_name(self) -> str:
        """``cuda:0 (NVIDIA H100)``: the framework's name and the hardware's."""
        return f"{self.device.id} ({self.device.name})"


class Slices(_Message):
    """The slices since the last such message; at least one."""

    kind: Literal["slices"] = "slices"
    slices: tuple[Slice, ...] = Field(min_length=1)


class EpochEnd(_Message):
    """An epoch has ended and was evaluated."""

    kind: Literal["epoch"] = "epoch"
    figures: Epoch


class Result(Conclusion):
    """The training has ended. What its slices took is known from them; these are the times beside
    them.
    """

    kind: Literal["result"] = "result"
    final: Final
    memory: Memory
    evaluate_s: float
    """All validation passes after an epoch."""
    total_s: float
    """From the worker's start to this message."""


class ParityChecked(Conclusion):
    """The short parity check after a training has written its observation, or broke."""

    kind: Literal["parity"] = "parity"
    error: str | None = None


class CheckProgress(_Message):
    """How far a parity check is."""

    kind: Literal["progress"] = "progress"
    what: str
    done: int
    of: int


class Derived(Conclusion):
    """What one method gave for a formula, in the order of the points; None: not finite."""

    kind: Literal["derived"] = "derived"
    method: Method
    status: Literal["ok", "n/a", "failed"]
    how: str
    """The framework's own function, ``torch.func.jvp``."""
    reason: str | None = None
    values: tuple[float | None, ...] | None = None


class Probed(Conclusion):
    """The devices that a framework sees."""

    kind: Literal["probed"] = "probed"
    devices: tuple[Device, ...]


class TrialEnd(Conclusion):
    """One trial has ended; the worker waits for the next."""

    kind: Literal["trial_end"] = "trial_end"
    status: TrialStatus
    reason: str | None
    resident_bytes: int
    """What the process holds when the trial has been freed."""


class Proposed(Conclusion):
    """The trial has its parameters, which stand in the storage, or none could be found."""

    kind: Literal["proposed"] = "proposed"
    error: str | None = None


class End(Conclusion):
    """The last word of every worker."""

    kind: Literal["end"] = "end"
    status: Status
    reason: str | None = None


ParentWord = Go | Stop | BeginTrial | Answer | Quit | OpenStudy | Propose
WorkerWord = (
    Imported
    | Built
    | Slices
    | EpochEnd
    | Result
    | ParityChecked
    | CheckProgress
    | Derived
    | Probed
    | TrialEnd
    | Proposed
    | End
)
Message = ParentWord | WorkerWord

PARENT_WORDS: TypeAdapter[ParentWord] = TypeAdapter(
    Annotated[ParentWord, Field(discriminator="kind")]
)
WORKER_WORDS: TypeAdapter[WorkerWord] = TypeAdapter(
    Annotated[WorkerWord, Field(discriminator="kind")]
)


def encode(message: Message) -> bytes:
    """The message as strict JSON in UTF-8, on one line."""
    return message.model_dump_json().encode()


def decode(data: bytes, words: TypeAdapter[_Word]) -> _Word:
    """The message that ``encode`` wrote.

    Args:
        data: one line of JSON.
        words: ``PARENT_WORDS`` or ``WORKER_WORDS``, whichever the other side speaks.

    Raises:
        MessageError: no JSON, no such kind, or a field that does not belong there; it says which.
    """
    try:
        return words.validate_json(data)
    except ValidationError as error:
        raise MessageError(_explanation(data, error)) from None


def _explanation(data: bytes, error: ValidationError) -> str:
    # the beginning names the kind; a whole training's slices would hide it
    shown = data[:_SHOWN_BYTES].decode(errors="replace")
    # the reader must see that it goes on
    if len(data) > _SHOWN_BYTES:
        shown += "…"
    return f"not understood: {first_problem(error)}, in {shown}"


def first_problem(error: ValidationError) -> str:
    """``slices.0.begin: Field required``: the first thing that is wrong, and where."""
    first = error.errors()[0]
    # the location begins with the kind, unless no kind was recognized
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
