// Waits for a line on stdin, then throws what its argument says.
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>

struct NotFound : std::out_of_range {
    int number = 404;
    using out_of_range::out_of_range;
};
struct Tag { virtual ~Tag() = default; long tag = 1; };
struct Both : Tag, NotFound { Both() : NotFound("both") {} };
struct Shared : virtual std::runtime_error { Shared() : runtime_error("shared") {} };
struct Left : virtual Shared { Left() : runtime_error("left") {} };
struct Right : virtual Shared { Right() : runtime_error("right") {} };
struct Diamond : Left, Right { Diamond() : runtime_error("diamond") {} };
struct Plain { int value = 7; };
struct Silent : std::exception {};
namespace { struct Hidden : std::logic_error { Hidden() : logic_error("hidden") {} }; }

static void fail(const char *how) {
    auto is = [how](const char *name) { return !strcmp(how, name); };
    if (is("int")) throw -42;
    if (is("text")) throw "a text";
    if (is("string")) throw std::string("a string");
    if (is("runtime")) throw std::runtime_error("msg");
    if (is("derived")) throw NotFound("no such key");
    if (is("both")) throw Both();
    if (is("diamond")) throw Diamond();
    if (is("pointer")) std::rethrow_exception(std::make_exception_ptr(NotFound("passed on")));
    if (is("plain")) throw Plain();
    if (is("silent")) throw Silent();
    if (is("hidden")) throw Hidden();
    if (is("alloc")) throw std::bad_alloc();
    if (is("system")) throw std::system_error(ENOENT, std::generic_category(), "open");
    if (is("file")) throw std::filesystem::filesystem_error("file", std::error_code());
}

int main(int, char **arguments) {
    puts("ready");
    fflush(stdout);
    getchar();
    try {
        try {
            fail(arguments[1]);
        } catch (...) {
            throw;
        }
    } catch (...) {
    }
}
