"""Provide the workers of each cell: the same ones in every cell, or new processes of all members for each."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from pytest_duet.errors import MemberError

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.binding.member import Files, Member
    from pytest_duet.workers.client import Client
    from pytest_duet.workers.spawner import Spawner

Workers = dict[str, "Client | MemberError"]
"""The worker of each member in one cell, or the error why it has none."""


class WorkerProvider(Protocol):
    """Provides the workers of each cell."""

    def cell(self, names: Sequence[str]) -> AbstractContextManager[Workers]:
        """Return a context with the workers of members `names`, ready to run one cell."""


class Persistent:
    """Provides the same workers in every cell."""

    def __init__(self, clients: Mapping[str, Client]) -> None:
        """Provide `clients`."""
        self._clients = clients

    @contextmanager
    def cell(self, names: Sequence[str]) -> Iterator[Workers]:
        """Yield the clients of members `names`."""
        yield {name: self._clients[name] for name in names}


class Fresh:
    """Provides new processes for every cell: started in random order, prepared, and checked against the first attestation."""

    def __init__(
        self, members: Mapping[str, Member], group: BoundGroup, files: Files, spawner: Spawner, rng: random.Random
    ) -> None:
        """Start workers of `members` on the job of `group`."""
        self._members, self._group, self._files = members, group, files
        self._spawner, self._rng = spawner, rng

    @contextmanager
    def cell(self, names: Sequence[str]) -> Iterator[Workers]:
        """Yield new workers of members `names`, and close them afterwards."""
        workers: Workers = {}
        order = list(names)
        self._rng.shuffle(order)
        try:
            for name in order:
                try:
                    workers[name] = self._members[name].launch_fresh(self._group, self._files, self._spawner)
                except MemberError as error:
                    workers[name] = error
            yield workers
        finally:
            for name, client in workers.items():
                if not isinstance(client, MemberError):
                    client.close()
                    self._members[name].left_behind += client.left_behind
