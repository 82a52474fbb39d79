"""The servers behind the endpoints, and which of them a request goes to."""

import random
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from local_cloud.sagemaker.errors import JobError
from local_cloud.sagemaker.model_server import ModelServer


@dataclass(frozen=True)
class Fleet:
    """One server per variant of an endpoint configuration, and their share of the endpoint's traffic."""

    servers: tuple[ModelServer, ...]
    share: float = 1.0

    @property
    def ready(self) -> bool:
        """Whether each server answers now."""
        return all(server.ready for server in self.servers)


class Fleets:
    """All fleets by the name of their endpoint: one, or an old and a new one."""

    def __init__(self) -> None:
        """Nothing runs."""
        self._lock = threading.Lock()
        self._live: dict[str, tuple[Fleet, ...]] = {}
        self._aside: set[ModelServer] = set()  # those that take no traffic yet, and no more
        self._ending = threading.Event()

    def ending(self) -> bool:
        """Tell whether the service is being stopped."""
        return self._ending.is_set()

    def pick(self, name: str) -> Sequence[ModelServer] | None:
        """Return the servers that take the next request; None if there is no such endpoint in service."""
        with self._lock:
            fleets = [fleet for fleet in self._live.get(name, ()) if fleet.share > 0]
        if not fleets:
            return None
        # As a load balancer does: whoever is being started again gets nothing while another one answers.
        able = [fleet for fleet in fleets if fleet.ready] or fleets
        return random.choices(able, [fleet.share for fleet in able])[0].servers

    def serving(self, name: str) -> tuple[ModelServer, ...]:
        """Return every server that takes traffic of an endpoint."""
        with self._lock:
            return tuple(server for fleet in self._live.get(name, ()) for server in fleet.servers)

    def route(self, name: str, *fleets: Fleet) -> None:
        """Hand an endpoint's traffic over to these fleets, at once for all requests to come.

        Raises:
            JobError: the service is being stopped.
        """
        with self._lock:
            if self._ending.is_set():
                raise JobError("The service is being stopped.")
            self._live[name] = fleets

    def start(self, servers: Iterable[ModelServer]) -> None:
        """Start all or none; they take no traffic yet.

        Raises:
            JobError: one of them does not come up.
        """
        servers = list(servers)
        with self._lock:
            if self._ending.is_set():
                raise JobError("The service is being stopped.")
            self._aside |= set(servers)
        try:
            for server in servers:
                server.start()
        except BaseException:
            self.end(servers)
            raise

    def adopt(self, servers: Iterable[ModelServer]) -> None:
        """Forget servers as waiting aside: they have been routed to."""
        with self._lock:
            self._aside -= set(servers)

    def retire(self, servers: Iterable[ModelServer]) -> None:
        """End servers that take no more traffic, each once it has answered what is under way."""
        servers = list(servers)
        with self._lock:
            self._aside |= set(servers)
        for server in servers:
            server.retire()
        with self._lock:
            self._aside -= set(servers)

    def end(self, servers: Iterable[ModelServer]) -> None:
        """End servers at once."""
        servers = list(servers)
        for server in servers:
            server.stop()
        with self._lock:
            self._aside -= set(servers)

    def remove(self, name: str) -> tuple[ModelServer, ...]:
        """Take an endpoint out of service; return its servers, which still run."""
        with self._lock:
            return tuple(server for fleet in self._live.pop(name, ()) for server in fleet.servers)

    def shut_down(self) -> None:
        """End every server, and refuse new ones."""
        self._ending.set()
        with self._lock:
            live = [server for fleets in self._live.values() for fleet in fleets for server in fleet.servers]
            servers = {*self._aside, *live}
            self._live.clear()
        stopping = [threading.Thread(target=server.stop) for server in servers]
        for thread in stopping:
            thread.start()
        for thread in stopping:
            thread.join()
