"""The networks of ``cases`` as Keras's guides write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
from keras import layers

from nncompare.numerics.batches import BatchPlan
from nncompare.testing.case import Case


def mlp() -> list[Any]:
    return [
        keras.Input((6,)),
        layers.Dense(8),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dense(3),
    ]


def cnn() -> list[Any]:
    return [
        keras.Input((8, 8, 2)),
        layers.Conv2D(4, 3),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dense(3),
    ]


def lstm() -> list[Any]:
    return [
        keras.Input((6,), dtype="int32"),
        layers.Embedding(5, 4),
        layers.LSTM(5),
        layers.Dense(3),
    ]


MODELS = {"mlp": mlp, "cnn": cnn, "lstm": lstm}
OPTIMIZERS = {
    "mlp": keras.optimizers.SGD,
    "cnn": keras.optimizers.RMSprop,
    "lstm": keras.optimizers.Adam,
}


def train(case: Case, plan: BatchPlan, seed: int, start: Mapping[str, Any]) -> dict[str, Any]:
    """The loss of every step, and the logits of the test part after them."""
    keras.utils.set_random_seed(seed)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    model = keras.Sequential(MODELS[case.name]())
    model.compile(
        optimizer=OPTIMIZERS[case.name](),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    losses = []
    for step in range(plan.steps):
        rows = plan.rows(step)
        loss = model.train_on_batch(case.data.train.x[rows], case.data.train.y[rows])
        losses.append(float(loss))
        # what Keras gives is a mean over the steps so far
        model.reset_metrics()
    return {"losses": losses, "logits": model.predict_on_batch(case.data.test.x).tolist()}
