"""The Studio's pod."""

from collections.abc import Iterator
from hashlib import sha256

from workbench.core import Settings

from .asked import KEPT, NAME, Deployment, postgres
from .configuration import CONFIG, HOME, OIDC, PGPASS, PORT, TLS, USER
from .objects import Document, labels, meta, selector

FREE_UIDS = {"name": "net.ipv4.ip_unprivileged_port_start", "value": str(PORT)}
HEALTH = "/services/studio/api/v1/health"
_CONFINED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
}


def deployment(settings: Settings, asked: Deployment, config: str) -> Document:
    changed = {f"{NAME}/config": sha256(config.encode()).hexdigest()}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta(asked),
        "spec": {
            "replicas": asked.replicas,
            # The home has one Studio at a time: the old one ends before the new one starts.
            "strategy": {"type": "Recreate"},
            "selector": selector("studio"),
            "template": {
                "metadata": {"labels": labels("studio"), "annotations": changed},
                "spec": _pod(settings, asked),
            },
        },
    }


def _pod(settings: Settings, asked: Deployment) -> Document:
    profile = {"type": "RuntimeDefault"}
    if asked.seccomp_profile:
        profile = {"type": "Localhost", "localhostProfile": asked.seccomp_profile}
    copying = [_copying(asked)] if postgres(settings) else []
    return {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": True,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        # It asks itself at its own address while it starts, before the Ingress leads to it.
        "hostAliases": [{"ip": "127.0.0.1", "hostnames": [settings.domain]}],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            # Never again over the whole home: keys in it are their owner's alone.
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": profile,
            "sysctls": [FREE_UIDS],
        },
        **({"initContainers": copying} if copying else {}),
        "containers": [_container(settings, asked)],
        "volumes": list(_volumes(settings, asked)),
    }


def _copying(asked: Deployment) -> Document:
    """The password file as libpq takes it: a Secret's own can be read by the group."""
    return {
        "name": "pgpass",
        "image": asked.image,
        "command": ["install", "-m", "0600", f"{PGPASS}/pgpass", f"{KEPT}/pgpass"],
        "securityContext": _CONFINED,
        "resources": {
            "requests": {"cpu": "10m", "memory": "16Mi"},
            "limits": {"cpu": "100m", "memory": "64Mi"},
        },
        "volumeMounts": [
            {"name": "postgres", "mountPath": PGPASS, "readOnly": True},
            {"name": "kept", "mountPath": KEPT},
        ],
    }


def _container(settings: Settings, asked: Deployment) -> Document:
    whose = [{"name": "Host", "value": settings.domain}]
    asks = {"path": HEALTH, "port": "https", "scheme": "HTTPS", "httpHeaders": whose}
    alive = {**asks, "path": "/hub/health"}
    mounts = [
        {"name": "home", "mountPath": HOME},
        {"name": "config", "mountPath": CONFIG, "readOnly": True},
        {"name": "tls", "mountPath": TLS, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "shm", "mountPath": "/dev/shm"},
    ]
    if settings.oidc_issuer:
        mounts.append({"name": "oidc", "mountPath": OIDC, "readOnly": True})
    if postgres(settings):
        mounts.append({"name": "kept", "mountPath": KEPT, "readOnly": True})
    return {
        "name": "studio",
        "image": asked.image,
        "command": ["workbench", "up", "--no-tour"],
        "env": [
            {"name": "WORKBENCH_CONFIG", "value": f"{CONFIG}/jupyter_config.py"},
            {"name": "HOME", "value": "/tmp"},
            {"name": "PYTHONUNBUFFERED", "value": "1"},
        ],
        "ports": [
            {"name": "https", "containerPort": PORT},
            {"name": "projects", "containerPort": settings.pods_port},
        ],
        "securityContext": _CONFINED,
        "resources": {
            "requests": {"cpu": "500m", "memory": asked.memory},
            "limits": {"cpu": asked.cpus, "memory": asked.memory},
        },
        "startupProbe": {"httpGet": asks, "periodSeconds": 5, "failureThreshold": 60},
        "readinessProbe": {"httpGet": asks, "periodSeconds": 10, "timeoutSeconds": 5},
        "livenessProbe": {
            "httpGet": alive,
            "periodSeconds": 30,
            "timeoutSeconds": 10,
            "failureThreshold": 6,
        },
        "volumeMounts": mounts,
    }


def _volumes(settings: Settings, asked: Deployment) -> Iterator[Document]:
    yield {"name": "home", "persistentVolumeClaim": {"claimName": NAME}}
    yield {"name": "config", "configMap": {"name": NAME}}
    yield _secret("tls", asked.tls_secret, "tls.crt", "tls.key")
    yield {"name": "tmp", "emptyDir": {"sizeLimit": "20Gi"}}
    yield {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}
    if settings.oidc_issuer:
        yield _secret("oidc", asked.oidc_secret, "client-secret")
    if postgres(settings):
        yield _secret("postgres", asked.postgres_secret, "pgpass")
        yield {"name": "kept", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}


def _secret(volume: str, name: str, *keys: str) -> Document:
    items = [{"key": key, "path": key} for key in keys]
    return {
        "name": volume,
        "secret": {"secretName": name, "defaultMode": 0o440, "items": items},
    }
