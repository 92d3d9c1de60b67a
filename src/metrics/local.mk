libconvnetd_la_SOURCES += \
	src/metrics/counters.c \
	src/metrics/metric_table.c \
	src/metrics/metric_table.h \
	src/metrics/process.c \
	src/metrics/render.c \
	src/metrics/statistics.h

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/unit/test_statistics.c
endif
