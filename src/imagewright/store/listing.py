"""Which images a query selects, and how they are shown."""

import itertools
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from imagewright.filesystem import matches
from imagewright.oci import Digest
from imagewright.reference import Reference
from imagewright.store.values import ImageQuery, ImageSummary

__all__ = ["Bounds", "Entry", "has_labels", "is_plain", "select_images"]

_SPECIAL = frozenset("*?[\\")


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """An image in the list; `names` are its tags and digests, in the order of their canonical forms."""

    summary: ImageSummary
    names: tuple[Reference, ...]
    forms: tuple[tuple[str, ...], ...] = field(init=False, repr=False)
    """For each name, the texts that a reference filter is compared with."""

    def __post_init__(self) -> None:
        forms = tuple((name.familiar, name.familiar_name, name.canonical, name.name) for name in self.names)
        object.__setattr__(self, "forms", forms)

    @classmethod
    def make(
        cls,
        image: Digest,
        *,
        parent: Digest | None,
        created_ns: int,
        size: int,
        names: Iterable[str],
        labels: Mapping[str, str] | None,
        containers: int,
        shared_size: int = 0,
        last_used_ns: int = 0,
    ) -> "Entry":
        """Return the entry of `image` with canonical `names`."""
        references = tuple(sorted(Reference.parse(name) for name in names))
        summary = ImageSummary(
            id=image,
            parent=parent,
            created_ns=created_ns,
            size=size,
            tags=tuple(name.familiar for name in references if name.digest is None),
            digests=tuple(name.familiar for name in references if name.digest is not None),
            labels=labels,
            containers=containers,
            shared_size=shared_size,
            unique_size=size - shared_size,
            last_used_ns=last_used_ns,
        )
        return cls(summary, references)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Times between which images are selected, in nanoseconds since 1970; None for no bound.

    They are created after `after_ns`, before `before_ns`, and last used not after `used_ns`.
    """

    after_ns: int | None = None
    before_ns: int | None = None
    used_ns: int | None = None

    def admit(self, image: ImageSummary) -> bool:
        """Whether `image` is between the bounds."""
        return (
            (self.before_ns is None or image.created_ns < self.before_ns)
            and (self.after_ns is None or image.created_ns > self.after_ns)
            and (self.used_ns is None or image.last_used_ns <= self.used_ns)
        )


_UNBOUNDED = Bounds()


def select_images(
    entries: Iterable[Entry], query: ImageQuery, bounds: Bounds, parents: Container[Digest]
) -> Iterator[ImageSummary]:
    """Yield what `query` selects of `entries`, in their order; `parents` has the images that are somebody's parent.

    Raises `InvalidInput` for a pattern that is none. The rules are those of the engine: see daemon/images/image_list.go
    in https://github.com/moby/moby. Each condition is a pass of its own, and most queries have none or one.
    """
    if bounds != _UNBOUNDED:
        entries = (entry for entry in entries if bounds.admit(entry.summary))
    if query.labels:
        entries = (entry for entry in entries if has_labels(entry.summary, query.labels))
    summaries: Iterator[ImageSummary]
    if query.references:
        summaries = _with_matching_names(entries, [_Pattern(text) for text in query.references])
    else:
        summaries = (entry.summary for entry in entries)
    if query.dangling:
        return (image for image in summaries if not image.tags and image.id not in parents)
    nameless = query.dangling is None and not query.references
    return (
        image
        for image in summaries
        if image.tags or image.digests or (nameless and (query.all or image.id not in parents))
    )


def is_plain(pattern: str) -> bool:
    """Whether `pattern` matches itself alone."""
    return _SPECIAL.isdisjoint(pattern)


def has_labels(image: ImageSummary, wanted: Iterable[str]) -> bool:
    """Whether `image` has all labels in `wanted`: `key`, or `key=value`."""
    labels = image.labels or {}
    for label in wanted:
        key, equals, value = label.partition("=")
        found = labels.get(key)
        if found is None or (equals and found != value):
            return False
    return True


class _Pattern:
    """A glob, or as most often a plain name."""

    def __init__(self, text: str) -> None:
        matches(text, "")
        self._text = text
        self._plain = is_plain(text)
        self._start = "".join(itertools.takewhile(lambda character: character not in _SPECIAL, text))

    def match(self, forms: Iterable[str]) -> bool:
        if self._plain:
            return self._text in forms
        # Most names begin otherwise, and that is seen soonest.
        likely = [form for form in forms if form.startswith(self._start)]
        return any(matches(self._text, form) for form in likely)


def _with_matching_names(entries: Iterable[Entry], patterns: Sequence[_Pattern]) -> Iterator[ImageSummary]:
    """Yield the summaries of entries with a name that one of `patterns` matches, without their other names."""
    for entry in entries:
        kept = [
            name
            for name, forms in zip(entry.names, entry.forms, strict=True)
            if any(pattern.match(forms) for pattern in patterns)
        ]
        if len(kept) == len(entry.names):
            if kept:
                yield entry.summary
        elif kept:
            yield replace(
                entry.summary,
                tags=tuple(name.familiar for name in kept if name.digest is None),
                digests=tuple(name.familiar for name in kept if name.digest is not None),
            )
