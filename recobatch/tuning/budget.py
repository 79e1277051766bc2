"""How long a search goes on."""

import re
from dataclasses import dataclass
from typing import Self

from recobatch.errors import BadSettings

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_TEXT = re.compile(r"(?P<number>\d+(\.\d+)?)\s*(?P<unit>s|m|h|trials?)?")


@dataclass(frozen=True)
class Budget:
    """The end of a search: after some seconds of this run, or with some finished trials in the study."""

    seconds: float | None = None
    trials: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``60s``, ``10m``, ``2h``, ``200 trials``; a bare number is one of trials.

        Raises:
            BadSettings: If the text is neither, or zero.
        """
        match = _TEXT.fullmatch(text.strip().lower())
        number = float(match["number"]) if match else 0.0
        unit = (match and match["unit"]) or "trials"
        is_whole = number.is_integer() or unit in _SECONDS
        if match is None or number <= 0 or not is_whole:
            raise BadSettings(
                f"--budget: found {text!r}, expected a duration such as 60s, 10m or 2h, or a number of trials such as "
                f"'200 trials'; pass one of them"
            )
        return cls(seconds=number * _SECONDS[unit]) if unit in _SECONDS else cls(trials=int(number))

    def __str__(self) -> str:
        return f"{self.trials} trials" if self.trials is not None else f"{self.seconds:g}s"
