"""Simple RNN, LSTM and GRU through PyTorch's fused modules.

Gate orders are the canonical ones (LSTM i, f, g, o; GRU r, z, n), so only transposes lie between
the layouts. PyTorch's RNN and LSTM add two biases, of which only the sum matters; the canonical
cell has one. So the second is held at zero, and natively it is trained as PyTorch trains it.
"""

from __future__ import annotations

from torch import Tensor, nn

from nncompare.backends.torch.layout import same, transpose
from nncompare.backends.torch.lowering import Build, lowering, native_lowering
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


def _cell(
    kind: type[nn.RNN] | type[nn.LSTM] | type[nn.GRU],
    node: Node[Rnn] | Node[Lstm] | Node[Gru],
    build: Build,
) -> nn.RNNBase:
    """PyTorch's module of one layer; its kernels and first bias are noted in ``build``."""
    cell = kind(node.input.shape[-1], node.layer.units, batch_first=True, **build.factory)
    build.store(
        node,
        kernel=(cell.get_parameter("weight_ih_l0"), transpose),
        recurrent_kernel=(cell.get_parameter("weight_hh_l0"), transpose),
        bias=(cell.get_parameter("bias_ih_l0"), same),
        recurrent_bias=(cell.get_parameter("bias_hh_l0"), same),  # a parameter of the GRU alone
    )
    return cell


def _hold_second_bias(cell: nn.RNNBase) -> None:
    """Trained, it would double the bias's step."""
    nn.init.zeros_(cell.get_parameter("bias_hh_l0").requires_grad_(False))


def _train_second_bias(cell: nn.RNNBase, node: Node[Rnn] | Node[Lstm], build: Build) -> None:
    bias = cell.get_parameter("bias_hh_l0")
    build.store_added(node, "recurrent_bias", bias, partner="bias")


@lowering(Rnn)
def rnn(node: Node[Rnn], build: Build) -> nn.Module:
    """``nn.RNN`` with one bias."""
    cell = _cell(nn.RNN, node, build)
    _hold_second_bias(cell)
    return _Recurrent(cell, node.layer.return_sequences)


@native_lowering(Rnn)
def native_rnn(node: Node[Rnn], build: Build) -> nn.Module:
    """``nn.RNN`` with both of its biases trained."""
    cell = _cell(nn.RNN, node, build)
    _train_second_bias(cell, node, build)
    return _Recurrent(cell, node.layer.return_sequences)


@lowering(Lstm)
def lstm(node: Node[Lstm], build: Build) -> nn.Module:
    """``nn.LSTM`` with one bias."""
    cell = _cell(nn.LSTM, node, build)
    _hold_second_bias(cell)
    return _Recurrent(cell, node.layer.return_sequences)


@native_lowering(Lstm)
def native_lstm(node: Node[Lstm], build: Build) -> nn.Module:
    """``nn.LSTM`` with both of its biases trained."""
    cell = _cell(nn.LSTM, node, build)
    _train_second_bias(cell, node, build)
    return _Recurrent(cell, node.layer.return_sequences)


@lowering(Gru)
def gru(node: Node[Gru], build: Build) -> nn.Module:
    """``nn.GRU``, whose two biases the canonical cell has as well."""
    return _Recurrent(_cell(nn.GRU, node, build), node.layer.return_sequences)
