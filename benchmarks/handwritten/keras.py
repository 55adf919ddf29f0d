"""The four cases in plain Keras 3 on its TensorFlow engine: ``compile`` and one ``fit``.

The input is a ``tf.data`` pipeline that gathers whole batches, which was found to be at least as
fast as arrays with ``shuffle=True`` and as ``Dataset.shuffle``, which handles every example by
itself. ``steps_per_execution`` keeps its default on both sides, since a session must be able to
stop after any step.
"""

from __future__ import annotations

import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from benchmarks.handwritten import CLASSES, EVALUATION_BATCH

Params = dict[str, np.ndarray]


def mlp() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(256, activation="relu", name="dense_1"),
            layers.Dense(CLASSES, name="dense_2"),
        ]
    )


def cnn() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(16, 3, padding="same", activation="relu", name="conv2d_1"),
            layers.MaxPooling2D(2),
            layers.Conv2D(32, 3, padding="same", activation="relu", name="conv2d_2"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(64, activation="relu", name="dense_1"),
            layers.Dense(CLASSES, name="dense_2"),
        ]
    )


def lstm() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((28, 28)),
            layers.LSTM(128, name="lstm_1"),
            layers.Dense(CLASSES, name="dense_1"),
        ]
    )


class Positions(layers.Layer):
    """Adds a learned vector to every step."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.table = self.add_weight(shape=shape[1:], name="table")

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        return x + self.table


def attention() -> keras.Model:
    """Two pre-norm transformer blocks, causal, 4 heads; norms with PyTorch's epsilon, as the other
    scripts have it.
    """
    tokens = keras.Input((64,), dtype="int32")
    x = Positions(name="position_1")(layers.Embedding(64, 64, name="embedding_1")(tokens))
    for block in (1, 2):
        h = layers.LayerNormalization(epsilon=1e-5, name=f"layer_norm_{2 * block - 1}")(x)
        h = layers.MultiHeadAttention(4, 16, name=f"attention_{block}")(h, h, use_causal_mask=True)
        x = layers.Add()([x, h])
        h = layers.LayerNormalization(epsilon=1e-5, name=f"layer_norm_{2 * block}")(x)
        h = layers.Dense(256, activation="gelu", name=f"dense_{2 * block - 1}")(h)
        x = layers.Add()([x, layers.Dense(64, name=f"dense_{2 * block}")(h)])
    x = layers.LayerNormalization(epsilon=1e-5, name="layer_norm_5")(x)
    return keras.Model(tokens, layers.Dense(CLASSES, name="dense_5")(x[:, -1]))


MODELS = {"mlp": mlp, "cnn": cnn, "lstm": lstm, "attention": attention}


def shuffled(x: np.ndarray, y: np.ndarray, batch_size: int) -> tf.data.Dataset:
    """Batches in a fresh order every epoch; the batch size divides the number of examples."""
    x, y = tf.constant(x), tf.constant(y)

    def order(_: tf.Tensor) -> tf.data.Dataset:
        rows = tf.random.shuffle(tf.range(len(x)))
        return tf.data.Dataset.from_tensor_slices(tf.reshape(rows, [-1, batch_size]))

    batches = (
        tf.data.Dataset.range(1)
        .flat_map(order)
        .map(lambda rows: (tf.gather(x, rows), tf.gather(y, rows)))
    )
    counted = batches.apply(tf.data.experimental.assert_cardinality(len(x) // batch_size))
    return counted.prefetch(tf.data.AUTOTUNE)


class Stopwatch(keras.callbacks.Callback):
    """When each epoch of one ``fit`` ended, and its mean loss."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []
        self.losses: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        self.losses.append((logs or {})["loss"])
        self.ends.append(time.perf_counter())


class Loop:
    def __init__(
        self, case: str, x: np.ndarray, y: np.ndarray, *, batch_size: int, learning_rate: float
    ) -> None:
        self.training = shuffled(x, y, batch_size)
        self.evaluation = tf.data.Dataset.from_tensor_slices((x, y)).batch(EVALUATION_BATCH)
        self.model = MODELS[case]()
        self.model.compile(
            optimizer=keras.optimizers.Adam(learning_rate),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )

    @property
    def parameters(self) -> int:
        return self.model.count_params()

    def load(self, params: Params) -> None:
        for layer in self.model.layers:
            own = [array for name, array in params.items() if name.startswith(f"{layer.name}.")]
            if layer.weights:
                # these layers keep their weights in the canonical layout and order
                layer.set_weights(own)
        for variable in self.model.optimizer.variables:
            if variable is not self.model.optimizer.learning_rate:
                variable.assign(keras.ops.zeros_like(variable))

    def loss(self) -> float:
        return self.model.evaluate(self.evaluation, verbose=0)

    def train(self, epochs: int) -> tuple[float, float]:
        watch = Stopwatch()
        self.model.fit(self.training, epochs=1 + epochs, verbose=0, callbacks=[watch])
        return watch.ends[-1] - watch.ends[0], float(np.mean(watch.losses[1:]))
