"""Record batches: valid ones of every codec are read, and what cannot be read takes neither memory nor the partition."""

import gzip
import struct
import tracemalloc

import cramjam
import pytest
from aiokafka import TopicPartition
from aiokafka.codec import lz4_encode, snappy_encode, zstd_encode
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from prizewire_chassis.inbox.types import Unreadable
from prizewire_chassis.record_batches import (
    RECORDS_MAX,
    UNPACKED_BYTES_MAX,
    Batches,
    CannotUnpack,
    read_within_bounds,
    unpack,
)

MIB = 1024 * 1024
CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
COMPRESS = {
    "gzip": gzip.compress,
    "snappy": snappy_encode,
    "snappy block": lambda data: bytes(cramjam.snappy.compress_raw(data)),
    "lz4": lz4_encode,
    "zstd": zstd_encode,
}


def number(name: str) -> int:
    return CODECS[name.split(maxsplit=1)[0]]


def batch(*values: bytes, codec: str = "none", base: int = 0, headers=()) -> bytes:
    """A batch as a broker stores it: its base offset assigned."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=CODECS[codec], is_transactional=0, producer_id=-1, producer_epoch=-1,
        base_sequence=-1, batch_size=64 * MIB,
    )  # fmt: skip
    for place, value in enumerate(values):
        assert builder.append(place, timestamp=1, key=None, value=value, headers=list(headers)) is not None
    return struct.pack(">q", base) + bytes(builder.build())[8:]


def changed(raw: bytes, at: int, form: str, value: int) -> bytes:
    """A batch with another number in its header, and the checksum that fits."""
    made = bytearray(raw)
    struct.pack_into(form, made, at, value)
    struct.pack_into(">I", made, 17, calc_crc32c(bytes(made[21:])))
    return bytes(made)


def read(data: bytes, *, at: int = 0) -> tuple[list[tuple[int, bytes]], int]:
    """(offset, value) of what aiokafka's own reader makes of a fetch, and where it goes on."""
    reader = fetcher.PartitionRecords(
        TopicPartition("t", 3), Batches(data), [], at, None, None, True, fetcher.READ_UNCOMMITTED
    )
    found = [(record.offset, record.value) for record in reader]
    return found, reader.next_fetch_offset


def test_aiokafka_reads_by_these_batches():
    """The fetcher of the installed aiokafka looks the class up by its name, where it is replaced."""
    read_within_bounds()
    assert fetcher.MemoryRecords is Batches
    assert "MemoryRecords" in fetcher.Fetcher._proc_fetch_request.__code__.co_names


@pytest.mark.parametrize("codec", CODECS)
def test_valid_batches_are_read(codec):
    """Every codec, several batches in one fetch, from a place within the first."""
    data = batch(b"a" * 100, b"b", codec=codec, base=7) + batch(b"c" * 5000, codec=codec, base=9)
    assert read(data, at=8) == ([(8, b"b"), (9, b"c" * 5000)], 10)


@pytest.mark.parametrize("codec", COMPRESS)
def test_a_batch_within_bounds_is_unpacked_whole(codec):
    """Up to the last byte, of data that packs well and of data that does not."""
    for data in (b"\0" * MIB, bytes(cramjam.zstd.compress(bytes(range(256)) * 9)) * 50, b"x"):
        packed = memoryview(COMPRESS[codec](data))
        assert bytes(unpack(number(codec), packed, bytes_max=len(data))) == data


@pytest.mark.parametrize("codec", COMPRESS)
def test_a_bomb_is_not_unpacked(codec):
    """64 MiB are not made where 1 MiB is allowed, nor is one byte too many."""
    packed = memoryview(COMPRESS[codec](b"\0" * (64 * MIB)))
    tracemalloc.start()
    try:
        with pytest.raises(CannotUnpack) as refused:
            unpack(number(codec), packed, bytes_max=MIB)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert refused.value.produced <= MIB + 1
    assert peak < 4 * MIB
    with pytest.raises(CannotUnpack):
        unpack(number(codec), memoryview(COMPRESS[codec](b"\0" * (MIB + 1))), bytes_max=MIB)


@pytest.mark.parametrize("codec", COMPRESS)
def test_corrupt_data_is_refused(codec):
    """Data that ends early, that has other bytes in it, or none."""
    packed = COMPRESS[codec](bytes(range(256)) * 100)
    for data in (packed[: len(packed) // 2], b"\xff" * 64, b""):
        with pytest.raises(CannotUnpack):
            found = unpack(number(codec), memoryview(data), bytes_max=MIB)
            if not found:
                raise CannotUnpack("nothing", produced=0)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_a_bomb_is_one_record_and_later_batches_are_read(codec):
    """It stands at the last offset of its batch; the fetch ends there, and the next one brings what is behind it."""
    bomb = batch(*[b"\0" * (3 * MIB)] * 6, codec=codec, base=5)
    behind = batch(b"behind", codec=codec, base=11)
    (entry,), reached = read(bomb + behind, at=5)
    assert entry[0] == 10
    assert isinstance(entry[1], Unreadable)
    assert entry[1] == bomb
    assert "offsets 5 to 10 cannot be read: it" in entry[1].detail
    assert f"codec {codec}, {len(bomb)} bytes, 6 records by the batch's header" in entry[1].detail
    assert reached == 11
    assert read(bomb + behind, at=7)[0] == [entry], "also from a place within it"
    assert read(behind, at=11) == ([(11, b"behind")], 12)


def xerial(*blocks: bytes) -> bytes:
    """Framed snappy data: a header, then blocks as they stand here."""
    return b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1) + b"".join(blocks)


@pytest.mark.parametrize(
    ("codec", "data", "why"),
    [
        (7, b"x", "codec 7 is not known"),
        (1, gzip.compress(b"one") + gzip.compress(b"two"), "not one whole gzip member"),
        (2, xerial(b"\0\0"), "a snappy block has no length"),
        (2, xerial(struct.pack(">i", 9), b"\0" * 8), "a snappy block of 9 bytes is not there"),
        (2, xerial(struct.pack(">i", 0)), "a snappy block of 0 bytes is not there"),
    ],
    ids=["codec", "second gzip member", "no length", "longer block", "empty block"],
)
def test_data_that_is_not_whole_is_refused_with_the_reason(codec, data, why):
    """An unknown codec, missing bytes and surplus bytes are each reported."""
    with pytest.raises(CannotUnpack, match=why):
        unpack(codec, memoryview(data))


def unreadable() -> dict[str, bytes]:
    """Batches that a broker may hold, and no client can read."""
    valid = batch(b"one", b"two", codec="gzip", base=5)
    plain = batch(b"one", b"two", base=5)
    legacy = LegacyRecordBatchBuilder(magic=1, compression_type=0, batch_size=MIB)
    legacy.append(5, 1, None, b"old")
    return {
        "a codec that does not exist": changed(valid, 21, ">h", 7),
        "another codec than the data": changed(valid, 21, ">h", 4),
        "more records than there are": changed(plain, 57, ">i", 3),
        "too many records": changed(plain, 57, ">i", RECORDS_MAX + 1),
        "less than no records": changed(plain, 57, ">i", -1),
        "a checksum that is wrong": plain[:-1] + b"X",
        "an old format": bytes(legacy.build()),
        "a header that is cut off": struct.pack(">qi", 5, 20) + b"\0\0\0\0\2" + b"\0" * 15,
    }


WHY = {
    "a codec that does not exist": "codec 7 is not known",
    "too many records": f"at most {RECORDS_MAX} records are taken",
    "less than no records": f"at most {RECORDS_MAX} records are taken",
    "a checksum that is wrong": "cannot be read: checksum ",
    "an old format": "record format 1 is not served",
    "a header that is cut off": "record format 2 is not served",
}


@pytest.mark.parametrize("kind", unreadable())
def test_an_unreadable_batch_stops_no_other(kind):
    """Whatever a batch holds: nothing is raised, one record says so, and the reader goes on."""
    Batches._doubted.clear()
    raw = unreadable()[kind]
    if kind == "a checksum that is wrong":
        assert read(raw, at=5) == ([], 5), "it is fetched once more, since it may have suffered on the way"
    found, reached = read(raw, at=5)
    assert [value for _, value in found if isinstance(value, Unreadable)] == [raw] or (
        kind == "more records than there are" and reached == 7
    )
    assert WHY.get(kind, "") in " ".join(getattr(value, "detail", "") for _, value in found)
    assert reached in (6, 7)
    last = struct.pack(">q", reached)
    assert read(last + batch(b"behind")[8:], at=reached) == ([(reached, b"behind")], reached + 1)


def test_records_before_one_that_cannot_be_read_are_taken():
    """A header's name that is no text: the record and those behind it in its batch are one entry, at the last offset."""
    raw = bytearray(batch(b"one", b"two", b"six", base=5, headers=[("name", b"1")]))
    place = raw.find(b"name", raw.find(b"two"))
    raw[place] = 0xFF
    found, reached = read(changed(bytes(raw), 21, ">h", 0), at=5)
    assert found[0] == (5, b"one")
    assert (found[1][0], reached) == (7, 8)
    assert "offsets 6 to 7 cannot be read" in found[1][1].detail


def test_one_fetch_unpacks_only_so_much():
    """Many batches, each within its bound, are not all unpacked at once: the reader stops, and the rest is fetched again."""
    count = 64
    data = b"".join(batch(b"\0" * (4 * MIB), codec="gzip", base=base) for base in range(count))
    found, reached = read(data)
    total = sum(len(value) for _, value in found)
    assert UNPACKED_BYTES_MAX - 4 * MIB <= total <= 2 * UNPACKED_BYTES_MAX
    assert reached == len(found) < count


def test_a_batch_that_is_not_whole_waits():
    """What a fetch cuts off is no batch; aiokafka asks how many bytes it has."""
    raw = batch(b"one")
    batches = Batches(raw[:-1])
    assert not batches.has_next()
    assert batches.next_batch() is None
    assert batches.size_in_bytes() == len(raw) - 1
    assert not Batches(None).has_next()
    for length in (-20, 0, 4):
        assert not Batches(struct.pack(">qi", 5, length) + bytes(64)).has_next(), "no batch is so short"
