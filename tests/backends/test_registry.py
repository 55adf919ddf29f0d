"""Forms are found by the class of a description, and never by guessing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nncompare.backends.registry import Registry, Unsupported, default, defaults_of
from nncompare.spec.frozen import Frozen
from nncompare.spec.layers.linear import Dense
from nncompare.spec.layers.normalization import Dropout, LayerNorm
from nncompare.spec.training import Sgd


def registry() -> Registry[Frozen, Callable[[], str]]:
    found: Registry[Frozen, Callable[[], str]] = Registry("some", {Dropout: "it cannot forget"})
    found.form(Dense)(lambda: "aligned")
    found.form(LayerNorm, epsilon=0.5)(lambda: "aligned")
    found.native_form(LayerNorm)(lambda: "native")
    return found


def test_a_native_form_serves_the_native_convention_alone() -> None:
    forms = registry()
    assert forms.find(LayerNorm, native=False)() == "aligned"
    assert forms.find(LayerNorm, native=True)() == "native"
    assert forms.find(Dense, native=True)() == "aligned", "one form for both conventions"
    assert forms.defaults == {LayerNorm: {"epsilon": 0.5}}


def test_what_is_not_there_is_refused_with_the_reason() -> None:
    forms = registry()
    for native in (False, True):
        with pytest.raises(Unsupported, match="Dropout: it cannot forget"):
            forms.find(Dropout, native=native)
        with pytest.raises(Unsupported, match="Sgd: the some backend has no lowering for it"):
            forms.find(Sgd, native=native)
    assert forms.why_not(Dropout) == "it cannot forget"
    assert forms.why_not(Dense) is None


def test_a_class_that_nobody_registered_is_not_taken_for_its_parent() -> None:
    class Wider(Dense):
        """A layer of a plug-in."""

    with pytest.raises(Unsupported, match="Wider"):
        registry().find(Wider, native=False)


def test_a_second_form_is_an_error() -> None:
    with pytest.raises(ValueError, match="two forms of Dense"):
        registry().form(Dense)


def test_a_default_of_a_field_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="Sgd has no field eps"):
        registry().form(Sgd, lr=0.1, eps=1e-8)


def test_defaults_are_read_from_signatures() -> None:
    def framework(learning_rate: float = 0.25, decay: float = 0.5) -> None:
        """As a framework's optimizer is called."""

    assert default(framework, "decay") == 0.5
    assert defaults_of(framework, learning_rate="lr", decay="rho") == {"lr": 0.25, "rho": 0.5}
