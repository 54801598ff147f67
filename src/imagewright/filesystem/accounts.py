"""Users and groups of an image, from its `/etc/passwd` and `/etc/group`, which are hostile input."""

from dataclasses import dataclass
from typing import Self

__all__ = ["Accounts", "User"]


@dataclass(frozen=True, slots=True)
class User:
    """Who a process runs as; `groups` are the supplementary ones."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    home: str = "/"


@dataclass(frozen=True, slots=True)
class Accounts:
    """What an image knows of users and groups."""

    @classmethod
    def parse(cls, passwd: bytes, group: bytes) -> Self:
        """Return the accounts of two files; lines that make no sense are left out. Empty bytes: there is no such file.

        Raises `InvalidInput` if a file is larger than 1 MiB.
        """
        raise NotImplementedError

    def resolve_user(self, text: str) -> User:
        """Return the user of `USER`: `name`, `uid`, either with `:group` or `:gid`, or nothing (root).

        Raises `InvalidInput` with the engine's texts for a name that is not there, or a number over 2^31-1.
        """
        raise NotImplementedError

    def resolve_owner(self, text: str) -> tuple[int, int]:
        """Return uid and gid of `--chown`: without a group, the group of the user's name or number.

        Raises `InvalidInput` with the engine's texts for a name that is not there.
        """
        raise NotImplementedError
