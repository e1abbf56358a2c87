"""Reads TensorBoard event files as their formats are described (TFRecord, event.proto, summary.proto), checks every
checksum, and prints a line for each value: step, tag, and the value or the histogram's figures."""
import struct
import sys


def crc32c(data):
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def masked(data):
    value = crc32c(data)
    return (((value >> 15) | (value << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(content):
    at = 0
    while at < len(content):
        header = content[at:at + 8]
        (length,) = struct.unpack("<Q", header)
        (header_sum,) = struct.unpack("<I", content[at + 8:at + 12])
        data = content[at + 12:at + 12 + length]
        (data_sum,) = struct.unpack("<I", content[at + 12 + length:at + 16 + length])
        assert header_sum == masked(header) and data_sum == masked(data), "checksum"
        assert len(data) == length, "cut off"
        yield data
        at += 16 + length


def fields(message):
    """(number, value): integers, floats, or bytes."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            value = varint()
        elif kind == 1:
            (value,) = struct.unpack("<d", message[at:at + 8])
            at += 8
        elif kind == 5:
            (value,) = struct.unpack("<f", message[at:at + 4])
            at += 4
        else:
            length = varint()
            value = message[at:at + length]
            at += length
        yield key >> 3, value


for path in sys.argv[1:]:
    with open(path, "rb") as file:
        content = file.read()
    for number, data in enumerate(records(content)):
        event = dict(fields(data))
        assert event[1] > 1e9, "wall time"
        step = event.get(2, 0)
        if number == 0:
            print("version", event[3].decode())
        if 7 in event:
            print("start", step, dict(fields(event[7]))[1])
        for _, value in fields(event.get(5, b"")):
            parts = dict(fields(value))
            tag = parts[1].decode()
            if 2 in parts:
                print(step, tag, repr(parts[2]))
            if 5 in parts:
                histogram = dict(fields(parts[5]))
                edges = struct.unpack(f"<{len(histogram[6]) // 8}d", histogram[6])
                counts = struct.unpack(f"<{len(histogram[7]) // 8}d", histogram[7])
                assert len(edges) == len(counts) and list(edges) == sorted(edges)
                assert histogram[3] == sum(counts) and edges[-1] == histogram[2]
                print(step, tag, "histogram", histogram[1], histogram[2], int(histogram[3]), histogram[4], histogram[5])
