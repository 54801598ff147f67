import pytest

from imagewright.api.progress import bar, human_size


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (1234, "1.234kB"), (12_345_678, "12.35MB"), (10**27, "1000YB")],
)
def test_sizes(size: int, text: str) -> None:
    assert human_size(size) == text


@pytest.mark.parametrize(
    ("current", "total", "text"),
    [
        (None, None, ""),
        (0, 0, ""),
        (28, None, "     28B"),
        (28, 28, f"[{'=' * 50}>]      28B/28B"),
        (14, 28, f"[{'=' * 25}>{' ' * 25}]      14B/28B"),
        (0, 28, f"[>{' ' * 50}]       0B/28B"),
        (50, 28, f"[{'=' * 50}>]      50B"),
    ],
)
def test_bars(current: int | None, total: int | None, text: str) -> None:
    assert bar(current, total) == text
