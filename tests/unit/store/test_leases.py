from imagewright.oci import Digest
from imagewright.store.leases import Leases

A, B = Digest.of(b"a"), Digest.of(b"b")


def test_what_is_kept_is_not_condemned() -> None:
    leases = Leases()
    lease = leases.open()
    assert leases.keep(A)
    assert leases.keep(A)
    assert leases.condemn([A, B]) == [B]
    assert not leases.keep(B)
    leases.acquit([B])
    assert leases.keep(B)
    leases.close(lease)
    leases.close(lease)
    assert leases.condemn([A, B]) == [A, B]


def test_every_open_lease_keeps() -> None:
    leases = Leases()
    first, second = leases.open(), leases.open()
    leases.keep(A)
    leases.close(first)
    assert leases.condemn([A]) == []
    leases.close(second)
    assert leases.condemn([A]) == [A]


def test_without_a_lease_nothing_is_kept() -> None:
    leases = Leases()
    assert leases.keep(A)
    leases.open()
    assert leases.condemn([A]) == [A]
