"""Whether the user has MIRR Lab as a checkout or as an installed package, and what they type in each case.

Every hint that names a command, an extra or a repair comes from here.
"""

from __future__ import annotations

import json
import os
import re
import site
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mirr.lab.errors import BrokenInstallation
from mirr.lab.names import DEFAULT_LAB, ROOT

DISTRIBUTION = "mirr-lab"
_NO_VARIABLES: Mapping[str, object] = {}

_MAKE_TARGETS = {
    "demo": "demo",
    "demo --world docker": "demo WORLD=docker",
    "doctor": "doctor",
    "down": "down",
    "room": "room",
    "room --world docker": "room WORLD=docker",
    "status": "status",
    "up": "up",
}
"""The `mirr` commands that have a make target of their own in a checkout."""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """One copy of the package `mirr` on disk."""

    package: Path  # the folder `mirr`

    @property
    def checkout(self) -> Path | None:
        """The repository's folder; None if the package is installed. Only a checkout links to its rooms."""
        return self.package.parent if (self.package / "lab").is_symlink() else None

    def command(
        self, arguments: str, lab: str = DEFAULT_LAB, *, variables: Mapping[str, object] = _NO_VARIABLES
    ) -> str:
        """What a person types to run `mirr ARGUMENTS` on this lab with these environment variables.

        In a checkout it is a make target, as in `make up LAB=two`, or else `.venv/bin/mirr`. Where the package is
        installed it is `mirr`, as in `mirr up --lab two`.
        """
        assignments = [f"{name}={value}" for name, value in variables.items()]
        if self.checkout is not None and arguments in _MAKE_TARGETS:
            named = [] if lab == DEFAULT_LAB else [f"LAB={lab}"]
            return " ".join(["make", _MAKE_TARGETS[arguments], *named, *assignments])
        named = [] if lab == DEFAULT_LAB else ["--lab", lab]
        program = "mirr" if self.checkout is None else ".venv/bin/mirr"
        return " ".join([*assignments, program, arguments, *named])

    def add_extra(self, extra: str) -> str:
        """What a person types to install the packages of an extra, as in `mcp`.

        If our package is installed, the command names each needed package, because an index may not have ours.
        """
        if self.checkout is not None:
            return f".venv/bin/pip install --editable '.[{extra}]'"
        wanted = " ".join(f"'{requirement}'" for requirement in self.requirements(extra))
        return f"{sys.executable} -m pip install {wanted}"

    def repair(self) -> str:
        """What a person types to get the missing files again, or to see which ones are missing."""
        if self.checkout is not None:
            return f"git -C {self.checkout} status"
        pip = f"{sys.executable} -m pip install --force-reinstall --no-deps"
        found = self._distribution()
        if found is None:
            return f"{pip} WHEEL, with the wheel of {DISTRIBUTION} that you have"
        # pip writes this if the package did not come from an index.
        source = found.read_text("direct_url.json")
        if source is None:
            # An index has it, or a folder that was given with --find-links. The user may have to give that again.
            return f"{pip} {DISTRIBUTION}=={found.version}, with the options that it was installed with, or its wheel"
        url = urlsplit(str(json.loads(source)["url"]))
        return f"{pip} {unquote(url.path) if url.scheme == 'file' else url.geturl()}"

    def requirements(self, extra: str | None = None) -> list[str]:
        """The packages that are needed: always, or in addition for an extra. Each as in `numpy>=2.2`.

        Raises BrokenInstallation if no file lists them.
        """
        source = self.package.parent / "pyproject.toml"  # there in a checkout and in an unpacked source distribution
        if source.is_file():
            project = tomllib.loads(source.read_text())["project"]
            listed = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
            return [str(requirement) for requirement in listed]
        found = self._distribution()
        if found is None:
            raise BrokenInstallation(
                f"nothing says which packages {self.package} needs, as it was copied there and not installed; "
                f"install it with: {self.repair()}"
            )
        return [
            requirement
            for requirement, _, marker in (each.partition("; ") for each in found.requires or ())
            if _extra_of(marker) == extra
        ]

    def missing(self, path: Path) -> BrokenInstallation:
        """The error for a file or folder of the package that is not there."""
        return BrokenInstallation(
            f"{path} is missing, so this installation of mirr is damaged; install it again with: {self.repair()}"
            if self.checkout is None
            else f"{path} is missing from the checkout; see what else is: {self.repair()}"
        )

    def missing_files(self) -> list[Path]:
        """The files that were installed and are missing now. Empty in a checkout, because nothing lists its files."""
        found = self._distribution()
        if self.checkout is not None or found is None:
            return []
        files = (Path(str(file)) for file in found.files or () if file.parts[0] == self.package.name)
        # Python makes its caches by itself.
        expected = (self.package.parent / file for file in files if file.suffix != ".pyc")
        return [path for path in expected if not path.exists()]

    def refuse_if_damaged(self) -> None:
        """Raise BrokenInstallation if a file that was installed is missing now."""
        missing = self.missing_files()
        if missing:
            raise self.missing(missing[0])

    def python(self, module: str, *arguments: str) -> list[str]:
        """The command that runs a module in a new Python. That Python imports nothing from the working directory."""
        return [sys.executable, "-P", "-m", module, *arguments]

    def python_environment(self, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
        """The environment in which `python` finds this same copy of the package, from any working directory."""
        entries = [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]
        entries = [os.path.abspath(entry) for entry in entries]
        home = str(self.package.parent)
        # Python always searches its site-packages, but only after its own library.
        if home not in (*site.getsitepackages(), site.getusersitepackages()):
            entries.insert(0, home)
        fresh = {name: value for name, value in environment.items() if name != "PYTHONPATH"}
        return fresh | ({"PYTHONPATH": os.pathsep.join(dict.fromkeys(entries))} if entries else {})

    def _distribution(self) -> Distribution | None:
        """What pip noted about this copy; None if it noted nothing."""
        try:
            found = distribution(DISTRIBUTION)
        except PackageNotFoundError:
            return None
        noted = Path(str(found.locate_file(self.package.name)))
        return found if noted.resolve() == self.package.resolve() else None


def _extra_of(marker: str) -> str | None:
    """The extra that a requirement's marker names, as in `extra == "mcp"`."""
    found = re.search(r"\bextra == [\"']([\w-]+)[\"']", marker)
    return found[1] if found else None


HERE = Installation(package=ROOT)
"""The copy that is running now."""
