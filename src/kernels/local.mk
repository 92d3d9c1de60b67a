# The vector kernels, vector_kernels.c and vector_bytes.c, are compiled once per instruction set, at
# -O3 except with a sanitizer, where that takes minutes. The table of kernels is chosen at run time.
KERNEL_CFLAGS = $(AM_CFLAGS) $(CN_KERNEL_CFLAGS)
# The kernels of bytes give the same bits on every instruction set: the compiler must not contract a
# product and a sum.
BYTES_CFLAGS = $(KERNEL_CFLAGS) -ffp-contract=off
AVX2_CFLAGS = -mavx2 -mfma
AVX512_CFLAGS = -mavx512f -mavx512vl -mavx512bw -mavx512dq -mfma

libcore_la_SOURCES += \
	src/kernels/backward.h \
	src/kernels/bytes.c src/kernels/bytes.h \
	src/kernels/conv2d.h \
	src/kernels/elementwise.h \
	src/kernels/kernels.c src/kernels/kernels.h \
	src/kernels/packing.c src/kernels/packing.h \
	src/kernels/winograd.c src/kernels/winograd.h

noinst_LTLIBRARIES += libcore_portable.la
libcore_portable_la_SOURCES = \
	src/kernels/activate.c src/kernels/activate.h \
	src/kernels/pooling.c src/kernels/pooling.h \
	src/kernels/vector.inc src/kernels/vector_backward.inc src/kernels/vector_conv2d.inc \
	src/kernels/vector_dense.inc src/kernels/vector_depthwise.inc src/kernels/vector_elementwise.inc src/kernels/vector_floats.inc src/kernels/vector_functions.inc \
	src/kernels/vector_kernels.c src/kernels/vector_pooling.inc \
	src/kernels/vector_softmax.inc src/kernels/vector_unary.inc src/kernels/vector_winograd.inc
libcore_portable_la_LIBTOOLFLAGS = $(pic_only)
libcore_portable_la_CFLAGS = $(KERNEL_CFLAGS)
libcore_la_LIBADD += libcore_portable.la

noinst_LTLIBRARIES += libbytes_portable.la
libbytes_portable_la_SOURCES = src/kernels/vector_bytes.c
libbytes_portable_la_LIBTOOLFLAGS = $(pic_only)
libbytes_portable_la_CFLAGS = $(BYTES_CFLAGS)
libcore_la_LIBADD += libbytes_portable.la

if HAVE_X86_64
noinst_LTLIBRARIES += libcore_avx2.la libcore_avx512.la
libcore_avx2_la_SOURCES = src/kernels/vector_kernels.c
libcore_avx2_la_LIBTOOLFLAGS = $(pic_only)
libcore_avx2_la_CPPFLAGS = $(AM_CPPFLAGS) -DINSTRUCTIONS=avx2 -DLANES=8 -DTILE_PIXELS=6
libcore_avx2_la_CFLAGS = $(KERNEL_CFLAGS) $(AVX2_CFLAGS)
libcore_avx512_la_SOURCES = src/kernels/vector_kernels.c
libcore_avx512_la_LIBTOOLFLAGS = $(pic_only)
libcore_avx512_la_CPPFLAGS = $(AM_CPPFLAGS) -DINSTRUCTIONS=avx512 -DLANES=16 -DTILE_PIXELS=12
libcore_avx512_la_CFLAGS = $(KERNEL_CFLAGS) $(AVX512_CFLAGS)
libcore_la_LIBADD += libcore_avx2.la libcore_avx512.la

noinst_LTLIBRARIES += libbytes_avx2.la libbytes_avx512.la libbytes_vnni.la
libbytes_avx2_la_SOURCES = src/kernels/vector_bytes.c
libbytes_avx2_la_LIBTOOLFLAGS = $(pic_only)
libbytes_avx2_la_CPPFLAGS = $(AM_CPPFLAGS) -DINSTRUCTIONS=avx2 -DLANES=8 -DTILE_PIXELS=4
libbytes_avx2_la_CFLAGS = $(BYTES_CFLAGS) $(AVX2_CFLAGS)
libbytes_avx512_la_SOURCES = src/kernels/vector_bytes.c
libbytes_avx512_la_LIBTOOLFLAGS = $(pic_only)
libbytes_avx512_la_CPPFLAGS = $(AM_CPPFLAGS) -DINSTRUCTIONS=avx512 -DLANES=16 -DTILE_PIXELS=12
libbytes_avx512_la_CFLAGS = $(BYTES_CFLAGS) $(AVX512_CFLAGS)
libbytes_vnni_la_SOURCES = src/kernels/vector_bytes.c
libbytes_vnni_la_LIBTOOLFLAGS = $(pic_only)
libbytes_vnni_la_CPPFLAGS = $(AM_CPPFLAGS) -DINSTRUCTIONS=vnni -DLANES=16 -DTILE_PIXELS=12
libbytes_vnni_la_CFLAGS = $(BYTES_CFLAGS) $(AVX512_CFLAGS) -mavx512vnni
libcore_la_LIBADD += libbytes_avx2.la libbytes_avx512.la libbytes_vnni.la
endif

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/support/convolutions.c tests/support/convolutions.h \
	tests/support/naive.c tests/support/naive.h \
	tests/support/networks.c tests/support/networks.h \
	tests/unit/test_backward.c \
	tests/unit/test_bytes.c \
	tests/unit/test_elementwise.c \
	tests/unit/test_functions.c \
	tests/unit/test_kernels.c
endif
