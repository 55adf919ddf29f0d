"""What ``nncompare tune`` searches: goals, parameters, sampler, pruner, limits.

This is the form alone. Whether a path exists, whether its bounds give valid experiments and whether
the task has the metric is checked against the whole file in ``config.space``.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from nncompare.spec.frozen import LIMIT, Frozen
from nncompare.spec.unions import members

MetricName = Literal[
    "val_loss",
    "val_accuracy",
    "val_mae",
    "val_r2",
    "train_loss",
    "train_accuracy",
    "train_mae",
    "train_r2",
    "step_s",
    "samples_per_s",
    "train_s",
    "peak_bytes",
    "parameters",
]
GoalName = Literal["minimize", "maximize"]
PrunerName = Literal["none", "median", "hyperband", "successive_halving", "patient"]
SamplerName = Literal["tpe", "random", "grid", "cmaes", "gp", "qmc", "nsga2"]

MAXIMIZED = ("val_accuracy", "val_r2", "train_accuracy", "train_r2", "samples_per_s")
"""Metrics of which more is better; of the others less is."""
TIMED = ("step_s", "samples_per_s", "train_s")
"""Metrics that another training on the same machine would spoil."""
BY_EPOCH = ("val_loss", "val_accuracy")
"""Metrics that are known after every epoch, so that a pruner can judge them."""
DEFAULT_TRIALS = 20

Count = Annotated[int, Field(gt=0, le=LIMIT)]
Seconds = Annotated[float, Field(gt=0)]
Number = int | float


class Goal(Frozen):
    """One metric of the result and the better direction."""

    name: MetricName = "val_loss"
    """Metrics of the validation and training part, seconds a step, examples a second, seconds of
    all steps, largest memory in bytes, or the number of trained parameters.
    """
    goal: GoalName | None = None
    """Default: the better direction of the metric, `maximize` for accuracy, R² and samples_per_s,
    else `minimize`.
    """

    @property
    def direction(self) -> GoalName:
        return self.goal or ("maximize" if self.name in MAXIMIZED else "minimize")

    @property
    def sign(self) -> int:
        """-1 where more is better, else 1: the best value has the least ``sign * value``."""
        return -1 if self.direction == "maximize" else 1


class NoPruner(Frozen):
    """Every trial trains to its end."""

    title: ClassVar[str] = "every trial trains to its end"
    name: Literal["none"] = "none"


class MedianPruner(Frozen):
    """Stops a trial whose best value so far is worse than the median of the earlier trials at the
    same epoch.
    """

    title: ClassVar[str] = "worse than the median of earlier trials"
    name: Literal["median"]
    startup_trials: int = Field(default=5, ge=0, le=LIMIT)
    """Trials before the first one can be stopped."""
    warmup_epochs: int = Field(default=0, ge=0, le=LIMIT)
    """Epochs of each trial before it can be stopped."""


class HyperbandPruner(Frozen):
    """Successive halving in several brackets (Li et al. 2018)."""

    title: ClassVar[str] = "successive halving in several brackets (Li et al. 2018)"
    name: Literal["hyperband"]
    min_epochs: Count = 1
    """Epochs that every trial gets."""
    reduction_factor: int = Field(default=3, ge=2, le=LIMIT)
    """Of so many trials one goes on at each rung."""


class HalvingPruner(Frozen):
    """Asynchronous successive halving (Li et al. 2020)."""

    title: ClassVar[str] = "asynchronous successive halving (Li et al. 2020)"
    name: Literal["successive_halving"]
    min_epochs: Count = 1
    """Epochs that every trial gets."""
    reduction_factor: int = Field(default=4, ge=2, le=LIMIT)
    """Of so many trials one goes on at each rung."""


class PatientPruner(Frozen):
    """Stops a trial that has not improved on itself for some epochs."""

    title: ClassVar[str] = "no improvement of its own for some epochs"
    name: Literal["patient"]
    patience: int = Field(default=2, ge=0, le=LIMIT)
    """Epochs without improvement that are tolerated."""
    min_delta: float = Field(default=0.0, ge=0)
    """Smallest change that counts as an improvement."""


class Dimension(Frozen):
    """The values of one dotted path: a range, or choices. `[a, b, c]` is short for `{choices: [a,
    b, c]}`.
    """

    min: Number | None = None
    """Lowest value. Whole bounds make a range of whole numbers."""
    max: Number | None = None
    """Highest value, included."""
    log: bool = False
    """Every factor is as likely as any other of the same size; the bounds must be above zero."""
    step: Number | None = Field(default=None, gt=0)
    """Distance between neighbouring values."""
    choices: tuple[Any, ...] | None = Field(default=None, min_length=1)
    """Values to choose among: numbers, words, lists, or whole mappings such as `{name: sgd, lr:
    0.1}`.
    """

    @property
    def bounds(self) -> tuple[Number, Number]:
        """Lowest and highest value of a range; choices have none."""
        assert self.min is not None, "a checked range has both bounds"
        assert self.max is not None, "a checked range has both bounds"
        return self.min, self.max

    @property
    def whole(self) -> bool:
        """A range of whole numbers."""
        return (
            isinstance(self.min, int)
            and isinstance(self.max, int)
            and not isinstance(self.step, float)
        )


class Confirm(Frozen):
    """With several backends: how the best trials of the first one are repeated on all of them."""

    top: Count = 3
    """The best trial and the runners-up, in all."""
    seeds: Count = 3
    """Fresh seeds for each; they follow `train.seed`."""


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _several(value: Any) -> Any:
    """One goal stands for a list of one, a name for a goal."""
    # A list of one need not be written as a list.
    items = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(_named(item) for item in items)


def _choices(value: Any) -> Any:
    return {"choices": tuple(value)} if isinstance(value, (list, tuple)) else value


_PrunerMapping = Annotated[
    NoPruner | MedianPruner | HyperbandPruner | HalvingPruner | PatientPruner,
    Field(discriminator="name"),
]
AnyPruner = Annotated[
    _PrunerMapping,
    BeforeValidator(_named, json_schema_input_type=PrunerName | _PrunerMapping),
]


_MetricInput = MetricName | Goal | Annotated[list[MetricName | Goal], Field(min_length=1)]
DimensionField = Annotated[
    Dimension,
    BeforeValidator(
        _choices, json_schema_input_type=Annotated[list[Any], Field(min_length=1)] | Dimension
    ),
]
PRUNERS: dict[str, type[Frozen]] = members(AnyPruner)
"""Every pruner's description by its name."""


class Tune(Frozen):
    """What ``nncompare tune`` searches, and how long."""

    metric: Annotated[
        tuple[Goal, ...], BeforeValidator(_several, json_schema_input_type=_MetricInput)
    ] = Field(default=(Goal(),), min_length=1)
    """What is optimized: `{name: val_loss, goal: minimize}`, a name, or a list of several (a Pareto
    front).
    """
    trials: Count | None = None
    """Finished trials in all; null: 20, and with `sampler: grid` the whole grid."""
    sampler: SamplerName = "tpe"
    """Who proposes: tree-structured Parzen estimator, random, every point of a grid, CMA-ES,
    Gaussian process, quasi-random, genetic (NSGA-II).
    """
    seed: int = Field(default=0, ge=0, lt=2**32)
    """Of the sampler. Trial k is drawn with a key of this seed and k, so that a resumed search goes
    on as it would.
    """
    startup_trials: int = Field(default=10, ge=0, le=LIMIT)
    """Random trials before `tpe`, `gp` or `cmaes` begins to learn."""
    pruner: AnyPruner = NoPruner()
    """Who stops hopeless trials early, by their metric after every epoch; a name or a mapping."""
    parameters: dict[str, DimensionField] = Field(min_length=1)
    """Dotted path of the experiment -> its values."""
    folds: Annotated[int, Field(ge=2, le=LIMIT)] | None = None
    """Cross-validation: the metric is the mean over so many folds (stratified for classes)."""
    timeout: Seconds | None = None
    """Seconds after which no trial is started any more and those under way are given up."""
    trial_timeout: Seconds | None = None
    """Longest time of one trial in seconds; it fails then. Null: `measure.timeout_s`."""
    max_failures: Count = 5
    """So many failed trials in a row end the search."""
    confirm: Confirm = Confirm()
    """With several backends: see [confirm](#confirm)."""

    @property
    def directions(self) -> tuple[GoalName, ...]:
        return tuple(goal.direction for goal in self.metric)
