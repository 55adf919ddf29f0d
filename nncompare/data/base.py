"""Prepared examples: what the parent makes once and every worker reads."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nncompare.errors import DataError
from nncompare.spec.data import Signature
from nncompare.spec.layers import TensorSpec

Array = NDArray[Any]
Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Split:
    """Inputs and targets of one part.

    Args:
        x: ``(N, *signature.input.shape)``, float64 or float32 numbers, int32 tokens. Images NHWC.
        y: classification ``(N,)`` or, per step, ``(N, T)`` int32; binary ``(N, 1)`` floats of 0 and
            1; regression ``(N, outputs)`` floats.
    """

    x: Array
    y: Array

    def __len__(self) -> int:
        return len(self.x)

    def cast(self, dtype: np.dtype[Any]) -> Split:
        """The same part with all floats in ``dtype``."""
        return Split(x=_cast(self.x, dtype), y=_cast(self.y, dtype))


@dataclass(frozen=True, kw_only=True)
class Data:
    """One data set, split and normalized.

    Args:
        train, validation, test: the parts.
        signature: what a model must take and give.
        digests: name -> SHA-256 of the files or of the generated arrays, for the record.
        notes: what a reader of the result should know (for example where the files came from).
    """

    train: Split
    validation: Split
    test: Split
    signature: Signature
    digests: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def part(self, name: Part) -> Split:
        """One of the parts by its name."""
        split: Split = getattr(self, name)
        return split

    @property
    def examples(self) -> dict[str, int]:
        """Part -> number of its examples."""
        return {part: len(self.part(part)) for part in PARTS}

    def cast(self, dtype: np.dtype[Any]) -> Data:
        """The same data with all floats in ``dtype``; integers stay int32."""
        parts: dict[str, Any] = {part: self.part(part).cast(dtype) for part in PARTS}
        return replace(self, **parts)

    def save(self, folder: Path) -> None:
        """Writes ``train_x.npy`` … into ``folder`` for the workers of one run.

        Raises:
            DataError: the temporary folder has no room for them.
        """
        arrays: dict[str, Array] = {}
        for part in PARTS:
            split = self.part(part)
            arrays[f"{part}_x.npy"] = split.x
            arrays[f"{part}_y.npy"] = split.y
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, array in arrays.items():
                np.save(folder / name, array, allow_pickle=False)
        except OSError as error:
            # a write that was cut short is told by NumPy in numbers that say little
            reason = error.strerror or "the disk is full"
            size = sum(array.nbytes for array in arrays.values())
            raise DataError(
                f"cannot write the prepared data ({size / 1e6:.1f} MB) to {folder}: {reason}; free"
                " some space, or choose another temporary folder with TMPDIR=DIR"
            ) from error


def _cast(array: Array, dtype: np.dtype[Any]) -> Array:
    # tokens and classes are integers, and stay int32
    return np.ascontiguousarray(array, dtype) if array.dtype.kind == "f" else array


def read(folder: Path, signature: Signature) -> Data:
    """What ``Data.save`` wrote, fully in memory."""
    parts: dict[str, Any] = {part: _read_split(folder, part) for part in PARTS}
    return Data(**parts, signature=signature)


def _read_split(folder: Path, part: str) -> Split:
    # a pickle could run code, and arrays of numbers need none
    x = np.load(folder / f"{part}_x.npy", allow_pickle=False)
    y = np.load(folder / f"{part}_y.npy", allow_pickle=False)
    return Split(x=x, y=y)


def digest(*arrays: Array) -> str:
    """SHA-256 over shapes, types and bytes."""
    total = hashlib.sha256()
    for array in arrays:
        total.update(f"{array.dtype.str}{array.shape}".encode())
        # the bytes of a view are not those of the numbers that it shows
        total.update(np.ascontiguousarray(array).data)
    return total.hexdigest()


__all__ = ["PARTS", "Array", "Data", "Part", "Signature", "Split", "TensorSpec", "digest", "read"]
