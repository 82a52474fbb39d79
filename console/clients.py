"""boto3 clients, made once each."""

from typing import Any

import boto3


class Clients:
    """The clients of one session, all with the same options."""

    def __init__(self, session: boto3.Session, **options: Any) -> None:
        # The stubs overload `client` on literal names; here the name is a variable.
        self._make: Any = session.client
        self._options = options
        self._made: dict[str, Any] = {}

    def __call__(self, service: str) -> Any:
        """Return the client of a service."""
        if service not in self._made:
            self._made[service] = self._make(service, **self._options)
        return self._made[service]
