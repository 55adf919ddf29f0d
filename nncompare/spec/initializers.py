"""Which initializer a parameter takes. The numbers themselves are drawn in
``numerics.initializers``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from nncompare.spec.frozen import Frozen

InitializerName = Literal[
    "uniform",
    "normal",
    "xavier_uniform",
    "xavier_normal",
    "kaiming_uniform",
    "kaiming_normal",
    "orthogonal",
    "zeros",
    "ones",
    "forget_gate",
]
"""``ones`` and ``forget_gate`` (zeros, with ``scale`` on the LSTM's forget gate) start scales and
biases.
"""


class Initializer(Frozen):
    """How a parameter starts.

    In YAML either a name (``initializer: xavier_uniform``) or a mapping
    (``initializer: {name: normal, scale: 0.02}``).
    """

    name: InitializerName
    """The distribution."""
    scale: float | None = Field(default=None, gt=0)
    """Half-width for ``uniform`` (default 0.05), standard deviation for ``normal`` (default 0.05),
    gain for the others (default: 1 for Xavier and orthogonal, sqrt(2) for Kaiming).
    """


def _from_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


InitializerField = Annotated[
    Initializer, BeforeValidator(_from_name, json_schema_input_type=InitializerName | Initializer)
]

XAVIER_UNIFORM = Initializer(name="xavier_uniform")
ORTHOGONAL = Initializer(name="orthogonal")
ZEROS = Initializer(name="zeros")
ONES = Initializer(name="ones")
EMBEDDING_NORMAL = Initializer(name="normal", scale=0.05)
