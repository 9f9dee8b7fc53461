"""Rules for the code that a test can check: which package may import which, and a few habits."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.trials import first_is_quick

SYSTEM_UNDER_TEST = {"services", "traffic"}
"""The packages of the system under test. They run only inside their images."""

MAY_IMPORT: dict[str, set[str]] = {
    "services": set(),
    "traffic": set(),
    "env": set(),
    "lab": {"env"},
    "chaos": {"env", "lab"},
    "bridge": {"chaos", "env", "lab"},
    "agents": {"env"},
    "scenarios": {"env"},
    "interfaces": {"agents", "bridge", "chaos", "env", "lab", "scenarios"},
    "room": {"agents", "env", "scenarios"},
    "cli": {"agents", "bridge", "chaos", "env", "interfaces", "lab", "room", "scenarios"},
}
"""For each of our packages: the packages that it may import. No package imports `cli`."""

MAY_IMPORT_PUBLIC_NAMES: dict[str, set[str]] = {"cli": {"mirr"}}
"""The packages that may import `mirr` itself: the command line prints the version."""

ENV_NEEDS = {"numpy"}
"""The third-party packages that `env` needs. It has to run without any other package."""

ENV_OPTIONAL = {f"env/simulator/fast/{name}.py": "numba" for name in ("compiled", "instructions", "pointers")}
"""The modules of `env` that use an optional package. Each runs without the package too."""


UNKNOWN = "a name that is computed at run time"


@dataclass(frozen=True)
class Import:
    """One import: the imported module, the file and the line."""

    path: Path
    line: int
    module: str  # absolute and dotted

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.module}"

    @property
    def package(self) -> str:
        """The imported package. For `mirr.lab` and for `lab`, this is `lab`."""
        first, *rest = self.module.split(".")
        return rest[0] if first == "mirr" and rest else first


def _modules(package: str) -> list[Path]:
    # Symbolic links are not followed: the package's own folder has its modules.
    return sorted((ROOT / package).rglob("*.py"))


def _our_modules() -> list[Path]:
    return [path for package in (*MAY_IMPORT, "mirr", "tests") for path in _modules(package)]


Interesting = ast.Import | ast.ImportFrom | ast.Call | ast.ExceptHandler


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """What the tests ask about one module."""

    lines: list[str]
    nodes: list[Interesting]  # of the whole module, also inside functions
    documented: bool  # an empty module needs no docstring


@cache  # there are hundreds of modules, and most tests look at all of them
def _parsed(path: Path) -> Parsed:
    text = path.read_text()
    tree = ast.parse(text, filename=str(path))
    return Parsed(
        lines=text.splitlines(),
        nodes=[node for node in ast.walk(tree) if isinstance(node, Interesting)],
        documented=not tree.body or ast.get_docstring(tree) is not None,
    )


def _imports(path: Path) -> Iterator[Import]:
    """Every import, also inside functions and under TYPE_CHECKING."""
    for node in _parsed(path).nodes:
        match node:
            case ast.Import(names=names):
                for name in names:
                    yield Import(path, node.lineno, name.name)
            case ast.ImportFrom(module=str(module), level=0):
                yield Import(path, node.lineno, module)
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[argument, *_],
            ):
                yield Import(path, node.lineno, _module_in(argument))


def _module_in(argument: ast.expr) -> str:
    """The module that a call imports. A fixed beginning is enough, as in `f"services.{name}"`."""
    match argument:
        case ast.Constant(value=str(name)) | ast.JoinedStr(values=[ast.Constant(value=str(name)), *_]):
            return name
        case _:
            return UNKNOWN


def _imports_of(package: str) -> list[Import]:
    return [found for path in _modules(package) for found in _imports(path)]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_the_packages_that_it_may_import(package: str) -> None:
    allowed = {package} | MAY_IMPORT[package]
    forbidden = {*MAY_IMPORT, "mirr", "tests", UNKNOWN} - allowed - MAY_IMPORT_PUBLIC_NAMES.get(package, set())
    assert [str(found) for found in _imports_of(package) if found.package in forbidden] == []


def test_our_packages_are_imported_as_parts_of_mirr() -> None:
    packages = MAY_IMPORT.keys() - SYSTEM_UNDER_TEST
    modules = [found for package in (*MAY_IMPORT, "mirr", "tests") for found in _imports_of(package)]
    assert [str(found) for found in modules if found.module.split(".")[0] in packages] == []


def test_env_needs_only_numpy_and_the_standard_library() -> None:
    allowed = {"env"} | ENV_NEEDS | sys.stdlib_module_names
    needed = [found for found in _imports_of("env") if found.package not in allowed]
    optional = {(str(found.path.relative_to(ROOT)), found.package) for found in needed}
    assert optional == set(ENV_OPTIONAL.items())


def test_every_package_is_listed() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"mirr", "tests"} == set(MAY_IMPORT)


def test_mirr_links_to_every_package_and_to_the_files_of_the_images() -> None:
    links = {path.name: path for path in (ROOT / "mirr").iterdir() if path.is_symlink()}
    assert set(links) == {*MAY_IMPORT, "prometheus", "docker-compose.yml"}
    assert {name: str(path.readlink()) for name, path in links.items()} == {name: f"../{name}" for name in links}


@pytest.mark.parametrize("package", first_is_quick(sorted(MAY_IMPORT.keys() - SYSTEM_UNDER_TEST)))
def test_no_package_can_be_imported_under_a_second_name(package: str) -> None:
    # In a checkout, Python finds the folder itself on its path.
    found = _error_of_import(package)
    assert found == f"ImportError: {package} is a part of mirr: import mirr.{package}"


@pytest.mark.parametrize("name", first_is_quick(sorted(SYSTEM_UNDER_TEST)))
def test_the_system_under_test_cannot_be_imported_as_a_part_of_mirr(name: str) -> None:
    assert _error_of_import(f"mirr.{name}") == f"ImportError: mirr.{name} runs only inside its image, as {name}"


def _error_of_import(module: str) -> str:
    """The last line of Python's error when a command in the checkout imports `module`."""
    command = [sys.executable, "-c", f"import {module}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    return done.stderr.strip().splitlines()[-1]


def test_all_our_packages_are_type_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert {*SYSTEM_UNDER_TEST, "mirr", "tests"} <= set(project["tool"]["mypy"]["files"])


def test_every_module_has_a_docstring() -> None:
    assert [str(path.relative_to(ROOT)) for path in _our_modules() if not _parsed(path).documented] == []


def _is_broad(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"}) for kind in caught
    )


def _has_comment(handler: ast.ExceptHandler, lines: list[str]) -> bool:
    """Whether the handler has a comment: on its line, one line above or one line below. `noqa` alone does not count."""
    for line in lines[handler.lineno - 2 : handler.lineno + 1]:
        comment = line.partition("#")[2].strip()
        if comment.startswith("noqa"):
            comment = comment.partition(" - ")[2]
        if comment:
            return True
    return False


def test_a_handler_that_hides_every_error_has_a_comment_that_says_why() -> None:
    found = []
    for path in _our_modules():
        for node in _parsed(path).nodes:
            if not isinstance(node, ast.ExceptHandler) or not _is_broad(node):
                continue
            raised_again = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            if not raised_again and not _has_comment(node, _parsed(path).lines):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def test_no_code_builds_the_name_of_an_attribute_at_run_time() -> None:
    # No tool finds a typo in such a name. mypy checks a table over an enum.
    found = []
    for path in _our_modules():
        for node in _parsed(path).nodes:
            match node:
                case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.JoinedStr() | ast.BinOp(), *_]):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def test_the_services_mention_no_fault() -> None:
    """There is no hook for faults: the system under test does not know that faults exist."""
    words = ("chaos", "fault", "inject", "campaign", "memory_leak", "bad_deploy", "flash_crowd")
    found = []
    for path in sorted((ROOT / "services").rglob("*")):
        if path.suffix not in {".py", ".txt", ".sql"} and "Dockerfile" not in path.name:
            continue
        # "default" contains the letters of "fault".
        text = path.read_text().lower().replace("default", "")
        found += [f"{path.relative_to(ROOT)}: {word}" for word in words if word in text]
    assert found == []
