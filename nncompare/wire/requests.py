"""What one worker is asked to do: one frozen class a kind, one tagged union.

A request stands in the job folder's ``job.json`` (``wire.job_folder``) and can be replayed by hand
with ``python -m nncompare.worker FOLDER``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, TypeAdapter

from nncompare.config.dump import as_given
from nncompare.data.base import Part
from nncompare.formulas.expression import Expression, from_data, to_data
from nncompare.spec.experiment import DeviceName
from nncompare.spec.job import Job

Array = NDArray[Any]


def _job_text(job: Job) -> dict[str, Any]:
    """A job for JSON. Of the experiment only what was given: a default that is written out would be
    no default in the worker.
    """
    # the file replays the job by hand, so all of its fields stand there
    return vars(job) | {"experiment": as_given(job.experiment)}


def _array_text(array: Array) -> dict[str, Any]:
    """An array for JSON, which writes floats so that they come back bit by bit."""
    return {"dtype": array.dtype.name, "shape": array.shape, "values": array.ravel().tolist()}


def _read_array(value: Any) -> Array:
    # made in Python; else read from the file
    if isinstance(value, np.ndarray):
        return value
    return np.array(value["values"], np.dtype(value["dtype"])).reshape(value["shape"])


def _read_expression(value: Any) -> Expression:
    return from_data(value) if isinstance(value, list) else value


_Job = Annotated[Job, PlainSerializer(_job_text)]
_Array = Annotated[Array, PlainValidator(_read_array), PlainSerializer(_array_text)]
_Expression = Annotated[Expression, PlainValidator(_read_expression), PlainSerializer(to_data)]


class _Request(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, ser_json_inf_nan="constants"
    )

    kind: str
    """Declared here so that it stands first in the file."""


class _JobRequest(_Request):
    """A request about one job on prepared data.

    Args:
        job: runtime, experiment, device, threads, seed.
        data: the folder of the prepared arrays.
    """

    job: _Job
    data: Path

    @property
    def runtime(self) -> str:
        return self.job.runtime

    @property
    def threads(self) -> int:
        return self.job.threads

    @property
    def device(self) -> DeviceName:
        return self.job.device

    @property
    def deterministic(self) -> bool:
        return self.job.deterministic


class TrainRequest(_JobRequest):
    """Train the job to its end.

    Args:
        save_weights: whether the final weights go to the job folder.
    """

    kind: Literal["train"] = "train"
    save_weights: bool = False


class TrialRequest(_JobRequest):
    """Train the job as one trial of a search. Replayed by hand it trains to its end.

    Args:
        judged: whether the worker waits for the parent's ``answer`` after every epoch but the last.
        parts: of the data that are evaluated at the end.
    """

    kind: Literal["trial"] = "trial"
    judged: bool
    parts: tuple[Part, ...]


class CheckRequest(_JobRequest):
    """Put the job through a parity check and write down what it does.

    Args:
        steps: of the trajectory.
    """

    kind: Literal["check"] = "check"
    steps: int


class PerturbedRequest(_JobRequest):
    """The trajectory of a parity check alone, from weights that are moved by rounding.

    Args:
        steps: of the trajectory.
    """

    kind: Literal["perturbed"] = "perturbed"
    steps: int


class DeriveRequest(_Request):
    """Differentiate a formula, on the CPU.

    Args:
        function: the formula.
        derivative: its symbolic derivative of this order, a formula too.
        order: 1 or 2.
        points: ``(N,)``, in the dtype to compute in.
        neighbours: ``(S, N)``, where the function is wanted for finite differences.
        threads: CPU threads.
    """

    kind: Literal["derive"] = "derive"
    runtime: str
    function: _Expression
    derivative: _Expression
    order: int
    points: _Array
    neighbours: _Array
    threads: int = 1
    device: ClassVar[DeviceName] = "cpu"
    deterministic: ClassVar[bool] = False


class ProbeRequest(_Request):
    """Import the framework and say which versions and devices it has."""

    kind: Literal["probe"] = "probe"
    runtime: str
    threads: int = 1
    device: ClassVar[DeviceName] = "auto"
    deterministic: ClassVar[bool] = False


class ServeTrialsRequest(_Request):
    """Train one trial of a search after the other, as the parent says; replay one of them by its
    own folder.
    """

    kind: Literal["serve_trials"] = "serve_trials"
    runtime: str
    threads: int
    device: DeviceName
    deterministic: ClassVar[bool] = False


Request = (
    TrainRequest
    | TrialRequest
    | CheckRequest
    | PerturbedRequest
    | DeriveRequest
    | ProbeRequest
    | ServeTrialsRequest
)
REQUESTS: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="kind")])
