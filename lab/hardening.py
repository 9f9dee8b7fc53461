"""Finds weaknesses of containers, processes, images and texts: what they should not do or reveal. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

Inspected = Mapping[str, Any]  # the engine's answer when it inspects a container or an image

TMPFS = "/tmp"
ENGINE_SOCKETS = ("docker.sock", "containerd.sock", "podman.sock", "crio.sock")
LOOPBACK = ("127.0.0.1", "::1")
SECCOMP_FILTER = 2  # in /proc/PID/status; 0 is none, 1 is strict

# The name of an environment variable or a build argument that should hold a secret.
_SECRET_NAME = re.compile(r"(?i)(passw(or)?d|passphrase|secret|token|credential|api_?key|private_?key|auth)(\W|_|$)")
_NOT_SECRET = re.compile(r"^(UPSTREAM_AUTH|AUTH_URL|SERVICE)$")
# What a secret itself looks like, in any text.
_SECRET_TEXTS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a signed token": re.compile(r"\beyJ[\w=-]{16,}\.[\w=.-]{16,}"),
    "an Authorization header": re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"),
    "a password": re.compile(r"(?i)\"?passw(or)?d\"?\s*[=:]\s*\"?[^\s\",}]{3,}|\buser-\d{3}-secret\b"),
    "a password's hash": re.compile(r"\b\d{4,6}\$[0-9a-f]{32}\$[0-9a-f]{64}\b"),
    "a cloud key": re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    "a URL with a password": re.compile(r"\b[a-z+]{2,12}://[^\s/:@]+:[^\s/:@]+@"),
}
_SECRET_FILE = re.compile(
    r"(^|/)(id_(rsa|dsa|ecdsa|ed25519)|\.env|\.netrc|\.npmrc|\.pypirc|\.git-credentials|\.htpasswd|credentials"
    r"|[^/]+\.(pem|key|p12|pfx|jks|kdbx))$|(^|/)\.(ssh|aws|docker|gnupg|git)/"
)
# The certificates of public authorities are no secret. They come with Debian and with packages.
_PUBLIC_FILE = re.compile(r"(^|/)(etc/ssl/certs/|usr/share/ca-certificates/|usr/share/keyrings/|certifi/cacert\.pem$)")

Rule = Callable[[Inspected], "str | None"]


def container_findings(inspected: Inspected) -> list[str]:
    """Every way in which a container of the lab is less locked down than it should be; [] if there is none."""
    name = str(inspected.get("Name", "?")).lstrip("/")
    found = [finding for rule in CONTAINER_RULES if (finding := rule(inspected)) is not None]
    found += secret_names(inspected["Config"].get("Env") or ())
    return [f"{name}: {finding}" for finding in found]


def _user(inspected: Inspected) -> str | None:
    user = str(inspected["Config"].get("User", ""))
    return None if user.split(":")[0] not in ("", "0", "root") else "runs as root"


def _privileged(inspected: Inspected) -> str | None:
    return "is privileged" if inspected["HostConfig"].get("Privileged") else None


def _root_files(inspected: Inspected) -> str | None:
    return None if inspected["HostConfig"].get("ReadonlyRootfs") else "can write to its root file system"


def _capabilities(inspected: Inspected) -> str | None:
    host = inspected["HostConfig"]
    if host.get("CapAdd"):
        return f"is given capabilities: {', '.join(host['CapAdd'])}"
    return None if "ALL" in (host.get("CapDrop") or ()) else "keeps the engine's default capabilities"


def _security_options(inspected: Inspected) -> str | None:
    options = inspected["HostConfig"].get("SecurityOpt") or ()
    open_ones = [one for one in options if one.endswith("unconfined") or one == "label=disable"]
    if open_ones or not inspected["HostConfig"].get("MaskedPaths", True):
        return f"switches off protection: {', '.join(open_ones) or 'masked paths'}"
    allowed = any(one in ("no-new-privileges", "no-new-privileges:true") for one in options)
    return None if allowed else "may gain new privileges"


def _limits(inspected: Inspected) -> str | None:
    host = inspected["HostConfig"]
    limits = {
        "memory": host.get("Memory"),
        "swap": host.get("MemorySwap", 0) > 0,
        "CPU": host.get("CpuQuota") or host.get("NanoCpus"),
        "processes": (host.get("PidsLimit") or 0) > 0,
    }
    lacking = [what for what, limit in limits.items() if not limit]
    return f"has no limit of: {', '.join(lacking)}" if lacking else None


def _namespaces(inspected: Inspected) -> str | None:
    host = inspected["HostConfig"]
    modes = {"network": "NetworkMode", "process": "PidMode", "IPC": "IpcMode", "UTS": "UTSMode", "user": "UsernsMode"}
    shared = [what for what, key in modes.items() if host.get(key) == "host"]
    return f"shares the host's namespaces: {', '.join(shared)}" if shared else None


def _devices(inspected: Inspected) -> str | None:
    host = inspected["HostConfig"]
    given = [key for key in ("Devices", "DeviceRequests", "DeviceCgroupRules") if host.get(key)]
    return f"is given devices: {', '.join(given)}" if given else None


def _ports(inspected: Inspected) -> str | None:
    host = inspected["HostConfig"]
    bound = [one for every in (host.get("PortBindings") or {}).values() for one in every or ()]
    wide = [f"{one.get('HostIp') or '0.0.0.0'}:{one['HostPort']}" for one in bound if one.get("HostIp") not in LOOPBACK]
    if host.get("PublishAllPorts"):
        return "publishes all its ports"
    return f"publishes beyond the loopback: {', '.join(wide)}" if wide else None


def _mounts(inspected: Inspected) -> str | None:
    project = inspected["Config"].get("Labels", {}).get("com.docker.compose.project", "")
    service = inspected["Config"].get("Labels", {}).get("com.docker.compose.service", "")
    own = f"{project}_{service}-data"
    wrong = []
    for mount in inspected.get("Mounts") or ():
        source = str(mount.get("Source", ""))
        if source.endswith(ENGINE_SOCKETS) or mount["Destination"].endswith(ENGINE_SOCKETS):
            return f"mounts the engine's socket: {source}"
        if mount["Type"] == "tmpfs" and mount["Destination"] == TMPFS:
            continue
        if mount["Type"] != "volume" or mount.get("Name") != own:
            wrong.append(str(mount.get("Name") or source))
    wrong += [f"tmpfs {where}" for where in inspected["HostConfig"].get("Tmpfs") or () if where != TMPFS]
    return f"mounts what is not its own: {', '.join(wrong)}" if wrong else None


def _restarts(inspected: Inspected) -> str | None:
    policy = (inspected["HostConfig"].get("RestartPolicy") or {}).get("Name", "")
    return None if policy in ("", "no") else f"is restarted by the engine: {policy}"


def _log_size(inspected: Inspected) -> str | None:
    options = inspected["HostConfig"].get("LogConfig", {}).get("Config") or {}
    return None if "max-size" in options and "max-file" in options else "may fill the disk with its log"


CONTAINER_RULES: Sequence[Rule] = (
    *(_user, _privileged, _root_files, _capabilities, _security_options, _limits),
    *(_namespaces, _devices, _ports, _mounts, _restarts, _log_size),
)


def process_findings(name: str, statuses: str) -> list[str]:
    """What the kernel reports about a container's processes. `statuses` holds their /proc/PID/status, one by one."""
    found: list[str] = []
    for status in re.split(r"(?m)^(?=Name:)", statuses):
        fields = dict(re.findall(r"(?m)^(\w+):[ \t]*(.*?)[ \t]*$", status))
        if fields:
            found += [f"{name}: process {fields.get('Name', '?')} {what}" for what in _process(fields)]
    return found or ([] if "Name:" in statuses else [f"{name}: no process could be examined"])


def _process(fields: Mapping[str, str]) -> Iterator[str]:
    if "0" in fields.get("Uid", "0").split():
        yield "runs as root"
    for which in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
        if int(fields.get(which, "f"), 16):
            yield f"has capabilities ({which} {fields.get(which, 'not known')})"
    if fields.get("NoNewPrivs") != "1":
        yield "may gain new privileges"
    if fields.get("Seccomp") != str(SECCOMP_FILTER):
        yield "may make any system call"


def image_findings(inspected: Inspected, history: Iterable[Inspected], files: Iterable[str] = ()) -> list[str]:
    """Secrets in an image's environment, in the commands of its layers, and in the names of its files."""
    tag = (inspected.get("RepoTags") or [str(inspected.get("Id", "?"))[:19]])[0]
    found = secret_names(inspected["Config"].get("Env") or ())
    for layer in history:
        command = str(layer.get("CreatedBy", ""))
        found += secret_names(re.findall(r"\b[A-Za-z_]\w*=\S+", command)) + secret_texts("a layer's command", command)
    found += [
        f"has a file that looks like a secret: {path}"
        for path in files
        if _SECRET_FILE.search(path) and not _PUBLIC_FILE.search(path)
    ]
    return [f"{tag}: {finding}" for finding in dict.fromkeys(found)]


def secret_names(settings: Iterable[str]) -> list[str]:
    """The NAME=value settings that hold or seem to hold a secret. Their values are not repeated."""
    return [
        f"has a secret in its environment: {name}" for name, _, value in _split(settings) if _is_secret(name, value)
    ]


def _split(settings: Iterable[str]) -> list[tuple[str, str, str]]:
    return [setting.partition("=") for setting in settings]


def _is_secret(name: str, value: str) -> bool:
    named_so = bool(value) and not _NOT_SECRET.match(name) and bool(_SECRET_NAME.search(name))
    return named_so or any(pattern.search(value) for pattern in _SECRET_TEXTS.values())


def secret_texts(where: str, text: str) -> list[str]:
    """The kinds of secrets that a text, such as a log, seems to hold. The secrets themselves are not repeated."""
    return [f"{where} shows {what}" for what, pattern in _SECRET_TEXTS.items() if pattern.search(text)]
