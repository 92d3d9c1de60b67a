libconvnet_la_SOURCES += \
	src/image/image.c \
	src/image/cells.c src/image/cells.h \
	src/image/digit.c src/image/digit.h \
	src/image/exact.c src/image/exact.h \
	src/image/ink.c src/image/ink.h \
	src/image/lines.c \
	src/image/page.c src/image/page.h \
	src/image/plane.c src/image/plane.h \
	src/image/png.c \
	src/image/png_encode.c \
	src/image/png_scan.c src/image/png_scan.h \
	src/image/preprocess.c \
	src/image/preprocessing.c \
	src/image/resample.c src/image/resample.h \
	src/image/resize.c src/image/resize.h \
	src/image/sheet.c src/image/sheet.h \
	src/image/strokes.c src/image/strokes.h \
	src/image/surface.c src/image/surface.h

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/support/drawing.c tests/support/drawing.h \
	tests/unit/test_drawings.c \
	tests/unit/test_image.c \
	tests/unit/test_png.c \
	tests/unit/test_preprocess.c \
	tests/unit/test_preprocessing.c \
	tests/unit/test_resample.c
endif
