"""Which function of a backend builds which description, in either convention."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from nncompare.spec.frozen import Frozen

Kind = TypeVar("Kind", bound=Frozen)
Form = TypeVar("Form", bound=Callable[..., Any])


class Unsupported(Exception):
    """Raised where a backend lacks a layer or an optimizer; ``why_not`` turns it into the row's
    reason.
    """


class Registry(Generic[Kind, Form]):
    """Description class -> the function that builds it.

    A description has one form for both conventions. Where the framework's own differs from the
    canonical one, it has a second form that the native convention takes.

    Args:
        backend: whose forms they are.
        unsupported: description class -> why the backend lacks it.

    Attributes:
        aligned: the canonical forms.
        native: the second forms.
    """

    def __init__(self, backend: str, unsupported: Mapping[type[Kind], str] | None = None):
        self.backend = backend
        self.unsupported = {} if unsupported is None else unsupported
        self.aligned: dict[type[Kind], Form] = {}
        self.native: dict[type[Kind], Form] = {}

    def add(self, kind: type[Kind], form: Form, *, native: bool = False) -> None:
        """Registers the form of ``kind``.

        Raises:
            ValueError: it has one already, which would never be called again.
        """
        forms = self.native if native else self.aligned
        if kind in forms:
            raise ValueError(f"the {self.backend} backend has two forms of {kind.__name__}")
        forms[kind] = form

    def find(self, kind: type[Kind], *, native: bool) -> Form:
        """The form of ``kind`` in a convention.

        Raises:
            Unsupported: the backend has none, with the reason.
        """
        if native and kind in self.native:
            return self.native[kind]
        if kind not in self.aligned:
            raise Unsupported(f"{kind.__name__}: {self.why_not(kind)}")
        return self.aligned[kind]

    def why_not(self, kind: type[Kind]) -> str | None:
        """Why the backend lacks ``kind``, or None if it has it."""
        if kind in self.aligned:
            return None
        return self.unsupported.get(kind, f"the {self.backend} backend has no form of it")

    def lacking(self, kinds: Iterable[type[Kind]]) -> dict[type[Kind], str]:
        """Those of ``kinds`` that the backend lacks, each once, with the reason."""
        reasons = {kind: self.why_not(kind) for kind in kinds}
        return {kind: reason for kind, reason in reasons.items() if reason is not None}
