"""Too many wrong keys from one address."""

from __future__ import annotations

from target_service.gateway import lockout
from target_service.gateway.lockout import Lockout, LockoutRules

RULES = LockoutRules(failures_max=5, window_s=60.0, lock_s=30.0)


def test_the_fifth_wrong_key_within_the_window_locks_the_address_out_for_a_time() -> None:
    made = Lockout(RULES)
    assert [made.failed("a", float(at_s)) for at_s in (0, 10, 20, 30, 59)] == [None, None, None, None, 5]
    assert made.wait_s("a", 60.0) == 29.0
    assert made.wait_s("b", 60.0) == 0.0
    assert made.wait_s("a", 89.0) == 0.0


def test_the_window_slides() -> None:
    made = Lockout(RULES)
    assert [made.failed("a", float(at_s)) for at_s in (0, 1, 2, 3, 60, 61)] == [None] * 6
    # 0 and 1 have slid out; 2, 3, 60, 61 and this one are left.
    assert made.failed("a", 61.5) == 5


def test_after_the_lock_an_address_begins_anew() -> None:
    made = Lockout(RULES)
    for at_s in range(5):
        made.failed("a", float(at_s))
    assert made.failed("a", 40.0) is None
    assert made.wait_s("a", 40.0) == 0.0


def test_a_limit_of_0_never_locks_and_keeps_nothing() -> None:
    made = Lockout(LockoutRules(failures_max=0))
    assert [made.failed("a", 0.0) for _ in range(100)] == [None] * 100
    assert not made._records


def test_many_addresses_do_not_fill_the_memory() -> None:
    made = Lockout(RULES)
    for number in range(lockout.ADDRESSES_MAX + 10):
        made.failed(str(number), 0.0)
    assert len(made._records) == lockout.ADDRESSES_MAX
