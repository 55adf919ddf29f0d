"""Simple RNN, LSTM and GRU through PyTorch's fused modules.

Gate orders are the canonical ones (LSTM i, f, g, o; GRU r, z, n), so only transposes lie between
the layouts. PyTorch's RNN and LSTM add two biases, of which only the sum matters; the canonical
cell has one. So the second is held at zero, and natively it is trained as PyTorch trains it.
"""

from __future__ import annotations

from torch import Tensor, nn

from nncompare.backends.torch.layout import same, transpose
from nncompare.backends.torch.lowering import Build, lowering
from nncompare.spec.layers.recurrent import Gru, Lstm, Rnn
from nncompare.spec.model import Node


class _Recurrent(nn.Module):
    """Every step's output ``(N, T, H)`` or the last one's ``(N, H)`` of a batch-first ``cell`` on
    ``(N, T, F)``.
    """

    def __init__(self, cell: nn.RNNBase, sequences: bool):
        super().__init__()
        self.cell = cell
        self.sequences = sequences

    def forward(self, x_NTF: Tensor) -> Tensor:
        y_NTH: Tensor
        y_NTH, _ = self.cell(x_NTF)  # the last state is not needed
        return y_NTH if self.sequences else y_NTH[:, -1]


def _recurrent(
    kind: type[nn.RNN] | type[nn.LSTM] | type[nn.GRU],
    node: Node[Rnn] | Node[Lstm] | Node[Gru],
    build: Build,
) -> nn.Module:
    """PyTorch's module of one layer; its parameters are noted in ``build``."""
    cell = kind(node.input.shape[-1], node.layer.units, batch_first=True, **build.factory)
    build.store(
        node,
        kernel=(cell.get_parameter("weight_ih_l0"), transpose),
        recurrent_kernel=(cell.get_parameter("weight_hh_l0"), transpose),
        bias=(cell.get_parameter("bias_ih_l0"), same),
        recurrent_bias=(cell.get_parameter("bias_hh_l0"), same),  # a parameter of the GRU alone
    )
    if node.layer.sums_biases and build.native:
        second = cell.get_parameter("bias_hh_l0")
        build.store_added(node, "recurrent_bias", second, partner="bias")
    elif node.layer.sums_biases:
        # trained, it would double the bias's step
        nn.init.zeros_(cell.get_parameter("bias_hh_l0").requires_grad_(False))
    return _Recurrent(cell, node.layer.return_sequences)


@lowering(Rnn)
def rnn(node: Node[Rnn], build: Build) -> nn.Module:
    """``nn.RNN`` with one bias, natively with two."""
    return _recurrent(nn.RNN, node, build)


@lowering(Lstm)
def lstm(node: Node[Lstm], build: Build) -> nn.Module:
    """``nn.LSTM`` with one bias, natively with two."""
    return _recurrent(nn.LSTM, node, build)


@lowering(Gru)
def gru(node: Node[Gru], build: Build) -> nn.Module:
    """``nn.GRU``, whose two biases the canonical cell has as well."""
    return _recurrent(nn.GRU, node, build)
