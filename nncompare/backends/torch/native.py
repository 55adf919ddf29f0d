"""PyTorch as it ships: what layers and optimizers mean under ``train.convention: native``. The
native forms and defaults themselves stand beside the aligned ones, in ``layers/`` and
``optimizers.py``.

Every class of ``torch.nn`` and ``torch.optim`` gets its own defaults for what the file leaves open,
draws its own initial weights, and keeps its own formula. PyTorch has no position layer: there the
usual choice stands (an ``nn.Embedding``, so normal with deviation 1). ``same`` padding keeps the
file's meaning, which PyTorch lacks.
"""

from __future__ import annotations

from nncompare.numerics.semantics import (
    L2,
    Clipping,
    PooledPadding,
    RecurrentBiases,
    Semantics,
)
from nncompare.spec.job import Job

_AS_LINEAR = "uniform, ±1/sqrt(fan_in)"
_AS_RECURRENT = "uniform, ±1/sqrt(units)"

_STARTS = {
    "dense.kernel": _AS_LINEAR,
    "dense.bias": _AS_LINEAR,
    "conv2d.kernel": _AS_LINEAR,
    "conv2d.bias": _AS_LINEAR,
    "embedding.table": "normal, deviation 1",
    "position.table": "normal, deviation 1",
    **{
        f"{kind}.{name}": _AS_RECURRENT
        for kind in ("rnn", "lstm", "gru")
        for name in ("kernel", "recurrent_kernel", "bias")
    },
    "gru.recurrent_bias": _AS_RECURRENT,
    **{
        f"attention.{name}_kernel": "xavier_uniform of all three"
        for name in ("query", "key", "value")
    },
    "attention.output_kernel": _AS_LINEAR,
    **{f"attention.{name}_bias": "zeros" for name in ("query", "key", "value", "output")},
    "scale": "ones",
    "bias": "zeros",
}
"""See ``Semantics.starts``."""
_ADDED = {f"{kind}.recurrent_bias": _AS_RECURRENT for kind in ("rnn", "lstm")}


def semantics(job: Job) -> Semantics:
    """What PyTorch's layers and optimizers mean where that is not the canonical meaning."""
    optimizer = job.experiment.train.optimizer.name
    return Semantics(
        clipping=Clipping.GLOBAL_PLUS,
        # AdamW's weight_decay is its own, so that L2 stays a term of the loss
        l2=L2.IN_LOSS if optimizer == "adamw" else L2.AS_DECAY,
        pooled_padding=PooledPadding.COUNTED,
        recurrent_biases=RecurrentBiases.TWO,
        starts=_STARTS,
        added=_ADDED,
    )
