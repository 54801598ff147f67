import pytest

from imagewright.build import parse_contexts
from imagewright.errors import InvalidInput
from imagewright.plan import Remote


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("base:1", "base:1"),
        ("docker-image://base:1", "base:1"),
        ("docker-image://host:5000/a/b@sha256:" + "0" * 64, "host:5000/a/b@sha256:" + "0" * 64),
        ("scratch", "scratch"),
        ("docker-image://scratch", "scratch"),
        ("https://host.invalid/x.tar.gz", Remote("https://host.invalid/x.tar.gz")),
        ("https://host.invalid/x.git#v1:d", Remote("https://host.invalid/x.git#v1:d")),
        ("git@host.invalid:x", Remote("git@host.invalid:x")),
    ],
)
def test_values(value: str, meant: Remote | str) -> None:
    assert parse_contexts({"name": value}) == {"name": meant}


@pytest.mark.parametrize(
    ("name", "normal"),
    [
        ("base", "base"),
        ("base:latest", "base"),
        ("docker.io/library/base:1", "base:1"),
        ("MyStage", "mystage"),
        ("host:5000/x", "host:5000/x"),
    ],
)
def test_names_have_one_spelling(name: str, normal: str) -> None:
    assert parse_contexts({name: "base"}) == {normal: "base"}


@pytest.mark.parametrize(
    ("contexts", "message"),
    [
        ({"": "base"}, "invalid context name ''"),
        ({"a b": "base"}, "invalid context name 'a b'"),
        ({"a\0": "base"}, r"invalid context name 'a\x00'"),
        ({"ü": "base"}, "invalid context name 'ü'"),
        ({"a b" * 10_000: "base"}, "invalid context name 'a ba b"),
        ({"a": "base", "A:latest": "base"}, "a is there in two spellings"),
        ({"a": ""}, "a: invalid reference format"),
        ({"a": "docker-image://"}, "a: invalid reference format"),
        ({"a": "docker-image://UPPER"}, "a: invalid reference format: repository name must be lowercase"),
        ({"a": "base\0"}, "a: invalid reference format"),
        ({"a": "oci-layout://x"}, "a: a context of the kind oci-layout:// is not known"),
        ({"a": "file:///etc"}, "a: a context of the kind file:// is not known"),
        ({"a": "x" * 10_000 + "://"}, "a: a context of the kind xxx"),
        ({"a": "."}, "a: a directory is no context"),
        ({"a": "/etc"}, "a: a directory is no context"),
        ({"a": "https://user:hush@-h/x.git"}, "a: "),
    ],
)
def test_what_cannot_be_is_named(contexts: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_contexts(contexts)
    assert str(caught.value).startswith(f"contexts: {message}")
    assert len(str(caught.value)) < 400
    assert "hush" not in str(caught.value)
