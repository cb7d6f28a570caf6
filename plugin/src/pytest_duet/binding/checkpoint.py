"""Have the reference train, once, the weights that every member of another phase starts from.

Not for data a recipe can make: ``data`` keeps both.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import msgspec

from pytest_duet.binding import member as step
from pytest_duet.binding.datasets import content_digest, obtain
from pytest_duet.binding.member import Files, Member
from pytest_duet.errors import Refused

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from pytest_duet.spec.group import GroupSpec

NAME = "checkpoint"
"""The name of the data file that holds the weights."""


def reuse(files: Files, trained: Files) -> Files:
    """Return `files` with the checkpoint that `trained` holds."""
    return _joined(files, trained.paths[NAME], trained.hashes[NAME])


def _joined(files: Files, path: Path, sha256: str) -> Files:
    return Files(
        {**files.paths, NAME: path},
        {**files.hashes, NAME: sha256},
        files.arrays,
        content_digest(files.digest.encode(), sha256.encode()),
    )


def add(plan: GroupSpec, files: Files) -> Files:
    """Return `files` with the checkpoint of `plan`, from the cache or trained now.

    Raises:
        MemberError: the reference cannot train it.
        DataError: the cache is broken.

    """
    training = plan.checkpoint
    assert training is not None
    given = Files.of(training.data())
    trainer = Member(training.member(training.reference))
    with ExitStack() as stack:
        step.enter(trainer, training, stack)
        assert trainer.hello is not None
        job = step.make_job(training, trainer.plan, given, for_quality=True)
        hello = trainer.hello
        identity = msgspec.json.encode(
            [
                (given.digest, training.task, training.algorithm, training.phase),
                (hello.source_digest, sorted(hello.versions.items())),
                (sorted(job.params.items()), job.seed),
            ]
        )

        def train() -> dict[str, dict[str, npt.NDArray[np.generic]]]:
            step.prepare(trainer, training, given, for_quality=True)
            _, outputs = step.verify(trainer)
            step.check_quality(trainer, training, outputs, given)
            prefix = plan.checkpoint_prefix
            weights = {name.removeprefix(prefix): each for name, each in outputs.items() if name.startswith(prefix)}
            if not weights:
                raise Refused(
                    f"no output of {training.id} starts with {prefix!r}; mend [checkpoint] prefix in task.toml"
                )
            return {NAME: weights}

        data = obtain(plan.cache, content_digest(b"checkpoint", identity), train)
    return _joined(files, data.files[NAME], data.hashes[NAME])
