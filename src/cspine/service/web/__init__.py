"""The service over HTTP: an API with one error body, and the pages that use it."""

from cspine.service.web.app import create_app

__all__ = ["create_app"]
