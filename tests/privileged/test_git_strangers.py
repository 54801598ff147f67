"""Repositories and git servers that mean no good, and the real git program."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.errors import Forbidden, ImagewrightError
from imagewright.remote import FetchLimits, Resolve
from support.git_server import git_over_http
from support.git_world import LINK, MODULE, GitWorld, fetch, git_world, refusal
from support.loopback import LoopbackServer, Request, Response

pytestmark = pytest.mark.privileged("git")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitWorld]:
    with git_world(tmp_path_factory.mktemp("repositories")) as world:
        yield world


# Submodules


@pytest.mark.parametrize(
    ("number", "address", "message"),
    [
        (1, "file:///etc", 'the address of a repository cannot begin with "file:"'),
        (2, "ext::sh%20-c%20id", 'the address of a repository cannot begin with "ext:"'),
        (3, "--upload-pack=id", 'the address of a repository cannot begin with ":"'),
        (4, "/etc", 'the address of a repository cannot begin with ":"'),
        (5, "../../../etc", "the address of a submodule leaves its host: ../../../etc"),
        (6, "ssh://-oProxyCommand=id/x", "no host"),
        (7, "http://169.254.169.254/x", "address 169.254.169.254 is refused"),
        (8, "git://169.254.169.254/x", "address 169.254.169.254 is refused"),
        (9, "http://127.0.0.1/x\x07y", "characters in it"),
    ],
)
def test_addresses_of_submodules_are_not_trusted(
    world: GitWorld, tmp_path: Path, number: int, address: str, message: str
) -> None:
    error = refusal(tmp_path / "x", world.new_with_module(f"bad{number}.git", address))
    assert message in str(error)


def test_a_submodule_without_an_address(world: GitWorld, tmp_path: Path) -> None:
    url = world.new("unknown.git")
    world.repositories.commit("unknown.git", {"m": (MODULE, world.second)})
    expected = "error initializing submodules: fatal: No url found for submodule path 'm' in .gitmodules"
    assert str(refusal(tmp_path / "x", url)) == expected


def test_submodules_end_somewhere(world: GitWorld, tmp_path: Path) -> None:
    url, commit = "", world.second
    for depth in range(9):
        url = world.new_with_module(
            f"deep{depth}.git", f"../deep{depth - 1}.git" if depth else "../main.git", commit=commit
        )
        commit = world.repositories.git(f"deep{depth}.git", "rev-parse", "master")
    assert str(refusal(tmp_path / "x", url)) == "error initializing submodules: there are too many of them"


# What repositories try


def test_a_git_directory_in_the_tree_is_refused(world: GitWorld, tmp_path: Path) -> None:
    url = world.new("inner.git")
    hook = ("100755", world.repositories.blob("inner.git", "#!/bin/sh\ntouch /tmp/never\n"))
    hooks = ("040000", world.repositories.tree("inner.git", {"post-checkout": hook}))
    world.repositories.commit("inner.git", {".git": ("040000", world.repositories.tree("inner.git", {"hooks": hooks}))})
    assert "error checking out HEAD" in str(refusal(tmp_path / "x", url))


def test_a_place_for_a_submodule_behind_a_link(world: GitWorld, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    url = world.new("linked.git")
    link = (LINK, world.repositories.blob("linked.git", str(tmp_path / "outside")))
    module = ("040000", world.repositories.tree("linked.git", {"in": (MODULE, world.second)}))
    modules = f'[submodule "m"]\n\tpath = m/in\n\turl = {world.server.url}/main.git\n'
    blob = ("100644", world.repositories.blob("linked.git", modules))
    # Both a link and a directory have the name m: a program would not make such a tree.
    raw = b"".join(
        f"{mode} {path}\0".encode() + bytes.fromhex(id_)
        for mode, path, id_ in ((blob[0], ".gitmodules", blob[1]), (link[0], "m", link[1]), ("40000", "m", module[1]))
    )
    tree = world.repositories.git("linked.git", "hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=raw)
    commit = world.repositories.git("linked.git", "commit-tree", "-m", "x", tree)
    world.repositories.git("linked.git", "update-ref", "refs/heads/master", commit)
    with contextlib.suppress(ImagewrightError):  # it depends on git which of the two is there
        fetched = fetch(tmp_path / "x", url)
        assert not (fetched / "m").is_symlink()
    assert not list((tmp_path / "outside").iterdir())


def test_a_tree_that_is_far_too_manyfiles(world: GitWorld, tmp_path: Path) -> None:
    url = world.new("bomb.git")
    entry = ("100644", world.repositories.blob("bomb.git", "x"))
    for _ in range(7):
        entry = ("040000", world.repositories.tree("bomb.git", {f"{n}": entry for n in range(10)}))
    world.repositories.commit("bomb.git", {"a": entry})
    error = refusal(tmp_path / "x", url, limits=FetchLimits(files=1000))
    assert str(error) == f"the repository holds more than 1000 files or {4 << 30} bytes"
    assert not (tmp_path / "x/checkout/a").exists()


def test_filters_are_not_run(world: GitWorld, tmp_path: Path) -> None:
    url = world.new("filters.git")
    world.repositories.commit(
        "filters.git", {".gitattributes": "* filter=lfs diff=lfs merge=lfs\nb export-ignore\n", "a": "a", "b": "b"}
    )
    fetched = fetch(tmp_path / "x", url)
    assert ((fetched / "a").read_text(), (fetched / "b").read_text()) == ("a", "b")


def test_what_is_too_large(world: GitWorld, tmp_path: Path) -> None:
    url = world.new("large.git")
    world.repositories.commit("large.git", {"a": os.urandom(1 << 20)})
    error = refusal(tmp_path / "x", url, limits=FetchLimits(size=1 << 19))
    assert str(error) == "the repository is larger than 524288 bytes"


# What servers try


@contextlib.contextmanager
def _changed(world: GitWorld, path: str, response: Response) -> Iterator[LoopbackServer]:
    """Serve the repositories, but give `response` for what ends with `path`."""

    def change(request: Request) -> Response | None:
        return response if request.path.endswith(path) else None

    with git_over_http(world.repositories, change=change) as server:
        yield server


def test_redirects_to_another_server(world: GitWorld, tmp_path: Path) -> None:
    location = f"{world.server.url}/main.git/info/refs?service=git-upload-pack"
    with _changed(world, "moved.git/info/refs", Response(302, {"Location": location})) as server:
        fetched = fetch(tmp_path / "x", f"http://user:secret@127.0.0.1:{server.port}/moved.git")
    assert (fetched / "a").read_text() == "2"
    assert {request.authorization for request in world.server.requests} == {""}


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("http://169.254.169.254/x.git/info/refs?service=git-upload-pack", "address 169.254.169.254 is refused"),
        ("http://[fd00:ec2::254]/x.git/info/refs?service=git-upload-pack", "address fd00:ec2::254 is refused"),
        ("file:///etc/passwd", 'unsupported protocol scheme "file"'),
        ("/elsewhere", "unable to update url base from redirection"),
    ],
)
def test_redirects_that_are_refused(world: GitWorld, tmp_path: Path, location: str, message: str) -> None:
    # Where the question was moved to, there may be something.
    change = Response(302, {"Location": location})

    def answer(request: Request) -> Response | None:
        return Response(body=b"x") if request.path == "/elsewhere" else change

    with git_over_http(world.repositories, change=answer) as server:
        assert message in str(refusal(tmp_path / "x", f"{server.url}/main.git"))


def test_git_itself_follows_no_redirect(world: GitWorld, tmp_path: Path) -> None:
    location = {"Location": f"{world.server.url}/main.git/git-upload-pack"}
    with _changed(world, "git-upload-pack", Response(307, location)) as server:
        refusal(tmp_path / "x", f"{server.url}/main.git")


@pytest.mark.parametrize("path", ["info/refs", "git-upload-pack"])
def test_what_is_no_repository_is_not_repeated(world: GitWorld, tmp_path: Path, path: str) -> None:
    for response in (
        Response(headers={"Content-Type": "text/plain"}, body=b"secret"),
        Response(500, {"Content-Type": "text/plain"}, b"secret"),
        Response(200, {"Content-Type": "application/x-git-upload-pack-result"}, b"0011ERR secret!!\n"),
        Response(200, {"Content-Type": "application/x-git-upload-pack-advertisement"}, b"secret" * 9),
    ):
        with _changed(world, path, response) as server:
            error = refusal(tmp_path / f"x{id(response)}", f"{server.url}/main.git")
        assert "secret" not in str(error)
        assert str(error).startswith("error fetching: ")


def test_a_server_that_never_ends(world: GitWorld, tmp_path: Path) -> None:
    headers = {"Content-Type": "application/x-git-upload-pack-result"}
    with _changed(world, "git-upload-pack", Response(200, headers, b"x" * 100, stall=0)) as server:
        error = refusal(tmp_path / "x", f"{server.url}/main.git", limits=FetchLimits(total=1.5))
    assert str(error) == "the repository took more than 1.5 seconds"


def test_names_are_looked_up_once(world: GitWorld, tmp_path: Path) -> None:
    answers: list[list[tuple[int, str]]] = [[(socket.AF_INET, "127.0.0.1")], [(socket.AF_INET, "169.254.169.254")]]

    def resolve(_host: str, _port: int) -> list[tuple[int, str]]:
        return answers.pop(0)

    asked = len(world.server.requests)
    fetched = fetch(tmp_path / "x", f"http://repo.invalid:{world.server.port}/main.git", resolve=resolve)
    assert (fetched / "a").read_text() == "2"
    hosts = {request.headers["host"] for request in world.server.requests[asked:]}
    assert hosts == {f"repo.invalid:{world.server.port}"}
    assert len(answers) == 1


@pytest.mark.parametrize("scheme", ["http", "git", "ssh"])
def test_addresses_that_are_refused(tmp_path: Path, scheme: str) -> None:
    resolve: Resolve = lambda _host, _port: [(socket.AF_INET, "169.254.169.254")]  # noqa: E731
    error = refusal(tmp_path / "x", f"{scheme}://repo.invalid/main.git", resolve=resolve)
    assert isinstance(error, Forbidden)
    assert "address 169.254.169.254 is refused" in str(error)


def test_servers_of_plain_files_cannot_name_others(world: GitWorld, tmp_path: Path) -> None:
    name = f"{world.first[:2]}/{world.first[2:]}"
    asked = len(world.server.requests)

    def change(request: Request) -> Response | None:
        if request.path.endswith(name):
            return Response(404)
        alternates = f"{world.server.url}/main.git/objects\n".encode()
        return Response(body=alternates) if "alternates" in request.path else None

    with git_over_http(world.repositories, dumb=True, change=change) as server:
        refusal(tmp_path / "x", f"{server.url}/main.git#v1")
        assert server.count(f"GET /main.git/objects/{name}")
    assert len(world.server.requests) == asked
