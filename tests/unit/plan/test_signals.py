import pytest

from imagewright.errors import InvalidInput
from imagewright.plan.signals import check_signal


@pytest.mark.parametrize(
    "text", ["9", "99", "-1", "+5", "SIGTERM", "term", "sigusr1", "RTMIN+3", "SIGRTMAX-3", "RTMAX"]
)
def test_the_engine_takes_it(text: str) -> None:
    check_signal(text)


@pytest.mark.parametrize(
    "text", ["", "0", "foo", " 9", "SIGSIGTERM", "RTMIN+16", "123456789012345678901234567890", "٣"]
)
def test_the_engine_refuses_it(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_signal(text)
    assert str(caught.value) == f"Invalid signal: {text}"
