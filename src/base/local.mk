# Runs before main, and so is linked into each program itself.
convnet_SOURCES += src/base/openmp.c
convnetd_SOURCES += src/base/openmp.c

libcore_la_SOURCES += \
	src/base/atomics.h \
	src/base/budget.c src/base/budget.h \
	src/base/error.c \
	src/base/file.c src/base/file.h \
	src/base/memory.c src/base/memory.h \
	src/base/names.c src/base/names.h \
	src/base/number.c src/base/number.h \
	src/base/openmp.h \
	src/base/random.c src/base/random.h \
	src/base/sha256.c src/base/sha256.h \
	src/base/shape.c \
	src/base/task.c src/base/task.h \
	src/base/time.c src/base/time.h \
	src/base/utf8.c src/base/utf8.h

# The functions to give up rights, linked by the programs that use them.
if ENABLE_SANDBOX
noinst_LTLIBRARIES += libconfine.la
libconfine_la_SOURCES = src/base/confine.c src/base/confine.h
libconfine_la_CPPFLAGS = $(AM_CPPFLAGS) $(SECCOMP_CFLAGS)
libconfine_la_LIBADD = $(SECCOMP_LIBS)
libconvnetd_la_LIBADD += libconfine.la
endif

if ENABLE_TESTS
if ENABLE_SANDBOX
tests_unit_unit_tests_SOURCES += tests/unit/test_confine.c
endif
tests_unit_unit_tests_SOURCES += \
	tests/unit/test_error.c \
	tests/unit/test_file.c \
	tests/unit/test_memory.c \
	tests/unit/test_names.c \
	tests/unit/test_number.c \
	tests/unit/test_random.c \
	tests/unit/test_sha256.c \
	tests/unit/test_shape.c \
	tests/unit/test_utf8.c
endif
