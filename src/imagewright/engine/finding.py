"""The images that builds name: those that are here, and those that have to come."""

from collections.abc import Callable

from imagewright.errors import Cancelled, ImagewrightError, NotFound
from imagewright.oci import Digest, Platform, describe_platform, suits
from imagewright.plan import Base
from imagewright.reference import Reference
from imagewright.store import Store, StoredImage

__all__ = ["find_base"]


def find_base(
    store: Store, name: str, platform: Platform | None, *, always: bool, pull: Callable[[Reference], Digest]
) -> Base:
    """Return the image that a Dockerfile calls `name`: the one that is here, or else what `pull` brings.

    Where a `platform` is asked for, an image that is here and for another one does not do; where none is, any does, as
    the engine has it. With `always` the registry is asked first. Raises `NotFound` if there is none for the platform,
    and what `pull` raises.
    """
    reference = Reference.parse(name)
    here = _find_here(store, name)
    if here is None or always:
        image = store.get_image(pull(reference.with_default_tag()))
    elif platform is None or suits(here.config, platform):
        image = here
    elif store.find_reference(reference) != here.id:
        # Known by its id: no registry knows it by that.
        raise _mismatch(name, here, platform)
    else:
        try:
            image = store.get_image(pull(reference.with_default_tag()))
        except Cancelled:
            raise
        except ImagewrightError as error:
            raise _mismatch(name, here, platform, f"; its registry says: {error}") from error
    if platform is not None and not suits(image.config, platform):
        raise _mismatch(name, image, platform)
    store.note_use(image.id)
    return Base(image.id, image.config)


def _find_here(store: Store, name: str) -> StoredImage | None:
    try:
        return store.get_image(store.resolve(name))
    except NotFound:
        return None


def _mismatch(name: str, image: StoredImage, platform: Platform | None, more: str = "") -> NotFound:
    actual = describe_platform(image.config)
    return NotFound(
        f"image with reference {name} was found but does not match the specified platform: "
        f"wanted {platform}, actual: {actual}{more}"
    )
