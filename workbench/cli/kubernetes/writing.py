"""The manifests, and their files."""

from pathlib import Path
from typing import Any

from workbench.core import Conflict, Settings, Unavailable

from .asked import Deployment, check
from .configuration import HEADER, MARK, configuration
from .network import ingress, policies, services
from .objects import Document, access, claim, config_map, namespace
from .pod import deployment


def write_kubernetes(settings: Settings, asked: Deployment, folder: Path) -> list[Path]:
    """Write the manifests into a folder.

    Raises:
        Conflict: The folder has a file of such a name that was not made here.
        Invalid, Refused: As `manifests`.
        Unavailable: PyYAML is not installed.
    """
    files = {name: text(documents) for name, documents in manifests(settings, asked).items()}
    for name in files:
        there = folder / name
        if there.exists() and not there.read_text().startswith(MARK):
            raise Conflict(
                f"{there} was not made by this command, and is left alone.",
                hint="Choose another folder with --output.",
            )
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content)
    return [folder / name for name in files]


def text(documents: list[Document]) -> str:
    """Documents as YAML, always in the same order."""
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise Unavailable(
            "PyYAML is not installed.", hint="Install nexus-workbench[kubernetes]."
        ) from error

    class Dumper(yaml.SafeDumper):  # type: ignore[misc]
        """One that writes out what is there twice, and longer text as it is."""

        def ignore_aliases(self, data: object) -> bool:
            return True

    def block(dumper: Any, value: str) -> Any:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    Dumper.add_representer(str, block)
    written: str = yaml.dump_all(documents, Dumper=Dumper, sort_keys=False, width=100)
    return HEADER + written


def manifests(settings: Settings, asked: Deployment) -> dict[str, list[Document]]:
    """Every file by its name, and the documents in it.

    Raises:
        Invalid: A setting or an answer cannot be so on a cluster.
        Refused: The Studio would be open to others, or lose what it knows.
    """
    check(settings, asked)
    config = configuration(settings, asked)
    files = {
        "namespace.yaml": [namespace(asked)],
        "access.yaml": list(access(asked)),
        "config.yaml": [config_map(asked, config)],
        "storage.yaml": [claim(asked)],
        "studio.yaml": [deployment(settings, asked, config)],
        "network.yaml": [*services(settings, asked), ingress(settings, asked)],
        "policies.yaml": list(policies(settings, asked)),
    }
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": list(files),
    }
    return {**files, "kustomization.yaml": [kustomization]}
