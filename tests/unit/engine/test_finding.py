from collections.abc import Iterator
from pathlib import Path

import pytest

from imagewright.engine.finding import find_base
from imagewright.errors import Cancelled, InvalidInput, NotFound, SystemFailure
from imagewright.oci import Digest, ImageConfig, Platform, encode_config
from imagewright.reference import Reference
from imagewright.store import Store

AMD64 = Platform("linux", "amd64")
NAME = Reference.parse("reg.example/app:1")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(str(tmp_path / "root"), clock=lambda: 1) as store:
        yield store


def add(store: Store, architecture: str) -> Digest:
    return store.add_image(encode_config(ImageConfig(architecture=architecture, os="linux")), references=(NAME,))


class Registry:
    """Brings an image for `architecture`, or an error."""

    def __init__(self, store: Store, architecture: str = "amd64", error: Exception | None = None) -> None:
        self.store = store
        self.architecture = architecture
        self.error = error
        self.asked: list[Reference] = []

    def __call__(self, reference: Reference) -> Digest:
        self.asked.append(reference)
        if self.error is not None:
            raise self.error
        return add(self.store, self.architecture)


def find(store: Store, registry: Registry, platform: Platform | None = None, *, always: bool = False) -> str:
    return find_base(store, NAME.familiar, platform, always=always, pull=registry).config.architecture


def test_an_image_that_is_here(store: Store) -> None:
    add(store, "arm64")
    registry = Registry(store)
    assert find(store, registry) == "arm64"
    assert find(store, registry, Platform("linux", "arm64")) == "arm64"
    assert registry.asked == []
    assert find(store, registry, always=True) == "amd64"


def test_an_image_that_is_not_here(store: Store) -> None:
    registry = Registry(store)
    assert find(store, registry, AMD64) == "amd64"
    assert registry.asked == [NAME]
    with pytest.raises(NotFound, match=r"^nowhere$"):
        find_base(store, "other", None, always=False, pull=Registry(store, error=NotFound("nowhere")))
    with pytest.raises(InvalidInput):
        find_base(store, "Other", None, always=False, pull=registry)


def test_one_for_another_platform_is_here(store: Store) -> None:
    add(store, "arm64")
    assert find(store, Registry(store), AMD64) == "amd64"


@pytest.mark.parametrize(
    ("registry", "more"),
    [({"architecture": "arm64"}, ""), ({"error": SystemFailure("down")}, "; its registry says: down")],
)
def test_none_for_the_platform(store: Store, registry: dict[str, object], more: str) -> None:
    add(store, "arm64")
    with pytest.raises(NotFound) as caught:
        find(store, Registry(store, **registry), AMD64)  # type: ignore[arg-type]
    assert str(caught.value) == (
        f"image with reference {NAME} was found but does not match the specified platform: "
        f"wanted linux/amd64, actual: linux/arm64{more}"
    )


def test_an_id_is_not_asked_of_a_registry(store: Store) -> None:
    image = add(store, "arm64")
    registry = Registry(store)
    with pytest.raises(NotFound, match=r"actual: linux/arm64$"):
        find_base(store, image.short, AMD64, always=False, pull=registry)
    assert registry.asked == []


def test_cancelled(store: Store) -> None:
    add(store, "arm64")
    with pytest.raises(Cancelled):
        find(store, Registry(store, error=Cancelled("Build cancelled")), AMD64)
