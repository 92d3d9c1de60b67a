# One fuzzer for each parser of foreign bytes, with libFuzzer: needs clang, a sanitizer,
# --enable-fuzzers. `tests/fuzz/run SECONDS` runs them all.
if ENABLE_FUZZERS
fuzz_ldflags = $(AM_LDFLAGS) $(OPENMP_CFLAGS) $(CN_PROGRAM_LDFLAGS) -fsanitize=fuzzer

# Built by `make', and run for some seconds by .ci/run.
noinst_PROGRAMS = \
	tests/fuzz/fuzz_data tests/fuzz/fuzz_idx tests/fuzz/fuzz_json tests/fuzz/fuzz_model \
	tests/fuzz/fuzz_picture tests/fuzz/fuzz_preprocess
# Built by `make fuzzers', and run by tests/fuzz/run.
more_fuzzers = \
	tests/fuzz/fuzz_architecture tests/fuzz/fuzz_archive tests/fuzz/fuzz_checkpoint \
	tests/fuzz/fuzz_coding \
	tests/fuzz/fuzz_config tests/fuzz/fuzz_formats tests/fuzz/fuzz_keys tests/fuzz/fuzz_model_run \
	tests/fuzz/fuzz_multipart tests/fuzz/fuzz_png tests/fuzz/fuzz_server
EXTRA_PROGRAMS += $(more_fuzzers)
# Each is made of the source of its name.
LDADD = $(convnet_LDADD)

tests_fuzz_fuzz_architecture_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_archive_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_checkpoint_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_coding_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_coding_LDADD = $(daemon_libs)
tests_fuzz_fuzz_config_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_config_LDADD = $(daemon_libs)
tests_fuzz_fuzz_data_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_formats_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_idx_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_json_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_json_LDADD = $(daemon_libs)
tests_fuzz_fuzz_keys_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_keys_LDADD = $(daemon_libs)
tests_fuzz_fuzz_model_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_model_run_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_multipart_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_multipart_LDADD = $(daemon_libs)
tests_fuzz_fuzz_picture_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_png_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_preprocess_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_server_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_server_LDADD = $(daemon_libs)

if ENABLE_IMPORT
more_fuzzers += tests/fuzz/fuzz_hdf5 tests/fuzz/fuzz_import
tests_fuzz_fuzz_hdf5_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_hdf5_LDADD = libimport.la $(convnet_LDADD) $(IMPORT_LIBS)
tests_fuzz_fuzz_import_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_import_LDADD = libimport.la $(convnet_LDADD) $(IMPORT_LIBS)
endif
if HAVE_ONNX
noinst_PROGRAMS += tests/fuzz/fuzz_onnx
tests_fuzz_fuzz_onnx_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_onnx_LDADD = libonnx.la $(convnet_LDADD)
endif
fuzzers: $(more_fuzzers)
endif
EXTRA_DIST += tests/fuzz/fuzz.h tests/fuzz/run
