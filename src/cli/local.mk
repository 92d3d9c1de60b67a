convnet_SOURCES += \
	src/cli/arguments.c \
	src/cli/augment_command.c \
	src/cli/bench.c \
	src/cli/calibrate.c \
	src/cli/cli.h \
	src/cli/convnet.c \
	src/cli/edit.c src/cli/edit.h \
	src/cli/event_log.c src/cli/event_log.h \
	src/cli/evaluate.c src/cli/evaluate.h \
	src/cli/export.c src/cli/export/export.h \
	src/cli/export/keras_file.c \
	src/cli/export/keras_layers.c \
	src/cli/export/onnx_file.c \
	src/cli/export/onnx_write.c src/cli/export/onnx_write.h \
	src/cli/export/onnx_write_functions.c \
	src/cli/export/onnx_write_layers.c \
	src/cli/export/onnx_write_weighted.c \
	src/cli/export/onnx_write_windows.c \
	src/cli/export/tfjs_file.c \
	src/cli/find_model.c \
	src/cli/import.c src/cli/import.h \
	src/cli/info.c src/cli/info.h \
	src/cli/info_plan.c \
	src/cli/interrupt.c \
	src/cli/labelled_data.c \
	src/cli/layers_command.c \
	src/cli/output.c \
	src/cli/peak_speed.c src/cli/peak_speed.h \
	src/cli/predict_command.c src/cli/predict_command.h \
	src/cli/predict_batch.c \
	src/cli/predict_input.c \
	src/cli/predict_output.c \
	src/cli/predict_ranks.c \
	src/cli/predict_resume.c \
	src/cli/protobuf.c src/cli/protobuf.h \
	src/cli/progress.c src/cli/progress.h \
	src/cli/quantize_command.c \
	src/cli/ranks.c src/cli/ranks.h \
	src/cli/read_command.c \
	src/cli/report_command.c \
	src/cli/sign.c \
	src/cli/train.c src/cli/train.h \
	src/cli/train_data.c \
	src/cli/train_memory.c \
	src/cli/train_options.c \
	src/cli/train_progress.c \
	src/cli/train_record.c

if HAVE_MPI
convnet_SOURCES += src/cli/ranks_mpi.c
endif

# The report that `convnet report` and `convnet evaluate` draw.
if HAVE_CAIRO
convnet_SOURCES += \
	src/cli/report/canvas.c src/cli/report/canvas.h \
	src/cli/report/confusion.c \
	src/cli/report/curves.c \
	src/cli/report/mistakes.c \
	src/cli/report/reliability.c \
	src/cli/report/report.c
else
convnet_SOURCES += src/cli/report/none.c
endif
