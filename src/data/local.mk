libcore_la_SOURCES += \
	src/data/dataset.c \
	src/data/dataset_idx.c \
	src/data/dataset_png_folder.c \
	src/data/dataset_cifar.c \
	src/data/csv_file.c src/data/csv_file.h \
	src/data/dataset_csv.c \
	src/data/dataset_labels.c \
	src/data/image_storage.c \
	src/data/picture_list.c src/data/picture_list.h \
	src/data/dataset_numpy.c \
	src/data/dataset_split.c \
	src/data/npy.c src/data/npy.h \
	src/data/picture_archive.c src/data/picture_archive.h \
	src/data/dataset_table.c src/data/dataset_table.h \
	src/data/idx.c src/data/idx.h

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/unit/test_data_formats.c \
	tests/unit/test_dataset.c \
	tests/unit/test_dataset_labels.c \
	tests/unit/test_dataset_split.c \
	tests/unit/test_idx.c \
	tests/unit/test_picture_archive.c \
	tests/unit/test_png_folder.c
endif
