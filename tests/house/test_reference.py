"""What is made from the catalogue is as committed."""

from pathlib import Path

from workbench.api.reference import reference

TOP = Path(__file__).parents[2]


def test_the_reference_is_as_committed() -> None:
    committed = (TOP / "docs" / "reference.md").read_text()
    assert committed == reference(), "run `make contract`"


def test_every_port_says_what_it_is_for() -> None:
    import workbench
    from workbench.core import Port

    workbench.load_rooms()
    for name, port in Port.known.items():
        assert port.doc.endswith("."), name
        assert port.default.partition("://")[0] in port.schemes, name


def test_every_setting_and_error_is_described() -> None:
    from workbench.core import Settings
    from workbench.core.errors import KINDS

    for name, info in Settings.model_fields.items():
        assert (info.description or "").endswith("."), name
    assert len(KINDS) == 8 and all((kind.__doc__ or "").strip() for kind in KINDS.values())
