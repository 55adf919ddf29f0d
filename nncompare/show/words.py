"""Text that came from elsewhere (logs, reasons, names), made fit to print."""

from __future__ import annotations

import re

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
"""Control sequences and operating system commands (ECMA-48, sections 5.4 and 8.3.89)."""
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """Without escape sequences and control characters; line ends stay, tabs become spaces.

    A framework's log must not be able to move the cursor of the user's terminal or to colour a
    pipe.
    """
    # a progress bar overwrites its line with carriage returns: each state becomes a line
    lines = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs()
    return _CONTROLS.sub("", _ESCAPES.sub("", lines))
