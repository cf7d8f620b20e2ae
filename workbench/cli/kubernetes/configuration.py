"""The `jupyter_config.py` of a Studio on a cluster."""

from typing import Any

import workbench
from workbench.core import Settings

from .asked import NAME, Deployment, with_passfile
from .objects import labels, selector

MARK = "# Made by `workbench deploy kubernetes`"
HEADER = f"""\
{MARK} (NexusAI Studio {workbench.__version__}): change the settings and make it
# again. Generated and validated against the schemas, NOT RUN ON A CLUSTER: docs/deployment.md.
"""
USER = 1000
HOME, CONFIG, TLS, OIDC, PGPASS = (
    "/studio",
    "/etc/studio/config",
    "/etc/studio/tls",
    "/etc/studio/oidc",
    "/etc/studio/postgres",
)
"""Where the Studio's pod sees its home, its configuration and its secrets."""
PORT, SERVER_PORT = 443, 8888
OWN = frozenset(
    {"home", "host", "port", "domain", "hosts", "servers", "tls_certificate", "tls_key"}
)
"""Settings that the deployment decides, or that are written first."""


def configuration(settings: Settings, asked: Deployment) -> str:
    """The `jupyter_config.py` of the cluster: the Studio's settings, and what a pod is."""
    near = selector("studio")
    inner = f"{NAME}.{asked.namespace}.svc"
    given = {
        "home": HOME,
        "host": "0.0.0.0",
        "port": PORT,
        "domain": settings.domain,
        "hosts": [*settings.hosts, *([] if inner in settings.hosts else [inner])],
        "servers": "kubernetes",
        "tls_certificate": f"{TLS}/tls.crt",
        "tls_key": f"{TLS}/tls.key",
    }
    more = settings.model_dump(mode="json", exclude_defaults=True, exclude=set(OWN))
    if "urls" in more:
        more["urls"] = {name: with_passfile(url) for name, url in sorted(more["urls"].items())}
    if "hub_db_url" in more:
        more["hub_db_url"] = with_passfile(more["hub_db_url"])
    if settings.oidc_issuer:
        more["oidc_client_secret_file"] = f"{OIDC}/client-secret"
    spawner: dict[str, Any] = {
        "namespace": asked.namespace,
        "image": asked.image,
        "claim": NAME,
        "port": SERVER_PORT,
        "user_number": USER,
        "studio_url": f"http://{inner}:{settings.pods_port}/services/studio/",
        "pod_name_template": "{username}",
        "component_label": "project",
        "common_labels": labels(),
    }
    if asked.access_mode == "ReadWriteOnce":
        # Only pods of one node share such a volume.
        spawner["pod_affinity_required"] = [
            {"labelSelector": near, "topologyKey": "kubernetes.io/hostname"}
        ]
    lines = [f"c.Workbench.{name} = {value!r}" for name, value in {**given, **more}.items()]
    lines += ["", *(f"c.StudioKubeSpawner.{name} = {value!r}" for name, value in spawner.items())]
    return f"{HEADER}c = get_config()\n\n" + "\n".join(lines) + "\n"
