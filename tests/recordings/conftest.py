"""Sounds and captures for the tests of recordings."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from recordings.archive import Archive
from recordings.chain import ChainWriter, Deed
from recordings.g711 import Codec, decode
from recordings.manifest import Manifest
from recordings.writer import CaptureWriter

STARTED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
Encode = Callable[[Codec, NDArray[np.float64]], bytes]
Record = Callable[..., Manifest]


def _encode(codec: Codec, sound: NDArray[np.float64]) -> bytes:
    """G.711 by nearest code: slow, but independent of any encoder."""
    levels = decode(codec, bytes(range(256))).astype(np.int32)
    order = np.argsort(levels, kind="stable")
    middles = (levels[order][1:] + levels[order][:-1]) / 2
    return order[np.searchsorted(middles, sound)].astype(np.uint8).tobytes()


@pytest.fixture
def encode() -> Encode:
    return _encode


@pytest.fixture
def tone() -> Callable[[float, int], NDArray[np.float64]]:
    def make(hz: float, samples: int) -> NDArray[np.float64]:
        return 8000 * np.sin(2 * np.pi * hz * np.arange(samples) / 8000)

    return make


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "recordings")


@pytest.fixture
def record(archive: Archive) -> Record:
    """Record noise into the archive, close it and enter it in the chain of writer "media-1"."""

    def make(
        recording_id: str, *, seconds: float = 2.5, key: bytes | None = None, call_id: str = "call-1"
    ) -> Manifest:
        path = archive.new_path("lab", recording_id, STARTED)
        writer = CaptureWriter(
            path,
            recording_id=recording_id,
            tenant="lab",
            call_id=call_id,
            started_at=STARTED,
            codecs=(Codec.PCMU, Codec.PCMA),
            key=key,
            number_ids=("a" * 32, "b" * 32),
        )
        noise = np.random.default_rng(len(recording_id))
        for frame in range(int(seconds * 50)):
            for channel in (0, 1):
                writer.write(channel, frame * 160, noise.bytes(160))
        manifest = writer.close("bye")
        with ChainWriter(archive.folder, "media-1") as chain:
            chain.append(Deed.CLOSED, manifest, archive.relative(path), manifest.ended_at)
        return manifest

    return make
