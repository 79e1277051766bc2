"""What a table has to hold after any sequence of publishes, roll-backs and retentions; versions are numbers."""

from collections.abc import Sequence


class History:
    """The model that the state machines compare a table with."""

    def __init__(self) -> None:
        self.known: list[int] = []
        """Every snapshot, in the order of publishing."""
        self.current: int | None = None
        self.parents: dict[int, int | None] = {}
        """What was current when a version was published."""
        self.back: set[int] = set()
        """What readers saw after what they were pointed back to, and nobody named since."""

    def see(self, number: int | None) -> None:
        """From here on readers see another version."""
        if number is not None:
            if self.current is not None and self.current > number:
                self.back.add(self.current)
            self.back.discard(number)
        self.current = number

    def before(self, number: int, known: Sequence[int]) -> int | None:
        """Where a roll-back from a version leads, if these are kept."""
        while (parent := self.parents[number]) is not None and (parent in known or parent in self.back):
            if parent in known and parent not in self.back:
                return parent
            number = parent
        return max((n for n in known if n < number and n not in self.back), default=None)

    def removed(self, keep: int, known: Sequence[int], current: int | None) -> list[int]:
        """What retention removes from these, in the order of removal."""
        if current is None:
            return []
        first = [current, self.before(current, known)]
        good = [n for n in sorted(known, reverse=True) if n not in self.back]
        bad = [n for n in sorted(known, reverse=True) if n in self.back]
        order = [n for n in first if n is not None]
        order += [n for n in (*good, *bad) if n not in order]
        return order[keep:][::-1]

    def while_publishing(self, number: int, keep: int) -> list[tuple[list[int], int]]:
        """Snapshots and current version from the moment that a new one is current to the end of retention."""
        known = [*self.known, number]
        states = [(known, number)]
        for old in self.removed(keep, known, number):
            known = [n for n in known if n != old]
            states.append((known, number))
        return states
