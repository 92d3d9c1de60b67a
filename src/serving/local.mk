libconvnetd_la_SOURCES += \
	src/serving/accounts.h \
	src/serving/deadline_heap.c \
	src/serving/deadline_heap.h \
	src/serving/lane.c \
	src/serving/lane.h \
	src/serving/loader.c \
	src/serving/loader.h \
	src/serving/model_folder.c \
	src/serving/model_folder.h \
	src/serving/preparer.c \
	src/serving/preparer.h \
	src/serving/registry.c \
	src/serving/registry.h \
	src/serving/served_model.c \
	src/serving/served_model.h

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/unit/test_lane.c \
	tests/unit/test_loader.c \
	tests/unit/test_preparer.c \
	tests/unit/test_registry.c
endif
