"""The four cases in plain PyTorch."""

from __future__ import annotations

import time

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - PyTorch's own idiom
from torch import Tensor, nn

from benchmarks.handwritten import CLASSES, EVALUATION_BATCH

Params = dict[str, np.ndarray]


class Mlp(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, CLASSES))

    def load(self, params: Params) -> None:
        linear(self[0], params, "dense_1")
        linear(self[2], params, "dense_2")


class Cnn(nn.Module):
    """Takes NCHW in channels-last memory, the fastest layout of convolutions on a CPU and on a
    recent GPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.convolution_1 = nn.Conv2d(1, 16, 3, padding="same")
        self.convolution_2 = nn.Conv2d(16, 32, 3, padding="same")
        self.hidden = nn.Linear(7 * 7 * 32, 64)
        self.head = nn.Linear(64, CLASSES)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.relu(self.convolution_1(x)), 2)
        x = F.max_pool2d(F.relu(self.convolution_2(x)), 2)
        return self.head(F.relu(self.hidden(x.flatten(1))))

    def load(self, params: Params) -> None:
        for layer, name in ((self.convolution_1, "conv2d_1"), (self.convolution_2, "conv2d_2")):
            copy(layer.weight, params[f"{name}.kernel"].transpose(3, 2, 0, 1))
            copy(layer.bias, params[f"{name}.bias"])
        # HWC -> CHW
        rows = params["dense_1.kernel"].reshape(7, 7, 32, 64).transpose(2, 0, 1, 3).reshape(-1, 64)
        linear(
            self.hidden, {"dense_1.kernel": rows, "dense_1.bias": params["dense_1.bias"]}, "dense_1"
        )
        linear(self.head, params, "dense_2")


class Lstm(nn.Module):
    """``nn.LSTM`` as it comes: it trains a second bias vector of 4 * 128 values."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(28, 128, batch_first=True)
        self.head = nn.Linear(128, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.lstm(x)
        return self.head(outputs[:, -1])

    def load(self, params: Params) -> None:
        copy(self.lstm.weight_ih_l0, params["lstm_1.kernel"].T)
        copy(self.lstm.weight_hh_l0, params["lstm_1.recurrent_kernel"].T)
        copy(self.lstm.bias_ih_l0, params["lstm_1.bias"])
        copy(self.lstm.bias_hh_l0, np.zeros_like(params["lstm_1.bias"]))
        linear(self.head, params, "dense_1")


class Block(nn.Module):
    """Pre-norm transformer block, causal, 4 heads."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_1 = nn.LayerNorm(64)
        self.qkv = nn.Linear(64, 3 * 64)
        self.projection = nn.Linear(64, 64)
        self.norm_2 = nn.LayerNorm(64)
        self.feed_forward = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64))

    def forward(self, x: Tensor) -> Tensor:
        batch, steps, features = x.shape
        qkv = self.qkv(self.norm_1(x)).view(batch, steps, 3, 4, features // 4)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.projection(mixed.transpose(1, 2).reshape(batch, steps, features))
        return x + self.feed_forward(self.norm_2(x))

    def load(self, params: Params, number: int) -> None:
        names = [f"attention_{number}.{name}" for name in ("query", "key", "value")]
        copy(
            self.qkv.weight,
            np.concatenate([params[f"{name}_kernel"].reshape(64, 64).T for name in names]),
        )
        copy(self.qkv.bias, np.concatenate([params[f"{name}_bias"].ravel() for name in names]))
        copy(self.projection.weight, params[f"attention_{number}.output_kernel"].reshape(64, 64).T)
        copy(self.projection.bias, params[f"attention_{number}.output_bias"])
        norm(self.norm_1, params, f"layer_norm_{2 * number - 1}")
        norm(self.norm_2, params, f"layer_norm_{2 * number}")
        linear(self.feed_forward[0], params, f"dense_{2 * number - 1}")
        linear(self.feed_forward[2], params, f"dense_{2 * number}")


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(64, 64)
        self.positions = nn.Parameter(torch.empty(64, 64))
        self.blocks = nn.Sequential(Block(), Block())
        self.norm = nn.LayerNorm(64)
        self.head = nn.Linear(64, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = self.blocks(self.tokens(x) + self.positions)
        return self.head(self.norm(h)[:, -1])

    def load(self, params: Params) -> None:
        copy(self.tokens.weight, params["embedding_1.table"])
        copy(self.positions, params["position_1.table"])
        for number, block in enumerate(self.blocks, start=1):
            block.load(params, number)
        norm(self.norm, params, "layer_norm_5")
        linear(self.head, params, "dense_5")


MODELS = {"mlp": Mlp, "cnn": Cnn, "lstm": Lstm, "attention": Attention}


class Loop:
    def __init__(
        self, case: str, x: np.ndarray, y: np.ndarray, *, batch_size: int, learning_rate: float
    ) -> None:
        self.x = torch.from_numpy(x)
        if case == "cnn":
            # NHWC in memory is NCHW in channels-last memory format
            self.x = self.x.permute(0, 3, 1, 2)
        self.y = torch.from_numpy(y).long()
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.model = MODELS[case]()
        self.optimizer = self.fresh_optimizer()

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    def fresh_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.model.parameters(), lr=self.learning_rate, fused=True)

    def load(self, params: Params) -> None:
        self.model.load(params)
        self.optimizer = self.fresh_optimizer()

    @torch.inference_mode()
    def loss(self) -> float:
        self.model.eval()
        parts = zip(self.x.split(EVALUATION_BATCH), self.y.split(EVALUATION_BATCH), strict=True)
        return sum(
            F.cross_entropy(self.model(x), y, reduction="sum").item() for x, y in parts
        ) / len(self.x)

    def train(self, epochs: int) -> tuple[float, float]:
        self.model.train()
        self.epoch()
        start = time.perf_counter()
        total = sum(self.epoch() for _ in range(epochs))
        return time.perf_counter() - start, total / epochs

    def epoch(self) -> float:
        order = torch.randperm(len(self.x))
        total = torch.zeros(())
        for rows in order.split(self.batch_size):
            loss = F.cross_entropy(self.model(self.x[rows]), self.y[rows])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            total += loss.detach() * len(rows)
        return total.item() / len(order)


@torch.no_grad()
def copy(parameter: Tensor, array: np.ndarray) -> None:
    parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def linear(layer: nn.Linear, params: Params, name: str) -> None:
    copy(layer.weight, params[f"{name}.kernel"].T)
    copy(layer.bias, params[f"{name}.bias"])


def norm(layer: nn.LayerNorm, params: Params, name: str) -> None:
    copy(layer.weight, params[f"{name}.scale"])
    copy(layer.bias, params[f"{name}.bias"])
