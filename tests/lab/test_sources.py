"""The source files of images. The hash changes exactly when a source changes. A missing file is an error."""

from __future__ import annotations

import difflib
import io
import shutil
import tarfile
from pathlib import Path

import pytest

from mirr.env.vocabulary import Service
from mirr.lab.errors import BrokenInstallation, ImageError
from mirr.lab.images import alertmanager_build, lab_builds, pip_command, runtime_build, stale
from mirr.lab.names import ALERTMANAGER_IMAGE
from mirr.lab.releases import LAYERS, RELEASES, mild, shown, strong
from mirr.lab.sources import Build, read_tree, release_tree, service_build
from tests.paths import ROOT
from tests.trials import first_is_quick


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    files = {
        "services/Dockerfile": "FROM x\n",
        "services/runtime.Dockerfile": "FROM x\n",
        "services/requirements.txt": "fastapi==0.165.0\n",
        "services/auth.py": "app\n",
        "services/data/auth.py": "good\n",
        "services/data/__pycache__/auth.pyc": "compiled",
        "services/releases/1.5.0/data/auth.py": "other\n",
        "services/releases/1.5.0-sound/data/release.py": "sound\n",
        "services/releases/1.5.0-trail/kit/app.py": "with a trail\n",
        **{f"services/releases/1.5.0-{form}/kit/trail.py": f"{form}\n" for form in ("slow", "leaky", "crashing")},
        **{
            f"services/releases/1.5.0{form}-{strength}/data/strength.py": f"{strength}\n"
            for form in ("", "-slow", "-leaky", "-crashing")
            for strength in ("mild", "strong")
        },
        "traffic/Dockerfile": "FROM x\n",
        "traffic/__main__.py": "load\n",
        "prometheus/Dockerfile": "FROM x\n",
        "prometheus/prometheus.yml": "global:\n",
        "prometheus/rules/sli.yml": "groups:\n",
        "prometheus/tests/sli.yml": "tests:\n",
        "prometheus/alertmanager/Dockerfile": "FROM x\n",
        "prometheus/alertmanager/alertmanager.yml": "route:\n",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path


def sources(root: Path) -> dict[str, str]:
    return {build.tag: build.source for build in lab_builds("mirr/runtime:1", "prom:1", root)}


def changed(root: Path, path: str, content: str = "changed\n") -> set[str]:
    before = sources(root)
    (root / path).write_text(content)
    after = sources(root)
    return {tag for tag in before if before[tag] != after[tag]}


def test_a_release_is_the_steady_tree_with_some_files_replaced(checkout: Path) -> None:
    steady, following = release_tree("1.4.0", checkout), release_tree("1.5.0", checkout)
    assert steady["services/data/auth.py"] == b"good\n"
    assert following["services/data/auth.py"] == b"other\n"
    assert following["services/auth.py"] == steady["services/auth.py"]


def test_a_strength_of_a_release_changes_files_of_that_release(checkout: Path) -> None:
    usual, weaker = release_tree("1.5.0-slow", checkout), release_tree("1.5.0-slow-mild", checkout)
    assert usual["services/kit/app.py"] == b"with a trail\n"
    assert weaker == usual | {"services/data/strength.py": b"mild\n"}


@pytest.mark.parametrize("release", ["1.5.0", "1.5.0-sound"])
@pytest.mark.parametrize("emptied", [False, True])
def test_a_release_without_its_files_is_an_error_and_not_the_steady_release(
    checkout: Path, release: str, emptied: bool
) -> None:
    folder = checkout / "services" / "releases" / release
    shutil.rmtree(folder)
    if emptied:
        (folder / "data").mkdir(parents=True)
    with pytest.raises(BrokenInstallation, match=rf"^{folder} is missing"):
        release_tree(release, checkout)


def test_an_unknown_release_is_an_error(checkout: Path) -> None:
    with pytest.raises(ImageError) as raised:
        release_tree("1.6.0", checkout)
    assert str(raised.value) == f"unknown release '1.6.0'; one of: {', '.join(LAYERS)}"


@pytest.mark.parametrize(
    "name",
    ["services/Dockerfile", "traffic/Dockerfile", "prometheus/Dockerfile", "prometheus/prometheus.yml"],
)
def test_a_missing_file_of_a_build_is_named(checkout: Path, name: str) -> None:
    (checkout / name).unlink()
    with pytest.raises(BrokenInstallation, match=rf"^{checkout / name} is missing"):
        sources(checkout)


def test_no_image_of_a_usual_lab_depends_on_alertmanager_and_its_own_does(checkout: Path) -> None:
    def alertmanager() -> str:
        return alertmanager_build("alertmanager:1", "python:1", checkout).source

    usual, before = sources(checkout), alertmanager()
    (checkout / "prometheus" / "alertmanager" / "alertmanager.yml").write_text("changed\n")
    assert alertmanager() != before
    assert sources(checkout) == usual
    assert ALERTMANAGER_IMAGE not in usual


@pytest.mark.parametrize("name", ["services/requirements.txt", "services/runtime.Dockerfile"])
def test_a_missing_file_of_the_runtime_is_named(checkout: Path, name: str) -> None:
    (checkout / name).unlink()
    with pytest.raises(BrokenInstallation, match=rf"^{checkout / name} is missing"):
        runtime_build("base:1", "3.11", "amd64", checkout)


def test_missing_rules_are_named(checkout: Path) -> None:
    shutil.rmtree(checkout / "prometheus" / "rules")
    with pytest.raises(BrokenInstallation, match=rf"^{checkout}/prometheus/rules is missing"):
        sources(checkout)


def test_no_image_holds_the_releases_or_compiled_files(checkout: Path) -> None:
    for release in ("1.4.0", "1.5.0"):
        names = release_tree(release, checkout)
        assert sorted(names) == ["services/auth.py", "services/data/auth.py", "services/requirements.txt"]


def test_the_build_context_holds_the_files_and_the_dockerfile(checkout: Path) -> None:
    build = service_build(Service.AUTH, "1.5.0", "mirr/runtime:1", checkout)
    with tarfile.open(fileobj=io.BytesIO(build.context())) as archive:
        assert sorted(archive.getnames()) == [
            "Dockerfile",
            "services/auth.py",
            "services/data/auth.py",
            "services/requirements.txt",
        ]
        overlaid = archive.extractfile("services/data/auth.py")
        assert overlaid is not None
        assert overlaid.read() == b"other\n"


def test_the_build_context_does_not_depend_on_file_times(checkout: Path) -> None:
    before = service_build(Service.AUTH, "1.4.0", "r", checkout).context()
    (checkout / "services/auth.py").write_text("app\n")
    assert service_build(Service.AUTH, "1.4.0", "r", checkout).context() == before


def test_a_file_with_the_same_content_changes_no_image(checkout: Path) -> None:
    assert changed(checkout, "services/auth.py", "app\n") == set()


def test_a_changed_service_file_changes_exactly_all_releases_of_all_services(checkout: Path) -> None:
    tags = {f"mirr/{service}:{release}" for service in Service for release in LAYERS}
    assert changed(checkout, "services/auth.py") == tags


def test_a_changed_file_of_the_next_release_changes_only_that_release_in_all_strengths(checkout: Path) -> None:
    strengths = ("1.5.0", "1.5.0-mild", "1.5.0-strong")
    assert changed(checkout, "services/releases/1.5.0/data/auth.py") == {
        f"mirr/{service}:{release}" for service in Service for release in strengths
    }


@pytest.mark.parametrize(
    ("path", "tags"),
    first_is_quick(
        [
            ("traffic/__main__.py", {"mirr/traffic:lab"}),
            ("prometheus/rules/sli.yml", {"mirr/prometheus:lab"}),
            ("prometheus/tests/sli.yml", set()),
            ("services/data/__pycache__/auth.pyc", set()),
        ]
    ),
)
def test_a_changed_file_changes_the_images_that_contain_it(checkout: Path, path: str, tags: set[str]) -> None:
    assert changed(checkout, path) == tags


def test_a_changed_requirement_changes_the_runtime_and_all_images_on_it(checkout: Path) -> None:
    before = runtime_build("base:1", "3.11", "amd64", checkout)
    (checkout / "services/requirements.txt").write_text("fastapi==0.166.0\n")
    after = runtime_build("base:1", "3.11", "amd64", checkout)
    assert before.tag != after.tag
    services = [service_build(Service.AUTH, "1.4.0", runtime.tag, checkout).source for runtime in (before, after)]
    assert services[0] != services[1]


def test_the_hash_separates_the_name_of_a_file_from_its_content() -> None:
    one = Build(tag="t", dockerfile="", files={"a": b"bc"})
    other = Build(tag="t", dockerfile="", files={"ab": b"c"})
    assert one.source != other.source


def test_an_image_is_stale_if_it_is_missing_or_built_from_other_sources() -> None:
    builds = [Build(tag=tag, dockerfile="FROM x") for tag in ("a:1", "b:1", "c:1")]
    assert stale(builds, {"a:1": builds[0].source, "b:1": "older"}) == builds[1:]


def test_packages_are_downloaded_for_the_python_and_the_architecture_of_the_image() -> None:
    command = pip_command(Path("requirements.txt"), Path("packages"), "3.12", "arm64")
    assert command[command.index("--python-version") + 1] == "3.12"
    assert "cp312" in command
    assert "manylinux_2_17_aarch64" in command
    assert "--only-binary=:all:" in command


def test_two_releases_have_the_same_dockerfile_and_the_same_form_of_tag() -> None:
    for service in Service:
        steady, following = (service_build(service, release, "runtime") for release in ("1.4.0", "1.5.0"))
        assert steady.dockerfile == following.dockerfile
        assert steady.arguments == following.arguments
        assert steady.tag.replace("1.4.0", "1.5.0") == following.tag


def test_the_next_release_replaces_files_of_the_steady_release() -> None:
    steady, following = release_tree("1.4.0"), release_tree("1.5.0")
    assert steady.keys() <= following.keys()
    assert read_tree(ROOT / "services" / "releases" / "1.5.0", "services").items() <= following.items()
    assert steady != following


def test_the_sound_build_differs_from_the_steady_one_only_in_its_version() -> None:
    steady, faulty, sound = (release_tree(release) for release in ("1.4.0", "1.5.0", "1.5.0-sound"))
    assert {name for name in sound if sound[name] != steady.get(name)} == {"services/data/release.py"}
    assert sound["services/data/release.py"] == faulty["services/data/release.py"]


def test_the_strengths_of_a_faulty_release_differ_in_one_constant() -> None:
    for usual in set(RELEASES) - {"1.4.0", "1.5.0-sound"}:
        tree = release_tree(usual)
        for other in (mild(usual), strong(usual)):
            changed = {name: content for name, content in release_tree(other).items() if content != tree[name]}
            assert len(changed) == 1, other
            ((name, content),) = changed.items()
            lines = zip(tree[name].splitlines(), content.splitlines(), strict=True)
            assert sum(line != its for line, its in lines) == 1, name


def test_the_releases_with_a_trail_change_no_line_of_the_steady_application() -> None:
    steady, trail = (release_tree(release)["services/kit/app.py"] for release in ("1.4.0", "1.5.0-slow"))
    added = [
        line for line in difflib.ndiff(steady.decode().splitlines(), trail.decode().splitlines()) if line[0] in "+-"
    ]
    assert added == [
        "+ from services.kit.register import Register",
        "+ from services.kit.trail import Trail",
        "+         app.state.trail = Trail(database, settings.service)",
        "+     app.add_middleware(Register)",
    ]


def test_only_the_number_of_a_release_is_shown() -> None:
    assert {shown(release) for release in LAYERS if release != "1.4.0"} == {"1.5.0"}
    assert shown("1.4.0") == "1.4.0"
