"""The Records of data products."""

from datetime import datetime
from typing import Any, Literal

from workbench.core import Record

Kind = Literal["number", "integer", "category", "text", "boolean", "time"]


class Column(Record):
    """One column of a product, as declared at registration."""

    name: str
    kind: Kind
    type: str
    """The Arrow type, e.g. `int64`."""
    nullable: bool = True
    sensitive: bool = False


class Product(Record):
    """A table with an owner, a schema and versions. `prd_…@3` names one version."""

    id: str
    name: str
    version: int
    description: str
    owner: str
    made_at: datetime
    rows: int
    bytes: int
    columns: list[Column]
    sensitive: list[str]
    source: str
    """What it was made from: a file's name, `frame`, `query`; never a path or a credential."""
    digest: str
    """`sha256:` over the Delta version's file list and schema: what a model was trained on."""
    delta_version: int
    warnings: list[str] = []
    """What was noticed on the way in, one sentence each (renamed columns, mixed encodings)."""

    @property
    def ref(self) -> str:
        """`prd_…@3`"""
        return f"{self.id}@{self.version}"


class Preview(Record):
    """The first rows of a product or the rows of a query. Values are JSON; times are ISO 8601."""

    columns: list[Column]
    rows: list[list[Any]]
    total: int | None
    """How many rows there are in all; None if that was not counted."""
    truncated: bool
    elapsed_s: float


class Bin(Record):
    """A bar of a distribution: a category, or a half-open interval [low, high)."""

    label: str
    count: int
    low: float | None = None
    high: float | None = None


class ColumnProfile(Record):
    """What one column holds."""

    name: str
    kind: Kind
    type: str
    count: int
    missing: int
    missing_share: float
    distinct: int
    """Approximate above 10,000 rows (HyperLogLog)."""
    minimum: float | str | None = None
    maximum: float | str | None = None
    mean: float | None = None
    deviation: float | None = None
    median: float | None = None
    bins: list[Bin] = []
    other: int = 0
    """Rows in categories beyond those in `bins`."""
    sensitive: bool = False
    looks_sensitive: str = ""
    """Why it looks sensitive (a name such as `sex`), or empty."""
    key: bool = False
    """Every value is present and different."""
    notes: list[str] = []


class Profile(Record):
    """What a product holds, column by column, and what to look at before training on it."""

    product: str
    rows: int
    columns: list[ColumnProfile]
    duplicates: int | None
    """Rows equal to another row; None if too large to count."""
    target: str | None
    leakage: list[str]
    """Columns that tell the target too well, one sentence each."""
    elapsed_s: float


class Guess(Record):
    """What a file looks like before it is registered: the first grid a person sees."""

    format: str
    columns: list[Column]
    rows: list[list[Any]]
    total: int | None
    questions: list[str]
    """`age and sex look sensitive: treat them so?`"""
    sensitive: list[str]
    """The columns those questions are about."""
    warnings: list[str]
    suggested_name: str
    suggested_target: str | None
