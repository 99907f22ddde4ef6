// Words: maximal runs of codes that words are made of.
//
// Immutable: threads may share it.
#pragma once

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

// Which codes words are made of, and which make up a character together.
class Letters {
public:
    // A value a code, the boundary among them. of_word: other than 0 for what words are made of;
    // the boundary never is. n_of_character: how many tokens the character has that begins with
    // the code, 0 where none does.
    Letters(std::span<const std::uint8_t> of_word, std::span<const std::uint8_t> n_of_character)
        : of_word_(of_word.begin(), of_word.end()),
          n_of_character_(n_of_character.begin(), n_of_character.end()) {
        if (of_word_.empty() || of_word_[boundary] != 0)
            throw InvalidParameter("the end of a document is no letter");
        if (of_word_.size() != n_of_character_.size())
            throw InvalidParameter("letters and characters are told of different alphabets");
    }

    // A code that the corpus does not have counts as a letter: there is hardly a better reason to
    // look at a word.
    [[nodiscard]] bool operator()(std::uint32_t code) const noexcept {
        return code >= of_word_.size() || of_word_[code] != 0;
    }
    [[nodiscard]] std::size_t n_codes() const noexcept { return of_word_.size(); }

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
            if (!(*this)(codes[begin])) {
                ++begin;
                continue;
            }
            std::size_t end = begin + 1;
            while (end < codes.size() && (*this)(codes[end])) ++end;
            visit(Span{begin, end});
            begin = end;
        }
    }

private:
    std::vector<std::uint8_t> of_word_;
    std::vector<std::uint8_t> n_of_character_;
};

}  // namespace infgram::refine
