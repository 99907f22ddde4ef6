// What a mixture looks at: contexts beside the suffixes of the text, and what chooses its weights.
// Each is a small named function of the text before; one more is a line more.
//
// The readable definition is src/infgram/models/mix/sight.py. Constants and pure functions: threads
// may call them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "infgram/models/mix/text.hpp"

namespace infgram::mix {

// Lengths of the suffixes of the text that are contexts.
inline constexpr std::array<std::uint32_t, 11> orders{0, 1, 2, 3, 4, 5, 6, 8, 11, 16, 24};
inline constexpr std::size_t n_orders = orders.size();

struct NamedContext {
    const char* name;
    std::uint64_t (*key)(const Text&);
};

template <class... Values>
constexpr std::uint64_t key_of(std::uint64_t name, Values... values) noexcept {
    std::uint64_t key = combine(name, 0);
    ((key = combine(key, values)), ...);
    return key;
}

// A symbol of cased and broken lines as one of plain ones.
constexpr std::uint32_t folded(std::uint32_t c) noexcept { return c == '\n' ? ' ' : lower(c); }

// The number in a key tells the contexts apart, and stays when others come or go.
inline constexpr std::array<NamedContext, 21> named_contexts{{
    {"the word so far", [](const Text& t) { return key_of(1, t.prefix()); }},
    {"the word so far after the word before",
     [](const Text& t) { return key_of(2, t.prefix(), t.words[0]); }},
    {"the word so far and the word before the last",
     [](const Text& t) { return key_of(3, t.prefix(), t.words[1]); }},
    {"the word so far and how the word before ends",
     [](const Text& t) { return key_of(4, t.prefix(), t.ending); }},
    {"the last 5 symbols without case",
     [](const Text& t) {
         return key_of(5, folded(t.last[0]), folded(t.last[1]), folded(t.last[2]),
                       folded(t.last[3]), folded(t.last[4]));
     }},
    {"symbols 2 to 4 back",
     [](const Text& t) { return key_of(6, t.last[1], t.last[2], t.last[3]); }},
    {"symbols 1, 2, 4 and 5 back",
     [](const Text& t) { return key_of(7, t.last[0], t.last[1], t.last[3], t.last[4]); }},
    {"the column and the last symbol",
     [](const Text& t) { return key_of(8, std::min(t.column, 60u), t.last[0]); }},
    {"the kinds of the last 5 symbols",
     [](const Text& t) { return key_of(9, t.kinds & 0xfffff, std::min(t.length, 8u), t.last[0]); }},
    {"the word so far after a class of words",
     [](const Text& t) { return key_of(10, t.prefix(), t.classes[0]); }},
    {"the word so far after two classes of words",
     [](const Text& t) { return key_of(11, t.prefix(), t.classes[0], t.classes[1]); }},
    {"the word so far after three classes of words",
     [](const Text& t) {
         return key_of(12, t.prefix(), t.classes[0], t.classes[1], t.classes[2]);
     }},
    {"the word so far after the word before and a class of words",
     [](const Text& t) { return key_of(13, t.prefix(), t.words[0], t.classes[1]); }},
    {"the last 2 symbols after two classes of words",
     [](const Text& t) {
         return key_of(14, std::min(t.length, 6u), t.last[0], t.length > 1 ? t.last[1] : 0,
                       t.classes[0], t.classes[1]);
     }},
    {"the word so far, the word before the last and a class of words",
     [](const Text& t) { return key_of(15, t.prefix(), t.words[1], t.classes[0]); }},
    {"the word so far, its place in the sentence and the mark before",
     [](const Text& t) {
         return key_of(16, t.prefix(), std::min(t.n_words, 15u), t.mark,
                       std::min(t.lengths[0], 15u));
     }},
    {"the last 6 symbols without case",
     [](const Text& t) {
         return key_of(17, folded(t.last[0]), folded(t.last[1]), folded(t.last[2]),
                       folded(t.last[3]), folded(t.last[4]), folded(t.last[5]));
     }},
    {"the word so far and classes of words 1 and 3 back",
     [](const Text& t) { return key_of(18, t.prefix(), t.classes[0], t.classes[2]); }},
    {"the word so far after two words",
     [](const Text& t) { return key_of(19, t.prefix(), t.words[0], t.words[1]); }},
    {"the last 3 symbols, the place in the word and a class of words",
     [](const Text& t) {
         return key_of(20, std::min(t.length, 5u), t.shape(), t.last[0], t.last[1], t.last[2],
                       t.classes[0]);
     }},
    {"the word so far and how the line begins",
     [](const Text& t) { return key_of(21, t.prefix(), t.opening); }},
}};
inline constexpr std::size_t n_named = named_contexts.size();

// Where a question is asked.
struct Situation {
    const Text& text;
    std::uint32_t question;
    std::uint32_t longest;    // which order is the longest that the corpus has
    std::uint32_t with_data;  // which is the longest that has both or one of the sides
    std::array<std::uint32_t, 3> certainty;  // of three contexts, 0 to 6
};

// Contexts whose certainty chooses weights: two of words, one of symbols.
inline constexpr std::array<std::size_t, 3> certain_contexts{n_orders + 1, n_orders + 0, 5};

// Weights that are learnt for each value of a small function of the situation.
struct WeightSet {
    const char* name;
    std::uint32_t per_question;  // values, for each question; 0: values whatever the question
    std::uint32_t n_values;
    std::uint32_t (*value)(const Situation&);
};

inline constexpr std::array<WeightSet, 14> weight_sets{{
    {"orders", 0, n_orders * n_orders,
     [](const Situation& s) {
         return s.longest * static_cast<std::uint32_t>(n_orders) + s.with_data;
     }},
    {"question", 1, 0, [](const Situation& s) { return s.question; }},
    {"any", 0, 1, [](const Situation&) { return 0u; }},
    {"last symbol", 0, 256, [](const Situation& s) { return s.text.last[0] & 255; }},
    {"place in the word", 8, 0,
     [](const Situation& s) { return s.question * 8 + std::min(s.text.length, 7u); }},
    {"kind of the last symbol", 16, 0,
     [](const Situation& s) {
         return s.question * 16 + static_cast<std::uint32_t>(s.text.kinds & 15);
     }},
    {"kinds of the last 3 symbols", 0, 4096,
     [](const Situation& s) { return static_cast<std::uint32_t>(s.text.kinds & 0xfff); }},
    {"capitals, place, mark", 0, 6 * 64,
     [](const Situation& s) {
         return (s.text.shape() * 8 + std::min(s.text.length, 7u)) * 8 + s.text.mark;
     }},
    {"capitals", 18, 0,
     [](const Situation& s) {
         return (s.question * 6 + s.text.shape()) * 3 + std::min(s.text.length, 2u);
     }},
    {"words since the mark", 0, 16 * 64,
     [](const Situation& s) {
         return std::min(s.text.n_words, 15u) * 64 + s.text.mark * 8 +
                std::min(s.text.column / 7, 7u);
     }},
    {"certainty", 0, 7 * 7 * 7,
     [](const Situation& s) { return (s.certainty[0] * 7 + s.certainty[1]) * 7 + s.certainty[2]; }},
    {"lengths of words", 0, 4096,
     [](const Situation& s) {
         const auto& [first, second] = s.text.lengths;
         return (std::min(s.text.length, 15u) * 16 + std::min(first, 15u)) * 16 +
                std::min(second, 15u);
     }},
    {"class of the word before", 0, 256 * 16,
     [](const Situation& s) { return s.text.classes[0] * 16u + std::min(s.text.length, 15u); }},
    {"how the line begins", 0, 4096,
     [](const Situation& s) {
         return (s.text.opener & 255) * 16 + static_cast<std::uint32_t>(s.text.kinds & 15);
     }},
}};
inline constexpr std::size_t n_sets = weight_sets.size();

}  // namespace infgram::mix
