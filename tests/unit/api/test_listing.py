import dataclasses
import json

from imagewright.api.listing import Listing
from imagewright.api.versions import MAXIMUM, ApiVersion
from unit.api.fake_engine import FakeEngine


def test_entries_are_those_of_the_version() -> None:
    engine, listing = FakeEngine(), Listing()
    engine.add("a:1")
    engine.add()
    images = engine.list()
    for _ in range(2):
        old = json.loads(listing.encode(images, ApiVersion((1, 41))))
        new = json.loads(listing.encode(images, MAXIMUM))
        assert [entry["RepoTags"] for entry in old] == [["a:1"], ["<none>:<none>"]]
        assert [entry["RepoTags"] for entry in new] == [["a:1"], []]
    assert listing.encode([], MAXIMUM) == b"[]\n"


def test_an_entry_follows_its_summary() -> None:
    engine, listing = FakeEngine(), Listing()
    image = engine.add("a:1")
    before = listing.encode(engine.list(), MAXIMUM)
    engine.tag(str(image), engine.images[image].tags[0].with_tag("2"))
    assert listing.encode(engine.list(), MAXIMUM) != before


def test_a_short_list_does_not_push_the_others_out() -> None:
    engine, listing = FakeEngine(), Listing()
    for number in range(10):
        engine.add(f"a:{number}")
    images = engine.list()
    whole = listing.encode(images, MAXIMUM)
    assert json.loads(listing.encode(images[:1], MAXIMUM)) == json.loads(whole)[:1]
    assert listing.encode(images, MAXIMUM) == whole


def test_shared_sizes_are_there_on_request() -> None:
    engine, listing = FakeEngine(), Listing()
    engine.add("a:1")
    images = engine.list()
    for _ in range(2):
        assert json.loads(listing.encode(images, MAXIMUM, shared=True))[0]["SharedSize"] == 234
        assert json.loads(listing.encode(images, MAXIMUM))[0]["SharedSize"] == -1


def test_shapes_are_forgotten_when_there_are_many() -> None:
    engine, listing = FakeEngine(), Listing()
    engine.add("a:1")
    images = engine.list()
    versions = [ApiVersion((1, minor)) for minor in (42, 43, 44, 51)]
    shapes = {listing.shape(version, shared=shared) for version in versions for shared in (False, True)}
    assert len(shapes) == 8
    whole = [listing.encode(images, version, shared=True) for version in versions]
    assert len(listing._entries) == 3
    assert [listing.encode(images, version, shared=True) for version in versions] == whole


def test_lists_are_put_by_as_far_as_there_is_room() -> None:
    listing = Listing()
    for number in range(4):
        listing.keep(str(number), b"x" * (4 << 20))
        assert listing.find("0") is not None
    assert [listing.find(str(number)) is not None for number in range(4)] == [True, False, True, True]
    listing.keep("0", b"y")
    listing.keep("0", b"z")
    assert listing.find("0") == b"z"


def test_one_very_long_list_is_put_by_with_some_short_ones() -> None:
    listing = Listing()
    for number in range(2):
        listing.keep(f"big{number}", b"x" * (13 << 20))
        listing.keep(f"small{number}", b"x" * (6 << 20))
    assert [listing.find(tag) is not None for tag in ("big0", "small0", "big1", "small1")] == [False, False, True, True]
    listing.keep("small2", b"x" * (6 << 20))
    assert listing.find("big1") is None
    listing.keep("small3", b"x" * (6 << 20))
    assert listing._bodies_size == 12 << 20


def test_an_entry_that_only_a_short_list_has_is_not_kept() -> None:
    engine, listing = FakeEngine(), Listing()
    for number in range(10):
        engine.add(f"a:{number}", f"b:{number}")
    images = engine.list()
    listing.encode(images, MAXIMUM)
    partial = dataclasses.replace(images[0], tags=("a:0",))
    shown = json.loads(listing.encode([partial, images[1]], MAXIMUM))
    assert [entry["RepoTags"] for entry in shown] == [["a:0"], ["a:1", "b:1"]]
    assert len(listing._known(listing.shape(MAXIMUM, shared=False))) == 10


def test_entries_of_images_that_are_gone_are_forgotten() -> None:
    engine, listing = FakeEngine(), Listing()
    for number in range(10):
        engine.add(f"a:{number}")
    images = engine.list()
    listing.encode(images, MAXIMUM)
    fresh = [dataclasses.replace(image, tags=("x:1",)) for image in images[:4]]
    listing.encode([*fresh, *images[4:]], MAXIMUM)
    assert len(listing._known(listing.shape(MAXIMUM, shared=False))) == 10
