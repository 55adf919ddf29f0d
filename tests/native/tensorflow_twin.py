"""The models of ``cases`` in plain TensorFlow, with nothing of nncompare's backend in them but the
initial weights: those are drawn from keys of its own, and copied from the session (``starts`` in
``probes`` looks at them).
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from nncompare.backends.base import Params
from nncompare.numerics.batches import BatchPlan
from nncompare.spec.job import Job
from nncompare.testing.case import Case

Weights = dict[str, Any]
V1 = tf.compat.v1.train


def table(w: Weights, x: Any, training: bool, given: bool) -> Any:
    norm, slope, last, momentum = (0.02, 0.5, 0.1, 0.3) if given else (1e-3, 0.2, 1e-6, 0.01)
    h = x @ w["dense_1.kernel"]
    mean, variance = w["batch_norm_1.running_mean"], w["batch_norm_1.running_variance"]
    if training:
        running = mean, variance
        mean, variance = tf.nn.moments(h, [0])
        for old, new in zip(running, (mean, variance), strict=True):
            old.assign((1 - momentum) * old + momentum * new)
    h = tf.nn.batch_normalization(
        h, mean, variance, w["batch_norm_1.bias"], w["batch_norm_1.scale"], norm
    )
    h = tf.nn.leaky_relu(h, slope)
    mean, variance = tf.nn.moments(h, [-1], keepdims=True)
    h = tf.nn.batch_normalization(
        h, mean, variance, w["layer_norm_1.bias"], w["layer_norm_1.scale"], last
    )
    return tf.nn.gelu(h, approximate=given) @ w["dense_2.kernel"] + w["dense_2.bias"]


def image(w: Weights, x: Any, training: bool, given: bool) -> Any:
    h = tf.nn.conv2d(x, w["conv2d_1.kernel"], 1, "VALID") + w["conv2d_1.bias"]
    h = tf.nn.avg_pool2d(tf.nn.avg_pool2d(h, 3, 2, "SAME"), 2, 2, "SAME")
    return tf.reshape(h, (-1, 16)) @ w["dense_1.kernel"] + w["dense_1.bias"]


def tokens(w: Weights, x: Any, training: bool, given: bool) -> Any:
    h = tf.nn.embedding_lookup(w["embedding_1.table"], x) + w["position_1.table"]
    h = _lstm(w, tf.unstack(h, axis=1))
    h = _rnn(w, h)
    h = tf.stack(_gru(w, h), axis=1)
    h = _attention(w, h)
    return tf.reduce_mean(h, axis=1) @ w["dense_1.kernel"] + w["dense_1.bias"]


def _lstm(w: Weights, steps: list[Any]) -> list[Any]:
    h = c = tf.zeros((steps[0].shape[0], 3), tf.float64)
    found = []
    for x in steps:
        gates = x @ w["lstm_1.kernel"] + h @ w["lstm_1.recurrent_kernel"] + w["lstm_1.bias"]
        i, f, g, o = tf.split(gates, 4, axis=-1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        h = tf.sigmoid(o) * tf.tanh(c)
        found.append(h)
    return found


def _rnn(w: Weights, steps: list[Any]) -> list[Any]:
    h, found = tf.zeros((steps[0].shape[0], 3), tf.float64), []
    for x in steps:
        h = tf.tanh(x @ w["rnn_1.kernel"] + h @ w["rnn_1.recurrent_kernel"] + w["rnn_1.bias"])
        found.append(h)
    return found


def _gru(w: Weights, steps: list[Any]) -> list[Any]:
    h, found = tf.zeros((steps[0].shape[0], 4), tf.float64), []
    for x in steps:
        ours = tf.split(x @ w["gru_1.kernel"] + w["gru_1.bias"], 3, axis=-1)
        inner = tf.split(h @ w["gru_1.recurrent_kernel"] + w["gru_1.recurrent_bias"], 3, axis=-1)
        r, z = tf.sigmoid(ours[0] + inner[0]), tf.sigmoid(ours[1] + inner[1])
        h = (1 - z) * tf.tanh(ours[2] + r * inner[2]) + z * h
        found.append(h)
    return found


def _attention(w: Weights, x: Any) -> Any:
    def project(name: str) -> Any:
        return (
            tf.einsum("nte,ehd->nhtd", x, w[f"attention_1.{name}_kernel"])
            + w[f"attention_1.{name}_bias"][:, tf.newaxis]
        )

    scores = (
        project("query")
        @ tf.transpose(project("key"), (0, 1, 3, 2))
        / tf.sqrt(tf.constant(2, tf.float64))
    )
    seen = tf.linalg.band_part(tf.ones((6, 6), tf.float64), -1, 0)
    weights = tf.nn.softmax(tf.where(seen > 0, scores, tf.constant(-1e30, tf.float64)))
    mixed = tf.einsum("nhtd,hde->nte", weights @ project("value"), w["attention_1.output_kernel"])
    return mixed + w["attention_1.output_bias"]


MODELS = {"table": table, "image": image, "tokens": tokens}


def optimizer(case: Case, rate: Any) -> Any:
    """What the file gives, in TensorFlow's words."""
    match case.name:
        case "table/given":
            return V1.AdamOptimizer(rate, beta1=0.8, beta2=0.9, epsilon=1e-3)
        case "tokens/given":
            return V1.RMSPropOptimizer(rate, decay=0.5, epsilon=1e-2, momentum=0.3)
        case "tokens/rmsprop":
            return V1.RMSPropOptimizer(rate, momentum=0.5)
        case "table/rmsprop":
            return V1.RMSPropOptimizer(rate)
        case "image/sgd" | "tokens/momentum":
            return V1.MomentumOptimizer(rate, 0.9)
        case "tokens/nesterov":
            return V1.MomentumOptimizer(rate, 0.9, use_nesterov=True)
        case "table/sgd":
            return V1.GradientDescentOptimizer(rate)
    return V1.AdamOptimizer(rate)


RATES = {"sgd": 0.01, "adam": 0.001, "adamw": 0.001, "rmsprop": 0.001}


def train(case: Case, job: Job, plan: BatchPlan, start: Params, session: Any) -> dict[str, Any]:
    """Losses of every step, logits of the test part after them, and the number of trained
    numbers.
    """
    model, given = MODELS[case.name.partition("/")[0]], case.name.endswith("/given")
    running = ("batch_norm_1.running_mean", "batch_norm_1.running_variance")
    w = {
        name: tf.Variable(value, trainable=name not in running)
        for name, value in session.params().items()
    }
    trained = [weight for weight in w.values() if weight.trainable]
    rate = tf.Variable(0.0, dtype=tf.float64)
    rule = optimizer(case, lambda: rate.read_value())
    first = 0.02 if given else RATES[job.experiment.train.optimizer.name]
    x, y, losses = case.data.train.x, case.data.train.y, []
    l1, l2 = {"table/adam": (0.01, 0.1)}.get(case.name, (0.0, 0.1))
    for step, factor in enumerate(plan.learning_rate / plan.learning_rate[0]):
        rows = plan.rows(step)
        rate.assign(first * factor)
        with tf.GradientTape() as tape:
            logits = model(w, tf.constant(x[rows]), True, given)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y[rows], logits=logits)
            )
            if case.name.startswith("table/") and not given:
                kernels = (w["dense_1.kernel"], w["dense_2.kernel"])
                loss += sum(l1 * tf.reduce_sum(tf.abs(k)) + l2 * tf.nn.l2_loss(k) for k in kernels)
        gradients = tape.gradient(loss, trained)
        if case.name in ("table/sgd", "tokens/adam"):
            gradients, _ = tf.clip_by_global_norm(gradients, 0.05)
        if case.name == "table/adamw":
            for weight in trained:
                weight.assign(weight * (1 - rate * 0.01))
        rule.apply_gradients(list(zip(gradients, trained, strict=True)))
        losses.append(float(loss))
    logits = model(w, tf.constant(case.data.test.x), False, given)
    return {
        "losses": losses,
        "logits": logits.numpy().tolist(),
        "parameters": sum(int(tf.size(v)) for v in trained),
    }
