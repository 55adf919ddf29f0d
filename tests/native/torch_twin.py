"""The models of ``cases`` as a PyTorch user writes them, with nothing of nncompare's backend in
them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nncompare.backends.base import Params
from nncompare.numerics.batches import BatchPlan
from nncompare.spec.job import Job
from nncompare.testing.case import Case


class Table(nn.Module):
    def __init__(
        self,
        *,
        norm: dict[str, Any],
        slope: dict[str, Any],
        last: dict[str, Any],
        gelu: dict[str, Any],
    ):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(6, 8, bias=False),
            nn.BatchNorm1d(8, **norm),
            nn.LeakyReLU(**slope),
            nn.LayerNorm(8, **last),
            nn.GELU(**gelu),
            nn.Linear(8, 3),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Image(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.first = nn.AvgPool2d(3, stride=2, padding=1)
        self.second = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.AvgPool2d(2))
        self.head = nn.Linear(16, 3)

    def forward(self, x_NHWC: Tensor) -> Tensor:
        x_NCHW = self.second(self.first(self.conv(x_NHWC.permute(0, 3, 1, 2).contiguous())))
        return self.head(x_NCHW.permute(0, 2, 3, 1).flatten(1))


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.position = nn.Parameter(torch.empty(6, 4).normal_())
        self.lstm = nn.LSTM(4, 3, batch_first=True)
        self.rnn = nn.RNN(3, 3, batch_first=True)
        self.gru = nn.GRU(3, 4, batch_first=True)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embedding(x) + self.position
        for cell in (self.lstm, self.rnn, self.gru):
            h, _ = cell(h)
        hidden = torch.ones(6, 6, dtype=torch.bool).triu(1)  # True: not seen
        h, _ = self.attention(h, h, h, attn_mask=hidden)
        return self.head(h.mean(1))


OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
}
KEYWORDS: dict[str, dict[str, Any]] = {
    "table/given": {"lr": 0.02, "betas": (0.8, 0.9), "eps": 1e-3},
    "tokens/given": {"lr": 0.02, "alpha": 0.5, "eps": 1e-2, "momentum": 0.3},
    "image/sgd": {"momentum": 0.9},
    "tokens/momentum": {"momentum": 0.9},
    "tokens/nesterov": {"momentum": 0.9, "nesterov": True},
    "tokens/rmsprop": {"momentum": 0.5},
    "table/sgd": {"weight_decay": 0.1},
    "table/adam": {"weight_decay": 0.1},
    "table/rmsprop": {"weight_decay": 0.1},
}
"""Case -> what its file gives, in PyTorch's words."""


def build(case: Case, start: Params) -> nn.Module:
    """The model with PyTorch's own start, and the canonical one where the file names an
    initializer.
    """
    kind = case.name.partition("/")[0]
    if kind == "image":
        return Image()
    if kind == "tokens":
        model = Tokens()
        if start:
            with torch.no_grad():
                model.embedding.weight.copy_(torch.tensor(start["embedding_1.table"]))
                model.lstm.weight_ih_l0.copy_(torch.tensor(start["lstm_1.kernel"]).t())
                model.lstm.bias_ih_l0.copy_(
                    torch.tensor([0, 0, 0, 0.5, 0.5, 0.5, 0, 0, 0, 0, 0, 0])
                )
                model.lstm.bias_hh_l0.zero_()
        return model
    if not start:
        return Table(norm={}, slope={}, last={}, gelu={})
    given = {
        "norm": {"eps": 0.02, "momentum": 0.3},
        "last": {"eps": 0.1},
        "gelu": {"approximate": "tanh"},
    }
    table = Table(slope={"negative_slope": 0.5}, **given)
    with torch.no_grad():
        table.layers[0].weight.copy_(torch.tensor(start["dense_1.kernel"]).t())
    return table


def penalty(case: Case, model: nn.Module) -> Tensor | float:
    """What stays in the loss: L1, and L2 where the optimizer's decay is another thing."""
    if case.name == "table/adam":
        return 0.01 * sum(layer.weight.abs().sum() for layer in (model.layers[0], model.layers[5]))
    if case.name == "table/adamw":
        return 0.1 * sum(
            layer.weight.square().sum() for layer in (model.layers[0], model.layers[5])
        )
    return 0.0


def train(case: Case, job: Job, plan: BatchPlan, start: Params, session: Any) -> dict[str, Any]:
    """Losses of every step, logits of the test part after them, and the number of trained
    numbers.
    """
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(job.seed)
    model = build(case, start)
    optimizer = OPTIMIZERS[job.experiment.train.optimizer.name](
        model.parameters(), **KEYWORDS.get(case.name, {})
    )
    rate = optimizer.param_groups[0]["lr"]
    x, y = torch.tensor(case.data.train.x), torch.tensor(case.data.train.y, dtype=torch.int64)
    x, losses = x.long() if case.input.is_tokens else x, []
    for step, factor in enumerate(plan.learning_rate / plan.learning_rate[0]):
        rows = torch.tensor(plan.rows(step), dtype=torch.int64)
        optimizer.param_groups[0]["lr"] = rate * factor
        loss = functional.cross_entropy(model(x[rows]), y[rows]) + penalty(case, model)
        optimizer.zero_grad()
        loss.backward()
        if job.experiment.train.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), 0.05)
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    test = torch.tensor(case.data.test.x)
    with torch.no_grad():
        logits = model(test.long() if case.input.is_tokens else test)
    count = sum(weight.numel() for weight in model.parameters())
    return {"losses": losses, "logits": logits.tolist(), "parameters": count}
