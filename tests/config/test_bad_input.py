"""Bad experiment files on the command line: exit code 2, the place, the words, no traceback,
nothing written.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from nncompare.cli import call

DATA = "data: {name: digits}\n"
GOOD = DATA + "model: {family: mlp}\n"
COMMANDS = ["validate", "show", "run"]


@dataclass(frozen=True)
class Bad:
    id: str
    text: str | bytes
    place: str
    """``line:column`` at the end of the file's name, or empty."""
    words: tuple[str, ...]


def bomb(levels: int) -> str:
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"{chr(97 + n)}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


BAD = [
    # keys
    Bad("misspelt key", DATA + "model: {family: mlp, hiden: [3]}\n", "2:22", ("model.hiden", "did you mean 'hidden'")),
    Bad("foreign key", GOOD + "train: {lr: 0.1}\n", "3:9", ("train.lr", "did you mean train.optimizer.lr?")),
    Bad("familiar key", GOOD + "train: {optimizer: {name: sgd, learning_rate: 1}}\n", "3:32", ("did you mean 'lr'",)),
    Bad("key of another optimizer", GOOD + "train: {optimizer: {name: sgd, beta1: 0.9}}\n", "3:32", ("name: sgd",)),
    Bad("dotted key", GOOD + "train.epochs: 3\n", "3:1", ("train.epochs", "command line")),
    Bad("duplicate key", GOOD + "train:\n  epochs: 2\n  epochs: 3\n", "5:3", ("train.epochs", "twice", "line 4")),
    Bad("number as key", GOOD + "1: 2\n", "3:1", ("keys are names", "'1'")),
    Bad("list as key", GOOD + "[a]: 2\n", "3:1", ("keys are names",)),
    Bad("merge key", "x: &x {family: mlp}\n" + DATA + "model:\n  <<: *x\n", "4:3", ("merge keys",)),
    Bad("no data", "model: {family: mlp}\n", "1:1", ("data", "missing", "breast_cancer")),
    Bad("no model", DATA, "1:1", ("model", "missing", "family", "attention")),
    Bad("no family", DATA + "model: {hidden: [3]}\n", "2:1", ("model.family", "missing", "mlp, cnn")),
    # values
    Bad("text for number", GOOD + 'train: {epochs: "3"}\n', "3:17", ("train.epochs", "remove the quotes")),
    Bad("fraction for whole", GOOD + "train: {epochs: 2.5}\n", "3:17", ("train.epochs", "whole number", "2.5")),
    Bad("bool for number", GOOD + "train: {epochs: true}\n", "3:17", ("whole number", "true")),
    Bad("number for bool", GOOD + "train: {optimizer: {name: sgd, nesterov: 1}}\n", "3:42", ("true or false",)),
    Bad("yes for bool", GOOD + "train: {optimizer: {name: sgd, nesterov: yes}}\n", "3:42", ("write true",)),
    Bad("number for text", "name: 5\n" + GOOD, "1:7", ("must be text", "quotes")),
    Bad("number for list", DATA + "model: {family: mlp, hidden: 64}\n", "2:30", ("model.hidden", "[64]")),
    Bad("text in list", DATA + "model: {family: mlp, hidden: [3, x]}\n", "2:34", ("model.hidden.1", "whole number")),
    Bad("empty list", DATA + "model: {family: mlp, hidden: []}\n", "2:30", ("at least 1",)),
    Bad("three for a pair", DATA + "model: {family: cnn, kernel: [1, 2, 3]}\n", "2:30", ("list of 2", "list of 3")),
    Bad("one for a pair", DATA + "model: {family: cnn, kernel: [1]}\n", "2:30", ("list of 2", "list of 1")),
    Bad("list for mapping", GOOD + "train: [3]\n", "3:8", ("train", "mapping of keys")),
    Bad("word for mapping", GOOD + "train: {optimizer: adam}\n", "3:20", ("{name: adam}",)),
    Bad("nothing for mapping", GOOD + "train:\n", "3:1", ("train", "empty")),
    Bad("negative lr", GOOD + "train: {optimizer: {name: adam, lr: -1}}\n", "3:37", ("greater than 0", "-1")),
    Bad("lr nan", GOOD + "train: {optimizer: {name: adam, lr: .nan}}\n", "3:37", ("finite", ".nan")),
    Bad("lr inf", GOOD + "train: {optimizer: {name: adam, lr: .inf}}\n", "3:37", ("finite", ".inf")),
    Bad("huge whole lr", GOOD + f"train: {{optimizer: {{name: adam, lr: {'9' * 399}}}}}\n", "3:37", ("lr",)),
    Bad("endless number", GOOD + f"train: {{epochs: {'9' * 9999}}}\n", "3:17", ("9999 digits",)),
    Bad("share above one", "data: {name: digits, test: 1.5}\nmodel: {family: mlp}\n", "1:28", ("less than 1", "1.5")),
    Bad("bad name", "name: a/b\n" + GOOD, "1:7", ("'a/b'", "letters")),
    Bad("list for a runtime", GOOD + "backends: [torch, [keras]]\n", "3:19", ("backends.1", "a list is not allowed")),
    Bad("unknown family", DATA + "model: {family: mpl}\n", "2:17", ("did you mean 'mlp'", "attention")),
    Bad("unknown layer", DATA + "model:\n  layers:\n  - {type: dens, units: 3}\n", "4:12", ("'dense'", "conv2d")),
    Bad("unknown data", "data: {name: mnst}\nmodel: {family: mlp}\n", "1:14", ("'mnist'", "breast_cancer")),
    Bad("unknown backend", GOOD + "backends: [torch, jaxx]\n", "3:19", ("backends.1", "tensorflow:xla")),
    Bad("backend as text", GOOD + "backends: torch\n", "3:11", ("[torch]",)),
    Bad("unknown initializer", DATA + "model: {family: mlp, initializer: glorot}\n", "2:35", ("xavier_uniform",)),
    Bad("unknown padding", DATA + "model: {family: cnn, padding: smae}\n", "2:31", ("'same'", "whole number")),
    Bad("wrong task", DATA + "model: {family: mlp}\ntask: regression\n", "3:7", ("task", "Allowed: classification")),
    Bad("misspelt task", DATA + "model: {family: mlp}\ntask: regresion\n", "3:7", ("did you mean 'regression'",)),
    # shapes
    Bad("large kernel", DATA + "model:\n  layers: [{type: conv2d, filters: 2, kernel: 9}]\n", "3:47", ("kernel of 9",)),
    Bad("heads", DATA.replace("digits", "pattern") + "model: {family: attention, embedding: 8, heads: 3}\n", "2:49",
        ("model.heads", "3 heads do not divide 8", "1, 2, 4, 8")),
    Bad("cnn on a table", DATA.replace("digits", "diabetes") + "model: {family: cnn}\n", "2:1", ("cnn needs images",)),
    Bad("wrong output", DATA + "model: {layers: [{type: flatten}]}\n", "2:17", ("units: 10",)),
    Bad("dense in a residual", DATA + "model:\n  layers:\n  - {type: flatten}\n  - type: residual\n"
        "    layers: [{type: dense, units: 3}]\n  - {type: dense, units: 10}\n", "5:5", ("model.layers.1", "agree")),
    # a zero too many: refused before anything is made of it
    *(
        Bad(f"{family} depth", f"data: {{name: {data}}}\nmodel: {{family: {family}, depth: 1000000000}}\n",
            f"2:{26 + len(family)}", ("model.depth", "at most 1000"))
        for family, data in (("mlp", "digits"), ("cnn", "digits"), ("rnn", "digits_rows"), ("attention", "digits_rows"))
    ),
    Bad("hidden", DATA + "model: {family: mlp, hidden: [8, 1000000000000]}\n", "2:30", ("model.hidden: dense_2: kernel would have 8,000,000,000,000 numbers",)),
    Bad("filters", DATA + "model: {family: cnn, filters: [1000000000000]}\n", "2:31", ("model.filters: conv2d_1: ",)),
    Bad("kernel", DATA + "model: {family: cnn, kernel: 1000000000, padding: 1000000000}\n", "2:30",
        ("model.kernel: conv2d_1: its output would have", "which no memory holds")),
    Bad("layer", DATA + "model: {layers: [{type: flatten}, {type: dense, units: 2000000000}, {type: dense, units: 2000000000}]}\n",
        "2:90", ("model.layers.2.units", "dense_2: kernel would have 4,000,000,000,000,000,000 numbers")),
    Bad("shape", "data: {name: random, shape: [10000000, 10000000]}\nmodel: {family: mlp}\n", "1:1",
        ("data: an example would have 100,000,000,000,000 numbers",)),
    Bad("length", "data: {name: adding, length: 10000000000000}\nmodel: {family: rnn}\n", "1:30", ("data.length",)),
    Bad("window", "data: {name: pattern, window: 10000000000000}\nmodel: {family: rnn}\n", "1:31", ("data.window",)),
    Bad("epochs", GOOD + "train: {epochs: 10000000000000}\n", "3:17", ("train.epochs", "at most 1099511627776")),
    Bad("batch size", GOOD + "train: {batch_size: 10000000000000000000000}\n", "3:21", ("train.batch_size",)),
    Bad("grid", GOOD + "tune:\n  sampler: grid\n  parameters: {train.batch_size: {min: 1, max: 1000000000}}\n", "4:12",
        ("tune.sampler", "1,000,000,000 points")),
    Bad("fine grid", GOOD + "tune:\n  sampler: grid\n  parameters: {model.dropout: {min: 0, max: 0.5, step: 1e-12}}\n", "4:12",
        ("tune.sampler", "500,000,000,001 points")),
    Bad("searched depth", GOOD + "tune:\n  parameters: {model.depth: {min: 1, max: 1000000000}}\n", "4:43",
        ("tune.parameters.model.depth.max", "at most 1000")),
    Bad("no flatten", DATA + "model: {layers: [{type: dense, units: 64}, {type: dense, units: 10}]}\n", "2:17",
        ("model.layers", "end the list with {type: flatten}, {type: dense, units: 10}")),
    # not an experiment at all
    Bad("empty file", "", "", ("empty", "nncompare init")),
    Bad("only comments", "# one\n# two\n", "", ("only comments",)),
    Bad("null", "---\n~\n", "2:1", ("empty",)),
    Bad("top level list", "- data\n- model\n", "1:1", ("a list", "keys with values")),
    Bad("top level scalar", "digits\n", "1:1", ("one value",)),
    Bad("tab", "data:\n\tname: digits\n", "2:1", ("not YAML", "tab")),
    Bad("open bracket", DATA + "model: {family: mlp, hidden: [3, 4\n", "3:1", ("not YAML", "line 2")),
    Bad("open quote", "name: 'x\n" + GOOD, "4:1", ("not YAML", "quote", "line 1")),
    Bad("two colons", "data: name: digits\n", "1:11", ("not YAML",)),
    Bad("not utf-8", b"name: caf\xe9\n", "1:10", ("UTF-8", "0xe9")),
    Bad("binary", b"\x7fELF\x02\x01\x00\x00", "1:1", ("control character", "U+007F")),
    Bad("utf-16", GOOD.encode("utf-16"), "1:1", ("UTF-8",)),
    Bad("two documents", GOOD + "---\n" + GOOD, "3:1", ("second document",)),
    Bad("yaml 1.1", "%YAML 1.1\n---\n" + GOOD, "2:1", ("YAML 1.2",)),
    Bad("5 MB", GOOD + "#" * 5_000_000, "", ("larger than 1 MiB",)),
    Bad("alias bomb", bomb(12), "5:14", ("more than 20000 values", "aliases")),
    Bad("alias to itself", "data: &d {name: *d}\n", "1:17", ("contains itself",)),
    Bad("alias to nothing", "data: *d\n", "1:7", ("not defined",)),
    Bad("deep lists", "model: " + "[" * 20_000, "1:68", ("levels deep",)),
    Bad("deep mappings", "{a: " * 20_000, "1:245", ("levels deep",)),
    Bad("deep blocks", "- " * 20_000, "1:123", ("levels deep",)),
    Bad("python object", "data: !!python/object/apply:os.system ['touch pwned']\n" + GOOD[len(DATA):], "1:7",
        ("data", "tag !!python/object/apply:os.system")),
    Bad("own tag", GOOD + "train: !mine {epochs: 3}\n", "3:8", ("train", "tag !mine")),
    Bad("wrong core tag", GOOD + "train: {epochs: !!int x}\n", "3:17", ("train.epochs", "!!int")),
]  # fmt: skip


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message on stderr of a command that must exit with 2, print nothing else and write no
    file.
    """
    before = sorted(Path.cwd().rglob("*"))
    assert call(arguments) == 2
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    assert output.out == ""
    assert sorted(Path.cwd().rglob("*")) == before
    return output.err


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.id)
def test_bad_file(bad: Bad, capsys: pytest.CaptureFixture[str]) -> None:
    content = bad.text if isinstance(bad.text, bytes) else bad.text.encode()
    Path("bad.yaml").write_bytes(content)
    message = refused(capsys, "run", "bad.yaml")
    assert refused(capsys, "show", "bad.yaml") == message
    assert f"bad.yaml:{bad.place}: " in message if bad.place else "bad.yaml: " in message
    for word in bad.words:
        assert word in message
    assert "pydantic" not in message
    assert "Input should" not in message


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD + "train: {epoch: 3}\n", "did you mean 'epochs'"),
        ("", "empty"),
        (DATA + "model: {family: x}\n", "mlp"),
    ],
)
def test_every_command_refuses_before_it_does_anything(
    command: str, text: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("bad.yaml").write_text(text, encoding="utf-8")
    assert words in refused(capsys, command, "bad.yaml")


@pytest.mark.parametrize("command", COMMANDS)
def test_files_that_are_not_there(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("digits_mlp.yaml").write_text(GOOD, encoding="utf-8")
    Path("folder").mkdir()
    near = refused(capsys, command, "digit_mlp.yaml")
    assert "no such file" in near
    assert "did you mean digits_mlp.yaml?" in near
    assert "did you mean digits_mlp.yaml?" in refused(capsys, command, "digits_mlp")
    assert "does not exist either" in refused(capsys, command, "nowhere/digits_mlp.yaml")
    assert "folder" in refused(capsys, command, "folder")
    assert "digits_mlp.yaml" in refused(capsys, command, ".")
    assert "override" in refused(capsys, command, "train.epochs=3")
    assert "CONFIG" in refused(capsys, command)
    assert "cannot be read" in refused(capsys, command, "x" * 5000)


def test_an_endless_file_is_refused_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert "larger than 1 MiB" in refused(capsys, "show", "/dev/zero")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train.epochs"], ["train.epochs: there is no '='"]),
        (["train.epoch=3"], ["train.epoch=3: train.epoch:", "'epochs'"]),
        (["model.hidden.7=3"], ["model.hidden.7=3: ", "item 0 only"]),
        (["--seed", "x"], ["--seed x: train.seed: ", "whole number"]),
        (["--device", "gppu"], ["--device gppu: measure.device: ", "'gpu'"]),
        (["--threads", "0"], ["--threads 0: measure.threads: ", "greater than 0"]),
        (["--rounds", "["], ["--rounds [: measure.rounds: ", "not YAML"]),
        (["-b", "torhc"], ["--backend torhc: backends.0: ", "'torch'"]),
        (["-b", "torch,kera"], ["--backend kera: backends.1: ", "'keras'"]),
        (["--nonsense"], ["--nonsense"]),
    ],
)
def test_bad_arguments(
    arguments: list[str], words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("good.yaml").write_text(GOOD, encoding="utf-8")
    message = refused(capsys, "show", "good.yaml", *arguments)
    for word in words:
        assert word in message


def test_messages_hold_no_control_codes(capsys: pytest.CaptureFixture[str]) -> None:
    text = GOOD + '"\\e[31mkey": 1\ntrain: {dtype: "\\e[2J\\nfloat"}\n'
    Path("bad.yaml").write_text(text, encoding="utf-8")
    message = refused(capsys, "show", "bad.yaml", "train.epochs=a\n\x1b[31m")
    assert "\x1b" not in message
    assert "\\x1b[31mkey" in message
    # two in the file with their lines, the argument, the count
    assert len(message.splitlines()) == 3 + 3 + 1 + 1


def test_errors_of_json_commands_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.yaml").write_text(GOOD + "epochs: 3\n", encoding="utf-8")
    assert "did you mean train.epochs?" in refused(capsys, "show", "bad.yaml", "--json")


def test_the_python_tag_ran_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.yaml").write_text("!!python/object/apply:os.mkdir ['pwned']\n", encoding="utf-8")
    assert "tag !!python" in refused(capsys, "validate", "bad.yaml")
    assert not Path("pwned").exists()
