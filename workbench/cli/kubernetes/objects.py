"""Names and marks of the Studio's objects, and those that stand by themselves."""

from collections.abc import Iterator
from typing import Any

from .asked import NAME, Deployment

Document = dict[str, Any]
_MODES = ("enforce", "audit", "warn")


def labels(component: str = "") -> dict[str, str]:
    own = {"app.kubernetes.io/component": component} if component else {}
    return {"app.kubernetes.io/name": NAME, **own}


def selector(component: str) -> Document:
    return {"matchLabels": labels(component)}


def meta(asked: Deployment, name: str = NAME, **more: Any) -> Document:
    return {"name": name, "namespace": asked.namespace, "labels": labels(), **more}


def namespace(asked: Deployment) -> Document:
    levels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in _MODES}
    meta = {"name": asked.namespace, "labels": {**labels(), **levels}}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}


def access(asked: Deployment) -> Iterator[Document]:
    """Pods of its own namespace, and nothing else: neither Secrets nor `exec`."""
    yield {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": meta(asked),
        "automountServiceAccountToken": False,
    }
    verbs = ["get", "list", "watch", "create", "delete"]
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": meta(asked),
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": verbs}],
    }
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": meta(asked),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": NAME},
        "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": asked.namespace}],
    }


def config_map(asked: Deployment, config: str) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": meta(asked),
        "data": {"jupyter_config.py": config},
    }


def claim(asked: Deployment) -> Document:
    own = {"storageClassName": asked.storage_class} if asked.storage_class else {}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": meta(asked),
        "spec": {
            "accessModes": [asked.access_mode],
            **own,
            "resources": {"requests": {"storage": asked.storage}},
        },
    }
