"""How the network is trained: optimizer, schedule, penalties, stopping."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from nncompare.spec.frozen import LIMIT, Frozen, Open
from nncompare.spec.unions import members

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
# the same, where a framework's optimizer has a default of its own
OpenPositive = Annotated[float, Field(gt=0), Open]
OpenNonNegative = Annotated[float, Field(ge=0), Open]
OpenBeta = Annotated[float, Field(ge=0, lt=1), Open]


class Optimizer(Frozen):
    """The base of every update rule: its fields, and as traits what the rest of the package asks.

    To add one see ``docs/add-an-optimizer.md``.
    """

    title: ClassVar[str]
    """One line for ``nncompare list``."""

    corrects_bias: ClassVar[bool] = False
    """It divides running means by ``1 - beta^t``, since they start at zero."""

    keeps_squares: ClassVar[bool] = False
    """It keeps a running mean of squared gradients."""

    name: str
    lr: float


class Sgd(Optimizer):
    """``m = momentum m + g``; ``w -= lr m``, or with Nesterov ``w -= lr (g + momentum m)``
    (Sutskever et al. 2013, in the form in which the current learning rate scales the whole buffer).
    """

    title = "stochastic gradient descent with momentum or Nesterov momentum"
    name: Literal["sgd"]
    lr: OpenPositive = 1e-2
    """Learning rate."""
    momentum: OpenBeta = 0.0
    """Decay of the momentum buffer; 0: none."""
    nesterov: Annotated[bool, Open] = False
    """Nesterov's look-ahead form of the momentum."""


class Adam(Optimizer):
    """Kingma and Ba 2015, Algorithm 1: epsilon is added after bias correction."""

    title = "adaptive moments (Kingma and Ba 2015)"
    corrects_bias = True
    keeps_squares = True
    name: Literal["adam"]
    lr: OpenPositive = 1e-3
    """Learning rate."""
    beta1: OpenBeta = 0.9
    """Decay of the mean of the gradients."""
    beta2: OpenBeta = 0.999
    """Decay of the mean of their squares."""
    epsilon: OpenPositive = 1e-8
    """Added to the root, after bias correction."""


class AdamW(Optimizer):
    """Adam with decoupled decay ``w *= 1 - lr weight_decay`` first, on every parameter (Loshchilov,
    Hutter 2019).
    """

    title = "Adam with decoupled weight decay (Loshchilov and Hutter 2019)"
    corrects_bias = True
    keeps_squares = True
    name: Literal["adamw"]
    lr: OpenPositive = 1e-3
    """Learning rate."""
    beta1: OpenBeta = 0.9
    """As in ``adam``."""
    beta2: OpenBeta = 0.999
    """As in ``adam``."""
    epsilon: OpenPositive = 1e-8
    """As in ``adam``."""
    weight_decay: OpenNonNegative = 1e-2
    """Decoupled decay: each step first multiplies every parameter by ``1 - lr * weight_decay``."""


class RmsProp(Optimizer):
    """``v = rho v + (1 - rho) g^2``; ``w -= lr g / (sqrt(v) + epsilon)`` (Tieleman and Hinton
    2012).

    With momentum ``m = momentum m + g / (sqrt(v) + epsilon)``; ``w -= lr m``.
    """

    title = "gradient over its running root mean square (Tieleman and Hinton 2012)"
    keeps_squares = True
    name: Literal["rmsprop"]
    lr: OpenPositive = 1e-3
    """Learning rate."""
    rho: OpenBeta = 0.99
    """Decay of the mean of the squared gradients."""
    epsilon: OpenPositive = 1e-8
    """Added to the root."""
    momentum: OpenBeta = 0.0
    """Decay of the momentum buffer; 0: none."""


AnyOptimizer = Annotated[Sgd | Adam | AdamW | RmsProp, Field(discriminator="name")]
OPTIMIZERS: dict[str, type[Optimizer]] = members(AnyOptimizer)
"""Every optimizer's description by its name."""


class Penalty(Frozen):
    """Added to the loss over all kernels (not biases, scales or embeddings): ``l1 sum|w| + l2 sum
    w^2``.
    """

    l1: NonNegative = 0.0
    """Factor of the sum of absolute values."""
    l2: NonNegative = 0.0
    """Factor of the sum of squares (not halved)."""


class Schedule(Frozen):
    """The base of every way in which the learning rate changes."""

    title: ClassVar[str]
    """One line for ``nncompare list``."""


class Constant(Schedule):
    title = "the optimizer's lr throughout"
    name: Literal["constant"] = "constant"


class Step(Schedule):
    title = "times factor after every so many epochs"
    name: Literal["step"]
    every: int = Field(gt=0, le=LIMIT)
    """Epochs."""
    factor: float = Field(default=0.1, gt=0, le=1)
    """By which the learning rate is multiplied."""


class Exponential(Schedule):
    title = "times factor after every epoch"
    name: Literal["exponential"]
    factor: float = Field(gt=0, le=1)
    """By which the learning rate is multiplied after every epoch."""


class Cosine(Schedule):
    title = "half a cosine from lr to minimum over all steps (Loshchilov and Hutter 2017)"
    name: Literal["cosine"]
    minimum: NonNegative = 0.0
    """Learning rate at the end."""


AnySchedule = Annotated[Constant | Step | Exponential | Cosine, Field(discriminator="name")]
SCHEDULES: dict[str, type[Schedule]] = members(AnySchedule)
"""Every schedule's description by its name."""


class EarlyStopping(Frozen):
    """Stop when a validation metric has not improved for ``patience`` epochs; the best weights are
    restored.
    """

    metric: Literal["val_loss", "val_accuracy"] = "val_loss"
    """What must improve."""
    patience: int = Field(default=3, gt=0, le=LIMIT)
    """Epochs without improvement before training stops."""
    min_delta: NonNegative = 0.0
    """Smallest change that counts as an improvement."""


class Train(Frozen):
    """How the network is trained."""

    epochs: int = Field(default=3, gt=0, le=LIMIT)
    """Passes over the training part."""
    batch_size: int = Field(default=128, gt=0, le=LIMIT)
    """Examples a step; the last step of an epoch takes what is left."""
    optimizer: AnyOptimizer = Adam(name="adam")
    """The update rule, chosen by ``name``; see [optimizers](#optimizers)."""
    schedule: AnySchedule = Constant()
    """How the learning rate changes, chosen by ``name``; see [schedules](#schedules)."""
    warmup_steps: int = Field(default=0, ge=0, le=LIMIT)
    """Steps over which the learning rate rises linearly from zero, before the schedule takes over.
    """
    penalty: Penalty = Penalty()
    """L1 and L2 penalties; see [penalty](#penalty)."""
    clip_norm: Positive | None = None
    """Largest global norm of the gradient (Pascanu et al. 2013)."""
    early_stopping: EarlyStopping | None = None
    """Stop when validation no longer improves; see [early_stopping](#early_stopping)."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Keys the initial weights, the batch order, the splits and the masks of dropout."""
    dtype: Literal["float32", "float64"] = "float32"
    """Arithmetic of the whole network. In ``float64`` the runtimes agree to about 1e-12."""
    convention: Literal["aligned", "native"] = "aligned"
    """``aligned``: all runtimes compute the same function. ``native``: every layer and optimizer as
    its framework ships it, with the framework's own default for every value that the file leaves
    open.
    """
