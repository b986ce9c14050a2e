// caught END OPTION...: waits for a line, catches exceptions, which are over then, and ends as END says. Options:
// thread: another thread does so; holds: the last exception is held for later; handler: for std::terminate is one.
#include <cassert>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>

static void fail(const std::string &text) { throw std::runtime_error(text); }

static void fails_in_noexcept() noexcept { fail("in noexcept"); }

struct Fails {
    ~Fails() { fail("in a destructor"); }
};

// Pointers to exceptions that are over stay on the stack. Returns the last one.
static std::exception_ptr catches() {
    std::exception_ptr held;
    for (int i = 0; i < 3; i++) {
        try {
            fail("harmless " + std::to_string(i));
        } catch (std::exception &e) {
            fprintf(stderr, "caught %s\n", e.what());
            held = std::current_exception();
        }
    }
    return held;
}

static void rethrow() {
    try {
        fail("thrown again");
    } catch (std::exception &) {
        throw;
    }
}

static void nested() {
    try {
        fail("outer");
    } catch (std::exception &) {
        fail("nested");
    }
}

static void end(const char *how, std::exception_ptr held) {
    auto is = [how](const char *name) { return !strcmp(how, name); };
    if (is("abort")) abort();
    if (is("kill")) kill(getpid(), SIGABRT);
    if (is("assert")) assert(is("nothing"));
    if (is("terminate")) std::terminate();
    if (is("throw")) fail("nobody catches me");
    if (is("noexcept")) fails_in_noexcept();
    if (is("destructor")) Fails();
    if (is("rethrow")) rethrow();
    if (is("nested")) nested();
    if (is("later")) std::rethrow_exception(held);
}

static void catch_and_end(const char *how, bool holds) {
    auto held = catches();
    if (!holds) held = nullptr;
    end(how, held);
}

static bool has(char **words, const char *wanted) {
    for (; *words; words++)
        if (!strcmp(*words, wanted)) return true;
    return false;
}

int main(int count, char **arguments) {
    if (count < 2) return 9;
    puts("ready");
    fflush(stdout);
    if (getchar() < 0) return 8;
    char **options = arguments + 2;
    bool holds = has(options, "holds");
    if (has(options, "handler")) std::set_terminate(abort);
    if (has(options, "thread")) std::thread(catch_and_end, arguments[1], holds).join();
    catch_and_end(arguments[1], holds);
    return 3;
}
