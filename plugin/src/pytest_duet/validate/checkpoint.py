"""Obtain the data files of a group, with the weights that every member starts from if the group needs them.

The reference trains such a checkpoint once; the cache keeps it.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec

from pytest_duet.binding.datasets import obtain
from pytest_duet.binding.member import Member, make_job
from pytest_duet.digests import content_digest
from pytest_duet.errors import MemberError, Refused
from pytest_duet.validate.quality import check_quality

if TYPE_CHECKING:
    from pytest_duet.binding.bind import BoundGroup
    from pytest_duet.binding.datasets import Array, DataSet
    from pytest_duet.binding.live_group import LiveGroup

NAME = "checkpoint"
"""The name of the data file that holds the weights."""


def obtain_files(group: BoundGroup) -> DataSet:
    """Return the data files of `group`; make or train them if they are not in the cache.

    Raises:
        DataError: they cannot be made, or the cache is broken.
        MemberError: the reference cannot train the checkpoint.
    """
    files = group.data_set()
    return with_checkpoint_of(files, _checkpoint(group)) if group.spec.checkpoint else files


def load_files(live: LiveGroup) -> None:
    """Give `live` its data files; if the reference cannot train the checkpoint, it has failed.

    Raises:
        DataError: the data cannot be made.
    """
    live.progress("data")
    try:
        live.files = obtain_files(live.group)
    except MemberError as error:
        # Without the checkpoint nothing can be compared; the record gives the reason.
        live.reference.fail(type(error)(f"checkpoint: {error}"))
        live.files = live.group.data_set()


def with_checkpoint_of(files: DataSet, trained: DataSet) -> DataSet:
    """Return `files` with the checkpoint of `trained`, if it has one."""
    if NAME not in trained.files:
        return files
    sha256 = trained.hashes[NAME]
    return replace(
        files,
        files={**files.files, NAME: trained.files[NAME]},
        hashes={**files.hashes, NAME: sha256},
        digest=content_digest(files.digest.encode(), sha256.encode()),
    )


def _checkpoint(group: BoundGroup) -> DataSet:
    """Return the checkpoint alone."""
    assert group.spec.checkpoint is not None
    prefix = group.spec.checkpoint.prefix
    training = group.derived(group.spec.checkpoint.training)
    given = training.data_set()
    trainer = Member(training.spec.member(training.spec.reference))
    with ExitStack() as stack:
        trainer.open(training, stack)
        assert trainer.hello is not None
        job, hello = make_job(training, trainer.name, given, for_quality=True), trainer.hello
        identity = [
            (given.digest, job.task, job.algorithm, job.phase),
            (hello.source_digest, sorted(hello.versions.items())),
            (sorted(job.params.items()), job.seed),
        ]

        def train() -> dict[str, dict[str, Array]]:
            trainer.prepare(training, given, for_quality=True)
            _, outputs = trainer.verify()
            check_quality(trainer, training, outputs, given)
            weights = {name.removeprefix(prefix): each for name, each in outputs.items() if name.startswith(prefix)}
            if not weights:
                msg = f"no output of {training.spec.id} starts with {prefix!r}; fix [checkpoint] prefix in task.toml"
                raise Refused(msg)
            return {NAME: weights}

        return obtain(group.cache, content_digest(b"checkpoint", msgspec.json.encode(identity)), train)
