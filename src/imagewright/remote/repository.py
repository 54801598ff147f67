"""Git repositories as clients name them: `https://host/path.git#ref:subdir` and its relatives."""

import dataclasses
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from imagewright.errors import InvalidInput

__all__ = ["Repository", "is_repository", "parse_repository", "resolve_submodule"]

_PREFIXES = ("git://", "ssh://", "git@", "github.com/")
_ENDING = re.compile(r"\.git(?:#.|\Z)")
_PORTS = {"http": 80, "https": 443, "git": 9418, "ssh": 22}
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?|[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?")
_LOGIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_PATH = re.compile(r"[^\s?#\\\x00-\x20\x7f]+")
_SCP = re.compile(r"(?P<user>[^@/:]+)@(?P<host>\[[^\]]+\]|[^\[\]@/:]+):(?P<path>.*)", re.DOTALL)

# What `git check-ref-format` takes; a `+` at the beginning would mean something to git.
_REF = re.compile(r"(?![-+/.])(?!.*(?:\.\.|@\{|//|/\.|\.lock(?:/|\Z)))[^\x00-\x20\x7f~^:?*\[\\]{1,250}(?<![/.])")


@dataclass(frozen=True, slots=True)
class Repository:
    """Where a repository is, and which part of it is wanted: the directory `subdir` ("" is its root) at `ref`.

    `user` may be a name with a password after a colon, as it stands in the URL. A `path` without a slash at its
    beginning is in the home directory of the user, which only ssh has.
    """

    scheme: str
    user: str = dataclasses.field(repr=False)
    host: str
    port: int
    path: str
    ref: str = "HEAD"
    subdir: str = ""

    @property
    def url(self) -> str:
        """The address as git has it, without its user, which may be a secret (but for ssh, where it never is)."""
        user = f"{self.user}@" if self.scheme == "ssh" and self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        if not self.path.startswith("/"):
            return f"{user}{host}:{self.path}"
        return f"{self.scheme}://{user}{host}{port}{self.path}"


def is_repository(text: str) -> bool:
    """Whether `text` is meant as the address of a git repository: by its beginning, or by `.git` at its end."""
    if text.startswith(("http://", "https://")):
        return _ENDING.search(text) is not None
    return text.startswith(_PREFIXES)


def parse_repository(text: str) -> Repository:
    """Return the repository that `text` names; the ref is `HEAD` where it names none.

    Raises `InvalidInput` for an address, a ref or a directory that could mean something else to a program.
    """
    address, _, fragment = text.partition("#")
    ref, _, subdir = fragment.partition(":")
    if ref and not _REF.fullmatch(ref):
        raise InvalidInput(f"invalid refspec: {ref[:250]}")
    parts = [part for part in subdir.split("/") if part not in {"", "."}]
    if ".." in parts:
        raise InvalidInput(f"forbidden path outside the build context: {subdir[:250]} ()")
    if address.startswith("github.com/"):
        address = f"https://{address}"
    return dataclasses.replace(_parse_address(address), ref=ref or "HEAD", subdir="/".join(parts))


def resolve_submodule(parent: Repository, address: str, commit: str) -> Repository:
    """Return the repository of a submodule, at `commit`, whose `address` is as `.gitmodules` has it.

    A relative address starts at that of `parent`. Raises `InvalidInput` as `parse_repository` does.
    """
    if not address.startswith(("./", "../")):
        return dataclasses.replace(_parse_address(address), ref=commit)
    names = parent.path.rstrip("/").split("/")
    for part in address.split("/"):
        if part == "..":
            if len(names) < 2:
                raise InvalidInput(f"the address of a submodule leaves its host: {address[:250]}")
            names.pop()
        elif part not in {"", "."}:
            names.append(part)
    return dataclasses.replace(parent, path=_check_path("/".join(names)), ref=commit, subdir="")


def _parse_address(address: str) -> Repository:
    # The library passes over some of these characters without a word.
    if not address.isprintable() or " " in address:
        raise InvalidInput("the address of the repository has characters in it that no address has")
    scp = None if "://" in address else _SCP.fullmatch(address)
    if scp:
        return _checked("ssh", scp["user"], scp["host"].strip("[]"), _PORTS["ssh"], scp["path"])
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
        host = host if host.isascii() else host.encode("idna").decode("ascii")
    except ValueError as error:
        raise InvalidInput("the address of the repository is malformed") from error
    if parts.scheme not in _PORTS:
        raise InvalidInput(f'the address of a repository cannot begin with "{parts.scheme[:50]}:"')
    if parts.query:
        raise InvalidInput("the address of a repository cannot have a query")
    user = parts.netloc.rpartition("@")[0]
    return _checked(parts.scheme, user, host, port or _PORTS[parts.scheme], parts.path)


def _checked(scheme: str, user: str, host: str, port: int, path: str) -> Repository:
    if not _HOST.fullmatch(host):
        raise InvalidInput("the address of the repository has no host, or one with characters that no host has")
    if scheme in {"ssh", "git"} and user and not _LOGIN.fullmatch(user):
        raise InvalidInput(f"the address of a repository has a user that {scheme} cannot have")
    return Repository(scheme, "" if scheme == "git" else user, host, port, _check_path(path))


def _check_path(path: str) -> str:
    if not path.strip("/") or path.startswith("-") or not (path.isprintable() and _PATH.fullmatch(path)):
        raise InvalidInput("the address of the repository has no path, or one with characters that none should have")
    return path
