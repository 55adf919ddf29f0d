"""A plug-in for nncompare: dense networks in plain NumPy, and a data set.

This module is imported by every nncompare command that lists or checks runtimes, so it imports no
framework. The backend's module does, and it is imported in a worker process only.
"""

from __future__ import annotations

from nncompare.spec.runtimes import Runtime

RUNTIME = Runtime(
    name="numpy",
    title="dense networks in plain NumPy",
    module="nncompare_numpy.backend",
    needs=("numpy",),
    install="nncompare-numpy",
)
