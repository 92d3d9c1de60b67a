convnet_SOURCES += \
	src/cli/bench.c \
	src/cli/cli.h \
	src/cli/evaluate.c \
	src/cli/find.c \
	src/cli/info.c \
	src/cli/main.c \
	src/cli/options.c \
	src/cli/output.c \
	src/cli/peak.c src/cli/peak.h \
	src/cli/predict.c src/cli/predict.h \
	src/cli/predict_batch.c \
	src/cli/predict_input.c \
	src/cli/predict_output.c \
	src/cli/progress.c \
	src/cli/train.c src/cli/train.h \
	src/cli/train_options.c \
	src/cli/train_record.c
