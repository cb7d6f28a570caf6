"""What the validate phase hands to the measure phase: the spec, what became of each member, the reference's outputs."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from pytest_duet.digests import digest_outputs
from pytest_duet.errors import StoreError
from pytest_duet.phases.files import make_folder, slug
from pytest_duet.records import files
from pytest_duet.records.checksum import verified_content, with_checksum
from pytest_duet.records.schema import MemberRecord, Record
from pytest_duet.spec.group import GroupSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytest_duet.binding.bind import Arrays
    from pytest_duet.binding.group import LiveGroup
    from pytest_duet.binding.member import Member

SCHEMA: Final = 1
SUFFIX: Final = ".validation.json"
_OUTPUTS: Final = ".outputs.npz"
_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


class ValidatedMember(Record, frozen=True):
    """One member after validation: its record so far, and what its worker was built from."""

    record: MemberRecord
    source_digest: str
    versions: dict[str, str]


class _Document(Record, frozen=True):
    """The file: `outputs` is the digest of the reference's outputs, which lie beside it."""

    schema: int
    spec: GroupSpec
    data_digest: str
    members: list[ValidatedMember]
    flags: list[str]
    selected: list[str]
    outputs: str
    elapsed_ns: int


class Validation:
    """What validation found; `outputs` are the reference's, by name."""

    def __init__(self, document: _Document, outputs: Arrays) -> None:
        """Take over what was found, or read."""
        self._document, self.outputs = document, outputs

    @property
    def spec(self) -> GroupSpec:
        """The group's spec."""
        return self._document.spec

    @property
    def selected(self) -> list[str]:
        """The members that were selected."""
        return self._document.selected

    @property
    def members(self) -> dict[str, MemberRecord]:
        """The record of each member that took part, by name."""
        return {each.record.name: each.record for each in self._document.members}

    @classmethod
    def of(cls, live: LiveGroup) -> Validation:
        """Return what is known of `live`."""
        outputs = live.reference.outputs
        members = [
            ValidatedMember(
                record=each.record(),
                source_digest=each.hello.source_digest if each.hello else "",
                versions=each.hello.versions if each.hello else {},
            )
            for each in live.members.values()
        ]
        document = _Document(
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
        """Give `live` what is known of its members, and launch those that are ok.

        A worker that is no longer what was validated, or data that are others, end that member or all of them.
        """
        if live.files.digest != self._document.data_digest:
            raise StoreError(f"{self.spec.id}: its data are not those that were validated; validate it again")
        live.flags += self._document.flags
        live.started_ns -= self._document.elapsed_ns
        for found in self._document.members:
            member = live.members[found.record.name]
            _restore(member, found.record)
            if member is live.reference:
                member.outputs = self.outputs
            if not member.is_ok:
                continue
            with live.blaming(member):
                member.open(live.group, live.stack, served=live.served)
                member.check_unchanged(found.source_digest, found.versions)
                member.prepare(live.group, live.files)
        live.require_reference()

    # --- files --------------------------------------------------------------------------------------------------------

    def write(self, folder: Path) -> Path:
        """Write the validation into `folder` and return its path; each file whole or not at all.

        Raises:
            StoreError: it cannot be written.

        """
        path = make_folder(folder) / f"{slug(self.spec)}{SUFFIX}"
        buffer = io.BytesIO()
        np.savez(buffer, **dict(self.outputs))  # type: ignore[arg-type]  # numpy's stubs take its own option here
        files.write_whole(_outputs_beside(path), buffer.getvalue())
        files.write_whole(path, with_checksum(_ENCODER.encode(self._document)))
        return path

    @classmethod
    def read(cls, path: Path) -> Validation:
        """Return the validation at `path`.

        Raises:
            StoreError: it is no validation, is damaged, or the outputs beside it are not the ones it was written with.

        """
        content = verified_content(path, files.read_regular(path))
        remedy = "write it again with duet validate"
        document = files.understood(
            msgspec.json.Decoder(_Document).decode, content, f"{path}: is no validation of this version", remedy
        )
        if document.schema != SCHEMA:
            raise StoreError(f"{path}: has schema {document.schema}, this version reads {SCHEMA}; {remedy}")
        beside = _outputs_beside(path)
        outputs = files.understood(_arrays, files.read_regular(beside), f"{beside}: holds no arrays", remedy)
        if digest_outputs(outputs) != document.outputs:
            raise StoreError(f"{beside}: is not what {path.name} was written with; {remedy}")
        return cls(document, outputs)


def _outputs_beside(path: Path) -> Path:
    return path.with_name(path.name.removesuffix(SUFFIX) + _OUTPUTS)


def _arrays(content: bytes) -> Mapping[str, np.ndarray]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(str(error)) from error


def _restore(member: Member, record: MemberRecord) -> None:
    member.status, member.reason, member.log = record.status, record.reason, record.log
    member.attestation, member.parity, member.quality = record.attestation, record.parity, record.quality
    member.iterations, member.converged, member.first_call_ns = (
        record.iterations,
        record.converged,
        record.first_call_ns,
    )
