import pytest

from imagewright.cli.destination import Destination, parse_destination
from imagewright.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "destination"),
    [
        ("out", Destination("local", "out")),
        ("-", Destination("tar", "-")),
        ("type=tar", Destination("tar", "-")),
        ("type=tar,dest=a.tar", Destination("tar", "a.tar")),
        ("TYPE=local, dest=out", Destination("local", "out")),
        ('type=local,"dest=a,b"', Destination("local", "a,b")),
        ("type=image", Destination("image")),
        ('type=image,"name=a,b:1"', Destination("image", names=("a", "b:1"))),
    ],
)
def test_destinations(text: str, destination: Destination) -> None:
    assert parse_destination(text) == destination


def test_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert parse_destination("type=local,dest=~/out").path == "/home/somebody/out"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is empty"),
        ("dest=x", "the type '' is none of local, tar, image"),
        ("type=oci,dest=x", "the type 'oci' is none of local, tar, image"),
        ("type=local", "dest is a directory for the type local"),
        ("type=local,dest=-", "dest is a directory for the type local"),
        ("type=tar,name=x", "'name' is no attribute of the type tar"),
        ("type=tar,x", "'x' is not NAME=VALUE"),
    ],
)
def test_what_is_none(text: str, reason: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_destination(text)
    assert str(raised.value) == f"invalid output {text!r}: {reason}"
