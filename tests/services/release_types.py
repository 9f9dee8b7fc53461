"""`python -m tests.services.release_types`: checks the types of every release, as the tree that its images hold.

Returns 0 if all of them are clean.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from mirr.lab.releases import RELEASES
from mirr.lab.sources import release_tree
from tests.paths import ROOT


def lay_out(release: str, folder: Path) -> None:
    """Write the services at that release to `folder`, as an image holds them."""
    for name, content in release_tree(release).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def main() -> int:
    """Check one release after the other. The first line of each says which."""
    failed = 0
    for release in RELEASES[1:]:
        with tempfile.TemporaryDirectory(prefix="mirr-") as scratch:
            lay_out(release, Path(scratch))
            print(f"types of release {release}: ", end="", flush=True)
            configuration, cache = ROOT / "pyproject.toml", ROOT / ".mypy_cache" / "releases"
            mypy = [sys.executable, "-m", "mypy", "--config-file", str(configuration), "--cache-dir", str(cache)]
            failed += subprocess.run([*mypy, "--exclude", "^$", "-p", "services"], cwd=scratch).returncode != 0
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
