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
from .products import data_files, products, read_table
from .types import Column, ColumnProfile, Guess, Kind, Preview, Product, Profile

__all__ = [
    "Column",
    "ColumnProfile",
    "Guess",
    "Kind",
    "Preview",
    "Product",
    "Profile",
    "data_files",
    "download",
    "get_product",
    "inspect",
    "list_products",
    "preview",
    "products",
    "profile",
    "query",
    "read_table",
    "register",
    "upload",
    "versions",
]
