"""One built model on one device: the training loop as a PyTorch engineer writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from nncompare.backends.base import EVALUATION_BATCH, Array, Device, Gate, Params, Piece
from nncompare.backends.torch import device as hardware
from nncompare.backends.torch import native, settings
from nncompare.backends.torch.layers import lower_chain
from nncompare.backends.torch.losses import LOSSES, penalty, target_dtype
from nncompare.backends.torch.lowering import Build, Masks, from_canonical, to_canonical
from nncompare.backends.torch.optimizers import OPTIMIZERS, clip_
from nncompare.data.base import Data
from nncompare.numerics.batches import BatchPlan
from nncompare.spec.job import Job
from nncompare.spec.model import Node


class TorchSession:
    """Fulfils ``backends.base.Session``.

    Args:
        job: what is trained; ``torch:compile`` compiles forward, loss and backward.
        data: the training part is staged on the device once.
        device: where.
    """

    def __init__(self, job: Job, data: Data, device: Device):
        self.job, self.device, self.model = job, device, job.model
        self._flush = settings.apply(job)
        self._device = torch.device(device.id)
        self._dtype = getattr(torch, job.experiment.train.dtype)
        self._synchronize = hardware.synchronizer(self._device)
        self._mark_step = hardware.step_marker(self._device)
        masks = Masks(seed=job.seed) if job.dropout == "masks" else None
        lowerings = native.LOWERINGS if job.native else {}
        self._build = Build(device=self._device, dtype=self._dtype, masks=masks, native=lowerings)
        # keys PyTorch's own initial weights, which a native training starts from
        torch.manual_seed(job.seed)
        self._module = lower_chain(self.model.nodes, self._build)
        self._trained = [weight for weight in self._module.parameters() if weight.requires_grad]
        self._clip_norm = job.experiment.train.clip_norm
        self._loss = (
            torch.compile(self._forward_loss()) if job.mode == "compile" else self._forward_loss()
        )
        self._compiled_for: set[int] = set()
        self._x = self._stage(
            data.train.x, torch.int64 if self.model.input.is_tokens else self._dtype
        )
        self._y = self._stage(data.train.y, target_dtype(job.experiment.task, self._dtype))
        self._restart()

    def _stage(self, array: Array, dtype: torch.dtype) -> Tensor:
        # PyTorch shares memory with writable arrays only; a read-only one is copied
        return torch.from_numpy(np.require(array, requirements="CW")).to(self._device, dtype)

    def _restart(self) -> None:
        """Fresh optimizer state; PyTorch's own dropout masks start over, so that a training can be
        repeated.
        """
        torch.manual_seed(self.job.seed)
        train = self.job.experiment.train
        spec = train.optimizer
        if self.job.native:
            self._optimizer = native.optimizer(spec, train.penalty, self._trained)
        else:
            self._optimizer = OPTIMIZERS[spec.name](spec, self._trained)
        self._rate = spec.lr

    def _forward_loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """The minimized loss of a batch: the task's, plus the penalties where there are any."""
        module, loss = self._module, LOSSES[self.job.experiment.task]
        train = self.job.experiment.train
        terms = (
            native.penalty_in_loss(train.optimizer, train.penalty)
            if self.job.native
            else train.penalty
        )
        l1, l2 = terms.l1, terms.l2
        places = self._build.stored.values()
        weights = list(
            {id(place.tensor): place.tensor for place in places if place.penalized}.values()
        )

        def plain(x: Tensor, y: Tensor) -> Tensor:
            return loss(module(x), y)

        def penalized(x: Tensor, y: Tensor) -> Tensor:
            return loss(module(x), y) + penalty(weights, l1, l2)

        return penalized if weights and (l1 or l2) else plain

    def load(self, params: Params) -> None:
        stored = self._build.stored
        if wrong := set(params) - set(stored) if self.job.native else set(params) ^ set(stored):
            raise KeyError(f"parameters that only one side has: {', '.join(sorted(wrong))}")
        with torch.no_grad():
            for name, place in stored.items():
                if name not in params:
                    if place.partner in params:
                        place.tensor.zero_()
                    continue
                target, source = place.canonical(place.tensor), torch.tensor(params[name])
                if target.shape != source.shape:
                    raise ValueError(
                        f"{name}: shape {tuple(source.shape)}, the model has {tuple(target.shape)}"
                    )
                target.copy_(source)
        self._restart()

    def params(self) -> Params:
        stored = self._build.stored
        return {
            name: _to_numpy(place.canonical(place.tensor.detach()))
            for name, place in stored.items()
        }

    def predict(self, x: Array) -> Array:
        training = self._module.training
        self._module.eval()
        with torch.inference_mode():
            chunks = [
                self._module(self._input(x[i : i + EVALUATION_BATCH]))
                for i in range(0, len(x), EVALUATION_BATCH)
            ]
            logits = _to_numpy(torch.cat(chunks))
        self._module.train(training)
        return logits

    def _input(self, x: Array) -> Tensor:
        return from_canonical(self._stage(x, self._x.dtype), self.model.input)

    def outputs(self, x: Array, *, training: bool = False) -> dict[str, Array]:
        found: dict[str, Array] = {}

        def record(node: Node, _module: nn.Module, _inputs: object, output: Tensor) -> None:
            found[node.name] = _to_numpy(to_canonical(output, node.output))

        modules = self._build.modules
        hooks = [
            modules[node.name].register_forward_hook(partial(record, node))
            for node in self.model.walk()
        ]
        try:
            with self._undisturbed(training), torch.no_grad():
                self._module(self._input(x))
        finally:
            for hook in hooks:
                hook.remove()
        return {node.name: found[node.name] for node in self.model.walk()}

    def loss_and_gradients(self, rows: Array, step: int = 0) -> tuple[float, Params]:
        with self._undisturbed(training=True, step=step):
            loss, gradients = self._differentiate(
                torch.tensor(rows, dtype=torch.int64, device=self._device)
            )
        of = {
            id(weight): gradient for weight, gradient in zip(self._trained, gradients, strict=True)
        }
        return loss.item(), {
            name: _to_numpy(place.canonical(of[id(place.tensor)]))
            for name, place in self._build.stored.items()
            if id(place.tensor) in of
        }

    def _differentiate(self, rows: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        loss = self._loss(*self._batch(rows))
        return loss.detach(), torch.autograd.grad(loss, self._trained, materialize_grads=True)

    @contextmanager
    def _undisturbed(self, training: bool, step: int = 0) -> Iterator[None]:
        """Training or inference mode with the masks of ``step``; running statistics, mode, step and
        random numbers are put back at the end.
        """
        mode, masks = self._module.training, self._build.masks
        before = masks.step if masks else 0
        buffers = (
            [(buffer, buffer.clone()) for buffer in self._module.buffers()] if training else []
        )
        cuda = [self._device.index or 0] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices=cuda):
            self._at_step(step)
            self._module.train(training)
            try:
                yield
            finally:
                self._module.train(mode)
                self._at_step(before)
                for buffer, kept in buffers:
                    buffer.copy_(kept)

    def _at_step(self, step: int) -> None:
        if self._build.masks is not None:
            self._build.masks.step = step

    def train(self, plan: BatchPlan, gate: Gate) -> None:
        epoch, batches = -1, ()
        while (piece := gate.next()) is not None:
            if piece.epoch != epoch:
                epoch, batches = piece.epoch, self._batches(plan, piece.epoch)
            losses = self._run(plan, piece, batches)
            self._synchronize()
            gate.done(plan.mean_loss(piece.begin, piece.end, losses))

    def _batches(self, plan: BatchPlan, epoch: int) -> tuple[Tensor, ...]:
        """The rows of every step of one epoch: its order goes to the device once and is cut into
        views.
        """
        return (
            torch.tensor(plan.order(epoch), dtype=torch.int64)
            .to(self._device)
            .split(plan.batch_size)
        )

    def _run(self, plan: BatchPlan, piece: Piece, batches: tuple[Tensor, ...]) -> Array:
        """The steps of one piece; their losses leave the device together at its end."""
        if self.job.mode == "compile":
            self._compile_for(batches)
        self._module.train()
        first = piece.epoch * plan.steps_per_epoch
        rates = plan.learning_rate[piece.begin : piece.end].tolist()
        losses = []
        for step, rate in enumerate(rates, piece.begin):
            if rate != self._rate:
                self._set_rate(rate)
            self._at_step(step)
            losses.append(self._step(batches[step - first]))
        return torch.stack(losses).cpu().numpy()

    def _step(self, rows: Tensor) -> Tensor:
        """One update on the training examples ``rows``. Returns the loss before it, detached."""
        loss = self._loss(*self._batch(rows))
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self._clip_norm is not None:
            self._clip(self._clip_norm)
        self._optimizer.step()
        if self._mark_step is not None:
            self._mark_step()
        return loss.detach()

    def _clip(self, limit: float) -> None:
        if self.job.native:
            native.clip_(self._trained, limit)
        else:
            clip_([weight.grad for weight in self._trained if weight.grad is not None], limit)

    def _batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        x = from_canonical(self._x.index_select(0, rows), self.model.input)
        return x, self._y.index_select(0, rows)

    def _set_rate(self, rate: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._rate = rate

    def _compile_for(self, batches: tuple[Tensor, ...]) -> None:
        """Compiles for a full batch and for the shorter last one ahead of the first step, so that
        the end of the first epoch is not a compilation. The full batch goes first: its graph keeps
        fixed sizes.
        """
        for rows in (batches[0], batches[-1]):
            if len(rows) not in self._compiled_for:
                with self._undisturbed(training=True):
                    self._differentiate(rows)
                self._compiled_for.add(len(rows))

    def synchronize(self) -> None:
        self._synchronize()

    def peak_bytes(self) -> int | None:
        return hardware.peak_bytes(self._device)

    def settings(self) -> dict[str, str]:
        return settings.describe(self.job, self._device, self._flush)

    def close(self) -> None:
        del self._module, self._optimizer, self._loss, self._build, self._trained, self._x, self._y
        if self.job.mode == "compile":
            torch.compiler.reset()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _to_numpy(tensor: Tensor) -> Array:
    """A contiguous copy on the host."""
    return np.array(tensor.detach().cpu().numpy(), order="C", copy=True)
