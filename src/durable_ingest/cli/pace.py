"""How fast a run is, and how long it will take."""

from __future__ import annotations

from collections import deque

__all__ = ["Pace", "spoken_duration"]

_WINDOW = 60.0
_MINUTE = 60
_HOUR = 3600


class Pace:
    """Documents per second over the last minute.

    Documents that were found unchanged count at once, when a run is planned; give the first
    sample after that, or the rate is theirs.
    """

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, now: float, done: int) -> None:
        """Note that `done` documents were finished at `now`, in seconds of any clock."""
        if self._samples and done < self._samples[-1][1]:
            self._samples.clear()  # another run counts anew
        self._samples.append((now, done))
        while len(self._samples) > 2 and now - self._samples[1][0] >= _WINDOW:  # noqa: PLR2004 - two make a rate
            self._samples.popleft()

    @property
    def rate(self) -> float | None:
        """Documents per second; None while nothing is known."""
        if not self._samples:
            return None
        (began, before), (now, done) = self._samples[0], self._samples[-1]
        if now <= began or done <= before:
            return None
        return (done - before) / (now - began)

    def left(self, total: int) -> float | None:
        """Seconds until `total` documents are finished; None while nothing is known."""
        rate = self.rate
        if rate is None:
            return None
        return max(0, total - self._samples[-1][1]) / rate


def spoken_duration(seconds: float) -> str:
    """A length of time in two units at most: `42 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE} min"
