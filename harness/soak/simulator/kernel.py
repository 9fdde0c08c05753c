"""The simulator's inner loop: tries in the order of time, each decided as a whole the moment it arrives.

With first come first served queues and known outages, when a try starts and ends follows from the tries before it alone
(the recursion of Kiefer and Wolfowitz, Trans. AMS 78, 1955, for c servers). So there is no event per start or end: only
arrivals, failures whose sender decides at that moment whether to try again, and retries.

These functions run as they stand on lists, and compiled on arrays (`engine.py`); both give the same bits. So: two flat
arrays (`n` whole numbers, `x` others; layout.py says what lies where), nothing from a library, and no helper outside
this file, which is all that the cache of compiled code looks at.
"""

from __future__ import annotations

from collections.abc import MutableSequence
from typing import TypeAlias

__all__ = ["run"]

Floats: TypeAlias = MutableSequence[float]
Ints: TypeAlias = MutableSequence[int]
# now, when the request was due, its service time (all s), its index, which try this is from 1, the last replica or -1
Try: TypeAlias = tuple[float, float, float, int, int, int]

OK, REJECTED, REFUSED, RESET, TIMEOUT, UNFINISHED = range(6)
HANG, CRASH = 0, 1
# Addresses in `n`: the ends are counted at 0 to 5; then counters, rules, and where each table begins (layout.py).
CURSOR, PENDING, FREE_IDS, SEQUENCE, DRAW, TRIED, RETRIED, DENIED, ROTATION, STARTED, BACKLOG_MAX, TIGHT = range(6, 18)
REPLICAS, SERVERS, QUEUE_LIMIT, WAITING_MAX, CANCELS, SPREAD, TRIES_MAX, JITTER, RETRY_REJECTED = range(18, 27)
WINDOWS, RECORD, FIRST_INDEX, LAST = range(27, 31)
(
    AT_DOWN_FIRST, AT_DOWN_KIND, AT_AWAY_FIRST, AT_NEXT_DOWN, AT_NEXT_AWAY, AT_WAITING, AT_HEAP, AT_IDS, AT_ORDER,
    AT_INDEX, AT_TRIES, AT_REPLICA, AT_END, AT_WINDOW_ARRIVALS, AT_WINDOW_OK, AT_WINDOW_BACKLOG, AT_HISTOGRAM,
    AT_ENDED, AT_FREE_S, AT_LEAVE_S, AT_BUSY_S, AT_DOWN_BEGIN_S, AT_DOWN_END_S, AT_AWAY_BEGIN_S, AT_AWAY_END_S,
    AT_WHEN_S, AT_FIRST_S, AT_SERVICE_S, AT_LATENCY_S,
) = range(31, 60)  # fmt: skip
SINGLE_N, SINGLE_X = 60, 11  # how many of each
# Addresses in `x`: sums, then rules.
SAVED, WAIT_S, LATENCY_S, LATENCY_S_MAX = range(4)
DEADLINE_S, TRY_TIMEOUT_S, BACKOFF_S, BACKOFF_MAX_S, RETRY_SHARE, SAVED_MAX, WINDOWS_PER_S = range(4, 11)
DONE, NO_ROOM = 0, 1
# Ten tenths are a little less than one; as in the reference gateway's budget.
ROUNDING = 1e-9
INFINITE = float("inf")


def run(n: Ints, x: Floats, arrival_s: Floats, service_s: Floats) -> int:
    """Work through a chunk of arrivals; NO_ROOM: a table must grow before it is called again."""
    count = len(arrival_s)
    while True:
        if n[TIGHT] != 0:
            return NO_ROOM
        cursor = n[CURSOR]
        if n[PENDING] > 0 and (cursor == count or x[n[AT_WHEN_S] + n[n[AT_HEAP]]] <= arrival_s[cursor]):
            if cursor == count and n[LAST] == 0:
                return DONE
            _next_event(n, x)
        elif cursor < count:
            now = arrival_s[cursor]
            x[SAVED] = min(x[SAVED] + x[RETRY_SHARE], x[SAVED_MAX])
            n[n[AT_WINDOW_ARRIVALS] + min(int(now * x[WINDOWS_PER_S]), n[WINDOWS] - 1)] += 1
            n[CURSOR] = cursor + 1
            _try(n, x, (now, now, service_s[cursor], n[FIRST_INDEX] + cursor, 1, -1))
        else:
            return DONE


def _next_event(n: Ints, x: Floats) -> None:
    """The earliest pending thing: a failure that its sender hears of now, or a retry."""
    one = _pop(n, x)
    when_s, first_s, service_s = x[n[AT_WHEN_S] + one], x[n[AT_FIRST_S] + one], x[n[AT_SERVICE_S] + one]
    what = (when_s, first_s, service_s, n[n[AT_INDEX] + one], n[n[AT_TRIES] + one], n[n[AT_REPLICA] + one])
    end = n[n[AT_END] + one]
    if end == OK:
        n[RETRIED] += 1
        _try(n, x, what)
    else:
        _failed(n, x, what, end)


def _try(n: Ints, x: Floats, what: Try) -> None:
    """One try: choose a replica, wait, be served, and settle how it ends."""
    now, first_s, service_s, index, tries, avoid = what
    n[TRIED] += 1
    replica = _route(n, x, now, avoid)
    here = (now, first_s, service_s, index, tries, replica)
    if replica < 0 or not _arrive(n, x, replica, now):
        _failed(n, x, here, REFUSED)
        return
    servers = n[AT_FREE_S] + replica * n[SERVERS]
    start_s = max(now, x[servers])
    if start_s > now and n[QUEUE_LIMIT] >= 0 and n[n[AT_WAITING] + replica] >= n[QUEUE_LIMIT]:
        _failed(n, x, here, REJECTED)
        return
    give_up_s = min(now + x[TRY_TIMEOUT_S], first_s + x[DEADLINE_S])
    end_s, lost = _served(n, x, replica, (start_s, service_s))
    free_s = end_s
    if n[CANCELS] != 0 and end_s > give_up_s:  # a server that hangs hears of it when it goes on
        free_s = min(end_s, _awake(n, x, replica, give_up_s))
    if start_s > now:
        _wait(n, x, replica, (now, min(start_s, free_s)))
    if start_s < free_s:
        n[STARTED] += 1
        x[WAIT_S] += start_s - now
        x[n[AT_BUSY_S] + replica] += free_s - start_s
        _replace_first(x, servers, n[SERVERS], free_s)
    if end_s > give_up_s:
        _fails_later(n, x, (give_up_s, first_s, service_s, index, tries, replica), TIMEOUT)
    elif lost:
        _fails_later(n, x, (end_s, first_s, service_s, index, tries, replica), RESET)
    else:
        _settle(n, x, (end_s, first_s, index), UNFINISHED if end_s == INFINITE else OK)


def _route(n: Ints, x: Floats, now: float, avoid: int) -> int:
    """The replica that the gateway chooses, rather not the one that failed; -1 when it believes none to be up."""
    begin = 0
    if n[SPREAD] != 0:
        begin = n[ROTATION]
        n[ROTATION] = begin + 1 if begin + 1 < n[REPLICAS] else 0
    fallback = -1
    for step in range(n[REPLICAS]):
        replica = begin + step
        if replica >= n[REPLICAS]:
            replica -= n[REPLICAS]
        here, last = n[n[AT_NEXT_AWAY] + replica], n[n[AT_AWAY_FIRST] + replica + 1]
        while here < last and x[n[AT_AWAY_END_S] + here] <= now:
            here += 1
        n[n[AT_NEXT_AWAY] + replica] = here
        if here < last and x[n[AT_AWAY_BEGIN_S] + here] <= now:
            continue
        if replica != avoid:
            return replica
        fallback = replica
    return fallback


def _arrive(n: Ints, x: Floats, replica: int, now: float) -> bool:
    """Bring a replica's servers and queue up to now; False when it has crashed and refuses."""
    here, last = n[n[AT_NEXT_DOWN] + replica], n[n[AT_DOWN_FIRST] + replica + 1]
    while here < last and x[n[AT_DOWN_END_S] + here] <= now:
        if n[n[AT_DOWN_KIND] + here] == CRASH:  # it starts anew, with empty hands
            n[n[AT_WAITING] + replica] = 0
            for place in range(replica * n[SERVERS], (replica + 1) * n[SERVERS]):
                x[n[AT_FREE_S] + place] = x[n[AT_DOWN_END_S] + here]
        here += 1
    n[n[AT_NEXT_DOWN] + replica] = here
    queue, size = n[AT_LEAVE_S] + replica * n[WAITING_MAX], n[n[AT_WAITING] + replica]
    while size > 0 and x[queue] <= now:
        size -= 1
        _replace_first(x, queue, size, x[queue + size])
    n[n[AT_WAITING] + replica] = size
    return not (here < last and x[n[AT_DOWN_BEGIN_S] + here] <= now and n[n[AT_DOWN_KIND] + here] == CRASH)


def _served(n: Ints, x: Floats, replica: int, work: tuple[float, float]) -> tuple[float, bool]:
    """When work (its start, its length) ends, standing still in hangs; and whether a crash ends it first."""
    time_s, left_s = work
    for here in range(n[n[AT_NEXT_DOWN] + replica], n[n[AT_DOWN_FIRST] + replica + 1]):
        begin_s, end_s = x[n[AT_DOWN_BEGIN_S] + here], x[n[AT_DOWN_END_S] + here]
        if time_s + left_s <= begin_s:
            break
        if n[n[AT_DOWN_KIND] + here] == CRASH:
            return begin_s, True
        if time_s < end_s:
            left_s -= max(0.0, begin_s - time_s)
            time_s = end_s
    return time_s + left_s, False


def _awake(n: Ints, x: Floats, replica: int, time_s: float) -> float:
    """`time_s`, or the end of the hang in which it lies."""
    for here in range(n[n[AT_NEXT_DOWN] + replica], n[n[AT_DOWN_FIRST] + replica + 1]):
        if x[n[AT_DOWN_BEGIN_S] + here] > time_s:
            break
        if n[n[AT_DOWN_KIND] + here] == HANG and time_s < x[n[AT_DOWN_END_S] + here]:
            time_s = x[n[AT_DOWN_END_S] + here]
    return time_s


def _wait(n: Ints, x: Floats, replica: int, stay: tuple[float, float]) -> None:
    """Put one into the queue of a replica, a heap of the times at which they leave it."""
    now, leave_s = stay
    queue, place = n[AT_LEAVE_S] + replica * n[WAITING_MAX], n[n[AT_WAITING] + replica]
    size = place + 1
    while place > 0 and x[queue + (place - 1) // 2] > leave_s:
        x[queue + place] = x[queue + (place - 1) // 2]
        place = (place - 1) // 2
    x[queue + place] = leave_s
    n[n[AT_WAITING] + replica] = size
    n[BACKLOG_MAX] = max(n[BACKLOG_MAX], size)
    window = n[AT_WINDOW_BACKLOG] + min(int(now * x[WINDOWS_PER_S]), n[WINDOWS] - 1)
    n[window] = max(n[window], size)
    if size + 1 >= n[WAITING_MAX]:
        n[TIGHT] = 1


def _replace_first(x: Floats, heap: int, size: int, value: float) -> None:
    """Replace the smallest of a heap of `size` values that begins at `heap`."""
    place = 0
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and x[heap + child + 1] < x[heap + child]:
            child += 1
        if x[heap + child] >= value:
            break
        x[heap + place] = x[heap + child]
        place = child
    x[heap + place] = value


def _fails_later(n: Ints, x: Floats, what: Try, end: int) -> None:
    """A failure at a later time; what its sender does then depends on what happens until then."""
    if what[4] >= n[TRIES_MAX] or what[0] >= what[1] + x[DEADLINE_S]:
        _settle(n, x, (what[0], what[1], what[3]), end)
    else:
        _push(n, x, what, end)


def _failed(n: Ints, x: Floats, what: Try, end: int) -> None:
    """A try has failed now: try again if tries, deadline and budget allow it."""
    now, first_s, service_s, index, tries, replica = what
    if tries < n[TRIES_MAX] and (end != REJECTED or n[RETRY_REJECTED] != 0):
        wait_s = min(x[BACKOFF_S] * 2.0 ** (tries - 1), x[BACKOFF_MAX_S])
        if n[JITTER] != 0:  # Park and Miller's generator, CACM 31 (1988): the same in 64 bits and in Python
            n[DRAW] = n[DRAW] * 48271 % 2147483647
            wait_s *= n[DRAW] / 2147483647
        if now + wait_s < first_s + x[DEADLINE_S]:
            if x[SAVED] >= 1 - ROUNDING:
                x[SAVED] = max(0.0, x[SAVED] - 1)
                _push(n, x, (now + wait_s, first_s, service_s, index, tries + 1, replica), OK)
                return
            n[DENIED] += 1
    _settle(n, x, (now, first_s, index), end)


def _settle(n: Ints, x: Floats, what: tuple[float, float, int], end: int) -> None:
    """A request has reached its end, the only one it will have."""
    end_s, first_s, index = what
    n[end] += 1
    latency_s = end_s - first_s
    if end == OK:
        x[LATENCY_S] += latency_s
        x[LATENCY_S_MAX] = max(x[LATENCY_S_MAX], latency_s)
        n[n[AT_WINDOW_OK] + min(int(first_s * x[WINDOWS_PER_S]), n[WINDOWS] - 1)] += 1
        # As HdrHistogram: whole microseconds, 2,048 steps, each octave above at half the resolution.
        steps, octave = int(min(latency_s, 1e9) * 1e6 + 0.5), 0
        while steps >= 2048:
            steps >>= 1
            octave += 1
        n[n[AT_HISTOGRAM] + octave * 1024 + steps] += 1
    if n[RECORD] != 0:
        n[n[AT_ENDED] + index] = end
        x[n[AT_LATENCY_S] + index] = latency_s


def _before(n: Ints, x: Floats, one: int, other: int) -> bool:
    """Whether one pending thing comes before another: by time, then in the order in which they were made."""
    first, second = x[n[AT_WHEN_S] + one], x[n[AT_WHEN_S] + other]
    return first < second or (first == second and n[n[AT_ORDER] + one] < n[n[AT_ORDER] + other])


def _push(n: Ints, x: Floats, what: Try, end: int) -> None:
    """Something that happens later: `end` OK for a retry, otherwise a failure."""
    n[FREE_IDS] -= 1
    one = n[n[AT_IDS] + n[FREE_IDS]]
    x[n[AT_WHEN_S] + one], x[n[AT_FIRST_S] + one], x[n[AT_SERVICE_S] + one] = what[0], what[1], what[2]
    n[n[AT_INDEX] + one], n[n[AT_TRIES] + one], n[n[AT_REPLICA] + one] = what[3], what[4], what[5]
    n[n[AT_END] + one], n[n[AT_ORDER] + one] = end, n[SEQUENCE]
    n[SEQUENCE] += 1
    place = n[PENDING]
    n[PENDING] = place + 1
    while place > 0 and _before(n, x, one, n[n[AT_HEAP] + (place - 1) // 2]):
        n[n[AT_HEAP] + place] = n[n[AT_HEAP] + (place - 1) // 2]
        place = (place - 1) // 2
    n[n[AT_HEAP] + place] = one
    if n[FREE_IDS] == 0:
        n[TIGHT] = 1


def _pop(n: Ints, x: Floats) -> int:
    """The earliest pending thing."""
    top = n[n[AT_HEAP]]
    n[n[AT_IDS] + n[FREE_IDS]] = top
    n[FREE_IDS] += 1
    size = n[PENDING] - 1
    n[PENDING] = size
    last, place = n[n[AT_HEAP] + size], 0
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and _before(n, x, n[n[AT_HEAP] + child + 1], n[n[AT_HEAP] + child]):
            child += 1
        if not _before(n, x, n[n[AT_HEAP] + child], last):
            break
        n[n[AT_HEAP] + place] = n[n[AT_HEAP] + child]
        place = child
    n[n[AT_HEAP] + place] = last
    return top
