"""The native convention, as far as it is the same for every backend: what the file leaves open, and
who fills it.

A value that the file leaves open (``leaves_open``) takes the framework's own default, which the
backend's ``native.py`` reads from the framework; initial weights that the file leaves open are the
framework's own draw, keyed by the seed. What a framework does differently under the same name
stands in each backend's ``native.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from nncompare.backends.base import Params
from nncompare.numerics.initializers import draw, initial_params
from nncompare.spec.families import LayerList
from nncompare.spec.frozen import Frozen
from nncompare.spec.job import Job
from nncompare.spec.layers import LAYERS, Layer
from nncompare.spec.training import OPTIMIZERS

Part = TypeVar("Part", bound=Frozen)
Defaults = Mapping[str, Any]
"""``batch_norm.epsilon`` -> the framework's default, in the file's sense, for every one of
``open_values``.
"""


def open_values() -> tuple[str, ...]:
    """``batch_norm.epsilon`` and the like: the values of layers and optimizers for which every
    framework has a default of its own, in the order of the classes that mark them with ``Open``.
    """
    parts: dict[str, type[Frozen]] = {**LAYERS, **OPTIMIZERS}
    return tuple(f"{kind}.{name}" for kind, part in parts.items() for name in part.open_fields())


def resolve(job: Job, defaults: Defaults) -> Job:
    """The job with open values filled in from ``defaults``; an aligned job as it is.

    The model becomes the list of its layers. Initializers stay open. Resolving twice changes
    nothing more. The values are for the plan, the ledger and the formulas: a lowering leaves them
    out where it calls the framework (``Frozen.given``).
    """
    if not job.native:
        return job
    experiment = job.experiment
    layers: tuple[Any, ...] = tuple(_filled_layer(node.layer, defaults) for node in job.model.nodes)
    optimizer = _filled(experiment.train.optimizer, experiment.train.optimizer.name, defaults)
    changes = {
        "model": LayerList(layers=layers),
        "train": experiment.train.model_copy(update={"optimizer": optimizer}),
    }
    return replace(job, experiment=experiment.model_copy(update=changes))


def _filled_layer(layer: Layer, defaults: Defaults) -> Layer:
    filled = _filled(layer, layer.type, defaults)
    inside = {
        name: tuple(_filled_layer(item, defaults) for item in getattr(filled, name))
        for name in filled.inside
    }
    return filled.model_copy(update=inside)


def _filled(part: Part, kind: str, defaults: Defaults) -> Part:
    values = {}
    for name in type(part).model_fields:
        key = f"{kind}.{name}"
        if key in defaults and part.leaves_open(name):
            values[name] = defaults[key]
    return part.filled(values)


def start(job: Job) -> Params:
    """What ``Session.load`` is given before training, in float64.

    Aligned: every parameter and running statistic. Native: the parameters for which the file names
    an initializer, drawn as in the aligned convention; the session keeps its framework's own draw
    of all others.
    """
    if not job.native:
        return initial_params(job.model, job.seed)
    found: Params = {}
    for node in job.model.walk():
        for item in node.parameters:
            if node.layer.gives_start(item):
                name = f"{node.name}.{item.name}"
                found[name] = draw(item, name, job.seed)
    return found


def trained_count(job: Job, params: Params) -> int:
    """Number of trained numbers of a session with these ``params``, its framework's additional ones
    included.
    """
    known = job.model.parameters
    return sum(
        array.size for name, array in params.items() if name not in known or known[name].trainable
    )
