"""A Fleet on a Docker engine.

The blast radius ends here. A container is touched only if everything about it says that it belongs to this lab
(lab/ownership.py). Everything else on the engine is refused, with any name, id or label.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

from docker.errors import APIError, DockerException, NotFound
from requests.exceptions import RequestException

from mirr.chaos import blueprints
from mirr.chaos.blueprints import CPU_QUOTA_LABEL, PREVIOUS_RELEASE_LABEL, REDEPLOYED_LABEL, Blueprint
from mirr.chaos.errors import FleetError, ImageMissing, NoProcess
from mirr.chaos.fleet import Part, ServiceState
from mirr.chaos.journal import Journal
from mirr.chaos.own_containers import OwnContainers, data_volumes, recreate_volume
from mirr.env.vocabulary import Service
from mirr.lab.errors import ImageError
from mirr.lab.names import Role, service_image
from mirr.lab.ownership import compose_name, own_networks
from mirr.lab.refusals import in_words, is_being_removed
from mirr.lab.releases import RELEASES
from mirr.lab.wiring import known_networks, lives_in, misjoined, namespace_since, started_at, wanted_networks

T = TypeVar("T")

_REMOVAL_S = 10.0  # the engine needs about a tenth of a second to remove a container, and longer if the disk is busy

_PARTS: tuple[tuple[Role, Service | None], ...] = (
    *((Role.SANDBOX, service) for service in Service),
    (Role.TRAFFIC, None),
    (Role.PROMETHEUS, None),
)
_PLACES = (*((Role.SERVICE, service) for service in Service), *_PARTS)


class DockerFleet:
    """`client` is a low-level docker-py APIClient. `journal` keeps the blueprint of a container before it is removed,
    so that it can be recreated from disk. `build` makes the image of a release that is not there (somebody may have
    removed it since `mirr up`); it raises ImageError."""

    def __init__(
        self,
        client: Any,  # its stubs leave most methods untyped
        lab: str,
        journal: Journal,
        *,
        build: Callable[[Service, str], object] | None = None,
    ) -> None:
        self._api = client
        self._build = build
        self.lab = lab
        self._journal = journal
        found = OwnContainers(client, lab)
        self._own, self._container = found.rows, found.id_of

    # Looking

    def state(self, service: Service) -> ServiceState | None:
        return self._asked(f"look at {service}", lambda: self._state(service))

    def _state(self, service: Service) -> ServiceState | None:
        found = self._own(Role.SERVICE, service)
        if not found:
            return None
        inspected = self._api.inspect_container(found[0]["Id"])
        labels = inspected["Config"]["Labels"]
        host = inspected["HostConfig"]
        running, paused = bool(inspected["State"]["Running"]), bool(inspected["State"]["Paused"])
        if CPU_QUOTA_LABEL not in labels:
            raise FleetError(
                f"{service} of lab {self.lab} has no label {CPU_QUOTA_LABEL}; next: mirr down, then mirr up"
            )
        return ServiceState(
            running=running,
            oom_killed=bool(inspected["State"]["OOMKilled"]),
            release=inspected["Config"]["Image"].rpartition(":")[2],
            previous_release=labels.get(PREVIOUS_RELEASE_LABEL),
            redeployed=REDEPLOYED_LABEL in labels,
            cpu_quota_us=int(host["CpuQuota"]),
            steady_cpu_quota_us=int(labels[CPU_QUOTA_LABEL]),
            cpu_period_us=int(host["CpuPeriod"]),
            memory_limit_bytes=int(host["Memory"]),
            strays=len(found) - 1,
            name=inspected["Name"].lstrip("/"),
            container_id=inspected["Id"],
            paused=paused,
            hung=running and not paused and self._hung(inspected["Id"]),
            drifted=blueprints.drifted(self._journal.recall_blueprint(service), host, quota_too=False),
            sandbox_id=lives_in(inspected),
            started_at=started_at(inspected),
        )

    def _hung(self, container: str) -> bool:
        try:
            table = self._api.top(container, ps_args="-o pid,stat")
        except APIError:
            return False  # it does not run, so no process in it can hang
        return any(stat.startswith("T") for _, stat, *_ in table["Processes"] or ())

    def stranded(self, service: Service) -> bool:
        def act() -> bool:
            sandbox = self._own(Role.SANDBOX, service)
            places = [self._container(service), *(str(row["Id"]) for row in sandbox[:1])]
            namespaces = [self._namespace(place) for place in places]
            return len(namespaces) < 2 or None in namespaces or namespaces[0] != namespaces[1]

        return self._asked(f"look at the network of {service}", act)

    def _namespace(self, container: str) -> str | None:
        """The network namespace of a container, by the kernel's name for it. None if it cannot be asked."""
        try:
            asked = self._api.exec_create(container, ["readlink", "/proc/self/ns/net"])
            answer: bytes = self._api.exec_start(asked["Id"])
        except APIError:
            return None
        text = answer.decode(errors="replace").strip()
        return text if text.startswith("net:[") else None

    def parts(self) -> list[Part]:
        networks = self._asked("look at the networks", lambda: own_networks(self._api, self.lab))
        with ThreadPoolExecutor(max_workers=len(_PARTS)) as pool:
            return list(
                pool.map(
                    lambda place: self._asked(
                        "look at the containers", lambda: self._part(place[0], place[1], networks)
                    ),
                    _PARTS,
                )
            )

    def _part(self, role: Role, service: Service | None, networks: dict[str, str]) -> Part:
        found = self._own(role, service)
        name = compose_name(role, service)
        made = self._journal.recall_blueprint(name)
        if not found:
            return Part(
                role=role,
                service=service,
                name=name if made is None else made["Name"].lstrip("/"),
                container_id=None,
                running=False,
            )
        inspected = self._api.inspect_container(found[0]["Id"])
        state = inspected["State"]
        running, paused = bool(state["Running"]), bool(state["Paused"])
        # The process of a sandbox only sleeps, so nothing in it can go wrong.
        looked_into = running and not paused and role is not Role.SANDBOX
        return Part(
            role=role,
            service=service,
            name=inspected["Name"].lstrip("/"),
            container_id=inspected["Id"],
            running=running,
            paused=paused,
            hung=looked_into and self._hung(inspected["Id"]),
            drifted=blueprints.drifted(made, inspected["HostConfig"], quota_too=True),
            namespace_since=namespace_since(inspected),
            misjoined=misjoined(
                inspected,
                wanted_networks(self.lab, role, service, made),
                networks,
                exactly=bool(known_networks(made)),
            ),
        )

    def logs(self, service: Service, *, since: float, tail: int) -> list[str]:
        try:
            raw: bytes = self._api.logs(self._container(service), since=since, tail=tail)
        except (DockerException, RequestException) as error:
            raise FleetError(f"could not read the log of {service}: {in_words(error)}; next: mirr doctor") from error
        return raw.decode("utf-8", errors="replace").splitlines()

    # Acting on what is there

    def kill(self, service: Service, signal: str = "SIGKILL") -> None:
        def act() -> None:
            try:
                self._api.kill(self._container(service), signal=signal)
            except APIError as error:
                if error.status_code != 409:  # 409: it is not running already
                    raise

        self._asked(f"send {service} {signal}", act)

    def freeze(self, service: Service) -> None:
        self._asked(f"freeze {service}", lambda: self._signal_inside(service, "STOP"))

    def thaw(self, service: Service) -> None:
        self._asked(f"thaw {service}", lambda: self._signal_inside(service, "CONT"))

    def _signal_inside(self, service: Service, signal: str) -> None:
        """Send a signal from inside the container, as its own user, to every process but init and the sender.

        A signal from the engine reaches init alone. Init passes most signals on, but nobody can catch SIGSTOP, so it
        would only stop itself. The engine's pause would reach the process too. But a paused container refuses `exec`,
        and it says `paused` to everybody, which no process that hangs does."""
        asked = self._api.exec_create(self._container(service), ["sh", "-c", f"kill -s {signal} -- -1"])
        said: bytes = self._api.exec_start(asked["Id"])
        code = self._api.exec_inspect(asked["Id"])["ExitCode"]
        if code != 0:
            raise NoProcess(
                f"could not send {service} SIG{signal} in lab {self.lab}: kill answered {code} "
                f"{said.decode(errors='replace').strip()[:200]!r}; next: mirr status"
            )

    def restart(self, service: Service) -> None:
        self._asked(f"restart {service}", lambda: self._api.restart(self._container(service), timeout=0))

    def unpause(self, service: Service) -> None:
        self._asked(f"unpause {service}", lambda: self._api.unpause(self._container(service)))

    def resize(self, service: Service, cpu_quota_us: int) -> None:
        self._asked(
            f"resize {service}",
            lambda: self._api.update_container(self._container(service), cpu_quota=cpu_quota_us),
        )

    def reset_limits(self, service: Service) -> None:
        def act() -> None:
            found = self._own(Role.SERVICE, service)
            host = self._api.inspect_container(self._container(service))["HostConfig"]
            self._update_back(found[0]["Id"], self._known(service), host, quota_too=False)

        self._asked(f"give {service} its limits back", act)

    def _update_back(self, container: str, made: Blueprint, host: Blueprint, *, quota_too: bool) -> None:
        fields = blueprints.drifted(made, host, quota_too=quota_too)
        updates = blueprints.updates_back(made, fields)
        if updates is None:
            raise FleetError(f"no update can set {', '.join(fields)}")
        if updates:
            self._api.update_container(container, **updates)

    # Making containers

    def deploy(self, service: Service, release: str, *, previous: str | None) -> None:
        # Asking whether a build is up to date takes as long as a tenth of a window, so only a missing image is built.
        if self._build is not None and release not in RELEASES and not self._has_image(service_image(service, release)):
            try:
                self._build(service, release)
            except ImageError as error:
                raise ImageMissing(f"{service} of lab {self.lab} was left as it is: {error}") from error
        self._asked(f"deploy {release} to {service}", lambda: self._replace(service, release, previous, fresh=False))

    def recreate(self, service: Service, release: str) -> None:
        self._asked(f"recreate {service}", lambda: self._replace(service, release, None, fresh=True))

    def _replace(self, service: Service, release: str, previous: str | None, *, fresh: bool) -> None:
        rows = self._own(Role.SERVICE, service)
        if rows:
            standing = dict(self._api.inspect_container(rows[0]["Id"]))
            self._remember(service, standing)
        made = self._known(service)
        sandbox = self._own(Role.SANDBOX, service)
        if not sandbox:
            raise FleetError(f"{service} has no sandbox in lab {self.lab}; next: mirr up --lab {self.lab}")
        config = blueprints.of_release(
            standing if rows else made, made, release, previous=previous, fresh=fresh, sandbox=str(sandbox[0]["Id"])
        )
        # Whatever could be refused is looked at first: a service must not lose the container that it has.
        self._look_for_image(config["Image"], str(service))
        volumes = data_volumes(self._api, self.lab, made) if fresh else {}
        for row in rows:
            self._remove(row["Id"])
        for name, labels in volumes.items():
            recreate_volume(self._api, name, labels)
        self._create(config, made["Name"])

    def _has_image(self, image: str) -> bool:
        def act() -> bool:
            try:
                self._api.inspect_image(image)
            except NotFound:
                return False
            return True

        return self._asked(f"look for image {image}", act)

    def _look_for_image(self, image: str, what: str) -> None:
        """Raise ImageMissing if a container of `image` could not be made. Look before the old container is removed."""
        if not self._has_image(image):
            raise ImageMissing(
                f"image {image} is missing, so {what} of lab {self.lab} was left as it is; "
                f"next: mirr up --lab {self.lab}, which builds it"
            )

    def _create(self, config: Blueprint, name: str) -> None:
        created = self._api.create_container_from_config(config, name=name.lstrip("/"))
        self._api.start(created["Id"])

    def _remove(self, container: str) -> None:
        try:
            self._api.remove_container(container, force=True)
        except NotFound:
            return  # somebody else removed it already
        except APIError as error:
            if not is_being_removed(error):
                raise
            with suppress(NotFound):  # until then its name is taken
                self._api.wait(container, timeout=_REMOVAL_S, condition="removed")

    def mend(self, part: Part) -> None:
        self._asked(f"mend {part}", lambda: self._mend_part(part))

    def _mend_part(self, part: Part) -> None:
        name = compose_name(part.role, part.service)
        container = part.container_id
        if container is not None and part.drifted:
            host = self._api.inspect_container(container)["HostConfig"]
            try:
                self._update_back(container, self._known(name), host, quota_too=True)
            except (FleetError, APIError):
                # An update cannot set every limit, e.g. not a memory limit below what is in use. So recreate it.
                self._config_of(part)
                self._remove(container)
                container = None
        if container is None:
            self._create(self._config_of(part), self._known(name)["Name"])
            return
        if part.misjoined:
            self._rejoin(container, part)
        if part.paused:
            self._api.unpause(container)
        # While a container is paused, nobody can see that its process hangs.
        if part.hung or (part.paused and self._hung(container)):
            self._api.restart(container, timeout=0)
        elif not part.running:
            self._api.start(container)

    def _config_of(self, part: Part) -> Blueprint:
        """What creates the container of `part` again. Raises FleetError if its image is missing."""
        made = self._known(compose_name(part.role, part.service))
        self._look_for_image(made["Config"]["Image"], str(part))
        return blueprints.of_part(made, wanted_networks(self.lab, part.role, part.service, made))

    def _rejoin(self, container: str, part: Part) -> None:
        made = self._journal.recall_blueprint(compose_name(part.role, part.service))
        wanted, networks = wanted_networks(self.lab, part.role, part.service, made), own_networks(self._api, self.lab)
        for name in part.misjoined:
            if name in wanted and name not in networks:
                raise FleetError(f"network {name}, which the lab is made in, is gone; next: mirr up --lab {self.lab}")
            with suppress(APIError):  # it has left the network already
                self._api.disconnect_container_from_network(container, name, force=True)
            if name in wanted:
                self._api.connect_container_to_network(container, networks[name], aliases=wanted[name])

    # What containers are made of

    def remember(self) -> None:
        self._asked("look at the containers", lambda: self._remember_places(replace=False))

    def remember_again(self) -> None:
        """Keep the blueprint of every container again, for a lab that is as it was made. Raises FleetError."""
        self._asked("look at the containers", lambda: self._remember_places(replace=True))

    def _remember_places(self, *, replace: bool) -> None:
        for role, service in _PLACES:
            name = compose_name(role, service)
            if not replace and self._journal.recall_blueprint(name) is not None:
                continue
            for row in self._own(role, service)[:1]:
                self._remember(name, dict(self._api.inspect_container(row["Id"])), replace=replace)

    def _remember(self, name: str, standing: Blueprint, *, replace: bool = False) -> None:
        as_made = REDEPLOYED_LABEL not in standing["Config"]["Labels"]
        if as_made and (replace or self._journal.recall_blueprint(name) is None):
            self._journal.remember_blueprint(name, standing)

    def _known(self, name: str) -> Blueprint:
        """The blueprint of the container of that Compose name."""
        made = self._journal.recall_blueprint(name)
        if made is None:
            raise FleetError(
                f"{name} has no container in lab {self.lab}, and nothing is kept that says how it was made; "
                f"next: mirr up --lab {self.lab}"
            )
        return made

    def _asked(self, what: str, act: Callable[[], T]) -> T:
        try:
            return act()
        except (DockerException, RequestException) as error:
            raise FleetError(f"could not {what} in lab {self.lab}: {in_words(error)}; next: mirr doctor") from error
