"""Third parties' packages: a runtime and a data set without a fork, and what a broken one costs.

``tests/plugin`` is such a package. It is not installed: a folder with what pip would have written
stands on the path of the processes that these tests start.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.running import ROOT, strict

PLUGIN = ROOT / "tests" / "plugin"
ORIGIN = "nncompare-numpy 0.1"
SPIRAL = """\
name: arms
data: {name: spiral, arms: 3}
model: {family: mlp, hidden: [64], activation: relu}
train: {epochs: 12, batch_size: 16, optimizer: {name: adam, lr: 3e-2}}
backends: [numpy]
"""
BROKEN = """\
print("hello from the plug-in")
raise RuntimeError("this plug-in was written\\nfor another nncompare")
"""


def install(folder: Path, name: str, version: str, groups: dict[str, dict[str, str]]) -> None:
    """Writes what pip writes beside an installed package."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = []
    for group, points in groups.items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items()), ""]
    (info / "entry_points.txt").write_text("\n".join(lines))


class Site:
    """A folder to run in, and one with installed plug-ins."""

    def __init__(self, folder: Path):
        self.folder = folder / "work"
        self.packages = folder / "packages"
        self.folder.mkdir()
        self.packages.mkdir()
        project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
        install(self.packages, project["name"], project["version"], project["entry-points"])
        (self.folder / "arms.yaml").write_text(SPIRAL, encoding="utf-8")

    def add_broken(self) -> None:
        """Installs a second plug-in, whose modules raise when they are imported."""
        (self.packages / "broken_plugin.py").write_text(BROKEN)
        points = {
            "nncompare.backends": {"bad": "broken_plugin:RUNTIME"},
            "nncompare.data": {"worse": "broken_plugin:DATA_SET"},
        }
        install(self.packages, "broken", "2.0", points)

    def run(self, *command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Runs Python in the folder and checks its exit code."""
        paths = [str(ROOT), str(PLUGIN), str(self.packages)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "200"}
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def nncompare(self, *arguments: str, code: int = 0) -> str:
        """What one command prints."""
        return self.run("-m", "nncompare", *arguments, code=code).stdout

    def json(self, *arguments: str) -> Any:
        return strict(self.nncompare(*arguments, "--json"))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def by_name(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in rows}


def test_list_shows_where_each_row_comes_from(site: Site) -> None:
    document = site.json("list")
    runtimes = by_name(document["runtimes"])
    data = by_name(document["data"])
    assert (runtimes["numpy"]["origin"], runtimes["torch"]["origin"]) == (ORIGIN, "nncompare")
    assert runtimes["numpy"]["installed"]
    assert (data["spiral"]["origin"], data["digits"]["origin"]) == (ORIGIN, "nncompare")
    assert data["spiral"]["tasks"] == ["classification"]
    text = site.nncompare("list")
    for name in ("numpy", "spiral"):
        (line,) = [line for line in text.splitlines() if line.startswith(f"  {name} ")]
        assert line.rstrip().endswith(ORIGIN)


def test_a_plugin_is_known_like_everything_else(site: Site) -> None:
    assert "ok  arms.yaml" in site.nncompare("validate", "arms.yaml")
    shown = site.nncompare("show", "arms.yaml")
    assert "noise: 0.05" in shown, "its fields have defaults"
    schema = strict(site.nncompare("schema"))
    assert schema["$defs"]["Spiral"]["properties"]["arms"]["description"]
    done = site.run("-m", "nncompare", "validate", "arms.yaml", "data.noize=1", code=2)
    assert "unknown key 'noize' for name: spiral; did you mean 'noise'?" in done.stderr
    done = site.run("-m", "nncompare", "validate", "arms.yaml", "-b", "nunpy", code=2)
    assert "did you mean 'numpy'?" in done.stderr
    site.nncompare("init", "mine", "--data", "spiral")
    assert "ok  mine.yaml" in site.nncompare("validate", "mine.yaml")


def test_help_imports_no_plugin(site: Site) -> None:
    code = (
        "import sys; from nncompare.cli import call; call(sys.argv[1:]);"
        " print(sorted(set(sys.modules) & {'nncompare_numpy', 'pydantic'}))"
    )
    assert site.run("-c", code, "--help").stdout.endswith("[]\n")
    listed = site.run("-c", code, "list").stdout
    assert listed.endswith("['nncompare_numpy', 'pydantic']\n")


def test_run_trains_it_in_a_worker(site: Site) -> None:
    document = site.json("run", "arms.yaml")
    (row,) = document["runtimes"]
    assert (row["runtime"], row["status"], row["device"]) == ("numpy", "ok", "cpu")
    losses = [epoch["train_loss"] for epoch in row["history"]]
    assert losses[-1] < 0.6 * losses[0]
    assert "spiral" in document["environment"]["data"]["digests"]
    assert document["experiment"]["data"]["arms"] == 3


def test_what_it_lacks_is_its_row(site: Site) -> None:
    done = site.run("-m", "nncompare", "run", "arms.yaml", "model.dropout=0.1", "--json", code=3)
    (row,) = strict(done.stdout)["runtimes"]
    assert (row["status"], row["reason"]) == ("refused", "the NumPy backend has no dropout")


@pytest.mark.needs_torch
def test_run_beside_torch(site: Site) -> None:
    document = site.json("run", "arms.yaml", "train.dtype=float64", "-b", "numpy", "-b", "torch")
    rows = {row["runtime"]: row for row in document["runtimes"]}
    assert {name: row["status"] for name, row in rows.items()} == {"numpy": "ok", "torch": "ok"}
    ours, theirs = (rows[name]["final"]["train_loss"] for name in ("numpy", "torch"))
    assert ours == pytest.approx(theirs, rel=1e-9)
    # what touches the mathematics is told by both, so that the ledger compares it
    told = {name: rows[name]["settings"]["initial weights"] for name in rows}
    assert told == {"numpy": "nncompare's", "torch": "nncompare's"}


@pytest.mark.needs_torch
def test_verify_certifies_it(site: Site) -> None:
    document = site.json("verify", "arms.yaml", "-b", "numpy", "-b", "torch")
    assert document["status"] == "certified"
    assert {check["runtime"] for check in document["checks"]} == {"numpy", "torch"}


def test_gradcheck_says_that_it_differentiates_no_formulas(site: Site) -> None:
    done = site.run("-m", "nncompare", "gradcheck", "sin(x)", "-b", "numpy", "--json", code=3)
    (row,) = strict(done.stdout)["runtimes"]
    assert row["reason"] == "the backend of numpy differentiates no formulas"


def test_a_plugin_that_raises_costs_its_rows_only(site: Site) -> None:
    healthy = site.json("list")
    site.add_broken()
    document = site.json("list")
    (runtime,) = [row for row in document["runtimes"] if row not in healthy["runtimes"]]
    (data,) = [row for row in document["data"] if row not in healthy["data"]]
    reason = "RuntimeError: this plug-in was written for another nncompare"
    assert (runtime["name"], runtime["origin"]) == ("bad", "broken 2.0")
    assert (runtime["installed"], runtime["missing"]) == (False, reason)
    assert (data["name"], data["origin"], data["problem"]) == ("worse", "broken 2.0", reason)
    text = site.nncompare("list")
    assert text.count(reason) == 2
    assert "ok  arms.yaml" in site.nncompare("validate", "arms.yaml")
    assert site.json("run", "arms.yaml", "train.epochs=1")["runtimes"][0]["status"] == "ok"


def test_doctor_says_how_to_mend_it(site: Site) -> None:
    site.add_broken()
    document = site.json("doctor", "-q")
    rows = {row["runtimes"][0]: row for row in document["frameworks"]}
    assert rows["numpy"]["versions"].keys() == {"numpy"}
    assert "numpy" in document["usable"]
    assert "bad" not in document["usable"]
    assert rows["bad"]["problem"].startswith("the plug-in broken 2.0 cannot be used: RuntimeError")
    assert rows["bad"]["fix"] == "pip install -U broken, or pip uninstall broken"


def test_asking_for_a_broken_plugin_tells_why_it_is_not_there(site: Site) -> None:
    site.add_broken()
    for override in (("-b", "bad"), ("data.name=worse",)):
        done = site.run("-m", "nncompare", "validate", "arms.yaml", *override, code=2)
        assert "is not allowed; the plug-in broken 2.0 cannot be used: RuntimeError" in done.stderr
        assert "Allowed: " in done.stderr


def test_its_data_set_keeps_the_promises_of_one(site: Site) -> None:
    code = (
        "from nncompare.testing.data_set import check_data_set\n"
        "from nncompare_numpy.spiral import Spiral\n"
        "check_data_set(Spiral(name='spiral', examples=90), 'classification')"
    )
    site.run("-c", code)


def test_its_backend_passes_the_shipped_suite(site: Site) -> None:
    """On what it has; natively it has nothing, and says so."""
    command = ("-m", "nncompare.testing.worker", "numpy", "--only")
    said = site.run(*command, "layer/tanh", "layer/relu", "optimizer/sgd").stdout
    counts = re.findall(r"(\d+) of (\d+) cases passed, (\d+) refused", said)[0]
    passed, of, refused = (int(word) for word in counts)
    assert passed == refused == of / 2 >= 3
    assert said.count("NumPy has no layers and optimizers of its own") == refused


def test_a_package_that_is_imported_first_is_found_all_the_same(site: Site) -> None:
    """As in the tests of a third party, which import their own module before nncompare's."""
    code = (
        "import nncompare_numpy.backend, nncompare_numpy.spiral, json\n"
        "from nncompare.spec.data import DATA\n"
        "from nncompare.spec.runtimes import CATALOG\n"
        "print(json.dumps(['spiral' in DATA, 'numpy' in CATALOG, len(CATALOG.broken)]))"
    )
    assert json.loads(site.run("-c", code).stdout) == [True, True, 0]
