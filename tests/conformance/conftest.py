"""What this repository adds to the shipped suite: the mark of each framework."""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test of a backend with ``needs_torch``, ``needs_tensorflow`` or ``needs_keras``,
    so that ``-m`` can leave it out.
    """
    for item in items:
        parameters = (
            item.callspec.params
            if isinstance(item, pytest.Function) and hasattr(item, "callspec")
            else {}
        )
        # other tests are about a quantity too, without any backend
        if "quantity" in parameters and "backend" in parameters:
            item.add_marker(f"needs_{parameters['backend']}")
