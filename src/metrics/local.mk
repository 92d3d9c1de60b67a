libconvnetd_la_SOURCES += \
	src/metrics/statistics.c \
	src/metrics/statistics.h \
	src/metrics/statistics_private.h \
	src/metrics/statistics_process.c \
	src/metrics/statistics_render.c \
	src/metrics/statistics_table.c

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/unit/test_statistics.c
endif
