import pytest

from imagewright.engine.mirroring import fall_back
from imagewright.errors import Cancelled, Corrupt, Forbidden, ImagewrightError, SystemFailure
from imagewright.reference import Reference
from imagewright.registry import Client, Settings

HUB = Reference.parse("busybox:1")
ELSEWHERE = Reference.parse("reg.example/busybox:1")


class Attempts:
    """Fails with `error` as long as a mirror may be asked, or always; notes who was."""

    def __init__(self, reference: Reference, error: ImagewrightError, *, always: bool = False) -> None:
        self.mirrored: list[bool] = []
        self._reference = reference
        self._error = error
        self._always = always

    def __call__(self, client: Client) -> str:
        self.mirrored.append(client.uses_mirrors(self._reference))
        if self.mirrored[-1] or self._always:
            raise self._error
        return "there"


def client(*mirrors: str) -> Client:
    return Client(Settings(mirrors=mirrors, certificates="/nonexistent", environment={}))


@pytest.mark.parametrize("error", [Corrupt("wrong"), SystemFailure("broken")])
def test_the_registry_itself_is_asked_after_a_mirror(error: ImagewrightError) -> None:
    attempts = Attempts(HUB, error)
    assert fall_back(client("http://127.0.0.1:1/", "http://127.0.0.1:2/"), HUB, attempts) == "there"
    assert attempts.mirrored == [True, False]


def test_the_registry_s_own_failure_is_told() -> None:
    attempts = Attempts(HUB, Corrupt("wrong"), always=True)
    with pytest.raises(Corrupt):
        fall_back(client("http://127.0.0.1:1/"), HUB, attempts)
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
    attempts = Attempts(reference, error, always=True)
    with pytest.raises(type(error)):
        fall_back(client(*mirrors), reference, attempts)
    assert len(attempts.mirrored) == 1
