"""Multi-head self-attention over sequences ``(steps, features)``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from nncompare.spec.frozen import LIMIT
from nncompare.spec.initializers import XAVIER_UNIFORM, InitializerField
from nncompare.spec.layers.base import Layer, Parameter, TensorSpec


class Attention(Layer):
    """Scaled dot-product self-attention with several heads (Vaswani et al. 2017). ``(T, E) -> (T,
    E)``.

    ``head_dim = E / heads``; scores are divided by ``sqrt(head_dim)``. Projections have the
    canonical layout ``(E, heads, head_dim)``, the output projection ``(heads, head_dim, E)``, all
    with biases.
    """

    title = "multi-head self-attention"
    attends = True
    # 1/sqrt(head_dim)
    rounded = ("scale",)
    type: Literal["attention"] = "attention"
    heads: int = Field(gt=0, le=LIMIT)
    """Number of heads; must divide the number of features."""
    causal: bool = False
    """True: step t sees steps 0…t only."""
    initializer: InitializerField = XAVIER_UNIFORM
    """How the four projections start."""

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_rank(x, 2, "a sequence (steps, features)")
        if x.shape[-1] % self.heads:
            features = x.shape[-1]
            fits = [str(count) for count in range(1, features + 1) if features % count == 0]
            self.refuse(
                f"{self.heads} heads do not divide {features} features; heads that do:"
                f" {', '.join(fits)}",
                "heads",
            )
        return x

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        features = x.shape[-1]
        head_dim = features // self.heads
        found: list[Parameter] = []
        for name in ("query", "key", "value"):
            kernel = Parameter(
                name=f"{name}_kernel",
                shape=(features, self.heads, head_dim),
                role="kernel",
                initializer=self.initializer,
            )
            bias = Parameter(name=f"{name}_bias", shape=(self.heads, head_dim), role="bias")
            found += [kernel, bias]
        kernel = Parameter(
            name="output_kernel",
            shape=(self.heads, head_dim, features),
            role="kernel",
            initializer=self.initializer,
            # its inputs are all heads side by side, so both of their axes are rows
            row_axes=2,
        )
        bias = Parameter(name="output_bias", shape=(features,), role="bias")
        return (*found, kernel, bias)

    def flops(self, x: TensorSpec) -> int:
        steps, features = x.shape
        projections = 4 * steps * features * (2 * features + 1)
        # queries with keys, then their weights with the values
        products = 2 * 2 * steps * steps * features
        softmax = self.heads * steps * steps * 5  # scale, maximum, subtract, exp, divide
        return projections + products + softmax
