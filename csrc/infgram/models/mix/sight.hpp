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

// Which mixture: whether the text that is read counts, too; whether it looks at all there is.
struct Kind {
    bool adapts = false;
    bool is_full = false;
};

// Lengths of the suffixes of the text that are contexts.
template <Kind kind>
inline constexpr auto orders = [] {
    if constexpr (kind.is_full)
        return std::array<std::uint32_t, 16>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 20, 24};
    else
        return std::array<std::uint32_t, 11>{0, 1, 2, 3, 4, 5, 6, 8, 11, 16, 24};
}();
inline constexpr std::uint32_t most_orders = 16;
template <Kind kind>
inline constexpr std::size_t n_orders = orders<kind>.size();

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
// The lean mixture looks at the first of them.
inline constexpr auto named_contexts = std::to_array<NamedContext>({
    {"the word so far", [](const Text& t) { return key_of(1, t.prefix()); }},
    {"the word so far after the word before",
     [](const Text& t) { return key_of(2, t.prefix(), t.words[0]); }},
    {"the word so far and the word before the last",
     [](const Text& t) { return key_of(3, t.prefix(), t.words[1]); }},
    {"the word so far and how the word before ends",
     [](const Text& t) { return key_of(4, t.prefix(), t.ending & 0xffff); }},
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
    {"the word so far after three words",
     [](const Text& t) { return key_of(22, t.prefix(), t.words[0], t.words[1], t.words[2]); }},
    {"the word so far and the third word back",
     [](const Text& t) { return key_of(23, t.prefix(), t.words[2]); }},
    {"the word so far and how the word before ends, in 3 letters",
     [](const Text& t) { return key_of(24, t.prefix(), t.ending); }},
    {"the last 4 symbols without case",
     [](const Text& t) {
         return key_of(25, folded(t.last[0]), folded(t.last[1]), folded(t.last[2]),
                       folded(t.last[3]));
     }},
    {"the last 8 symbols without case",
     [](const Text& t) {
         return key_of(26, folded(t.last[0]), folded(t.last[1]), folded(t.last[2]),
                       folded(t.last[3]), folded(t.last[4]), folded(t.last[5]), folded(t.last[6]),
                       folded(t.last[7]));
     }},
    {"symbols 1, 3 and 4 back",
     [](const Text& t) { return key_of(27, t.last[0], t.last[2], t.last[3]); }},
    {"symbols 3 to 6 back",
     [](const Text& t) { return key_of(28, t.last[2], t.last[3], t.last[4], t.last[5]); }},
    {"symbols 1, 2, 3 and 5 back",
     [](const Text& t) { return key_of(29, t.last[0], t.last[1], t.last[2], t.last[4]); }},
    {"the kinds of the last 8 symbols",
     [](const Text& t) { return key_of(30, t.kinds & 0xffffffff, t.last[0]); }},
    {"the kinds of the last 12 symbols",
     [](const Text& t) { return key_of(31, t.kinds & 0xffffffffffff, t.last[0], t.last[1]); }},
    {"the word so far and the column",
     [](const Text& t) { return key_of(32, t.prefix(), std::min(t.column / 4, 15u)); }},
    {"the last 5 letters", [](const Text& t) { return key_of(33, t.spelled, t.length == 0); }},
    {"the last 4 letters",
     [](const Text& t) { return key_of(34, t.spelled & 0xffffffff, std::min(t.length, 3u)); }},
    {"the word so far and what stands before it",
     [](const Text& t) { return key_of(35, t.prefix(), t.gap); }},
    {"the word so far, what stands before it, and the word before",
     [](const Text& t) { return key_of(36, t.prefix(), t.gap, t.words[0]); }},
    {"the word so far and how the word before begins",
     [](const Text& t) { return key_of(37, t.prefix(), t.beginning); }},
    {"the word so far, how the word before begins, and the one before that",
     [](const Text& t) { return key_of(38, t.prefix(), t.beginning, t.words[1]); }},
    {"the word so far and the last heading",
     [](const Text& t) { return key_of(39, t.prefix(), t.headings[0]); }},
    {"the word so far after a class of words and the last heading",
     [](const Text& t) { return key_of(40, t.prefix(), t.headings[0], t.classes[0]); }},
    {"the word so far and the class of the word before the last",
     [](const Text& t) { return key_of(41, t.prefix(), t.classes[1]); }},
    {"the last symbol after three classes of words",
     [](const Text& t) {
         return key_of(42, std::min(t.length, 4u), t.shape(), t.last[0], t.classes[0],
                       t.classes[1], t.classes[2]);
     }},
    {"the word so far after the word before and the third back",
     [](const Text& t) { return key_of(43, t.prefix(), t.words[0], t.words[2]); }},
    {"the word so far after a class of words, and the column",
     [](const Text& t) {
         return key_of(44, t.prefix(), t.classes[0], std::min(t.column / 4, 12u));
     }},
    {"the last 3 symbols and the place in the word",
     [](const Text& t) {
         return key_of(45, std::min(t.length, 5u), t.shape(), t.last[0], t.last[1], t.last[2]);
     }},
    {"the lengths of words and the last symbol",
     [](const Text& t) {
         return key_of(46, std::min(t.length, 15u), std::min(t.lengths[0], 15u),
                       std::min(t.lengths[1], 15u), t.last[0]);
     }},
    {"the word so far after four coarse classes of words",
     [](const Text& t) {
         return key_of(47, t.prefix(), t.coarse[0], t.coarse[1], t.coarse[2], t.coarse[3]);
     }},
    {"the word so far after three coarse classes of words",
     [](const Text& t) {
         return key_of(48, t.prefix(), t.coarse[0], t.coarse[1], t.coarse[2]);
     }},
    {"the last symbol after six coarse classes of words",
     [](const Text& t) {
         return key_of(49, std::min(t.length, 6u), t.last[0], t.coarse[0], t.coarse[1],
                       t.coarse[2], t.coarse[3], t.coarse[4], t.coarse[5]);
     }},
    {"the last 2 symbols after four coarse classes of words",
     [](const Text& t) {
         return key_of(50, std::min(t.length, 6u), t.last[0], t.length > 1 ? t.last[1] : 0,
                       t.coarse[0], t.coarse[1], t.coarse[2], t.coarse[3]);
     }},
    {"the word so far and the last two headings",
     [](const Text& t) { return key_of(51, t.prefix(), t.headings[0], t.headings[1]); }},
    {"the word so far and the heading before the last",
     [](const Text& t) { return key_of(52, t.prefix(), t.headings[1]); }},
    {"the word so far and the last name",
     [](const Text& t) { return key_of(53, t.prefix(), t.name); }},
    {"the word so far and what came last after the word before",
     [](const Text& t) { return key_of(54, t.prefix(), t.followed(0)); }},
    {"the last symbol and what came last after two",
     [](const Text& t) { return key_of(55, t.last[0], t.followed(1)); }},
    {"the last 2 symbols and what came last after them",
     [](const Text& t) { return key_of(56, t.last[0], t.last[1], t.followed(1)); }},
    {"the last 2 symbols and what came last after four",
     [](const Text& t) { return key_of(57, t.last[0], t.last[1], t.followed(2)); }},
    {"the last symbol and what came last after six",
     [](const Text& t) { return key_of(58, t.last[0], t.followed(3)); }},
    {"the word so far and what came last after it",
     [](const Text& t) { return key_of(59, t.prefix(), t.followed(4)); }},
    {"what came last after two, four and six symbols",
     [](const Text& t) {
         return key_of(60, t.followed(1) & 255, t.followed(2) & 255, t.followed(3) & 255);
     }},
});
template <Kind kind>
inline constexpr std::size_t n_named = kind.is_full ? named_contexts.size() : 21;

// Contexts whose last codes in the text that is read are looked at: short and long suffixes, the
// word, and classes of words before it.
template <Kind kind>
inline constexpr auto ring_contexts = [] {
    constexpr std::size_t n = n_orders<kind>;
    if constexpr (kind.adapts)
        return std::array<std::size_t, 7>{2, 4, 6, kind.is_full ? 13 : 9, n, n + 9, n + 10};
    else
        return std::array<std::size_t, 0>{};
}();
template <Kind kind>
inline constexpr std::size_t n_rings = ring_contexts<kind>.size();

// Where a question is asked.
struct Situation {
    const Text& text;
    std::uint32_t question;
    std::uint32_t longest;    // which order is the longest that the corpus has
    std::uint32_t with_data;  // which is the longest that has both or one of the sides
    std::array<std::uint32_t, 6> certainty;  // of some contexts, 0 to 6
};

// Contexts whose certainty chooses weights: two of words and one of symbols; in the full mixture
// two of classes, and one of symbols, too.
template <Kind kind>
inline constexpr std::array<std::size_t, 6> certain_contexts{
    n_orders<kind> + 1, n_orders<kind>, 5, n_orders<kind> + 9, n_orders<kind> + 11, 3};

// Weights that are learnt for each value of a small function of the situation.
struct WeightSet {
    const char* name;
    std::uint32_t per_question;  // values, for each question; 0: values whatever the question
    std::uint32_t n_values;
    std::uint32_t (*value)(const Situation&);
};

// The lean mixture has the first of them.
inline constexpr auto weight_sets = std::to_array<WeightSet>({
    {"orders", 0, most_orders * most_orders,
     [](const Situation& s) { return s.longest * most_orders + s.with_data; }},
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
    {"the last symbol but one", 0, 256, [](const Situation& s) { return s.text.last[1] & 255; }},
    {"kinds of the last 2 symbols", 256, 0,
     [](const Situation& s) {
         return s.question * 256 + static_cast<std::uint32_t>(s.text.kinds & 255);
     }},
    {"column", 0, 1024,
     [](const Situation& s) {
         return std::min(s.text.column, 63u) * 16 + static_cast<std::uint32_t>(s.text.kinds & 15);
     }},
    {"coarse classes of two words", 0, 24 * 24 * 16,
     [](const Situation& s) {
         return (s.text.coarse[0] * 24u + s.text.coarse[1]) * 16u + std::min(s.text.length, 15u);
     }},
    {"certainty of others", 0, 7 * 7 * 7,
     [](const Situation& s) { return (s.certainty[3] * 7 + s.certainty[4]) * 7 + s.certainty[5]; }},
    {"coarse class", 24, 0, [](const Situation& s) { return s.question * 24 + s.text.coarse[0]; }},
    {"orders and certainty", 0, most_orders * 49,
     [](const Situation& s) { return (s.with_data * 7 + s.certainty[0]) * 7 + s.certainty[5]; }},
});
template <Kind kind>
inline constexpr std::size_t n_sets = kind.is_full ? weight_sets.size() : 14;

}  // namespace infgram::mix
