"""What an import brings along."""

import json
import subprocess
import sys


def modules_after(code):
    """Names of the modules that a fresh interpreter has loaded after running ``code``."""
    program = f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))
