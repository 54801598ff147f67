import pytest

from imagewright.api.versions import MAXIMUM, MINIMUM, ApiVersion
from imagewright.errors import InvalidInput


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1.41", (1, 41)),
        ("1.41.0", (1, 41)),
        ("1", (1,)),
        ("01.022", (1, 22)),
        ("..", ()),
        ("1..2", (1, 0, 2)),
        ("9" * 5000, (2**63 - 1,)),
    ],
)
def test_parse_reads_digits_between_dots(text: str, parts: tuple[int, ...]) -> None:
    assert ApiVersion.parse(text).parts == parts


def test_versions_are_ordered_by_number_not_by_text() -> None:
    assert ApiVersion.parse("1.9") < ApiVersion.parse("1.10") < ApiVersion.parse("2")
    assert ApiVersion.parse("1.30").at_least(1, 30)
    assert not ApiVersion.parse("1.29").at_least(1, 30)
    assert str(MAXIMUM) == "1.51"
    assert str(MINIMUM) == "1.21"


@pytest.mark.parametrize("text", ["1.21", "1.24", "1.51", "1.51.0"])
def test_check_passes_what_the_daemon_speaks(text: str) -> None:
    ApiVersion.parse(text).check(text)


@pytest.mark.parametrize("text", ["1.52", "2", "1.51.1"])
def test_check_refuses_what_is_too_new(text: str) -> None:
    with pytest.raises(
        InvalidInput, match=rf"^client version {text} is too new\. Maximum supported API version is 1\.51$"
    ):
        ApiVersion.parse(text).check(text)


@pytest.mark.parametrize("text", ["1.20", "1", "0", "."])
def test_check_refuses_what_is_too_old(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"is too old\. Minimum supported API version is 1\.21, please"):
        ApiVersion.parse(text).check(text)
