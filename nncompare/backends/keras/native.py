"""Keras as it ships: what layers and optimizers mean under ``train.convention: native``. The
native forms and defaults themselves stand beside the aligned ones, in ``layers/`` and
``optimizers.py``.

Every class of ``keras.layers`` and ``keras.optimizers`` gets its own defaults for what the file
leaves open, draws its own initial weights, and keeps its own formula. Keras has no position layer:
there the usual choice stands (as ``keras.layers.Embedding`` starts). ``same`` padding is Keras's
own in both conventions.
"""

from __future__ import annotations

from nncompare.numerics.semantics import (
    BiasCorrection,
    Clipping,
    Epsilon,
    FinalActivation,
    MomentumRate,
    RunningVariance,
    Semantics,
    TableGradient,
)
from nncompare.spec.job import Job

_STARTS = {
    "kernel": "xavier_uniform",
    "bias": "zeros",
    "scale": "ones",
    "embedding": "uniform, ±0.05",
    "recurrent": "orthogonal, all gates as one matrix",
    "rnn.recurrent_kernel": "orthogonal",
    "lstm.kernel": "xavier_uniform, all gates as one matrix",
    "gru.kernel": "xavier_uniform, all gates as one matrix",
    "lstm.bias": "zeros, forget gate 1",
}
"""See ``Semantics.starts``."""
_ROUNDED = frozenset(
    {
        "leaky_relu.slope",
        "gelu.constants",
        "attention.scale",
        "sgd.momentum",
        "adamw.weight_decay",
        "penalty.l1",
        "penalty.l2",
    }
)
"""Numbers that ``ops.cast``, ``tf.nn`` or a regularizer makes a float32 tensor of, whatever the
dtype. All others are handed to operations that know their dtype.
"""


def semantics(job: Job) -> Semantics:
    """What Keras's layers and optimizers mean where that is not the canonical meaning."""
    optimizer = job.experiment.train.optimizer.name
    # clipping makes the gradient of a table dense, which only then is summed before it is squared
    dense = job.experiment.train.clip_norm is not None
    narrow = job.dtype == "float32"
    return Semantics(
        epsilon=Epsilon.UNDER_ROOT if optimizer == "rmsprop" else Epsilon.BEFORE_CORRECTION,
        momentum_rate=MomentumRate.OLD,
        bias_correction=BiasCorrection.FLOAT32 if narrow else BiasCorrection.ROUNDED,
        clipping=Clipping.GLOBAL_BY_TOKEN,
        table_gradient=TableGradient.SUMMED if dense else TableGradient.SQUARED_FIRST,
        running_variance=RunningVariance.BIASED,
        final_activation=FinalActivation.TAKEN_BACK,
        rounded=_ROUNDED,
        starts=_STARTS,
    )
