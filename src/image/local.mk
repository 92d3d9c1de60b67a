libcore_la_SOURCES += \
	src/image/bmp.c \
	src/image/format.h src/image/formats.c \
	src/image/picture_outline.c src/image/picture_outline.h \
	src/image/image.c \
	src/image/cells.c src/image/cells.h \
	src/image/decoded_rows.c src/image/decoded_rows.h \
	src/image/digit.c src/image/digit.h \
	src/image/ink.c src/image/ink.h \
	src/image/levels.h \
	src/image/orientation.c src/image/orientation.h \
	src/image/page.c src/image/page.h \
	src/image/polarity.c src/image/polarity.h \
	src/image/plane.c src/image/plane.h \
	src/image/png.c \
	src/image/png_encode.c \
	src/image/png_plain.c src/image/png_plain.h \
	src/image/png_scan.c src/image/png_scan.h \
	src/image/pnm.c \
	src/image/preprocess.c \
	src/image/preprocessing.c \
	src/image/resample.c src/image/resample.h \
	src/image/resize.c src/image/resize.h \
	src/image/ruled_lines.c \
	src/image/sheet.c src/image/sheet.h \
	src/image/strokes.c src/image/strokes.h \
	src/image/surface.c src/image/surface.h

if HAVE_JPEG
libcore_la_SOURCES += src/image/jpeg.c
endif
if HAVE_WEBP
libcore_la_SOURCES += src/image/webp.c
endif
if HAVE_GIF
libcore_la_SOURCES += src/image/gif.c
endif
if HAVE_TIFF
libcore_la_SOURCES += src/image/tiff.c
endif

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/support/drawing.c tests/support/drawing.h \
	tests/support/encode.c tests/support/encode.h \
	tests/unit/test_drawings.c \
	tests/unit/test_formats.c \
	tests/unit/test_image.c \
	tests/unit/test_png.c \
	tests/unit/test_preprocess.c \
	tests/unit/test_preprocessing.c \
	tests/unit/test_resample.c
endif
