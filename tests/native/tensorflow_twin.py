"""The networks of ``cases`` in operations of TensorFlow. It ships no layers: the initial weights,
for which there is no class to take them from, are copied from the session.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from nncompare.numerics.batches import BatchPlan
from nncompare.testing.case import Case

Weights = dict[str, Any]
V1 = tf.compat.v1.train


def mlp(w: Weights, x: Any, training: bool) -> Any:
    h = x @ w["dense_1.kernel"] + w["dense_1.bias"]
    mean, variance = w["batch_norm_1.running_mean"], w["batch_norm_1.running_variance"]
    if training:
        batch_mean, batch_variance = tf.nn.moments(h, [0])
        mean.assign(0.99 * mean + 0.01 * batch_mean)
        variance.assign(0.99 * variance + 0.01 * batch_variance)
        mean, variance = batch_mean, batch_variance
    offset, scale = w["batch_norm_1.bias"], w["batch_norm_1.scale"]
    h = tf.nn.batch_normalization(h, mean, variance, offset, scale, 1e-3)
    return tf.nn.relu(h) @ w["dense_2.kernel"] + w["dense_2.bias"]


def cnn(w: Weights, x: Any, training: bool) -> Any:
    h = tf.nn.conv2d(x, w["conv2d_1.kernel"], 1, "VALID") + w["conv2d_1.bias"]
    h = tf.nn.max_pool2d(tf.nn.relu(h), 2, 2, "VALID")
    return tf.reshape(h, (-1, 36)) @ w["dense_1.kernel"] + w["dense_1.bias"]


def lstm(w: Weights, x: Any, training: bool) -> Any:
    steps = tf.unstack(tf.nn.embedding_lookup(w["embedding_1.table"], x), axis=1)
    h = c = tf.zeros((steps[0].shape[0], 5), tf.float64)
    for step in steps:
        gates = step @ w["lstm_1.kernel"] + h @ w["lstm_1.recurrent_kernel"] + w["lstm_1.bias"]
        i, f, g, o = tf.split(gates, 4, axis=-1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        h = tf.sigmoid(o) * tf.tanh(c)
    return h @ w["dense_1.kernel"] + w["dense_1.bias"]


MODELS = {"mlp": mlp, "cnn": cnn, "lstm": lstm}
OPTIMIZERS = {
    "mlp": V1.GradientDescentOptimizer,
    "cnn": V1.RMSPropOptimizer,
    "lstm": V1.AdamOptimizer,
}
RATES = {"mlp": 0.01, "cnn": 1e-3, "lstm": 1e-3}
"""TensorFlow wants to be told: ``docs/native.md`` says which stands where it has none."""


def train(case: Case, plan: BatchPlan, seed: int, start: Mapping[str, Any]) -> dict[str, Any]:
    """The loss of every step, and the logits of the test part after them."""
    w = {name: tf.Variable(v, trainable="running" not in name) for name, v in start.items()}
    trained = [weight for weight in w.values() if weight.trainable]
    model = MODELS[case.name]
    # a plain number would be rounded to float32
    optimizer = OPTIMIZERS[case.name](tf.constant(RATES[case.name], tf.float64))
    losses = []
    for step in range(plan.steps):
        rows = plan.rows(step)
        with tf.GradientTape() as tape:
            logits = model(w, tf.constant(case.data.train.x[rows]), True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(case.data.train.y[rows], logits)
            )
        gradients = tape.gradient(loss, trained)
        optimizer.apply_gradients(list(zip(gradients, trained, strict=True)))
        losses.append(float(loss))
    logits = model(w, tf.constant(case.data.test.x), False)
    return {"losses": losses, "logits": logits.numpy().tolist()}
