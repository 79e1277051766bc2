"""An environment of its own for each tool that ours is compared with: their requirements do not go together."""

import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = {
    "surprise": ("numpy<2", "scipy<1.16", "pandas<3", "scikit-surprise==1.1.4"),
    "cornac": ("cornac==2.3.5",),
    "lenskit": ("lenskit==2025.8.1",),
    "cmfrec": ("numpy<2", "threadpoolctl", "cmfrec==3.5.1.post13"),
    "myfm": ("myfm==0.3.6", "numpy<2", "scipy"),
    "implicit": ("implicit==0.7.3",),
    "rectools": ("rectools==0.19.0",),
    "spark": ("pyspark==4.0.1", "pandas<3", "pyarrow<22", "numpy"),
}
"""Tool → what to install. surprise and cmfrec compile C at installation, which takes minutes; Spark needs Java 17."""
FOLDER = Path(__file__).parent / "out" / "peers"


class Missing(Exception):
    """A tool that does not install here, with the installer's reason."""


def python_with(tool: str) -> Path:
    """The interpreter of a tool's environment, made on first use.

    Raises:
        Missing: If it does not install.
    """
    folder = FOLDER / tool
    python = folder / "bin" / "python"
    if not (folder / ".installed").exists():
        venv.create(folder, with_pip=True, clear=True)
        command = [python, "-m", "pip", "install", "--quiet", *REQUIREMENTS[tool]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing((done.stderr.strip().splitlines() or ["no reason given"])[-1])
        (folder / ".installed").touch()
    return python


if __name__ == "__main__":
    for name in sys.argv[1:] or REQUIREMENTS:
        print(name, python_with(name))
