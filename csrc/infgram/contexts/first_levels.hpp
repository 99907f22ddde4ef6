// Chains that hold their first levels alone: all that an estimator looks at, at a fraction of the
// ranks. Where a level is lost, because a longer one has all its rows that were followed by what
// was read, the next wider one is looked for.
//
// Not for two threads on one chain.
#pragma once

#include <cstddef>
#include <cstdint>

#include "infgram/contexts/chain.hpp"
#include "infgram/contexts/neighbours.hpp"
#include "infgram/rows/prefetch.hpp"
#include "infgram/rows/shard.hpp"
#include "infgram/rows/types.hpp"

namespace infgram {

template <class Code>
class FirstLevels {
public:
    // Borrows both. Without a table the text tells the next wider level.
    FirstLevels(const Shard<Code>& shard, const Neighbours* neighbours, std::size_t k,
                std::uint32_t window) noexcept
        : shard_(shard), neighbours_(neighbours), k_(k), window_(window) {}

    // What `advance` and `trim` make of the whole chain, to its k-th level at least: a level that
    // gains the end of the text alone does not count as one.
    void advance(Chain& chain, std::uint32_t code) const {
        if (code == boundary || code >= shard_.n_codes()) chain.clear();
        if (!chain.empty()) {
            Level level = chain.back();
            replace_by_images(shard_, chain, code);
            if (!chain.empty()) prefetch(chain.front().range.begin);
            while (chain.empty() && (level = wider(level)).n != 0)
                if (const Range image = shard_.extend(level.range, code); !image.empty())
                    chain.push_back({level.n + 1, image});
        }
        if (chain.empty() && !shard_.bucket(code).empty())
            chain.push_back({1, shard_.bucket(code)});
        fill(chain);
    }

    // Adds levels that are missing and drops some that are not looked at.
    void fill(Chain& chain) const {
        while (!chain.empty() && is_short(chain)) {
            const Level level = wider(chain.back());
            if (level.n == 0) break;
            chain.push_back(level);
        }
        if (!chain.empty() && chain.front().n > window_) trim(chain, window_);
        if (chain.size() > k_ + 1) chain.resize(k_ + 1);
    }

private:
    [[nodiscard]] bool is_short(const Chain& chain) const noexcept {
        std::size_t needed = k_;
        if (shard_.has_end(chain.back().range)) ++needed;
        // Levels before the last one that fills the window will be trimmed.
        for (std::size_t i = 1; i < chain.size() && chain[i].n >= window_; ++i) ++needed;
        return chain.size() < needed || chain.back().n > window_;
    }

    // Asks for what is read around the first level's rows.
    void prefetch(Row row) const noexcept {
        infgram::prefetch(shard_.next() + row);
        if (neighbours_ != nullptr) neighbours_->prefetch(row);
    }

    [[nodiscard]] Level wider(const Level& level) const {
        return neighbours_ != nullptr ? neighbours_->wider(shard_, level)
                                      : infgram::wider(shard_, level);
    }

    const Shard<Code>& shard_;
    const Neighbours* neighbours_;
    std::size_t k_;
    std::uint32_t window_;
};

}  // namespace infgram
