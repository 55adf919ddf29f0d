"""The ``nncompare`` command, also as ``python -m nncompare``."""

from __future__ import annotations

from nncompare.terminal.interrupts import leave_at_once


def main() -> None:
    """Entry point of the ``nncompare`` script: Ctrl-C has its answer before anything large is
    imported.
    """
    leave_at_once()
    from nncompare.cli import main as command

    command()


if __name__ == "__main__":
    main()
