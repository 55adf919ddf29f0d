"""Raw TensorFlow as it ships, and as it is usually written: what layers and optimizers
mean under ``train.convention: native``. The native forms and defaults themselves stand beside the
aligned ones, in ``layers/`` and ``optimizers.py``; how weights start, in ``start.py``.

TensorFlow without Keras has operations and the optimizers of ``tf.compat.v1.train``, but no layers.
So native means

- the defaults of ``tf.nn`` and of ``tf.compat.v1.train``, read from their signatures;
- where those are silent, what TensorFlow code usually has: batch normalization from
  ``tf.nn.moments`` with 0.99 of the old statistics and the epsilon 0.001 of
  ``tf.compat.v1.nn.fused_batch_norm``, layer normalization with the 1e-6 of TensorFlow's
  Transformer tutorial, kernels from Glorot and Bengio's uniform distribution (the default of
  ``tf.compat.v1.get_variable``), biases at zero, the LSTM's forget gate at 1
  (``tf.compat.v1.nn.rnn_cell``);
- for a rate or decay that TensorFlow does not set (SGD, RMSprop, AdamW's decay), the value of the
aligned convention.

The recurrent cells and attention keep the formulas of ``spec.layers``, which TensorFlow code would
write out as well.
"""

from __future__ import annotations

from nncompare.numerics.semantics import (
    L2,
    BiasCorrection,
    Clipping,
    Epsilon,
    MeanSquareStart,
    MomentumRate,
    RunningVariance,
    Semantics,
    TableGradient,
)
from nncompare.spec.job import Job

_STARTS = {
    "kernel": "xavier_uniform",
    "recurrent": "xavier_uniform, all gates as one matrix",
    "embedding": "xavier_uniform",
    "rnn.recurrent_kernel": "xavier_uniform",
    "lstm.kernel": "xavier_uniform, all gates as one matrix",
    "gru.kernel": "xavier_uniform, all gates as one matrix",
    "bias": "zeros",
    "lstm.bias": "zeros, forget gate 1",
    "scale": "ones",
}
"""See ``Semantics.starts``."""
_ROUNDED = frozenset(
    {
        "leaky_relu.slope",
        "gelu.constants",
        "sgd.momentum",
        "adam.beta1",
        "adam.beta2",
        "adam.epsilon",
        "adamw.beta1",
        "adamw.beta2",
        "adamw.epsilon",
        "rmsprop.rho",
        "rmsprop.momentum",
        "rmsprop.epsilon",
    }
)
"""Numbers that ``tf.nn`` and ``tf.compat.v1.train`` make a float32 tensor of, whatever the dtype.
"""
_LAZY = ("sgd", "rmsprop")
"""Optimizers whose sparse kernels leave rows without a token alone. (Adam's decays all moments.)"""


def semantics(job: Job) -> Semantics:
    """What TensorFlow's operations and optimizers mean where that is not the canonical meaning."""
    optimizer = job.experiment.train.optimizer.name
    rmsprop = optimizer == "rmsprop"
    # XLA has no kernels for sparse updates: there the gradient of a table is made dense
    sparse = job.mode != "xla"
    lazy = optimizer in _LAZY and sparse
    return Semantics(
        epsilon=Epsilon.UNDER_ROOT if rmsprop else Epsilon.BEFORE_CORRECTION,
        momentum_rate=MomentumRate.OLD if rmsprop else MomentumRate.CURRENT,
        bias_correction=BiasCorrection.FLOAT32,
        mean_square_start=MeanSquareStart.ONE,
        clipping=Clipping.GLOBAL_BY_TOKEN if sparse else Clipping.GLOBAL,
        l2=L2.HALVED,
        table_gradient=TableGradient.LAZY if lazy else TableGradient.SUMMED,
        running_variance=RunningVariance.BIASED,
        rounded=_ROUNDED,
        starts=_STARTS,
    )
