"""The sources of each image: its files, as a build context, and their hash. A missing file is an error."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mirr.env.quoting import quoted
from mirr.env.vocabulary import STEADY_RELEASE, Service
from mirr.lab.errors import ImageError
from mirr.lab.installation import HERE
from mirr.lab.names import RELEASES, ROOT, service_image

_LEFT_OUT = ("__pycache__", "releases")
_LEFT_OUT_SUFFIXES = (".pyc", ".db", ".Dockerfile")
_LEFT_OUT_FILES = ("Dockerfile",)
FIXED_TIME = 1_700_000_000  # so that the engine's build cache sees content, not file times


@dataclass(frozen=True, kw_only=True)
class Build:
    """One image to build, and everything that its content depends on."""

    tag: str
    dockerfile: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)  # path in the context -> content
    directories: tuple[str, ...] = ()  # empty directories of the context

    @property
    def source(self) -> str:
        """The hash of the inputs: it changes exactly when they do."""
        digest = hashlib.sha256()
        for part in (self.tag, self.dockerfile, *self.directories):
            _feed(digest, part.encode())
        for mapping in (self.arguments, {path: _hash(content) for path, content in self.files.items()}):
            for key, value in sorted(mapping.items()):
                _feed(digest, key.encode())
                _feed(digest, value.encode())
        return digest.hexdigest()[:16]

    def context(self) -> bytes:
        """The build context as a tar."""
        files = {**self.files, "Dockerfile": self.dockerfile.encode()}
        return tar(files, self.directories)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _feed(digest: hashlib._Hash, part: bytes) -> None:
    digest.update(len(part).to_bytes(8, "big"))
    digest.update(part)


def tar(files: Mapping[str, bytes], directories: Iterable[str] = ()) -> bytes:
    """A tar. Its bytes depend only on the names and the content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in sorted(directories):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.mtime = tarfile.DIRTYPE, 0o755, FIXED_TIME
            archive.addfile(entry)
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), 0o644, FIXED_TIME
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def read_file(path: Path) -> bytes:
    """The content of a file of the package. Raises BrokenInstallation if it is missing."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise HERE.missing(path) from error


def read_tree(directory: Path, inside: str) -> dict[str, bytes]:
    """The files below a directory, with their places in an image below `inside`. Releases and caches are left out.

    Raises BrokenInstallation if the directory is missing or holds none.
    """
    found = {}
    for path in sorted(directory.rglob("*")):
        relative = path.relative_to(directory)
        if not path.is_file() or any(part in _LEFT_OUT for part in relative.parts):
            continue
        if path.name.endswith(_LEFT_OUT_SUFFIXES) or path.name in _LEFT_OUT_FILES:
            continue
        found[f"{inside}/{relative.as_posix()}"] = path.read_bytes()
    if not found:
        raise HERE.missing(directory)
    return found


def release_tree(release: str, root: Path = ROOT) -> dict[str, bytes]:
    """The services' files at a release: the tree of the steady release, with the files that this release changes.

    Raises ImageError for an unknown release, and BrokenInstallation if its files are missing.
    """
    if release not in RELEASES:
        raise ImageError(f"unknown release {quoted(release)}; one of: {', '.join(RELEASES)}")
    files = read_tree(root / "services", "services")
    if release == STEADY_RELEASE:
        return files
    # Without files of its own, a release would be the steady release under another name.
    return files | read_tree(root / "services" / "releases" / release, "services")


def service_build(service: Service, release: str, runtime: str, root: Path = ROOT) -> Build:
    """A release of a service, on the runtime image `runtime`."""
    return Build(
        tag=service_image(service, release),
        dockerfile=read_file(root / "services" / "Dockerfile").decode(),
        arguments={"BASE": runtime, "NAME": str(service)},
        files=release_tree(release, root),
    )
