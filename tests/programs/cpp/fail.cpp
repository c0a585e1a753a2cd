// Fails in the way that the first argument names, and says nothing of it but what the C++ runtime or the sanitizer prints. With TRUTH=1 in
// the environment it prints the calls that it knows of itself, as JSON: each notes its own place before it is made.
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <csignal>
#include <execinfo.h>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

struct Call {
    int line;
    std::string name;
};
static std::vector<Call> calls;
static const char *error_type = "";
static std::string error_message;

// Makes a call and knows of it meanwhile. Every function here returns an int, which is no part of a name.
#define CALL(call) (calls.push_back({__LINE__, name(__PRETTY_FUNCTION__)}), noted(call))
static std::string name(const std::string &pretty) { return pretty == "int main(int, char**)" ? "main" : pretty.substr(4); }
static int noted(int value) {
    calls.pop_back();
    return value;
}

static std::string text(const std::string &text) {
    if (text.empty()) return "null";
    std::string json = "\"";
    for (char c : text) json += c == '\n' ? "\\n" : c == '"' ? "\\\"" : std::string(1, c);
    return json + "\"";
}

static void truth() {
    if (!getenv("TRUTH")) return;
    std::string list;
    for (const Call &call : calls) {
        if (!list.empty()) list += ",";
        list += "[\"fail.cpp\"," + std::to_string(call.line) + "," + text(call.name) + ",null]";
    }
    printf("{\"errorType\":%s,\"errorMessage\":%s,\"stackTrace\":[%s]}\n", text(error_type).c_str(), error_message.empty() ? "\"\"" : text(error_message).c_str(), list.c_str());
    exit(0);
}

namespace shop {
struct Orders {
    int *first = nullptr;
    __attribute__((noinline)) int find(int index) {
        calls.push_back({__LINE__ + 2, name(__PRETTY_FUNCTION__)});
        truth();
        return first[index];
    }
};

static Orders orders;
__attribute__((noinline)) int total(int index) { return CALL(orders.find(index)) + 1; }
}

struct OrderError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What a handler of crashes with nothing but the C library prints.
static void crashed(int signal) {
    void *stack[64];
    backtrace_symbols_fd(stack, backtrace(stack, 64), STDERR_FILENO);
    _exit(128 + signal);
}

static int thrown() {
    error_type = "OrderError";
    error_message = "first line\nno order A-1";
    truth();
    throw OrderError(error_message);
}

int main(int, char **arguments) {
    std::string wanted = arguments[1];
    if (wanted == "null") {
        error_type = "AddressSanitizer";
        error_message = "SEGV on unknown address 0x000000000000";
        return CALL(shop::total(0));
    }
    if (wanted == "symbols") {
        void *warm[1];
        backtrace(warm, 1);
        signal(SIGSEGV, crashed);
        return CALL(shop::total(0));
    }
    if (wanted == "thrown") return thrown();
    if (wanted == "assert") {
        error_type = "Assertion";
        error_message = "shop::orders.first && \"an order\"";
        calls.push_back({__LINE__ + 2, __PRETTY_FUNCTION__});
        truth();
        assert(shop::orders.first && "an order");
    }
    if (wanted == "free") {
        error_type = "SIGABRT";
        error_message = "free(): invalid pointer";
        truth();
        free(reinterpret_cast<char *>(malloc(64)) + 8);
    }
    return 0;
}
