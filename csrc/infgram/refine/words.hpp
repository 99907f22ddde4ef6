// Words: maximal runs of characters that words are made of, a letter among them.
//
// Immutable: threads may share it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "infgram/rows/types.hpp"

namespace infgram::refine {

// Tokens [begin, end) of a text.
struct Span {
    std::size_t begin = 0;
    std::size_t end = 0;

    [[nodiscard]] constexpr std::size_t size() const noexcept { return end - begin; }
};

// Which characters words are made of, and which codes make up a character together.
class Letters {
public:
    // n_of_character: for each code, the boundary among them, how many tokens the character has
    // that begins with it; 0 where none does. letters, apostrophes: characters of words, each its
    // codes in one number, the first one highest, 16 bits for each that follows. A word has a
    // letter at least; the end of a document is none.
    Letters(std::span<const std::uint8_t> n_of_character, std::span<const std::uint64_t> letters,
            std::span<const std::uint64_t> apostrophes)
        : n_of_character_(n_of_character.begin(), n_of_character.end()),
          kinds_(n_of_character.size(), none) {
        if (n_of_character_.empty() || n_of_character_[boundary] > most_tokens)
            throw InvalidParameter("characters are told of an empty alphabet");
        add(letters, letter);
        add(apostrophes, apostrophe);
        std::ranges::sort(long_);
        if (kinds_[boundary] != none) throw InvalidParameter("the end of a document is no letter");
    }

    [[nodiscard]] std::size_t n_codes() const noexcept { return kinds_.size(); }

    // Tokens of the character of a word that begins at a place; 0 if none does. O(1).
    template <class Token>
    [[nodiscard]] std::size_t size_at(std::span<const Token> codes, std::size_t at) const {
        return look(codes, at).second;
    }
    // The same for one that ends right before a place.
    template <class Token>
    [[nodiscard]] std::size_t size_before(std::span<const Token> codes, std::size_t at) const {
        for (std::size_t n = 1; n <= std::min(at, most_tokens); ++n) {
            const auto code = static_cast<std::uint32_t>(codes[at - n]);
            if (code >= n_codes()) return 0;
            if (n_of_character_[code] != 0) return size_at(codes, at - n) == n ? n : 0;
        }
        return 0;
    }
    // Whether a token is a character of its own, and not one of words.
    [[nodiscard]] bool is_mark(std::uint32_t code) const noexcept {
        return code < n_codes() && code != boundary && n_of_character_[code] == 1 &&
               kinds_[code] == none;
    }

    // Whether no character is cut.
    [[nodiscard]] bool are_whole(std::span<const std::uint32_t> codes) const noexcept {
        std::uint32_t missing = 0;
        for (const std::uint32_t code : codes) {
            const std::uint32_t n = n_of_character_[code];
            if ((n == 0) != (missing > 0)) return false;
            missing = n == 0 ? missing - 1 : n - 1;
        }
        return missing == 0;
    }

    // Calls visit(span) for every word, from left to right.
    template <class Token, class Visit>
    void for_each_word(std::span<const Token> codes, Visit&& visit) const {
        for (std::size_t begin = 0; begin < codes.size();) {
            bool has_letter = false;
            std::size_t end = begin;
            while (end < codes.size()) {
                const auto [kind, size] = look(codes, end);
                if (size == 0) break;
                has_letter |= kind == letter;
                end += size;
            }
            if (has_letter) visit(Span{begin, end});
            begin = std::max(end, begin + 1);
        }
    }

private:
    enum Kind : std::uint8_t { none = 0, letter = 1, apostrophe = 2 };
    static constexpr std::size_t most_tokens = 4;
    static constexpr int bits = 16;

    void add(std::span<const std::uint64_t> characters, Kind kind) {
        for (const std::uint64_t character : characters)
            if (character < n_codes() && n_of_character_[character] == 1)
                kinds_[character] = kind;
            else
                long_.emplace_back(character, kind);
    }

    // What the character is that begins at a place, and how many tokens it has, if it is of words.
    template <class Token>
    [[nodiscard]] std::pair<Kind, std::size_t> look(std::span<const Token> codes,
                                                    std::size_t at) const {
        if (at >= codes.size()) return {none, 0};
        const auto code = static_cast<std::uint32_t>(codes[at]);
        if (code >= n_codes()) return {none, 0};
        const std::size_t n = n_of_character_[code];
        if (n <= 1) return {static_cast<Kind>(kinds_[code]), kinds_[code] != none ? 1 : 0};
        if (n > codes.size() - at) return {none, 0};
        std::uint64_t character = 0;
        for (std::size_t i = 0; i < n; ++i)
            character = character << bits | static_cast<std::uint32_t>(codes[at + i]);
        const auto found = std::ranges::lower_bound(long_, std::pair{character, std::uint8_t{0}});
        if (found == long_.end() || found->first != character) return {none, 0};
        return {static_cast<Kind>(found->second), n};
    }

    std::vector<std::uint8_t> n_of_character_;
    std::vector<std::uint8_t> kinds_;  // of characters of one token
    std::vector<std::pair<std::uint64_t, std::uint8_t>> long_;
};

}  // namespace infgram::refine
