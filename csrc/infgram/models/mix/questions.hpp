// A token as a path of questions: is it in the left or the right half of what is left? The tree
// splits codes by the bits of their token ids; the boundary stands before them all.
//
// Immutable: threads may share it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/rows/alphabet.hpp"

namespace infgram::mix {

// Whether a code of [begin, end) is at least `middle`.
struct Question {
    std::uint32_t begin;
    std::uint32_t middle;
    std::uint32_t end;
    std::int32_t no;  // the next question, or ~code where one code is left
    std::int32_t yes;
};

class Questions {
public:
    // first: the smallest code that ever follows.
    Questions(const Alphabet& alphabet, std::uint32_t first) {
        std::vector<std::uint32_t> keys(alphabet.n_codes(), 0);
        for (std::uint32_t code = 1; code < keys.size(); ++code)
            keys[code] = alphabet.token_id(code);
        root_ = split(keys, first, static_cast<std::uint32_t>(keys.size()), 31);
    }

    [[nodiscard]] std::uint32_t size() const noexcept {
        return static_cast<std::uint32_t>(all_.size());
    }
    // The first question, or ~code where there is one code alone.
    [[nodiscard]] std::int32_t root() const noexcept { return root_; }
    [[nodiscard]] const Question& operator[](std::int32_t i) const noexcept {
        return all_[static_cast<std::size_t>(i)];
    }

private:
    // Questions stand before those that follow them.
    std::int32_t split(std::span<const std::uint32_t> keys, std::uint32_t begin, std::uint32_t end,
                       int bit) {
        if (end - begin == 1) return ~static_cast<std::int32_t>(begin);
        std::uint32_t middle = begin;
        for (; bit >= 0 && (middle == begin || middle == end); --bit)
            middle = static_cast<std::uint32_t>(
                std::partition_point(keys.begin() + begin, keys.begin() + end,
                                     [&](std::uint32_t key) { return (key >> bit & 1) == 0; }) -
                keys.begin());
        if (middle == begin || middle == end) middle = begin + (end - begin) / 2;
        const std::size_t at = all_.size();
        all_.push_back({begin, middle, end, 0, 0});
        const std::int32_t no = split(keys, begin, middle, bit);
        const std::int32_t yes = split(keys, middle, end, bit);
        all_[at].no = no;
        all_[at].yes = yes;
        return static_cast<std::int32_t>(at);
    }

    std::vector<Question> all_;
    std::int32_t root_;
};

}  // namespace infgram::mix
