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
    static constexpr std::uint32_t n_coarse = 16;
    static constexpr std::uint8_t none = 255;  // before the first word

    explicit WordClasses(bool is_full = false) : is_full_(is_full) {}
    // words: hashes, rising; classes: of each, below n.
    WordClasses(std::span<const std::uint64_t> words, std::span<const std::uint8_t> classes,
                std::span<const std::uint8_t> coarse, bool is_full)
        : is_full_(is_full),
          words_(words.begin(), words.end()),
          classes_(classes.begin(), classes.end()),
          coarse_(coarse.begin(), coarse.end()) {
        if (words.size() != classes.size() || coarse.size() != (is_full ? words.size() : 0) ||
            std::ranges::any_of(coarse, [](std::uint8_t c) { return c >= n_coarse; }) ||
            !std::ranges::is_sorted(words) ||
            std::ranges::any_of(classes, [](std::uint8_t c) { return c >= n; }))
            throw_corrupt("classes of words");
    }

    [[nodiscard]] std::span<const std::uint64_t> words() const noexcept { return words_; }
    [[nodiscard]] std::span<const std::uint8_t> classes() const noexcept { return classes_; }
    // Whether words have coarse classes, too, and texts are remembered: in the full mixture.
    [[nodiscard]] bool is_full() const noexcept { return is_full_; }
    [[nodiscard]] std::span<const std::uint8_t> coarse() const noexcept { return coarse_; }

    struct Of {
        std::uint8_t fine;
        std::uint8_t coarse;
    };
    [[nodiscard]] Of of(std::uint64_t word, std::uint32_t last_symbol) const noexcept {
        const auto at = std::ranges::lower_bound(words_, word);
        if (at != words_.end() && *at == word) {
            const auto i = static_cast<std::size_t>(at - words_.begin());
            return {classes_[i], is_full_ ? coarse_[i] : std::uint8_t{0}};
        }
        const std::uint32_t last = lower(last_symbol);
        return {static_cast<std::uint8_t>(n + (last & 31)),
                static_cast<std::uint8_t>(n_coarse + (last & 7))};
    }

private:
    bool is_full_;
    std::vector<std::uint64_t> words_;
    std::vector<std::uint8_t> classes_;
    std::vector<std::uint8_t> coarse_;
};

// What came last after something, a word's hash or symbols, and when.
struct Followed {
    std::uint32_t check = 0;
    std::uint32_t value = 0;
    std::uint32_t at = 0;
};

// The text before a token. A document's start is a new one.
struct Text {
    static constexpr std::uint64_t word_start = 1;
    static constexpr std::uint64_t mark_start = 2;

    std::array<std::uint32_t, 24> last{};     // symbols, the last one first; 0 before the beginning
    std::uint64_t word = 0;                   // of the letters since the last other symbol; 0: none
    std::uint32_t length = 0;                 // of it
    std::array<std::uint64_t, 3> words{};     // before it, the last one first
    std::array<std::uint32_t, 2> lengths{};   // of those
    std::uint32_t letters = 0;                // the last three of the word
    std::uint32_t ending = 0;                 // of the word before
    std::uint64_t first_letters = 0;          // a hash of the first four of the word
    std::uint64_t beginning = 0;              // of the word before
    std::uint64_t spelled = 0;                // the last five letters, whatever is between them
    std::uint64_t gap = 0;                    // a hash of what stands between the last two words
    std::uint64_t line = 0;                   // of the line
    std::array<std::uint64_t, 2> headings{};  // of the last lines that a colon ended
    std::uint64_t name = 0;                   // the last word with a capital inside a sentence
    std::uint32_t n_read = 0;                 // symbols, modulo 2^32
    std::vector<Followed> memory;             // what came last, by a hash of what it came after
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
    std::array<std::uint8_t, 6> coarse{};  // classes of few kinds, of the last six

    void read(std::uint32_t symbol, const WordClasses& known) {
        if (known.is_full())
            for (std::uint32_t of = 1; of < n_remembered; ++of) remember(of, cue(of), symbol);
        if (is_letter(symbol))
            read_letter(symbol);
        else
            read_other(symbol, known);
        read_in_line(symbol);
        kinds = kinds << 4 | kind_of(symbol);
        std::shift_right(last.begin(), last.end(), 1);
        last[0] = symbol;
        ++n_read;
    }

    // Reads a code of an index; the boundary begins a new text. symbols: by code.
    void read_code(std::uint32_t code, std::span<const std::uint32_t> symbols,
                   const WordClasses& known) {
        if (code == boundary)
            *this = {};
        else
            read(symbols[code], known);
    }

    // What came last, within the last 256 symbols, after the word before (low bits of the next
    // word's hash); after the last 2 symbols, the last 4, the last 6, the word so far (the last two
    // symbols that did, the latest in the low byte). 0: nothing.
    [[nodiscard]] std::uint32_t followed(std::uint32_t of) const noexcept {
        if (memory.empty()) return 0;
        const std::uint64_t after = combine(of == 0 ? words[0] : cue(of), of);
        const Followed& found = memory[place_of(of, after)];
        return knows(found, after) ? found.value : 0;
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
    static constexpr std::uint32_t n_remembered = 5;
    static constexpr std::uint32_t longest_memory = 256;
    static constexpr std::size_t room = 1u << 10;  // for each of them

    [[nodiscard]] std::uint64_t cue(std::uint32_t of) const noexcept {
        if (of == 4) return prefix();
        std::uint64_t hash = 0;
        for (std::uint32_t i = 0; i < 2 * of; ++i) hash = combine(hash, last[i]);
        return hash;
    }
    static std::size_t place_of(std::uint32_t of, std::uint64_t after) noexcept {
        return of * room + static_cast<std::size_t>(after >> 20) % room;
    }
    static std::uint32_t check_of(std::uint64_t after) noexcept {
        return static_cast<std::uint32_t>(after >> 33);
    }
    [[nodiscard]] bool knows(const Followed& what, std::uint64_t after) const noexcept {
        return what.check == check_of(after) && n_read - what.at <= longest_memory;
    }
    void remember(std::uint32_t of, std::uint64_t cue, std::uint32_t what) {
        if (memory.empty()) memory.resize(n_remembered * room);
        const std::uint64_t after = combine(cue, of);
        Followed& to = memory[place_of(of, after)];
        const std::uint32_t before = knows(to, after) ? to.value & 255 : 0;
        to = {check_of(after), of == 0 ? what : before << 8 | (what & 255), n_read};
    }

    void read_in_line(std::uint32_t symbol) {
        if (symbol == '\n') {
            if (last[0] == ':') headings = {line, headings[0]};
            line = 0;
            column = n_opening = opener = 0;
            opening = 0;
            return;
        }
        line = combine(line, symbol);
        ++column;
        if (n_opening == 4 || (n_opening == 0 && symbol == ' ')) return;
        if (n_opening++ == 0) opener = symbol;
        opening = combine(opening, symbol);
    }

    void read_letter(std::uint32_t symbol) {
        if (length == 0) {
            word = word_start;
            letters = 0;
            first_letters = 0;
            capitals = is_upper(symbol) ? 1 : 0;
        } else if (length == 1 && is_upper(symbol) && capitals == 1) {
            capitals = 2;
        }
        word = combine(word, lower(symbol));
        letters = (letters << 8 | (lower(symbol) & 255)) & 0xffffff;
        if (length < 4) first_letters = combine(first_letters, lower(symbol));
        spelled = (spelled << 8 | (lower(symbol) & 255)) & 0xffffffffff;
        ++length;
    }

    void read_other(std::uint32_t symbol, const WordClasses& known) {
        if (length != 0) {
            if (capitals != 0 && n_words != 0 && length > 2) name = word;
            if (known.is_full()) remember(0, words[0], static_cast<std::uint32_t>(word));
            words = {word, words[0], words[1]};
            lengths = {length, lengths[0]};
            ending = letters;
            beginning = first_letters;
            gap = 0;
            capitals_before = capitals;
            push(known, word, last[0]);
            ++n_words;
            word = 0;
            length = 0;
        }
        gap = combine(gap, symbol);
        if (symbol != ' ' && symbol != '\n') {
            mark = mark_of(symbol);
            n_words = 0;
        } else if (symbol == '\n' && last[0] == '\n') {
            mark = 0;
        }
        if (symbol != ' ') push(known, combine(mark_start, symbol), symbol);
    }

    void push(const WordClasses& known, std::uint64_t hash, std::uint32_t last_symbol) noexcept {
        const WordClasses::Of of = known.of(hash, last_symbol);
        classes = {of.fine, classes[0], classes[1]};
        std::shift_right(coarse.begin(), coarse.end(), 1);
        coarse[0] = of.coarse;
    }
};

}  // namespace infgram::mix
