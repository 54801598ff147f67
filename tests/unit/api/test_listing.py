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
    assert listing.encode([], MAXIMUM) == b"[]"


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
