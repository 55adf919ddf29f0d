"""The conformance suite: every layer, optimizer, loss, penalty and schedule of a backend against
the float64 formulas of ``nncompare.numerics``.

It is judged in both conventions: aligned by the canonical formulas, native by the same under the
defaults and meanings that the backend itself declares (``Backend.resolve``, ``Backend.semantics``).
A backend without a native form refuses such a job, and is skipped there with its reason.

It needs pytest (``pip install "pytest>=8.3"``) and judges any backend, that of a third party
too::

    pytest --pyargs nncompare.testing --backend mypackage.mybackend:BACKEND
    pytest --pyargs nncompare.testing --backend torch

``--backend`` may be given several times. Without it every installed framework is judged. Each
backend runs in a process of its own, since two frameworks in one process disturb each other.

While a backend is being written, the same checks without pytest are handier::

    python -m nncompare.testing.worker mypackage.mybackend:BACKEND --only layer/dense
    python -m nncompare.testing.worker mypackage.mybackend:BACKEND --only native/
"""
