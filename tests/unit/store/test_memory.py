from imagewright.store.memory import Recent


def test_the_oldest_make_room() -> None:
    recent: Recent[str, int] = Recent(10)
    recent.put("a", 1, 4)
    recent.put("b", 2, 4)
    assert recent.find("a") == 1
    recent.put("c", 3, 4)
    assert [recent.find(key) for key in "abc"] == [1, None, 3]


def test_one_that_is_too_heavy_is_not_kept() -> None:
    recent: Recent[str, int] = Recent(10)
    recent.put("a", 1, 4)
    recent.put("b", 2, 11)
    assert [recent.find(key) for key in "ab"] == [1, None]


def test_a_key_is_put_again() -> None:
    recent: Recent[str, int] = Recent(10)
    recent.put("a", 1, 9)
    recent.put("a", 2, 5)
    recent.put("b", 3, 5)
    assert [recent.find(key) for key in "ab"] == [2, 3]


def test_dropping() -> None:
    recent: Recent[str, int] = Recent(10)
    for key in "abc":
        recent.put(key, 1, 3)
    recent.drop("a")
    recent.drop("a")
    recent.drop_where(lambda key: key == "b")
    assert [recent.find(key) for key in "abc"] == [None, None, 1]
