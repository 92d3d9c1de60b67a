libconvnetd_la_SOURCES += \
	src/batch/lane.c src/batch/lane.h src/batch/lane_private.h \
	src/batch/lane_batch.c \
	src/batch/lane_deadlines.c \
	src/batch/loader.c src/batch/loader.h \
	src/batch/registry.c src/batch/registry.h src/batch/registry_private.h \
	src/batch/registry_load.c \
	src/batch/registry_scan.c src/batch/registry_scan.h \
	src/batch/served_model.c src/batch/served_model.h \
	src/batch/statistics.c src/batch/statistics.h src/batch/statistics_private.h \
	src/batch/statistics_process.c \
	src/batch/statistics_render.c \
	src/batch/statistics_table.c

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/unit/test_lane.c \
	tests/unit/test_loader.c \
	tests/unit/test_registry.c \
	tests/unit/test_statistics.c
endif
