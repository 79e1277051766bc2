"""Requests to an object store that are worth another attempt, beyond those that obstore repeats by itself."""

import time
from collections.abc import Callable
from typing import TypeVar

_ATTEMPTS = 6
_T = TypeVar("_T")


def persistent(request: Callable[[], _T]) -> _T:
    """Repeat a request that was answered with 409, or whose answer broke off.

    409 says that another request for the same name is under way: nothing was done, and nothing is known of the name.
    Of a write whose answer broke off nobody knows whether it was done; if it was, the next attempt fails on its
    condition.
    """
    for attempt in range(1, _ATTEMPTS):
        try:
            return request()
        except Exception as error:  # obstore's kinds do not tell these apart
            if "409 Conflict" not in str(error) and "response body error" not in str(error):
                raise
            time.sleep(min(2.0, 0.05 * 2**attempt))
    return request()
