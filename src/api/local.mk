libconvnetd_la_SOURCES += \
	src/api/admin.c \
	src/api/compute.c \
	src/api/explain.c \
	src/api/health.c \
	src/api/index.c \
	src/api/json_images.c \
	src/api/json_images.h \
	src/api/media_type.c \
	src/api/media_type.h \
	src/api/metrics.c \
	src/api/models.c \
	src/api/models.h \
	src/api/picture.c \
	src/api/picture.h \
	src/api/predict.c \
	src/api/predict.h \
	src/api/predict_images.c \
	src/api/predict_json.c \
	src/api/predict_multipart.c \
	src/api/predict_reply.c \
	src/api/read_request.c \
	src/api/routes.c \
	src/api/routes.h \
	src/api/static_files.c \
	src/api/static_files.h \
	src/api/tfserving.c \
	src/api/tfserving.h \
	src/api/torchserve.c
libconvnetd_la_SOURCES += \
	src/api/oip/infer.c \
	src/api/oip/infer.h \
	src/api/oip/infer_parse.c \
	src/api/oip/infer_reply.c \
	src/api/oip/infer_tensor.c \
	src/api/oip/metadata.c \
	src/api/oip/model_stats.c \
	src/api/oip/repository.c

# Files that the daemon answers with.
embedded_files = \
	src/api/openapi.json \
	src/api/web/answers.js \
	src/api/web/drawing.js \
	src/api/web/icon.svg \
	src/api/web/index.html \
	src/api/web/layers.js \
	src/api/web/page.js \
	src/api/web/png.js \
	src/api/web/style.css \
	src/api/web/tiles.js
EXTRA_DIST += $(embedded_files)
nodist_libconvnetd_la_SOURCES = src/api/embedded.c
CLEANFILES += src/api/embedded.c
src/api/embedded.c: $(embedded_files) scripts/embed-files
	$(AM_V_GEN)$(MKDIR_P) src/api && cd $(srcdir) && \
	$(SHELL) scripts/embed-files $(embedded_files) > $(abs_builddir)/$@.tmp && \
	mv $(abs_builddir)/$@.tmp $(abs_builddir)/$@

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/unit/test_media_type.c \
	tests/unit/test_routes.c \
	tests/unit/test_static_files.c
endif
