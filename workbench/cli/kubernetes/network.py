"""Who reaches the Studio and its projects, and what they reach."""

from collections.abc import Iterator

from workbench.core import Settings

from .asked import NAME, Deployment, database_ports
from .configuration import PORT, SERVER_PORT
from .objects import Document, labels, meta, selector

_DNS = {"matchLabels": {"k8s-app": "kube-dns"}}


def services(settings: Settings, asked: Deployment) -> Iterator[Document]:
    scraped = {
        "prometheus.io/scrape": "true",
        "prometheus.io/scheme": "https",
        "prometheus.io/port": str(PORT),
        "prometheus.io/path": "/services/studio/metrics",
        "traefik.ingress.kubernetes.io/service.serversscheme": "https",
    }
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta(asked, annotations=scraped),
        "spec": {
            "selector": labels("studio"),
            "ports": [
                {"name": "https", "port": PORT, "targetPort": "https"},
                {"name": "projects", "port": settings.pods_port, "targetPort": "projects"},
            ],
        },
    }


def ingress(settings: Settings, asked: Deployment) -> Document:
    names = [settings.domain, f"*.{settings.domain}"]
    to = {"service": {"name": NAME, "port": {"name": "https"}}}
    paths = [{"path": "/", "pathType": "Prefix", "backend": to}]
    nginx = {
        "backend-protocol": "HTTPS",
        "proxy-body-size": "0",
        "proxy-read-timeout": "3600",
        "proxy-send-timeout": "3600",
    }
    notes = {f"nginx.ingress.kubernetes.io/{name}": value for name, value in nginx.items()}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": meta(asked, annotations=notes),
        "spec": {
            "ingressClassName": asked.ingress_class,
            "tls": [{"hosts": names, "secretName": asked.tls_secret}],
            "rules": [{"host": name, "http": {"paths": paths}} for name in names],
        },
    }


def policies(settings: Settings, asked: Deployment) -> Iterator[Document]:
    """Nothing, but: pages for the Ingress, projects for the gateway, the Studio for projects."""
    studio, project = {"podSelector": selector("studio")}, {"podSelector": selector("project")}
    names = {
        "to": [{**_of_namespace("kube-system"), "podSelector": _DNS}],
        "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
    }
    yield _policy(asked, f"{NAME}-default-deny", {}, [], [])
    seen = {asked.ingress_namespace: None, asked.metrics_namespace: None}
    # The API of the cluster, databases, the identity provider, what connections reach.
    outside = {"ports": _ports(443, 6443, *database_ports(settings))}
    yield _policy(
        asked,
        f"{NAME}-studio",
        selector("studio"),
        [
            {"from": [_of_namespace(each) for each in seen], "ports": _ports(PORT)},
            {"from": [project], "ports": _ports(settings.pods_port)},
        ],
        [names, {"to": [project], "ports": _ports(SERVER_PORT)}, outside],
    )
    yield _policy(
        asked,
        f"{NAME}-project",
        selector("project"),
        [{"from": [studio], "ports": _ports(SERVER_PORT)}],
        [names, {"to": [studio], "ports": _ports(settings.pods_port)}],
    )


def _policy(
    asked: Deployment, name: str, pods: Document, into: list[Document], out: list[Document]
) -> Document:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": meta(asked, name),
        "spec": {
            "podSelector": pods,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": into,
            "egress": out,
        },
    }


def _of_namespace(name: str) -> Document:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _ports(*numbers: int) -> list[Document]:
    return [{"protocol": "TCP", "port": number} for number in dict.fromkeys(numbers)]
