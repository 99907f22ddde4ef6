// What an estimator looks at: the chains of the present context in every shard, whole or their
// first levels, and the live text.
//
// Not for two threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/contexts/chain.hpp"
#include "infgram/contexts/first_levels.hpp"
#include "infgram/contexts/live.hpp"
#include "infgram/contexts/neighbours.hpp"
#include "infgram/rows/shard.hpp"

namespace infgram {

template <class Code>
class Context {
public:
    // Borrows the shards; owns its chains, one a shard. live: counts what is read, if given.
    Context(std::span<const Shard<Code>> shards, std::vector<Chain> chains, std::uint32_t window,
            std::optional<LiveText> live)
        : shards_(shards), chains_(std::move(chains)), window_(window), live_(std::move(live)) {
        for (Chain& chain : chains_) {
            chain.reserve(64);
            trim(chain, window_);
        }
    }

    // From now on the first k levels of each chain are enough: they are kept, and maybe a few more.
    // Not where there is a live text, whose levels come between; nor in the compact layout, which
    // cannot find levels that were not kept; nor where documents were removed, and levels with
    // them.
    void keep_first(std::size_t k) noexcept {
        const auto needs_all = [](const Shard<Code>& shard) {
            return shard.is_compact() || shard.is_removed();
        };
        if (!live_ && std::ranges::none_of(shards_, needs_all)) k_ = k;
    }
    [[nodiscard]] bool keeps_first() const noexcept { return k_.has_value(); }

    // Goes on, where the first levels are kept, from some of those of a context in the only shard,
    // the longest among them; others are looked for.
    void go_on_from(std::span<const Level> levels) {
        chains_[0].assign(levels.begin(), levels.end());
        first_levels(0).fill(chains_[0]);
    }

    // Borrows tables to find levels with that were not kept, one a shard, or none.
    void borrow(std::span<const Neighbours> neighbours) noexcept { neighbours_ = neighbours; }
    // That of a shard, or none.
    [[nodiscard]] const Neighbours* neighbours(std::size_t shard) const noexcept {
        return neighbours_.empty() ? nullptr : &neighbours_[shard];
    }

    // Reads a code, or Alphabet::unknown, behind which nothing is context any more.
    void read(std::uint32_t code) {
        if (k_ && code != Alphabet::unknown) return advance_first(code);
        advance_all(shards_, std::span<Chain>(chains_), code, window_);
        if (!live_) return;
        if (code == Alphabet::unknown)
            live_->separate();
        else
            live_->read(code);
    }

    [[nodiscard]] std::span<const Shard<Code>> shards() const noexcept { return shards_; }
    [[nodiscard]] std::span<const Chain> chains() const noexcept { return chains_; }
    [[nodiscard]] std::uint32_t n_codes() const noexcept { return n_codes_of(shards_); }
    [[nodiscard]] std::uint32_t window() const noexcept { return window_; }

    // Whether there is a live text.
    [[nodiscard]] bool has_live() const noexcept { return live_.has_value(); }
    // The live text, if there is one with something in it.
    [[nodiscard]] const LiveText* live() const noexcept {
        return live_ && !live_->empty() ? &*live_ : nullptr;
    }

private:
    void advance_first(std::uint32_t code) {
        for (std::size_t s = 0; s < shards_.size(); ++s) first_levels(s).advance(chains_[s], code);
    }
    [[nodiscard]] FirstLevels<Code> first_levels(std::size_t s) const {
        return {shards_[s], neighbours(s), *k_, window_};
    }

    std::span<const Shard<Code>> shards_;
    std::vector<Chain> chains_;
    std::uint32_t window_;
    std::optional<std::size_t> k_;  // nothing: all levels are kept
    std::span<const Neighbours> neighbours_;
    std::optional<LiveText> live_;
};

// Weights of the next token, not normalised.
struct Weights {
    std::vector<std::uint32_t> codes;  // rising: those that have a weight
    std::vector<double> of;            // by code; zero for those that are not in `codes`

    void clear() noexcept {
        for (const std::uint32_t code : codes) of[code] = 0.0;
        codes.clear();
    }
    // The same where an error came before `codes` was complete. O(n_codes).
    void clear_all() noexcept {
        std::ranges::fill(of, 0.0);
        codes.clear();
    }
};

}  // namespace infgram
