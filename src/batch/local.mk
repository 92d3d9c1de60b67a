libconvnetd_la_SOURCES += \
	src/batch/lane.c src/batch/lane.h \
	src/batch/served_model.c src/batch/served_model.h \
	src/batch/statistics.c src/batch/statistics.h
