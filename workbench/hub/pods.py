"""A project's JupyterLab in a pod of its own: `servers = "kubernetes"`.

The pod sees the project's folder and its environments, and nothing else of the Studio's volume. It
holds no token of the hub or of the cluster. Who may reach it, and what it may reach, is said by
the network policies that `workbench deploy kubernetes` writes.
"""

import asyncio
import secrets
import sys
from typing import Any
from urllib.parse import urlsplit

from kubespawner import KubeSpawner
from traitlets import Any as AnyTrait
from traitlets import Integer, Unicode

from workbench import environments
from workbench.core import Settings
from workbench.core.ids import project_of
from workbench.operations import running
from workbench.security.limits import limit_of

from . import gitconfig, given
from .servers import Pod, forget_pod, note_pod
from .spawner import git_files, prepare, store_of

MIB = 1024 * 1024
HOME = "/home/project"
GIT = "/etc/studio-git"
RUNTIME = "/run/jupyter"
PATH = f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin"
TEMPORARY_MB, SHARED_MB, RUNTIME_MB = 4096, 1024, 64
"""What a project may hold in the pod's own memory and disk, in MiB."""


class StudioKubeSpawner(KubeSpawner):  # type: ignore[misc]
    """Starts JupyterLab in a pod, with what a project's code needs and no more."""

    settings: Settings = AnyTrait(  # type: ignore[assignment]
        help="The Studio's settings."
    ).tag(config=True)
    config_file = Unicode(
        help="The configuration file of hub and notebook server, as the image has it."
    ).tag(config=True)
    gateway_port = Integer(0, help="Where the gateway answers the hub.").tag(config=True)
    claim = Unicode("nexus-studio", help="The claim of the volume that is the home.").tag(
        config=True
    )
    studio_url = Unicode(help="Where the code of projects reaches the Studio.").tag(config=True)
    user_number = Integer(1000, help="The numeric user and group of the pod.").tag(config=True)

    def start(self) -> "asyncio.Future[str]":
        """Start the server of the project that this account stands for.

        Raises:
            ValueError: The account is a person's: people work in projects. Or the project was
                archived or deleted.
        """
        self._start_future = asyncio.ensure_future(self._begin())
        return self._start_future

    async def _begin(self) -> str:
        label = str(self.user.name)
        if not label.startswith("prj-"):
            raise ValueError(f"{label} is a person, and has no server: open a project instead.")
        _, _, key = await asyncio.to_thread(prepare, self.settings, project_of(label))
        secret = secrets.token_urlsafe(32)
        await asyncio.to_thread(self.describe, label, key, secret)
        there = str(await self._start())
        pod = self.pod_reflector.pods[f"{self.namespace}/{self.pod_name}"]
        note_pod(self.settings.home, label, Pod(self._origin(pod), secret))
        return there

    def describe(self, label: str, key: str, secret: str) -> None:
        """Say what the pod is; no configuration makes it less strict.

        Args:
            label: The project's.
            key: By which its code calls the Studio.
            secret: By which the gateway calls the pod.
        """
        settings, project = self.settings, project_of(label)
        memory = limit_of(store_of(settings.home), project, "memory_mb", None)
        memory = memory or settings.server_memory_mb
        host = urlsplit(settings.address).hostname or "localhost"
        environments.prepare_folder(settings, project)
        gitconfig.write(settings.home / "run" / "git" / label, git_files(settings, label, GIT))
        # Not `cmd`, which an image's own entry point would be given.
        self.cmd: list[str] = []
        self.environment = {
            "HOME": HOME,
            "PATH": PATH,
            "LANG": "C.UTF-8",
            "SHELL": "/bin/bash",
            "TERM": "xterm-256color",
            "PIP_USER": "1",
            "JUPYTER_PATH": f"{environments.SEEN}/jupyter",
            "JUPYTER_RUNTIME_DIR": RUNTIME,
            given.PORT: str(self.port),
            given.SECRET: secret,
            given.BASE: f"/user/{label}/",
            given.HOST: host,
            # Processes are counted over the whole node here; the kubelet limits them by pod.
            given.LIMITS: f"data={memory * MIB:.0f}",
            "WORKBENCH_TOKEN": key,
            "WORKBENCH_PROJECT": project,
            "WORKBENCH_STUDIO_URL": self.studio_url,
            **gitconfig.environment(GIT),
        }
        self.mem_limit = int(memory * MIB)
        self.mem_guarantee = int(min(memory, 512) * MIB)
        self.cpu_limit = limit_of(store_of(settings.home), project, "cpus", None)
        self.cpu_guarantee = min(self.cpu_limit or 0.1, 0.1)
        self._confine()
        self._show(project, label)
        self.extra_container_config = {
            "command": [
                *(sys.executable, "-m", "workbench.hub.kernels.keeper"),
                f"--config={self.config_file}",
            ],
            "readinessProbe": {
                "httpGet": {"path": f"/user/{label}/api", "port": self.port},
                "periodSeconds": 1,
                "failureThreshold": 120,
            },
        }

    def _confine(self) -> None:
        """No rights of its own, no account of the cluster."""
        self.privileged = self.allow_privilege_escalation = False
        self.automount_service_account_token = False
        self.storage_pvc_ensure = self.events_enabled = False
        self.container_security_context = {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
        }
        self.pod_security_context = {
            "fsGroup": self.user_number,
            "fsGroupChangePolicy": "OnRootMismatch",
            "runAsGroup": self.user_number,
            "runAsNonRoot": True,
            "runAsUser": self.user_number,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        self.extra_pod_config = {"enableServiceLinks": False}

    def _show(self, project: str, label: str) -> None:
        """What it sees of the Studio's volume, and room of its own."""
        part = f"projects/{project}"
        self.volumes = [
            {"name": "home", "persistentVolumeClaim": {"claimName": self.claim}},
            _room("tmp", TEMPORARY_MB),
            _room("shm", SHARED_MB, "Memory"),
            _room("runtime", RUNTIME_MB, "Memory"),
        ]
        self.volume_mounts = [
            {"name": "home", "mountPath": HOME, "subPath": f"{part}/files"},
            {
                "name": "home",
                "mountPath": environments.SEEN,
                "subPath": f"{part}/environments",
                "readOnly": True,
            },
            {"name": "home", "mountPath": GIT, "subPath": f"run/git/{label}", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "shm", "mountPath": "/dev/shm"},
            {"name": "runtime", "mountPath": RUNTIME},
        ]

    def get_env(self) -> dict[str, str]:
        """What `describe` said: nothing of the hub's own environment, and no token of the hub."""
        return {name: str(value) for name, value in self.environment.items()}

    def get_args(self) -> list[str]:
        """None: the command is whole."""
        return []

    def _get_pod_url(self, pod: dict[str, Any]) -> str:
        """Where the hub asks after the server: at the gateway, which alone can show the secret."""
        return f"http://127.0.0.1:{self.gateway_port}"

    def _origin(self, pod: dict[str, Any]) -> str:
        return str(super()._get_pod_url(pod))

    def clear_state(self) -> None:
        """Forget the pod, which has ended."""
        super().clear_state()
        forget_pod(self.settings.home, str(self.user.name))
        running.forget(self.settings.home, str(self.user.name))


def _room(name: str, size_mb: int, medium: str = "") -> dict[str, Any]:
    of = {"medium": medium} if medium else {}
    return {"name": name, "emptyDir": {**of, "sizeLimit": f"{size_mb}Mi"}}
