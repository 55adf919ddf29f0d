"""A hyperparameter search as it is usually written: the other side of ``benchmarks.tune_usual``.

Every trial makes its data sets and loaders anew; each sample goes through torchvision's
``ToTensor`` and ``Normalize`` one by one on its way out of PyTorch's ``DataLoader``, whichever
framework trains: a loop with ``loss.item()`` in PyTorch, a ``tf.function`` called for every batch
in TensorFlow, ``fit`` in Keras, which takes such loaders. One process, trial after trial.
Frameworks are imported inside functions: a process needs PyTorch for its loader and the one that
trains.

Started with a folder that holds ``proposals.json`` and the arrays of the pictures; reads the number
of a trial a line and answers with a line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEAN, STD = 0.1307, 0.3081
Objective = Callable[[dict[str, Any], Any, Any, int], float]
"""(proposal, training loader, validation loader, epochs) -> validation loss after the last epoch.
"""


def transforms() -> tuple[str, Callable[[Any], Any], Callable[[Any], Any]]:
    """What stands for torchvision, its ``ToTensor`` and ``Normalize``, and what makes a picture of
    an array.
    """
    try:
        from PIL import Image
    except ImportError:
        return "torchvision's operations without Pillow", _both, lambda array: array
    try:
        tv = _torchvision()
    except (ImportError, OSError, RuntimeError):  # not there, or built for another torch
        return "torchvision's operations through Pillow", _both, Image.fromarray
    return (
        "torchvision",
        tv.Compose([tv.ToTensor(), tv.Normalize((MEAN,), (STD,))]),
        Image.fromarray,
    )


def _torchvision() -> Any:
    """``torchvision.transforms``, which is plain Python: it is had even where torchvision's
    compiled operators belong to another build of torch, if the two operators that its import
    describes are declared.
    """
    import torch

    try:
        from torchvision import transforms as tv
    except RuntimeError:  # operator torchvision::nms does not exist
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        from torchvision import transforms as tv
    return tv


def _both(picture: Any) -> Any:
    """What torchvision does to a picture in the two transforms, without its checks."""
    import numpy as np
    import torch

    array = np.array(picture, np.uint8, copy=True)
    tensor = torch.from_numpy(array).view(28, 28, 1).permute((2, 0, 1)).contiguous()
    tensor = tensor.to(dtype=torch.get_default_dtype()).div(255)
    mean = torch.as_tensor((MEAN,), dtype=tensor.dtype, device=tensor.device)
    std = torch.as_tensor((STD,), dtype=tensor.dtype, device=tensor.device)
    if (std == 0).any():
        raise ValueError("std evaluated to zero")
    return tensor.clone().sub_(mean.view(-1, 1, 1)).div_(std.view(-1, 1, 1))


def loaders(
    folder: Path, batch_size: int, prepare: Callable[[Any], Any], to_picture: Callable[[Any], Any]
) -> tuple[Any, Any]:
    """The training and the validation loader of one trial."""
    import numpy as np
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Pictures(Dataset[tuple[torch.Tensor, int]]):
        """As ``torchvision.datasets.MNIST``: the pictures are in memory, a sample is prepared when
        asked for.
        """

        def __init__(self, part: str):
            self.images = torch.from_numpy(np.load(folder / f"{part}_images.npy"))
            self.labels = torch.from_numpy(np.load(folder / f"{part}_labels.npy"))

        def __len__(self) -> int:
            return len(self.labels)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            return prepare(to_picture(self.images[index].numpy())), int(self.labels[index])

    train = DataLoader(Pictures("train"), batch_size=batch_size, shuffle=True)
    return train, DataLoader(Pictures("validation"), batch_size=batch_size)


def torch_objective(params: dict[str, Any], train: Any, validation: Any, epochs: int) -> float:
    import torch
    from torch import nn

    hidden = params["model.hidden.0"]
    layers = [nn.Flatten(), nn.Linear(784, hidden), nn.ReLU(), nn.Dropout(params["model.dropout"])]
    model = nn.Sequential(*layers, nn.Linear(hidden, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=params["train.optimizer.lr"])
    criterion = nn.CrossEntropyLoss()
    for _ in range(epochs):
        model.train()
        for x, y in train:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            loss.item()
        model.eval()
        total = 0.0
        with torch.no_grad():
            for x, y in validation:
                total += criterion(model(x), y).item() * len(y)
    return total / len(validation.dataset)


def tensorflow_objective(params: dict[str, Any], train: Any, validation: Any, epochs: int) -> float:
    import tensorflow as tf

    from benchmarks.handwritten.tensorflow import Adam, Linear

    units, dropout = params["model.hidden.0"], params["model.dropout"]
    hidden, head = Linear(784, units), Linear(units, 10)
    for layer in (hidden, head):
        bound = (6 / sum(layer.kernel.shape)) ** 0.5
        layer.kernel.assign(tf.random.uniform(layer.kernel.shape, -bound, bound))
    weights = [*hidden.trainable_variables, *head.trainable_variables]
    optimizer = Adam(weights, params["train.optimizer.lr"])

    def losses(x: Any, y: Any, *, training: bool) -> Any:
        h = tf.nn.relu(hidden(tf.reshape(x, [-1, 784])))
        logits = head(tf.nn.dropout(h, dropout) if training else h)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)

    shapes = [tf.TensorSpec([None, 1, 28, 28], tf.float32), tf.TensorSpec([None], tf.int64)]

    @tf.function(input_signature=shapes)
    def step(x: Any, y: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(losses(x, y, training=True))
        optimizer.apply(tape.gradient(loss, weights))
        return loss

    @tf.function(input_signature=shapes)
    def loss_sum(x: Any, y: Any) -> Any:
        return tf.reduce_sum(losses(x, y, training=False))

    for _ in range(epochs):
        for x, y in train:
            float(step(x.numpy(), y.numpy()))
        total = sum(float(loss_sum(x.numpy(), y.numpy())) for x, y in validation)
    return total / len(validation.dataset)


def keras_objective(params: dict[str, Any], train: Any, validation: Any, epochs: int) -> float:
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            keras.Input((1, 28, 28)),
            layers.Flatten(),
            layers.Dense(params["model.hidden.0"], activation="relu"),
            layers.Dropout(params["model.dropout"]),
            layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(params["train.optimizer.lr"]), loss=loss)
    history = model.fit(train, validation_data=validation, epochs=epochs, verbose=0)
    return float(history.history["val_loss"][-1])


OBJECTIVES: dict[str, Objective] = {
    "torch": torch_objective,
    "tensorflow": tensorflow_objective,
    "keras": keras_objective,
}


def start(backend: str, threads: int) -> None:
    """Imports the frameworks and sets their threads, which they allow only before they work."""
    import torch

    torch.set_num_threads(threads)
    if backend != "torch":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    if backend == "keras":
        import keras  # noqa: F401 - so that the first trial does not pay for it


def serve(folder: Path, backend: str, threads: int) -> None:
    """Prints one line of JSON for each line that it reads."""
    described = json.loads((folder / "proposals.json").read_text())
    kind, prepare, to_picture = transforms()
    start(backend, threads)
    objective = OBJECTIVES[backend]
    print(f"ready: {kind}", flush=True)
    for line in sys.stdin:
        begun, busy = time.perf_counter(), time.process_time()
        train, validation = loaders(folder, described["batch_size"], prepare, to_picture)
        value = objective(described["trials"][int(line)], train, validation, described["epochs"])
        spent = {"seconds": time.perf_counter() - begun, "cpu_s": time.process_time() - busy}
        print(json.dumps({"value": value, **spent}), flush=True)


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
