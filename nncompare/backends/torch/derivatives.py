"""Derivatives of a formula by PyTorch's automatic differentiation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from nncompare.backends.derivatives import Array, Mode, TensorArithmetic, named_alike
from nncompare.formulas.expression import Expression, evaluate

_Function = Callable[[torch.Tensor], torch.Tensor]


class Tensors(TensorArithmetic):
    """PyTorch tensors as an arithmetic."""

    functions = {
        **named_alike(torch),
        "softplus": functional.softplus,
        "silu": functional.silu,
        "gelu": functional.gelu,
        "step": lambda u: torch.heaviside(u, torch.zeros_like(u)),
    }

    def tensor(self, value: float) -> torch.Tensor:
        return torch.tensor(value, dtype=self.dtype)


class _TorchDerivatives:
    """``torch`` and ``torch:compile`` (see ``backends.derivatives.Derivatives``)."""

    how = {
        "value": "PyTorch operations",
        "reverse": "torch.autograd.grad",
        "forward": "torch.func.jvp",
    }
    notes = {
        "softplus": "softplus: PyTorch returns its argument above 20 (threshold), off by up to 2e-9"
    }

    def __init__(self) -> None:
        self.compiled = False

    def configure(self, mode: str, threads: int) -> None:
        self.compiled = mode == "compile"
        torch.set_num_threads(threads)

    def why_not(self, mode: Mode, order: int) -> str | None:
        if self.compiled and mode == "reverse" and order > 1:
            return "torch.compile has no second derivative by reverse mode"
        return None

    def value(self, expression: Expression, x: Array) -> Array:
        with torch.no_grad():
            return self._compile(_function(expression))(torch.tensor(x)).numpy(force=True)

    def reverse(self, expression: Expression, x: Array, order: int) -> Array:
        at = torch.tensor(x, requires_grad=True)
        result = self._compile(_function(expression))(at)
        for _ in range(order):
            if not result.requires_grad:  # a constant
                return torch.zeros_like(at).numpy(force=True)
            (slope,) = torch.autograd.grad(result.sum(), at, create_graph=True, allow_unused=True)
            result = torch.zeros_like(at) if slope is None else slope
        return result.numpy(force=True)

    def forward(self, expression: Expression, x: Array, order: int) -> Array:
        function = _function(expression)
        for _ in range(order):
            function = _pushed(function)
        return self._compile(function)(torch.tensor(x)).numpy(force=True)

    def _compile(self, function: _Function) -> _Function:
        return torch.compile(function) if self.compiled else function


def _function(expression: Expression) -> _Function:
    """The formula as a function of a tensor ``(N,)``."""

    def function(x: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = evaluate(expression, x, Tensors(x.dtype))
        return value.expand(x.shape)

    return function


def _pushed(function: _Function) -> _Function:
    """The derivative of a function of each element, by forward mode."""
    return lambda x: torch.func.jvp(function, (x,), (torch.ones_like(x),))[1]


DERIVATIVES = _TorchDerivatives()
