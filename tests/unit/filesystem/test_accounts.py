import pytest

from imagewright.errors import InvalidInput
from imagewright.filesystem import Accounts, User

_PASSWD = b"""\
root:x:0:0:root:/root:/bin/sh
bob:x:1001:1002::/home/bob:/bin/sh
bob:x:1:1::/other:/bin/sh
77:x:1077:1078:::/bin/sh
nogroup:x:1003:1004::/:/bin/sh
short:x:5
bad:x:five:5::/:/bin/sh
:x:6:6::/:/bin/sh
large:x:2147483648:0::/:/bin/sh
terse:x:7:8
"""
_GROUP = b"""\
root:x:0:
staff:x:50:bob, root
bob:x:1005:
77:x:177:bob
broken
bad:x:five:bob
bare:x:9
"""
_ACCOUNTS = Accounts.parse(_PASSWD, _GROUP)
_CHOWN = "unable to convert uid/gid chown string to host mapping: "
_RANGE = "uids and gids must be in range 0-2147483647"


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("", User(0, 0, (50,), "/root")),
        ("root", User(0, 0, (50,), "/root")),
        ("0", User(0, 0, (50,), "/root")),
        ("bob", User(1001, 1002, (50, 177), "/home/bob")),
        ("1001", User(1001, 1002, (50, 177), "/home/bob")),
        ("bob:staff", User(1001, 50, (), "/home/bob")),
        ("bob:7", User(1001, 7, (), "/home/bob")),
        ("bob:", User(1001, 1002, (50, 177), "/home/bob")),
        (":staff", User(0, 50, (), "/root")),
        ("1077", User(1077, 1078, (), "/")),
        ("77", User(77, 0, (), "/")),
        ("terse", User(7, 8, (), "/")),
        ("0:77", User(0, 77, (), "/root")),
        ("2147483647:2147483647", User(2147483647, 2147483647, (), "/")),
    ],
)
def test_user(text: str, user: User) -> None:
    assert _ACCOUNTS.resolve_user(text) == user


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nouser", "unable to find user nouser: no matching entries in passwd file"),
        ("bad", "unable to find user bad: no matching entries in passwd file"),
        ("large", "unable to find user large: no matching entries in passwd file"),
        ("bob:nogroup", "unable to find group nogroup: no matching entries in group file"),
        ("2147483648", _RANGE),
        ("-1", _RANGE),
        ("0:2147483648", _RANGE),
        ("9" * 30, f"unable to find user {'9' * 30}: no matching entries in passwd file"),
    ],
)
def test_user_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        _ACCOUNTS.resolve_user(text)

    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "owner"),
    [
        ("bob", (1001, 1005)),
        ("bob:staff", (1001, 50)),
        ("nogroup", (1003, 1004)),
        ("5", (5, 5)),
        ("1001", (1001, 1001)),
        ("77", (77, 77)),
        ("77:bob", (77, 1005)),
        ("bob:77", (1001, 77)),
        ("01:02", (1, 2)),
    ],
)
def test_owner(text: str, owner: tuple[int, int]) -> None:
    assert _ACCOUNTS.resolve_owner(text) == owner


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nobody", "can't find uid for user nobody: no such user: nobody"),
        ("nobody:staff", "can't find uid for user nobody: no such user: nobody"),
        ("bob:nobody", "can't find gid for group nobody: no such group: nobody"),
        ("bob:", "can't find gid for group : no such group: "),
        (":staff", "can't find uid for user : no such user: "),
        ("a:b:c", "invalid chown string format: a:b:c"),
        ("-1", f"can't find uid for user -1: {_RANGE}"),
        ("1:2147483648", f"can't find gid for group 2147483648: {_RANGE}"),
    ],
)
def test_owner_that_cannot_be(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        _ACCOUNTS.resolve_owner(text)

    assert str(caught.value) == _CHOWN + message


def test_without_files_numbers_are_still_users() -> None:
    nothing = Accounts.parse(b"", b"")

    assert nothing.resolve_user("") == User(0, 0)
    assert nothing.resolve_user("5:6") == User(5, 6)
    assert nothing.resolve_owner("5") == (5, 5)


def test_files_too_large_are_refused() -> None:
    with pytest.raises(InvalidInput, match="/etc/passwd of the image is larger than 1 MiB"):
        Accounts.parse(b"\n" * (1 << 20) + b"x", b"")
    with pytest.raises(InvalidInput, match="/etc/group of the image is larger than 1 MiB"):
        Accounts.parse(b"", b"x" * ((1 << 20) + 1))


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert Accounts.parse(b"\xff:x:5:6::/h\xff:/\n", b"").resolve_user("\udcff") == User(5, 6, (), "/h\udcff")
