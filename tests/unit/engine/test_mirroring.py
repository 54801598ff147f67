from typing import cast

import pytest

from imagewright.engine.mirroring import falling_back
from imagewright.errors import Cancelled, Corrupt, Forbidden, ImagewrightError, SystemFailure
from imagewright.reference import Reference
from imagewright.registry import Client, Settings
from imagewright.store import Store

HUB = Reference.parse("busybox:1")
ELSEWHERE = Reference.parse("reg.example/busybox:1")


class Attempts:
    """Fails with `error` as long as a mirror may be asked, or always; notes who was."""

    def __init__(self, error: ImagewrightError, *, always: bool = False) -> None:
        self.mirrored: list[bool] = []
        self._error = error
        self._always = always

    def __call__(self, _store: Store, client: Client, reference: Reference) -> str:
        self.mirrored.append(client.uses_mirrors(reference))
        if self.mirrored[-1] or self._always:
            raise self._error
        return "there"


def pull(attempts: Attempts, reference: Reference, *mirrors: str) -> str:
    client = Client(Settings(mirrors=mirrors, certificates="/nonexistent", environment={}))
    # The store is what the attempts would use, if they were real ones.
    return falling_back(attempts)(cast("Store", None), client, reference)


@pytest.mark.parametrize("error", [Corrupt("wrong"), SystemFailure("broken")])
def test_the_registry_itself_is_asked_after_a_mirror(error: ImagewrightError) -> None:
    attempts = Attempts(error)
    assert pull(attempts, HUB, "http://127.0.0.1:1/", "http://127.0.0.1:2/") == "there"
    assert attempts.mirrored == [True, False]


def test_the_registry_s_own_failure_is_told() -> None:
    attempts = Attempts(Corrupt("wrong"), always=True)
    with pytest.raises(Corrupt):
        pull(attempts, HUB, "http://127.0.0.1:1/")
    assert attempts.mirrored == [True, False]


@pytest.mark.parametrize(
    ("mirrors", "reference", "error"),
    [
        (("http://127.0.0.1:1/",), ELSEWHERE, Corrupt("wrong")),
        ((), HUB, Corrupt("wrong")),
        (("http://127.0.0.1:1/",), HUB, Cancelled("stop")),
        (("http://127.0.0.1:1/",), HUB, Forbidden("no")),
    ],
)
def test_no_mirror_is_to_blame(mirrors: tuple[str, ...], reference: Reference, error: ImagewrightError) -> None:
    attempts = Attempts(error, always=True)
    with pytest.raises(type(error)):
        pull(attempts, reference, *mirrors)
    assert len(attempts.mirrored) == 1
