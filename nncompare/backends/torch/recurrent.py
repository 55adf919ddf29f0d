"""Simple RNN, LSTM and GRU through PyTorch's fused modules.

Gate orders are the canonical ones (LSTM i, f, g, o; GRU r, z, n), so only transposes lie between
the layouts.
"""

from __future__ import annotations

from torch import Tensor, nn

from nncompare.backends.torch.lowering import Build, same, transpose
from nncompare.spec.model import Node


class Recurrent(nn.Module):
    """Every step's output ``(N, T, H)`` or the last one's ``(N, H)`` of a batch-first ``cell`` on
    ``(N, T, F)``.
    """

    def __init__(self, cell: nn.RNNBase, sequences: bool):
        super().__init__()
        self.cell, self.sequences = cell, sequences

    def forward(self, x_NTF: Tensor) -> Tensor:
        y_NTH, _ = self.cell(x_NTF)
        return y_NTH if self.sequences else y_NTH[:, -1]


def _recurrent(kind: type[nn.RNNBase], node: Node, build: Build) -> nn.Module:
    cell = kind(node.input.shape[-1], node.layer.units, batch_first=True, **build.factory)
    build.store(
        node,
        kernel=(cell.weight_ih_l0, transpose),
        recurrent_kernel=(cell.weight_hh_l0, transpose),
        bias=(cell.bias_ih_l0, same),
        recurrent_bias=(cell.bias_hh_l0, same),
    )
    if kind is not nn.GRU:
        # PyTorch adds two biases, which would double the bias's step; the canonical cell has one.
        nn.init.zeros_(cell.bias_hh_l0.requires_grad_(False))
    return Recurrent(cell, node.layer.return_sequences)


def rnn(node: Node, build: Build) -> nn.Module:
    return _recurrent(nn.RNN, node, build)


def lstm(node: Node, build: Build) -> nn.Module:
    return _recurrent(nn.LSTM, node, build)


def gru(node: Node, build: Build) -> nn.Module:
    return _recurrent(nn.GRU, node, build)
