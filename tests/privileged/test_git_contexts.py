"""Repositories of real git servers, fetched by the real git program."""

import contextlib
import os
import shutil
import socket
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, Forbidden, ImagewrightError, InvalidInput, NotFound, SystemFailure
from imagewright.remote import FetchLimits, Repository, Resolve, fetch_repository, parse_remote
from support.engines import processes
from support.git_server import Repositories, git_daemon, git_over_http
from support.loopback import LoopbackServer, Request, Response

pytestmark = pytest.mark.privileged("git")

_LINK = "120000"
_MODULE = "160000"


@dataclass(frozen=True)
class _World:
    """One repository, `main.git`, with a first and a second commit; and its servers."""

    repositories: Repositories
    server: LoopbackServer
    daemon: str
    first: str
    second: str

    def new(self, name: str) -> str:
        self.repositories.create(name)
        return f"{self.server.url}/{name}"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_World]:
    repositories = Repositories(tmp_path_factory.mktemp("repositories"))
    repositories.create("main.git")
    program = ("100755", repositories.blob("main.git", "#!/bin/sh\n"))
    link = (_LINK, repositories.blob("main.git", "/etc/passwd"))
    directory = ("040000", repositories.tree("main.git", {"in": program}))
    first = repositories.commit("main.git", {"a": "1", "d": directory, "l": link, "x": program})
    second = repositories.commit("main.git", {"a": "2", "d": directory, "l": link, "x": program})
    for name, commit in (("tags/v1", first), ("heads/feat/x", first), ("pull/1/head", first)):
        repositories.git("main.git", "update-ref", f"refs/{name}", commit)
    repositories.git("main.git", "tag", "-a", "-m", "x", "ann", first)
    repositories.git("main.git", "update-server-info")
    with git_over_http(repositories) as server, git_daemon(repositories) as daemon:
        yield _World(repositories, server, daemon, first, second)


def _parse(text: str) -> Repository:
    repository = parse_remote(text)
    assert isinstance(repository, Repository)
    return repository


def _fetch(place: Path, address: str, **options: object) -> Path:
    place.mkdir(exist_ok=True)
    repository = _parse(address)
    return Path(fetch_repository(repository, str(place), Cancellation(), **options))  # type: ignore[arg-type]


def _refusal(place: Path, address: str, **options: object) -> ImagewrightError:
    with pytest.raises(ImagewrightError) as raised:
        _fetch(place, address, **options)
    assert str(place) not in str(raised.value)
    assert not [line for line in processes() if str(place) in line]
    return raised.value


def _files(root: Path) -> dict[str, bytes]:
    """Return every path below `root` with what is there."""
    found = {}
    for directory, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(directory, name)
            if path.is_symlink():
                found[str(path.relative_to(root))] = os.readlink(path).encode()
            elif path.is_file():
                found[str(path.relative_to(root))] = path.read_bytes()
    return found


@pytest.mark.parametrize("ref", ["", "master", "refs/heads/master", "v1", "ann", "feat/x", "pull/1/head", "SECOND"])
@pytest.mark.parametrize("server", ["http", "git"])
def test_refs(world: _World, tmp_path: Path, ref: str, server: str) -> None:
    root = world.server.url if server == "http" else world.daemon
    wanted = world.second if ref == "SECOND" else ref
    fetched = _fetch(tmp_path / "x", f"{root}/main.git" + (f"#{wanted}" if wanted else ""))
    newest = ref in {"", "master", "refs/heads/master", "SECOND"}
    assert (fetched / "a").read_text() == ("2" if newest else "1")
    assert (fetched / ".git/shallow").exists()


@pytest.mark.parametrize("length", [40, 8])
@pytest.mark.parametrize("kind", ["smart", "dumb"])
def test_commits_that_no_branch_ends_in(world: _World, tmp_path: Path, length: int, kind: str) -> None:
    with git_over_http(world.repositories, dumb=kind == "dumb") as server:
        fetched = _fetch(tmp_path / "x", f"{server.url}/main.git#{world.first[:length]}")
    assert (fetched / "a").read_text() == "1"


def test_servers_of_plain_files_have_branches_too(world: _World, tmp_path: Path) -> None:
    with git_over_http(world.repositories, dumb=True) as server:
        assert (_fetch(tmp_path / "x", f"{server.url}/main.git#feat/x") / "a").read_text() == "1"


def test_what_the_files_are(world: _World, tmp_path: Path) -> None:
    mask = os.umask(0o077)
    try:
        fetched = _fetch(tmp_path / "x", f"{world.server.url}/main.git")
    finally:
        os.umask(mask)
    modes = {name: stat.S_IMODE((fetched / name).stat().st_mode) for name in ("a", "x", "d", "d/in", ".git/HEAD")}
    assert modes == {"a": 0o644, "x": 0o755, "d": 0o755, "d/in": 0o755, ".git/HEAD": 0o644}
    assert os.readlink(fetched / "l") == "/etc/passwd"


@pytest.mark.parametrize("ref", ["master", "v1"])
def test_one_commit_gives_the_same_files_each_time(world: _World, tmp_path: Path, ref: str) -> None:
    one, other = (_files(_fetch(tmp_path / name, f"{world.server.url}/main.git#{ref}")) for name in ("x", "y"))
    assert one == other
    assert ".git/HEAD" in one
    assert not [path for path, data in one.items() if str(tmp_path).encode() in data or "hooks" in path]


def test_the_name_and_the_tag_are_known_to_git_afterwards(world: _World, tmp_path: Path) -> None:
    branch = _fetch(tmp_path / "x", f"{world.server.url}/main.git#feat/x")
    assert (branch / ".git/HEAD").read_text() == "ref: refs/heads/feat/x\n"
    tag = _fetch(tmp_path / "y", f"{world.server.url}/main.git#ann")
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
    world: _World, tmp_path: Path, address: str, kind: type[Exception], message: str
) -> None:
    def known(text: str) -> str:
        return text.replace("HTTP", world.server.url).replace("GIT", world.daemon)

    error = _refusal(tmp_path / "x", known(address))
    assert (type(error), str(error)) == (kind, known(message))


# Submodules


def _with_module(world: _World, name: str, address: str, *, path: str = "m", commit: str = "") -> str:
    url = world.new(name)
    modules = f'[submodule "m"]\n\tpath = {path}\n\turl = {address}\n'
    world.repositories.commit(name, {".gitmodules": modules, path: (_MODULE, commit or world.second)})
    return url


def test_submodules_of_submodules(world: _World, tmp_path: Path) -> None:
    _with_module(world, "middle.git", "../main.git")
    middle = world.repositories.git("middle.git", "rev-parse", "master")
    url = _with_module(world, "outer.git", f"{world.server.url}/middle.git", commit=middle)
    fetched = _fetch(tmp_path / "x", url)
    assert (fetched / "m/m/a").read_text() == "2"
    assert (fetched / "m/.git").read_text() == "gitdir: ../.git/modules/m\n"
    assert not [path for path, data in _files(fetched).items() if str(tmp_path).encode() in data]
    # What is left is a repository that git can work with, wherever it is moved to.
    shutil.move(fetched, tmp_path / "moved")
    there = Repositories(tmp_path / "moved")
    assert there.git("m/m", "status", "--porcelain") == there.git("", "status", "--porcelain") == ""


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
    world: _World, tmp_path: Path, number: int, address: str, message: str
) -> None:
    error = _refusal(tmp_path / "x", _with_module(world, f"bad{number}.git", address))
    assert message in str(error)


def test_a_submodule_without_an_address(world: _World, tmp_path: Path) -> None:
    url = world.new("unknown.git")
    world.repositories.commit("unknown.git", {"m": (_MODULE, world.second)})
    expected = "error initializing submodules: fatal: No url found for submodule path 'm' in .gitmodules"
    assert str(_refusal(tmp_path / "x", url)) == expected


def test_submodules_end_somewhere(world: _World, tmp_path: Path) -> None:
    url, commit = "", world.second
    for depth in range(9):
        url = _with_module(
            world, f"deep{depth}.git", f"../deep{depth - 1}.git" if depth else "../main.git", commit=commit
        )
        commit = world.repositories.git(f"deep{depth}.git", "rev-parse", "master")
    assert str(_refusal(tmp_path / "x", url)) == "error initializing submodules: there are too many of them"


# What repositories try


def test_a_git_directory_in_the_tree_is_refused(world: _World, tmp_path: Path) -> None:
    url = world.new("inner.git")
    hook = ("100755", world.repositories.blob("inner.git", "#!/bin/sh\ntouch /tmp/never\n"))
    hooks = ("040000", world.repositories.tree("inner.git", {"post-checkout": hook}))
    world.repositories.commit("inner.git", {".git": ("040000", world.repositories.tree("inner.git", {"hooks": hooks}))})
    assert "error checking out HEAD" in str(_refusal(tmp_path / "x", url))


def test_a_place_for_a_submodule_behind_a_link(world: _World, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    url = world.new("linked.git")
    link = (_LINK, world.repositories.blob("linked.git", str(tmp_path / "outside")))
    module = ("040000", world.repositories.tree("linked.git", {"in": (_MODULE, world.second)}))
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
        fetched = _fetch(tmp_path / "x", url)
        assert not (fetched / "m").is_symlink()
    assert not list((tmp_path / "outside").iterdir())


def test_a_tree_that_is_far_too_many_files(world: _World, tmp_path: Path) -> None:
    url = world.new("bomb.git")
    entry = ("100644", world.repositories.blob("bomb.git", "x"))
    for _ in range(7):
        entry = ("040000", world.repositories.tree("bomb.git", {f"{n}": entry for n in range(10)}))
    world.repositories.commit("bomb.git", {"a": entry})
    error = _refusal(tmp_path / "x", url, limits=FetchLimits(files=1000))
    assert str(error) == f"the repository holds more than 1000 files or {4 << 30} bytes"
    assert not (tmp_path / "x/checkout/a").exists()


def test_filters_are_not_run(world: _World, tmp_path: Path) -> None:
    url = world.new("filters.git")
    world.repositories.commit(
        "filters.git", {".gitattributes": "* filter=lfs diff=lfs merge=lfs\nb export-ignore\n", "a": "a", "b": "b"}
    )
    fetched = _fetch(tmp_path / "x", url)
    assert ((fetched / "a").read_text(), (fetched / "b").read_text()) == ("a", "b")


def test_what_is_too_large(world: _World, tmp_path: Path) -> None:
    url = world.new("large.git")
    world.repositories.commit("large.git", {"a": os.urandom(1 << 20)})
    error = _refusal(tmp_path / "x", url, limits=FetchLimits(size=1 << 19))
    assert str(error) == "the repository is larger than 524288 bytes"


# What servers try


@contextlib.contextmanager
def _changed(world: _World, path: str, response: Response) -> Iterator[LoopbackServer]:
    """Serve the repositories, but give `response` for what ends with `path`."""

    def change(request: Request) -> Response | None:
        return response if request.path.endswith(path) else None

    with git_over_http(world.repositories, change=change) as server:
        yield server


def test_redirects_to_another_server(world: _World, tmp_path: Path) -> None:
    location = f"{world.server.url}/main.git/info/refs?service=git-upload-pack"
    with _changed(world, "moved.git/info/refs", Response(302, {"Location": location})) as server:
        fetched = _fetch(tmp_path / "x", f"http://user:secret@127.0.0.1:{server.port}/moved.git")
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
def test_redirects_that_are_refused(world: _World, tmp_path: Path, location: str, message: str) -> None:
    # Where the question was moved to, there may be something.
    change = Response(302, {"Location": location})

    def answer(request: Request) -> Response | None:
        return Response(body=b"x") if request.path == "/elsewhere" else change

    with git_over_http(world.repositories, change=answer) as server:
        assert message in str(_refusal(tmp_path / "x", f"{server.url}/main.git"))


def test_git_itself_follows_no_redirect(world: _World, tmp_path: Path) -> None:
    location = {"Location": f"{world.server.url}/main.git/git-upload-pack"}
    with _changed(world, "git-upload-pack", Response(307, location)) as server:
        _refusal(tmp_path / "x", f"{server.url}/main.git")


@pytest.mark.parametrize("path", ["info/refs", "git-upload-pack"])
def test_what_is_no_repository_is_not_repeated(world: _World, tmp_path: Path, path: str) -> None:
    for response in (
        Response(headers={"Content-Type": "text/plain"}, body=b"secret"),
        Response(500, {"Content-Type": "text/plain"}, b"secret"),
        Response(200, {"Content-Type": "application/x-git-upload-pack-result"}, b"0011ERR secret!!\n"),
        Response(200, {"Content-Type": "application/x-git-upload-pack-advertisement"}, b"secret" * 9),
    ):
        with _changed(world, path, response) as server:
            error = _refusal(tmp_path / f"x{id(response)}", f"{server.url}/main.git")
        assert "secret" not in str(error)
        assert str(error).startswith("error fetching: ")


def test_a_server_that_never_ends(world: _World, tmp_path: Path) -> None:
    headers = {"Content-Type": "application/x-git-upload-pack-result"}
    with _changed(world, "git-upload-pack", Response(200, headers, b"x" * 100, stall=0)) as server:
        error = _refusal(tmp_path / "x", f"{server.url}/main.git", limits=FetchLimits(total=1.5))
    assert str(error) == "the repository took more than 1.5 seconds"


def test_cancelling_ends_everything(world: _World, tmp_path: Path) -> None:
    cancellation = Cancellation()

    def change(request: Request) -> Response | None:
        if not request.path.endswith("git-upload-pack"):
            return None
        threading.Thread(target=cancellation.cancel).start()
        return Response(200, {"Content-Type": "application/x-git-upload-pack-result"}, b"x" * 100, stall=0)

    with git_over_http(world.repositories, change=change) as server:
        with pytest.raises(Cancelled):
            fetch_repository(_parse(f"{server.url}/main.git"), str(tmp_path), cancellation)
        assert not [line for line in processes() if server.url in line]


def test_users_and_passwords_go_to_the_server_and_nowhere_else(world: _World, tmp_path: Path) -> None:
    def change(request: Request) -> Response | None:
        good = request.authorization == "Basic dXNlcjpzM2NyZXQ="
        return None if good else Response(401, {"WWW-Authenticate": 'Basic realm="x"'})

    with git_over_http(world.repositories, change=change) as server:
        fetched = _fetch(tmp_path / "x", f"http://user:s3cret@{server.host}/main.git")
        assert (fetched / "a").read_text() == "2"
        assert not [path for path, data in _files(fetched).items() if b"s3cret" in data or b"user" in data]
        error = _refusal(tmp_path / "y", f"http://user:wr0ng@{server.host}/main.git")
        assert isinstance(error, Forbidden)
        assert str(error) == (
            f"error fetching: failed to GET {server.url}/main.git/info/refs with status 401 Unauthorized"
        )


def test_names_are_looked_up_once(world: _World, tmp_path: Path) -> None:
    answers: list[list[tuple[int, str]]] = [[(socket.AF_INET, "127.0.0.1")], [(socket.AF_INET, "169.254.169.254")]]

    def resolve(_host: str, _port: int) -> list[tuple[int, str]]:
        return answers.pop(0)

    asked = len(world.server.requests)
    fetched = _fetch(tmp_path / "x", f"http://repo.invalid:{world.server.port}/main.git", resolve=resolve)
    assert (fetched / "a").read_text() == "2"
    hosts = {request.headers["host"] for request in world.server.requests[asked:]}
    assert hosts == {f"repo.invalid:{world.server.port}"}
    assert len(answers) == 1


@pytest.mark.parametrize("scheme", ["http", "git", "ssh"])
def test_addresses_that_are_refused(tmp_path: Path, scheme: str) -> None:
    resolve: Resolve = lambda _host, _port: [(socket.AF_INET, "169.254.169.254")]  # noqa: E731
    error = _refusal(tmp_path / "x", f"{scheme}://repo.invalid/main.git", resolve=resolve)
    assert isinstance(error, Forbidden)
    assert "address 169.254.169.254 is refused" in str(error)


def test_no_configuration_but_ours(world: _World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".gitconfig").write_text(f'[url "http://127.0.0.1:1/"]\n\tinsteadOf = {world.server.url}/\n')
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / ".gitconfig"))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert (_fetch(tmp_path / "x", f"{world.server.url}/main.git") / "a").read_text() == "2"


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


def test_ssh(world: _World, tmp_path: Path, ssh: Path) -> None:
    resolve: Resolve = lambda _host, _port: [(socket.AF_INET, "127.0.0.1")]  # noqa: E731
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        path = f"{world.repositories.root}/main.git"
        fetched = _fetch(tmp_path / "x", f"ssh://git@repo.invalid:{port}{path}#v1", resolve=resolve)
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
    repository = _parse("git@repo.invalid:team/main.git#v1:d")
    assert repository == Repository("ssh", "git", "repo.invalid", 22, "team/main.git", "v1", "d")
    assert replace(repository, path="/x").url == "ssh://git@repo.invalid/x"
    assert repository.url == "git@repo.invalid:team/main.git"


def test_no_ssh_program(world: _World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        _fetch(place, address)
    return raised.value
