libconvnetd_la_SOURCES += \
	src/http/admin.c \
	src/http/accept.c src/http/accept.h \
	src/http/deadline.c \
	src/http/explain.c src/http/explain.h \
	src/http/explain_reply.c \
	src/http/explain_tiles.c \
	src/http/health.c \
	src/http/index.c \
	src/http/infer.c src/http/infer.h \
	src/http/infer_data.c \
	src/http/infer_parse.c \
	src/http/infer_reply.c \
	src/http/infer_types.c \
	src/http/json_number.c \
	src/http/json_scan.c src/http/json_scan.h \
	src/http/json_string.c \
	src/http/metrics.c \
	src/http/models.c \
	src/http/openapi.c src/http/embedded.h \
	src/http/page.c src/http/page.h \
	src/http/picture.c src/http/picture.h \
	src/http/predict.c src/http/predict.h \
	src/http/predict_images.c \
	src/http/predict_json.c \
	src/http/predict_multipart.c \
	src/http/predict_reply.c \
	src/http/repository.c \
	src/http/text.c src/http/text.h \
	src/http/tfserving.c src/http/tfserving.h \
	src/http/tfserving_parse.c \
	src/http/torchserve.c \
	src/http/v2.c \
	src/http/v2_stats.c

# Files that the daemon answers with.
embedded_files = \
	src/http/openapi.json \
	src/http/page/drawing.js \
	src/http/page/icon.svg \
	src/http/page/index.html \
	src/http/page/layers.js \
	src/http/page/page.js \
	src/http/page/png.js \
	src/http/page/style.css \
	src/http/page/tiles.js
EXTRA_DIST += $(embedded_files)
nodist_libconvnetd_la_SOURCES = src/http/embedded.c
CLEANFILES += src/http/embedded.c
src/http/embedded.c: $(embedded_files) scripts/embed-files
	$(AM_V_GEN)$(MKDIR_P) src/http && cd $(srcdir) && \
	$(SHELL) scripts/embed-files $(embedded_files) > $(abs_builddir)/$@.tmp && \
	mv $(abs_builddir)/$@.tmp $(abs_builddir)/$@

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/unit/test_accept.c \
	tests/unit/test_json_scan.c \
	tests/unit/test_page.c
endif
