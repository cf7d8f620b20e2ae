"""The Studio's own pages: HTML that the service renders, for people without a JupyterLab too.

Every read and every change goes through the door; a page has no rights of its own.
"""

from .routes import add_pages

__all__ = ["add_pages"]
