# The import program, which alone links the libraries of foreign formats.
if ENABLE_IMPORT
noinst_LTLIBRARIES += libimport.la
libimport_la_SOURCES = \
	src/import/archive.c src/import/archive.h \
	src/import/assemble.c src/import/assemble.h \
	src/import/foreign_safetensors.c \
	src/import/hdf5.c \
	src/import/keras_pack.c src/import/keras_pack.h \
	src/import/keras_zip.c \
	src/import/match.c src/import/match.h \
	src/import/match_modules.c \
	src/import/pickle.c src/import/pickle.h \
	src/import/source.c src/import/source.h \
	src/import/tfjs.c \
	src/import/torch.c
libimport_la_CPPFLAGS = $(AM_CPPFLAGS) $(IMPORT_CFLAGS)
libimport_la_LIBADD = $(IMPORT_LIBS)

pkglibexec_PROGRAMS = convnet-import
convnet_import_SOURCES = \
	src/import/import_program.c src/import/protocol.h \
	src/import/lock_down.c src/import/lock_down.h
convnet_import_CPPFLAGS = $(AM_CPPFLAGS) $(IMPORT_CFLAGS) $(SECCOMP_CFLAGS)
convnet_import_LDFLAGS = $(convnet_LDFLAGS)
convnet_import_LDADD = libimport.la
if HAVE_ONNX
convnet_import_LDADD += libonnx.la $(PROTOBUF_C_LIBS)
endif
convnet_import_LDADD += libconfine.la libcore.la $(IMPORT_LIBS) $(CONVNET_LIBS)

check_PROGRAMS += tests/support/broken_files
tests_support_broken_files_SOURCES = tests/support/broken_files.c
tests_support_broken_files_CPPFLAGS = $(convnet_import_CPPFLAGS)
tests_support_broken_files_LDFLAGS = $(convnet_LDFLAGS)
tests_support_broken_files_LDADD = $(convnet_import_LDADD)
endif
