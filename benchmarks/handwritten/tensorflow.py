"""The four cases in plain TensorFlow operations: a ``tf.Module`` and one ``tf.function`` an epoch.

The loop over the batches is inside the graph, which saves the call from Python for every step; the
batch size divides the number of examples, so that every shape is known when the graph is made. Adam
is the fused kernel that TensorFlow has for it. The LSTM is unrolled: measured against
``tf.while_loop`` and ``BlockLSTMV2``, that was the fastest on a CPU.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from benchmarks.handwritten import CLASSES, EVALUATION_BATCH

Params = dict[str, np.ndarray]
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


def zeros(*shape: int) -> tf.Variable:
    return tf.Variable(tf.zeros(shape))


class Linear(tf.Module):
    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.kernel, self.bias = zeros(inputs, units), zeros(units)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        if x.shape.rank == 2:
            return tf.nn.bias_add(tf.matmul(x, self.kernel), self.bias)
        rows = tf.matmul(tf.reshape(x, [-1, x.shape[-1]]), self.kernel)
        return tf.reshape(tf.nn.bias_add(rows, self.bias), [-1, *x.shape[1:-1], self.bias.shape[0]])

    def load(self, params: Params, name: str) -> None:
        self.kernel.assign(params[f"{name}.kernel"])
        self.bias.assign(params[f"{name}.bias"])


class Mlp(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.head = Linear(784, 256), Linear(256, CLASSES)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        return self.head(tf.nn.relu(self.hidden(x)))

    def load(self, params: Params) -> None:
        self.hidden.load(params, "dense_1")
        self.head.load(params, "dense_2")


class Convolution(tf.Module):
    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.kernel, self.bias = zeros(3, 3, channels, filters), zeros(filters)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        x = tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, self.kernel, 1, "SAME"), self.bias))
        return tf.nn.max_pool2d(x, 2, 2, "VALID")

    def load(self, params: Params, name: str) -> None:
        self.kernel.assign(params[f"{name}.kernel"])
        self.bias.assign(params[f"{name}.bias"])


class Cnn(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution_1, self.convolution_2 = Convolution(1, 16), Convolution(16, 32)
        self.hidden, self.head = Linear(7 * 7 * 32, 64), Linear(64, CLASSES)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        x = self.convolution_2(self.convolution_1(x))
        return self.head(tf.nn.relu(self.hidden(tf.reshape(x, [-1, 7 * 7 * 32]))))

    def load(self, params: Params) -> None:
        self.convolution_1.load(params, "conv2d_1")
        self.convolution_2.load(params, "conv2d_2")
        self.hidden.load(params, "dense_1")
        self.head.load(params, "dense_2")


class Lstm(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inputs, self.recurrent, self.head = (
            Linear(28, 512),
            zeros(128, 512),
            Linear(128, CLASSES),
        )

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        recurrent = tf.convert_to_tensor(self.recurrent)
        hidden = memory = tf.zeros([tf.shape(x)[0], 128])
        for step in tf.unstack(x, axis=1):
            i, f, g, o = tf.split(self.inputs(step) + tf.matmul(hidden, recurrent), 4, axis=1)
            memory = tf.sigmoid(f) * memory + tf.sigmoid(i) * tf.tanh(g)
            hidden = tf.sigmoid(o) * tf.tanh(memory)
        return self.head(hidden)

    def load(self, params: Params) -> None:
        self.inputs.load(params, "lstm_1")
        self.recurrent.assign(params["lstm_1.recurrent_kernel"])
        self.head.load(params, "dense_1")


class Norm(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale, self.bias = zeros(64), zeros(64)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        return tf.nn.batch_normalization(x, mean, variance, self.bias, self.scale, 1e-5)

    def load(self, params: Params, name: str) -> None:
        self.scale.assign(params[f"{name}.scale"])
        self.bias.assign(params[f"{name}.bias"])


class Block(tf.Module):
    """Pre-norm transformer block, causal, 4 heads."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_1, self.qkv, self.projection = Norm(), Linear(64, 3 * 64), Linear(64, 64)
        self.norm_2, self.widen, self.narrow = Norm(), Linear(64, 256), Linear(256, 64)
        self.mask = tf.constant(np.triu(np.full((64, 64), -1e9, np.float32), 1))

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        qkv = tf.reshape(self.qkv(self.norm_1(x)), [-1, 64, 3, 4, 16])
        query, key, value = tf.unstack(tf.transpose(qkv, [2, 0, 3, 1, 4]))
        weights = tf.nn.softmax(tf.matmul(query * 0.25, key, transpose_b=True) + self.mask)
        mixed = tf.transpose(tf.matmul(weights, value), [0, 2, 1, 3])
        x += self.projection(tf.reshape(mixed, [-1, 64, 64]))
        return x + self.narrow(tf.nn.gelu(self.widen(self.norm_2(x))))

    def load(self, params: Params, number: int) -> None:
        names = [f"attention_{number}.{name}" for name in ("query", "key", "value")]
        self.qkv.kernel.assign(
            np.concatenate([params[f"{name}_kernel"].reshape(64, 64) for name in names], axis=1)
        )
        self.qkv.bias.assign(np.concatenate([params[f"{name}_bias"].ravel() for name in names]))
        self.projection.kernel.assign(params[f"attention_{number}.output_kernel"].reshape(64, 64))
        self.projection.bias.assign(params[f"attention_{number}.output_bias"])
        self.norm_1.load(params, f"layer_norm_{2 * number - 1}")
        self.norm_2.load(params, f"layer_norm_{2 * number}")
        self.widen.load(params, f"dense_{2 * number - 1}")
        self.narrow.load(params, f"dense_{2 * number}")


class Attention(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens, self.positions = zeros(64, 64), zeros(64, 64)
        self.blocks = [Block(), Block()]
        self.norm, self.head = Norm(), Linear(64, CLASSES)

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        h = tf.gather(self.tokens, x) + self.positions
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h)[:, -1])

    def load(self, params: Params) -> None:
        self.tokens.assign(params["embedding_1.table"])
        self.positions.assign(params["position_1.table"])
        for number, block in enumerate(self.blocks, start=1):
            block.load(params, number)
        self.norm.load(params, "layer_norm_5")
        self.head.load(params, "dense_5")


MODELS = {"mlp": Mlp, "cnn": Cnn, "lstm": Lstm, "attention": Attention}


class Adam(tf.Module):
    def __init__(self, weights: Sequence[tf.Variable], learning_rate: float) -> None:
        super().__init__()
        self.weights, self.learning_rate = weights, learning_rate
        self.means = [tf.Variable(tf.zeros_like(weight), trainable=False) for weight in weights]
        self.squares = [tf.Variable(tf.zeros_like(weight), trainable=False) for weight in weights]
        self.power_1 = tf.Variable(BETA_1, trainable=False)
        self.power_2 = tf.Variable(BETA_2, trainable=False)

    def restart(self) -> None:
        for state in (*self.means, *self.squares):
            state.assign(tf.zeros_like(state))
        self.power_1.assign(BETA_1)
        self.power_2.assign(BETA_2)

    def apply(self, gradients: Sequence[tf.Tensor]) -> None:
        for weight, mean, square, gradient in zip(
            self.weights, self.means, self.squares, gradients, strict=True
        ):
            tf.raw_ops.ResourceApplyAdam(
                var=weight.handle,
                m=mean.handle,
                v=square.handle,
                beta1_power=self.power_1,
                beta2_power=self.power_2,
                lr=self.learning_rate,
                beta1=BETA_1,
                beta2=BETA_2,
                epsilon=EPSILON,
                grad=tf.convert_to_tensor(gradient),
            )
        self.power_1.assign(self.power_1 * BETA_1)
        self.power_2.assign(self.power_2 * BETA_2)


class Loop(tf.Module):
    def __init__(
        self, case: str, x: np.ndarray, y: np.ndarray, *, batch_size: int, learning_rate: float
    ) -> None:
        super().__init__()
        self.x, self.y = tf.constant(x), tf.constant(y)
        self.batch_size = batch_size
        self.model = MODELS[case]()
        self.weights = self.model.trainable_variables
        self.optimizer = Adam(self.weights, learning_rate)

    @property
    def parameters(self) -> int:
        return sum(int(np.prod(weight.shape)) for weight in self.weights)

    def load(self, params: Params) -> None:
        self.model.load({name: array.astype(np.float32) for name, array in params.items()})
        self.optimizer.restart()

    @tf.function
    def loss_sum(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=self.model(x))
        )

    def loss(self) -> float:
        starts = range(0, len(self.x), EVALUATION_BATCH)
        parts = (slice(start, start + EVALUATION_BATCH) for start in starts)
        return sum(float(self.loss_sum(self.x[part], self.y[part])) for part in parts) / len(self.x)

    def train(self, epochs: int) -> tuple[float, float]:
        self.epoch().numpy()
        start = time.perf_counter()
        total = sum(float(self.epoch()) for _ in range(epochs))
        return time.perf_counter() - start, total / epochs

    @tf.function
    def epoch(self) -> tf.Tensor:
        order = tf.reshape(tf.random.shuffle(tf.range(len(self.x))), [-1, self.batch_size])
        total = tf.zeros([])
        for k in tf.range(order.shape[0]):
            total += self.step(tf.gather(self.x, order[k]), tf.gather(self.y, order[k]))
        return total / tf.cast(order.shape[0], tf.float32)

    def step(self, x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=self.model(x))
            loss = tf.reduce_mean(losses)
        self.optimizer.apply(tape.gradient(loss, self.weights))
        return loss
