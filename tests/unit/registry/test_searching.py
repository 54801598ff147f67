import json

import pytest

from imagewright.errors import InvalidInput, SystemFailure
from imagewright.registry.searching import SearchResult, check_filters, matching, read_results

BUSYBOX = SearchResult("busybox", "", 30, official=True, automated=False)
OTHER = SearchResult("other/box", "Words", 3, official=False, automated=True)


def test_an_answer_holds_results() -> None:
    document = {
        "num_results": 2,
        "results": [
            {"name": "busybox", "description": None, "star_count": 30, "is_official": True},
            {"name": "other/box", "description": "Words", "star_count": 3, "is_automated": True},
        ],
    }

    assert read_results(json.dumps(document).encode()) == [BUSYBOX, OTHER]
    assert read_results(b'{"results": null}') == []


@pytest.mark.parametrize("data", [b"", b"[]", b'{"results": [5]}', b"[" * 100_000])
def test_what_is_no_answer(data: bytes) -> None:
    with pytest.raises(SystemFailure):
        read_results(data)


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, [BUSYBOX, OTHER]),
        ({"stars": ["3"]}, [BUSYBOX, OTHER]),
        ({"stars": ["3", "10"]}, [BUSYBOX]),
        ({"is-official": ["true"]}, [BUSYBOX]),
        ({"is-official": ["false"]}, [OTHER]),
        ({"is-automated": ["1"]}, [OTHER]),
        ({"is-automated": ["1", "0"]}, [BUSYBOX, OTHER]),
    ],
)
def test_results_are_filtered(filters: dict[str, list[str]], expected: list[SearchResult]) -> None:
    check_filters(filters)

    assert matching([BUSYBOX, OTHER], filters) == expected


@pytest.mark.parametrize("filters", [{"color": ["red"]}, {"stars": ["many"]}, {"is-official": ["perhaps"]}])
def test_filters_that_are_none(filters: dict[str, list[str]]) -> None:
    with pytest.raises(InvalidInput, match="invalid filter"):
        check_filters(filters)
