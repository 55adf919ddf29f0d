"""Multi-head self-attention."""

from __future__ import annotations

import numpy as np

from nncompare.numerics.losses import log_softmax
from nncompare.numerics.reference.registry import formula
from nncompare.numerics.reference.run import Array, Params, Run
from nncompare.spec.layers.attention import Attention
from nncompare.spec.model import Node


@formula(Attention)
def attention(node: Node, p: Params, x: Array, run: Run) -> Array:
    """``softmax(q k^T / sqrt(head_dim)) v`` in every head, heads joined by ``output_kernel``
    (Vaswani et al. 2017, equation 1 and section 3.2.2). ``(N, T, E) -> (N, T, E)``; causal: step t
    sees steps 0…t.
    """
    assert isinstance(node.layer, Attention)
    q_NTHD, k_NTHD, v_NTHD = (
        np.einsum("nte,ehd->nthd", x, p[f"{name}_kernel"]) + p[f"{name}_bias"]
        for name in ("query", "key", "value")
    )
    scores_NHTS = np.einsum("nthd,nshd->nhts", q_NTHD, k_NTHD) / _root(q_NTHD.shape[-1], run)
    # exp(-inf) is 0: a later step has no weight
    if node.layer.causal:
        steps = x.shape[1]
        scores_NHTS = np.where(np.tril(np.ones((steps, steps), bool)), scores_NHTS, -np.inf)
    mixed_NTHD = np.einsum("nhts,nshd->nthd", np.exp(log_softmax(scores_NHTS)), v_NTHD)
    return np.asarray(np.einsum("nthd,hde->nte", mixed_NTHD, p["output_kernel"]) + p["output_bias"])


def _root(head_dim: int, run: Run) -> float:
    """``sqrt(head_dim)``, or one over the factor that a framework has rounded."""
    exact = float(np.sqrt(head_dim))
    factor = run.semantics.constant("attention.scale", 1 / exact)
    return exact if factor == 1 / exact else 1 / factor
