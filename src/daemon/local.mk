libconvnetd_la_SOURCES += \
	src/daemon/control.c src/daemon/control.h \
	src/daemon/credentials.c src/daemon/credentials.h \
	src/daemon/log.c src/daemon/log.h \
	src/daemon/notify.c src/daemon/notify.h \
	src/daemon/options.c src/daemon/options.h \
	src/daemon/options_read.c \
	src/daemon/options_table.c \
	src/daemon/sandbox.c src/daemon/sandbox.h \
	src/daemon/service.c src/daemon/service.h \
	src/daemon/unit_file.c src/daemon/unit_file.h

convnetd_SOURCES += src/daemon/convnetd.c

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/unit/test_log_repeats.c \
	tests/unit/test_options.c
endif
