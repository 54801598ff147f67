"""Git repositories that a test makes, and real servers for them on loopback addresses."""

import contextlib
import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from support.loopback import LoopbackServer, Request, Response, loopback_server

__all__ = ["Repositories", "git_daemon", "git_over_http"]

_WHO = {f"GIT_{role}_{what}": "a@example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
_WHEN = {f"GIT_{role}_DATE": "1500000000 +0000" for role in ("AUTHOR", "COMMITTER")}
_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    # Whoever runs the tests need not own what they serve.
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
    **_WHO,
    **_WHEN,
}


@dataclass(frozen=True)
class Repositories:
    """Bare repositories below `root`, all of which may be served."""

    root: Path

    def git(self, name: str, *arguments: str, data: bytes | None = None) -> str:
        """Run git in the repository `name`, and return what it printed."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.root / name, env=_ENVIRONMENT, input=data, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def create(self, name: str) -> None:
        """Make an empty repository whose branch is `master`."""
        (self.root / name).mkdir(parents=True)
        self.git(name, "init", "--quiet", "--bare", "--initial-branch=master")

    def tree(self, name: str, entries: Mapping[str, tuple[str, str]]) -> str:
        """Store a tree of modes and object names by file name, unchecked, and return its id."""
        kinds = {"040000": "tree", "160000": "commit"}
        lines = [f"{mode} {kinds.get(mode, 'blob')} {id_}\t{path}" for path, (mode, id_) in entries.items()]
        return self.git(name, "mktree", "--missing", data="".join(f"{line}\n" for line in lines).encode())

    def blob(self, name: str, data: bytes | str) -> str:
        """Store a file, and return its id."""
        return self.git(name, "hash-object", "-w", "--stdin", data=data.encode() if isinstance(data, str) else data)

    def commit(self, name: str, entries: Mapping[str, tuple[str, str] | bytes | str], *, ref: str = "master") -> str:
        """Commit the tree of `entries` (bytes and text are plain files) on the branch `ref`, and return the id."""
        tree = self.tree(
            name,
            {
                path: entry if isinstance(entry, tuple) else ("100644", self.blob(name, entry))
                for path, entry in entries.items()
            },
        )
        known = self.git(name, "for-each-ref", "--format=%(objectname)", f"refs/heads/{ref}")
        parent = ("-p", known) if known else ()
        commit = self.git(name, "commit-tree", "-m", "x", *parent, tree)
        self.git(name, "update-ref", f"refs/heads/{ref}", commit)
        self.git(name, "update-server-info")
        return commit


@contextlib.contextmanager
def git_over_http(
    repositories: Repositories,
    *,
    dumb: bool = False,
    change: Callable[[Request], Response | None] = lambda _: None,
    address: str = "127.0.0.1",
    tls: ssl.SSLContext | None = None,
) -> Iterator[LoopbackServer]:
    """Serve the repositories by git's own program, or as the plain files that they are.

    `change` may answer first.
    """

    def answer(request: Request) -> Response:
        if (changed := change(request)) is not None:
            return changed
        return _file(repositories, request) if dumb else _backend(repositories, request)

    with loopback_server(answer, address=address, tls=tls) as server:
        yield server


def _file(repositories: Repositories, request: Request) -> Response:
    path = repositories.root / request.path.lstrip("/")
    return Response(body=path.read_bytes()) if path.is_file() else Response(404)


def _backend(repositories: Repositories, request: Request) -> Response:
    body = request.body.read()
    path, _, query = request.target.partition("?")
    environment = {
        **_ENVIRONMENT,
        "GIT_PROJECT_ROOT": str(repositories.root),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "REQUEST_METHOD": request.method,
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "CONTENT_LENGTH": str(len(body)),
    }
    done = subprocess.run(["git", "http-backend"], env=environment, input=body, capture_output=True, check=False)
    head, _, content = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
    return Response(int(headers.pop("Status", "200").split()[0]), headers, content)


@contextlib.contextmanager
def git_daemon(repositories: Repositories) -> Iterator[str]:
    """Serve the repositories by the git protocol; give the root of their addresses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        ["git", "daemon", "--export-all", f"--base-path={repositories.root}", "--listen=127.0.0.1", f"--port={port}"],
        env=_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        yield f"git://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait()
