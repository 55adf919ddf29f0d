"""What the ledger says of a raw TensorFlow session."""

from __future__ import annotations

import tensorflow as tf

from nncompare.backends.tensorflow import native
from nncompare.backends.tensorflow.device import Placement, onednn, tf32
from nncompare.backends.tensorflow.optimizers import Optimizer
from nncompare.backends.tensorflow.recurrent import longest_unrolled
from nncompare.numerics.semantics import ALIGNED
from nncompare.numerics.semantics import describe as describe_semantics
from nncompare.spec.job import Job


def describe(
    job: Job, placement: Placement, optimizer: Optimizer | native.V1Optimizer
) -> dict[str, str]:
    """Effective settings: name -> value, under names that all backends share."""
    compiled = job.mode == "xla"
    types = {node.layer.type for node in job.model.walk()}
    found = {
        "engine": "TensorFlow",
        "threads": str(tf.config.threading.get_intra_op_parallelism_threads()),
        "tf32": tf32(placement.device),
        "compiled": "XLA" if compiled else "tf.function",
        "memory format": "NHWC",
        "optimizer implementation": optimizer.implementation,
        "flush denormals": "yes" if placement.flushes_denormals else "no",
        "deterministic kernels": "yes" if job.deterministic else "no",
        "onednn": onednn(),
    }
    if "dropout" in types:
        found["dropout masks from"] = "the framework" if job.dropout == "framework" else "nncompare"
    if types & {"rnn", "lstm", "gru"}:
        found["recurrent kernel"] = _recurrent_kernel(job, compiled)
    if "attention" in types:
        found["attention kernel"] = "matmul, softmax, matmul"
    return found | describe_semantics(job, native.semantics(job) if job.native else ALIGNED)


def _recurrent_kernel(job: Job, compiled: bool) -> str:
    limit = longest_unrolled(compiled)
    lengths = [n.input.shape[0] for n in job.model.walk() if n.layer.type in ("rnn", "lstm", "gru")]
    kinds = dict.fromkeys(
        "steps written out" if steps <= limit else "a loop over the steps" for steps in lengths
    )
    return " and ".join(kinds)
