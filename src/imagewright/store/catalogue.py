"""The images and their names in memory: what lists and look-ups are answered from.

It says what the tables `summaries` and `image_references` say, and is told of every transaction that changes them, so
that a list costs neither layers nor the database.
"""

import re
import threading
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from imagewright.errors import InvalidInput, NotFound
from imagewright.oci import Digest
from imagewright.reference import Reference
from imagewright.store.listing import Bounds, Entry, is_plain, select_images
from imagewright.store.values import ImageQuery, ImageSummary

__all__ = ["Catalogue", "stored_name"]

_REMEMBERED_ANSWERS = 64
_INDEXED_KEYS = 8
_FULL_ID = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]+)")


class Catalogue:
    """Thread-safe; what it gives out are values, which later changes leave alone."""

    def __init__(self, entries: Mapping[Digest, Entry], generation: int) -> None:
        self._lock = threading.Lock()
        self._generation = generation
        self._entries: dict[str, Entry] = {}
        self._named: dict[str, Digest] = {}
        self._repositories: defaultdict[str, set[str]] = defaultdict(set)
        self._parents: Counter[Digest] = Counter()
        self._labelled: dict[str, defaultdict[str, set[str]]] = {}
        for entry in entries.values():
            self._enter(entry)
        self._ids = sorted(self._entries)
        self._order = sorted(_rank(entry) for entry in self._entries.values())
        self._answers: dict[ImageQuery, tuple[ImageSummary, ...]] = {}

    @property
    def generation(self) -> int:
        """A number that changes with every change."""
        return self._generation

    def differs(self, entries: Mapping[Digest, Entry | None]) -> bool:
        """Whether `change` with `entries` would change the list, the times of last use aside."""
        return any(not _is_same(self.find_entry(image), entry) for image, entry in entries.items())

    def note_use(self, image: Digest, now_ns: int, *, apart_ns: int) -> bool:
        """Take it that `image` was used at `now_ns`; return False if it was used less than `apart_ns` before."""
        with self._lock:
            entry = self._entries.get(image.encoded)
            if entry is None or now_ns - entry.summary.last_used_ns < apart_ns:
                return False
            self._entries[image.encoded] = _used(entry, now_ns)
            self._answers.clear()
            return True

    def change(self, entries: Mapping[Digest, Entry | None], generation: int) -> None:
        """Take what a transaction has made of some images; None for those that it has removed."""
        with self._lock:
            kept = {image: self._kept(image, entry) for image, entry in entries.items()}
            # A name may move from one image to another: all are taken away before any is given.
            for image in kept:
                self._leave(image)
            for entry in kept.values():
                if entry is not None:
                    self._enter(entry)
                    insort(self._ids, entry.summary.id.encoded)
                    insort(self._order, _rank(entry))
            self._answers.clear()
            self._generation = generation

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, reference: Reference) -> Digest | None:
        """Return the image that `reference` names; without tag and digest it names the default tag."""
        return self._named.get(stored_name(reference))

    def find_entry(self, image: Digest) -> Entry | None:
        """Return what the list knows of `image`."""
        return self._entries.get(image.encoded)

    def heads(self, *, named_parents: bool) -> list[Entry]:
        """Return the images that are nobody's parent, or with `named_parents` have a name, in the order of the list."""
        with self._lock:
            entries = (self._entries[encoded] for _, encoded in self._order)
            return [
                entry for entry in entries if (named_parents and entry.names) or entry.summary.id not in self._parents
            ]

    def names(self) -> list[tuple[Reference, Digest]]:
        """Return every name with the image that it names, in the order of their canonical forms."""
        with self._lock:
            return sorted((name, entry.summary.id) for entry in self._entries.values() for name in entry.names)

    def resolve(self, name: str) -> Digest:
        """Return the image that `name` means: a reference, an id, or the beginning of one, with or without `sha256:`.

        Raises `NotFound` also where several ids begin so, and `InvalidInput` for what cannot be a name.
        """
        full = _FULL_ID.fullmatch(name)
        if full is not None:
            if full[1] not in self._entries:
                raise NotFound(f"No such image: sha256:{full[1]}")
            return Digest(full[1])
        reference = Reference.parse(name)
        found = self.find(reference)
        if found is None:
            prefix = _PREFIX.fullmatch(name)
            found = self._find_prefix(prefix[1]) if prefix is not None else None
        if found is None:
            raise NotFound(f"No such image: {reference.with_default_tag().familiar}")
        return found

    def list(self, query: ImageQuery, now_ns: int = 0) -> list[ImageSummary]:
        """Return the images that `query` selects, newest first by the second, then by id.

        The time `now_ns` matters for queries with `unused_for_ns`.

        Raises `NotFound` for a bound that names no image, and `InvalidInput` for a pattern that is none.
        """
        bounds = self._bounds(query, now_ns)
        with self._lock:
            answer = self._answers.get(query)
            if answer is None:
                answer = tuple(select_images(self._candidates(query), query, bounds, self._parents))
                # What was not used for some time changes with the time.
                if query.unused_for_ns is None and len(self._answers) < _REMEMBERED_ANSWERS:
                    self._answers[query] = answer
            return list(answer)

    def _candidates(self, query: ImageQuery) -> Iterable[Entry]:
        """Return entries in the order of the list, among them all that `query` may select."""
        if not query.references or not all(is_plain(pattern) for pattern in query.references):
            labelled = self._with_labels(query.labels)
            if labelled is None or len(labelled) > len(self._entries) // 4:  # Then sorting them costs more.
                return (self._entries[encoded] for _, encoded in self._order)
            return sorted((self._entries[encoded] for encoded in labelled), key=_rank)
        # Clients ask for one image by its name more than for anything else.
        found: set[str] = set()
        for pattern in query.references:
            with suppress(InvalidInput):  # Then it is nobody's name.
                found.update(self._repositories.get(Reference.parse(pattern).name, ()))
        return sorted((self._entries[encoded] for encoded in found), key=_rank)

    def _with_labels(self, labels: Iterable[str]) -> set[str] | None:
        """Return the images with the rarest of `labels`, None where none of them has a value."""
        found = []
        for label in labels:
            key, equals, value = label.partition("=")
            if equals:
                found.append(self._values(key).get(value, set()))
        return min(found, key=len, default=None)

    def _values(self, key: str) -> Mapping[str, set[str]]:
        """Return the images by their values of the label `key`: from its first use on, for some keys at a time."""
        values = self._labelled.get(key)
        if values is None:
            if len(self._labelled) >= _INDEXED_KEYS:
                del self._labelled[next(iter(self._labelled))]
            values = self._labelled[key] = defaultdict(set)
            for encoded, entry in self._entries.items():
                labels = entry.summary.labels
                if labels is not None and key in labels:
                    values[labels[key]].add(encoded)
        return values

    def _bounds(self, query: ImageQuery, now_ns: int) -> Bounds:
        before = [self._created(name) for name in query.before] + list(query.until_ns)
        since = [self._created(name) for name in query.since]
        used_ns = None if query.unused_for_ns is None else now_ns - query.unused_for_ns
        return Bounds(max(since, default=None), min(before, default=None), used_ns)

    def _created(self, name: str) -> int:
        image = self.resolve(name)
        entry = self.find_entry(image)
        if entry is None:
            raise NotFound(f"No such image: {image}")
        return entry.summary.created_ns

    def _find_prefix(self, prefix: str) -> Digest | None:
        with self._lock:
            start = bisect_left(self._ids, prefix)
            found = [encoded for encoded in self._ids[start : start + 2] if encoded.startswith(prefix)]
        return Digest(found[0]) if len(found) == 1 else None

    def _kept(self, image: Digest, entry: Entry | None) -> Entry | None:
        """Return `entry`, or what is here already if that says the same; the last use is the later of both."""
        known = self._entries.get(image.encoded)
        if entry is None or known is None:
            return entry
        last_used_ns = max(entry.summary.last_used_ns, known.summary.last_used_ns)
        return _used(known if _is_same(known, entry) else entry, last_used_ns)

    def _enter(self, entry: Entry) -> None:
        summary = entry.summary
        self._entries[summary.id.encoded] = entry
        for name in entry.names:
            self._named[name.canonical] = summary.id
            self._repositories[name.name].add(summary.id.encoded)
        for key, values in self._labelled.items():
            if key in (summary.labels or {}):
                values[(summary.labels or {})[key]].add(summary.id.encoded)
        if summary.parent is not None:
            self._parents[summary.parent] += 1

    def _leave(self, image: Digest) -> None:
        entry = self._entries.pop(image.encoded, None)
        if entry is None:
            return
        del self._ids[bisect_left(self._ids, image.encoded)]
        del self._order[bisect_left(self._order, _rank(entry))]
        for name in entry.names:
            del self._named[name.canonical]
        for repository in {name.name for name in entry.names}:
            self._repositories[repository].discard(image.encoded)
            if not self._repositories[repository]:
                del self._repositories[repository]
        for key, values in self._labelled.items():
            value = (entry.summary.labels or {}).get(key)
            if value is not None:
                values[value].discard(image.encoded)
                if not values[value]:
                    del values[value]
        if entry.summary.parent is not None:
            self._parents -= Counter((entry.summary.parent,))


def _used(entry: Entry, last_used_ns: int) -> Entry:
    if entry.summary.last_used_ns == last_used_ns:
        return entry
    return Entry(replace(entry.summary, last_used_ns=last_used_ns), entry.names)


def _is_same(one: Entry | None, other: Entry | None) -> bool:
    """Whether both say the same in the list, which does not show when an image was last used."""
    if one is None or other is None:
        return one is other
    return one.names == other.names and replace(one.summary, last_used_ns=0) == replace(other.summary, last_used_ns=0)


def _rank(entry: Entry) -> tuple[int, str]:
    return -(entry.summary.created_ns // 1_000_000_000), entry.summary.id.encoded


def stored_name(reference: Reference) -> str:
    """Return the text under which `reference` is kept: a digest says it all, whatever tag stands beside it."""
    if reference.digest is not None:
        return f"{reference.name}@{reference.digest}"
    return reference.with_default_tag().canonical
