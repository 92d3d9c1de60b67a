libcore_la_SOURCES += \
	src/layers/activation.c \
	src/layers/affine.c src/layers/affine.h \
	src/layers/batch_normalization.c \
	src/layers/binary.c \
	src/layers/byte_steps.c \
	src/layers/constant.c \
	src/layers/conv2d.c src/layers/conv2d_transpose.c \
	src/layers/convolve.c src/layers/convolve.h \
	src/layers/dense.c \
	src/layers/dropout.c \
	src/layers/layer_table.c src/layers/layer_type.h \
	src/layers/matmul.c \
	src/layers/merge.c \
	src/layers/noise.c \
	src/layers/pad.c \
	src/layers/pooling2d.c \
	src/layers/random_pictures.c \
	src/layers/reduce.c \
	src/layers/resize_axis.c \
	src/layers/normalization.c \
	src/layers/rearrange.c \
	src/layers/resampling.c \
	src/layers/scaling.c \
	src/layers/separable_conv2d.c \
	src/layers/slice.c \
	src/layers/unary.c \
	src/layers/strided_walk.c src/layers/strided_walk.h \
	src/layers/where.c \
	src/layers/window.c src/layers/window.h

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += tests/unit/test_foreign_layers.c tests/unit/test_layers.c \
	tests/unit/test_random_layers.c
endif
