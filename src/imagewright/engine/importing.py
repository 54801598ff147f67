"""A filesystem as a tar, made into an image: what `docker import` asks for."""

from collections.abc import Callable, Sequence

from imagewright.archive import Readable
from imagewright.cancellation import Cancellation
from imagewright.dockerfile import parse_changes
from imagewright.errors import InvalidInput
from imagewright.oci import Digest, History, ImageConfig, Platform, RootfsConfig, RunConfig, encode_config, format_time
from imagewright.plan import apply_changes
from imagewright.reference import Reference
from imagewright.store import Store

__all__ = ["import_image"]


def import_image(
    store: Store,
    stream: Readable,
    *,
    references: Sequence[Reference],
    changes: Sequence[str],
    message: str,
    platform: Platform,
    clock: Callable[[], int],
    cancellation: Cancellation,
) -> Digest:
    """Make an image of one layer from the tar `stream`, in any compression; return its id.

    `changes` are instructions as in a Dockerfile. Raises `InvalidInput` for what is no tar, and for a change that is
    no instruction or not one of those that only configure; that is found before `stream` is read. Where something is
    wrong, nothing is kept.
    """
    run = apply_changes(RunConfig(), parse_changes(changes))
    try:
        with store.lease():
            diff_id = _keep(store, stream)
            cancellation.check()
            created = format_time(clock())
            config = ImageConfig(
                architecture=platform.architecture,
                os=platform.os,
                variant=platform.variant,
                config=run,
                created=created,
                comment=message,
                history=(History(created=created, comment=message),),
                rootfs=RootfsConfig(diff_ids=(str(diff_id),)),
            )
            return store.add_image(encode_config(config), references=references)
    except BaseException:
        store.sweep()
        raise


def _keep(store: Store, stream: Readable) -> Digest:
    try:
        return store.add_layer_stream(stream)
    except InvalidInput as error:
        # So the engine words it, whose tar reader is a program of its own.
        raise InvalidInput(f"Error processing tar file(exit status 1): {error}") from error
