"""The house rules that a machine can hold: which package may import which, and a few habits."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.paths import ROOT

GROUND = {"services", "traffic"}
"""The system under test: under these names inside their images, and nowhere else."""

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
    "cli": {"agents", "bridge", "chaos", "env", "interfaces", "lab", "scenarios"},
}
"""The arrows between our rooms; they point down, and nothing imports the top floor."""

FACE: dict[str, set[str]] = {"cli": {"mirr"}}
"""Who takes something from the public face itself: the command line, its version."""

ENV_NEEDS = {"numpy"}
"""Third-party packages of `env`: it has to run where nothing else is installed."""

ENV_TAKES = {"env/simulator/fast/compiled.py": "numba", "env/simulator/fast/instructions.py": "numba"}
"""What a module of `env` takes where it is installed, and goes without where it is not."""


UNKNOWN = "something worked out at run time"


@dataclass(frozen=True)
class Import:
    """One imported module, and where."""

    path: Path
    line: int
    module: str  # absolute and dotted

    def __str__(self) -> str:
        return f"{self.path.relative_to(ROOT)}:{self.line} imports {self.module}"

    @property
    def room(self) -> str:
        """The room of ours that it reaches into, be it by its full name or by its bare one; else the package."""
        first, *rest = self.module.split(".")
        return rest[0] if first == "mirr" and rest else first


def _modules(package: str) -> list[Path]:
    # Links are not followed: a room's own folder has its modules.
    return sorted((ROOT / package).rglob("*.py"))


def _our_modules() -> list[Path]:
    return [path for package in (*MAY_IMPORT, "mirr", "tests") for path in _modules(package)]


def _imports(path: Path, tree: ast.Module) -> Iterator[Import]:
    """Every import, those inside functions and under TYPE_CHECKING included: an arrow is an arrow."""
    for node in ast.walk(tree):
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
                yield Import(path, node.lineno, _named_by(argument))


def _named_by(argument: ast.expr) -> str:
    """What an import by name imports, as far as a reader can tell; a fixed beginning will do: `f"services.{name}"`."""
    match argument:
        case ast.Constant(value=str(name)) | ast.JoinedStr(values=[ast.Constant(value=str(name)), *_]):
            return name
        case _:
            return UNKNOWN


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def _imports_of(package: str) -> list[Import]:
    return [found for path in _modules(package) for found in _imports(path, _parse(path))]


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_the_floors_below_it(package: str) -> None:
    allowed = {package} | MAY_IMPORT[package]
    forbidden = {*MAY_IMPORT, "mirr", "tests", UNKNOWN} - allowed - FACE.get(package, set())
    assert [str(found) for found in _imports_of(package) if found.room in forbidden] == []


def test_a_room_is_imported_as_a_part_of_mirr() -> None:
    rooms = MAY_IMPORT.keys() - GROUND
    modules = [found for package in (*MAY_IMPORT, "mirr", "tests") for found in _imports_of(package)]
    assert [str(found) for found in modules if found.module.split(".")[0] in rooms] == []


def test_env_needs_numpy_and_the_standard_library_alone() -> None:
    allowed = {"env"} | ENV_NEEDS | sys.stdlib_module_names
    needed = [found for found in _imports_of("env") if found.room not in allowed]
    taken = {(str(found.path.relative_to(ROOT)), found.room) for found in needed}
    assert taken == set(ENV_TAKES.items())


def test_every_room_has_its_arrows_listed() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages - {"mirr", "tests"} == set(MAY_IMPORT)


def test_the_package_mirr_holds_every_room_and_what_images_are_built_from() -> None:
    links = {path.name: path for path in (ROOT / "mirr").iterdir() if path.is_symlink()}
    assert set(links) == {*MAY_IMPORT, "prometheus", "docker-compose.yml"}
    assert {name: str(path.readlink()) for name, path in links.items()} == {name: f"../{name}" for name in links}


@pytest.mark.parametrize("room", sorted(MAY_IMPORT.keys() - GROUND))
def test_no_room_can_be_imported_under_a_second_name(room: str) -> None:
    # In a checkout the folder itself is on the path of whoever works there.
    found = _fails_to_import(room)
    assert found == f"ImportError: {room} is a part of mirr: import mirr.{room}"


@pytest.mark.parametrize("name", sorted(GROUND))
def test_the_system_under_test_has_no_second_name_either(name: str) -> None:
    assert _fails_to_import(f"mirr.{name}") == f"ImportError: mirr.{name} runs only inside its image, as {name}"


def _fails_to_import(module: str) -> str:
    """The last line of what Python says when somebody in the checkout imports `module`."""
    command = [sys.executable, "-c", f"import {module}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    return done.stderr.strip().splitlines()[-1]


def test_everything_of_ours_is_type_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert {*GROUND, "mirr", "tests"} <= set(project["tool"]["mypy"]["files"])


def test_every_module_opens_with_a_sentence_on_what_it_is() -> None:
    silent = []
    for path in _our_modules():
        tree = _parse(path)
        if tree.body and ast.get_docstring(tree) is None:
            silent.append(str(path.relative_to(ROOT)))
    assert silent == []


def _is_broad(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"}) for kind in caught
    )


def _says_why(handler: ast.ExceptHandler, lines: list[str]) -> bool:
    """Whether a comment stands on the handler's line, on the one above or on the one below; `noqa` says nothing."""
    for line in lines[handler.lineno - 2 : handler.lineno + 1]:
        words = line.partition("#")[2].strip()
        if words.startswith("noqa"):
            words = words.partition(" - ")[2]
        if words:
            return True
    return False


def test_whoever_swallows_every_error_says_why() -> None:
    silent = []
    for path in _our_modules():
        lines = path.read_text().splitlines()
        for node in ast.walk(_parse(path)):
            if not isinstance(node, ast.ExceptHandler) or not _is_broad(node):
                continue
            passed_on = isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None
            if not passed_on and not _says_why(node, lines):
                silent.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert silent == []


def test_nobody_picks_a_method_by_a_name_put_together() -> None:
    # A typo in such a name is found by nobody; a table over an enum is checked.
    found = []
    for path in _our_modules():
        for node in ast.walk(_parse(path)):
            match node:
                case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.JoinedStr() | ast.BinOp(), *_]):
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert found == []


def test_the_services_mention_no_fault() -> None:
    """No hook: nothing in the system under test knows that it may be broken on purpose."""
    words = ("chaos", "fault", "inject", "campaign", "memory_leak", "bad_deploy", "flash_crowd")
    found = []
    for path in sorted((ROOT / "services").rglob("*")):
        if path.suffix not in {".py", ".txt", ".sql"} and "Dockerfile" not in path.name:
            continue
        # "default" holds a fault's letters and is none.
        text = path.read_text().lower().replace("default", "")
        found += [f"{path.relative_to(ROOT)}: {word}" for word in words if word in text]
    assert found == []
