"""Multi-head self-attention: one fused projection and ``scaled_dot_product_attention``, or natively
``nn.MultiheadAttention``.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from nncompare.backends.torch.layout import View, same
from nncompare.backends.torch.lowering import Build, lowering, native_lowering
from nncompare.spec.layers.attention import Attention
from nncompare.spec.model import Node


class _SelfAttention(nn.Module):
    """``(N, T, E) -> (N, T, E)``; query, key and value stand in this order in the rows of
    ``qkv.weight``.
    """

    def __init__(self, features: int, heads: int, causal: bool, build: Build):
        super().__init__()
        self.heads = heads
        self.causal = causal
        self.qkv = nn.Linear(features, 3 * features, **build.factory)
        self.output = nn.Linear(features, features, **build.factory)

    def forward(self, x_NTE: Tensor) -> Tensor:
        # views all: the kernel below takes strides
        qkv_N3HTD = self.qkv(x_NTE).unflatten(-1, (3, self.heads, -1)).permute(0, 2, 3, 1, 4)
        q_NHTD, k_NHTD, v_NHTD = qkv_N3HTD.unbind(1)
        y_NHTD = functional.scaled_dot_product_attention(
            q_NHTD, k_NHTD, v_NHTD, is_causal=self.causal
        )
        y_NTE: Tensor = self.output(y_NHTD.transpose(1, 2).flatten(2))
        return y_NTE


@lowering(Attention)
def attention(node: Node[Attention], build: Build) -> nn.Module:
    """One matrix product gives query, key and value; PyTorch's fused kernel does the rest."""
    module = _SelfAttention(node.input.shape[-1], node.layer.heads, node.layer.causal, build)
    _store(node, build, module.qkv.weight, module.qkv.bias, module.output)
    return module


class _MultiheadSelfAttention(nn.Module):
    """``nn.MultiheadAttention`` of a sequence with itself. ``(N, T, E) -> (N, T, E)``."""

    def __init__(self, node: Node[Attention], build: Build):
        super().__init__()
        steps, features = node.input.shape
        self.attention = nn.MultiheadAttention(
            features, node.layer.heads, batch_first=True, **build.factory
        )
        self.causal = node.layer.causal
        mask_TT = nn.Transformer.generate_square_subsequent_mask(steps, **build.factory)
        # a buffer moves with the module; one of None takes no part
        self.register_buffer("mask", mask_TT if self.causal else None, persistent=False)

    def forward(self, x_NTE: Tensor) -> Tensor:
        # ``is_causal`` is a hint that the mask is that triangle, and does not replace it; without
        # weights to return PyTorch takes its fused kernel
        y_NTE, _ = self.attention(
            x_NTE, x_NTE, x_NTE, need_weights=False, attn_mask=self.mask, is_causal=self.causal
        )
        return y_NTE  # type: ignore[no-any-return]  # what a module's call gives is not typed


@native_lowering(Attention)
def native_attention(node: Node[Attention], build: Build) -> nn.Module:
    """PyTorch's own layer, whose parameters have the same layout as ours."""
    module = _MultiheadSelfAttention(node, build)
    inner = module.attention
    _store(node, build, inner.in_proj_weight, inner.in_proj_bias, inner.out_proj)
    return module


def _store(
    node: Node[Attention], build: Build, weight: Tensor, bias: Tensor, output: nn.Linear
) -> None:
    """Notes where the parameters live.

    Args:
        node: whose parameters.
        build: where to note it.
        weight: query, key and value, ``(3 E, E)``.
        bias: theirs, ``(3 E,)``.
        output: the last projection.
    """
    features = node.input.shape[-1]
    heads = node.layer.heads
    places: dict[str, tuple[Tensor, View]] = {}
    for index, name in enumerate(("query", "key", "value")):
        start = index * features
        places[f"{name}_kernel"] = (weight, _kernel_at(start, features, heads))
        places[f"{name}_bias"] = (bias, _bias_at(start, features, heads))
    places["output_kernel"] = (output.weight, lambda weight: weight.t().unflatten(0, (heads, -1)))
    places["output_bias"] = (output.bias, same)
    build.store(node, **places)


def _kernel_at(start: int, features: int, heads: int) -> View:
    """Rows of the fused ``(3 E, E)`` weight as ``(E, heads, head_dim)``."""
    return lambda weight: weight.narrow(0, start, features).t().unflatten(1, (heads, -1))


def _bias_at(start: int, features: int, heads: int) -> View:
    """Part of the fused ``(3 E,)`` bias as ``(heads, head_dim)``."""
    return lambda bias: bias.narrow(0, start, features).unflatten(0, (heads, -1))
