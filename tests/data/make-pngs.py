#!/usr/bin/env python3
"""Writes pngs/: one small PNG of each legal colour type, depth, interlacing and kind of transparency, and
pngs/expected.txt with the decoded samples of each ("name width height channels hex").

The files are made from the PNG specification with zlib alone, independently of the decoder under test. The
pictures are pseudo-random and the same on every run.
"""
import os
import random
import struct
import zlib

WIDTH, HEIGHT = 11, 9
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack_row(pixels, depth):
    """Samples of one row to bytes, most significant bit first."""
    samples = [sample for pixel in pixels for sample in pixel]
    if depth == 16:
        return b"".join(struct.pack(">H", sample) for sample in samples)
    if depth == 8:
        return bytes(samples)
    bits = "".join(format(sample, f"0{depth}b") for sample in samples)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[i:i + 8], 2) for i in range(0, len(bits), 8))


def paeth(a, b, c):
    p = a + b - c
    return min((abs(p - a), 0, a), (abs(p - b), 1, b), (abs(p - c), 2, c))[2]


def filter_rows(rows, unit, first):
    """Each row uses another of the five filters."""
    out = bytearray()
    above = bytes(len(rows[0]))
    for i, row in enumerate(rows):
        kind = (first + i) % 5
        out.append(kind)
        for x, value in enumerate(row):
            a = row[x - unit] if x >= unit else 0
            c = above[x - unit] if x >= unit else 0
            b = above[x]
            out.append((value - (0, a, b, (a + b) // 2, paeth(a, b, c))[kind]) % 256)
        above = row
    return bytes(out)


def encode(pixels, color, depth, interlaced, extra):
    unit = max(1, SAMPLES[color] * depth // 8)
    data = b""
    for number, (x, y, dx, dy) in enumerate(PASSES if interlaced else ((0, 0, 1, 1),)):
        rows = [pack_row(row[x::dx], depth) for row in pixels[y::dy] if row[x::dx]]
        if rows:
            data += filter_rows(rows, unit, number)
    packed = zlib.compress(data, 9)
    half = len(packed) // 2
    return (b"\x89PNG\r\n\x1a\n"
            + chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, color, 0, 0, interlaced))
            + chunk(b"gAMA", struct.pack(">I", 45455)) + extra
            + chunk(b"IDAT", packed[:half]) + chunk(b"IDAT", packed[half:]) + chunk(b"IEND", b""))


def to_byte(sample, depth):
    top = (1 << depth) - 1
    return (sample * 255 * 2 + top) // (2 * top)


def make(rng, color, depth, transparent):
    """Pixels, extra chunks, and the decoded pixels."""
    top = (1 << depth) - 1
    pixels = [[tuple(rng.randint(0, top) for _ in range(SAMPLES[color])) for _ in range(WIDTH)]
              for _ in range(HEIGHT)]
    if color == 3:
        palette = [tuple(rng.randint(0, 255) for _ in range(3)) for _ in range(top + 1)]
        alphas = [rng.randint(0, 255) for _ in range(top)] if transparent else []
        extra = chunk(b"PLTE", bytes(value for entry in palette for value in entry))
        if transparent:
            extra += chunk(b"tRNS", bytes(alphas))
        full = [palette[i] + ((alphas + [255])[min(i, len(alphas))],) for i in range(top + 1)]
        decoded = [[full[p[0]] if transparent else palette[p[0]] for p in row] for row in pixels]
        return pixels, extra, decoded
    extra = b""
    clear = pixels[3][4] if transparent else None
    if transparent:
        pixels[5][6] = clear
        extra = chunk(b"tRNS", b"".join(struct.pack(">H", sample) for sample in clear))
    decoded = []
    for row in pixels:
        out = []
        for pixel in row:
            value = tuple(to_byte(sample, depth) for sample in pixel)
            if transparent:
                value += (0 if pixel == clear else 255,)
            out.append(value)
        decoded.append(out)
    return pixels, extra, decoded


def main():
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pngs")
    os.makedirs(folder, exist_ok=True)
    rng = random.Random(20)
    lines = []
    for color, depths in DEPTHS.items():
        for depth in depths:
            for transparent in (False, True) if color in (0, 2, 3) else (False,):
                pixels, extra, decoded = make(rng, color, depth, transparent)
                flat = bytes(v for row in decoded for pixel in row for v in pixel)
                for interlaced in (0, 1):
                    name = f"c{color}-d{depth:02}{'-trns' * transparent}{'-adam7' * interlaced}.png"
                    with open(os.path.join(folder, name), "wb") as file:
                        file.write(encode(pixels, color, depth, interlaced, extra))
                    lines.append(f"{name} {WIDTH} {HEIGHT} {len(decoded[0][0])} {flat.hex()}\n")
    with open(os.path.join(folder, "expected.txt"), "w", encoding="ascii") as file:
        file.writelines(lines)


main()
