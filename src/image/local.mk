libconvnet_la_SOURCES += \
	src/image/image.c \
	src/image/ink.c src/image/ink.h \
	src/image/plane.c src/image/plane.h \
	src/image/png.c \
	src/image/png_encode.c \
	src/image/png_scan.c src/image/png_scan.h \
	src/image/preprocess.c \
	src/image/resize.c src/image/resize.h \
	src/image/thicken.c src/image/thicken.h

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/unit/test_image.c \
	tests/unit/test_png.c \
	tests/unit/test_preprocess.c
endif
