"""Runs command lines on standard streams of every kind: ``python -m tests.terminal.forked``.

Every command has a process of its own, forked from this one, which has imported everything before:
a fresh Python for each would take the better part of a second. Standard input is JSON: a list of
``[streams, arguments]``; standard output is a list of ``[code, out, err]``.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, field
from typing import Any

from nncompare import __main__ as entry
from nncompare.cli import call


@dataclass(frozen=True, kw_only=True)
class Streams:
    """What the standard streams of a command are.

    Args:
        closed: descriptors that are closed.
        to: descriptor -> file that it writes to.
        gone: descriptors whose reader has gone.
        variables: of the environment.
        lost: the exit code in place of 0 where nobody can read the output.
    """

    closed: Sequence[int] = ()
    to: Mapping[str, str] = field(default_factory=dict)
    gone: Sequence[int] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    lost: int = 0

    @property
    def readable(self) -> bool:
        """Whether standard output can be read."""
        return 1 not in self.closed and 1 not in self.gone and "1" not in self.to

    def connect(self) -> None:
        """Makes them those of this process."""
        for descriptor, path in self.to.items():
            os.dup2(os.open(path, os.O_WRONLY), int(descriptor))
        for descriptor in self.gone:
            reader, writer = os.pipe()
            os.close(reader)
            os.dup2(writer, descriptor)
        for descriptor in self.closed:
            os.close(descriptor)


def _as_python_begins(streams: Streams) -> None:
    """The objects that a fresh Python makes of its descriptors."""
    encoding = streams.variables.get("PYTHONIOENCODING", "utf-8")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = None
        if number not in streams.closed:
            raw = io.FileIO(number, "wb" if number else "rb", closefd=False)
            buffer = io.BufferedWriter(raw) if number else io.BufferedReader(raw)
            stream = io.TextIOWrapper(buffer, encoding=encoding, line_buffering=number == 2)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _child(streams: Streams, arguments: Sequence[str], out: int, err: int) -> None:
    code: Any = 99
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        streams.connect()
        _as_python_begins(streams)
        os.environ.update(streams.variables)
        sys.argv = ["nncompare", *arguments]
        entry.main()
    except SystemExit as end:
        code = end.code
    finally:
        # as Python does when it ends
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(streams: Streams, arguments: Sequence[str]) -> tuple[int, str, str]:
    """Exit code, standard output and standard error; code 99 is a traceback."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        pid = os.fork()
        if pid == 0:
            _child(streams, arguments, out.fileno(), err.fileno())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode())
    return code, texts[0], texts[1]


def main() -> None:
    cases = [(Streams(**streams), arguments) for streams, arguments in json.load(sys.stdin)]
    # everything is imported once, here
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        for arguments in {tuple(arguments) for _, arguments in cases}:
            call(arguments)
    json.dump([run(streams, arguments) for streams, arguments in cases], sys.stdout)


def as_json(streams: Streams) -> dict[str, Any]:
    """For the standard input."""
    return asdict(streams)


if __name__ == "__main__":
    main()
