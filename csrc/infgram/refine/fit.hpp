// How well a word fits where it stands: on which sides the corpus has it beside what stands there.
//
// Not for two threads. Borrows the shards and the lexicon's letters.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/refine/words.hpp"
#include "infgram/rows/alphabet.hpp"
#include "infgram/rows/shard.hpp"
#include "infgram/rows/types.hpp"

namespace infgram::refine {

// On each side there is a neighbour: the next word, if one token stands between, and else what
// stands between, at most four tokens of it. A word fits on a side if the corpus has it whole
// beside that neighbour.
template <class Code>
class Fit {
public:
    Fit(std::span<const Shard<Code>> shards, const Letters& letters)
        : shards_(shards), letters_(letters) {}

    // Looks at a place of a text. O(1).
    void look(std::span<const std::uint32_t> codes, Span at) {
        codes_ = codes;
        at_ = at;
        left_ = at.begin;
        while (left_ > 0 && at.begin - left_ < most_between && before(left_) == 0) --left_;
        if (at.begin - left_ == 1)
            while (at.begin - left_ < most_neighbour && before(left_) > 0) left_ -= before(left_);
        right_ = at.end;
        while (right_ < codes.size() && right_ - at.end < most_between && behind(right_) == 0)
            ++right_;
        if (right_ - at.end == 1)
            while (right_ - at.end < most_neighbour && behind(right_) > 0) right_ += behind(right_);
    }

    // How many sides a word fits on there, 0 to 2. O(n) ranks.
    [[nodiscard]] std::uint32_t n_sides(std::span<const std::uint32_t> word) {
        const std::size_t before_it = at_.begin - std::min<std::size_t>(at_.begin, 1);
        const std::size_t behind_it = std::min(at_.end + 1, codes_.size());
        return (occurs(left_, word, behind_it) ? 1u : 0u) +
               (occurs(before_it, word, right_) ? 1u : 0u);
    }

private:
    static constexpr std::size_t most_between = 4;
    static constexpr std::size_t most_neighbour = 32;

    [[nodiscard]] std::size_t before(std::size_t i) const {
        return letters_.size_before(codes_, i);
    }
    [[nodiscard]] std::size_t behind(std::size_t i) const { return letters_.size_at(codes_, i); }

    // Whether the corpus has the word between the text's tokens from `begin` and to `end`.
    [[nodiscard]] bool occurs(std::size_t begin, std::span<const std::uint32_t> word,
                              std::size_t end) {
        ngram_.assign(codes_.begin() + static_cast<std::ptrdiff_t>(begin),
                      codes_.begin() + static_cast<std::ptrdiff_t>(at_.begin));
        ngram_.insert(ngram_.end(), word.begin(), word.end());
        ngram_.insert(ngram_.end(), codes_.begin() + static_cast<std::ptrdiff_t>(at_.end),
                      codes_.begin() + static_cast<std::ptrdiff_t>(end));
        if (std::ranges::any_of(ngram_, [](std::uint32_t code) {
                return code == Alphabet::unknown || code == boundary;
            }))
            return false;
        return std::ranges::any_of(shards_, [&](const Shard<Code>& shard) {
            auto search = shard.begin_count(ngram_);
            while (shard.step(search)) {
            }
            return search.range.size() > 0;
        });
    }

    std::span<const Shard<Code>> shards_;
    const Letters& letters_;
    std::span<const std::uint32_t> codes_;
    Span at_;
    std::size_t left_ = 0;  // where the neighbours begin and end
    std::size_t right_ = 0;
    std::vector<std::uint32_t> ngram_;
};

}  // namespace infgram::refine
