"""An export that stops after its first rows, for tests that kill it there."""

KILLED = """
import sys, time
from recobatch.table import open_table
from recobatch.table.export import export
def stop(rows):
    print("copied", rows, flush=True)
    time.sleep(60)
export(open_table(sys.argv[1]).snapshot(), "predictions", sys.argv[2], stop)
"""
