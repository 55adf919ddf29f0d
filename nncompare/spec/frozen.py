"""The base of every part of the experiment file: frozen, keyword-only, no unknown keys, no
surprises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    PrivateAttr,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

LIMIT = 2**40
"""No size and no count is larger: terabytes, and far from what 64 bits hold. Zeros too many are
told at their key, before anything is made of them.
"""


class Open:
    """Marks a field whose value frameworks choose differently: ``epsilon: Annotated[float, Open]``.

    Where the file leaves such a field open, the native convention takes the framework's own
    default (``backends.native``). Initializers are not marked (a framework draws its own), nor is
    what makes a layer this layer: sizes, strides, paddings, heads.
    """


class Frozen(BaseModel):
    """A frozen pydantic model that refuses unknown keys and NaN, and does not turn ``"3"``
    into 3.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        allow_inf_nan=False,
        strict=True,
        use_attribute_docstrings=True,
        validate_default=True,
    )

    _left_to_framework: frozenset[str] = PrivateAttr(default=frozenset())

    @model_validator(mode="before")
    @classmethod
    def _lists_are_tuples(cls, value: Any) -> Any:
        """YAML has lists only; the frozen fields are tuples."""
        # an instance has been read before
        if not isinstance(value, dict):
            return value
        return {key: tuple(item) if isinstance(item, list) else item for key, item in value.items()}

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The key whose one word chooses this class (``name: adam``) is described by the class's
        title, as other keys are by their docstrings.
        """
        schema = handler(core_schema)
        title = getattr(cls, "title", None)
        if title is not None:
            described = handler.resolve_ref_schema(schema)
            described.setdefault("description", title)
            for key in described["properties"].values():
                if "const" in key:
                    key.setdefault("description", title)
        return schema

    @classmethod
    def open_fields(cls) -> tuple[str, ...]:
        """Names of the fields that are marked with ``Open``, in the order of the class."""
        return tuple(name for name, field in cls.model_fields.items() if Open in field.metadata)

    def filled(self, values: Mapping[str, Any]) -> Self:
        """A copy in which fields that the file leaves open have a framework's own values.

        The copy remembers which they are: ``given`` leaves them to the framework.
        """
        copy = self.model_copy(update=dict(values))
        copy._left_to_framework = self._left_to_framework | frozenset(values)
        return copy

    def given(self, **keywords: str) -> dict[str, Any]:
        """A framework's keyword -> the value of the field that it takes, for a call of its class.

        In the native convention a field that the file leaves open is left out, so that the
        framework's own default is at work and not what nncompare believes it to be.
        """
        return {
            keyword: getattr(self, field)
            for keyword, field in keywords.items()
            if field not in self._left_to_framework
        }

    def leaves_open(self, field: str) -> bool:
        """Whether the file says nothing of ``field``, so that its value is a default: nncompare's
        own, or in the native convention the framework's.
        """
        return field not in self.model_fields_set
