"""What frameworks do differently under the same name: *knobs*, each with every documented meaning.

A ``Semantics`` holds one meaning a knob. ``ALIGNED`` is the canonical one; a backend's
``semantics(job)`` says what its framework does in the native convention. The formulas of this
package obey them all: ``reference.outputs``, ``reference.loss``, ``losses.penalty`` and
``updates.step`` take ``semantics=``. One table, ``KNOBS``, serves every use of them:

- the ledger under the tables of a report (``describe``);
- the certificate of both conventions and the conformance suite, which hold a framework to the
  formulas under the semantics that its backend declares;
- the explanation of a failed check, which tries the other meanings one at a time::

    for alternative in ALIGNED.alternatives(job):   # only knobs that this experiment turns
        expected, _ = updates.step(..., semantics=alternative.semantics)
        # alternative.setting: "epsilon placement"; alternative.words: "under the root"

To add a knob: an enumeration of its meanings with their sources, a field of ``Semantics``, an entry
of ``KNOBS``, and the formula that reads it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

import numpy as np

from nncompare.spec.initializers import Initializer
from nncompare.spec.job import Job
from nncompare.spec.layers import Layer
from nncompare.spec.model import Model, Node
from nncompare.spec.training import AdamW


class Epsilon(StrEnum):
    """Where the epsilon of Adam, AdamW and RMSprop stands. RMSprop corrects no bias, so that the
    first two mean the same there.
    """

    AFTER_CORRECTION = "after the root, after bias correction"
    """``m_hat / (sqrt(v_hat) + epsilon)``: Kingma and Ba 2015, Algorithm 1; torch.optim.Adam,
    torch.optim.RMSprop.
    """
    BEFORE_CORRECTION = "after the root, before bias correction"
    """``m_hat sqrt(1 - beta2^t) / (sqrt(v) + epsilon)``: "epsilon hat" of Kingma and Ba 2015, end
    of section 2; keras.optimizers.Adam, tf.compat.v1.train.AdamOptimizer.
    """
    UNDER_ROOT = "under the root"
    """``m_hat / sqrt(v_hat + epsilon)``: keras.optimizers.RMSprop,
    tf.compat.v1.train.RMSPropOptimizer.
    """


class MomentumRate(StrEnum):
    """Which learning rate scales the gradients that a momentum buffer holds from earlier steps."""

    CURRENT = "the current step's"
    """``m = mu m + g``, ``w -= lr m``: torch.optim.SGD ("differs from Sutskever et al."),
    tf.compat.v1.train.MomentumOptimizer.
    """
    OLD = "their own steps'"
    """``m = mu m + lr g``, ``w -= m``: Sutskever et al. 2013, equations 1 and 2;
    keras.optimizers.
    """


class BiasCorrection(StrEnum):
    """In which precision Adam's ``1 - beta^t`` is computed."""

    FLOAT64 = "float64"
    ROUNDED = "float64, of betas rounded to float32"
    """keras.optimizers.Adam in a float64 run, through ``ops.cast``."""
    FLOAT32 = "float32"
    """Keras in a float32 run; tf.compat.v1.train.AdamOptimizer always, whose ``beta1_power`` is a
    float32 variable that every step multiplies.
    """


class MeanSquareStart(StrEnum):
    """Where RMSprop's running mean of squared gradients starts."""

    ZERO = "0"
    ONE = "1"
    """tf.compat.v1.train.RMSPropOptimizer."""


class Clipping(StrEnum):
    """What ``clip_norm`` limits."""

    GLOBAL = "global norm"
    """Pascanu et al. 2013, Algorithm 1; keras' ``global_clipnorm``, tf.clip_by_global_norm."""
    GLOBAL_BY_TOKEN = "global norm, of tables token by token"
    """The same two where the model has an embedding: of the gradient of a table, which is a
    ``tf.IndexedSlices``, they square the rows before a repeated token's are summed.
    """
    GLOBAL_PLUS = "global norm + 1e-06"
    """torch.nn.utils.clip_grad_norm_."""
    PER_TENSOR = "each tensor's own norm"
    """keras' ``clipnorm``."""
    PER_VALUE = "every value by itself"
    """keras' ``clipvalue``, torch.nn.utils.clip_grad_value_."""


class L2(StrEnum):
    """What ``penalty.l2`` means."""

    IN_LOSS = "l2 * sum w^2 of kernels, in the loss"
    """keras.regularizers.L2."""
    HALVED = "l2/2 * sum w^2 of kernels, in the loss"
    """tf.nn.l2_loss."""
    AS_DECAY = "weight_decay: l2/2 * sum w^2 of all parameters, in the optimizer"
    """``g + l2 w`` after clipping: torch.optim.SGD, Adam, RMSprop."""
    DECOUPLED = "weight_decay: decoupled, of all parameters"
    """``w -= lr l2 w`` before the step: every one of keras.optimizers."""


class TableGradient(StrEnum):
    """What an optimizer makes of a token that occurs twice in a batch, and of one that does not."""

    SUMMED = "repeated tokens summed, then the update"
    """The gradient of the table as a dense array."""
    SQUARED_FIRST = "repeated tokens squared, then summed"
    """Adam, AdamW and RMSprop of keras.optimizers on TensorFlow, whose ``ops.square`` takes the
    rows of ``tf.IndexedSlices`` one by one; not after clipping, which makes the gradient dense.
    """
    LAZY = "repeated tokens summed; rows without a token keep their state"
    """The sparse kernels of tf.compat.v1.train's momentum and RMSprop."""


class RunningVariance(StrEnum):
    """Which variance of the batch goes into the running variance of batch normalization."""

    UNBIASED = "unbiased"
    """Ioffe and Szegedy 2015, Algorithm 2; torch.nn.BatchNorm2d."""
    BIASED = "biased"
    """keras.layers.BatchNormalization, tf.nn.moments."""


class PooledPadding(StrEnum):
    """Whether the mean of a pooling window counts the zeros of the padding."""

    NOT_COUNTED = "not counted"
    """tf.nn.avg_pool2d, keras.layers.AveragePooling2D."""
    COUNTED = "counted"
    """torch.nn.AvgPool2d (``count_include_pad``)."""


class RecurrentBiases(StrEnum):
    """How many biases a simple RNN or an LSTM trains. (A GRU has two, which are not the same.)"""

    ONE = "1"
    """Elman 1990; Gers et al. 2000; keras.layers.LSTM."""
    TWO = "2, used as their sum"
    """torch.nn.RNN and LSTM: the sum moves twice as fast."""


SECOND_BIAS = "recurrent_bias"
"""Its name in the canonical parameters of a framework that has two."""


class FinalActivation(StrEnum):
    """What the loss makes of a softmax or sigmoid at the end of the model."""

    TRAINED_THROUGH = "trained through"
    TAKEN_BACK = "taken back by the loss"
    """keras.losses, which reads the activation's input (``_keras_logits``)."""


@dataclass(frozen=True, kw_only=True)
class Semantics:
    """Everything about layers and optimizers that their values do not say, for one experiment. The
    defaults are the canonical meanings.

    Args:
        rounded: names of the constants that pass through float32 in a float64 run: TensorFlow
            makes a tensor of a Python float without being told its dtype. See ``constants``.
        starts: ``lstm.bias``, or a role such as ``kernel``, -> words for how the parameter starts
            where the file leaves it open. The ledger's alone: checks load their weights.
        added: ``lstm.recurrent_bias`` -> the same of a parameter that only this framework's layer
            has.
    """

    epsilon: Epsilon = Epsilon.AFTER_CORRECTION
    momentum_rate: MomentumRate = MomentumRate.CURRENT
    bias_correction: BiasCorrection = BiasCorrection.FLOAT64
    mean_square_start: MeanSquareStart = MeanSquareStart.ZERO
    clipping: Clipping = Clipping.GLOBAL
    l2: L2 = L2.IN_LOSS
    table_gradient: TableGradient = TableGradient.SUMMED
    running_variance: RunningVariance = RunningVariance.UNBIASED
    pooled_padding: PooledPadding = PooledPadding.NOT_COUNTED
    recurrent_biases: RecurrentBiases = RecurrentBiases.ONE
    final_activation: FinalActivation = FinalActivation.TRAINED_THROUGH
    rounded: frozenset[str] = frozenset()
    starts: Mapping[str, str] = field(default_factory=dict)
    added: Mapping[str, str] = field(default_factory=dict)

    def constant(self, name: str, value: float) -> float:
        """A number of the file as the framework computes with it in a float64 run."""
        return float(np.float32(value)) if name in self.rounded else value

    def added_parameters(self, model: Model) -> dict[str, str]:
        """Names of the trained parameters that the canonical layers lack -> the one beside each,
        which has its shape and its gradient.
        """
        if self.recurrent_biases is not RecurrentBiases.TWO:
            return {}
        return {
            f"{node.name}.{SECOND_BIAS}": f"{node.name}.bias"
            for node in model.walk()
            if node.layer.sums_biases
        }

    def alternatives(self, job: Job) -> Iterator[Alternative]:
        """Every other meaning of every knob that this experiment turns, one at a time; then every
        constant alone, rounded to float32 or no longer rounded.
        """
        for knob in KNOBS:
            settings = knob.settings(job)
            own = getattr(self, knob.field)
            # what reads the same in an experiment is the same
            told = {knob.words(job, own)}
            for meaning in knob.meanings if settings else ():
                words = knob.words(job, meaning)
                if words not in told:
                    told.add(words)
                    change: dict[str, Any] = {knob.field: meaning}
                    changed = replace(self, **change)
                    yield Alternative(setting=settings[0], words=words, semantics=changed)
        for name in constants(job):
            words = "exact" if name in self.rounded else "rounded to float32"
            changed = replace(self, rounded=self.rounded ^ {name})
            yield Alternative(setting=name, words=words, semantics=changed)

    def to_json(self) -> dict[str, Any]:
        """Plain values; the words of the ledger name the meanings."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {
            **{name: str(value) for name, value in found.items() if isinstance(value, StrEnum)},
            "rounded": sorted(self.rounded),
            "starts": dict(self.starts),
            "added": dict(self.added),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Semantics:
        """What ``to_json`` gave."""
        meanings: dict[str, Any] = {knob.field: knob.meanings(values[knob.field]) for knob in KNOBS}
        return cls(
            rounded=frozenset(values["rounded"]),
            starts=values["starts"],
            added=values["added"],
            **meanings,
        )


ALIGNED = Semantics()
"""The canonical meanings, to which the aligned convention holds every backend."""


@dataclass(frozen=True, kw_only=True)
class Alternative:
    """A ``Semantics`` with one thing changed.

    Args:
        setting: what was changed, in the ledger's word: ``epsilon placement``.
        words: what it now means: ``under the root``.
        semantics: the whole with this change.
    """

    setting: str
    words: str
    semantics: Semantics


@dataclass(frozen=True)
class Knob:
    """One thing that frameworks mean differently.

    Args:
        field: its name in ``Semantics``.
        meanings: the enumeration of them, in the ledger's words.
        settings: the names under which it stands in the ledger of an experiment; none where the
            experiment does not turn it.
    """

    field: str
    meanings: type[StrEnum]
    settings: Callable[[Job], list[str]]

    def words(self, job: Job, meaning: StrEnum) -> str:
        """The ledger's words for a meaning, in this experiment."""
        match meaning:
            case Epsilon() if not job.experiment.train.optimizer.corrects_bias:
                # without bias correction there is nothing to stand before or after
                return meaning.partition(",")[0]
            case Clipping.GLOBAL_BY_TOKEN if not has_embedding(job):
                return str(Clipping.GLOBAL)
            case TableGradient.SQUARED_FIRST if not _keeps_squares(job):
                return str(TableGradient.SUMMED)
            case _:
                return str(meaning)


def _layers(job: Job) -> dict[str, Layer]:
    """Type -> one of the model's layers of this type, by the alphabet."""
    found = {node.layer.type: node.layer for node in job.model.walk()}
    return dict(sorted(found.items()))


def has_embedding(job: Job) -> bool:
    """Whether the model looks up tokens in a table."""
    return any(layer.takes_tokens for layer in _layers(job).values())


def _optimizer_has(job: Job, name: str) -> bool:
    return name in type(job.experiment.train.optimizer).model_fields


def _keeps_squares(job: Job) -> bool:
    """Whether the optimizer keeps a running mean of squared gradients."""
    return job.experiment.train.optimizer.keeps_squares


def _keeps_uncorrected_squares(job: Job) -> bool:
    optimizer = job.experiment.train.optimizer
    return optimizer.keeps_squares and not optimizer.corrects_bias


def _setting(name: str, turned: Callable[[Job], Any]) -> Callable[[Job], list[str]]:
    """``Knob.settings`` of a knob with one name in the ledger."""
    return lambda job: [name] if turned(job) else []


def _biases(job: Job) -> list[str]:
    return [f"{kind} trained biases" for kind, layer in _layers(job).items() if layer.sums_biases]


def _running_variances(job: Job) -> list[str]:
    return [
        f"{kind} running variance"
        for kind, layer in _layers(job).items()
        if layer.running_momentum is not None
    ]


def _padded_means(job: Job) -> list[str]:
    kinds = {
        node.layer.type for node in job.model.walk() if node.layer.averages_padding(node.input)
    }
    return [f"{kind} padding" for kind in sorted(kinds)]


def _ends_in_probabilities(job: Job) -> bool:
    return job.model.nodes[-1].layer.probabilities_of == job.experiment.task


KNOBS = (
    Knob(
        "running_variance",
        RunningVariance,
        _running_variances,
    ),
    Knob("pooled_padding", PooledPadding, _padded_means),
    Knob("recurrent_biases", RecurrentBiases, _biases),
    Knob(
        "final_activation",
        FinalActivation,
        _setting("activation at the end", _ends_in_probabilities),
    ),
    Knob(
        "epsilon",
        Epsilon,
        _setting("epsilon placement", lambda job: _optimizer_has(job, "epsilon")),
    ),
    Knob(
        "momentum_rate",
        MomentumRate,
        _setting(
            "rate of old gradients",
            lambda job: getattr(job.experiment.train.optimizer, "momentum", 0.0) > 0,
        ),
    ),
    Knob(
        "bias_correction",
        BiasCorrection,
        _setting("bias correction in", lambda job: job.experiment.train.optimizer.corrects_bias),
    ),
    Knob(
        "mean_square_start",
        MeanSquareStart,
        _setting("mean square starts at", _keeps_uncorrected_squares),
    ),
    Knob(
        "clipping",
        Clipping,
        _setting("clipping by", lambda job: job.experiment.train.clip_norm is not None),
    ),
    Knob("l2", L2, _setting("l2", lambda job: job.experiment.train.penalty.l2 > 0)),
    Knob(
        "table_gradient",
        TableGradient,
        _setting("embedding gradient", has_embedding),
    ),
)
"""All knobs, in the order of the ledger: layers, optimizer, penalties."""


def constants(job: Job) -> tuple[str, ...]:
    """Names of the numbers that a framework may round to float32 in a float64 run: those of the
    layers, the optimizer's but for its learning rate, and the penalties.
    """
    train = job.experiment.train
    layers = [f"{kind}.{name}" for kind, layer in _layers(job).items() for name in layer.rounded]
    numbers = [
        f"{train.optimizer.name}.{name}"
        for name in type(train.optimizer).model_fields
        # bool is an int in Python, and no number here
        if name not in ("name", "lr") and isinstance(getattr(train.optimizer, name), float)
    ]
    penalties = [f"penalty.{name}" for name in ("l1", "l2") if getattr(train.penalty, name)]
    return (*layers, *numbers, *penalties)


def describe(job: Job, semantics: Semantics) -> dict[str, str]:
    """Effective settings that touch the mathematics: name -> value, only those that this experiment
    uses.

    Args:
        job: with open values filled in (``backends.native.resolve``).
        semantics: of the backend, in the job's convention.
    """
    nodes = list(job.model.walk())
    own = "the framework's own where the file names none"
    return {
        "convention": job.experiment.train.convention,
        "initial weights": own if job.native else "nncompare's",
        **_joined(_layer_values(nodes)),
        **_optimizer_values(job),
        **_meanings(job, semantics),
        **(_joined(_starts(nodes, semantics)) if job.native else {}),
    }


def _joined(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Several layers of a type may have several values: each once, in the order of the model."""
    found: dict[str, dict[str, None]] = {}
    for name, words in pairs:
        found.setdefault(name, {})[words] = None
    return {name: " and ".join(words) for name, words in found.items()}


def _layer_values(nodes: list[Node]) -> Iterator[tuple[str, str]]:
    """``batch_norm epsilon`` and the like: what frameworks have defaults for."""
    for node in nodes:
        for name in node.layer.open_fields():
            yield f"{node.layer.type} {name}", _word(getattr(node.layer, name))


def _optimizer_values(job: Job) -> dict[str, str]:
    optimizer = job.experiment.train.optimizer
    return {
        f"optimizer {name}": _word(getattr(optimizer, name))
        for name in type(optimizer).model_fields
        if name != "name"
    }


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _meanings(job: Job, semantics: Semantics) -> dict[str, str]:
    found = {
        setting: knob.words(job, getattr(semantics, knob.field))
        for knob in KNOBS
        for setting in knob.settings(job)
    }
    for node in job.model.walk():
        if node.layer.recurrent and not node.layer.sums_biases:
            biases = sum(item.role == "bias" for item in node.parameters)
            found[f"{node.layer.type} trained biases"] = str(biases)
    if isinstance(job.experiment.train.optimizer, AdamW):
        found["weight decay"] = "decoupled, on every parameter"
    if job.dtype == "float64":
        found["constants"] = "partly rounded to float32" if semantics.rounded else "float64"
    return found


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
