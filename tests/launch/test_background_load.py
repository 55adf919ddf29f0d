"""How much of the processors others took: the process that asks and its children do not count."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from nncompare.launch import background_load
from nncompare.launch.background_load import BackgroundLoad


class Machine:
    """Two processors whose clocks are set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.now = self.busy = self.own = self.children = 0.0
        monkeypatch.setattr(background_load.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(os, "cpu_count", lambda: 2)
        monkeypatch.setattr(
            background_load.psutil,
            "cpu_times",
            lambda: SimpleNamespace(user=self.busy, idle=1e9, steal=0.0),
        )
        times = {"system": 0.0, "children_system": 0.0}
        monkeypatch.setattr(
            os,
            "times",
            lambda: SimpleNamespace(user=self.own, children_user=self.children, **times),
        )

    def spent(self) -> SimpleNamespace:
        return SimpleNamespace(user=self.busy, idle=1e9, steal=0.0)


@pytest.mark.parametrize(
    ("busy", "own", "children", "share"),
    [(10.0, 2.0, 8.0, 0.0), (16.0, 2.0, 8.0, 0.3), (9.9, 2.0, 8.0, 0.0), (20.0, 0.0, 0.0, 1.0)],
)
def test_share(
    monkeypatch: pytest.MonkeyPatch, busy: float, own: float, children: float, share: float
) -> None:
    machine = Machine(monkeypatch)
    machine.busy, machine.own, machine.children = 100.0, 5.0, 7.0
    counted = BackgroundLoad()
    machine.now += 10.0
    machine.busy, machine.own, machine.children = 100.0 + busy, 5.0 + own, 7.0 + children
    assert counted.share() == pytest.approx(share)


def test_too_short_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch)
    counted = BackgroundLoad()
    machine.now += 0.4
    assert counted.share() is None


def test_the_real_clocks_go_together() -> None:
    assert BackgroundLoad().share() is None
    assert background_load._busy_s() > 0
    assert background_load._own_s() > 0
