#!/usr/bin/python3
"""Writes the pictures that tests/unit/test_formats.c decodes: one picture in every form. Needs Debian's python3-pil.

The picture is 40 x 24: red left upper quarter, green right upper, blue left lower, white right lower; a black
pixel at (3, 2) where the format is lossless.
"""
import os
import struct

from PIL import Image

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, HEIGHT = 40, 24


def quarters():
    image = Image.new("RGB", (WIDTH, HEIGHT))
    for y in range(HEIGHT):
        for x in range(WIDTH):
            right, low = x >= WIDTH // 2, y >= HEIGHT // 2
            image.putpixel((x, y), ((255, 255, 255) if low else (0, 255, 0)) if right else
                           ((0, 0, 255) if low else (255, 0, 0)))
    return image


def path(name):
    return os.path.join(HERE, name)


def exif(orientation):
    return (b"Exif\0\0II*\0\x08\0\0\0\x01\0" + struct.pack("<HHII", 274, 3, 1, orientation) + bytes(4))


def turned(image, orientation):
    """The picture as a camera that was held so stores it."""
    undo = {2: [Image.FLIP_LEFT_RIGHT], 3: [Image.ROTATE_180], 4: [Image.FLIP_TOP_BOTTOM], 5: [Image.TRANSPOSE],
            6: [Image.ROTATE_90], 7: [Image.TRANSVERSE], 8: [Image.ROTATE_270]}
    for step in undo.get(orientation, []):
        image = image.transpose(step)
    return image


def main():
    soft = quarters()
    hard = quarters()
    hard.putpixel((3, 2), (0, 0, 0))
    best = dict(quality=95, subsampling=0)
    soft.save(path("baseline.jpg"), **best)
    soft.save(path("progressive.jpg"), progressive=True, **best)
    soft.convert("L").save(path("grey.jpg"), quality=95)
    soft.convert("CMYK").save(path("cmyk.jpg"), quality=95)
    for orientation in range(2, 9):
        turned(soft, orientation).save(path("turned-%d.jpg" % orientation), exif=exif(orientation), **best)
    hard.save(path("plain.bmp"))
    hard.quantize(8).save(path("palette.bmp"))
    hard.convert("RGBA").save(path("alpha.bmp"))
    hard.save(path("plain.ppm"))
    hard.convert("L").save(path("grey.pgm"))
    hard.convert("L").point(lambda v: 255 * (v > 128)).convert("1").save(path("bits.pbm"))
    with open(path("text.ppm"), "w", encoding="ascii") as file:
        file.write("P3 # a comment\n%d %d\n255\n" % hard.size)
        for pixel in hard.getdata():
            file.write("%d %d %d\n" % pixel)
    hard.quantize(8).save(path("plain.gif"), interlace=0)
    hard.quantize(8).save(path("interlaced.gif"), interlace=1)
    hard.save(path("lossless.webp"), lossless=True)
    soft.save(path("lossy.webp"), quality=95)
    hard.save(path("plain.tif"))
    hard.save(path("lzw.tif"), compression="tiff_lzw")
    hard.convert("L").save(path("grey.tif"), compression="tiff_adobe_deflate")


if __name__ == "__main__":
    main()
