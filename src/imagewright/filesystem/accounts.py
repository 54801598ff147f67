"""Users and groups of an image, from its `/etc/passwd` and `/etc/group`, which are hostile input."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from imagewright.errors import InvalidInput

__all__ = ["Accounts", "User"]

_LARGEST_FILE = 1 << 20
_LARGEST_ID = (1 << 31) - 1
_OUT_OF_RANGE = f"uids and gids must be in range 0-{_LARGEST_ID}"
_CHOWN = "unable to convert uid/gid chown string to host mapping: "


@dataclass(frozen=True, slots=True)
class User:
    """Who a process runs as; `groups` are the supplementary ones."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


@dataclass(frozen=True, slots=True)
class _Login:
    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class Accounts:
    """What an image knows of users and groups; of several lines with one name or number, the first counts."""

    users: Mapping[str, _Login]
    users_by_id: Mapping[int, _Login]
    groups: Mapping[str, int]
    memberships: Mapping[str, tuple[int, ...]]

    @classmethod
    def parse(cls, passwd: bytes, group: bytes) -> Self:
        """Return the accounts of two files; lines that make no sense are left out. Empty bytes: there is no such file.

        Raises `InvalidInput` if a file is larger than 1 MiB.
        """
        users: dict[str, _Login] = {}
        users_by_id: dict[int, _Login] = {}
        for name, uid, gid, home in _logins(_lines(passwd, "passwd")):
            login = _Login(name, uid, gid, home or "/")
            users.setdefault(name, login)
            users_by_id.setdefault(uid, login)
        groups: dict[str, int] = {}
        memberships: dict[str, list[int]] = {}
        for fields in _lines(group, "group"):
            listed = _listed_id(fields[2]) if len(fields) >= 3 else None
            if listed is None:
                continue
            groups.setdefault(fields[0], listed)
            for member in filter(None, map(str.strip, fields[3].split(","))) if len(fields) > 3 else ():
                memberships.setdefault(member, []).append(listed)
        return cls(users, users_by_id, groups, {name: tuple(gids) for name, gids in memberships.items()})

    def resolve_user(self, text: str) -> User:
        """Return the user of `USER`: `name`, `uid`, either with `:group` or `:gid`, or nothing (root).

        A name or number alone brings its supplementary groups; with a group named, there are none. Raises
        `InvalidInput` with the engine's texts for a name that is not there, or a number over 2^31-1.
        """
        who, _, group = text.partition(":")
        number = _number(who or "0")
        login = self.users.get(who) if number is None else self.users_by_id.get(number)
        if login is None:
            if number is None:
                raise InvalidInput(f"unable to find user {who}: no matching entries in passwd file")
            if not 0 <= number <= _LARGEST_ID:
                raise InvalidInput(_OUT_OF_RANGE)
            login = _Login("", number, 0, "/")
        if group:
            return User(login.uid, self._group(group), (), login.home)
        return User(login.uid, login.gid, self.memberships.get(login.name, ()), login.home)

    def _group(self, text: str) -> int:
        number = _number(text)
        if number is None:
            if text not in self.groups:
                raise InvalidInput(f"unable to find group {text}: no matching entries in group file")
            return self.groups[text]
        if not 0 <= number <= _LARGEST_ID:
            raise InvalidInput(_OUT_OF_RANGE)
        return number

    def resolve_owner(self, text: str) -> tuple[int, int]:
        """Return uid and gid of `--chown`.

        A number alone is both; a name alone has the group of the same name or, if there is none, the user's own.
        Raises `InvalidInput` with the engine's texts for a name that is not there, or a number over 2^31-1.
        """
        who, colon, group = text.partition(":")
        if ":" in group:
            raise InvalidInput(f"{_CHOWN}invalid chown string format: {text}")
        login = self.users.get(who)
        uid = _owner_id("uid", "user", who, login.uid if login else None)
        if not colon and login is not None and _number(who) is None:
            return uid, self.groups.get(who, login.gid)
        group = group if colon else who
        return uid, _owner_id("gid", "group", group, self.groups.get(group))


def _owner_id(kind: str, what: str, text: str, named: int | None) -> int:
    number = _number(text)
    if number is None:
        if named is None:
            raise InvalidInput(f"{_CHOWN}can't find {kind} for {what} {text}: no such {what}: {text}")
        return named
    if not 0 <= number <= _LARGEST_ID:
        raise InvalidInput(f"{_CHOWN}can't find {kind} for {what} {text}: {_OUT_OF_RANGE}")
    return number


def _lines(data: bytes, name: str) -> list[list[str]]:
    if len(data) > _LARGEST_FILE:
        raise InvalidInput(f"/etc/{name} of the image is larger than 1 MiB")
    text = data.decode("utf-8", "surrogateescape")
    return [[part.strip() for part in line.split(":")] for line in text.split("\n")]


def _logins(lines: list[list[str]]) -> list[tuple[str, int, int, str]]:
    found = []
    for fields in lines:
        if len(fields) < 4:
            continue
        uid, gid = _listed_id(fields[2]), _listed_id(fields[3])
        if fields[0] and uid is not None and gid is not None:
            found.append((fields[0], uid, gid, fields[5] if len(fields) > 5 else ""))
    return found


def _listed_id(text: str) -> int | None:
    number = _number(text)
    return number if number is not None and 0 <= number <= _LARGEST_ID else None


def _number(text: str) -> int | None:
    # The length is bounded because Python refuses to convert very long numbers.
    return int(text) if re.fullmatch(r"[+-]?[0-9]{1,20}", text) else None
