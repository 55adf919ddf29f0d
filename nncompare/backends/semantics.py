"""What frameworks do differently under the same name, in words that all backends share.

A backend hands ``describe`` what it does: ``ALIGNED``, which is the canonical meaning and the same
    for all, or the
``NATIVE`` of its own ``native.py``. So equal things have equal words and never show up as
differing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from nncompare.backends.native import OPEN
from nncompare.spec.initializers import Initializer
from nncompare.spec.job import Job
from nncompare.spec.model import Node

AFTER_CORRECTION = "after the root, after bias correction"
BEFORE_CORRECTION = "after the root, before bias correction"
AFTER_ROOT = "after the root"
UNDER_ROOT = "under the root"
CURRENT_RATE = "the current step's"
OLD_RATES = "their own steps'"
SUMMED = "repeated tokens summed, then the update"
SQUARED_FIRST = "repeated tokens squared, then summed"
LAZY = "repeated tokens summed; rows without a token keep their state"
L2_IN_LOSS = "l2 * sum w^2 of kernels, in the loss"
L2_HALVED = "l2/2 * sum w^2 of kernels, in the loss"
L2_AS_DECAY = "weight_decay: l2/2 * sum w^2 of all parameters, in the optimizer"


@dataclass(frozen=True, kw_only=True)
class Semantics:
    """Everything about layers and optimizers that their values do not say.

    Args:
        epsilon_placement: optimizer -> where its epsilon stands.
        momentum_rate: optimizer -> the learning rate that scales old gradients inside the momentum.
        bias_correction: precision of Adam's corrections; ``{dtype}``: that of the weights.
        first_mean_square: optimizer -> where the running mean of squared gradients starts.
        constants: precision that numbers of the file have in a float64 run.
        clipping: what ``clip_norm`` is compared with.
        l2: optimizer -> what ``penalty.l2`` means; ``""``: all others.
        table_gradient: optimizer -> what becomes of a token that occurs twice, and of one that does
            not occur.
        running_variance: of batch normalization.
        pooled_padding: whether average pooling counts padding.
        biases: recurrent layer -> its trained biases.
        starts: ``lstm.bias``, or a role such as ``kernel``, -> how the parameter starts where the
            file leaves it open.
        added: ``lstm.recurrent_bias`` -> how a parameter starts that only this framework's layer
            has.
    """

    epsilon_placement: Mapping[str, str]
    momentum_rate: Mapping[str, str]
    bias_correction: str
    first_mean_square: Mapping[str, str]
    constants: str
    clipping: str
    l2: Mapping[str, str]
    table_gradient: Mapping[str, str]
    running_variance: str
    pooled_padding: str
    biases: Mapping[str, str]
    starts: Mapping[str, str] = field(default_factory=dict)
    added: Mapping[str, str] = field(default_factory=dict)


ALIGNED = Semantics(
    epsilon_placement={"adam": AFTER_CORRECTION, "adamw": AFTER_CORRECTION, "rmsprop": AFTER_ROOT},
    momentum_rate={"sgd": CURRENT_RATE, "rmsprop": CURRENT_RATE},
    bias_correction="float64",
    first_mean_square={"rmsprop": "0"},
    constants="float64",
    clipping="global norm",
    l2={"": L2_IN_LOSS},
    table_gradient={"": SUMMED},
    running_variance="unbiased",
    pooled_padding="not counted",
    biases={"rnn": "1", "lstm": "1", "gru": "2"},
)
"""The canonical meanings: ``numerics.reference``, ``numerics.updates``, and the conformance suite
that holds every backend to them.
"""


def describe(job: Job, semantics: Semantics) -> dict[str, str]:
    """Effective settings that touch the mathematics: name -> value, only those that this experiment
    uses.

    Args:
        job: with open values filled in (``backends.native.resolve``).
        semantics: of the backend, in the job's convention.
    """
    nodes = list(job.model.walk())
    return {
        "convention": job.experiment.train.convention,
        "initial weights": (
            "the framework's own where the file names none" if job.native else "nncompare's"
        ),
        **_joined(_layer_values(nodes)),
        **dict(_layer_meanings(nodes, semantics)),
        **dict(_optimizer(job, semantics)),
        **dict(_penalties(job, nodes, semantics)),
        **(_joined(_starts(nodes, semantics)) if job.native else {}),
    }


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Several layers of a type may have several values: each once, in the order of the model."""
    found: dict[str, dict[str, None]] = {}
    for name, words in pairs:
        found.setdefault(name, {})[words] = None
    return {name: " and ".join(words) for name, words in found.items()}


def _layer_values(nodes: list[Node]) -> Iterator[tuple[str, str]]:
    """``batch_norm epsilon`` and the like."""
    for node in nodes:
        for name in type(node.layer).model_fields:
            if f"{node.layer.type}.{name}" in OPEN:
                yield f"{node.layer.type} {name}", _word(getattr(node.layer, name))


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _layer_meanings(nodes: list[Node], semantics: Semantics) -> Iterator[tuple[str, str]]:
    types = {node.layer.type for node in nodes}
    if "batch_norm" in types:
        yield "batch_norm running variance", semantics.running_variance
    if any(node.layer.type == "avg_pool2d" and _is_padded(node) for node in nodes):
        yield "avg_pool2d padding", semantics.pooled_padding
    for kind in sorted(types & semantics.biases.keys()):
        yield f"{kind} trained biases", semantics.biases[kind]


def _is_padded(node: Node) -> bool:
    pads = getattr(node.layer, "pads")(node.input)  # noqa: B009 - of pooling layers
    return any(amount for axis in pads for amount in axis)


def _optimizer(job: Job, semantics: Semantics) -> Iterator[tuple[str, str]]:
    optimizer = job.experiment.train.optimizer
    for name in type(optimizer).model_fields:
        if name != "name":
            yield f"optimizer {name}", _word(getattr(optimizer, name))
    kind = optimizer.name
    if kind in semantics.epsilon_placement:
        yield "epsilon placement", semantics.epsilon_placement[kind]
    if getattr(optimizer, "momentum", 0.0) > 0:
        yield "rate of old gradients", semantics.momentum_rate[kind]
    if kind in ("adam", "adamw"):
        yield "bias correction in", semantics.bias_correction.format(dtype=job.dtype.name)
    if kind == "adamw":
        yield "weight decay", "decoupled, on every parameter"
    if kind in semantics.first_mean_square:
        yield "mean square starts at", semantics.first_mean_square[kind]
    if job.dtype == "float64":
        yield "constants", semantics.constants


def _penalties(job: Job, nodes: list[Node], semantics: Semantics) -> Iterator[tuple[str, str]]:
    train, kind = job.experiment.train, job.experiment.train.optimizer.name
    if train.clip_norm is not None:
        yield "clipping by", semantics.clipping
    if train.penalty.l2:
        yield "l2", semantics.l2.get(kind, semantics.l2[""])
    if any(node.layer.type == "embedding" for node in nodes):
        yield "embedding gradient", semantics.table_gradient.get(kind, semantics.table_gradient[""])


def _starts(nodes: list[Node], semantics: Semantics) -> Iterator[tuple[str, str]]:
    """``lstm.bias starts``: the file's initializer, or the framework's own."""
    for node in nodes:
        kind = node.layer.type
        for item in node.parameters:
            own = semantics.starts.get(f"{kind}.{item.name}") or semantics.starts.get(item.role)
            words = _initializer(item.initializer) if node.layer.gives_start(item) else own
            if words is not None:
                yield f"{kind}.{item.name} starts", words
        for name, words in semantics.added.items():
            if name.partition(".")[0] == kind:
                yield f"{name} starts", words


def _initializer(initializer: Initializer) -> str:
    scale = "" if initializer.scale is None else f" {initializer.scale:g}"
    return f"nncompare's {initializer.name}{scale}"
