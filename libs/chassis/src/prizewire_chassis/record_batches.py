"""Record batches of Kafka, read within limits of size.

aiokafka unpacks a batch to whatever size its sender chose, and raises out of ``getmany`` what it cannot read. So one small
message could take all memory, or stop a consumer on all its partitions; what the same call had already taken from other
partitions was lost. ``Batches`` replaces aiokafka's ``MemoryRecords``: it limits the unpacked size of a batch, and returns one
``Unreadable`` for the part that cannot be read. See docs/decisions/0030-a-record-batch-is-read-within-bounds.md.
"""

import struct
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import cramjam
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import calc_crc32c

from prizewire_chassis.inbox.types import Unreadable
from prizewire_chassis.logging import get_logger

UNPACKED_BYTES_MAX = 16 * 1024 * 1024
"""The largest size of an unpacked batch, in bytes. A batch of our producers of Kafka's largest default size is smaller."""
RECORDS_MAX = 20_000
"""How many records one batch may hold. Each refused record becomes a row."""
_FIRST_TRY_BYTES = 64 * 1024
_GROWTH = 16
_FRAME = struct.Struct(">qi")
"""Base offset, and the length of what follows; common to all formats, as is the place of the format's number."""
_FORMAT_AT = 16
_HEADER = struct.Struct(">qiibIhiqqqhii")
"""Base offset, length, leader epoch, format, CRC, attributes, last offset delta, first and last timestamp, producer's id
and epoch, base sequence, number of records.
"""
_CRC_FROM = 21
_CODEC, _TRANSACTIONAL, _CONTROL = 0x07, 0x10, 0x20
_CODECS = {0: "none", 1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER_BYTES = 16
_log = get_logger(__name__)


class CannotUnpack(Exception):
    """Compressed data is corrupt, or unpacks to more than is allowed. ``produced`` is how many bytes were unpacked."""

    def __init__(self, why: str, *, produced: int) -> None:
        super().__init__(why)
        self.produced = produced


def unpack(codec: int, data: memoryview, *, bytes_max: int = UNPACKED_BYTES_MAX) -> bytes | memoryview:
    """Decompress by Kafka's number of a codec. No buffer is larger than ``bytes_max``.

    Raises:
        CannotUnpack: the codec is unknown, the data is corrupt, or it unpacks to more than ``bytes_max`` bytes.
    """
    match _CODECS.get(codec):
        case "gzip":
            return _gunzip(data, bytes_max)
        case "snappy":
            return _unsnappy(data, bytes_max)
        case "lz4":
            return _into(cramjam.lz4.decompress_into, data, bytes_max)
        case "zstd":
            return _into(cramjam.zstd.decompress_into, data, bytes_max)
        case _:
            raise CannotUnpack(f"codec {codec} is not known", produced=0)


def _too_long(bytes_max: int, produced: int) -> CannotUnpack:
    return CannotUnpack(f"it unpacks to more than {bytes_max} bytes", produced=produced)


def _gunzip(data: memoryview, bytes_max: int) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    try:
        found = stream.decompress(data, bytes_max)
        more = b"" if stream.eof else stream.decompress(stream.unconsumed_tail, 1)
    except zlib.error as error:
        raise CannotUnpack(str(error), produced=0) from None
    if more:
        raise _too_long(bytes_max, len(found) + len(more))
    if not stream.eof or stream.unused_data:
        raise CannotUnpack("the data is not one whole gzip member", produced=len(found))
    return found


def _unsnappy(data: memoryview, bytes_max: int) -> bytes | memoryview:
    if data[: len(_XERIAL)] != _XERIAL:
        return _unsnappy_block(data, bytes_max)
    found = bytearray()
    place = _XERIAL_HEADER_BYTES
    while place < len(data):
        if place + 4 > len(data):
            raise CannotUnpack("a snappy block has no length", produced=len(found))
        size = int.from_bytes(data[place : place + 4], "big")
        place += 4
        if not 0 < size <= len(data) - place:
            raise CannotUnpack(f"a snappy block of {size} bytes is not there", produced=len(found))
        found += _unsnappy_block(data[place : place + size], bytes_max - len(found))
        place += size
    return memoryview(found)


def _unsnappy_block(data: memoryview, bytes_max: int) -> memoryview:
    try:
        size = cramjam.snappy.decompress_raw_len(data)
        if size > bytes_max:
            raise _too_long(bytes_max, 0)
        found = bytearray(size)
        cramjam.snappy.decompress_raw_into(data, found)
    except cramjam.DecompressionError as error:
        raise CannotUnpack(str(error), produced=0) from None
    return memoryview(found)


def _into(decompress_into: Callable[..., int], data: memoryview, bytes_max: int) -> memoryview:
    """Decompress into a buffer of a likely size, and once more into one of the largest size if that was too small."""
    size = min(bytes_max, max(_FIRST_TRY_BYTES, _GROWTH * len(data)))
    while True:
        buffer = bytearray(size)
        try:
            return memoryview(buffer)[: decompress_into(data, buffer)]
        except cramjam.DecompressionError as error:
            if size == bytes_max:
                why = f"it is corrupt or unpacks to more than {bytes_max} bytes: {error}"
                raise CannotUnpack(why, produced=len(buffer)) from None
        size = bytes_max


@dataclass(frozen=True, slots=True)
class _Missing:
    """The record that represents the unreadable part of a batch."""

    offset: int
    value: Unreadable
    timestamp: int = -1
    timestamp_type: int = 0
    key: None = None
    checksum: None = None
    headers: tuple[()] = ()


class Batch:
    """One record batch as aiokafka's ``PartitionRecords`` reads it, without transactions."""

    def __init__(self, raw: memoryview, used: Callable[[int], None]) -> None:
        self._raw = raw
        self._used = used
        self.base_offset: int = _FRAME.unpack_from(raw)[0]
        self.next_offset = self.base_offset + 1
        self.producer_id: int | None = None
        self.is_control_batch = self.is_transactional = False
        self._attributes = 0
        self._count = 1
        self._format = raw[_FORMAT_AT]
        self.crc = self.actual_crc = 0
        self._whole = self._format == 2 and len(raw) >= _HEADER.size
        if self._whole:
            _, _, _, _, self.crc, self._attributes, delta, _, _, producer, _, _, self._count = (
                _HEADER.unpack_from(raw)
            )
            self.producer_id = producer
            self.next_offset = self.base_offset + delta + 1
            self.is_control_batch = bool(self._attributes & _CONTROL)
            self.is_transactional = bool(self._attributes & _TRANSACTIONAL)
            self.actual_crc = calc_crc32c(raw[_CRC_FROM:].tobytes())

    def validate_crc(self) -> bool:
        """True: ``Batches`` has checked the checksum already."""
        return True

    def __iter__(self) -> "Iterator[object]":
        """The records; where one cannot be read, an ``Unreadable`` at the batch's last offset for it and all behind it.

        The last offset, since that is where the consumer goes on: a place within the batch would be read again.
        """
        reached = self.base_offset
        try:
            for record in self._records():
                reached = record.offset + 1
                yield record
        except Exception as error:  # noqa: BLE001 - the content of a batch must not block its partition
            self._used(UNPACKED_BYTES_MAX)
            codec = _CODECS.get(self._attributes & _CODEC, str(self._attributes & _CODEC))
            detail = (
                f"offsets {reached} to {self.next_offset - 1} cannot be read: {error}; codec {codec}, "
                f"{len(self._raw)} bytes, {self._count} records by the batch's header"
            )
            _log.warning("record batch unreadable", detail=detail)
            yield _Missing(self.next_offset - 1, Unreadable(self._raw.tobytes(), detail))

    def _records(self) -> "Iterator[DefaultRecordBatch]":
        if not self._whole:
            raise CannotUnpack(f"record format {self._format} is not served, only 2", produced=0)
        if self.crc != self.actual_crc:
            raise CannotUnpack(f"checksum {self.crc}, where its bytes have {self.actual_crc}", produced=0)
        if not 0 <= self._count <= RECORDS_MAX:
            raise CannotUnpack(f"at most {RECORDS_MAX} records are taken", produced=0)
        raw: bytes | memoryview = self._raw
        codec = self._attributes & _CODEC
        if codec:
            header = bytearray(self._raw[: _HEADER.size])
            struct.pack_into(">h", header, _CRC_FROM, self._attributes & ~_CODEC)
            raw = b"".join((header, unpack(codec, self._raw[_HEADER.size :])))
        self._used(len(raw))
        yield from DefaultRecordBatch(raw)


class Batches:
    """What one fetch brought of one partition.

    It ends early once its batches have unpacked to ``UNPACKED_BYTES_MAX``; aiokafka then fetches the rest again. A batch
    with a wrong checksum is fetched once more, since the error may be one of the network. If it has the same bytes again, it
    is stored like that at the broker, and is unreadable.
    """

    _doubted: ClassVar[deque[tuple[int, int, int]]] = deque(maxlen=64)

    def __init__(self, data: bytes | None) -> None:
        self._rest = memoryview(data or b"")
        self._unpacked = 0
        self._next: Batch | None = None

    def size_in_bytes(self) -> int:
        """How many bytes were not read yet. aiokafka calls it where there is no complete batch."""
        return len(self._rest)

    def has_next(self) -> bool:
        """Whether there is a batch to read now."""
        if self._next is None and self._unpacked < UNPACKED_BYTES_MAX:
            self._next = self._read()
        return self._next is not None

    def next_batch(self) -> Batch | None:
        """The next batch."""
        batch, self._next = (self._next if self.has_next() else None), None
        return batch

    def _use(self, count: int) -> None:
        self._unpacked += count

    def _read(self) -> Batch | None:
        rest = self._rest
        if len(rest) < _FRAME.size:
            return None
        end = _FRAME.size + _FRAME.unpack_from(rest)[1]
        if not _FORMAT_AT < end <= len(rest):
            return None
        batch = Batch(rest[:end], self._use)
        if batch.crc != batch.actual_crc:
            doubt = (batch.base_offset, batch.crc, batch.actual_crc)
            if doubt not in self._doubted:
                self._doubted.append(doubt)
                self._rest = rest[:0]
                _log.warning("checksum wrong; the batch is fetched again", offset=batch.base_offset)
                return None
        self._rest = rest[end:]
        return batch


def read_within_bounds() -> None:
    """Make aiokafka's consumers in this process read batches by ``Batches``."""
    fetcher.MemoryRecords = Batches
