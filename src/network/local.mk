libcore_la_SOURCES += \
	src/network/bands.c src/network/bands.h \
	src/network/gradient.c src/network/gradient_private.h \
	src/network/gradient_check.c \
	src/network/gradient_sum.c src/network/gradient_sum.h \
	src/network/rank_messages.c \
	src/network/gradient_workspace.c \
	src/network/initialize.c \
	src/network/loss.c src/network/loss.h \
	src/network/network.c \
	src/network/placement.c src/network/placement.h \
	src/network/plan.c \
	src/network/quantize.c \
	src/network/threads.c \
	src/network/trace.c

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/unit/test_gradient.c \
	tests/unit/test_graph.c \
	tests/unit/test_network.c \
	tests/unit/test_plan.c \
	tests/unit/test_quantize.c \
	tests/unit/test_ranks.c \
	tests/unit/test_trace.c
endif
