libcore_la_SOURCES += \
	src/reading/candidates.c src/reading/candidates.h \
	src/reading/glyphs.c src/reading/glyphs.h \
	src/reading/pieces.c src/reading/pieces.h \
	src/reading/read.c \
	src/reading/reading_json.c src/reading/reading_json.h \
	src/reading/seam.c src/reading/seam.h \
	src/reading/text_lines.c src/reading/text_lines.h

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += tests/unit/test_reading.c
endif
