"""Which function of a backend builds which description, in either convention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
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
        defaults: description class -> the framework's own values for the fields that a file in the
            native convention may leave open.
    """

    def __init__(self, backend: str, unsupported: Mapping[type[Kind], str]):
        self.backend = backend
        self.unsupported = unsupported
        self.aligned: dict[type[Kind], Form] = {}
        self.native: dict[type[Kind], Form] = {}
        self.defaults: dict[type[Kind], Mapping[str, Any]] = {}

    def form(self, kind: type[Kind], **defaults: Any) -> Callable[[Form], Form]:
        """Registers the decorated function as the form of ``kind``, for both conventions.

        Args:
            kind: a description.
            defaults: the framework's own values for its open fields.

        Raises:
            ValueError: it has a form already, which would never be called again; or it has no such
                field.
        """
        return self._registering(self.aligned, kind, defaults)

    def native_form(self, kind: type[Kind], **defaults: Any) -> Callable[[Form], Form]:
        """The same for the form of ``kind`` as the framework ships it, where that is another."""
        return self._registering(self.native, kind, defaults)

    def _registering(
        self, forms: dict[type[Kind], Form], kind: type[Kind], defaults: Mapping[str, Any]
    ) -> Callable[[Form], Form]:
        if kind in forms:
            raise ValueError(f"the {self.backend} backend has two forms of {kind.__name__}")
        if unknown := defaults.keys() - kind.model_fields.keys():
            raise ValueError(f"{kind.__name__} has no field {', '.join(sorted(unknown))}")

        def register(form: Form) -> Form:
            forms[kind] = form
            # a second form without defaults leaves those of the first
            if defaults:
                self.defaults[kind] = defaults
            return form

        return register

    def find(self, kind: type[Kind], *, native: bool) -> Form:
        """The form of ``kind`` in a convention.

        Raises:
            Unsupported: the backend has none, with the reason.
        """
        # the class itself, never one that it is derived from: a subclass may mean something else
        if native and kind in self.native:
            return self.native[kind]
        if kind not in self.aligned:
            raise Unsupported(f"{kind.__name__}: {self.why_not(kind)}")
        return self.aligned[kind]

    def why_not(self, kind: type[Kind]) -> str | None:
        """Why the backend lacks ``kind``, or None if it has it."""
        if kind in self.aligned:
            return None
        return self.unsupported.get(kind, f"the {self.backend} backend has no lowering for it")


def default(function: Callable[..., Any], keyword: str) -> Any:
    """The default of a keyword of a framework's function or class."""
    return signature(function).parameters[keyword].default


def defaults_of(function: Callable[..., Any], **keywords: str) -> dict[str, Any]:
    """Field -> the default of its keyword in ``function``. Keywords are given their fields, as in
    ``Frozen.given``: ``defaults_of(keras.optimizers.SGD, learning_rate="lr")``.
    """
    return {field: default(function, keyword) for keyword, field in keywords.items()}
