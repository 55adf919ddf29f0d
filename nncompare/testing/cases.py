"""What the conformance suite runs: every layer, optimizer, schedule, loss and feature, in the
aligned convention and in the native one.

A new layer or optimizer needs one line here. ``tests/conformance/test_suite.py`` walks over what
``nncompare.spec`` offers and fails where something has no case, or where a field has the same value
in all cases.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from nncompare.spec.layers import TensorSpec
from nncompare.spec.training import OPTIMIZERS
from nncompare.testing.case import Case, Layers


def layer(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


def dense(units: int, **fields: Any) -> dict[str, Any]:
    return layer("dense", units=units, **fields)


def table(*features: int) -> TensorSpec:
    return TensorSpec(features or (6,))


def tokens(steps: int = 6, vocabulary: int = 4) -> TensorSpec:
    return TensorSpec((steps,), vocabulary)


FLAT_HEAD = [layer("flatten"), dense(3)]
TABLE, IMAGE, SEQUENCE = table(6), table(6, 5, 2), table(5, 4)


def _layer_case(name: str, layers: Layers, x: TensorSpec, **more: Any) -> Case:
    return Case(name=f"layer/{name}", layers=layers, input=x, **more)


def _linear() -> list[Case]:
    act = layer("tanh")
    # a dense layer is one and the same at every pixel and at every step
    return [
        _layer_case("dense", [dense(5), act, dense(4, bias=False), act, dense(3)], TABLE),
        _layer_case("dense_on_channels", [dense(4), act, *FLAT_HEAD], IMAGE),
        _layer_case("dense_on_sequence", [dense(4), act, layer("mean_time"), dense(3)], SEQUENCE),
        _layer_case("embedding", [layer("embedding", units=3), *FLAT_HEAD], tokens()),
        _layer_case(
            "position", [layer("embedding", units=2), layer("position"), act, *FLAT_HEAD], tokens()
        ),
        _layer_case(
            "position_on_numbers", [layer("position"), act, layer("mean_time"), dense(3)], SEQUENCE
        ),
    ]


def _convolution() -> list[Case]:
    act, short = layer("tanh"), layer("reshape", shape=[6, 7, 2])

    def conv(**fields: Any) -> dict[str, Any]:
        return layer("conv2d", **{"filters": 3, **fields})

    # an odd total of padding goes after; all numbers negative, so that a padded zero would win the
    # maximum
    found = [
        _layer_case(
            "conv2d", [conv(), act, conv(kernel=(1, 2), padding="same"), act, *FLAT_HEAD], IMAGE
        ),
        _layer_case(
            "conv2d_same_stride_2",
            [conv(padding="same", stride=2), act, *FLAT_HEAD],
            table(6, 8, 2),
        ),
        _layer_case(
            "conv2d_even_kernel", [conv(kernel=(4, 2), padding="same"), act, *FLAT_HEAD], IMAGE
        ),
        _layer_case(
            "conv2d_explicit",
            [
                conv(kernel=(3, 2), stride=(2, 1), padding=(1, 2), bias=False),
                act,
                conv(padding=1),
                *FLAT_HEAD,
            ],
            table(5, 7, 1),
        ),
        _layer_case(
            "conv2d_pointwise_stride_2", [conv(kernel=1, stride=2), act, *FLAT_HEAD], IMAGE
        ),
    ]
    # windows without padding, with padding on one side or both, and those that share pixels
    for kind in ("max_pool2d", "avg_pool2d"):
        same = layer(kind, pool=(3, 2), stride=2, padding="same")
        dense_windows = layer(kind, pool=(2, 3), stride=1, padding="same")
        overlapping = layer(kind, pool=(3, 2), stride=(1, 2))
        found += [
            _layer_case(kind, [layer(kind), *FLAT_HEAD], IMAGE),
            _layer_case(
                f"{kind}_same", [dense_windows, same, *FLAT_HEAD], table(6, 7, 2), offset=-4.0
            ),
            _layer_case(f"{kind}_overlapping", [short, overlapping, *FLAT_HEAD], table(7, 6, 2)),
        ]
    return found


def _recurrent() -> list[Case]:
    every = {kind: layer(kind, units=3, return_sequences=True) for kind in ("rnn", "lstm", "gru")}
    found = [
        # a sequence of one step is no reason to drop its axis
        _layer_case(
            "recurrent_one_step", [*every.values(), layer("flatten"), dense(3)], table(1, 4)
        )
    ]
    for kind, stacked in every.items():
        found += [
            _layer_case(kind, [stacked, layer(kind, units=2), dense(3)], SEQUENCE),
            _layer_case(f"{kind}_sequences", [stacked, dense(3)], SEQUENCE, per_step=True),
        ]
    return found


def _attention() -> list[Case]:
    def attend(**fields: Any) -> dict[str, Any]:
        return layer("attention", **fields)

    causal = [attend(heads=4, causal=True), layer("last_step"), dense(3)]
    # the steps are pixels here, in the canonical order whatever the framework's own is
    image = [
        layer("conv2d", filters=4),
        layer("reshape", shape=[-1, 4]),
        attend(heads=2),
        layer("mean_time"),
        dense(3),
    ]
    return [
        _layer_case(
            "attention", [attend(heads=2), attend(heads=1), layer("mean_time"), dense(3)], SEQUENCE
        ),
        _layer_case(
            "attention_causal", [attend(heads=2, causal=True), dense(3)], SEQUENCE, per_step=True
        ),
        _layer_case("attention_causal_last", causal, SEQUENCE),
        _layer_case("attention_after_convolution", image, IMAGE),
    ]


def _normalization() -> list[Case]:
    norm, batch = layer("layer_norm", epsilon=1e-2), layer("batch_norm", epsilon=1e-2, momentum=0.3)
    conv, act = layer("conv2d", filters=3, bias=False), layer("tanh")
    drop = layer("dropout", rate=0.4)
    # which axis holds the features, and which shape a mask has, depends on what came before
    every = dense(3)
    last = [layer("last_step"), dense(3)]
    return [
        _layer_case("layer_norm", [layer("layer_norm"), dense(5), norm, act, dense(3)], TABLE),
        _layer_case("layer_norm_on_image", [conv, norm, act, *FLAT_HEAD], IMAGE),
        _layer_case("layer_norm_on_sequence", [every, norm, *last], SEQUENCE),
        _layer_case("layer_norm_after_flatten", [conv, layer("flatten"), norm, dense(3)], IMAGE),
        _layer_case(
            "batch_norm", [layer("batch_norm"), dense(5, bias=False), batch, act, dense(3)], TABLE
        ),
        _layer_case("batch_norm_on_image", [conv, batch, act, *FLAT_HEAD], IMAGE),
        _layer_case("batch_norm_on_sequence", [every, batch, *last], SEQUENCE),
        _layer_case(
            "batch_norm_after_flatten", [conv, layer("flatten"), batch, act, dense(3)], IMAGE
        ),
        _layer_case("dropout", [dense(6), layer("dropout", rate=0.0), act, drop, dense(3)], TABLE),
        _layer_case("dropout_on_image", [conv, drop, act, *FLAT_HEAD], IMAGE),
        _layer_case("dropout_on_sequence", [every, drop, *last], SEQUENCE),
        _layer_case(
            "dropout_after_flatten", [conv, layer("flatten"), layer("relu"), drop, dense(3)], IMAGE
        ),
    ]


def _activation() -> list[Case]:
    kinds = [
        layer("leaky_relu"),
        layer("leaky_relu", slope=0.3),
        layer("gelu"),
        layer("gelu", approximate=True),
    ]
    more = [layer(kind) for kind in ("relu", "sigmoid", "tanh", "softmax")]
    channels = [layer("conv2d", filters=3), layer("softmax"), *FLAT_HEAD]
    return [
        _layer_case("activations", _each_after_a_dense(kinds), TABLE),
        _layer_case("more_activations", _each_after_a_dense(more), TABLE),
        _layer_case("softmax_over_channels", channels, IMAGE),
    ]


def _each_after_a_dense(activations: Layers) -> Layers:
    """One model for several activations, since every node's output is judged by itself."""
    found: Layers = []
    for activation in activations:
        found += [dense(5), activation]
    return [*found, dense(3)]


def _structure() -> list[Case]:
    conv, act, flat = layer("conv2d", filters=3, padding="same"), layer("tanh"), layer("flatten")
    strided = layer("conv2d", filters=4, kernel=1, stride=2, bias=False)
    inner = [layer("conv2d", filters=4, stride=2, padding="same"), layer("batch_norm"), act]
    dropped = [dense(6), act, layer("dropout", rate=0.3)]
    nested = [dense(6), layer("residual", layers=dropped)]
    kept = layer("residual", layers=[dense(18), act])
    # height, width and channel must come back in the order in which they went
    unflat = [conv, flat, layer("reshape", shape=[9, 10]), *FLAT_HEAD]
    return [
        _layer_case("flatten", [flat, dense(4), act, dense(3)], IMAGE),
        _layer_case("flatten_twice", [conv, flat, act, *FLAT_HEAD], IMAGE),
        _layer_case(
            "flatten_last", [layer("conv2d", filters=1, kernel=(5, 3)), flat], IMAGE, outputs=6
        ),
        _layer_case(
            "reshape_to_sequence", [conv, layer("reshape", shape=[6, -1]), act, *FLAT_HEAD], IMAGE
        ),
        _layer_case(
            "reshape_to_image",
            [dense(12), layer("reshape", shape=[3, 2, 2]), conv, *FLAT_HEAD],
            TABLE,
        ),
        _layer_case("reshape_after_flatten", unflat, IMAGE),
        _layer_case("residual", [layer("residual", layers=nested), act, dense(3)], TABLE),
        _layer_case(
            "residual_shortcut",
            [layer("residual", layers=inner, shortcut=[strided]), *FLAT_HEAD],
            IMAGE,
        ),
        _layer_case(
            "residual_after_flatten",
            [layer("conv2d", filters=2, kernel=(4, 3)), flat, kept, dense(3)],
            IMAGE,
        ),
        _layer_case("last_step", [dense(3), act, layer("last_step"), dense(3)], SEQUENCE),
        _layer_case("lstm_last", [layer("lstm", units=3)], SEQUENCE),
    ]


SMALL = [dense(4), layer("tanh"), dense(3)]
WORDS = [layer("embedding", units=3), *FLAT_HEAD]


def _train_case(name: str, layers: Layers = SMALL, x: TensorSpec = TABLE, **more: Any) -> Case:
    """Two epochs of 4 + 4 + 3 examples."""
    return Case(**{"name": name, "layers": layers, "input": x, "examples": 11, "epochs": 2, **more})


def _optimizers() -> list[Case]:
    decaying = {"schedule": {"name": "exponential", "factor": 0.5}}
    kinds: dict[str, dict[str, Any]] = {
        "sgd": {"name": "sgd", "lr": 0.2},
        "sgd_momentum": {"name": "sgd", "lr": 0.2, "momentum": 0.8},
        "sgd_nesterov": {"name": "sgd", "lr": 0.2, "momentum": 0.8, "nesterov": True},
        "adam": {"name": "adam", "lr": 0.02, "beta1": 0.8, "beta2": 0.9, "epsilon": 1e-3},
        "adamw": {
            "name": "adamw",
            "lr": 0.02,
            "beta1": 0.8,
            "beta2": 0.9,
            "epsilon": 1e-3,
            "weight_decay": 0.1,
        },
        "rmsprop": {"name": "rmsprop", "lr": 0.02, "rho": 0.8, "epsilon": 1e-3},
        "rmsprop_momentum": {
            "name": "rmsprop",
            "lr": 0.02,
            "rho": 0.8,
            "epsilon": 1e-3,
            "momentum": 0.7,
        },
    }
    # the rate falls within the training, so that it shows which step's rate a buffer is scaled by
    found = [
        _train_case(f"optimizer/{name}", train={"optimizer": kind, **decaying}, check=("pieces",))
        for name, kind in kinds.items()
    ]
    # Tokens repeat within a batch and are missing from others: gradients of the table must be
    # summed and dense.
    words = tokens(5, 9)
    found += [
        _train_case(
            f"tokens/{name}",
            WORDS,
            words,
            train={"optimizer": kinds[name]},
            batch_size=2,
            examples=6,
        )
        for name in ("sgd_momentum", "adam", "adamw", "rmsprop")
    ]
    # natively every value of these is the framework's own
    found += [
        _train_case(f"optimizer/{name}_defaults", train={"optimizer": {"name": name}})
        for name in OPTIMIZERS
    ]
    return found


def _features() -> list[Case]:
    conv = [layer("conv2d", filters=2), layer("batch_norm"), *FLAT_HEAD]
    both = {"penalty": {"l1": 0.03, "l2": 0.05}}
    words = [layer("embedding", units=3), layer("gru", units=2), dense(3)]
    sgd = {"name": "sgd", "lr": 0.2, "momentum": 0.5}
    step = {"name": "step", "every": 1, "factor": 0.3}
    drop = [dense(6), layer("tanh"), layer("dropout", rate=0.4), dense(3)]
    normed = [dense(4), layer("batch_norm"), layer("tanh"), dense(3)]
    return [
        _train_case("penalty/l1", train={"penalty": {"l1": 0.05}}),
        _train_case("penalty/l2", train={"penalty": {"l2": 0.05}}),
        _train_case("penalty/convolution", conv, IMAGE, train=both),
        _train_case("penalty/recurrent", words, tokens(3), train=both, epochs=1),
        _train_case(
            "penalty/attention", [layer("attention", heads=2), *FLAT_HEAD], SEQUENCE, train=both
        ),
        _train_case("clip/active", train={"clip_norm": 0.05, "optimizer": sgd}),
        _train_case("clip/inactive", train={"clip_norm": 1e3}),
        _train_case(
            "clip/penalty",
            train={"clip_norm": 0.1, **both, "optimizer": {"name": "adam", "lr": 0.02}},
        ),
        _train_case(
            "schedule/constant", train={"schedule": {"name": "constant"}, "optimizer": sgd}
        ),
        _train_case("schedule/step", train={"schedule": step, "optimizer": sgd}),
        _train_case(
            "schedule/exponential", train={"schedule": {"name": "exponential", "factor": 0.7}}
        ),
        _train_case(
            "schedule/cosine",
            train={"schedule": {"name": "cosine", "minimum": 0.01}, "warmup_steps": 3},
        ),
        _train_case("train/stop", train={"optimizer": sgd}, check=("stop",), epochs=3),
        _train_case("train/dropout", drop, check=("pieces",)),
        # more examples than ``predict`` takes at once, which must not show in the statistics
        _train_case("train/batch_norm", normed, check=("pieces",), predicted=2051),
        _train_case("train/last_batch_of_one", examples=9, check=("pieces",)),
        _train_case("train/one_batch", batch_size=64, train={"optimizer": sgd}),
    ]


def _tasks() -> list[Case]:
    binary = [dense(4), layer("tanh"), dense(1)]
    per_step = [
        layer("embedding", units=2),
        layer("lstm", units=2, return_sequences=True),
        dense(3),
    ]
    adam = {"optimizer": {"name": "adam", "lr": 0.02}}
    # logits in the hundreds, whose exponential no float64 holds
    extreme = [dense(3)]
    sigmoid = [dense(4), layer("tanh"), dense(1), layer("sigmoid")]
    return [
        _train_case("task/classification", train=adam),
        _train_case(
            "task/per_step", per_step, tokens(4), per_step=True, train=adam, check=("pieces",)
        ),
        _train_case("task/binary", binary, outputs=1, task="binary"),
        # what a loss may take for logits, and must not
        _train_case("task/last_softmax", [*SMALL, layer("softmax")]),
        _train_case("task/last_sigmoid", sigmoid, outputs=1, task="binary"),
        _train_case(
            "task/regression", [dense(4), layer("tanh"), dense(2)], outputs=2, task="regression"
        ),
        _train_case(
            "task/large_logits",
            extreme,
            offset=800.0,
            train={"optimizer": {"name": "sgd", "lr": 1e-6}},
        ),
        _train_case(
            "task/large_binary_logits",
            [dense(1)],
            outputs=1,
            task="binary",
            offset=800.0,
            train={"optimizer": {"name": "sgd", "lr": 1e-6}},
        ),
    ]


def _starts() -> list[Case]:
    """Initial weights: drawn by the framework natively, but for those that are named here."""
    words = [
        layer("embedding", units=4, initializer={"name": "normal", "scale": 0.5}),
        layer("position"),
        layer("lstm", units=3, return_sequences=True, initializer="xavier_normal", forget_bias=0.5),
        layer("gru", units=3, return_sequences=True),
        layer("rnn", units=4, return_sequences=True),
        layer("attention", heads=2),
        layer("mean_time"),
        dense(3),
    ]
    image = [
        layer("conv2d", filters=2),
        layer("batch_norm"),
        layer("layer_norm"),
        layer("flatten"),
        dense(2, initializer="kaiming_normal"),
        dense(3),
    ]
    return [
        _train_case("start/tokens", words, tokens(3), check=("start",), epochs=1),
        _train_case("start/image", image, table(4, 4, 1), check=("start",), epochs=1),
    ]


PARTS = (
    _linear,
    _convolution,
    _recurrent,
    _attention,
    _normalization,
    _activation,
    _structure,
    _optimizers,
    _features,
    _tasks,
)
ALIGNED_CASES = [case for part in PARTS for case in part()]
# aligned, all initial weights are nncompare's own
NATIVE_CASES = [case.natively() for case in (*ALIGNED_CASES, *_starts())]
CASES: dict[str, Case] = {case.name: case for case in (*ALIGNED_CASES, *NATIVE_CASES)}
"""Every case in both conventions, and initial weights in the native one."""

_FIRST_NATIVE = (
    "native/layer/activations",
    "native/layer/avg_pool2d_same",
    "native/layer/batch_norm",
    "native/layer/dropout",
    "native/layer/max_pool2d_overlapping",
    "native/layer/more_activations",
    "native/layer/residual_shortcut",
    "native/layer/attention_causal_last",
    "native/optimizer/sgd_momentum",
    "native/optimizer/sgd_nesterov",
    "native/optimizer/adam",
    "native/optimizer/adamw",
    "native/optimizer/rmsprop_momentum",
    *(f"native/optimizer/{name}_defaults" for name in OPTIMIZERS),
    "native/tokens/sgd_momentum",
    "native/tokens/adam",
    "native/tokens/adamw",
    "native/tokens/rmsprop",
    "native/penalty/l1",
    "native/penalty/l2",
    "native/clip/active",
    "native/clip/penalty",
    "native/task/last_softmax",
    "native/task/last_sigmoid",
    "native/start/tokens",
    "native/start/image",
)
"""Native cases in which every knob is turned and every value left open at least once."""


def shows_nothing_new(case: Case) -> bool:
    """Whether a native case differs from others in shapes and numbers alone, for which its aligned
    form is judged. Such a case is marked ``slow``.
    """
    return case.is_native and case.name not in _first_native()


@cache
def _first_native() -> frozenset[str]:
    """``_FIRST_NATIVE``, and the first case of every layer that these lack."""
    chosen = set(_FIRST_NATIVE)
    met: set[str] = set()
    # those that are named come first
    for case in sorted(NATIVE_CASES, key=lambda case: case.name not in chosen):
        kinds = {node.layer.type for node in case.model.walk()}
        if kinds - met:
            chosen.add(case.name)
        met |= kinds
    return frozenset(chosen)
