"""One built model on one device: the training loop as a PyTorch engineer writes it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from nncompare.backends.base import Array, Device, Params, Piece
from nncompare.backends.session import LoopSession
from nncompare.backends.torch import device as hardware
from nncompare.backends.torch import optimizers, settings
from nncompare.backends.torch.layout import from_canonical, to_canonical
from nncompare.backends.torch.losses import LOSSES, penalty, target_dtype
from nncompare.backends.torch.lowering import Build, Masks, lower_chain
from nncompare.backends.torch.pipeline import batches, stage
from nncompare.data.base import Data
from nncompare.numerics.batches import BatchPlan
from nncompare.spec.job import Job
from nncompare.spec.model import Node

_Loss = Callable[[Tensor, Tensor], Tensor]


class TorchSession(LoopSession):
    """Fulfils ``backends.base.Session``.

    Args:
        job: what is trained; ``torch:compile`` compiles forward, loss and backward.
        data: the training part is staged on the device once.
        device: where.
    """

    def __init__(self, job: Job, data: Data, device: Device):
        super().__init__(job, device)
        self._flushes = settings.apply(job)
        self._device = torch.device(device.id)
        self._dtype: torch.dtype = getattr(torch, job.experiment.train.dtype)
        self._wait = hardware.synchronizer(self._device)
        self._mark_step = hardware.step_marker(self._device)
        self._masks = Masks(seed=job.seed) if job.dropout == "masks" else None
        self._build = Build(
            device=self._device, dtype=self._dtype, native=job.native, masks=self._masks
        )
        # keys PyTorch's own initial weights, which a native training starts from
        torch.manual_seed(job.seed)
        self._module = lower_chain(self.model.nodes, self._build)
        self._trained = [weight for weight in self._module.parameters() if weight.requires_grad]
        self._clip = optimizers.clip(job)
        loss = self._forward_loss()
        self._loss: _Loss = torch.compile(loss) if job.mode == "compile" else loss
        # numbers of examples for which a graph exists
        self._compiled_for: set[int] = set()
        self._input_dtype = torch.int64 if self.model.input.is_tokens else self._dtype
        self._x = stage(data.train.x, self._device, self._input_dtype)
        target = target_dtype(job.experiment.task, self._dtype)
        self._y = stage(data.train.y, self._device, target)
        self._batches: tuple[Tensor, ...] = ()
        self._restart()

    def _forward_loss(self) -> _Loss:
        """The minimized loss of a batch: the task's, plus the penalties where there are any."""
        module = self._module
        loss = LOSSES[self.job.experiment.task]
        term = penalty(self.job)
        # several canonical parameters may share one tensor, which is penalized once
        places = [place for place in self._build.stored.values() if place.penalized]
        weights = list({id(place.tensor): place.tensor for place in places}.values())

        def plain(x: Tensor, y: Tensor) -> Tensor:
            return loss(module(x), y)

        if term is None or not weights:
            return plain

        def penalized(x: Tensor, y: Tensor) -> Tensor:
            return loss(module(x), y) + term(weights)

        return penalized

    # --- weights

    def _names(self) -> Collection[str]:
        return self._build.stored

    def _read(self, name: str) -> Array:
        place = self._build.stored[name]
        return _to_numpy(place.canonical(place.tensor.detach()))

    def _write(self, name: str, array: Array) -> None:
        place = self._build.stored[name]
        with torch.no_grad():
            # in place: the optimizer and a compiled graph hold the tensor itself
            place.canonical(place.tensor).copy_(torch.tensor(array))

    def _partner(self, name: str) -> str | None:
        # an unknown name is not this method's to judge
        place = self._build.stored.get(name)
        return None if place is None else place.partner

    def _restart(self) -> None:
        # PyTorch's own dropout masks start over, too
        torch.manual_seed(self.job.seed)
        self._optimizer = optimizers.build(self.job, self._trained)
        self._rate: float | None = None

    # --- looking

    def _predict(self, chunks: list[Array]) -> Array:
        # evaluation may come between two pieces of a training
        training = self._module.training
        self._module.eval()
        with torch.inference_mode():
            logits = _to_numpy(torch.cat([self._module(self._input(x)) for x in chunks]))
        self._module.train(training)
        return logits

    def _input(self, x: Array) -> Tensor:
        return from_canonical(stage(x, self._device, self._input_dtype), self.model.input)

    def _outputs(self, x: Array, training: bool) -> dict[str, Array]:
        found: dict[str, Array] = {}

        def record(node: Node, _module: nn.Module, _inputs: object, output: Tensor) -> None:
            found[node.name] = _to_numpy(to_canonical(output, node.output))

        hooks = [
            self._build.modules[node.name].register_forward_hook(partial(record, node))
            for node in self.model.walk()
        ]
        try:
            # the module itself, since a compiled loss runs no hooks
            with torch.no_grad():
                self._module(self._input(x))
        finally:
            for hook in hooks:
                hook.remove()
        return found

    def _loss_and_gradients(self, rows: Array, step: int) -> tuple[float, Params]:
        loss, gradients = self._differentiate(
            torch.tensor(rows, dtype=torch.int64, device=self._device)
        )
        found: Params = {}
        by_tensor = dict(zip(map(id, self._trained), gradients, strict=True))
        for name, place in self._build.stored.items():
            gradient = by_tensor.get(id(place.tensor))
            # running statistics, and what is held at zero, have none
            if gradient is not None:
                found[name] = _to_numpy(place.canonical(gradient))
        return loss.item(), found

    def _differentiate(self, rows: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        loss = self._loss(*self._batch(rows))
        # a weight that the loss does not reach has zeros, where PyTorch would give None
        return loss.detach(), torch.autograd.grad(loss, self._trained, materialize_grads=True)

    @contextmanager
    def _undisturbed(self, *, training: bool, step: int, examples: int = 0) -> Iterator[None]:
        """Puts running statistics, mode, step and random numbers back at the end."""
        mode = self._module.training
        before = self._masks.step if self._masks else 0
        # inference moves no running statistics
        buffers = list(self._module.buffers()) if training else []
        kept = [buffer.clone() for buffer in buffers]
        cuda = [self._device.index or 0] if self._device.type == "cuda" else []
        # PyTorch's dropout draws from the process's generators; not those of every GPU are saved
        with torch.random.fork_rng(devices=cuda):
            self._at_step(step)
            self._module.train(training)
            try:
                yield
            finally:
                self._module.train(mode)
                self._at_step(before)
                for buffer, value in zip(buffers, kept, strict=True):
                    buffer.copy_(value)

    def _at_step(self, step: int) -> None:
        if self._masks is not None:
            self._masks.step = step

    # --- training

    def _begin_epoch(self, plan: BatchPlan, epoch_index: int) -> None:
        self._batches = batches(plan, epoch_index, self._device)

    def _run(self, plan: BatchPlan, piece: Piece) -> float:
        if self.job.mode == "compile":
            self._compile_for(self._batches)
        self._module.train()
        first = piece.epoch_index * plan.steps_per_epoch
        rates = plan.learning_rate[piece.begin : piece.end].tolist()
        losses = []
        for step, rate in enumerate(rates, piece.begin):
            # a constant rate is set once, not every step
            if rate != self._rate:
                self._set_rate(rate)
            self._at_step(step)
            losses.append(self._step(self._batches[step - first]))
        # they leave the device together, which waits for it once
        on_host = torch.stack(losses).cpu().numpy()
        return plan.mean_loss(piece.begin, piece.end, on_host)

    def _step(self, rows: Tensor) -> Tensor:
        """One update on the training examples ``rows``. Returns the loss before it, detached."""
        loss = self._loss(*self._batch(rows))
        # without a tensor to add to, the backward pass hands over its own
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self._clip is not None:
            self._clip(self._trained)
        self._optimizer.step()
        # XLA gathers operations until it is told to run them
        if self._mark_step is not None:
            self._mark_step()
        # a loss that is kept keeps its graph, and that every activation
        return loss.detach()

    def _batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        x = from_canonical(self._x.index_select(0, rows), self.model.input)
        return x, self._y.index_select(0, rows)

    def _set_rate(self, rate: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._rate = rate

    def _compile_for(self, of_epoch: tuple[Tensor, ...]) -> None:
        """Compiles for a full batch and for the shorter last one ahead of the first step, so that
        the end of the first epoch is not a compilation. The full batch goes first: its graph keeps
        fixed sizes.
        """
        for rows in (of_epoch[0], of_epoch[-1]):
            if len(rows) not in self._compiled_for:
                with self._undisturbed(training=True, step=0):
                    self._differentiate(rows)
                self._compiled_for.add(len(rows))

    # --- the rest

    def synchronize(self) -> None:
        self._wait()

    def peak_bytes(self) -> int | None:
        return hardware.peak_bytes(self._device)

    def settings(self) -> dict[str, str]:
        return settings.describe(self.job, self._device, self._flushes)

    def close(self) -> None:
        del self._module, self._optimizer, self._loss, self._build, self._trained
        del self._x, self._y, self._batches
        # Dynamo's caches hold the module
        if self.job.mode == "compile":
            torch.compiler.reset()
        # the allocator keeps what was freed, and no other worker on this GPU could have it
        if self._device.type == "cuda":
            torch.cuda.empty_cache()


def _to_numpy(tensor: Tensor) -> Array:
    """A contiguous copy on the host."""
    return np.array(tensor.detach().cpu().numpy(), order="C", copy=True)
