"""ADD from elsewhere, by an embedded engine from real servers; nothing runs in these builds."""

import gzip
import hashlib
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from imagewright.cancellation import Cancellation
from imagewright.engine import BuildRequest, ContextLimits, Engine
from imagewright.errors import Cancelled, Forbidden, ImagewrightError, NotFound
from imagewright.events import Output, Status
from imagewright.remote import FetchLimits
from support.builder import archive, context
from support.engines import Entry, Log, build, flatten, leftovers, reference, saved
from support.git_server import Repositories, git_over_http
from support.loopback import LoopbackServer, Request, Response

pytestmark = pytest.mark.privileged("git")

_WHEN = {"Last-Modified": "Fri, 14 Jul 2017 02:40:00 GMT"}
_TAR = archive({"in": "in the archive"})
_PAGES = {
    "/f": Response(headers=_WHEN, body=b"far"),
    "/a b": Response(body=b"blank"),
    "/x.tar.gz": Response(body=gzip.compress(_TAR)),
    "/": Response(body=b"no name"),
    "/moved/here": Response(302, {"Location": "/f"}),
    "/metadata": Response(302, {"Location": "http://169.254.169.254/latest/meta-data/"}),
    "/slow": Response(body=b"123456", stall=3),
    "/large": Response(body=b"1" * (2 << 20)),
    "/gone": Response(404, body=b"secret"),
}
_DIGEST = f"sha256:{hashlib.sha256(b'far').hexdigest()}"


@dataclass(frozen=True)
class _World:
    engine: Engine
    server: LoopbackServer
    commit: str

    def look(self, instructions: str, *, log: Log | None = None, **files: str) -> dict[str, Entry]:
        """Build `instructions`, in which `@` is the server's address, from nothing; return the files."""
        text = f"FROM scratch\n{instructions}\n".replace("@", self.server.url)
        request = BuildRequest(tags=(reference("added"),))
        build(self.engine, text, dict(files), request=request, log=log)
        assert leftovers(self.engine.info().data_root) == []
        return flatten(saved(self.engine, "added"))[0]

    def refusal(self, instructions: str) -> ImagewrightError:
        """Return why `instructions` cannot be built."""
        with pytest.raises(ImagewrightError) as caught:
            self.look(instructions)
        assert leftovers(self.engine.info().data_root) == []
        assert "secret" not in str(caught.value)
        return caught.value

    def asked(self, path: str) -> int:
        """Return how often the server was asked for `path`."""
        return sum(asked.path == path for asked in self.server.requests)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_World]:
    repositories = Repositories(tmp_path_factory.mktemp("repositories"))
    repositories.create("x.git")
    program = ("100755", repositories.blob("x.git", "#!/bin/sh\n"))
    inner = ("040000", repositories.tree("x.git", {"in": program}))
    link = ("120000", repositories.blob("x.git", "/etc/passwd"))
    commit = repositories.commit("x.git", {"a": "1", "d": inner, "l": link, ".tar": _TAR})

    def change(asked: Request) -> Response | None:
        return _PAGES.get(asked.path)

    limits = ContextLimits(fetch=FetchLimits(size=1 << 20, idle=20))
    with (
        git_over_http(repositories, change=change) as server,
        Engine(str(tmp_path_factory.mktemp("engine")), context_limits=limits) as engine,
    ):
        yield _World(engine, server, commit)


def test_a_file_is_private_and_root_owned_and_called_as_its_address_says(world: _World) -> None:
    files = world.look('ADD @/f?x=1 @/moved/here @/a%20b local /d/\nADD @/f /name\nADD ["@/f", "/g h/"]', local="here")
    assert sorted(files) == ["d", "d/a b", "d/f", "d/here", "d/local", "g h", "g h/f", "name"]
    far = Entry("file", 0o600, 0, 0, 3, "", b"far", ())
    assert [files[path] for path in ("d/f", "d/here", "name", "g h/f")] == [far] * 4
    assert files["d/a b"].data == b"blank"


def test_owner_mode_and_the_time_of_the_server(world: _World) -> None:
    files = world.look("ADD --chown=5:6 --chmod=u+x @/f /f")
    assert (files["f"].mode, files["f"].uid, files["f"].gid) == (0o700, 5, 6)
    image = world.engine.inspect("added")
    tree = world.engine._store.tree(image.config.diff_ids)
    assert tree.children["f"].mtime_ns == 1_500_000_000 * 10**9


def test_the_last_of_two_with_one_name_counts_wherever_it_is(world: _World) -> None:
    assert world.look("ADD f @/f /d/", f="near")["d/f"].data == b"far"
    assert world.look("ADD @/f f /d/", f="near")["d/f"].data == b"near"


def test_only_what_came_decides_about_the_cache(world: _World) -> None:
    first, log = Log(), Log()
    world.look("ADD @/f?1 /cached\nLABEL a=b", log=first)
    image = world.engine.inspect("added").id
    world.look("ADD @/f?2 /cached\nLABEL a=b", log=log)
    assert (first.hits, log.hits, world.engine.inspect("added").id) == (0, 2, image)
    changed = dict(_PAGES)
    try:
        _PAGES["/f"] = Response(headers=_WHEN, body=b"new")
        world.look("ADD @/f?1 /cached\nLABEL a=b", log=(log := Log()))
    finally:
        _PAGES.update(changed)
    assert log.hits == 0


def test_a_build_fetches_an_address_once(world: _World) -> None:
    before = world.asked("/f")
    log = Log()
    world.look("ADD @/f /once\nADD @/f @/f /d/\nADD --checksum=" + _DIGEST + " @/f /e", log=log)
    assert world.asked("/f") == before + 1
    assert [event.message for event in log.events if isinstance(event, Status)] == ["Downloading"]
    assert [event.data for event in log.events if isinstance(event, Output)] == [b"\n"] * 4


@pytest.mark.parametrize(
    ("flag", "source", "found"),
    [
        ("", "@/x.tar.gz", "x.tar.gz"),
        ("--unpack=false", "@/x.tar.gz", "x.tar.gz"),
        ("--unpack", "@/x.tar.gz", "in"),
        ("--unpack", "@/f", "f"),
        ("", "local.tar", "in"),
        ("--unpack=true", "local.tar", "in"),
        ("--unpack=false", "local.tar", "local.tar"),
    ],
)
def test_unpacking(world: _World, flag: str, source: str, found: str) -> None:
    text = f"FROM scratch\nADD {flag} {source} /d/\n".replace("@", world.server.url)
    build(world.engine, text, {"local.tar": _TAR}, request=BuildRequest(tags=(reference("added"),)))
    files = flatten(saved(world.engine, "added"))[0]
    assert sorted(files) == ["d", f"d/{found}"]


def test_here_documents_are_not_unpacked_and_stand_beside_the_rest(world: _World) -> None:
    files = world.look("ADD @/f <<B /d/\ntext\nB")
    assert {path: entry.data for path, entry in files.items() if entry.data} == {"d/f": b"far", "d/B": b"text\n"}


def test_a_checksum_that_is_right(world: _World) -> None:
    assert world.look(f"ARG SUM={_DIGEST}\nADD --checksum=$SUM @/f /f")["f"].data == b"far"


@pytest.mark.parametrize(
    ("instruction", "message"),
    [
        (f"ADD --checksum=sha256:{'0' * 64} @/f /f", f"ADD failed: digest mismatch {_DIGEST}: sha256:{'0' * 64}"),
        ("ADD --checksum=sha256:12 @/f /f", "ADD failed: invalid checksum digest length"),
        ("ADD --checksum=12 @/f /f", "ADD failed: invalid checksum digest format"),
        (f"ADD --checksum=sha256:{'X' * 64} @/f /f", "ADD failed: invalid checksum digest format"),
        (f"ADD --checksum=sha512:{'0' * 128} @/f /f", "ADD failed: unsupported digest algorithm"),
        ("ADD @/ /d/", "ADD failed: cannot determine filename for source @/"),
        ("ADD @ /d/", "ADD failed: cannot determine filename for source @"),
        ("ADD @/x/%2e%2e /d/", "ADD failed: failed to GET @/x/%2e%2e with status 404 Not Found"),
        ("ADD @/gone?token=1 /x", "ADD failed: failed to GET @/gone with status 404 Not Found"),
        ("ADD @/large /x", f'ADD failed: Get "@/large": more than {1 << 20} bytes'),
        ("ADD @/f @/x.tar.gz /x", "When using ADD with more than one source file, the destination must be a directory"),
        ("ADD @/x.git#nope /x", "ADD failed: error fetching: fatal: couldn't find remote ref nope"),
        ("ADD @/x.git#:nope /x", "ADD failed: stat nope: no such file or directory"),
        ("ADD @/x.git#:a /x", "ADD failed: error setting git context, not a directory: a"),
        ("ADD --checksum=0000 @/x.git /x", "ADD failed: expected checksum to match 0000, got COMMIT"),
        ("ADD --checksum=zz @/x.git /x", "ADD failed: invalid checksum zz for a git source"),
    ],
)
def test_what_cannot_be_added(world: _World, instruction: str, message: str) -> None:
    expected = message.replace("@", world.server.url).replace("COMMIT", world.commit)
    assert str(world.refusal(instruction)).startswith(expected)


def test_where_no_download_may_come_from(world: _World) -> None:
    assert isinstance(world.refusal("ADD @/metadata /x"), Forbidden)
    assert isinstance(world.refusal("ADD @/gone /x"), NotFound)
    assert isinstance(world.refusal("ADD http://[fe80::1]/x /x"), Forbidden)


def test_a_file_without_a_name_that_needs_none(world: _World) -> None:
    assert world.look("ADD @/ /page")["page"].data == b"no name"


def test_a_file_can_be_excluded(world: _World) -> None:
    assert sorted(world.look("ADD --exclude=*.gz @/f @/x.tar.gz /d/")) == ["d", "d/f"]


def test_a_repository(world: _World) -> None:
    files = world.look("ADD @/x.git /r")
    assert sorted(files) == ["r", "r/.tar", "r/a", "r/d", "r/d/in", "r/l"]
    assert [files[path].mode for path in ("r/a", "r/d", "r/d/in")] == [0o644, 0o755, 0o755]
    assert files["r/l"].target == "/etc/passwd"
    part = world.look(f"ADD --checksum={world.commit[:7].upper()} --exclude=nothing @/x.git#master:d /r/")
    assert sorted(part) == ["r", "r/in"]
    assert "r/.git/HEAD" in world.look("ADD --keep-git-dir=true @/x.git /r")


def test_the_same_commit_is_in_the_cache(world: _World) -> None:
    world.look("ADD --keep-git-dir @/x.git /kept")
    log = Log()
    world.look("ADD --keep-git-dir @/x.git /kept", log=log)
    assert log.hits == 1


def test_triggers_add_from_elsewhere_too(world: _World) -> None:
    text = f"FROM scratch\nLABEL a=b\nONBUILD ADD {world.server.url}/f /t\n"
    build(world.engine, text, request=BuildRequest(tags=(reference("parent"),)))
    build(world.engine, "FROM parent\n", request=BuildRequest(tags=(reference("child"),)))
    assert flatten(saved(world.engine, "child"))[0]["t"].data == b"far"


@pytest.mark.parametrize("path", ["/slow", "/slow.git"])
def test_a_download_can_be_cancelled(world: _World, path: str) -> None:
    cancellation = Cancellation()
    text = f"FROM scratch\nADD {world.server.url}{path} /x\n"
    _PAGES["/slow.git/info/refs"] = _PAGES["/slow"]
    failure: list[BaseException] = []

    def run() -> None:
        try:
            world.engine.build(io.BytesIO(context(text)), report=Log(), cancellation=cancellation)
        except BaseException as error:  # noqa: BLE001 - looked at below
            failure.append(error)

    asked = "/slow" if path == "/slow" else "/slow.git/info/refs"
    before = world.asked(asked)
    thread = threading.Thread(target=run)
    thread.start()
    while world.asked(asked) == before:
        assert thread.is_alive()
        thread.join(0.02)
    cancellation.cancel()
    thread.join(10)
    assert [type(error) for error in failure] == [Cancelled]
    assert leftovers(world.engine.info().data_root) == []


def test_no_secret_of_an_address_is_kept(world: _World, tmp_path: Path) -> None:
    address = world.server.url.replace("//", "//who:hidden-word@")
    with Engine(str(tmp_path)) as engine:
        build(
            engine,
            "ARG A\nFROM scratch\nARG A\nADD $A/f?key=hidden-word /f\n",
            request=BuildRequest(build_args={"A": address}),
        )
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert kept
    assert b"hidden-word" not in kept
