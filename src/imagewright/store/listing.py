"""Which images a query selects, and how they are shown."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from imagewright.filesystem import matches
from imagewright.oci import Digest
from imagewright.reference import Reference
from imagewright.store.values import ImageQuery, ImageSummary

__all__ = ["Bounds", "Entry", "select_images"]

_SPECIAL = "*?[\\"


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
        )
        return cls(summary, references)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Creation times between which images are selected, both excluded; in nanoseconds since 1970, None for no bound."""

    after_ns: int | None = None
    before_ns: int | None = None

    def admit(self, created_ns: int) -> bool:
        """Whether an image created at `created_ns` is between the bounds."""
        return (self.before_ns is None or created_ns < self.before_ns) and (
            self.after_ns is None or created_ns > self.after_ns
        )


def select_images(
    entries: Iterable[Entry], query: ImageQuery, bounds: Bounds, parents: Mapping[Digest, int]
) -> Iterator[ImageSummary]:
    """Yield what `query` selects of `entries`, in their order; `parents` has the images that are somebody's parent.

    Raises `InvalidInput` for a pattern that is none. The rules are those of the engine: see daemon/images/image_list.go
    in https://github.com/moby/moby.
    """
    labels = [label.partition("=") for label in query.labels]
    patterns = [_Pattern(text) for text in query.references]
    for entry in entries:
        summary = entry.summary
        is_parent = summary.id in parents
        if (query.dangling and is_parent) or not bounds.admit(summary.created_ns):
            continue
        if labels and not _has_labels(summary.labels or {}, labels):
            continue
        if patterns:
            summary = _with_matching_names(entry, patterns)
        if _shown(summary, query, is_parent=is_parent):
            yield summary


def _shown(summary: ImageSummary, query: ImageQuery, *, is_parent: bool) -> bool:
    if summary.tags or summary.digests:
        return not (query.dangling and summary.tags)
    if query.dangling is False or query.references:
        return False
    return query.all or not is_parent


def _has_labels(labels: Mapping[str, str], wanted: Sequence[tuple[str, str, str]]) -> bool:
    return all(key in labels and (not equals or labels[key] == value) for key, equals, value in wanted)


class _Pattern:
    """A glob; most are plain names, and most names do not begin as the others do."""

    def __init__(self, text: str) -> None:
        matches(text, "")
        self._text = text
        special = [index for index, character in enumerate(text) if character in _SPECIAL]
        self._plain = not special
        self._start = text[: special[0]] if special else text

    def match(self, forms: Iterable[str]) -> bool:
        if self._plain:
            return self._text in forms
        return any(form.startswith(self._start) and matches(self._text, form) for form in forms)


def _with_matching_names(entry: Entry, patterns: Sequence[_Pattern]) -> ImageSummary:
    """Return the summary without the names that none of `patterns` matches."""
    kept = [
        name
        for name, forms in zip(entry.names, entry.forms, strict=True)
        if any(pattern.match(forms) for pattern in patterns)
    ]
    if len(kept) == len(entry.names):
        return entry.summary
    return replace(
        entry.summary,
        tags=tuple(name.familiar for name in kept if name.digest is None),
        digests=tuple(name.familiar for name in kept if name.digest is not None),
    )
