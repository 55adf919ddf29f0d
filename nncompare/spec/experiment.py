"""The whole experiment file as one frozen object."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from nncompare.errors import ShapeError
from nncompare.spec.data import DATA, DataSet, Signature, Task
from nncompare.spec.families import AnyModel
from nncompare.spec.frozen import LIMIT, Frozen
from nncompare.spec.model import Model, resolve
from nncompare.spec.runtimes import CATALOG, DEFAULT_RUNTIMES
from nncompare.spec.training import Train
from nncompare.spec.tune import Tune

if TYPE_CHECKING:
    AnyData = DataSet
    RuntimeName = str
else:
    # What is allowed are the names of the catalogs, plug-ins among them, for messages and the
    # JSON Schema too.
    AnyData = Annotated[reduce(or_, DATA.values()), Field(discriminator="name")]
    RuntimeName = Literal[tuple(CATALOG)]
DeviceName = Literal["auto", "cpu", "gpu", "tpu"]


class Measure(Frozen):
    """How it is run and timed."""

    rounds: int = Field(default=1, ge=1, le=1)
    """Fresh processes per runtime."""
    device: DeviceName = "auto"
    """``auto``: the first of tpu, gpu, cpu that the runtime has."""
    threads: Annotated[int, Field(gt=0, le=LIMIT)] | None = None
    """CPU threads per runtime; null: all that this process may use."""
    parity: Literal["quick", "full", "off"] = "quick"
    """``quick``: forward pass, gradients and 10 steps are compared after the training; ``full``:
    all of ``verify``.
    """
    timeout_s: Annotated[float, Field(gt=0)] = 3600.0
    """Longest time that one runtime may take."""


def _unique(value: Any) -> Any:
    if not isinstance(value, (list, tuple)):
        return value
    found: list[Any] = []
    # no set: a list or a mapping among the names has no hash, and is refused after this
    for name in value:
        if name not in found:
            found.append(name)
    return tuple(found)


class Experiment(Frozen):
    """One experiment: data, model, training, runtimes."""

    name: str = Field(default="experiment", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    """Letters, digits, dot, dash and underscore; part of the result folder's name."""
    task: Task = "classification"
    """What is learned. It decides head and loss: softmax cross-entropy, sigmoid cross-entropy, or
    mean squared error.
    """
    data: AnyData
    """The data set, chosen by ``name``; see [data](#data)."""
    model: AnyModel
    """The network, chosen by ``family``; see [model](#model)."""
    train: Train = Train()
    """How the network is trained; see [train](#train)."""
    backends: Annotated[tuple[RuntimeName, ...], BeforeValidator(_unique)] = Field(
        default=DEFAULT_RUNTIMES, min_length=1
    )
    """The runtimes to compare, in the order of the tables."""
    measure: Measure = Measure()
    """How it is run and timed; see [measure](#measure)."""
    tune: Tune | None = None
    """Read by ``nncompare tune``; see [tune](#tune)."""
    sweep: dict[str, Any] | None = None
    """Read by ``nncompare sweep``, which does not exist yet."""

    def resolve(self, signature: Signature) -> Model:
        """The model with all shapes, for the data's signature.

        Raises:
            ShapeError: with ``path`` set to the key at fault.
        """
        explicit = self.model.family == "layers"
        if signature.input.size > LIMIT:
            message = (
                f"an example would have {signature.input.size:,} numbers, which no memory holds"
            )
            raise ShapeError(message, path="data")
        try:
            layers = list(self.model.layers_for(signature))
            model = resolve(layers, signature.input)
        except ShapeError as error:
            # the layers of a family have no place in the file; its keys have
            path = error.path if explicit and error.path else "model"
            field = error.field
            if field == "units" and not explicit:
                field = self.model.units_key
            if field and (explicit or field in type(self.model).model_fields):
                path += f".{field}"
            raise ShapeError(error.message, field=error.field, path=path) from None
        self._check_output(model, signature)
        return model

    def _check_output(self, model: Model, signature: Signature) -> None:
        steps = signature.input.shape[:1] if signature.per_step else ()
        wanted = (*steps, signature.outputs)
        if model.output.shape != wanted:
            ending = f"{{type: dense, units: {signature.outputs}}}"
            # a dense layer keeps every axis but the last
            if len(model.output.shape) > len(wanted):
                ending = f"{{type: flatten}}, {ending}"
            raise ShapeError(
                f"the last layer gives {model.output}, but task {self.task} on {self.data.name}"
                f" needs {wanted}; end the list with {ending}",
                path="model.layers" if self.model.family == "layers" else "model",
            )


__all__ = ["DeviceName", "Experiment", "Measure", "RuntimeName"]
