import io

import pytest

from imagewright.cli.transfer import plain_transfer, read_status, transfer_display
from imagewright.errors import ImagewrightError
from imagewright.events import Status
from support.terminal import terminal

TRANSFER = (
    Status("Pulling from a/[b]", "1"),
    Status("Pulling fs layer", "layer", 0),
    Status("Downloading", "layer", 512, 1024),
    Status("Pull complete", "layer", 0),
    Status("", extra={"aux": {}}),
    Status("Digest: sha256:0"),
)


def test_messages_are_read() -> None:
    assert read_status({"status": "Pulling from a/b", "id": "1"}) == Status("Pulling from a/b", "1")
    assert read_status({"status": "Waiting", "id": "l", "progressDetail": {}}) == Status("Waiting", "l", 0, None)
    progress = {"status": "Pushing", "id": "l", "progressDetail": {"current": 5, "total": 9}, "progress": "[=> ]"}
    assert read_status(progress) == Status("Pushing", "l", 5, 9)
    assert read_status({"progressDetail": {}, "aux": {"Tag": "1"}}) == Status("", "", 0, None)


@pytest.mark.parametrize("message", [{"errorDetail": {"message": "denied"}, "error": "denied"}, {"error": "denied"}])
def test_errors_are_raised(message: dict[str, object]) -> None:
    with pytest.raises(ImagewrightError, match=r"^denied$"):
        read_status(message)


def test_lines_in_a_pipe() -> None:
    out = io.StringIO()
    show = plain_transfer(out)
    for status in TRANSFER:
        show(status)
    assert out.getvalue().splitlines() == [
        "1: Pulling from a/[b]",
        "layer: Pulling fs layer",
        "layer: Pull complete",
        "Digest: sha256:0",
    ]


def test_quiet_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with transfer_display(quiet=True) as show:
        for status in TRANSFER:
            show(status)
    assert capsys.readouterr().out == ""


def test_rows_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal(monkeypatch) as screen, transfer_display(quiet=False) as show:
        for status in TRANSFER:
            show(status)
    assert "1: Pulling from a/[b]" in screen.lines
    assert "Digest: sha256:0" in screen.lines
    row = screen.lines[-1]
    assert row.startswith("layer: Pull complete")
    assert "1.0" in row
