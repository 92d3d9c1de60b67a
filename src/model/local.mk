libcore_la_SOURCES += \
	src/model/architecture.c src/model/architecture.h \
	src/model/architecture_axes.c \
	src/model/architecture_fit.c \
	src/model/architecture_format.c \
	src/model/architecture_keras.c \
	src/model/architecture_keras_1.c \
	src/model/architecture_layer.c \
	src/model/architecture_operation.c \
	src/model/architecture_rules.c \
	src/model/architecture_tree.c \
	src/model/foreign.c src/model/foreign.h \
	src/model/label_set.c \
	src/model/inputs_outputs.c \
	src/model/known_models.c src/model/known_models.h \
	src/model/model.c src/model/model_file.h \
	src/model/model_read.c \
	src/model/model_write.c \
	src/model/outputs.c src/model/outputs.h \
	src/model/model_probe.c \
	src/model/quantized_weights.c src/model/quantized_weights.h \
	src/model/safetensors.c src/model/safetensors.h \
	src/model/safetensors_write.c \
	src/model/seal.c src/model/seal.h \
	src/model/signature.c src/model/signature.h

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/support/model_files.c tests/support/model_files.h \
	tests/unit/test_architecture.c \
	tests/unit/test_axes.c \
	tests/unit/test_functional.c \
	tests/unit/test_model.c \
	tests/unit/test_operations.c \
	tests/unit/test_outputs.c \
	tests/unit/test_model_file.c \
	tests/unit/test_safetensors.c \
	tests/unit/test_signature.c
endif
