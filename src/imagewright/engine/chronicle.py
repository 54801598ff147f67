"""What is told of each thing that was done: one happening, with the attributes that the engine has."""

from collections.abc import Mapping, Sequence

from imagewright.engine.happenings import Happenings
from imagewright.oci import Digest
from imagewright.reference import Reference
from imagewright.store import Container, Removal, Store

__all__ = ["Chronicle"]


class Chronicle:
    """Records in `happenings` what was done to the images and containers of `store`."""

    def __init__(self, store: Store, happenings: Happenings) -> None:
        self._store = store
        self._happenings = happenings

    def labels(self, image: Digest) -> Mapping[str, str]:
        """Return the labels of `image`, none if it is not here."""
        summary = self._store.find_summary(image)
        return {} if summary is None else summary.labels or {}

    def tell_image(self, action: str, image: Digest) -> None:
        """Something was done to `image`."""
        self._happenings.record("image", action, str(image), {**self.labels(image), "name": str(image)})

    def tell_transfer(self, action: str, reference: Reference, image: Digest) -> None:
        """`image` came or went under `reference`."""
        attributes = {**self.labels(image), "name": reference.familiar_name}
        self._happenings.record("image", action, reference.familiar, attributes)

    def tell_tagged(self, image: Digest, reference: Reference) -> None:
        """`reference` names `image` now."""
        name = reference.with_default_tag().familiar
        self._happenings.record("image", "tag", str(image), {**self.labels(image), "name": name})

    def tell_container(self, action: str, container: Container, attributes: Mapping[str, str] | None = None) -> None:
        """Something was done to `container`; `attributes` are told besides what it is."""
        known = {**self.labels(container.image), "image": str(container.image), "name": container.name}
        self._happenings.record("container", action, container.id, {**known, **(attributes or {})})

    def tell_removals(self, removals: Sequence[Removal], labels: Mapping[Digest, Mapping[str, str]]) -> None:
        """Names and images are gone; `labels` are those that the images had."""
        for removal in removals:
            if removal.image is None:
                continue  # A layer.
            image = str(removal.image)
            if removal.untagged is not None:
                self._happenings.record("image", "untag", image, {**labels.get(removal.image, {}), "name": image})
            else:
                self._happenings.record("image", "delete", image, {"name": image})
