import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from imagewright.api.conditions import entity_tag, has_it

TAG = entity_tag("x", 1)


@pytest.mark.parametrize(
    "fields",
    [
        [TAG],
        [f"W/{TAG}"],
        ['"a,b" , "", ' + TAG],
        [f", ,{TAG},,"],
        ['"x"', TAG],
        [" * "],
    ],
)
def test_the_client_has_it(fields: list[str]) -> None:
    assert has_it(_request(fields), TAG)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [""],
        ['"x"'],
        [TAG.strip('"')],
        [f"w/{TAG}"],
        [f"{TAG} x"],
        [f"x {TAG}"],
        [f"{TAG}{TAG}"],
        [f"*, {TAG}"],
        ['"' + TAG],
        [f'"\x7f", {TAG}'],
        [", " * 60000 + TAG],
    ],
)
def test_the_client_has_it_not(fields: list[str]) -> None:
    assert not has_it(_request(fields), TAG)


def test_tags_differ_as_answers_do() -> None:
    assert (
        len({entity_tag("x", 1), entity_tag("x", 2), entity_tag("x", "1"), entity_tag("x1"), entity_tag("\udcff")}) == 5
    )


def _request(fields: list[str]) -> web.Request:
    headers = CIMultiDict([("If-None-Match", field) for field in fields])
    return make_mocked_request("GET", "/", headers=headers)
