import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagewright.registry import (
    Credential,
    for_registry,
    no_credentials,
    parse_auth_header,
    parse_config_header,
    registry_host,
)


def encoded(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def test_a_header_holds_a_credential() -> None:
    document = {"username": "a", "password": "b?>~", "email": None, "serveraddress": "x"}

    assert parse_auth_header(encoded(document)) == Credential("a", "b?>~")
    assert parse_auth_header(encoded(document).rstrip("=")) == Credential("a", "b?>~")
    assert parse_auth_header(encoded({"identitytoken": "i"})) == Credential(identity_token="i")  # noqa: S106
    assert parse_auth_header(encoded({"registrytoken": "r"})) == Credential(registry_token="r")  # noqa: S106


@pytest.mark.parametrize(
    "text",
    ["", "placeholder", "e30=", "bnVsbA==", "!", "e30", encoded([]), encoded({"username": 5}), "A" * 70000, "\u20ac"],
)
def test_what_is_no_credential_is_none(text: str) -> None:
    assert parse_auth_header(text) is None
    assert parse_config_header(text) == {}


@given(st.text())
def test_any_text_is_tolerated(text: str) -> None:
    assert parse_auth_header(text) is None or text
    assert parse_config_header(text) == {} or text


def test_a_header_holds_credentials_by_registry() -> None:
    document = {
        "https://index.docker.io/v1/": {"username": "hub", "password": "h"},
        "localhost:5000": {"username": "near", "password": "n"},
        "bad": 5,
        "empty": {},
    }

    assert parse_config_header(encoded(document)) == {
        "docker.io": Credential("hub", "h"),
        "localhost:5000": Credential("near", "n"),
    }


def test_nothing_of_a_credential_is_shown() -> None:
    assert repr(Credential("user", "word", "identity", "access")) == "Credential()"
    assert not Credential()
    assert Credential("user")


def test_a_keychain_knows_its_registry_only() -> None:
    keychain = for_registry("localhost:5000", Credential("a", "b"))

    assert keychain("localhost:5000") == Credential("a", "b")
    assert keychain("localhost") is None
    assert keychain("localhost:5001") is None
    assert no_credentials("localhost:5000") is None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
        ("registry-1.docker.io", "docker.io"),
        ("http://Localhost:5000/v2/", "localhost:5000"),
        ("reg.example/team", "reg.example"),
    ],
)
def test_addresses_name_registries(address: str, expected: str) -> None:
    assert registry_host(address) == expected
