import base64
import json
from pathlib import Path

import pytest

from imagewright.cli.secrets import parse_secrets, secrets_header
from imagewright.errors import InvalidInput


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("token", "of the environment")
    (tmp_path / "token").write_bytes(b"of the file\xff\n")
    (tmp_path / "key,x").write_bytes(b"comma")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("id=t,src=token", b"of the file\xff\n"),
        ("id=t,source=token", b"of the file\xff\n"),
        ("type=file,id=t,src=token", b"of the file\xff\n"),
        ("id=t,env=token", b"of the environment"),
        ("type=env,id=t,env=token", b"of the environment"),
        ("type=env,id=t,src=token", b"of the environment"),
        ('id=t,"src=key,x"', b"comma"),
    ],
)
def test_where_a_value_comes_from(text: str, value: bytes) -> None:
    assert parse_secrets("--secret", [text]) == {"t": value}


def test_without_a_source_the_variable_comes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_secrets("--secret", ["id=token"]) == {"token": b"of the environment"}
    assert parse_secrets("--secret", ["id=token,type=file"]) == {"token": b"of the file\xff\n"}
    monkeypatch.delenv("token")
    assert parse_secrets("--secret", ["id=token"]) == {"token": b"of the file\xff\n"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--secret"),
        ("hush-4711", "--secret: every field must be a key=value pair"),
        ("src=token", "--secret: the id is missing"),
        ("id=,src=token", "--secret: the id is missing"),
        ("id=t,value=hush-4711", "--secret: unexpected key 'value'"),
        ("id=t,type=vault", "--secret id=t: unsupported secret type 'vault'"),
        ("id=t,src=token,env=token", "--secret id=t: src and env are both given"),
        ("id=t,src=nope", "--secret id=t: nope: No such file or directory"),
        ("id=t,src=.", "--secret id=t: .: Is a directory"),
        ("id=nope", "--secret id=nope: nope: No such file or directory"),
        ("id=t,env=NOPE", "--secret id=t: the variable NOPE is not set"),
        ("id=NOPE,type=env", "--secret id=NOPE: the variable NOPE is not set"),
        ('id=t,"src', "--secret: it is id=ID"),
    ],
)
def test_what_cannot_be(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_secrets("--secret", [text])
    assert str(caught.value).startswith(message)
    assert "4711" not in str(caught.value)


def test_size_has_a_limit() -> None:
    Path("large").write_bytes(b"x" * (500 << 10))
    assert len(parse_secrets("--secret", ["id=t,src=large"])["t"]) == 500 << 10
    Path("large").write_bytes(b"x" * ((500 << 10) + 1))
    with pytest.raises(InvalidInput, match="--secret id=t: the secret has more than 512000 bytes"):
        parse_secrets("--secret", ["id=t,src=large"])


def test_the_header() -> None:
    assert secrets_header({}) == {}
    (text,) = secrets_header({"a": b"\xff\xfe", "b": b""}).values()
    document = json.loads(base64.urlsafe_b64decode(text))
    assert document == {"a": base64.b64encode(b"\xff\xfe").decode(), "b": ""}


def test_the_header_has_a_limit() -> None:
    with pytest.raises(InvalidInput, match=r"--secret: all secrets together .*--data-root"):
        secrets_header({"a": b"x" * (48 << 10)})
