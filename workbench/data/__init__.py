"""Data products: tables on Delta Lake with an owner, a schema, a description and versions."""

from .actions import (
    download,
    get_product,
    inspect,
    list_products,
    preview,
    profile,
    query,
    register,
    upload,
    versions,
)
from .connections import (
    create_connection,
    delete_connection,
    get_connection,
    list_connections,
    test_connection,
)
from .places import Connection
from .products import data_files, products, read_columns, read_table, scan
from .types import Column, ColumnProfile, Guess, Kind, Preview, Product, Profile

__all__ = [
    "Column",
    "ColumnProfile",
    "Connection",
    "Guess",
    "Kind",
    "Preview",
    "Product",
    "Profile",
    "create_connection",
    "data_files",
    "delete_connection",
    "download",
    "get_connection",
    "get_product",
    "inspect",
    "list_connections",
    "list_products",
    "preview",
    "products",
    "profile",
    "query",
    "read_columns",
    "read_table",
    "register",
    "scan",
    "test_connection",
    "upload",
    "versions",
]
