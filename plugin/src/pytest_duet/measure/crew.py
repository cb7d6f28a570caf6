"""Hand out the workers of one cell: the same in every cell, or fresh processes of all members each time.

Not for asking them to run (``timing``), nor for how a process is started (``workers.nursery``).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from pytest_duet.errors import MemberError
from pytest_duet.measure import member as step

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from pytest_duet.measure.member import Files, Member
    from pytest_duet.plan import GroupPlan
    from pytest_duet.workers.client import Client
    from pytest_duet.workers.nursery import Nursery

Crew = dict[str, "Client | MemberError"]
"""The worker of each member in one cell, or why it has none."""


class Crews(Protocol):
    """Where the workers of each cell come from."""

    def cell(self, names: Sequence[str]) -> AbstractContextManager[Crew]:
        """Return the workers of the members `names`, ready to run, for one cell."""


class Standing:
    """The same workers in every cell."""

    def __init__(self, clients: Mapping[str, Client]) -> None:
        """Hand out `clients`."""
        self._clients = clients

    @contextmanager
    def cell(self, names: Sequence[str]) -> Iterator[Crew]:
        """Yield them."""
        yield {name: self._clients[name] for name in names}


class Fresh:
    """New processes in every cell, started in an order drawn anew, prepared and held to what was checked before."""

    def __init__(
        self, members: Mapping[str, Member], group: GroupPlan, files: Files, nursery: Nursery, rng: random.Random
    ) -> None:
        """Start workers of `members` on the job of `group`."""
        self._members, self._group, self._files = members, group, files
        self._nursery, self._rng = nursery, rng

    @contextmanager
    def cell(self, names: Sequence[str]) -> Iterator[Crew]:
        """Yield new workers, and end them afterwards."""
        crew: Crew = {}
        order = list(names)
        self._rng.shuffle(order)
        try:
            for name in order:
                try:
                    crew[name] = step.launch(self._members[name], self._group, self._files, self._nursery)
                except MemberError as error:
                    crew[name] = error
            yield crew
        finally:
            for name, client in crew.items():
                if not isinstance(client, MemberError):
                    client.close()
                    self._members[name].left_behind += client.left_behind
