libconvnetd_la_SOURCES += \
	src/serving/lane.c \
	src/serving/lane.h \
	src/serving/lane_batch.c \
	src/serving/lane_deadlines.c \
	src/serving/lane_private.h \
	src/serving/loader.c \
	src/serving/loader.h \
	src/serving/registry.c \
	src/serving/registry.h \
	src/serving/registry_load.c \
	src/serving/registry_private.h \
	src/serving/registry_scan.c \
	src/serving/registry_scan.h \
	src/serving/served_model.c \
	src/serving/served_model.h

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/unit/test_lane.c \
	tests/unit/test_loader.c \
	tests/unit/test_registry.c
endif
