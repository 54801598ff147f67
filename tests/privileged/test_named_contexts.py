"""Named contexts in the place of stages and images, by an embedded engine; nothing runs in these builds."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from imagewright.engine import BuildRequest, Engine
from imagewright.errors import ImagewrightError
from imagewright.events import StepStarted
from support.builder import archive
from support.engines import Log, build, flatten, leftovers, reference, saved
from support.git_server import Repositories, git_over_http
from support.loopback import LoopbackServer, Request, Response

pytestmark = pytest.mark.privileged("git")

_PAGES = {
    "/x.tar.gz": Response(body=gzip.compress(archive({"d/in": "in the archive"}))),
    "/text": Response(body=b"no archive"),
    "/gone": Response(404, body=b"hush"),
}


@dataclass(frozen=True)
class _World:
    engine: Engine
    server: LoopbackServer

    def look(self, text: str, contexts: dict[str, str], *, log: Log | None = None, target: str = "") -> dict[str, str]:
        """Build `text` with `contexts`, in which `@` is the server's address; return the contents of the files."""
        contexts = {name: value.replace("@", self.server.url) for name, value in contexts.items()}
        request = BuildRequest(tags=(reference("made"),), contexts=contexts, target=target)
        build(self.engine, text, {"here": "sent"}, request=request, log=log)
        assert leftovers(self.engine.info().data_root) == []
        return {path: entry.data.decode() for path, entry in flatten(saved(self.engine, "made"))[0].items()}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_World]:
    repositories = Repositories(tmp_path_factory.mktemp("repositories"))
    repositories.create("x.git")
    repositories.commit("x.git", {"a": "of git"})

    def change(asked: Request) -> Response | None:
        return _PAGES.get(asked.path)

    with (
        git_over_http(repositories, change=change) as server,
        Engine(str(tmp_path_factory.mktemp("engine"))) as engine,
    ):
        for name in ("one", "two"):
            request = BuildRequest(tags=(reference(f"{name}:1"),))
            build(engine, f"FROM scratch\nLABEL is={name}\nCOPY {name} /\n", {name: name}, request=request)
        yield _World(engine, server)


@pytest.mark.parametrize(
    ("text", "contexts", "files"),
    [
        ("FROM base\n", {"base": "docker-image://one:1"}, {"one": "one"}),
        ("FROM one:1\n", {"docker.io/library/one:1": "two:1"}, {"two": "two"}),
        ("ARG B=base\nFROM $B\n", {"base": "one:1"}, {"one": "one"}),
        ("FROM nope AS Built\nCOPY gone /\nFROM Built\n", {"BUILT": "one:1"}, {"one": "one"}),
        ("FROM nope AS built\nFROM scratch\nCOPY --from=built / /\n", {"built": "one:1"}, {"one": "one"}),
        ("FROM scratch\nCOPY --from=base one /c/\n", {"base": "one:1"}, {"c": "", "c/one": "one"}),
        ("FROM scratch\nCOPY --from=far d/in /\n", {"far": "@/x.tar.gz"}, {"in": "in the archive"}),
        ("FROM scratch\nCOPY --from=far a /\n", {"far": "@/x.git"}, {"a": "of git"}),
        ("FROM far\nCOPY here /\n", {"far": "@/x.git"}, {"a": "of git", "here": "sent"}),
        ("FROM none\nCOPY here /\n", {"none": "scratch"}, {"here": "sent"}),
        # What a name stands for is no name of a context again.
        ("FROM one:1\n", {"one:1": "two:1", "two:1": "one:1"}, {"two": "two"}),
        ("FROM one:1\n", {"one:1": "one:1"}, {"one": "one"}),
        # Nobody asks for what is not used.
        ("FROM one:1\n", {"other": "nope.invalid/x", "far": "@/gone"}, {"one": "one"}),
    ],
)
def test_what_stands_in_the_place_of_a_name(
    world: _World, text: str, contexts: dict[str, str], files: dict[str, str]
) -> None:
    assert world.look(text, contexts) == files


def test_a_target_that_is_replaced_is_the_image(world: _World) -> None:
    log = Log()
    assert world.look("FROM nope AS built\nCOPY gone /\n", {"built": "one:1"}, log=log, target="built") == {
        "one": "one"
    }
    assert world.engine.inspect("made").config.run.labels == {"is": "one"}
    assert [event.text for event in log.events if isinstance(event, StepStarted)] == ["FROM nope AS built"]


def test_another_content_is_another_step(world: _World) -> None:
    text = "FROM scratch\nCOPY --from=base * /\n"
    assert world.look(text, {"base": "one:1"}) == {"one": "one"}
    assert world.look(text, {"base": "two:1"}) == {"two": "two"}
    log = Log()
    world.look(text, {"base": "one:1"}, log=log)
    assert log.hits == 1


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("@/gone", "the context far: .* 404 Not Found"),
        ("@/text", "the context far: what is there is no archive"),
        ("@/x.git#nope", "the context far: .*couldn't find remote ref nope"),
        ("http://169.254.169.254/x.tar", "the context far: .*is refused"),
        ("localhost:1/nope", "localhost:1.*refused"),
    ],
)
def test_what_cannot_be_had_is_named(world: _World, value: str, message: str) -> None:
    with pytest.raises(ImagewrightError, match=message) as caught:
        world.look("FROM scratch\nCOPY --from=far / /\n", {"far": value})
    assert "hush" not in str(caught.value)
