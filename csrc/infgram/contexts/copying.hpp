// The limit to copying: no verbatim run of the corpus may be longer than so many tokens.
//
// CopyLimit takes tokens from a draw that would make a run too long; RunWatch reads a text and
// tells where one is. What Python has of it: `certify` in src/infgram/tracing/copying.py, and
// `_banned` in src/infgram/models/definition.py.
//
// Not for two threads. They borrow the shards.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "infgram/contexts/chain.hpp"
#include "infgram/contexts/context.hpp"
#include "infgram/contexts/histogram.hpp"
#include "infgram/rows/alphabet.hpp"
#include "infgram/rows/shard.hpp"

namespace infgram {

template <class Code>
class CopyLimit {
public:
    // 0: none.
    CopyLimit(std::uint32_t max_copy, std::uint32_t n_codes)
        : max_copy_(max_copy), next_(n_codes) {}

    // Takes the tokens that would make a run too long out of the weights, once as many tokens were
    // generated as a run may have. The end of a text is no part of a run.
    void apply(const Context<Code>& context, std::uint64_t n_generated, Weights& weights) {
        if (max_copy_ == 0 || n_generated < max_copy_) return;
        next_.clear();
        ranges_.clear();
        for (const Chain& chain : context.chains()) ranges_.push_back(rows_of(chain, max_copy_));
        next_.add(context.shards(), std::span<const Range>(ranges_));
        if (next_.seen().empty()) return;
        std::erase_if(weights.codes, [&](std::uint32_t code) {
            // A weight of zero (decay 0) is none: nothing could be drawn from such alone.
            if (weights.of[code] != 0.0 && (code == boundary || next_[code] == 0)) return false;
            weights.of[code] = 0.0;
            return true;
        });
    }

private:
    std::uint32_t max_copy_;
    Histogram next_;
    std::vector<Range> ranges_;
};

template <class Code>
class RunWatch {
public:
    explicit RunWatch(std::span<const Shard<Code>> shards)
        : shards_(shards), chains_(shards.size()) {}

    // Nothing before is part of a run any more.
    void separate() {
        for (Chain& chain : chains_) chain.clear();
    }

    // Reads a code; whether a run of more than max_copy tokens ends with it.
    bool too_long(std::uint32_t code, std::uint32_t max_copy) {
        advance_all(shards_, std::span<Chain>(chains_), code, max_copy + 1);
        return longest_match(shards_, std::span<const Chain>(chains_)) > max_copy;
    }

private:
    std::span<const Shard<Code>> shards_;
    std::vector<Chain> chains_;
};

}  // namespace infgram
