"""Programs that keep credentials: `docker-credential-NAME`.

https://github.com/docker/docker-credential-helpers#development: the command is an argument, what it is about comes on
standard input, and the answer is JSON on standard output.
"""

import os
import re
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from imagewright.errors import InvalidInput, SystemFailure
from imagewright.registry.credentials import Credential

__all__ = ["erase_credential", "get_credential", "list_servers", "store_credential"]

_SECONDS = 60
# What a helper may print, in bytes: `list` of thousands of registries has room.
_LIMIT = 4 << 20
_PIECE = 64 << 10
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_NOT_FOUND = b"credentials not found"
# What they call a user who is known by an identity token.
_TOKEN_USER = "<token>"  # noqa: S105


def get_credential(helper: str, server: str) -> Credential | None:
    """Return what the helper has for the address `server`, None for nothing.

    Raises `SystemFailure` for a helper that is missing or fails, `InvalidInput` for a name that can be none; so do the
    other functions here. No message holds what the helper printed, which could be a secret.
    """
    answer = _run(helper, "get", server.encode())
    if answer is None:
        return None
    document = _document(helper, answer)
    username, secret = str(document.get("Username") or ""), str(document.get("Secret") or "")
    if username == _TOKEN_USER:
        return Credential(identity_token=secret)
    return Credential(username, secret) or None


def store_credential(helper: str, server: str, credential: Credential) -> None:
    """Have the helper keep `credential` for `server`, in place of what it had. Idempotent."""
    token = credential.identity_token
    username, secret = (_TOKEN_USER, token) if token else (credential.username, credential.password)
    entry = {"ServerURL": server, "Username": username, "Secret": secret}
    _run(helper, "store", msgspec.json.encode(entry))


def erase_credential(helper: str, server: str) -> None:
    """Have the helper forget `server`; that it knows nothing of it is no error. Idempotent."""
    _run(helper, "erase", server.encode())


def list_servers(helper: str) -> Mapping[str, str]:
    """Return the addresses that the helper has something for, with the users."""
    answer = _run(helper, "list", b"")
    return {} if answer is None else {server: str(user) for server, user in _document(helper, answer).items()}


def _run(helper: str, command: str, data: bytes) -> bytes | None:
    """Return what the helper printed, None if it says that it has no such thing."""
    if not _NAME.fullmatch(helper):
        raise InvalidInput("the Docker configuration names a credential helper that cannot be one")
    name = f"docker-credential-{helper}"
    doing = {"get": "getting", "store": "saving", "erase": "erasing", "list": "listing"}[command]
    try:
        code, answer = _talk([name, command], data)
    except FileNotFoundError as error:
        raise SystemFailure(f"error {doing} credentials: {name} is not installed") from error
    except TimeoutError:
        raise SystemFailure(f"error {doing} credentials: {name} does not answer in {_SECONDS} s") from None
    except OSError:
        raise SystemFailure(f"error {doing} credentials: {name} does not answer") from None
    if len(answer) > _LIMIT:
        raise SystemFailure(f"error {doing} credentials: {name} answers with more than {_LIMIT >> 20} MiB")
    if code:
        if _NOT_FOUND in answer:
            return None
        raise SystemFailure(f"error {doing} credentials: {name} ended with {code}")
    return answer


def _talk(command: Sequence[str], data: bytes) -> tuple[int, bytes]:
    """Run `command` on `data`; return its exit code and what it printed, of too much only more than `_LIMIT` bytes.

    Raises `TimeoutError` for one that has not ended in time. It is no process group of its own: it may have to ask the
    user, at the terminal.
    """
    deadline = time.monotonic() + _SECONDS
    answer = b""
    # In memory, so that nothing hangs on a helper that does not read.
    with open(os.memfd_create("credential", os.MFD_CLOEXEC), "w+b") as file:
        file.write(data)
        file.seek(0)
        process = subprocess.Popen(command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with process:
        try:
            output = process.stdout
            while output is not None and len(answer) <= _LIMIT:
                if not select.select([output], [], [], max(0.0, deadline - time.monotonic()))[0]:
                    raise TimeoutError
                piece = os.read(output.fileno(), _PIECE)
                if not piece:
                    return process.wait(max(0.0, deadline - time.monotonic())), answer
                answer += piece
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error
        finally:
            process.kill()
    return process.returncode, answer


def _document(helper: str, answer: bytes) -> dict[str, Any]:
    try:
        document: dict[str, Any] = msgspec.json.decode(answer or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise SystemFailure(f"error getting credentials: docker-credential-{helper} answers no JSON") from None
    return document
