"""The models of ``cases`` as a Keras user writes them, with nothing of nncompare's backend
in them.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from nncompare.backends.base import Params
from nncompare.numerics.batches import BatchPlan
from nncompare.spec.job import Job
from nncompare.testing.case import Case

L = keras.layers


class Position(L.Layer):
    def build(self, shape: Any) -> None:
        self.table = self.add_weight(shape=shape[1:], initializer="uniform")

    def call(self, x: Any) -> Any:
        return x + self.table


def table(case: Case, start: Params) -> Any:
    l2 = {"table/adam": (0.01, 0.1)}.get(case.name, (0.0, 0.0 if start else 0.1))
    kernel = {"kernel_regularizer": keras.regularizers.L1L2(*l2)} if any(l2) else {}
    norm, slope, last, gelu = {}, {}, {}, {}
    if start:
        norm, slope = {"momentum": 0.7, "epsilon": 0.02}, {"negative_slope": 0.5}
        last, gelu = {"epsilon": 0.1}, {"approximate": True}
    model = keras.Sequential(
        [
            keras.Input((6,)),
            L.Dense(8, use_bias=False, **kernel),
            L.BatchNormalization(**norm),
            L.LeakyReLU(**slope),
            L.LayerNormalization(**last),
            L.Activation(lambda x: keras.activations.gelu(x, **gelu)),
            L.Dense(3, **kernel),
        ]
    )
    if start:
        model.layers[0].kernel.assign(start["dense_1.kernel"])
    return model


def image(case: Case, start: Params) -> Any:
    return keras.Sequential(
        [
            keras.Input((7, 7, 2)),
            L.Conv2D(4, 3),
            L.AveragePooling2D(3, 2, padding="same"),
            L.AveragePooling2D(2, padding="same"),
            L.Flatten(),
            L.Dense(3),
        ]
    )


def tokens(case: Case, start: Params) -> Any:
    x = keras.Input((6,), dtype="int32")
    embedding, lstm = L.Embedding(5, 4), None
    h = Position()(embedding(x))
    lstm = L.LSTM(3, return_sequences=True)
    h = lstm(h)
    h = L.SimpleRNN(3, return_sequences=True)(h)
    h = L.GRU(4, return_sequences=True)(h)
    h = L.MultiHeadAttention(2, 2)(h, h, use_causal_mask=True)
    model = keras.Model(x, L.Dense(3)(L.GlobalAveragePooling1D()(h)))
    if start:
        embedding.embeddings.assign(start["embedding_1.table"])
        lstm.cell.kernel.assign(start["lstm_1.kernel"])
        lstm.cell.bias.assign([0, 0, 0, 0.5, 0.5, 0.5, 0, 0, 0, 0, 0, 0])
    return model


MODELS = {"table": table, "image": image, "tokens": tokens}
OPTIMIZERS = {
    "sgd": keras.optimizers.SGD,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
}
KEYWORDS: dict[str, dict[str, Any]] = {
    "table/given": {"learning_rate": 0.02, "beta_1": 0.8, "beta_2": 0.9, "epsilon": 1e-3},
    "tokens/given": {"learning_rate": 0.02, "rho": 0.5, "epsilon": 1e-2, "momentum": 0.3},
    "image/sgd": {"momentum": 0.9},
    "tokens/momentum": {"momentum": 0.9},
    "tokens/nesterov": {"momentum": 0.9, "nesterov": True},
    "tokens/rmsprop": {"momentum": 0.5},
    "table/sgd": {"global_clipnorm": 0.05},
    "tokens/adam": {"global_clipnorm": 0.05},
}
"""Case -> what its file gives, in Keras's words."""


def train(case: Case, job: Job, plan: BatchPlan, start: Params, session: Any) -> dict[str, Any]:
    """Losses of every step, logits of the test part after them, and the number of trained
    numbers.
    """
    keras.utils.set_random_seed(job.seed)
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    model = MODELS[case.name.partition("/")[0]](case, start)
    optimizer = OPTIMIZERS[job.experiment.train.optimizer.name](**KEYWORDS.get(case.name, {}))
    optimizer.build(model.trainable_variables)
    rate = float(optimizer.learning_rate.numpy())
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    losses = []
    for step, factor in enumerate(plan.learning_rate / plan.learning_rate[0]):
        rows = plan.rows(step)
        optimizer.learning_rate.assign(rate * factor)
        with tf.GradientTape() as tape:
            loss = loss_of(
                case.data.train.y[rows], model(case.data.train.x[rows], training=True)
            ) + sum(model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        losses.append(float(loss))
    logits = model(case.data.test.x, training=False).numpy()
    count = sum(int(tf.size(weight)) for weight in model.trainable_variables)
    return {"losses": losses, "logits": logits.tolist(), "parameters": count}
