"""Multi-head self-attention over sequences ``(steps, features)``."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from nncompare.spec.initializers import XAVIER_UNIFORM, ZEROS, InitializerField
from nncompare.spec.layers.base import Layer, Parameter, TensorSpec


class Attention(Layer):
    """Scaled dot-product self-attention with several heads (Vaswani et al. 2017). ``(T, E) -> (T,
    E)``.

    ``head_dim = E / heads``; scores are divided by ``sqrt(head_dim)``. Projections have the
    canonical layout ``(E, heads, head_dim)``, the output projection ``(heads, head_dim, E)``, all
    with biases.
    """

    title: ClassVar[str] = "multi-head self-attention"
    attends: ClassVar[bool] = True
    # 1/sqrt(head_dim)
    rounded: ClassVar[tuple[str, ...]] = ("scale",)
    type: Literal["attention"] = "attention"
    heads: int = Field(gt=0)
    """Number of heads; must divide the number of features."""
    causal: bool = False
    """True: step t sees steps 0…t only."""
    initializer: InitializerField = XAVIER_UNIFORM
    """How the four projections start."""

    def output(self, x: TensorSpec) -> TensorSpec:
        self.need_rank(x, 2, "a sequence (steps, features)")
        if x.shape[-1] % self.heads:
            fits = ", ".join(str(n) for n in range(1, x.shape[-1] + 1) if x.shape[-1] % n == 0)
            self.refuse(
                f"{self.heads} heads do not divide {x.shape[-1]} features; heads that do: {fits}",
                "heads",
            )
        return x

    def parameters(self, x: TensorSpec) -> tuple[Parameter, ...]:
        features = x.shape[-1]
        head_dim = features // self.heads
        found: list[Parameter] = []
        for name in ("query", "key", "value"):
            found += [
                Parameter(
                    name=f"{name}_kernel",
                    shape=(features, self.heads, head_dim),
                    role="kernel",
                    initializer=self.initializer,
                    fan_in=features,
                    fan_out=features,
                ),
                Parameter(
                    name=f"{name}_bias",
                    shape=(self.heads, head_dim),
                    role="bias",
                    initializer=ZEROS,
                ),
            ]
        kernel = Parameter(
            name="output_kernel",
            shape=(self.heads, head_dim, features),
            role="kernel",
            initializer=self.initializer,
            fan_in=features,
            fan_out=features,
            row_axes=2,
        )
        bias = Parameter(name="output_bias", shape=(features,), role="bias", initializer=ZEROS)
        return (*found, kernel, bias)

    def flops(self, x: TensorSpec) -> int:
        steps, features = x.shape
        projections = 4 * steps * features * (2 * features + 1)
        products = 2 * 2 * steps * steps * features
        softmax = self.heads * steps * steps * 5  # scale, maximum, subtract, exp, divide
        return projections + products + softmax
