"""Multi-head self-attention: one fused projection and ``scaled_dot_product_attention``."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional

from nncompare.backends.torch.lowering import Build, same
from nncompare.spec.model import Node


class SelfAttention(nn.Module):
    """``(N, T, E) -> (N, T, E)``; query, key and value stand in this order in the rows of
    ``qkv.weight``.
    """

    def __init__(self, features: int, heads: int, causal: bool, build: Build):
        super().__init__()
        self.heads, self.causal = heads, causal
        self.qkv = nn.Linear(features, 3 * features, **build.factory)
        self.output = nn.Linear(features, features, **build.factory)

    def forward(self, x_NTE: Tensor) -> Tensor:
        qkv_N3HTD = self.qkv(x_NTE).unflatten(-1, (3, self.heads, -1)).permute(0, 2, 3, 1, 4)
        q_NHTD, k_NHTD, v_NHTD = qkv_N3HTD.unbind(1)
        y_NHTD = functional.scaled_dot_product_attention(
            q_NHTD, k_NHTD, v_NHTD, is_causal=self.causal
        )
        return self.output(y_NHTD.transpose(1, 2).flatten(2))


def attention(node: Node, build: Build) -> nn.Module:
    features, heads = node.input.shape[-1], node.layer.heads
    module = SelfAttention(features, heads, node.layer.causal, build)
    places = {}
    for index, name in enumerate(("query", "key", "value")):
        places[f"{name}_kernel"] = (module.qkv.weight, kernel_of(index * features, features, heads))
        places[f"{name}_bias"] = (module.qkv.bias, row_of(index * features, features, heads))
    places["output_kernel"] = (
        module.output.weight,
        lambda weight: weight.t().unflatten(0, (heads, -1)),
    )
    places["output_bias"] = (module.output.bias, same)
    build.store(node, **places)
    return module


def kernel_of(start: int, features: int, heads: int) -> Callable[[Tensor], Tensor]:
    """Rows of the fused ``(3 E, E)`` weight as ``(E, heads, head_dim)``."""
    return lambda weight: weight.narrow(0, start, features).t().unflatten(1, (heads, -1))


def row_of(start: int, features: int, heads: int) -> Callable[[Tensor], Tensor]:
    """Part of the fused ``(3 E,)`` bias as ``(heads, head_dim)``."""
    return lambda bias: bias.narrow(0, start, features).unflatten(0, (heads, -1))
