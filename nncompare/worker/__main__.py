"""``python -m nncompare.worker FOLDER``: runs the job in a folder."""

from __future__ import annotations

import os
import sys

from nncompare.worker.entry import main

if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Interpreter shutdown of a framework can hang or crash; everything that matters has been sent.
    os._exit(code)
