libconvnet_la_SOURCES += \
	src/base/clock.c src/base/clock.h \
	src/base/error.c \
	src/base/file.c src/base/file.h \
	src/base/memory.c src/base/memory.h \
	src/base/names.c src/base/names.h \
	src/base/random.c src/base/random.h \
	src/base/sha256.c src/base/sha256.h \
	src/base/shape.c
