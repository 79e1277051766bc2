"""Every kind of bad and odd input with its outcome: the cases of the tests, and the table of docs/bad-input.md.

``python -m tests.support.bad_input docs/bad-input.md`` updates the table.
"""

from tests.support.bad_input.kind import FILE, TABLE
from tests.support.bad_input.odd import ODD, ODD_FILES
from tests.support.bad_input.page import REFUSED, with_table

__all__ = ["FILE", "ODD", "ODD_FILES", "REFUSED", "TABLE", "with_table"]
