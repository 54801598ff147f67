import pytest

from imagewright.errors import InvalidInput
from imagewright.oci import Digest
from imagewright.reference import Reference

HEX = "0123456789abcdef" * 4
DIGEST = Digest(HEX)


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag", "familiar"),
    [
        ("busybox", "docker.io", "library/busybox", "", "busybox"),
        ("busybox:1", "docker.io", "library/busybox", "1", "busybox:1"),
        ("library/busybox", "docker.io", "library/busybox", "", "busybox"),
        ("docker.io/busybox:latest", "docker.io", "library/busybox", "latest", "busybox:latest"),
        ("index.docker.io/busybox", "docker.io", "library/busybox", "", "busybox"),
        ("index.docker.io/a/b", "docker.io", "a/b", "", "a/b"),
        ("team/app", "docker.io", "team/app", "", "team/app"),
        ("library/a/b", "docker.io", "library/a/b", "", "library/a/b"),
        ("localhost/app", "localhost", "app", "", "localhost/app"),
        ("localhost:5000/x:1", "localhost:5000", "x", "1", "localhost:5000/x:1"),
        ("Registry/x", "Registry", "x", "", "Registry/x"),
        ("reg.example/a/b/c:v1.2-x_y", "reg.example", "a/b/c", "v1.2-x_y", "reg.example/a/b/c:v1.2-x_y"),
        ("[::1]:5000/x", "[::1]:5000", "x", "", "[::1]:5000/x"),
        ("a.b_c__d-e--f", "docker.io", "library/a.b_c__d-e--f", "", "a.b_c__d-e--f"),
        ("docker.io/localhost/x", "docker.io", "localhost/x", "", "docker.io/localhost/x"),
        ("docker.io/a.b/x", "docker.io", "a.b/x", "", "docker.io/a.b/x"),
        ("busybox:" + "t" * 128, "docker.io", "library/busybox", "t" * 128, "busybox:" + "t" * 128),
    ],
)
def test_parses(text: str, registry: str, repository: str, tag: str, familiar: str) -> None:
    reference = Reference.parse(text)
    assert reference == Reference(registry, repository, tag)
    assert reference.familiar == familiar
    assert str(reference) == reference.canonical == f"{registry}/{repository}" + (f":{tag}" if tag else "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid reference format"),
        (":1", "invalid reference format"),
        ("a:", "invalid reference format"),
        ("a b", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("a/", "invalid reference format"),
        ("/a", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a..b", "invalid reference format"),
        ("a___b", "invalid reference format"),
        ("a:.x", "invalid reference format"),
        ("a:1:2", "invalid reference format"),
        ("a\n", "invalid reference format"),
        ("a:1\n", "invalid reference format"),
        ("é", "invalid reference format"),
        ("a:é", "invalid reference format"),
        ("-reg.example/a", "invalid reference format"),
        ("a_b.example/a", "invalid reference format"),
        ("reg.example:port/a", "invalid reference format"),
        ("a@sha256:abc", "invalid reference format"),
        ("a:" + "t" * 129, "invalid reference format"),
        ("a" * 5000, "invalid reference format"),
        ("BUSYBOX", "invalid reference format: repository name must be lowercase"),
        ("reg.example/Team/app", "invalid reference format: repository name must be lowercase"),
        (HEX, f"invalid repository name ({HEX}), cannot specify 64-byte hexadecimal strings"),
        ("a" * 300, "repository name must not be more than 255 characters"),
        (f"a@sha512:{HEX}{HEX}", "unsupported digest algorithm"),
        (f"a@sha256:{HEX}00", "invalid checksum digest length"),
        (f"a@sha256:{HEX.upper()}", "invalid checksum digest format"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Reference.parse(text)
    assert str(caught.value) == message


def test_name_of_255_characters_is_the_longest() -> None:
    room = 255 - len("docker.io/library/")
    assert len(Reference.parse("a" * room).name) == 255
    with pytest.raises(InvalidInput, match="must not be more than 255"):
        Reference.parse("a" * (room + 1))


def test_digest() -> None:
    reference = Reference.parse(f"busybox@sha256:{HEX}")
    assert reference.digest == DIGEST
    assert reference.familiar == f"busybox@sha256:{HEX}"
    both = Reference.parse(f"busybox:1@sha256:{HEX}")
    assert (both.tag, both.digest) == ("1", DIGEST)
    assert both.canonical == f"docker.io/library/busybox:1@sha256:{HEX}"


def test_repository_that_looks_like_an_image_id_keeps_its_registry() -> None:
    reference = Reference.parse(f"docker.io/library/{HEX}")
    assert reference.familiar == f"docker.io/library/{HEX}"
    assert Reference.parse(reference.familiar) == reference


def test_tags() -> None:
    plain = Reference.parse("busybox")
    assert plain.with_default_tag().familiar == "busybox:latest"
    assert Reference.parse("busybox:1").with_default_tag().tag == "1"
    assert not Reference.parse(f"busybox@sha256:{HEX}").with_default_tag().tag
    assert Reference.parse("busybox:1").with_tag("2").familiar == "busybox:2"
    assert plain.familiar_name == "busybox"
    assert plain.name == "docker.io/library/busybox"


@pytest.mark.parametrize("tag", ["", ".x", "-x", "a b", "a\n", "t" * 129, "é"])
def test_refuses_tag(tag: str) -> None:
    with pytest.raises(InvalidInput, match=r"^invalid tag format$"):
        Reference.parse("busybox").with_tag(tag)


def test_sorts_by_canonical_text() -> None:
    texts = ["zoo", "busybox:2", "busybox", f"busybox:2@sha256:{HEX}", "busybox-x:1", "a.example/z"]
    references = sorted(Reference.parse(text) for text in texts)
    assert [str(reference) for reference in references] == sorted(str(reference) for reference in references)
    assert Reference.parse("a") <= Reference.parse("a")
    assert Reference.parse("b") > Reference.parse("a")
