"""The networks of ``cases`` as PyTorch's tutorials write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nncompare.numerics.batches import BatchPlan
from nncompare.testing.case import Case


class Cnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(36, 3)

    def forward(self, x_NHWC: Tensor) -> Tensor:
        h_NCHW = self.pool(functional.relu(self.conv(x_NHWC.permute(0, 3, 1, 2))))
        # the file's order of a flattened image; PyTorch's own is another network
        return self.head(h_NCHW.permute(0, 2, 3, 1).flatten(1))


class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.lstm = nn.LSTM(4, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        h, _ = self.lstm(self.embedding(x))
        return self.head(h[:, -1])


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


MODELS = {"mlp": mlp, "cnn": Cnn, "lstm": Lstm}
OPTIMIZERS = {"mlp": torch.optim.SGD, "cnn": torch.optim.RMSprop, "lstm": torch.optim.Adam}


def train(case: Case, plan: BatchPlan, seed: int, start: Mapping[str, Any]) -> dict[str, Any]:
    """The loss of every step, and the logits of the test part after them."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(seed)
    model = MODELS[case.name]()
    optimizer = OPTIMIZERS[case.name](model.parameters())
    x, y = torch.tensor(case.data.train.x), torch.tensor(case.data.train.y).long()
    losses = []
    for step in range(plan.steps):
        rows = torch.tensor(plan.rows(step)).long()
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor(case.data.test.x))
    return {"losses": losses, "logits": logits.tolist()}
