libconvnetd_la_SOURCES += \
	src/http/acceptor.c \
	src/http/acceptor.h \
	src/http/address.c src/http/address.h \
	src/http/admission.c \
	src/http/admission.h \
	src/http/auth.c \
	src/http/auth.h \
	src/http/coding.c \
	src/http/coding.h \
	src/http/connections.c \
	src/http/connections.h \
	src/http/cors.c \
	src/http/cors.h \
	src/http/exchange.c \
	src/http/exchange.h \
	src/http/first_bytes.c \
	src/http/first_bytes.h \
	src/http/head.c src/http/head.h \
	src/http/request_memory.c \
	src/http/identity.c \
	src/http/identity.h \
	src/http/intake.c src/http/intake.h \
	src/http/keys.c \
	src/http/keys.h \
	src/http/listen.c \
	src/http/listen.h \
	src/http/origin.c src/http/origin.h \
	src/http/reply.c \
	src/http/request.c \
	src/http/request.h \
	src/http/router.c \
	src/http/router.h \
	src/http/self_test.c \
	src/http/self_test.h \
	src/http/server.c \
	src/http/server.h \
	src/http/server_private.h \
	src/http/stream.c src/http/stream.h \
	src/http/target.c \
	src/http/target.h \
	src/http/timeouts.c \
	src/http/timeouts.h \
	src/http/tls.c \
	src/http/tls.h \
	src/http/transaction.c \
	src/http/transaction.h \
	src/http/worker.c \
	src/http/worker.h

if ENABLE_TESTS
tests_unit_unit_tests_SOURCES += \
	tests/unit/test_address.c \
	tests/unit/test_coding.c \
	tests/unit/test_connections.c \
	tests/unit/test_cors.c \
	tests/unit/test_stream.c \
	tests/unit/test_identity.c \
	tests/unit/test_intake.c \
	tests/unit/test_keys.c \
	tests/unit/test_origin.c
endif
