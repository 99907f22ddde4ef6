// The core as a browser calls it: functions of C with numbers in and out.
//
// What a question is about is put where `take` says, and then asked for. Each question returns
// whether it was answered: `answer` and `answer_size` give the numbers, and where it was not,
// `problem` and `problem_size` what was wrong, in UTF-8.
//
// WebAssembly as it is compiled here throws nothing. What a page can get wrong is checked here; if
// the core finds a fault in itself all the same, `fail` of the page is told and does not return.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "playground/laws.hpp"
#include "playground/questions.hpp"
#include "playground/text.hpp"

extern "C" __attribute__((import_module("page"), import_name("fail"), noreturn)) void fail(
    const char* what);

#define EXPORT(name) extern "C" __attribute__((export_name(#name)))

using namespace infgram;
using namespace infgram::playground;

namespace {

// Writers are listed by their laws' numbers.
struct State {
    std::vector<std::uint8_t> taken;
    std::unique_ptr<const Text> text;
    std::optional<KneserNeyLaw> kneser_ney;
    std::array<std::unique_ptr<Writer>, most_mixed + 1> writers;
    Numbers answer;
    std::string problem;
};
State state;

bool answered(Numbers numbers) {
    state.answer = std::move(numbers);
    return true;
}
bool refused(std::string problem) {
    state.problem = std::move(problem);
    return false;
}

// Whether there is what a question needs: a text, and a law of that number.
bool can_ask(int law = kneser_ney) {
    if (!state.text) return refused("there is no text yet, expected one first");
    if (law < 0 || law > most_mixed)
        return refused("the model is number " + std::to_string(law) + ", expected 0 to " +
                       std::to_string(most_mixed));
    return true;
}

template <class Ask>
auto with_law(int law, Ask&& ask) {
    return law == kneser_ney ? ask(*state.kneser_ney) : ask(SbisLaw{law});
}

}  // namespace

EXPORT(take) std::uint8_t* take(std::size_t n_bytes) {
    state.taken.resize(n_bytes);
    return state.taken.data();
}
EXPORT(answer) const double* answer() { return state.answer.data(); }
EXPORT(answer_size) std::size_t answer_size() { return state.answer.size(); }
EXPORT(problem) const char* problem() { return state.problem.data(); }
EXPORT(problem_size) std::size_t problem_size() { return state.problem.size(); }

// Takes a text instead of the one before.
EXPORT(index_text) bool index_text() {
    const std::size_t n = state.taken.size();
    if (n == 0) return refused("The text is empty: paste one, or open a file.");
    if (n > max_bytes)
        return refused("The text has " + std::to_string(n) + " bytes, expected at most " +
                       std::to_string(max_bytes) + ": take a part of it.");
    if (const auto n_different = Text::occurring(state.taken).size(); n_different > max_different)
        return refused("The text has " + std::to_string(n_different) +
                       " different bytes, expected at most " + std::to_string(max_different) +
                       ": is it text?");
    state.writers = {};
    state.kneser_ney.reset();
    state.text.reset();
    state.text = std::make_unique<const Text>(state.taken);
    state.taken = {};
    state.kneser_ney.emplace(*state.text);
    return answered({});
}

// levels_of what was taken.
EXPORT(levels) bool levels() { return can_ask() && answered(levels_of(*state.text, state.taken)); }

// spans_of what was taken.
EXPORT(spans) bool spans(std::uint32_t least) {
    return can_ask() && answered(spans_of(*state.text, state.taken, least));
}

// places_of what was taken.
EXPORT(places) bool places() { return can_ask() && answered(places_of(*state.text, state.taken)); }

// Begins to write behind what was taken. seed: a whole number below 2^53.
EXPORT(begin) bool begin(int law, double temperature, double seed) {
    if (!can_ask(law)) return false;
    if (!(temperature >= 0.0 && temperature <= 100.0))
        return refused("The temperature is outside of 0 to 100.");
    if (!(seed >= 0.0 && seed < 0x1p53))
        return refused("The seed is no whole number from 0 to 9007199254740991.");
    state.writers[static_cast<std::size_t>(law)] =
        with_law(law, [&](const auto& of) -> std::unique_ptr<Writer> {
            return std::make_unique<WriterOf<std::decay_t<decltype(of)>>>(
                *state.text, of, state.taken, temperature, static_cast<std::uint64_t>(seed));
        });
    return answered({});
}

// The next bytes of what was begun; fewer at the end of a text.
EXPORT(more) bool more(int law, std::size_t n_bytes) {
    if (!can_ask(law)) return false;
    const auto& writer = state.writers[static_cast<std::size_t>(law)];
    if (!writer) return refused("this model has not begun to write");
    return answered(writer->write(n_bytes));
}

// trace_of what was taken.
EXPORT(trace) bool trace(int law) {
    if (!can_ask(law)) return false;
    if (state.taken.empty()) return refused("there is no character, expected one to trace");
    return answered(
        with_law(law, [&](const auto& of) { return trace_of(of, *state.text, state.taken); }));
}

// What the standard library says before it ends a program; its own way to print it is as large as
// all of its rest.
_LIBCPP_BEGIN_NAMESPACE_STD
void __libcpp_verbose_abort(const char* message, ...) noexcept { fail(message); }
_LIBCPP_END_NAMESPACE_STD

// What is thrown all the same. All of the core's errors, and of the standard library's, are
// std::exception at their beginning.
extern "C" {
void* __cxa_allocate_exception(std::size_t n_bytes) noexcept { return std::malloc(n_bytes); }
void __cxa_throw(void* thrown, void*, void (*)(void*)) {
    fail(static_cast<const std::exception*>(thrown)->what());
}
}
