"""The yardstick: each case as a script that uses one framework and nothing of nncompare.

Every module here defines ``Loop`` with the same five members, so that the driver can treat them
alike::

    Loop(case, x, y, batch_size=…, learning_rate=…)
        builds the model and stages the data: ``x`` (N, …) float32 or int32, ``y`` (N,) int32
    loop.parameters
        number of trained values
    loop.load(params)
        weights := the canonical arrays of the same model, optimizer state := fresh
    loop.loss()
        mean cross-entropy over all examples, inference mode
    loop.train(epochs)
        trains ``1 + epochs`` epochs in a fresh order each, and returns the wall-clock seconds of
        the last ``epochs`` and the mean loss over them. The first epoch is the head of the piece:
        trained, not counted, since it pays for caches that the other side has just emptied and for
        what a script does once (``Model.fit`` sets up its callbacks and its iterator).

The sizes of the models stand here once more, written out by hand, and on purpose: a yardstick that
took them from nncompare would follow its mistakes.
"""

from __future__ import annotations

CLASSES = 10
EVALUATION_BATCH = 1024
