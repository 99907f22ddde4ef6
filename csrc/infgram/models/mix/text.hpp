// What a mixture remembers of the text before a token: words, their classes, columns, capitals. It
// reads symbols, which are token ids of bytes or characters.
//
// The readable definition is `Text` in src/infgram/models/mix/text.py. Plain values: a
// text is one thread's.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "infgram/rows/types.hpp"

namespace infgram::mix {

// A hash and one value more.
constexpr std::uint64_t combine(std::uint64_t hash, std::uint64_t value) noexcept {
    hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL;
    return hash ^ hash >> 29;
}

constexpr bool is_upper(std::uint32_t c) noexcept { return c >= 'A' && c <= 'Z'; }
constexpr bool is_digit(std::uint32_t c) noexcept { return c >= '0' && c <= '9'; }
constexpr std::uint32_t lower(std::uint32_t c) noexcept { return is_upper(c) ? c + 32 : c; }
// What words are made of. All of other scripts, too.
constexpr bool is_letter(std::uint32_t c) noexcept {
    const std::uint32_t low = lower(c);
    return (low >= 'a' && low <= 'z') || is_digit(c) || c == '\'' || c == '_' || c >= 128;
}
constexpr bool is_one_of(std::uint32_t c, std::string_view symbols) noexcept {
    return c < 128 && symbols.find(static_cast<char>(c)) != symbols.npos;
}

// What kind of symbol it is, 1 to 10.
constexpr std::uint32_t kind_of(std::uint32_t c) noexcept {
    if (c == '\n') return 1;
    if (c == ' ') return 2;
    if (c >= 'a' && c <= 'z') return is_one_of(c, "aeiou") ? 3 : 4;
    if (is_upper(c)) return 5;
    if (c >= 128) return 6;
    if (is_digit(c)) return 7;
    if (is_one_of(c, ".!?")) return 8;
    if (is_one_of(c, ",;:")) return 9;
    return 10;
}

// Which punctuation mark it is, 1 to 7.
constexpr std::uint32_t mark_of(std::uint32_t c) noexcept {
    if (is_one_of(c, "!?")) return 5;
    const auto at = std::string_view(".,:;").find(static_cast<char>(std::min(c, 127u)));
    if (at != std::string_view::npos) return static_cast<std::uint32_t>(at) + 1;
    return c == '-' ? 6 : 7;
}

// Classes of words and of single marks: those seen often have one of `n` of their own, others one
// by their last symbol.
class WordClasses {
public:
    static constexpr std::uint32_t n = 64;
    static constexpr std::uint8_t none = 255;  // before the first word

    WordClasses() = default;
    // words: hashes, rising; classes: of each, below n.
    WordClasses(std::span<const std::uint64_t> words, std::span<const std::uint8_t> classes)
        : words_(words.begin(), words.end()), classes_(classes.begin(), classes.end()) {
        if (words.size() != classes.size() || !std::ranges::is_sorted(words) ||
            std::ranges::any_of(classes, [](std::uint8_t c) { return c >= n; }))
            throw_corrupt("classes of words");
    }

    [[nodiscard]] std::span<const std::uint64_t> words() const noexcept { return words_; }
    [[nodiscard]] std::span<const std::uint8_t> classes() const noexcept { return classes_; }

    [[nodiscard]] std::uint8_t of(std::uint64_t word, std::uint32_t last_symbol) const noexcept {
        const auto at = std::ranges::lower_bound(words_, word);
        if (at != words_.end() && *at == word)
            return classes_[static_cast<std::size_t>(at - words_.begin())];
        return static_cast<std::uint8_t>(n + (lower(last_symbol) & 31));
    }

private:
    std::vector<std::uint64_t> words_;
    std::vector<std::uint8_t> classes_;
};

// The text before a token. A document's start is a new one.
struct Text {
    static constexpr std::uint64_t word_start = 1;
    static constexpr std::uint64_t mark_start = 2;

    std::array<std::uint32_t, 24> last{};    // symbols, the last one first; 0 before the beginning
    std::uint64_t word = 0;                  // of the letters since the last other symbol; 0: none
    std::uint32_t length = 0;                // of it
    std::array<std::uint64_t, 2> words{};    // before it, the last one first
    std::array<std::uint32_t, 2> lengths{};  // of those
    std::uint32_t letters = 0;               // the last two of the word
    std::uint32_t ending = 0;                // the last two of the word before
    std::uint32_t column = 0;
    std::uint64_t opening = 0;    // of the first 4 symbols of the line that no blank is before
    std::uint32_t n_opening = 0;  // of them
    std::uint32_t opener = 0;     // the first of them; 0: none
    std::uint32_t capitals = 0;   // of the word: 0 none, 1 the first letter, 2 more
    std::uint32_t capitals_before = 0;  // of the word before
    std::uint32_t mark = 0;             // the last punctuation mark; 0 after an empty line
    std::uint32_t n_words = 0;          // since it
    std::uint64_t kinds = 0;            // of the last 16 symbols, four bits each
    std::array<std::uint8_t, 3> classes{WordClasses::none, WordClasses::none, WordClasses::none};

    void read(std::uint32_t symbol, const WordClasses& known) {
        if (is_letter(symbol))
            read_letter(symbol);
        else
            read_other(symbol, known);
        read_in_line(symbol);
        kinds = kinds << 4 | kind_of(symbol);
        std::shift_right(last.begin(), last.end(), 1);
        last[0] = symbol;
    }

    // The shape of the word: its capitals, or between words those of the one before.
    [[nodiscard]] std::uint32_t shape() const noexcept {
        return length != 0 ? capitals : 3 + capitals_before;
    }
    // The word so far, in the shape that it has; between words, what stands before.
    [[nodiscard]] std::uint64_t prefix() const noexcept {
        return combine(word, (length == 0 ? last[0] : 0) * std::uint64_t{8} + shape());
    }

private:
    void read_in_line(std::uint32_t symbol) {
        if (symbol == '\n') {
            column = n_opening = opener = 0;
            opening = 0;
            return;
        }
        ++column;
        if (n_opening == 4 || (n_opening == 0 && symbol == ' ')) return;
        if (n_opening++ == 0) opener = symbol;
        opening = combine(opening, symbol);
    }

    void read_letter(std::uint32_t symbol) {
        if (length == 0) {
            word = word_start;
            letters = 0;
            capitals = is_upper(symbol) ? 1 : 0;
        } else if (length == 1 && is_upper(symbol) && capitals == 1) {
            capitals = 2;
        }
        word = combine(word, lower(symbol));
        letters = (letters << 8 | (lower(symbol) & 255)) & 0xffff;
        ++length;
    }

    void read_other(std::uint32_t symbol, const WordClasses& known) {
        if (length != 0) {
            words = {word, words[0]};
            lengths = {length, lengths[0]};
            ending = letters;
            capitals_before = capitals;
            push(known.of(word, last[0]));
            ++n_words;
            word = 0;
            length = 0;
        }
        if (symbol != ' ' && symbol != '\n') {
            mark = mark_of(symbol);
            n_words = 0;
        } else if (symbol == '\n' && last[0] == '\n') {
            mark = 0;
        }
        if (symbol != ' ') push(known.of(combine(mark_start, symbol), symbol));
    }

    void push(std::uint8_t word_class) noexcept { classes = {word_class, classes[0], classes[1]}; }
};

}  // namespace infgram::mix
