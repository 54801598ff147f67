"""Repositories of real git servers, fetched by the real git program."""

import os
import shutil
import socket
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, Forbidden, ImagewrightError, InvalidInput, NotFound, SystemFailure
from imagewright.remote import Repository, Resolve, fetch_repository
from support.certificates import Authority
from support.engines import processes
from support.git_server import Repositories, git_over_http
from support.git_world import GitWorld, fetch, files, git_world, parse, refusal
from support.loopback import Request, Response

pytestmark = pytest.mark.privileged("git")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitWorld]:
    with git_world(tmp_path_factory.mktemp("repositories")) as world:
        yield world


@pytest.mark.parametrize("ref", ["", "master", "refs/heads/master", "v1", "ann", "feat/x", "pull/1/head", "SECOND"])
@pytest.mark.parametrize("server", ["http", "git"])
def test_refs(world: GitWorld, tmp_path: Path, ref: str, server: str) -> None:
    root = world.server.url if server == "http" else world.daemon
    wanted = world.second if ref == "SECOND" else ref
    fetched = fetch(tmp_path / "x", f"{root}/main.git" + (f"#{wanted}" if wanted else ""))
    newest = ref in {"", "master", "refs/heads/master", "SECOND"}
    assert (fetched / "a").read_text() == ("2" if newest else "1")
    assert (fetched / ".git/shallow").exists()


@pytest.mark.parametrize("length", [40, 8])
@pytest.mark.parametrize("kind", ["smart", "dumb"])
def test_commits_that_no_branch_ends_in(world: GitWorld, tmp_path: Path, length: int, kind: str) -> None:
    with git_over_http(world.repositories, dumb=kind == "dumb") as server:
        fetched = fetch(tmp_path / "x", f"{server.url}/main.git#{world.first[:length]}")
    assert (fetched / "a").read_text() == "1"


def test_servers_of_plain_files_have_branches_too(world: GitWorld, tmp_path: Path) -> None:
    with git_over_http(world.repositories, dumb=True) as server:
        assert (fetch(tmp_path / "x", f"{server.url}/main.git#feat/x") / "a").read_text() == "1"


def test_what_the_files_are(world: GitWorld, tmp_path: Path) -> None:
    mask = os.umask(0o077)
    try:
        fetched = fetch(tmp_path / "x", f"{world.server.url}/main.git")
    finally:
        os.umask(mask)
    modes = {name: stat.S_IMODE((fetched / name).stat().st_mode) for name in ("a", "x", "d", "d/in", ".git/HEAD")}
    assert modes == {"a": 0o644, "x": 0o755, "d": 0o755, "d/in": 0o755, ".git/HEAD": 0o644}
    assert os.readlink(fetched / "l") == "/etc/passwd"


@pytest.mark.parametrize("ref", ["master", "v1"])
def test_one_commit_gives_the_same_files_each_time(world: GitWorld, tmp_path: Path, ref: str) -> None:
    one, other = (files(fetch(tmp_path / name, f"{world.server.url}/main.git#{ref}")) for name in ("x", "y"))
    assert one == other
    assert ".git/HEAD" in one
    assert not [path for path, data in one.items() if str(tmp_path).encode() in data or "hooks" in path]


def test_the_name_and_the_tag_are_known_to_git_afterwards(world: GitWorld, tmp_path: Path) -> None:
    branch = fetch(tmp_path / "x", f"{world.server.url}/main.git#feat/x")
    assert (branch / ".git/HEAD").read_text() == "ref: refs/heads/feat/x\n"
    tag = fetch(tmp_path / "y", f"{world.server.url}/main.git#ann")
    assert (tag / ".git/refs/tags/ann").exists()


@pytest.mark.parametrize(
    ("address", "kind", "message"),
    [
        ("HTTP/main.git#none", InvalidInput, "error fetching: fatal: couldn't find remote ref none\n: exit status 128"),
        ("GIT/main.git#none", InvalidInput, "error fetching: fatal: couldn't find remote ref none\n: exit status 128"),
        (
            "HTTP/none.git",
            NotFound,
            "error fetching: fatal: repository 'HTTP/none.git/' not found\n: exit status 128",
        ),
        ("GIT/none.git", InvalidInput, "error fetching: fatal: remote error\n: exit status 128"),
        (
            "git://127.0.0.1:1/x.git",
            SystemFailure,
            "error fetching: fatal: unable to connect to 127.0.0.1: dial tcp 127.0.0.1:1: connect: connection refused",
        ),
        (
            "http://127.0.0.1:1/x.git",
            SystemFailure,
            (
                'error fetching: Get "http://127.0.0.1:1/x.git/info/refs": '
                "dial tcp 127.0.0.1:1: connect: connection refused"
            ),
        ),
    ],
)
def test_what_is_said_of_failures(
    world: GitWorld, tmp_path: Path, address: str, kind: type[Exception], message: str
) -> None:
    def known(text: str) -> str:
        return text.replace("HTTP", world.server.url).replace("GIT", world.daemon)

    error = refusal(tmp_path / "x", known(address))
    assert (type(error), str(error)) == (kind, known(message))


def test_users_and_passwords_go_to_the_server_and_nowhere_else(world: GitWorld, tmp_path: Path) -> None:
    def change(request: Request) -> Response | None:
        good = request.authorization == "Basic dXNlcjpzM2NyZXQ="
        return None if good else Response(401, {"WWW-Authenticate": 'Basic realm="x"'})

    with git_over_http(world.repositories, change=change) as server:
        fetched = fetch(tmp_path / "x", f"http://user:s3cret@{server.host}/main.git")
        assert (fetched / "a").read_text() == "2"
        assert not [path for path, data in files(fetched).items() if b"s3cret" in data or b"user" in data]
        error = refusal(tmp_path / "y", f"http://user:wr0ng@{server.host}/main.git")
        assert isinstance(error, Forbidden)
        assert str(error) == (
            f"error fetching: failed to GET {server.url}/main.git/info/refs with status 401 Unauthorized"
        )


def test_no_configuration_but_ours(world: GitWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".gitconfig").write_text(f'[url "http://127.0.0.1:1/"]\n\tinsteadOf = {world.server.url}/\n')
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / ".gitconfig"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert (fetch(tmp_path / "x", f"{world.server.url}/main.git") / "a").read_text() == "2"


def test_cancelling_ends_everything(world: GitWorld, tmp_path: Path) -> None:
    cancellation = Cancellation()

    def change(request: Request) -> Response | None:
        if not request.path.endswith("git-upload-pack"):
            return None
        threading.Thread(target=cancellation.cancel).start()
        return Response(200, {"Content-Type": "application/x-git-upload-pack-result"}, b"x" * 100, stall=0)

    with git_over_http(world.repositories, change=change) as server:
        with pytest.raises(Cancelled):
            fetch_repository(parse(f"{server.url}/main.git"), str(tmp_path), cancellation)
        assert not [line for line in processes() if server.url in line]


def test_submodules_of_submodules(world: GitWorld, tmp_path: Path) -> None:
    world.new_with_module("middle.git", "../main.git")
    middle = world.repositories.git("middle.git", "rev-parse", "master")
    url = world.new_with_module("outer.git", f"{world.server.url}/middle.git", commit=middle)
    fetched = fetch(tmp_path / "x", url)
    assert (fetched / "m/m/a").read_text() == "2"
    assert (fetched / "m/.git").read_text() == "gitdir: ../.git/modules/m\n"
    assert not [path for path, data in files(fetched).items() if str(tmp_path).encode() in data]
    # What is left is a repository that git can work with, wherever it is moved to.
    shutil.move(fetched, tmp_path / "moved")
    there = Repositories(tmp_path / "moved")
    assert there.git("m/m", "status", "--porcelain") == there.git("", "status", "--porcelain") == ""


# ssh, by a program of that name that runs here what it is asked to run there


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put such a program first; return the file that has its arguments."""
    programs, log = tmp_path / "bin", tmp_path / "arguments"
    programs.mkdir()
    (programs / "ssh").write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {log}\nfor command; do :; done\n'
        "export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0=safe.directory GIT_CONFIG_VALUE_0='*'\n"
        'eval "exec $command"\n'
    )
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return log


def test_ssh(world: GitWorld, tmp_path: Path, ssh: Path) -> None:
    resolve: Resolve = lambda _host, _port: [(socket.AF_INET, "127.0.0.1")]  # noqa: E731
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        path = f"{world.repositories.root}/main.git"
        fetched = fetch(tmp_path / "x", f"ssh://git@repo.invalid:{port}{path}#v1", resolve=resolve)
    assert (fetched / "a").read_text() == "1"
    arguments = ssh.read_text().splitlines()
    for option in (
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        "ProxyCommand=none",
        "HostName=127.0.0.1",
        f"HostKeyAlias=[repo.invalid]:{port}",
    ):
        assert arguments[arguments.index(option) - 1] == "-o"
    assert arguments[:2] == ["-F", "/dev/null"]
    assert arguments[-2:] == ["git@repo.invalid", f"git-upload-pack '{path}'"]


def test_ssh_in_the_short_form() -> None:
    repository = parse("git@repo.invalid:team/main.git#v1:d")
    assert repository == Repository("ssh", "git", "repo.invalid", 22, "team/main.git", "v1", "d")
    assert replace(repository, path="/x").url == "ssh://git@repo.invalid/x"
    assert repository.url == "git@repo.invalid:team/main.git"


def test_no_ssh_program(world: GitWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").symlink_to(shutil.which("git") or "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    error = _refusal_without_ps(tmp_path / "x", "git@127.0.0.1:x.git")
    assert str(error) == "error fetching: repositories behind ssh need the ssh program, which is not installed"
    monkeypatch.setenv("PATH", str(tmp_path))
    error = _refusal_without_ps(tmp_path / "y", f"{world.server.url}/main.git")
    assert str(error) == "git contexts need the git program, which is not installed"


def _refusal_without_ps(place: Path, address: str) -> ImagewrightError:
    with pytest.raises(SystemFailure) as raised:
        fetch(place, address)
    return raised.value


def test_https(world: GitWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "authority").mkdir()
    authority = Authority(str(tmp_path / "authority"))
    with git_over_http(world.repositories, tls=authority.server_context(authority.issue("server"))) as server:
        error = refusal(tmp_path / "x", f"{server.url}/main.git")
        assert "error fetching: " in str(error)
        assert "certificate" in str(error)
        monkeypatch.setenv("SSL_CERT_FILE", authority.certificate)
        assert (fetch(tmp_path / "y", f"{server.url}/main.git") / "a").read_text() == "2"


def test_a_git_that_is_too_old(world: GitWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "git").write_text("#!/bin/sh\necho git version 2.36.9\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert str(refusal(tmp_path / "x", f"{world.server.url}/main.git")) == "git contexts need git 2.37 or newer"


@pytest.mark.parametrize("host", ["[::1]", "repo.invalid", "localhost"])
def test_servers_of_ipv6(world: GitWorld, tmp_path: Path, host: str) -> None:
    resolve: Resolve = lambda _host, _port: [(socket.AF_INET6, "::1")]  # noqa: E731
    with git_over_http(world.repositories, address="::1") as server:
        fetched = fetch(tmp_path / "x", f"http://{host}:{server.port}/main.git", resolve=resolve)
    assert (fetched / "a").read_text() == "2"
