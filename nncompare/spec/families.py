"""From a short model config to a list of layers: one pure function a family.

To add a family, write a config class and its ``layers`` method here and add it to ``AnyModel``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from nncompare.errors import ShapeError
from nncompare.spec.data import Signature, Sizes
from nncompare.spec.frozen import LIMIT, Frozen
from nncompare.spec.initializers import XAVIER_UNIFORM, InitializerField
from nncompare.spec.layers import LAYERS, AnyLayer, Layer, TensorSpec
from nncompare.spec.layers.attention import Attention
from nncompare.spec.layers.convolution import Conv2d, MaxPool2d, Padding, Pair
from nncompare.spec.layers.linear import Dense, Embedding, Position
from nncompare.spec.layers.normalization import BatchNorm, Dropout, LayerNorm
from nncompare.spec.layers.recurrent import RecurrentLayer
from nncompare.spec.layers.structure import Flatten, LastStep, MeanTime, Residual
from nncompare.spec.unions import members

_ACTIVATIONS = {kind: cls for kind, cls in LAYERS.items() if cls.is_activation}
if TYPE_CHECKING:
    ActivationName = str
else:
    ActivationName = Literal[tuple(_ACTIVATIONS)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Units = Annotated[int, Field(gt=0, le=LIMIT)]
Depth = Annotated[int, Field(gt=0, le=1000)]
"""Each level is a layer with its own weights; more than any network has is a zero too many."""


class Family(Frozen):
    """Base of every model config."""

    title: ClassVar[str]
    units_key: ClassVar[str] = "hidden"
    """The key that gives the layers their units."""

    def layers_for(self, signature: Signature) -> Iterator[Layer]:
        """The layers that lead from ``signature.input`` to logits or values of
        ``signature.outputs``, each made when it is asked for.

        Raises:
            ShapeError: the family cannot take such data; ``field`` says which setting would help.
        """
        raise NotImplementedError


class _Common(Family):
    activation: ActivationName = "relu"
    """Activation between layers."""
    dropout: Rate = 0.0
    """Share of the values that dropout zeroes after each activation; 0: no dropout."""
    initializer: InitializerField = XAVIER_UNIFORM
    """How the kernels start; a name or ``{name: …, scale: …}``, see [initializers](#initializers).
    """

    def act(self) -> Layer:
        # mypy does not know that each of these classes has a type of its own
        return _ACTIVATIONS[self.activation]()  # type: ignore[call-arg]

    def drop(self) -> list[Layer]:
        return [Dropout(rate=self.dropout)] if self.dropout else []

    def start(self) -> dict[str, Any]:
        """How the layers' kernels start, if the file says it: what it leaves open stays open in the
        layers.
        """
        return {} if self.leaves_open("initializer") else {"initializer": self.initializer}

    def head(self, signature: Signature) -> Layer:
        return Dense(units=signature.outputs, **self.start())


def _embedding(who: str, units: int | None) -> Embedding:
    """The layer that tokens go through first."""
    if units is None:
        raise ShapeError(
            f"the data are tokens: {who} needs embedding: SIZE for them", field="embedding"
        )
    return Embedding(units=units)


def _repeat(hidden: tuple[int, ...], depth: int | None) -> tuple[int, ...]:
    """``hidden`` as written, or its last size repeated (or cut) to ``depth`` layers."""
    if depth is None:
        return hidden
    last = hidden[-1:]
    # times a negative number there is nothing to add
    return hidden[:depth] + last * (depth - len(hidden))


class Mlp(_Common):
    """Dense layers with an activation between them. Images are flattened; tokens need
    ``embedding``.
    """

    title = "dense layers: hidden, depth, activation, dropout, batch_norm, embedding"
    family: Literal["mlp"]
    hidden: Sizes = Field(default=(128,), min_length=1)
    """Units of each hidden layer."""
    depth: Depth | None = None
    """Number of hidden layers; the last size of ``hidden`` is repeated, or the list cut."""
    batch_norm: bool = False
    """Batch normalization before each activation; the layer before it then has no bias."""
    embedding: Units | None = None
    """Features a token; needed for tokens."""

    def layers_for(self, signature: Signature) -> Iterator[Layer]:
        x = signature.input
        if x.is_tokens:
            yield _embedding("an mlp", self.embedding)
        # with a target for every step each step goes through the layers by itself
        if (len(x.shape) > 1 or x.is_tokens) and not signature.per_step:
            yield Flatten()
        for units in _repeat(self.hidden, self.depth):
            yield Dense(units=units, bias=not self.batch_norm, **self.start())
            if self.batch_norm:
                yield BatchNorm()
            yield self.act()
            yield from self.drop()
        yield self.head(signature)


class Cnn(_Common):
    """Blocks of convolution, activation and pooling, then dense layers."""

    title = (
        "convolution blocks, then dense: filters, kernel, padding, pool, hidden, batch_norm,"
        " dropout"
    )
    family: Literal["cnn"]
    filters: Sizes = Field(default=(16, 32), min_length=1)
    """Filters of each block."""
    depth: Depth | None = None
    """Number of blocks; the last size of ``filters`` is repeated, or the list cut."""
    kernel: Pair = (3, 3)
    """Height and width of the kernel; one number means both."""
    stride: Pair = (1, 1)
    """Steps of the window; one number means both directions."""
    padding: Padding = "same"
    """``valid`` (none), ``same`` (as many outputs as inputs at stride 1), or explicit zeros on each
    side.
    """
    pool: Pair | None = (2, 2)
    """Window of the max pooling after each block; null: none."""
    batch_norm: bool = False
    """Batch normalization before each activation; the layer before it then has no bias."""
    hidden: Sizes = (64,)
    """Units of each hidden layer."""

    def layers_for(self, signature: Signature) -> Iterator[Layer]:
        if len(signature.input.shape) != 3:
            raise ShapeError(
                f"a cnn needs images (height, width, channels); the data give {signature.input}"
            )
        for filters in _repeat(self.filters, self.depth):
            yield Conv2d(
                filters=filters,
                kernel=self.kernel,
                stride=self.stride,
                padding=self.padding,
                bias=not self.batch_norm,
                **self.start(),
            )
            if self.batch_norm:
                yield BatchNorm()
            yield self.act()
            if self.pool:
                yield MaxPool2d(pool=self.pool)
        yield Flatten()
        for units in self.hidden:
            yield Dense(units=units, **self.start())
            yield self.act()
            yield from self.drop()
        yield self.head(signature)


_CELLS = {kind: cls for kind, cls in LAYERS.items() if issubclass(cls, RecurrentLayer)}
if TYPE_CHECKING:
    CellName = str
else:
    CellName = Literal[tuple(_CELLS)]


def _need_sequence(x: TensorSpec) -> None:
    if not x.is_tokens and len(x.shape) != 2:
        raise ShapeError(
            "this family needs sequences (steps, features) or tokens; the data give"
            f" {x}; mnist_rows and digits_rows give an image as a sequence of rows"
        )


class Recurrent(_Common):
    """Stacked recurrent layers, then a dense head on the last step (or on every step if the data
    ask for it).
    """

    title = "recurrent layers: cell (rnn, lstm, gru), hidden, depth, embedding, dropout"
    family: Literal["rnn"]
    cell: CellName = "lstm"
    """Kind of the recurrent layers."""
    hidden: Units = 64
    """Units of each recurrent layer."""
    depth: Depth = 1
    """Number of recurrent layers."""
    embedding: Units | None = None
    """Features a token; needed for tokens."""

    def layers_for(self, signature: Signature) -> Iterator[Layer]:
        _need_sequence(signature.input)
        if signature.input.is_tokens:
            yield _embedding("this model", self.embedding)
        cell = _CELLS[self.cell]
        for level in range(self.depth):
            # a recurrent layer above needs every step
            every_step = signature.per_step or level < self.depth - 1
            yield cell(units=self.hidden, return_sequences=every_step, **self.start())
            yield from self.drop()
        yield self.head(signature)


class AttentionFamily(_Common):
    """Embedding, positions, self-attention blocks and a head; with ``feed_forward`` a small
    transformer.

    Without ``feed_forward`` a block is the attention alone. With it a block is the pre-norm
    transformer block of Xiong et al. 2020: ``x + attention(norm(x))``, then ``x + ff(norm(x))``,
    and a last norm before the head.
    """

    title = (
        "self-attention blocks: embedding, heads, depth, causal, positions, feed_forward, readout"
    )
    units_key = "embedding"
    family: Literal["attention"]
    activation: ActivationName = "gelu"
    """Activation between layers."""
    embedding: Units = 32
    """Features of every step inside the model."""
    heads: Units = 2
    """Number of heads; must divide the number of features."""
    depth: Depth = 1
    """Number of blocks."""
    causal: bool = False
    """True: step t sees steps 0…t only."""
    positions: bool = True
    """Whether a learned vector is added to every step."""
    feed_forward: Units | None = None
    """Width of the feed-forward part; null: attention alone."""
    readout: Literal["last", "mean"] = "last"
    """What the head sees when the data have one target for the whole sequence."""

    def layers_for(self, signature: Signature) -> Iterator[Layer]:
        _need_sequence(signature.input)
        if signature.input.is_tokens:
            yield _embedding("this model", self.embedding)
        else:
            # the residual ways of a block need the same number of features throughout
            yield Dense(units=self.embedding, **self.start())
        if self.positions:
            yield Position()
        if self.feed_forward:
            yield from self.drop()
        for _ in range(self.depth):
            yield from self.block()
        # pre-norm blocks leave their sum unnormalized
        if self.feed_forward:
            yield LayerNorm()
        if not signature.per_step:
            yield LastStep() if self.readout == "last" else MeanTime()
        yield self.head(signature)

    def block(self) -> list[Layer]:
        attention = Attention(heads=self.heads, causal=self.causal, **self.start())
        if self.feed_forward is None:
            return [attention, *self.drop()]
        widen = Dense(units=self.feed_forward, **self.start())
        narrow = Dense(units=self.embedding, **self.start())
        # pydantic has checked these instances once; model_construct would skip the second check,
        # not the first
        mix: tuple[Any, ...] = (LayerNorm(), attention, *self.drop())
        feed: tuple[Any, ...] = (LayerNorm(), widen, self.act(), narrow, *self.drop())
        return [Residual(layers=mix), Residual(layers=feed)]


class LayerList(Family):
    """An explicit list of layers, head included: the last layer gives the logits."""

    title = "an explicit list: layers: [{type: dense, units: 64}, {type: relu}, ...], head included"
    family: Literal["layers"] = "layers"
    layers: tuple[AnyLayer, ...] = Field(min_length=1)
    """The layers in order, each ``{type: …, …}``, the head included; see [layers](#layers)."""

    def layers_for(self, signature: Signature) -> Iterator[Layer]:
        return iter(self.layers)


def _which(value: Any) -> Any:
    """``{layers: [...]}`` needs no ``family``."""
    if isinstance(value, dict):
        return value.get("family", "layers" if "layers" in value else None)
    return getattr(value, "family", None)


AnyModel = Annotated[
    Annotated[Mlp, Tag("mlp")]
    | Annotated[Cnn, Tag("cnn")]
    | Annotated[Recurrent, Tag("rnn")]
    | Annotated[AttentionFamily, Tag("attention")]
    | Annotated[LayerList, Tag("layers")],
    Discriminator(_which),
]

FAMILIES: dict[str, type[Family]] = members(AnyModel)
"""Every family's config class by its name."""
