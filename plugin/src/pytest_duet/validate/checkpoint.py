"""The data files of a group; where it needs them, with the weights that every member starts from.

The reference trains such a checkpoint once; the cache keeps it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import msgspec

from pytest_duet.binding.datasets import obtain
from pytest_duet.binding.member import Files, Member, make_job
from pytest_duet.digests import content_digest
from pytest_duet.errors import Refused
from pytest_duet.validate.quality import check_quality

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from pytest_duet.binding.bind import BoundGroup

NAME = "checkpoint"
"""The name of the data file that holds the weights."""


def obtain_files(group: BoundGroup) -> Files:
    """Return the data files of `group`, made or trained now if they are not in the cache.

    Raises:
        DataError: they cannot be had, or the cache is broken.
        MemberError: the reference cannot train the checkpoint.

    """
    files = Files.of(group.data_set())
    return _with_checkpoint(group, files) if group.spec.checkpoint else files


def with_checkpoint_of(files: Files, trained: Files) -> Files:
    """Return `files` with the checkpoint of `trained`, if it has one."""
    return _joined(files, trained.paths[NAME], trained.hashes[NAME]) if NAME in trained.paths else files


def _joined(files: Files, path: Path, sha256: str) -> Files:
    return Files(
        {**files.paths, NAME: path},
        {**files.hashes, NAME: sha256},
        files.arrays,
        content_digest(files.digest.encode(), sha256.encode()),
    )


def _with_checkpoint(group: BoundGroup, files: Files) -> Files:
    assert group.spec.checkpoint is not None
    prefix = group.spec.checkpoint.prefix
    training = group.derived(group.spec.checkpoint.training)
    given = Files.of(training.data_set())
    trainer = Member(training.spec.member(training.spec.reference))
    with ExitStack() as stack:
        trainer.open(training, stack)
        assert trainer.hello is not None
        job = make_job(training, trainer.name, given, for_quality=True)
        hello = trainer.hello
        identity = msgspec.json.encode(
            [
                (given.digest, job.task, job.algorithm, job.phase),
                (hello.source_digest, sorted(hello.versions.items())),
                (sorted(job.params.items()), job.seed),
            ]
        )

        def train() -> dict[str, dict[str, npt.NDArray[np.generic]]]:
            trainer.prepare(training, given, for_quality=True)
            _, outputs = trainer.verify()
            check_quality(trainer, training, outputs, given)
            weights = {name.removeprefix(prefix): each for name, each in outputs.items() if name.startswith(prefix)}
            if not weights:
                raise Refused(
                    f"no output of {training.spec.id} starts with {prefix!r}; mend [checkpoint] prefix in task.toml"
                )
            return {NAME: weights}

        data = obtain(group.cache, content_digest(b"checkpoint", identity), train)
    return _joined(files, data.files[NAME], data.hashes[NAME])
