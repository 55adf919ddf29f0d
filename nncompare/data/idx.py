"""Reads the IDX format of MNIST, plain or gzipped (LeCun, Cortes and Burges 1998).

Big-endian: a magic number (2 bytes zero, type 8 = unsigned byte, number of axes), one 32-bit size
an axis, then the values in C order.
"""

from __future__ import annotations

import gzip
import io
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from nncompare.errors import DataError

_UNSIGNED_BYTE = 0x08
_MOST_EXAMPLES = 2_000_000


def read_idx(content: bytes, path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The array in ``content``.

    Args:
        content: the file's bytes.
        path: its name, for messages.
        shape: sizes demanded of the axes after the first: ``(28, 28)`` for images, ``()`` for
            labels.

    Returns:
        ``(N, *shape)`` uint8.

    Raises:
        DataError: damaged compression, wrong magic number or sizes, too few or too many bytes;
            names the file, what was found and what was expected.
    """
    # told by its content: people rename files
    packed = content[:2] == b"\x1f\x8b"
    with gzip.GzipFile(fileobj=io.BytesIO(content)) if packed else io.BytesIO(content) as stream:
        try:
            return _read(stream, path, shape)
        except EOFError:
            raise DataError(
                f"{path} is truncated: the gzip stream ends early; get the file again"
            ) from None
        except (gzip.BadGzipFile, zlib.error) as error:
            raise DataError(f"{path} is damaged: {error}; get the file again") from None


def _read(
    stream: gzip.GzipFile | BinaryIO, path: Path, shape: tuple[int, ...]
) -> NDArray[np.uint8]:
    axes = 1 + len(shape)
    header = stream.read(4 + 4 * axes)
    magic = (_UNSIGNED_BYTE << 8) | axes
    found = int.from_bytes(header[:4], "big")
    if len(header) >= 4 and found != magic:
        kind = "images" if shape else "labels"
        raise DataError(
            f"{path}: magic number {found:#010x}, expected {magic:#010x} of an IDX file of {kind}"
        )
    if len(header) < 4 + 4 * axes:
        raise DataError(
            f"{path} is truncated: {len(header)} bytes, shorter than its header of {4 + 4 * axes}"
            " bytes"
        )
    count, *sizes = struct.unpack(f">{axes}I", header[4:])
    if tuple(sizes) != shape:
        raise DataError(
            f"{path}: images of {'x'.join(map(str, sizes))}, expected {'x'.join(map(str, shape))}"
        )
    # a damaged header must not ask for all of the memory
    if not 0 < count <= _MOST_EXAMPLES:
        raise DataError(
            f"{path}: the header counts {count} examples, expected 1 to {_MOST_EXAMPLES}"
        )
    wanted = count * int(np.prod(shape, dtype=np.int64))
    payload = stream.read(wanted)
    if len(payload) < wanted:
        raise DataError(
            f"{path} is truncated: {len(payload)} bytes of values, its header says {wanted}"
        )
    if stream.read(1):
        raise DataError(
            f"{path}: bytes after the {wanted} values that its header says; get the file again"
        )
    return np.frombuffer(payload, np.uint8).reshape(count, *shape)
