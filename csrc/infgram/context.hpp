// What an estimator looks at: the chains of the present context in every shard, and the live text.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "infgram/chain.hpp"
#include "infgram/live.hpp"
#include "infgram/shard.hpp"

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

    // Reads a code, or Alphabet::unknown, behind which nothing is context any more.
    void read(std::uint32_t code) {
        advance_all(shards_, std::span<Chain>(chains_), code, window_);
        if (!live_) return;
        if (code == Alphabet::unknown)
            live_->separate();
        else
            live_->read(code);
    }

    [[nodiscard]] std::span<const Shard<Code>> shards() const noexcept { return shards_; }
    [[nodiscard]] std::span<const Chain> chains() const noexcept { return chains_; }
    [[nodiscard]] std::uint32_t n_codes() const noexcept { return shards_.front().n_codes(); }
    [[nodiscard]] std::uint32_t window() const noexcept { return window_; }

    // The live text, if there is one with something in it.
    [[nodiscard]] const LiveText* live() const noexcept {
        return live_ && !live_->empty() ? &*live_ : nullptr;
    }

private:
    std::span<const Shard<Code>> shards_;
    std::vector<Chain> chains_;
    std::uint32_t window_;
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
};

}  // namespace infgram
