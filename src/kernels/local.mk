# The vector kernels: vector_kernels.inc, compiled once per instruction set, at -O3 unless a sanitizer makes that take minutes. Which table runs is chosen at run time.
KERNEL_CFLAGS = $(AM_CFLAGS) $(CN_KERNEL_CFLAGS)

libcore_la_SOURCES += \
	src/kernels/backward.h \
	src/kernels/conv2d.h \
	src/kernels/elementwise.h \
	src/kernels/functions.h \
	src/kernels/kernels.c src/kernels/kernels.h \
	src/kernels/packing.c src/kernels/packing.h

noinst_LTLIBRARIES += libcore_portable.la
libcore_portable_la_SOURCES = \
	src/kernels/activate.c src/kernels/activate.h \
	src/kernels/pooling.c src/kernels/pooling.h src/kernels/pooling_window.h \
	src/kernels/kernels_portable.c \
	src/kernels/vector.inc src/kernels/vector_backward.inc src/kernels/vector_conv2d.inc \
	src/kernels/vector_dense.inc src/kernels/vector_depthwise.inc src/kernels/vector_elementwise.inc src/kernels/vector_functions.inc \
	src/kernels/vector_kernels.inc src/kernels/vector_pooling.inc \
	src/kernels/vector_softmax.inc
libcore_portable_la_LIBTOOLFLAGS = $(pic_only)
libcore_portable_la_CFLAGS = $(KERNEL_CFLAGS)
libcore_la_LIBADD += libcore_portable.la

if HAVE_X86_64
noinst_LTLIBRARIES += libcore_avx2.la libcore_avx512.la
libcore_avx2_la_SOURCES = src/kernels/kernels_avx2.c
libcore_avx2_la_LIBTOOLFLAGS = $(pic_only)
libcore_avx2_la_CFLAGS = $(KERNEL_CFLAGS) -mavx2 -mfma
libcore_avx512_la_SOURCES = src/kernels/kernels_avx512.c
libcore_avx512_la_LIBTOOLFLAGS = $(pic_only)
libcore_avx512_la_CFLAGS = $(KERNEL_CFLAGS) -mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma
libcore_la_LIBADD += libcore_avx2.la libcore_avx512.la
endif

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/support/convolutions.c tests/support/convolutions.h \
	tests/support/naive.c tests/support/naive.h \
	tests/support/networks.c tests/support/networks.h \
	tests/unit/test_backward.c \
	tests/unit/test_elementwise.c \
	tests/unit/test_functions.c \
	tests/unit/test_kernels.c
endif
