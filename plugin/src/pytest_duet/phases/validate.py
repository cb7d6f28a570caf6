"""Phase 3, validate: check every member of a group against its spec and its reference, before anything is timed.

The result is two files: one for the spec and the members, one for the outputs of the reference, against which timed
rounds are checked.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from pytest_duet.binding.bind import bind
from pytest_duet.binding.live_group import LiveGroup
from pytest_duet.digests import digest_outputs
from pytest_duet.errors import StoreError
from pytest_duet.measure.warmup import estimate_calls
from pytest_duet.phases.files import VALIDATION_SUFFIX, slug
from pytest_duet.records import files
from pytest_duet.records.checksum import verified_content, with_checksum
from pytest_duet.records.schema import MemberRecord, Record
from pytest_duet.spec.group import GroupSpec
from pytest_duet.validate.check_group import check_members
from pytest_duet.validate.growth import check_scaling

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from pytest_duet.binding.bind import Arrays
    from pytest_duet.measure.mode import Mode
    from pytest_duet.measure.prewarmed import Prewarmed

SCHEMA: Final = 1
_OUTPUTS: Final = ".outputs.npz"
_RESTORED: Final = frozenset(
    ["status", "reason", "log", "attestation", "parity", "quality", "iterations", "converged", "first_call_ns"]
)
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


class ValidatedMember(Record, frozen=True):
    """One member after validation: its record so far, and the sources and versions its worker was built from."""

    record: MemberRecord
    source_digest: str
    versions: dict[str, str]


class ValidationDocument(Record, frozen=True):
    """The first file; `outputs` is the digest of the reference's outputs, which are in the second."""

    schema: int
    spec: GroupSpec
    data_digest: str
    members: list[ValidatedMember]
    flags: list[str]
    selected: list[str]
    outputs: str
    elapsed_ns: int


@dataclass(frozen=True)
class Validation:
    """The result of validating one group; `outputs` are the reference's, by name."""

    document: ValidationDocument
    outputs: Arrays

    @classmethod
    def of(cls, live: LiveGroup) -> Validation:
        """Return the validation of `live`, whose members were checked."""
        outputs = live.reference.outputs
        members = [
            ValidatedMember(
                record=each.record(),
                source_digest=each.hello.source_digest if each.hello else "",
                versions=each.hello.versions if each.hello else {},
            )
            for each in live.members.values()
        ]
        document = ValidationDocument(
            schema=SCHEMA,
            spec=live.spec,
            data_digest=live.files.digest,
            members=members,
            flags=list(live.flags),
            selected=sorted(live.selected),
            outputs=digest_outputs(outputs),
            elapsed_ns=live.elapsed_ns(),
        )
        return cls(document, outputs)

    def resume(self, live: LiveGroup) -> None:
        """Restore the members of `live`, and launch those that are ok.

        A worker that has changed since the validation fails its member.

        Raises:
            StoreError: the data have changed since the validation.
        """
        if live.files.digest != self.document.data_digest:
            raise StoreError(f"{self.document.spec.id}: its data are not those that were validated; validate it again")
        live.flags += self.document.flags
        live.started_ns -= self.document.elapsed_ns
        for found in self.document.members:
            member = live.members[found.record.name]
            for name in _RESTORED:
                setattr(member, name, getattr(found.record, name))
            if member is live.reference:
                member.outputs = self.outputs
            if not member.is_ok:
                continue
            with live.blaming(member):
                member.open(live.group, live.stack, served=live.served)
                member.check_unchanged(found.source_digest, found.versions)
                member.prepare(live.group, live.files)
        live.require_reference()

    def write(self, folder: Path) -> Path:
        """Write the validation to `folder`, each file whole or not at all, and return the path of the first.

        Raises:
            StoreError: it cannot be written.
        """
        files.make_folder(folder)
        path = folder / f"{slug(self.document.spec)}{VALIDATION_SUFFIX}"
        buffer = io.BytesIO()
        np.savez(buffer, **dict(self.outputs))  # type: ignore[arg-type]  # numpy's stubs take its own option here
        files.write_whole(_outputs_beside(path), buffer.getvalue())
        files.write_whole(path, with_checksum(_ENCODER.encode(self.document)))
        return path

    @classmethod
    def read(cls, path: Path) -> Validation:
        """Return the validation at `path`.

        Raises:
            StoreError: it is not a validation, is damaged, or the outputs beside it belong to another.
        """
        content = verified_content(path, files.read_regular(path))
        remedy = "write it again with duet validate"
        decode = msgspec.json.Decoder(ValidationDocument).decode
        document = files.understood(decode, content, f"{path}: is no validation of this version", remedy)
        if document.schema != SCHEMA:
            raise StoreError(f"{path}: has schema {document.schema}, this version reads {SCHEMA}; {remedy}")
        beside = _outputs_beside(path)
        outputs = files.understood(_arrays, files.read_regular(beside), f"{beside}: holds no arrays", remedy)
        if digest_outputs(outputs) != document.outputs:
            raise StoreError(f"{beside}: is not what {path.name} was written with; {remedy}")
        return cls(document, outputs)


def validate_members(live: LiveGroup, *, timed: bool, prewarmed: Prewarmed | None = None) -> None:
    """Check every member of `live`; with `timed`, also that its time grows with the work if the spec asks for that.

    That check takes times, so it waits until the `prewarmed` processes have started.

    Raises:
        DataError: the data cannot be obtained.
        SpecError: the spec turns out to be unusable.
    """
    check_members(live)
    if not timed:
        return
    if prewarmed is not None:
        live.progress("waiting for the processes that will be observed")
        prewarmed.settle()
    if live.spec.divide:
        estimate_calls(live)
        check_scaling(live)


def validate(
    spec: GroupSpec,
    selected: Collection[str],
    mode: Mode,
    benches: Path,
    cache: Path,
    progress: Callable[[str], None] = lambda _: None,
) -> Validation:
    """Return the validation of the `selected` members of `spec`, for a measure phase in any process.

    Raises:
        DataError: the data cannot be obtained.
        SpecError: the spec turns out to be unusable.
    """
    with LiveGroup(bind(spec, benches, cache), selected, served=mode.fresh, progress=progress) as live:
        validate_members(live, timed=True)
        return Validation.of(live)


def _outputs_beside(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(VALIDATION_SUFFIX) + _OUTPUTS)


def _arrays(content: bytes) -> Mapping[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(str(error)) from error
