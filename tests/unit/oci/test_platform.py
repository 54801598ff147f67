import pytest

from imagewright.errors import InvalidInput
from imagewright.oci import ImageConfig, Platform, describe_platform, suits

HERE = Platform("linux", "arm64", "v9")
AMD64 = Platform("linux", "amd64")


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux", HERE),
        (" Linux ", HERE),
        ("macos", Platform("darwin", "arm64", "v9")),
        ("amd64", Platform("linux", "amd64")),
        ("x86_64", Platform("linux", "amd64")),
        ("armhf", Platform("linux", "arm", "v7")),
        ("linux/amd64", Platform("linux", "amd64")),
        ("LINUX/x86-64", Platform("linux", "amd64")),
        ("windows/amd64", Platform("windows", "amd64")),
        ("linux/aarch64", Platform("linux", "arm64")),
        ("linux/i686", Platform("linux", "386")),
        ("linux/armel", Platform("linux", "arm", "v6")),
        ("linux/arm/v7", Platform("linux", "arm", "v7")),
        ("linux/arm/7", Platform("linux", "arm", "v7")),
        ("linux/arm64/v8", Platform("linux", "arm64")),
        ("linux/amd64/v1", Platform("linux", "amd64")),
        ("linux/amd64/v3", Platform("linux", "amd64", "v3")),
        ("plan9/mips64le", Platform("plan9", "mips64le")),
    ],
)
def test_parse(text: str, platform: Platform) -> None:
    assert Platform.parse(text, default=HERE) == platform


@pytest.mark.parametrize(
    "text", ["", "/", "linux/", "/amd64", "foo/bar/baz/qux", "a b", "linux/é", "linux//v1", "linux\n/x"]
)
def test_parse_refuses(text: str) -> None:
    with pytest.raises(InvalidInput, match="cannot parse platform specifier: invalid argument"):
        Platform.parse(text, default=HERE)


@pytest.mark.parametrize("text", ["linux/amd64", "linux/arm/v7"])
def test_str_is_read_back(text: str) -> None:
    assert str(Platform.parse(text, default=HERE)) == text


@pytest.mark.parametrize(
    ("config", "platform", "expected"),
    [
        (ImageConfig(), AMD64, True),
        (ImageConfig(os="linux"), AMD64, True),
        (ImageConfig(architecture="amd64", os="linux"), AMD64, True),
        (ImageConfig(architecture="x86_64", os="linux"), AMD64, True),
        (ImageConfig(architecture="arm64", os="linux"), AMD64, False),
        (ImageConfig(architecture="amd64", os="windows"), AMD64, False),
        (ImageConfig(architecture="arm64", os="linux", variant="v8"), Platform("linux", "arm64"), True),
        (ImageConfig(architecture="arm", os="linux", variant="v6"), Platform("linux", "arm", "v7"), False),
        (ImageConfig(architecture="arm", os="linux"), Platform("linux", "arm", "v7"), True),
        (ImageConfig(architecture="what is this", os="linux"), AMD64, False),
    ],
)
def test_what_suits(config: ImageConfig, platform: Platform, expected: bool) -> None:
    assert suits(config, platform) is expected


def test_description() -> None:
    assert describe_platform(ImageConfig(architecture="arm", os="linux", variant="v7")) == "linux/arm/v7"
    assert describe_platform(ImageConfig()) == ""
