"""What frameworks do differently under the same name: *knobs*, each with every documented meaning.

A ``Semantics`` holds one meaning a knob. ``ALIGNED`` is the canonical one; a backend's
``semantics(job)`` says what its framework does in the native convention. The formulas of this
package obey them all: ``reference.outputs``, ``reference.loss``, ``losses.penalty`` and
``updates.step`` take ``semantics=``. One declaration of each knob serves every use of it:

- the ledger under the tables of a report (``describe``);
- the certificate of both conventions and the conformance suite, which hold a framework to the
  formulas under the semantics that its backend declares;
- the explanation of a failed check, which tries the other meanings one at a time::

    for alternative in ALIGNED.alternatives(job):   # only knobs that this experiment turns
        expected, _ = updates.step(..., semantics=alternative.semantics)
        # alternative.setting: "epsilon placement"; alternative.words: "under the root"

To add a knob: a ``Knob`` with its meanings and their sources, a field of ``Semantics``, and the
formula that reads it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

import numpy as np

from nncompare.spec.initializers import Initializer
from nncompare.spec.job import Job
from nncompare.spec.layers import Layer
from nncompare.spec.model import Model, Node
from nncompare.spec.training import AdamW


class Knob(StrEnum):
    """One thing that frameworks mean differently: its members are the meanings, in the ledger's
    words, above each the papers and the frameworks that have it.
    """

    @classmethod
    def settings(cls, job: Job) -> list[str]:
        """The names under which it stands in the ledger of an experiment; none where the experiment
        does not turn it.
        """
        raise NotImplementedError(cls)

    def words(self, job: Job) -> str:
        """The ledger's words for this meaning, in this experiment."""
        return self.value


class RunningVariance(Knob):
    """Which variance of the batch goes into the running variance of batch normalization."""

    # Ioffe and Szegedy 2015, Algorithm 2; torch.nn.BatchNorm2d
    UNBIASED = "unbiased"
    # keras.layers.BatchNormalization, tf.nn.moments; (n - 1) / n of it for n values a channel
    BIASED = "biased"

    @classmethod
    def settings(cls, job: Job) -> list[str]:
        found = []
        for kind, layer in _layers(job).items():
            if layer.running_momentum is not None:
                found.append(f"{kind} running variance")
        return found


class PooledPadding(Knob):
    """Whether the mean of a pooling window counts the zeros of the padding."""

    # tf.nn.avg_pool2d, keras.layers.AveragePooling2D
    NOT_COUNTED = "not counted"
    # torch.nn.AvgPool2d (count_include_pad): the edges of an image are pulled towards 0
    COUNTED = "counted"

    @classmethod
    def settings(cls, job: Job) -> list[str]:
        kinds = {
            node.layer.type for node in job.model.walk() if node.layer.averages_padding(node.input)
        }
        return [f"{kind} padding" for kind in sorted(kinds)]


class RecurrentBiases(Knob):
    """How many biases a simple RNN or an LSTM trains. (A GRU has two, which are not the same.)"""

    # Elman 1990; Gers et al. 2000; keras.layers.LSTM
    ONE = "1"
    # torch.nn.RNN and LSTM: the same function, but the sum moves twice as fast
    TWO = "2, used as their sum"

    @classmethod
    def settings(cls, job: Job) -> list[str]:
        kinds = [kind for kind, layer in _layers(job).items() if layer.sums_biases]
        return [f"{kind} trained biases" for kind in kinds]


SECOND_BIAS = "recurrent_bias"
"""Its name in the canonical parameters of a framework that has two."""


class FinalActivation(Knob):
    """What the loss makes of a softmax or sigmoid at the end of the model."""

    # a loss of logits takes the probabilities for logits: the activation acts twice
    TRAINED_THROUGH = "trained through"
    # keras.losses, which reads the activation's input (_keras_logits)
    TAKEN_BACK = "taken back by the loss"

    @classmethod
    def settings(cls, job: Job) -> list[str]:
        last = job.model.nodes[-1].layer
        return ["activation at the end"] if last.probabilities_of == job.experiment.task else []


class Epsilon(Knob):
    """Where the epsilon of Adam, AdamW and RMSprop stands. RMSprop corrects no bias, so that the
    first two mean the same there.
    """

    # m_hat / (sqrt(v_hat) + epsilon): Kingma and Ba 2015, Algorithm 1; torch.optim.Adam,
    # torch.optim.RMSprop
    AFTER_CORRECTION = "after the root, after bias correction"
    # m_hat sqrt(1 - beta2^t) / (sqrt(v) + epsilon): "epsilon hat" of Kingma and Ba 2015, end of
    # section 2; keras.optimizers.Adam, tf.compat.v1.train.AdamOptimizer. In the first steps epsilon
    # weighs 1 / sqrt(1 - beta2^t) times as much.
    BEFORE_CORRECTION = "after the root, before bias correction"
    # m_hat / sqrt(v_hat + epsilon): keras.optimizers.RMSprop, tf.compat.v1.train.RMSPropOptimizer.
    # Beside small gradients it counts as its root: 1e-8 as 1e-4.
    UNDER_ROOT = "under the root"

    @classmethod
    def settings(cls, job: Job) -> list[str]:
        has_epsilon = "epsilon" in type(job.experiment.train.optimizer).model_fields
        return ["epsilon placement"] if has_epsilon else []

    def words(self, job: Job) -> str:
        if job.experiment.train.optimizer.corrects_bias:
            return self.value
        # without bias correction there is nothing to stand before or after
        return self.value.partition(",")[0]


class MomentumRate(Knob):
    """Which learning rate scales the gradients that a momentum buffer holds from earlier steps: the
    two differ where the rate changes, in a schedule.
    """

    # m = mu m + g, w -= lr m: torch.optim.SGD ("differs from Sutskever et al."),
    # tf.compat.v1.train.MomentumOptimizer
    CURRENT = "the current step's"
    # m = mu m + lr g, w -= m: Sutskever et al. 2013, equations 1 and 2; keras.optimizers
    OLD = "their own steps'"

    @classmethod
    def settings(cls, job: Job) -> list[str]:
        momentum = getattr(job.experiment.train.optimizer, "momentum", 0.0)
        return ["rate of old gradients"] if momentum > 0 else []


class BiasCorrection(Knob):
    """In which precision Adam's ``1 - beta^t`` is computed, of which few digits are left where a
    beta is near 1.
    """

    FLOAT64 = "float64"
    # keras.optimizers.Adam in a float64 run, through ops.cast
    ROUNDED = "float64, of betas rounded to float32"
    # Keras in a float32 run; tf.compat.v1.train.AdamOptimizer always, whose beta1_power is a
    # float32 variable that every step multiplies
    FLOAT32 = "float32"

    @classmethod
    def settings(cls, job: Job) -> list[str]:
        return ["bias correction in"] if job.experiment.train.optimizer.corrects_bias else []


class MeanSquareStart(Knob):
    """Where RMSprop's running mean of squared gradients starts."""

    ZERO = "0"
    # tf.compat.v1.train.RMSPropOptimizer: its first steps are about those of SGD
    ONE = "1"

    @classmethod
    def settings(cls, job: Job) -> list[str]:
        optimizer = job.experiment.train.optimizer
        uncorrected = optimizer.keeps_squares and not optimizer.corrects_bias
        return ["mean square starts at"] if uncorrected else []


class Clipping(Knob):
    """What ``clip_norm`` limits."""

    # Pascanu et al. 2013, Algorithm 1; keras' global_clipnorm, tf.clip_by_global_norm
    GLOBAL = "global norm"
    # the same two where the model has an embedding: of the gradient of a table, which is a
    # tf.IndexedSlices, they square the rows before a repeated token's are summed
    GLOBAL_BY_TOKEN = "global norm, of tables token by token"
    # torch.nn.utils.clip_grad_norm_
    GLOBAL_PLUS = "global norm + 1e-06"
    # keras' clipnorm
    PER_TENSOR = "each tensor's own norm"
    # keras' clipvalue, torch.nn.utils.clip_grad_value_
    PER_VALUE = "every value by itself"

    @classmethod
    def settings(cls, job: Job) -> list[str]:
        return ["clipping by"] if job.experiment.train.clip_norm is not None else []

    def words(self, job: Job) -> str:
        # without a table there are no tokens to tell apart
        if self is Clipping.GLOBAL_BY_TOKEN and not _has_embedding(job):
            return Clipping.GLOBAL.value
        return self.value


class L2(Knob):
    """What ``penalty.l2`` means."""

    # keras.regularizers.L2
    IN_LOSS = "l2 * sum w^2 of kernels, in the loss"
    # tf.nn.l2_loss: the same number penalizes half as much
    HALVED = "l2/2 * sum w^2 of kernels, in the loss"
    # g + l2 w after clipping, of biases and scales, too: torch.optim.SGD, Adam, RMSprop
    AS_DECAY = "weight_decay: l2/2 * sum w^2 of all parameters, in the optimizer"
    # w -= lr l2 w before the step, so that no running mean divides it: all of keras.optimizers
    DECOUPLED = "weight_decay: decoupled, of all parameters"

    @classmethod
    def settings(cls, job: Job) -> list[str]:
        return ["l2"] if job.experiment.train.penalty.l2 > 0 else []


class TableGradient(Knob):
    """What an optimizer makes of a token that occurs twice in a batch, and of one that does not."""

    # the gradient of the table as a dense array
    SUMMED = "repeated tokens summed, then the update"
    # Adam, AdamW and RMSprop of keras.optimizers on TensorFlow, whose ops.square takes the rows of
    # tf.IndexedSlices one by one; not after clipping, which makes the gradient dense
    SQUARED_FIRST = "repeated tokens squared, then summed"
    # the sparse kernels of tf.compat.v1.train's momentum and RMSprop
    LAZY = "repeated tokens summed; rows without a token keep their state"

    @classmethod
    def settings(cls, job: Job) -> list[str]:
        return ["embedding gradient"] if _has_embedding(job) else []

    def words(self, job: Job) -> str:
        # an optimizer that keeps no squares has nothing to square
        if self is TableGradient.SQUARED_FIRST and not job.experiment.train.optimizer.keeps_squares:
            return TableGradient.SUMMED.value
        return self.value


@dataclass(frozen=True, kw_only=True)
class Semantics:
    """Everything about layers and optimizers that their values do not say, for one experiment. The
    defaults are the canonical meanings, in the order of the ledger: layers, optimizer, penalties.

    Args:
        rounded: names of the constants that pass through float32 in a float64 run: TensorFlow
            makes a tensor of a Python float without being told its dtype. See ``constants``.
        starts: ``lstm.bias``, or a role such as ``kernel``, -> words for how the parameter starts
            where the file leaves it open. The ledger's alone: checks load their weights.
        added: ``lstm.recurrent_bias`` -> the same of a parameter that only this framework's layer
            has.
    """

    running_variance: RunningVariance = RunningVariance.UNBIASED
    pooled_padding: PooledPadding = PooledPadding.NOT_COUNTED
    recurrent_biases: RecurrentBiases = RecurrentBiases.ONE
    final_activation: FinalActivation = FinalActivation.TRAINED_THROUGH
    epsilon: Epsilon = Epsilon.AFTER_CORRECTION
    momentum_rate: MomentumRate = MomentumRate.CURRENT
    bias_correction: BiasCorrection = BiasCorrection.FLOAT64
    mean_square_start: MeanSquareStart = MeanSquareStart.ZERO
    clipping: Clipping = Clipping.GLOBAL
    l2: L2 = L2.IN_LOSS
    table_gradient: TableGradient = TableGradient.SUMMED
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
        found: dict[str, str] = {}
        if self.recurrent_biases is RecurrentBiases.TWO:
            for node in model.walk():
                if node.layer.sums_biases:
                    found[f"{node.name}.{SECOND_BIAS}"] = f"{node.name}.bias"
        return found

    def alternatives(self, job: Job) -> Iterator[Alternative]:
        """Every other meaning of every knob that this experiment turns, one at a time; then every
        constant alone, rounded to float32 or no longer rounded.
        """
        for name, knob in KNOBS.items():
            settings = knob.settings(job)
            if not settings:
                continue
            told = {getattr(self, name).words(job)}
            for meaning in knob:
                words = meaning.words(job)
                # what reads the same in an experiment is the same
                if words not in told:
                    told.add(words)
                    change: dict[str, Any] = {name: meaning}
                    changed = replace(self, **change)
                    yield Alternative(setting=settings[0], words=words, semantics=changed)
        for name in constants(job):
            words = "exact" if name in self.rounded else "rounded to float32"
            changed = replace(self, rounded=self.rounded ^ {name})
            yield Alternative(setting=name, words=words, semantics=changed)

    def to_json(self) -> dict[str, Any]:
        """Plain values; the words of the ledger name the meanings."""
        return {
            **{name: getattr(self, name).value for name in KNOBS},
            "rounded": sorted(self.rounded),
            "starts": dict(self.starts),
            "added": dict(self.added),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Semantics:
        """What ``to_json`` gave."""
        meanings: dict[str, Any] = {name: knob(values[name]) for name, knob in KNOBS.items()}
        rounded = frozenset(values["rounded"])
        return cls(rounded=rounded, starts=values["starts"], added=values["added"], **meanings)


KNOBS: dict[str, type[Knob]] = {
    item.name: type(item.default) for item in fields(Semantics) if isinstance(item.default, Knob)
}
"""Field of ``Semantics`` -> its knob."""
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


def _layers(job: Job) -> dict[str, Layer]:
    """Type -> one of the model's layers of this type, by the alphabet."""
    found = {node.layer.type: node.layer for node in job.model.walk()}
    return dict(sorted(found.items()))


def _has_embedding(job: Job) -> bool:
    """Whether the model looks up tokens in a table."""
    return any(layer.takes_tokens for layer in _layers(job).values())


def constants(job: Job) -> tuple[str, ...]:
    """Names of the numbers that a framework may round to float32 in a float64 run: those of the
    layers, the optimizer's but for its learning rate, and the penalties.
    """
    train = job.experiment.train
    found = [f"{kind}.{name}" for kind, layer in _layers(job).items() for name in layer.rounded]
    for name, value in train.optimizer:
        # bool is an int in Python, and no number here
        if name != "lr" and isinstance(value, float):
            found.append(f"{train.optimizer.name}.{name}")
    for name, value in train.penalty:
        # a factor of 0 is the same in both precisions
        if value:
            found.append(f"penalty.{name}")
    return tuple(found)


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
    return {f"optimizer {name}": _word(value) for name, value in optimizer if name != "name"}


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _meanings(job: Job, semantics: Semantics) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, knob in KNOBS.items():
        for setting in knob.settings(job):
            found[setting] = getattr(semantics, name).words(job)
    for node in job.model.walk():
        # a GRU's two biases are no knob: every backend trains both
        if node.layer.recurrent and not node.layer.sums_biases:
            biases = sum(item.role == "bias" for item in node.parameters)
            found[f"{node.layer.type} trained biases"] = str(biases)
    if isinstance(job.experiment.train.optimizer, AdamW):
        found["weight decay"] = "decoupled, on every parameter"
    # in a float32 run every constant is float32
    if job.dtype == "float64":
        found["constants"] = "partly rounded to float32" if semantics.rounded else "float64"
    return found


def _starts(nodes: list[Node], semantics: Semantics) -> Iterator[tuple[str, str]]:
    """``lstm.bias starts``: the file's initializer, or the framework's own."""
    for node in nodes:
        kind = node.layer.type
        for item in node.parameters:
            # what a backend says of one parameter goes before what it says of all of a role
            words = semantics.starts.get(f"{kind}.{item.name}") or semantics.starts.get(item.role)
            if node.layer.gives_start(item):
                words = _initializer(item.initializer)
            if words is not None:
                yield f"{kind}.{item.name} starts", words
        for name, words in semantics.added.items():
            if name.partition(".")[0] == kind:
                yield f"{name} starts", words


def _initializer(initializer: Initializer) -> str:
    scale = "" if initializer.scale is None else f" {initializer.scale:g}"
    return f"nncompare's {initializer.name}{scale}"
