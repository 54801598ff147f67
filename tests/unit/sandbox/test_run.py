from pathlib import Path
from typing import Any

import pytest

from imagewright.cancellation import Cancellation
from imagewright.errors import Cancelled, ImagewrightError, InvalidInput
from imagewright.sandbox import RunRequest, Sandbox

GOOD: dict[str, Any] = {"container_id": "0" * 64, "argv": ("x",), "env": (), "lowers": (), "upper": "/nowhere"}


def refusal(tmp_path: Path, **changes: Any) -> ImagewrightError:
    with pytest.raises(ImagewrightError) as caught:
        Sandbox(str(tmp_path / "state")).run(
            RunRequest(**{**GOOD, **changes}), output=lambda _c, _d: None, cancellation=Cancellation()
        )
    # Nothing is made for a request that is refused.
    assert not (tmp_path / "state").exists()
    return caught.value


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"container_id": "../x"}, "a container id is 64 hexadecimal digits"),
        ({"container_id": "A" * 64}, "a container id is 64 hexadecimal digits"),
        ({"container_id": "0" * 64 + "\n"}, "a container id is 64 hexadecimal digits"),
        ({"argv": ()}, "No command specified"),
        ({"network": "nope"}, "network nope not found"),
        ({"shm_size": -1}, "SHM size can not be less than 0"),
        ({"cwd": "relative"}, "the working directory 'relative' is not absolute"),
        ({"argv": ("a\0b",)}, "cannot hold NUL"),
        ({"env": ("A=\0",)}, "cannot hold NUL"),
    ],
)
def test_requests_that_are_refused(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    error = refusal(tmp_path, **changes)
    assert isinstance(error, InvalidInput)
    assert text in str(error)


def test_a_cancelled_run_does_not_begin(tmp_path: Path) -> None:
    cancellation = Cancellation()
    cancellation.cancel()
    with pytest.raises(Cancelled):
        Sandbox(str(tmp_path / "state")).run(RunRequest(**GOOD), output=lambda _c, _d: None, cancellation=cancellation)
    assert not (tmp_path / "state").exists()


def test_closing_what_was_never_used(tmp_path: Path) -> None:
    with Sandbox(str(tmp_path / "state")) as sandbox:
        sandbox.close()
    assert not (tmp_path / "state").exists()
