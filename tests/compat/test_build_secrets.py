"""An unmodified docker-py builds a Dockerfile of BuildKit's language with a secret, which then is nowhere."""

import base64
import io
import json
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pytest

from support.bases import busybox_base
from support.builder import context
from support.clients import client_library
from support.daemon import Daemon, daemon
from support.unixhttp import request

pytestmark = pytest.mark.compat

DOCKERFILE = """\
# syntax=docker/dockerfile:1
FROM base:1 AS made
ENV WHO=everybody
RUN --mount=type=cache,target=/cache <<EOF
  echo "$WHO was here" >> /cache/guests
  cp /cache/guests /guests
EOF
RUN --mount=type=secret,id=token,required --mount=type=secret,id=token,env=TOKEN --mount=type=cache,target=/cache <<EOF
  sha256sum < /run/secrets/token | cut -c1-64 > /digest
  [ "$TOKEN" = "$(cat /run/secrets/token)" ] || exit 5
  > /cache/waiting
  echo waiting
  until [ -e /cache/go ]; do sleep 0.1; done
EOF
FROM base:1
COPY --link --from=made /digest /guests /found/
COPY --link --chmod=0640 <<one <<"two" /said/
  a document
one
  with $no variables
two
LABEL last=yes
"""
FAILING = """\
FROM base:1
RUN --mount=type=secret,id=token,env=TOKEN [ -n "$TOKEN" ] && cat /run/secrets/token.nope
"""
_SECONDS = 60.0


@dataclass(frozen=True)
class Secret:
    """A value, all the ways in which it would be written, and the header that lends it."""

    value: bytes

    @property
    def header(self) -> str:
        document = {"token": base64.b64encode(self.value).decode()}
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()

    @property
    def needles(self) -> tuple[bytes, ...]:
        # Its hash is what the image has, as a proof that it was there.
        return (self.value, base64.b64encode(self.value).rstrip(b"="), self.value.hex().encode(), self.header.encode())

    def is_in(self, data: bytes) -> bool:
        return any(needle in data for needle in self.needles)

    def find(self, directory: str) -> list[str]:
        """Return the files below `directory` that hold it, which may change meanwhile."""
        return [path for path in _files(directory) if self.is_in(path.encode() + b"\0" + _read(path))]


def _files(directory: str) -> Iterator[str]:
    for where, _, names in os.walk(directory):
        for path in (os.path.join(where, name) for name in names):
            if os.path.isfile(path) and not os.path.islink(path):
                yield path


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


@dataclass(frozen=True)
class World:
    """A daemon that runs, all of whose files are below `directory`, and a client."""

    daemon: Daemon
    directory: str
    secret: Secret
    client: Any

    def ask(self, target: str) -> bytes:
        """Return the body of an answer."""
        status, body = request(self.daemon.socket, "GET", target)
        assert status == 200, body
        return body

    def build(self, dockerfile: str, header: str, **options: Any) -> Iterator[dict[str, Any]]:
        """Build with the header, by a client as it comes; yield the messages."""
        self.client.api.headers["X-Build-Secrets"] = header
        tar = io.BytesIO(context(dockerfile))
        try:
            yield from self.client.api.build(fileobj=tar, custom_context=True, decode=True, rm=True, **options)
        finally:
            del self.client.api.headers["X-Build-Secrets"]

    def cache_file(self, name: str) -> str:
        """Return where the file `name` of a cache is."""
        (found,) = [path for path in _files(self.daemon.data_root) if os.path.basename(path) == name]
        return found

    def content(self, path: str) -> bytes:
        """Return the file at `path` of the image that was built."""
        parts = self.client.api.build(
            fileobj=io.BytesIO(context(f"FROM built\nRUN cat {path}\n")), custom_context=True, quiet=False, decode=True
        )
        text = "".join(part.get("stream", "") for part in parts)
        return text.partition("Running in ")[2].partition("\n")[2].partition(" --->")[0].encode()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    docker = client_library("docker")
    directory = str(tmp_path_factory.mktemp("engine"))
    secret = Secret(secrets.token_hex(16).encode())
    control = os.path.join(directory, "control")
    with open(control, "wb") as file:
        file.write(b"x" + base64.b64encode(secret.value))
    # Who finds nothing has to be able to.
    assert secret.find(directory) == [control]
    os.unlink(control)
    with daemon(directory) as running:
        status, body = request(running.socket, "POST", "/images/create?fromSrc=-&repo=base&tag=1", busybox_base())
        assert status == 200, body
        client = docker.DockerClient(running.host, timeout=_SECONDS)
        yield World(running, directory, secret, client)
        client.close()
    # Once more when all is written: databases, logs.
    assert secret.find(directory) == []


def test_a_secret_is_shown_to_its_step_and_kept_nowhere(world: World) -> None:
    streamed, looked = b"", False
    for message in world.build(DOCKERFILE, world.secret.header, tag="built"):
        streamed += json.dumps(message).encode()
        if message.get("stream") == "waiting\n":
            # The process has it in a file and in a variable now.
            waiting = world.cache_file("waiting")
            assert world.secret.find(world.directory) == []
            with open(os.path.join(os.path.dirname(waiting), "go"), "xb"):
                looked = True
    assert looked, streamed
    assert b"Successfully tagged built:latest" in streamed
    assert not world.secret.is_in(streamed)
    assert world.content("/found/digest") == f"{sha256(world.secret.value).hexdigest()}\n".encode()
    assert world.content("/found/guests") == b"everybody was here\n"
    assert world.content("/said/two") == b"  with $no variables\n"
    assert world.secret.find(world.directory) == []


def test_a_step_that_fails_says_nothing_of_it(world: World) -> None:
    streamed = b"".join(json.dumps(message).encode() for message in world.build(FAILING, world.secret.header))
    assert b"returned a non-zero code: 1" in streamed
    assert not world.secret.is_in(streamed)
    failed = [found for found in world.client.api.containers(all=True) if "token.nope" in found["Command"]]
    inspected = world.ask(f"/containers/{failed[0]['Id']}/json")
    assert b"token.nope" in inspected
    assert not world.secret.is_in(inspected)
    logs = world.ask(f"/containers/{failed[0]['Id']}/logs?stdout=1&stderr=1")
    assert b"/run/secrets/token.nope" in logs
    assert not world.secret.is_in(logs)
    assert world.secret.find(world.directory) == []


def test_a_required_one_that_nobody_lends_ends_the_build_before_anything_runs(world: World) -> None:
    dockerfile = "FROM base:1\nRUN echo ran\nRUN --mount=type=secret,id=other,required true\n"
    streamed: list[dict[str, Any]] = []
    with pytest.raises(client_library("docker").errors.APIError, match="secret other: not found") as caught:
        streamed.extend(world.build(dockerfile, world.secret.header))
    assert streamed == []
    assert not world.secret.is_in(caught.value.response.content)


def test_a_header_that_holds_no_secrets_is_named_and_not_quoted(world: World) -> None:
    library = client_library("docker")
    with pytest.raises(library.errors.APIError) as caught:
        list(world.build("FROM base:1", "hush-4711"))
    assert caught.value.response.status_code == 400
    assert caught.value.explanation == "X-Build-Secrets: the header must be base64 of a JSON object"
    assert b"hush-4711" not in _read(world.daemon.log)


def test_what_is_told_of_all_this_has_nothing_of_it(world: World) -> None:
    told = {
        "events": world.ask(f"/events?since=0&until={int(time.time()) + 1}"),
        "history": world.ask("/images/built/history"),
        "inspect": world.ask("/images/built/json"),
        "df": world.ask("/system/df"),
        "log": _read(world.daemon.log),
    }
    assert b"built" in told["events"]
    assert b"COPY" in told["history"]
    assert b"/build" in told["log"]
    assert [name for name, text in told.items() if world.secret.is_in(text)] == []
    assert any(cache["Type"] == "exec.cachemount" for cache in json.loads(told["df"])["BuildCache"])
