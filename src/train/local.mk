libcore_la_SOURCES += \
	src/train/activity_penalty.c src/train/activity_penalty.h \
	src/train/augment.c src/train/augment.h \
	src/train/augment_list.c \
	src/train/augment_mix.c \
	src/train/augment_outlier.c \
	src/train/augment_pixels.c \
	src/train/augment_rerender.c \
	src/train/augment_row.c \
	src/train/augment_sign.c \
	src/train/augment_warp.c \
	src/train/temperature.c \
	src/train/label_levels.c \
	src/train/checkpoint.c \
	src/train/class_means.c \
	src/train/evaluation.c \
	src/train/optimizer.c \
	src/train/trainer_options.c \
	src/train/teacher.c src/train/teacher.h \
	src/train/training_memory.c \
	src/train/transfer.c \
	src/train/callbacks.c \
	src/train/weight_rules.c \
	src/train/trainer.c src/train/trainer_private.h

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/unit/test_augment.c \
	tests/unit/test_class_means.c \
	tests/unit/test_temperature.c \
	tests/unit/test_label_sets.c \
	tests/unit/test_golden.c \
	tests/unit/test_optimizer.c \
	tests/unit/test_training_golden.c \
	tests/unit/test_trainer.c \
	tests/unit/test_transfer.c \
	tests/unit/test_callbacks.c \
	tests/unit/test_weight_rules.c
endif
