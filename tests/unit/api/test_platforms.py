import pytest

from imagewright.api.platforms import check_platform, one_platform, parse_platform_object
from imagewright.api.query import Query
from imagewright.errors import InvalidInput, NotFound
from imagewright.oci import ImageConfig, Platform
from unit.api.fake_engine import FakeEngine


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ('{"os":"linux","architecture":"amd64"}', Platform("linux", "amd64")),
        ('{"OS":"linux","Architecture":"arm","variant":"7"}', Platform("linux", "arm", "v7")),
        ('{"os":"linux","architecture":"arm64","variant":"v8","os.version":null}', Platform("linux", "arm64")),
    ],
)
def test_platforms(text: str, platform: Platform) -> None:
    assert parse_platform_object(text) == platform


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "failed to parse platform: unexpected end of JSON input"),
        ("linux/amd64", "failed to parse platform: invalid character 'l' looking for beginning of value"),
        (
            '{"os":1}',
            "failed to parse platform: json: cannot unmarshal number into Go struct field Platform.os of type string",
        ),
        ("null", "both OS and Architecture must be provided"),
        ('{"os":"linux"}', "both OS and Architecture must be provided"),
        ('{"variant":"v7"}', "optional platform fields provided, but OS and Architecture are missing"),
    ],
)
def test_what_is_no_platform(text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        parse_platform_object(text)
    assert str(raised.value) == message


def test_there_is_one_platform_at_most() -> None:
    assert one_platform(Query({})) is None
    assert one_platform(Query({"platform": ("",)})) is None
    assert one_platform(Query({"platform": ('{"os":"a","architecture":"b"}',)})) == Platform("a", "b")
    with pytest.raises(InvalidInput, match="multiple platform parameters are not supported in this API version"):
        one_platform(Query({"platform": ("", "")}))


@pytest.mark.parametrize(
    ("variant", "wanted", "suits"),
    [
        ("", None, True),
        ("", Platform("linux", "arm"), True),
        ("", Platform("linux", "arm", "v7"), True),
        ("v7", Platform("linux", "arm"), True),
        ("v7", Platform("linux", "arm", "v7"), True),
        ("v7", Platform("linux", "arm", "v6"), False),
        ("v7", Platform("linux", "amd64"), False),
        ("v7", Platform("windows", "arm"), False),
    ],
)
def test_images_suit(variant: str, wanted: Platform | None, suits: bool) -> None:
    engine = FakeEngine()
    engine.add("a:1", config=ImageConfig(architecture="arm", os="linux", variant=variant))
    image = engine.inspect("a:1")
    if suits:
        check_platform(image, "a:1", wanted)
        return
    with pytest.raises(
        NotFound, match=r"image with reference a:1 was found but its platform \(linux/arm/v7\) does not"
    ):
        check_platform(image, "a:1", wanted)
