"""Updates the table of the pages that are named."""

import sys
from pathlib import Path

from tests.support.bad_input.page import with_table

for name in sys.argv[1:]:
    path = Path(name)
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
