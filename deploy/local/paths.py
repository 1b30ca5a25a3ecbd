"""Where data of this machine is kept."""

from pathlib import Path


def local_dir() -> Path:
    """`.local` beside pyproject.toml when this runs from a checkout, else in the current directory. May not exist."""
    checkout = Path(__file__).resolve().parents[2]
    return (checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()) / ".local"
