# The reader of ONNX files, and the test program that runs ONNX's own cases.
if HAVE_ONNX
noinst_LTLIBRARIES += libonnx.la
libonnx_la_SOURCES = \
	src/import/onnx.c src/import/onnx.h src/import/onnx_private.h \
	src/import/onnx_convolution.c \
	src/import/onnx_elementwise.c \
	src/import/onnx_fold.c \
	src/import/onnx_graph.c \
	src/import/onnx_inline.c \
	src/import/onnx_layers.c \
	src/import/onnx_layout.c \
	src/import/onnx_matmul.c \
	src/import/onnx_memory.c \
	src/import/onnx_movement.c \
	src/import/onnx_node.c \
	src/import/onnx_normalization.c \
	src/import/onnx_operators.c \
	src/import/onnx_quantization.c \
	src/import/onnx_shapes.c \
	src/import/onnx_tensor.c
nodist_libonnx_la_SOURCES = src/import/onnx.pb-c.c src/import/onnx.pb-c.h
libonnx_la_CPPFLAGS = $(AM_CPPFLAGS) $(PROTOBUF_C_CFLAGS)
libonnx_la_LIBADD = $(PROTOBUF_C_LIBS)

src/import/onnx.pb-c.c: src/import/onnx.proto
	$(AM_V_GEN)$(MKDIR_P) src/import && \
	$(PROTOC_C) --c_out=src/import --proto_path=$(srcdir)/src/import $(srcdir)/src/import/onnx.proto
src/import/onnx.pb-c.h: src/import/onnx.pb-c.c
BUILT_SOURCES += src/import/onnx.pb-c.h
# `make all` makes it first; this is for `make tests/unit/unit-tests` and the like in a new folder.
$(libonnx_la_OBJECTS) $(tests_unit_unit_tests_OBJECTS) $(tests_support_onnx_cases_OBJECTS): | \
		src/import/onnx.pb-c.h
CLEANFILES += src/import/onnx.pb-c.c src/import/onnx.pb-c.h

check_PROGRAMS += tests/support/onnx_cases
tests_support_onnx_cases_SOURCES = tests/support/onnx_cases.c
tests_support_onnx_cases_CPPFLAGS = $(AM_CPPFLAGS) $(PROTOBUF_C_CFLAGS)
tests_support_onnx_cases_LDFLAGS = $(convnet_LDFLAGS)
tests_support_onnx_cases_LDADD = libonnx.la $(convnet_LDADD)

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += tests/unit/test_onnx.c
tests_unit_unit_tests_LDADD += libonnx.la
endif
endif
EXTRA_DIST += src/import/onnx.proto
