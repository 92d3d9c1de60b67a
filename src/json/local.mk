libcore_la_SOURCES += \
	src/json/load.c \
	src/json/load.h \
	src/json/load_memory.c \
	src/json/scan.c \
	src/json/scan.h \
	src/json/write.c \
	src/json/write.h

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/unit/test_scan.c tests/unit/test_write.c
endif
