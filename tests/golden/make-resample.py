"""make-resample.py > resample.inc: what Pillow makes of one picture, for tests/unit/test_resample.c.

Run with Debian's python3-pil: /usr/bin/python3 tests/golden/make-resample.py > tests/golden/resample.inc
The picture is computed: sample (x, y, c) = (x * x * 7 + y * 31 + x * y * (c + 3) + c * 50) % 256.
"""
from PIL import Image, ImageOps

FILTERS = {"area": (Image.BOX, Image.BILINEAR), "nearest": (Image.NEAREST, Image.NEAREST),
           "bilinear": (Image.BILINEAR, Image.BILINEAR), "bicubic": (Image.BICUBIC, Image.BICUBIC)}


def picture(width, height):
    image = Image.new("RGB", (width, height))
    image.putdata([tuple((x * x * 7 + y * 31 + x * y * (c + 3) + c * 50) % 256 for c in range(3))
                   for y in range(height) for x in range(width)])
    return image


def fitted(image, fit, size, method):
    if fit == "stretch":
        return image.resize(size, method)
    if fit == "crop":
        return ImageOps.fit(image, size, method)
    return ImageOps.pad(image, size, method)


def put(source, target, fit, interpolation):
    shrinks = source[0] >= target[0]
    result = fitted(picture(*source), fit, target, FILTERS[interpolation][0 if shrinks else 1])
    numbers = ",".join(str(value) for pixel in result.getdata() for value in pixel)
    print("{%d, %d, %d, %d, CN_FIT_%s, CN_INTERPOLATION_%s, {%s}}," %
          (*source, *target, fit.upper(), interpolation.upper(), numbers))


for name in FILTERS:
    put((23, 17), (6, 5), "stretch", name)
    put((5, 4), (9, 7), "stretch", name)
for fit in ("crop", "pad"):
    put((23, 11), (6, 5), fit, "area")
    put((11, 23), (6, 5), fit, "bilinear")
    put((4, 3), (6, 7), fit, "bicubic")
