"""What the parameter `remote` of a build can be."""

import re

from imagewright.errors import InvalidInput
from imagewright.remote.repository import Repository, is_repository, parse_repository
from imagewright.remote.urls import parse_url

__all__ = ["is_remote", "parse_remote"]

_MOST = 8192
_SHOWN = 250
_WEB = ("http://", "https://")


def is_remote(text: str) -> bool:
    """Whether `text` is meant as the address of a context, rather than as the path of one; it may be a bad one."""
    return text.startswith(_WEB) or is_repository(text)


def parse_remote(text: str) -> Repository | str:
    """Return the repository that `text` names, or `text` itself where it is the URL of a file.

    Raises `InvalidInput`, which names the parameter, for everything else.
    """
    if len(text) > _MOST or not text.isprintable():
        raise InvalidInput("the build parameter remote is too long, or has characters in it that no address has")
    try:
        if is_repository(text):
            return parse_repository(text)
        if text.startswith(_WEB):
            parse_url(text)
            return text
    except InvalidInput as error:
        raise InvalidInput(f"the build parameter remote: {error}") from error
    shown = re.sub(r"//[^/]*@", "//", text)[:_SHOWN]
    raise InvalidInput(f"remoteURL ({shown}) could not be recognized as URL")
