import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagewright.registry.challenges import Challenge, parse_challenges


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('Basic realm="a b"', [Challenge("basic", {"realm": "a b"})]),
        (
            'Bearer realm="https://x/token",service="s",scope="repository:a:pull,push"',
            [Challenge("bearer", {"realm": "https://x/token", "service": "s", "scope": "repository:a:pull,push"})],
        ),
        ('BEARER Realm=x, Basic realm="y"', [Challenge("bearer", {"realm": "x"}), Challenge("basic", {"realm": "y"})]),
        (r'Bearer realm="a\"b\\c"', [Challenge("bearer", {"realm": r"a\"b\c".replace('\\"', '"')})]),
        ("Negotiate", [Challenge("negotiate", {})]),
        ("", []),
        ('="x"', []),
    ],
)
def test_a_header_holds_challenges(text: str, expected: list[Challenge]) -> None:
    assert list(parse_challenges([text])) == expected


def test_several_headers_are_one_list() -> None:
    assert [challenge.scheme for challenge in parse_challenges(["Basic", 'Bearer realm="x"'])] == ["basic", "bearer"]


@given(st.text(alphabet=st.sampled_from('Basicrelm="\\, \t=x'), max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    for challenge in parse_challenges([text]):
        assert challenge.scheme
