"""The live page at `/`, for people: rendered here, readable without JavaScript, kept current with it."""

from consumers.http.page.routing import routes

__all__ = ["routes"]
