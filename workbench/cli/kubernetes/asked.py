"""What a cluster has to be told, and what cannot be so on one."""

import re
from typing import Literal
from urllib.parse import urlsplit

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from workbench.core import Invalid, Refused, Settings

NAME = "nexus-studio"
KEPT = "/run/studio"
"""Where the Studio's pod has the password file of its databases."""


class Deployment(BaseModel):
    """What a cluster has to be told beside the Studio's settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(description="The image that holds the Studio, with a tag or a digest.")
    namespace: str = Field(NAME, description="The namespace, the Studio's alone.")
    replicas: int = Field(1, description="1, or 0 while the home is copied.")
    tls_secret: str = Field(
        f"{NAME}-tls",
        description="The Secret with tls.crt and tls.key, for the domain and everything below it.",
    )
    postgres_secret: str = Field(
        f"{NAME}-postgres", description="The Secret with `pgpass`, a password file of libpq."
    )
    oidc_secret: str = Field(
        f"{NAME}-oidc", description="The Secret with `client-secret`, for sign-in by OpenID."
    )
    ingress_class: str = Field("nginx", description="The class of the Ingress.")
    ingress_namespace: str = Field(
        "ingress-nginx", description="The namespace whose pods may open the Studio's pages."
    )
    metrics_namespace: str = Field(
        "monitoring", description="The namespace whose pods may read the Studio's metrics."
    )
    storage: str = Field("100Gi", description="How large the volume of the home is.")
    storage_class: str = Field("", description="Its storage class; the cluster's own if empty.")
    access_mode: Literal["ReadWriteOnce", "ReadWriteMany"] = Field(
        "ReadWriteOnce",
        description="With ReadWriteOnce every pod runs on the Studio's node.",
    )
    memory: str = Field("8Gi", description="The memory the Studio's pod has.")
    cpus: str = Field("4", description="The processors the Studio's pod has.")
    seccomp_profile: str = Field(
        "",
        description="A profile of the nodes that lets the Studio make user namespaces, which jobs "
        "need; RuntimeDefault if empty.",
    )


def check(settings: Settings, asked: Deployment) -> None:
    domain = settings.domain
    label = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    if not domain or not re.fullmatch(rf"({label}\.)+[a-z]{label}", domain):
        raise Invalid(
            f"A Studio on Kubernetes cannot be opened at the domain {domain!r}.",
            hint="Set `domain` to a host name that has a wildcard below it in the DNS, such as "
            "studio.example.org: each project has an origin of its own.",
        )
    if not asked.tls_secret:
        raise Refused(
            "A Studio on Kubernetes without TLS would send passwords in the clear.",
            hint=f"Name a Secret with a certificate for {domain} and *.{domain}: --tls-secret.",
        )
    names = {name: getattr(asked, name) for name in type(asked).model_fields}
    for name in ("namespace", "ingress_namespace", "metrics_namespace"):
        if not re.fullmatch(label, names[name]):
            raise Invalid(
                f"The {name.replace('_', ' ')} cannot be {names[name]!r}.",
                hint="A namespace has small letters, digits and hyphens, at most 63.",
            )
    secrets = ("tls_secret", "postgres_secret", "oidc_secret", "ingress_class", "storage_class")
    for name in secrets:
        if names[name] and not re.fullmatch(rf"({label}\.)*{label}", names[name]):
            raise Invalid(
                f"The {name.replace('_', ' ')} cannot be {names[name]!r}.",
                hint="It is the name of an object of the cluster, not what is in it.",
            )
    for name, kind in (
        ("storage", r"[1-9]\d*[KMGTP]i"),
        ("memory", r"[1-9]\d*[MG]i"),
        ("cpus", r"[1-9]\d*(m|\.\d)?"),
    ):
        if not re.fullmatch(kind, names[name]):
            raise Invalid(
                f"The {name} cannot be {names[name]!r}.",
                hint="Write a quantity of Kubernetes: 100Gi of storage, 8Gi of memory, 4 cpus.",
            )
    if not re.fullmatch(r"[a-z0-9][\w./:-]*(@sha256:[0-9a-f]{64}|:[\w][\w.-]*)", asked.image):
        raise Invalid(
            f"The image {asked.image!r} names no version.",
            hint="Name it with its tag or digest: registry.example.org/studio:1.0.",
        )
    if not re.fullmatch(r"([\w-]+(\.[\w-]+)*(/|$))*", asked.seccomp_profile):
        raise Invalid(
            f"The seccomp profile cannot be {asked.seccomp_profile!r}.",
            hint="Name a file below the kubelet's folder of profiles: profiles/studio.json.",
        )
    _check_home(settings, asked)


def _check_home(settings: Settings, asked: Deployment) -> None:
    """What one home allows."""
    for url in _databases(settings):
        if urlsplit(url).password or "password=" in urlsplit(url).query.lower():
            raise Refused(
                "A password stands in the address of a database, and would stand in a ConfigMap.",
                hint="Leave it out: it comes from the Secret with `pgpass`.",
            )
    kept = [url for url in _databases(settings) if "sqlite" in url.partition("://")[0]]
    to_change = "Set the URLs of core.store and pipelines.jobs, and hub_db_url, to PostgreSQL."
    if asked.replicas not in (0, 1):
        raise Refused(
            f"{asked.replicas} replicas cannot share a home"
            f"{' with databases in SQLite' if kept else ''}: one Studio at a time runs on it.",
            hint=f"{to_change + ' Even then ask' if kept else 'Ask'} for one replica, which "
            "Kubernetes starts again elsewhere if it ends.",
        )
    if kept and asked.access_mode == "ReadWriteMany":
        raise Refused(
            "Databases in SQLite are not safe on a volume that several nodes write.",
            hint=f"{to_change} Or take --access-mode ReadWriteOnce.",
        )
    if settings.idle_s:
        raise Refused(
            f"The setting idle_s ({settings.idle_s:g}) does not hold for projects in pods.",
            hint="Leave it at 0, and stop what nobody uses at /hub/admin.",
        )
    for name in ("rooms", "reachable"):
        for each in getattr(settings, name):
            if "\n" in each:
                raise Invalid(f"The setting {name} cannot hold {each!r}.", hint="One line each.")


def _databases(settings: Settings) -> list[str]:
    return [
        settings.urls.get("core.store", "sqlite:///"),
        settings.urls.get("pipelines.jobs", "dbos+sqlite://"),
        settings.hub_db_url,
        *(
            url
            for name, url in settings.urls.items()
            if name not in ("core.store", "pipelines.jobs") and "postgresql" in url
        ),
    ]


def postgres(settings: Settings) -> list[str]:
    return [url for url in _databases(settings) if "postgresql" in url.partition("://")[0]]


def with_passfile(url: str) -> str:
    """The address of a database, with the password file where the pod has it."""
    if "postgresql" not in url.partition("://")[0]:
        return url
    try:
        found = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError) as error:
        # Not the address itself: it may hold a password.
        raise Invalid(
            "The address of a PostgreSQL database cannot be read.",
            hint="Write postgresql://user@host:5432/database.",
        ) from error
    query = {"passfile": f"{KEPT}/pgpass"}
    return found.update_query_dict(query).render_as_string(hide_password=False)


def database_ports(settings: Settings) -> list[int]:
    return sorted({sa.make_url(with_passfile(url)).port or 5432 for url in postgres(settings)})
