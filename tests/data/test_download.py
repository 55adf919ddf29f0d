"""Downloads: mirrors in turn, digests demanded, the cache never half-written, no network."""

from __future__ import annotations

import hashlib
import http.server
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nncompare.data import download as downloads
from nncompare.data import fetch, lookup, mnist, prepare, signature, text
from nncompare.data.download import download
from nncompare.data.mnist import Mnist
from nncompare.data.text import Text
from nncompare.errors import DataError
from tests.data import NAMES, write_mnist

CONTENT = b"nncompare" * 5000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``server.files``; a path that begins with ``/half`` breaks off in the middle."""

    def do_GET(self) -> None:
        half = self.path.startswith("/half")
        content: bytes | None = self.server.files.get(Path(self.path).name)  # type: ignore[attr-defined]
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if half else content)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, dict[str, bytes]]]:
    """A server on the loopback: its address and the files that it serves."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.files = {"file.bin": CONTENT}  # type: ignore[attr-defined]
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
    )
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", server.files  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a port that nobody listens on."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("NNCOMPARE_DATA_DIR", raising=False)
    for module in (mnist, text):
        monkeypatch.setattr(module, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def get(target: Path, *urls: str, sha256: str = DIGEST) -> list[str]:
    said: list[str] = []
    download(urls, target, sha256=sha256, advice="Do without.", report=said.append)
    return said


def everything(folder: Path) -> list[str]:
    return (
        sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
        if folder.exists()
        else []
    )


def test_the_first_mirror_that_has_it_wins(
    tmp_path: Path, mirror: tuple[str, dict[str, bytes]], closed: str
) -> None:
    target = tmp_path / "deep" / "file.bin"
    said = get(
        target,
        f"{closed}file.bin",
        f"{mirror[0]}absent.bin",
        f"{mirror[0]}file.bin",
        f"{closed}never",
    )
    assert target.read_bytes() == CONTENT
    assert everything(target.parent) == ["file.bin"]
    assert not any("never" in line for line in said)
    assert f"{len(CONTENT):,} bytes" in said[-1]


def test_every_mirror_and_its_error_is_named(
    tmp_path: Path, mirror: tuple[str, dict[str, bytes]], closed: str
) -> None:
    address, files = mirror
    files["wrong.bin"] = b"something else"
    urls = (
        f"{closed}file.bin",
        f"{address}absent.bin",
        f"{address}wrong.bin",
        f"{address}half/file.bin",
    )
    with pytest.raises(DataError) as caught:
        get(tmp_path / "cache" / "file.bin", *urls)
    first, *lines, last = str(caught.value).splitlines()
    assert first == "file.bin could not be downloaded:"
    assert last == "Do without."
    reasons = dict(line.strip().split(": ", 1) for line in lines)
    assert list(reasons) == list(urls)
    assert "refused" in reasons[urls[0]]
    assert "404" in reasons[urls[1]]
    assert (
        reasons[urls[2]]
        == f"wrong content: SHA-256 {hashlib.sha256(b'something else').hexdigest()}, "
        + f"but {DIGEST} was published"
    )
    assert reasons[urls[3]]
    assert everything(tmp_path / "cache") == [], "nothing half-written"


def test_a_failed_download_leaves_the_old_file(
    tmp_path: Path, mirror: tuple[str, dict[str, bytes]]
) -> None:
    target = tmp_path / "file.bin"
    target.write_bytes(b"old")
    with pytest.raises(DataError, match="wrong content"):
        get(target, f"{mirror[0]}file.bin", sha256="0" * 64)
    assert target.read_bytes() == b"old"
    assert everything(tmp_path) == ["file.bin"]


def test_a_mirror_that_never_answers_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(downloads, "ANSWER_S", 0.2)
    hang = threading.Event()

    def never(*_: object) -> None:
        hang.wait(30)

    monkeypatch.setattr(downloads, "_retrieve", never)
    began = time.monotonic()
    with pytest.raises(DataError, match=r"no answer within 0\.2 s"):
        get(tmp_path / "file.bin", "http://127.0.0.1:9/file.bin")
    hang.set()
    assert time.monotonic() - began < 25, "it did not wait for the mirror"
    assert everything(tmp_path) == []


def test_no_network_fails_within_fifteen_seconds() -> None:
    assert len(mnist.MIRRORS) * downloads.ANSWER_S < 15
    assert len(text.MIRRORS) * downloads.ANSWER_S < 15


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"the cache .*mnist cannot be written"):
        get(tmp_path / "cache" / "mnist" / "file.bin", "http://127.0.0.1:9/file.bin")


def test_mnist_without_network_and_files(
    closed: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrors = tuple(f"{closed}{name}/" for name in "abc")
    monkeypatch.setattr(mnist, "MIRRORS", mirrors)
    with pytest.raises(DataError) as caught:
        prepare(Mnist(name="mnist"), "classification", seed=0, dtype="float32")
    message = str(caught.value)
    for word in (
        *mirrors,
        "refused",
        str(cache / "mnist"),
        "NNCOMPARE_DATA_DIR",
        "data.path",
        "digits",
    ):
        assert word in message
    assert not [path for path in everything(cache) if (cache / path).is_file()]


def test_fetch_fills_the_cache_and_mends_it(
    tmp_path: Path,
    mirror: tuple[str, dict[str, bytes]],
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    address, files = mirror
    source = write_mnist(tmp_path / "source")
    files.update({path.name: path.read_bytes() for path in source.iterdir()})
    monkeypatch.setattr(mnist, "MIRRORS", (address,))
    monkeypatch.setattr(
        mnist, "PUBLISHED", {name: lookup.sha256(files[f"{name}.gz"]) for name in NAMES}
    )
    assert fetch("mnist_rows") == cache / "mnist"
    assert everything(cache / "mnist") == sorted(f"{name}.gz" for name in NAMES)
    assert len(prepare(Mnist(name="mnist"), "classification", seed=0, dtype="float32").test) == 20

    (cache / "mnist" / f"{NAMES[1]}.gz").write_bytes(b"damaged")
    with pytest.raises(DataError, match="data fetch mnist"):
        prepare(Mnist(name="mnist"), "classification", seed=0, dtype="float32")
    said: list[str] = []
    fetch("mnist", report=said.append)
    assert sum(": from http" in line for line in said) == 1, (
        "only the damaged file is fetched again"
    )
    assert "60 training and 20 test images checked" in said[-1]
    files.clear()
    fetch("mnist"), "what is there needs no network"


def test_text_is_downloaded_by_prepare_and_never_by_signature(
    mirror: tuple[str, dict[str, bytes]], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"to be or not to be, that is the question. " * 30
    mirror[1]["input.txt"] = content
    monkeypatch.setattr(text, "MIRRORS", (f"{mirror[0]}input.txt",))
    monkeypatch.setattr(text, "PUBLISHED", lookup.sha256(content))
    spec = Text(name="text", window=8)
    with pytest.raises(
        DataError, match=r"not at hand. Looked for: .*input.txt.*data fetch text, or set data.path"
    ):
        signature(spec, "classification")
    data = prepare(spec, "classification", seed=0, dtype="float32")
    assert data.signature == signature(spec, "classification")
    cached = cache / "tinyshakespeare" / "input.txt"
    cached.write_bytes(content[:100])
    with pytest.raises(DataError, match=r"in the cache is damaged: SHA-256 .*data fetch text"):
        signature(spec, "classification")
    assert fetch("text") == cached
    assert cached.read_bytes() == content
