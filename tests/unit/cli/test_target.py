import io
import os
import pathlib
import signal
import threading
from collections.abc import Collection
from typing import Any, Self, cast

import pytest

from imagewright.archive import Writable
from imagewright.cancellation import Cancellation
from imagewright.cli import target
from imagewright.cli.client import Client
from imagewright.cli.display import PlainDisplay
from imagewright.cli.registry_options import RegistryOptions
from imagewright.cli.target import EmbeddedEngine, find_engine, open_target
from imagewright.engine import BuildRequest, Engine, Entitlement, ImageQuery
from imagewright.errors import Cancelled, InvalidInput
from imagewright.events import CacheHit, Reporter, Status
from imagewright.oci import Digest, Platform
from imagewright.reference import Reference
from imagewright.registry import Settings, no_credentials
from support.scripted import scripted_engine

IMAGE = Digest("0" * 64)


class SmallEngine:
    """As much of an engine as the command line uses: it reads its context, says that the cache was used, and waits."""

    def __init__(
        self,
        data_root: str = "",
        *,
        interrupted: bool = False,
        registry: Settings | None = None,
        entitlements: Collection[Entitlement] = (),
    ) -> None:
        self.data_root = data_root
        self.registry = registry
        self.entitlements = entitlements
        self.transfers: list[tuple[str, Platform | None, bool]] = []
        self.compressions: list[str | None] = []
        self.context = b""
        self._interrupted = interrupted

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def build(
        self,
        context: Any,
        request: BuildRequest,
        *,
        files: Writable | None,
        report: Reporter,
        cancellation: Cancellation,
    ) -> Digest:
        del request
        while data := context.read(2):
            self.context += data
        report(CacheHit())
        if self._interrupted:
            os.kill(os.getpid(), signal.SIGINT)
            cancellation.wait(10)
            cancellation.check()
        if files is not None:
            files.write(b"the files")
        return IMAGE

    def list(self, query: ImageQuery) -> list[Any]:
        return [query]

    def info(self) -> Any:
        return Platform("linux", "amd64")

    def pull(
        self,
        reference: Reference,
        *,
        platform: Platform | None = None,
        all_tags: bool,
        report: Reporter,
        cancellation: Cancellation,
        compression: str | None = None,
        **_: object,
    ) -> None:
        if self._interrupted:
            os.kill(os.getpid(), signal.SIGINT)
            cancellation.wait(10)
            cancellation.check()
        self.transfers.append((reference.familiar, platform, all_tags))
        self.compressions.append(compression)
        report(CacheHit())
        report(Status("Waiting"))

    push = pull


def embedded(engine: SmallEngine) -> EmbeddedEngine:
    return EmbeddedEngine(cast("Engine", engine))


def test_embedded_build(tmp_path: pathlib.Path) -> None:
    engine = SmallEngine()
    with (tmp_path / "out").open("wb") as out:
        assert embedded(engine).build(iter([b"abc", b"d"]), BuildRequest(), PlainDisplay(out)) == IMAGE
    assert engine.context == b"abcd"
    assert (tmp_path / "out").read_text() == " ---> Using cache\n"


def test_embedded_build_of_files(tmp_path: pathlib.Path) -> None:
    files = io.BytesIO()
    with (tmp_path / "out").open("wb") as out:
        embedded(SmallEngine()).build_files(iter([]), BuildRequest(), PlainDisplay(out), files)
    assert files.getvalue() == b"the files"


def test_interrupt_cancels_the_build(tmp_path: pathlib.Path) -> None:
    before = signal.getsignal(signal.SIGINT)
    with (tmp_path / "out").open("wb") as out, pytest.raises(Cancelled):
        embedded(SmallEngine(interrupted=True)).build(iter([]), BuildRequest(), PlainDisplay(out))
    assert signal.getsignal(signal.SIGINT) == before


def test_build_in_another_thread_leaves_signals_alone(tmp_path: pathlib.Path) -> None:
    results: list[Digest] = []
    with (tmp_path / "out").open("wb") as out:
        thread = threading.Thread(
            target=lambda: results.append(embedded(SmallEngine()).build(iter([]), BuildRequest(), PlainDisplay(out)))
        )
        thread.start()
        thread.join()
    assert results == [IMAGE]


def test_embedded_list() -> None:
    query = ImageQuery(all=True)
    assert cast("list[Any]", embedded(SmallEngine()).list_images(query)) == [query]


def test_host_is_asked() -> None:
    with open_target("unix:///nonexistent", None) as chosen:
        assert isinstance(chosen, Client)
    with pytest.raises(InvalidInput, match="invalid host"), open_target("tcp://localhost:1", None):
        pass


def test_options_about_registries_are_for_an_engine_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    given = RegistryOptions(insecure=("x",), certificates="/")
    with scripted_engine({}) as engine:
        monkeypatch.setattr(target, "DEFAULT_SOCKET", engine.socket)
        assert find_engine(None, None, RegistryOptions()) == engine.socket
        assert find_engine(None, "/data", given) is None
        for host in (None, engine.host):
            with pytest.raises(InvalidInput, match=r"^--insecure-registry, --certs-dir: the engine at"):
                find_engine(host, None, given)
    assert find_engine(None, None, given) is None
    monkeypatch.setattr(target, "Engine", SmallEngine)
    with open_target(None, "/data", given) as chosen:
        settings = cast("Any", chosen)._engine.registry
    assert (settings.insecure, settings.certificates) == (("x",), "/")


def test_embedded_transfers() -> None:
    shown: list[Status] = []
    engine = SmallEngine()
    name = Reference.parse("reg.example/x")
    embedded(engine).pull(name, platform="", all_tags=True, keychain=no_credentials, show=shown.append)
    embedded(engine).pull(name, platform="arm64", all_tags=False, keychain=no_credentials, show=shown.append)
    settings: dict[str, Any] = {"keychain": no_credentials, "show": shown.append}
    embedded(engine).push(name, all_tags=False, compression=None, **settings)
    embedded(engine).push(name, all_tags=True, compression="zstd", **settings)
    assert engine.compressions == [None, None, None, "zstd"]
    assert engine.transfers == [
        ("reg.example/x", None, True),
        ("reg.example/x", Platform("linux", "arm64"), False),
        ("reg.example/x:latest", None, False),
        ("reg.example/x", None, True),
    ]
    assert shown == [Status("Waiting")] * 4
    interrupted = embedded(SmallEngine(interrupted=True))
    with pytest.raises(Cancelled, match=r"^Pull cancelled$"):
        interrupted.pull(name, platform="", all_tags=True, **settings)
    with pytest.raises(Cancelled, match=r"^Push cancelled$"):
        interrupted.push(name, all_tags=True, compression=None, **settings)


def test_default_socket_is_asked_if_it_is_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(target, "Engine", SmallEngine)
    with scripted_engine({}) as engine:
        monkeypatch.setattr(target, "DEFAULT_SOCKET", engine.socket)
        with open_target(None, None) as chosen:
            assert isinstance(chosen, Client)
        with open_target(None, "/data") as chosen:
            assert isinstance(chosen, EmbeddedEngine)
        with open_target(None, "/data", entitlements=["security.insecure"]) as chosen:
            assert isinstance(chosen, EmbeddedEngine)
            assert vars(chosen)["_engine"].entitlements == ["security.insecure"]
    with open_target(None, None) as chosen:
        assert isinstance(chosen, EmbeddedEngine)
