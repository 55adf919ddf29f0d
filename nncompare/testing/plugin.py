"""Teaches pytest the option ``--backend``, and only when it is asked to run this package's suite.

The module is an entry point: pytest loads it in every run where nncompare is installed. It
therefore imports nothing and leaves other projects' options alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

SUITE = ("nncompare.testing", "nncompare.testing.test_backend")
"""What the command line may name to run the suite, with or without ``::`` and a test's name."""


def pytest_load_initial_conftests(parser: pytest.Parser, args: list[str]) -> None:
    """Adds the option if the command line names the suite."""
    if not any(argument.partition("::")[0] in SUITE for argument in args):
        return
    group = parser.getgroup("nncompare", "the conformance suite of nncompare")
    group.addoption(
        "--backend",
        action="append",
        metavar="PACKAGE:BACKEND",
        help="backend to judge: an object in a module, or a runtime's name; may be repeated "
        "(default: every installed framework)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declares the marks of the suite; that of pytest-timeout counts where it is installed."""
    config.addinivalue_line("markers", "timeout(seconds): longest time of a test")
    config.addinivalue_line("markers", "slow: shows little that other tests do not show")
