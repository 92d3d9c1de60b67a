#include "daemon/options.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/log.h"

static struct daemon_options options;
static struct cn_error error;

static void begin(void) {
    options_init(&options);
    error = (struct cn_error){0};
}
TestSuite(options, .init = begin);

static enum cn_status set(const char *name, const char *value) {
    error = (struct cn_error){0};
    return option_set(&options, option_find(name), value, "here", 7, &error);
}

/* Reads `text` as a configuration file. */
static enum cn_status read_text(const char *text) {
    char path[] = "/tmp/convnetd-options-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    error = (struct cn_error){0};
    enum cn_status status = options_read_file(&options, path, &error);
    if (status != CN_OK)
        cr_assert_str_eq(error.source, path);
    unlink(path);
    return status;
}

Test(options, table) {
    cr_assert_leq(option_row_count, OPTION_MAX_ROWS);
    for (size_t i = 0; i < option_row_count; i++) {
        const struct option_row *row = &option_rows[i];
        char value[OPTION_VALUE_SIZE];
        cr_assert_eq(option_find(row->name), row, "%s occurs twice", row->name);
        cr_assert_eq(row->kind == OPTION_CHOICE, row->choices != NULL);
        cr_assert_leq(row->minimum, row->maximum);
        cr_assert_eq(strspn(row->name, "abcdefghijklmnopqrstuvwxyz-"), strlen(row->name));
        cr_assert_eq(row->help[strlen(row->help) - 1], '.');
        cr_assert_eq(set(row->name, row->initial), CN_OK, "%s", row->name);
        option_format(&options, row, value);
        cr_assert_str_eq(value, row->initial, "%s", row->name);
    }
    cr_assert_null(option_find("nonsense"));
    cr_assert_eq(options_check(&options, &error), CN_OK);
}

Test(options, defaults) {
    cr_assert_str_eq(options.address, "127.0.0.1");
    cr_assert_eq(options.port, 8080);
    cr_assert_eq(options.max_body, 16 * 1024 * 1024);
    cr_assert_eq(options.insecure, false);
    cr_assert_eq(options.log_level, LOG_LEVEL_INFO);
    cr_assert_str_not_empty(options.model);
}

Test(options, texts_come_back_from_a_file) {
    static const char *const bad[] = {";x", "a ;b", " a", "a ", "a\nb", "a\tb", "\177"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(set("model", bad[i]), CN_INVALID, "'%s'", bad[i]);
    cr_assert_eq(set("model", "a;b # c"), CN_OK);
    cr_assert_eq(read_text("model =;a\n"), CN_INVALID);
    cr_assert_eq(read_text("model = a;b # c ; a comment\n"), CN_OK);
    cr_assert_str_eq(options.model, "a;b # c");
}

Test(options, integers_and_sizes) {
    cr_assert_eq(set("port", "0"), CN_OK);
    cr_assert_eq(set("port", "65535"), CN_OK);
    cr_assert_eq(options.port, 65535);
    static const char *const bad[] = {"65536", "-1", "+1",  "",   " 1",
                                      "1 ",    "1x", "0x1", "1K", "99999999999999999999"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(set("port", bad[i]), CN_INVALID, "'%s'", bad[i]);
    cr_assert_eq(options.port, 65535, "untouched on failure");
    cr_assert_eq(set("max-body", "2048"), CN_OK);
    cr_assert_eq(set("max-body", "2K"), CN_OK);
    cr_assert_eq(options.max_body, 2048);
    cr_assert_eq(set("max-body", "1G"), CN_OK);
    cr_assert_eq(options.max_body, 1 << 30);
    static const char *const sizes[] = {
        "2G", "1023", "1KB", "1k", "K", "1.5M", "9007199254740993G"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        cr_assert_eq(set("max-body", sizes[i]), CN_INVALID, "'%s'", sizes[i]);
}

Test(options, numbers_choices_switches_texts) {
    cr_assert_eq(set("idle-timeout", "0.25"), CN_OK);
    cr_assert_eq(options.idle_timeout, 0.25);
    static const char *const bad[] = {"0.01", "1e3", "nan", "inf", "-1", "1.2.3", ".", "", "1 s"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(set("idle-timeout", bad[i]), CN_INVALID, "'%s'", bad[i]);
    cr_assert_eq(set("log-level", "debug"), CN_OK);
    cr_assert_eq(options.log_level, LOG_LEVEL_DEBUG);
    cr_assert_eq(set("log-level", "loud"), CN_INVALID);
    cr_assert_eq(set("insecure", "yes"), CN_OK);
    cr_assert(options.insecure);
    cr_assert_eq(set("insecure", "true"), CN_INVALID);
    cr_assert_eq(set("model", "x"), CN_OK);
    cr_assert_str_eq(options.model, "x");
    cr_assert_eq(set("model", ""), CN_INVALID);
    char text[OPTION_TEXT_SIZE + 1];
    memset(text, 'a', sizeof text);
    text[OPTION_TEXT_SIZE] = '\0';
    cr_assert_eq(set("model", text), CN_INVALID);
    text[OPTION_TEXT_SIZE - 1] = '\0';
    cr_assert_eq(set("model", text), CN_OK);
}

Test(options, an_error_names_place_value_and_rule) {
    cr_assert_eq(set("port", "http"), CN_INVALID);
    cr_assert_str_eq(error.source, "here");
    cr_assert_eq(error.offset, 7);
    cr_assert_str_eq(error.text, "port 'http' must be a whole number from 0 to 65535 (port)");
}

Test(options, file) {
    cr_assert_eq(read_text("# a\n; b\n\n  port = 1 ; c\n\tmax-images=2\r\nlog-level = debug"),
                 CN_OK);
    cr_assert_eq(options.port, 1);
    cr_assert_eq(options.max_images, 2);
    cr_assert_eq(options.log_level, LOG_LEVEL_DEBUG);
    cr_assert_eq(read_text(""), CN_OK);
}

Test(options, bad_files) {
    static const struct {
        const char *text;
        long long line;
        const char *words;
    } cases[] = {
        {"port = 2\nprot = 1\n", 2, "'prot'"},
        {"port = 2\n\nport = 3\n", 3, "line 1"},
        {"port = 2\n[a]\nport = 3\n", 2, "[a]"},
        {"port = 2\n[a\n", 2, "section [a"},
        {"port\n", 1, "key = value"},
        {"port =\n", 1, "port ''"},
        {"= 3\n", 1, "''"},
        {"port = 2\nthreads = many\nport = no\n", 2, "'many'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(read_text(cases[i].text), CN_INVALID, "%s", cases[i].text);
        cr_assert_eq(error.offset, cases[i].line, "%s: line %lld", cases[i].text, error.offset);
        cr_assert_not_null(strstr(error.text, cases[i].words), "%s: %s", cases[i].text, error.text);
        cr_assert_eq(options.port, 8080, "untouched on failure: %s", cases[i].text);
    }
    cr_assert_eq(options_read_file(&options, "/nonexistent/file", NULL), CN_IO);
    cr_assert_eq(options_read_file(&options, "/", NULL), CN_IO, "a folder");
}

/* As long as a text may be, and one byte longer. */
Test(options, long_lines) {
    char line[2 * OPTION_TEXT_SIZE], value[OPTION_VALUE_SIZE];
    memset(value, 'a', sizeof value);
    value[OPTION_TEXT_SIZE - 1] = '\0';
    (void)snprintf(line, sizeof line, "tls-certificate = %s\n", value);
    cr_assert_eq(read_text(line), CN_OK, "%s", error.text);
    cr_assert_str_eq(options.tls_certificate, value);
    (void)snprintf(line, sizeof line, "tls-certificate = %sa\n", value);
    cr_assert_eq(read_text(line), CN_INVALID);
    (void)snprintf(line, sizeof line, "# %s%300s\nport = 1", value, "");
    cr_assert_eq(read_text(line), CN_INVALID);
    cr_assert_not_null(strstr(error.text, "too long"), "%s", error.text);
}

Test(options, environment) {
    setenv("CONVNETD_MAX_CONNECTIONS_PER_ADDRESS", "5", 1);
    cr_assert_eq(options_read_environment(&options, &error), CN_OK);
    cr_assert_eq(options.max_connections_per_address, 5);
    setenv("CONVNETD_PORT", "tcp://10.0.0.1:80", 1);
    cr_assert_eq(options_read_environment(&options, &error), CN_INVALID);
    cr_assert_str_eq(error.source, "CONVNETD_PORT");
}

Test(options, precedence) {
    char *argv[] = {(char[]){"convnetd"}, (char[]){"--port=3"}, (char[]){"--insecure"},
                    (char[]){"--print-config"}, NULL};
    enum daemon_action action = ACTION_SERVE;
    setenv("CONVNETD_PORT", "2", 1);
    setenv("CONVNETD_THREADS", "2", 1);
    cr_assert_eq(options_read(4, argv, &options, &action, &error), CN_OK);
    cr_assert_eq(options.port, 3);
    cr_assert_eq(options.threads, 2);
    cr_assert(options.insecure);
    cr_assert_eq(action, ACTION_PRINT_CONFIG);
}

Test(options, rules_between_options) {
    static const char *const local[] = {"127.0.0.1", "127.3.2.1",         "::1", "127.0.0.1, ::1",
                                        "localhost", "127.0.0.1 , [::1]", ""};
    static const char *const wide[] = {"0.0.0.0", "::",   "192.0.2.1",       "127.0.0.1,192.0.2.1",
                                       "1",       "[::]", "::ffff:127.0.0.1"};
    for (size_t i = 0; i < sizeof local / sizeof *local; i++) {
        set("address", local[i]);
        cr_assert_eq(options_check(&options, &error), CN_OK, "%s", local[i]);
    }
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        set("address", wide[i]);
        cr_assert_eq(options_check(&options, NULL), CN_INVALID, "%s", wide[i]);
    }
    set("insecure", "yes");
    cr_assert_eq(options_check(&options, &error), CN_OK);
    static const char *const none[] = {"example", "127.0.0.1,", "[127.0.0.1]", "::1 ::1",
                                       "127.0.0.1.1"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        set("address", none[i]);
        cr_assert_eq(options_check(&options, NULL), CN_INVALID, "%s", none[i]);
    }
    set("address", "0.0.0.0");
    set("queue-images", "1");
    cr_assert_eq(options_check(&options, &error), CN_INVALID);
}

Test(options, an_error_names_the_option_that_was_set) {
    set("tls-certificate", "c");
    set("tls-key", "k");
    set("tls-address", "192.0.2.1");
    cr_assert_eq(options_check(&options, &error), CN_INVALID);
    cr_assert(strncmp(error.text, "tls-address 192.0.2.1 is reachable", 34) == 0, "%s", error.text);
    error = (struct cn_error){0};
    set("tls-address", "example");
    cr_assert_eq(options_check(&options, &error), CN_INVALID);
    cr_assert(strncmp(error.text, "tls-address 'example' must be", 29) == 0, "%s", error.text);
    error = (struct cn_error){0};
    set("tls-address", "0.0.0.0");
    set("insecure", "yes");
    set("tls-port", "8080");
    cr_assert_eq(options_check(&options, &error), CN_INVALID);
    cr_assert_not_null(strstr(error.text, "tls-port 8080 must differ"), "%s", error.text);
    set("port", "0");
    set("tls-port", "0");
    cr_assert_eq(options_check(&options, &error), CN_OK);
}

/* etc/convnetd.conf is the output of --print-config. */
Test(options, the_shipped_file_has_every_option_at_its_default) {
    FILE *shipped = fopen(TEST_DATA_DIR "/../../etc/convnetd.conf", "r");
    FILE *printed = tmpfile();
    char want[512], have[512];
    cr_assert(shipped != NULL && printed != NULL);
    options_print(&options, printed);
    rewind(printed);
    while (fgets(want, sizeof want, printed) != NULL) {
        cr_assert_not_null(fgets(have, sizeof have, shipped), "ends before: %s", want);
        cr_assert_str_eq(have, want);
    }
    cr_assert_null(fgets(have, sizeof have, shipped), "goes on with: %s", have);
    (void)fclose(shipped);
    (void)fclose(printed);
    cr_assert_eq(options_read_file(&options, TEST_DATA_DIR "/../../etc/convnetd.conf", &error),
                 CN_OK, "%s", error.text);
}

Test(options, log_lines_are_escaped) {
    char to[64];
    log_escape("a\"b\\c\nd\xff", to, sizeof to);
    cr_assert_str_eq(to, "a\\\"b\\\\c\\x0ad\\xff");
    log_escape("\n\n\n\n", to, 12);
    cr_assert_str_eq(to, "\\x0a\\x0a");
}
