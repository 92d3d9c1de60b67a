libconvnetd_la_SOURCES += \
	src/batch/lane.c src/batch/lane.h \
	src/batch/served_model.c src/batch/served_model.h \
	src/batch/statistics.c src/batch/statistics.h

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/unit/test_lane.c \
	tests/unit/test_statistics.c
endif
