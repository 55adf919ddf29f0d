"""One planted error, and how it must be found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tests.mutations.patching import Patch


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """One error.

    Args:
        name: what is wrong; with the backend it is the test's name.
        backend: in whose files.
        patches: of these files.
        experiment: under which it shows.
        quantity: of the finding that must tell of it.
        layer: regular expression for the finding's layer, parameter or direction; empty: any.
        looks_like: regular expression for the finding's explanation; empty: any or none.
        dtype: in which it shows.
        convention: which certificate must find it.
        raises: regular expression; given, an error of the backend with such a text counts as
            caught.
    """

    name: str
    backend: str
    patches: tuple[Patch, ...]
    experiment: str
    quantity: str
    layer: str = ""
    looks_like: str = ""
    dtype: str = "float64"
    raises: str = ""
    convention: Literal["aligned", "native"] = "aligned"

    @property
    def id(self) -> str:
        return f"{self.backend}-{self.name.replace(' ', '_')}"

    @property
    def dtypes(self) -> tuple[str, ...]:
        """What must be observed: float32 is judged by its distance from float64."""
        return ("float64",) if self.dtype == "float64" else ("float64", "float32")
